//! Texts made into vectors, by which they are found by their meaning.

mod built_in;
mod embedder;
mod parts;
mod recent;

use std::sync::{Arc, Mutex, PoisonError};

use adjutant_wire as wire;
use adjutant_wire::embeddings::CreateEmbedding;
use adjutant_wire::models::Model;
use anyhow::{Context, ensure};
use serde::Serialize;

use super::fault::{UpstreamFault, unavailable};
use super::local::Listener;
use super::place::{Place, Upstream};
use super::routing::Upstreams;
use super::server::Patience;
use crate::config::{Config, EmbeddingsConfig};
use built_in::BuiltIn;
use embedder::{Embedded, Embedder, Options};
use recent::Recent;

/// What a text is to the search. Many models want to be told, and find less if they are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TextKind {
    /// What somebody asks.
    Query,
    /// What may be found.
    Passage,
}

/// The model that made a store's vectors. Vectors of two models cannot be compared, so a store has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddingModel {
    /// As [`Upstreams::embed`] wants it: the name that its server knows it by, and `@512` behind it where
    /// shorter vectors than the model's own were asked for.
    pub name: String,
    /// How many numbers a vector has.
    pub dimensions: usize,
}

/// What a client's texts became.
#[derive(Debug)]
pub struct ClientEmbeddings {
    /// The name of the model that answered.
    pub model: String,
    /// One for each text, in their order.
    pub vectors: Vec<Vec<f32>>,
    /// How much the model read.
    pub tokens: u64,
}

/// Which model embeds, and what it was asked lately.
pub(super) struct Embeddings {
    chosen: Arc<Embedder>,
    /// The chosen one where none is configured. Stores may have been made with it before another was.
    built_in: BuiltIn,
    options: Options,
    patience: Patience,
    recent: Mutex<Recent>,
}

impl Upstreams {
    /// The model that new stores are embedded with. A server whose model's dimensions are not configured is
    /// asked for one vector, once.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn embedding_model(&self) -> Result<EmbeddingModel, UpstreamFault> {
        self.embeddings.chosen.model(self.patience).await
    }

    /// One vector of unit length for each text, in their order. Texts that are longer than the model's window
    /// are embedded in parts. Queries overtake passages that wait; calls are tried again as `upstream_retries`
    /// says, and after the pause that the server asks for.
    ///
    /// `model` is an [`EmbeddingModel`]'s name, of whatever time.
    ///
    /// # Errors
    /// Where no server has the model, or it does not answer.
    pub async fn embed(
        &self,
        model: &str,
        kind: TextKind,
        texts: &[String],
    ) -> Result<Vec<Vec<f32>>, UpstreamFault> {
        let [query] = texts else { return self.embed_anew(model, kind, texts).await };
        if kind == TextKind::Passage {
            return self.embed_anew(model, kind, texts).await;
        }
        if let Some(vector) = self.embeddings.recent().vector(model, query) {
            return Ok(vec![vector]);
        }
        let vectors = self.embed_anew(model, kind, texts).await?;
        if let [vector] = vectors.as_slice() {
            self.embeddings.recent().add(model, query, vector);
        }
        Ok(vectors)
    }

    async fn embed_anew(
        &self,
        model: &str,
        kind: TextKind,
        texts: &[String],
    ) -> Result<Vec<Vec<f32>>, UpstreamFault> {
        let embedder = self.embedder(model).await?;
        if self.embeddings.is_built_in(&embedder) {
            self.embeddings.built_in.ready_for(kind).await?;
        }
        Ok(embedder.embed(kind, texts, self.patience).await?.vectors)
    }

    /// Whether `POST /embeddings` for this model's name is for the configured embedding model: it is its name,
    /// or no server has such a model.
    pub async fn embeds_for(&self, name: &str) -> bool {
        let name = self.meant(name);
        self.serving(name).await.is_none() && (!self.is_strict() || self.embeddings.chosen.name() == name)
    }

    /// Answers `POST /embeddings` with the configured embedding model.
    ///
    /// # Errors
    /// Where it cannot be asked, or cannot make vectors of the wanted length.
    pub async fn create_embeddings(&self, request: &CreateEmbedding) -> wire::Result<ClientEmbeddings> {
        let embedder = &self.embeddings.chosen;
        let model = embedder.model(self.patience).await.map_err(unavailable)?;
        if let Some(wanted) = request.dimensions.filter(|wanted| *wanted != model.dimensions) {
            let EmbeddingModel { name, dimensions } = model;
            let message =
                format!("Invalid 'dimensions': {wanted}. Vectors of the model '{name}' have {dimensions}.");
            return Err(wire::Error::parameter("dimensions", "invalid_value", message));
        }
        if self.embeddings.is_built_in(embedder) {
            // This client has nothing else to look at meanwhile.
            self.embeddings.built_in.ready_for(TextKind::Passage).await.map_err(unavailable)?;
        }
        // Clients do not say what their texts are to a search. Models that want to know do well with one
        // answer for all of them, and that one is the query.
        let embedded = embedder.embed(TextKind::Query, &request.input, self.patience).await;
        let Embedded { vectors, tokens } = embedded.map_err(unavailable)?;
        Ok(ClientEmbeddings { model: model.name, vectors, tokens })
    }

    /// The configured model, or the server that has a model which was configured earlier.
    async fn embedder(&self, name: &str) -> Result<Arc<Embedder>, UpstreamFault> {
        let Embeddings { chosen, built_in, .. } = &self.embeddings;
        if let Some(known) = [chosen, &built_in.embedder].into_iter().find(|known| known.name() == name) {
            return Ok(Arc::clone(known));
        }
        let options = self.embeddings.options.clone().for_model(name);
        if let Some(upstream) = self.serving(options.model()).await {
            return Ok(Arc::new(Embedder::new(Arc::clone(upstream), options)));
        }
        Err(UpstreamFault::lasting(format!(
            "The model `{name}`, which made these vectors, is on no configured server. Add the server that has \
             it to `upstreams`, or embed the files again."
        )))
    }
}

impl Upstreams {
    /// Fetches the built-in embedding model ahead of the first file where it is used, if the model that talks is
    /// built-in too: whoever has servers of their own may never need it.
    pub async fn fetch_ahead(&self, listener: Listener<'_>) {
        let talks = self.all.iter().any(|upstream| matches!(upstream.place, Place::Local(_)));
        if !talks || !self.embeddings.is_built_in(&self.embeddings.chosen) {
            return;
        }
        if let Err(fault) = self.embeddings.built_in.fetch(listener).await {
            tracing::warn!("{}", fault.message);
        }
    }
}

impl Embeddings {
    /// # Errors
    /// Where the settings name an upstream that is not there.
    pub(super) fn new(config: &Config, all: &[Arc<Upstream>], patience: Patience) -> anyhow::Result<Self> {
        let built_in = BuiltIn::new(config.data.clone(), &config.embeddings)?;
        let options = Options::configured(&config.embeddings);
        let chosen = match upstream(&config.embeddings, all)? {
            Some(upstream) => Arc::new(Embedder::new(upstream, options.clone())),
            None => Arc::clone(&built_in.embedder),
        };
        Ok(Self { chosen, built_in, options, patience, recent: Mutex::default() })
    }

    fn is_built_in(&self, embedder: &Arc<Embedder>) -> bool {
        Arc::ptr_eq(embedder, &self.built_in.embedder)
    }

    pub(super) fn in_words(&self) -> String {
        let Self { chosen, built_in, .. } = self;
        if self.is_built_in(chosen) {
            return built_in.in_words();
        }
        format!("{} of {}", chosen.name(), chosen.upstream_name())
    }

    /// Whether the configured model is there, or its server embeds, and how.
    pub(super) async fn check(&self) -> String {
        if self.is_built_in(&self.chosen) {
            return self.built_in.check();
        }
        match self.chosen.model(self.patience).await {
            Ok(EmbeddingModel { name, dimensions }) => {
                format!("`{}` embeds with {name}: {dimensions} dimensions.", self.chosen.upstream_name())
            }
            Err(fault) => fault.message,
        }
    }

    /// Whether the settings name this model to embed with.
    pub(super) fn is_configured(&self, model: &str) -> bool {
        self.options.model() == model
    }

    /// The built-in model for the list of models, where it is used.
    pub(super) fn listed(&self) -> Option<Model> {
        self.is_built_in(&self.chosen).then(|| self.built_in.listed())
    }

    /// Gives the built-in model's memory back.
    pub(super) async fn stop(&self) {
        self.built_in.stop().await;
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server that is to embed; none for the built-in model.
fn upstream(config: &EmbeddingsConfig, all: &[Arc<Upstream>]) -> anyhow::Result<Option<Arc<Upstream>>> {
    let name = &config.upstream;
    if name.is_empty() {
        ensure!(
            config.model.is_empty(),
            "embeddings.model needs embeddings.upstream, the server that has it"
        );
        return Ok(None);
    }
    let found = all.iter().find(|upstream| upstream.name == *name).with_context(|| {
        let names: Vec<&str> = all.iter().map(|upstream| upstream.name.as_str()).collect();
        let names = names.join(", ");
        format!("embeddings.upstream is `{name}`, and there is no upstream of that name, only {names}")
    })?;
    ensure!(!config.model.is_empty(), "embeddings.model must name the model of embeddings.upstream");
    Ok(Some(Arc::clone(found)))
}
