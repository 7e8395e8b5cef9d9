//! Which upstream answers for which name.
//!
//! In this order: an alias is replaced; the first upstream that names the model answers; else, unless
//! `strict_models` forbids it, the default upstream answers with its default model.

use std::collections::BTreeMap;
use std::sync::Arc;

use adjutant_wire as wire;
use adjutant_wire::models::{Model, ModelUse};

use super::embeddings::Embeddings;
use super::local::Listener;
use super::place::{Place, Upstream};
use super::server::{Listed, Patience};
use crate::config::ToolProtocol;

/// All models' servers.
pub struct Upstreams {
    pub(super) all: Vec<Arc<Upstream>>,
    pub(super) aliases: BTreeMap<String, String>,
    pub(super) strict: bool,
    pub(super) default_model: Option<String>,
    pub(super) patience: Patience,
    pub(super) context_tokens: u64,
    pub(super) embeddings: Embeddings,
}

/// Where a request goes and what its model is called there.
pub(super) struct Route {
    pub(super) upstream: Arc<Upstream>,
    pub(super) model: String,
}

impl Upstreams {
    /// Which models answer, for the person who starts the server.
    pub fn in_words(&self) -> String {
        let names: Vec<String> = self.all.iter().map(|upstream| upstream.in_words()).collect();
        format!("Models: {}. Embeddings: {}.", names.join(", "), self.embeddings.in_words())
    }

    /// A line on each upstream: whether it answers, and with how many models; and one on the embedding model.
    pub async fn check(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for upstream in &self.all {
            lines.push(upstream.check().await);
        }
        lines.push(self.embeddings.check().await);
        lines
    }

    /// Fetches what the built-in model needs, where it is used and not there yet.
    ///
    /// # Errors
    /// Where it cannot be had; in words, with the remedy.
    pub async fn prepare(&self, listener: Listener<'_>) -> anyhow::Result<()> {
        for upstream in &self.all {
            if let Place::Local(model) = &upstream.place {
                model.prepare(listener).await?;
            }
        }
        Ok(())
    }

    /// Starts the built-in model, where it is used, ahead of the first question.
    pub async fn warm_up(&self) {
        for upstream in &self.all {
            if let Err(fault) = upstream.reach().await {
                tracing::warn!("{}", fault.message);
            }
        }
    }

    /// Stops what was started here.
    pub async fn stop(&self) {
        for upstream in &self.all {
            if let Place::Local(model) = &upstream.place {
                model.stop().await;
            }
        }
        self.embeddings.stop().await;
    }

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

    /// How many tokens a model can read and write at once: as its upstream or the operator says, else the
    /// configured default.
    pub async fn context_tokens(&self, name: &str) -> u64 {
        let known = match self.route(name).await {
            Some(Route { upstream, model }) => upstream.context_tokens(&model),
            None => None,
        };
        known.unwrap_or(self.context_tokens)
    }

    /// Whether a model of this name makes calls in a protocol of ours, for it has none of its own.
    pub async fn emulates_calls(&self, name: &str) -> bool {
        let route = self.route(name).await;
        route.is_some_and(|Route { upstream, .. }| upstream.tools == ToolProtocol::Emulated)
    }

    /// The name that an alias stands for.
    pub(super) fn meant<'a>(&'a self, name: &'a str) -> &'a str {
        self.aliases.get(name).map_or(name, String::as_str)
    }

    /// The first upstream that has a model of this name.
    pub(super) async fn serving(&self, name: &str) -> Option<&Arc<Upstream>> {
        for upstream in &self.all {
            if upstream.serves(name).await {
                return Some(upstream);
            }
        }
        None
    }

    pub(super) async fn route(&self, name: &str) -> Option<Route> {
        let name = self.meant(name);
        if let Some(upstream) = self.serving(name).await {
            return Some(Route { upstream: Arc::clone(upstream), model: name.to_owned() });
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
            for Listed { mut model, .. } in upstream.listed().await {
                if upstream.may_serve(&model.id) && !models.iter().any(|known| known.id == model.id) {
                    if self.embeddings.is_configured(&model.id) {
                        model.serves = Some(ModelUse::Embeddings);
                    }
                    models.push(model);
                }
            }
        }
        models.extend(self.embeddings.listed());
        let aliases = self.aliases.iter().filter_map(|(alias, name)| {
            let model = models.iter().find(|model| model.id == *name)?;
            Some(Model { id: alias.clone(), ..model.clone() })
        });
        let aliases: Vec<Model> = aliases.collect();
        models.extend(aliases);
        models
    }
}
