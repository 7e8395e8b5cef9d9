//! One models' server: where it is, and what it answers for.

use std::sync::Arc;
use std::time::Duration;

use adjutant_wire::models::{Model, ModelUse};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::LISTING;
use super::fault::UpstreamFault;
use super::local::{LocalModel, Session};
use super::server::{Endpoint, Listed, list_models};
use crate::config::ToolProtocol;

/// How long a list of models is taken to be true.
const LIST_LASTS: Duration = Duration::from_secs(60);

/// How long a server that did not answer is not asked again.
const SILENCE_LASTS: Duration = Duration::from_secs(5);

/// What the smallest of OpenAI's present models can read and write at once; its list of models does not say.
const OPENAI_CONTEXT_TOKENS: u64 = 128_000;

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
    /// How many of our questions the built-in model answers at once.
    pub(super) turns: Arc<Semaphore>,
    /// What its models can read and write at once, where the operator says so.
    pub(super) context_tokens: Option<u64>,
    pub(super) listed: Mutex<ModelList>,
}

/// What a server listed, and until when that is taken to be true.
#[derive(Default)]
pub(super) struct ModelList {
    models: Vec<Listed>,
    good_until: Option<Instant>,
}

/// Where a model's server is.
pub(super) enum Place {
    /// Somewhere, run by somebody.
    Remote(Endpoint),
    /// Here, run by us; started when it is asked.
    Local(LocalModel),
}

/// A server that can be asked now. The built-in one is not stopped while this lives, and answers nobody else.
pub(super) struct Reached {
    pub(super) endpoint: Endpoint,
    _session: Option<(Session, OwnedSemaphorePermit)>,
}

impl Upstream {
    /// The server's address, started if it is the built-in one.
    pub(super) async fn reach(&self) -> Result<Reached, UpstreamFault> {
        match &self.place {
            Place::Remote(endpoint) => Ok(Reached { endpoint: endpoint.clone(), _session: None }),
            Place::Local(model) => {
                // It answers one at a time. Whoever waits, waits here, where no limit on its silence runs.
                let turn = Arc::clone(&self.turns).acquire_owned().await;
                let turn = turn.map_err(|_| UpstreamFault::lasting("The built-in model is stopped."))?;
                let session =
                    model.open().await.map_err(|error| UpstreamFault::lasting(format!("{error:#}")))?;
                let endpoint = Endpoint {
                    name: self.name.clone(),
                    base_url: session.base_url().to_owned(),
                    key: Some(session.key().to_owned()),
                };
                Ok(Reached { endpoint, _session: Some((session, turn)) })
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

    /// How many tokens a model can read and write at once, where that is known.
    pub(super) fn context_tokens(self: &Arc<Self>, model: &str) -> Option<u64> {
        match &self.place {
            Place::Local(local) => return Some(u64::from(local.context_tokens())),
            Place::Remote(_) if self.context_tokens.is_some() => return self.context_tokens,
            Place::Remote(endpoint) if endpoint.is_openai() => return Some(OPENAI_CONTEXT_TOKENS),
            Place::Remote(_) => {}
        }
        self.listed_lately().into_iter().find(|listed| listed.model.id == model)?.context_tokens
    }

    pub(super) async fn serves(&self, name: &str) -> bool {
        if self.models.is_empty() {
            return self.listed().await.iter().any(|listed| listed.model.id == name);
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
            None => self
                .listed()
                .await
                .into_iter()
                .map(|listed| listed.model.id)
                .find(|name| self.may_serve(name)),
        }
    }

    /// What the server lists; nothing where it never answered.
    pub(super) async fn listed(&self) -> Vec<Listed> {
        let endpoint = match &self.place {
            Place::Remote(endpoint) => endpoint,
            Place::Local(model) => {
                return vec![Listed { model: built_in(model, ModelUse::Chat), context_tokens: None }];
            }
        };
        let mut list = self.listed.lock().await;
        if list.is_fresh() {
            return list.models.clone();
        }
        match list_models(&self.client, endpoint, LISTING).await {
            Ok(models) => *list = ModelList { models, good_until: Some(Instant::now() + LIST_LASTS) },
            Err(fault) => {
                tracing::warn!(upstream = %self.name, "{}", fault.message);
                list.good_until = Some(Instant::now() + SILENCE_LASTS);
            }
        }
        list.models.clone()
    }

    /// What the server listed when it was last asked. Waits for nothing: where that is long ago, it is asked
    /// for the next time.
    fn listed_lately(self: &Arc<Self>) -> Vec<Listed> {
        let Ok(list) = self.listed.try_lock() else { return Vec::new() };
        if !list.is_fresh() {
            let upstream = Arc::clone(self);
            tokio::spawn(async move { upstream.listed().await });
        }
        list.models.clone()
    }
}

impl ModelList {
    fn is_fresh(&self) -> bool {
        self.good_until.is_some_and(|until| Instant::now() < until)
    }
}

/// A built-in model as the list of models shows it.
pub(super) fn built_in(model: &LocalModel, serves: ModelUse) -> Model {
    Model {
        id: model.name().to_owned(),
        object: "model".to_owned(),
        created: 0,
        owned_by: "adjutant".to_owned(),
        serves: Some(serves),
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
