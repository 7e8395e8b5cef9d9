//! One models' server: where it is, and what it answers for.

use std::time::Duration;

use adjutant_wire::models::Model;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::LISTING;
use super::fault::UpstreamFault;
use super::local::{LocalModel, Session};
use super::server::{Endpoint, list_models};
use crate::config::ToolProtocol;

/// How long a list of models is taken to be true.
const LIST_LASTS: Duration = Duration::from_secs(60);

/// A model's server and what it answers for.
pub(super) struct Upstream {
    /// The name in the log and in error messages.
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) client: reqwest::Client,
    /// Names and wildcards; empty for whatever the server lists.
    pub(super) models: Vec<String>,
    pub(super) default: bool,
    pub(super) tools: ToolProtocol,
    pub(super) listed: Mutex<Option<(Instant, Vec<Model>)>>,
}

/// Where a model's server is.
pub(super) enum Place {
    /// Somewhere, run by somebody.
    Remote(Endpoint),
    /// Here, run by us; started when it is asked.
    Local(LocalModel),
}

/// A server that can be asked now. The built-in one is not stopped while this lives.
pub(super) struct Reached {
    pub(super) endpoint: Endpoint,
    _session: Option<Session>,
}

impl Upstream {
    /// The server's address, started if it is the built-in one.
    pub(super) async fn reach(&self) -> Result<Reached, UpstreamFault> {
        match &self.place {
            Place::Remote(endpoint) => Ok(Reached { endpoint: endpoint.clone(), _session: None }),
            Place::Local(model) => {
                let session =
                    model.open().await.map_err(|error| UpstreamFault::lasting(format!("{error:#}")))?;
                let endpoint = Endpoint {
                    name: self.name.clone(),
                    base_url: session.base_url().to_owned(),
                    key: Some(session.key().to_owned()),
                };
                Ok(Reached { endpoint, _session: Some(session) })
            }
        }
    }

    pub(super) fn in_words(&self) -> String {
        match &self.place {
            Place::Remote(endpoint) => format!("{} at {}", self.name, endpoint.base_url),
            Place::Local(model) => format!("the built-in {}", model.name()),
        }
    }

    pub(super) async fn check(&self) -> String {
        let name = &self.name;
        match &self.place {
            Place::Remote(endpoint) => match list_models(&self.client, endpoint, LISTING).await {
                Ok(models) => format!("`{name}` answers and lists {} models.", models.len()),
                Err(fault) => fault.message,
            },
            Place::Local(model) if model.is_prepared() => "The built-in model is on this machine.".to_owned(),
            Place::Local(_) => "The built-in model is fetched at the first start.".to_owned(),
        }
    }

    /// How many tokens of conversation its models can read beside their answer, where that is known.
    pub(super) fn window(&self) -> Option<u64> {
        match &self.place {
            Place::Remote(_) => None,
            // A quarter is left to the answer and to what counting by estimate misses.
            Place::Local(model) => Some(u64::from(model.context_tokens()) * 3 / 4),
        }
    }

    pub(super) async fn serves(&self, name: &str) -> bool {
        if self.models.is_empty() {
            return self.listed().await.iter().any(|model| model.id == name);
        }
        self.may_serve(name)
    }

    pub(super) fn may_serve(&self, name: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|pattern| matches(pattern, name))
    }

    pub(super) async fn first_model(&self) -> Option<String> {
        let named = self.models.iter().find(|pattern| !pattern.contains('*'));
        match named {
            Some(name) => Some(name.clone()),
            None => {
                self.listed().await.into_iter().find(|model| self.may_serve(&model.id)).map(|model| model.id)
            }
        }
    }

    /// What the server lists; nothing where it does not answer, and then it is asked again next time.
    pub(super) async fn listed(&self) -> Vec<Model> {
        let endpoint = match &self.place {
            Place::Remote(endpoint) => endpoint,
            Place::Local(model) => return vec![built_in(model)],
        };
        let mut listed = self.listed.lock().await;
        if let Some((at, models)) = &*listed
            && at.elapsed() < LIST_LASTS
        {
            return models.clone();
        }
        match list_models(&self.client, endpoint, LISTING).await {
            Ok(models) => {
                *listed = Some((Instant::now(), models.clone()));
                models
            }
            Err(fault) => {
                tracing::warn!(upstream = %self.name, "{}", fault.message);
                Vec::new()
            }
        }
    }
}

fn built_in(model: &LocalModel) -> Model {
    Model {
        id: model.name().to_owned(),
        object: "model".to_owned(),
        created: 0,
        owned_by: "adjutant".to_owned(),
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
