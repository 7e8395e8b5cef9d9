//! Which upstream answers for which name.
//!
//! In this order: an alias is replaced; the first upstream that names the model answers; else, unless
//! `strict_models` forbids it, the default upstream answers with its default model.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use adjutant_wire as wire;
use adjutant_wire::models::Model;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::LISTING;
use super::server::{self, Endpoint, Patience};
use crate::config::ToolProtocol;

/// How long a list of models is taken to be true.
const LIST_LASTS: Duration = Duration::from_secs(60);

/// All models' servers.
pub struct Upstreams {
    pub(super) all: Vec<Arc<Upstream>>,
    pub(super) aliases: BTreeMap<String, String>,
    pub(super) strict: bool,
    pub(super) default_model: Option<String>,
    pub(super) patience: Patience,
}

/// A model's server and what it answers for.
pub(super) struct Upstream {
    pub(super) endpoint: Endpoint,
    pub(super) client: reqwest::Client,
    /// Names and wildcards; empty for whatever the server lists.
    pub(super) models: Vec<String>,
    pub(super) default: bool,
    pub(super) tools: ToolProtocol,
    pub(super) listed: Mutex<Option<(Instant, Vec<Model>)>>,
}

/// Where a request goes and what its model is called there.
pub(super) struct Route {
    pub(super) upstream: Arc<Upstream>,
    pub(super) model: String,
}

impl Upstreams {
    /// Which models answer, for the person who starts the server.
    pub fn in_words(&self) -> String {
        let name = |upstream: &Arc<Upstream>| {
            format!("{} at {}", upstream.endpoint.name, upstream.endpoint.base_url)
        };
        match self.all.as_slice() {
            [] => "No model: none is configured, and none was found on this machine.".to_owned(),
            [only] => format!("Models: {}.", name(only)),
            several => format!("Models: {}.", several.iter().map(name).collect::<Vec<_>>().join(", ")),
        }
    }

    /// A line on each upstream: whether it answers, and with how many models.
    pub async fn check(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for upstream in &self.all {
            let name = &upstream.endpoint.name;
            lines.push(match server::list_models(&upstream.client, &upstream.endpoint, LISTING).await {
                Ok(models) => format!("`{name}` answers and lists {} models.", models.len()),
                Err(fault) => fault.message,
            });
        }
        lines
    }

    /// Stops what was started here.
    pub async fn stop(&self) {}

    /// Whether names that nothing serves are refused.
    pub fn is_strict(&self) -> bool {
        self.strict
    }

    /// Refuses a model that nothing serves, where that is wanted.
    ///
    /// # Errors
    /// 400.
    pub async fn refuse_unknown(&self, name: &str) -> wire::Result<()> {
        if !self.strict || self.route(name).await.is_some() {
            return Ok(());
        }
        Err(wire::Error::unknown_requested_model(name))
    }

    /// How many tokens of conversation a model can read beside its answer. Upstreams do not say it alike, so
    /// this is what models of the last years can do.
    pub async fn window(&self, _name: &str) -> u64 {
        100_000
    }

    pub(super) async fn route(&self, name: &str) -> Option<Route> {
        let name = self.aliases.get(name).map_or(name, String::as_str);
        for upstream in &self.all {
            if upstream.serves(name).await {
                return Some(Route { upstream: Arc::clone(upstream), model: name.to_owned() });
            }
        }
        if self.strict {
            return None;
        }
        let upstream = self.all.iter().find(|upstream| upstream.default).or_else(|| self.all.first())?;
        let model = match &self.default_model {
            Some(model) => model.clone(),
            None => upstream.first_model().await.unwrap_or_else(|| name.to_owned()),
        };
        Some(Route { upstream: Arc::clone(upstream), model })
    }

    pub(super) async fn all_models(&self) -> Vec<Model> {
        let mut models: Vec<Model> = Vec::new();
        for upstream in &self.all {
            for model in upstream.listed().await {
                if upstream.may_serve(&model.id) && !models.iter().any(|known| known.id == model.id) {
                    models.push(model);
                }
            }
        }
        let aliases = self.aliases.iter().filter_map(|(alias, name)| {
            let model = models.iter().find(|model| model.id == *name)?;
            Some(Model { id: alias.clone(), ..model.clone() })
        });
        let aliases: Vec<Model> = aliases.collect();
        models.extend(aliases);
        models
    }
}

impl Upstream {
    async fn serves(&self, name: &str) -> bool {
        if self.models.is_empty() {
            return self.listed().await.iter().any(|model| model.id == name);
        }
        self.may_serve(name)
    }

    fn may_serve(&self, name: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|pattern| matches(pattern, name))
    }

    async fn first_model(&self) -> Option<String> {
        let named = self.models.iter().find(|pattern| !pattern.contains('*'));
        match named {
            Some(name) => Some(name.clone()),
            None => {
                self.listed().await.into_iter().find(|model| self.may_serve(&model.id)).map(|model| model.id)
            }
        }
    }

    /// What the server lists; nothing where it does not answer, and then it is asked again next time.
    async fn listed(&self) -> Vec<Model> {
        let mut listed = self.listed.lock().await;
        if let Some((at, models)) = &*listed
            && at.elapsed() < LIST_LASTS
        {
            return models.clone();
        }
        match server::list_models(&self.client, &self.endpoint, LISTING).await {
            Ok(models) => {
                *listed = Some((Instant::now(), models.clone()));
                models
            }
            Err(fault) => {
                tracing::warn!(upstream = %self.endpoint.name, "{}", fault.message);
                Vec::new()
            }
        }
    }
}

/// Whether a name fits a pattern in which `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|head| name.strip_prefix(head)) else { return false };
    let Some(tail) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, fits) in [
            ("gpt-4", "gpt-4", true),
            ("gpt-4", "gpt-4o", false),
            ("*", "", true),
            ("gpt-*", "gpt-4o", true),
            ("gpt-*", "o1", false),
            ("*-instruct", "qwen-instruct", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }
}
