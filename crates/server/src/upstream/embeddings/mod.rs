//! Texts made into vectors, by which they are found by their meaning.

mod embedder;
mod parts;
mod recent;

use std::sync::{Arc, Mutex, PoisonError};

use adjutant_wire as wire;
use adjutant_wire::embeddings::CreateEmbedding;
use anyhow::{Context, ensure};

use super::fault::{UpstreamFault, unavailable};
use super::place::Upstream;
use super::routing::Upstreams;
use super::server::Patience;
use crate::config::EmbeddingsConfig;
use embedder::{Embedded, Embedder, Options};
use recent::Recent;

/// What a text is to the search. Many models want to be told, and find less if they are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    chosen: Option<Arc<Embedder>>,
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
        self.embeddings.chosen()?.model(self.patience).await
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
        Ok(self.embedder(model).await?.embed(kind, texts, self.patience).await?.vectors)
    }

    /// Whether `POST /embeddings` for this model's name is for the configured embedding model: it is its name,
    /// or no server has such a model.
    pub async fn embeds_for(&self, name: &str) -> bool {
        let Some(chosen) = &self.embeddings.chosen else { return false };
        if self.serving(self.meant(name)).await.is_some() {
            return false;
        }
        !self.is_strict() || chosen.name() == self.meant(name)
    }

    /// Answers `POST /embeddings` with the configured embedding model.
    ///
    /// # Errors
    /// Where it cannot be asked, or cannot make vectors of the wanted length.
    pub async fn create_embeddings(&self, request: &CreateEmbedding) -> wire::Result<ClientEmbeddings> {
        let embedder = self.embeddings.chosen().map_err(unavailable)?;
        let model = embedder.model(self.patience).await.map_err(unavailable)?;
        if let Some(wanted) = request.dimensions.filter(|wanted| *wanted != model.dimensions) {
            let EmbeddingModel { name, dimensions } = model;
            let message =
                format!("Invalid 'dimensions': {wanted}. Vectors of the model '{name}' have {dimensions}.");
            return Err(wire::Error::parameter("dimensions", "invalid_value", message));
        }
        // Clients do not say what their texts are to a search. Models that want to know do well with one
        // answer for all of them, and that one is the query.
        let embedded = embedder.embed(TextKind::Query, &request.input, self.patience).await;
        let Embedded { vectors, tokens } = embedded.map_err(unavailable)?;
        Ok(ClientEmbeddings { model: model.name, vectors, tokens })
    }

    /// The configured model, or the server that has a model which was configured earlier.
    async fn embedder(&self, name: &str) -> Result<Arc<Embedder>, UpstreamFault> {
        if let Some(chosen) = self.embeddings.chosen.as_ref().filter(|chosen| chosen.name() == name) {
            return Ok(Arc::clone(chosen));
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

impl Embeddings {
    /// # Errors
    /// Where the settings name an upstream that is not there.
    pub(super) fn new(
        config: &EmbeddingsConfig,
        all: &[Arc<Upstream>],
        patience: Patience,
    ) -> anyhow::Result<Self> {
        let options = Options::configured(config);
        let chosen = if config.upstream.is_empty() {
            None
        } else {
            let upstream = all.iter().find(|upstream| upstream.name == config.upstream);
            let upstream = upstream.with_context(|| {
                let names: Vec<&str> = all.iter().map(|upstream| upstream.name.as_str()).collect();
                format!(
                    "embeddings.upstream is `{}`, and there is no upstream of that name, only {}",
                    config.upstream,
                    names.join(", ")
                )
            })?;
            ensure!(!config.model.is_empty(), "embeddings.model must name the model of embeddings.upstream");
            Some(Arc::new(Embedder::new(Arc::clone(upstream), options.clone())))
        };
        Ok(Self { chosen, options, patience, recent: Mutex::default() })
    }

    fn chosen(&self) -> Result<&Arc<Embedder>, UpstreamFault> {
        self.chosen.as_ref().ok_or_else(|| {
            UpstreamFault::lasting(
                "No embedding model is configured: set embeddings.upstream and embeddings.model.",
            )
        })
    }

    pub(super) fn in_words(&self) -> String {
        match &self.chosen {
            Some(embedder) => format!("{} of {}", embedder.name(), embedder.upstream_name()),
            None => "none configured".to_owned(),
        }
    }

    /// Whether the configured model's server embeds, and how.
    pub(super) async fn check(&self) -> Option<String> {
        let embedder = self.chosen.as_ref()?;
        Some(match embedder.model(self.patience).await {
            Ok(EmbeddingModel { name, dimensions }) => {
                format!("`{}` embeds with {name}: {dimensions} dimensions.", embedder.upstream_name())
            }
            Err(fault) => fault.message,
        })
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
