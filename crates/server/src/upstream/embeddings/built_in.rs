//! The built-in embedding model, fetched when it is first needed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use adjutant_wire as wire;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use super::TextKind;
use super::embedder::{Embedder, Options};
use crate::config::EmbeddingsConfig;
use crate::upstream::discovery::client;
use crate::upstream::fault::UpstreamFault;
use crate::upstream::local::{self, E5_SMALL, Listener, LocalModel, LocalModelSettings, Progress, Weights};
use crate::upstream::place::{ModelList, Place, Upstream};

/// How many numbers its vectors have.
const DIMENSIONS: usize = 384;

/// Texts a request: enough for all its threads, few enough that a slow machine answers in time.
const BATCH_TEXTS: usize = 8;

/// After a failure, fetching is not tried again for so long: many files may be waiting for it.
const PAUSE: Duration = Duration::from_secs(60);

/// The built-in embedding model. Clones are the same model.
#[derive(Clone)]
pub(super) struct BuiltIn {
    model: LocalModel,
    pub(super) embedder: Arc<Embedder>,
    /// Locked while it is fetched. Holds how that failed last.
    fetching: Arc<Mutex<Option<(Instant, String)>>>,
}

impl BuiltIn {
    /// Fetches and starts nothing.
    pub(super) fn new(data: PathBuf, config: &EmbeddingsConfig) -> anyhow::Result<Self> {
        let model = LocalModel::new(LocalModelSettings {
            recipe: &local::EMBEDDING,
            data,
            weights: Weights::Known(&E5_SMALL),
            context_tokens: 512,
            threads: config.threads,
            idle: Duration::from_secs(config.idle_seconds),
        });
        let upstream = Upstream {
            name: "built-in".to_owned(),
            client: client("http://127.0.0.1")?,
            place: Place::Local(model.clone()),
            models: Vec::new(),
            default: false,
            tools: crate::config::ToolProtocol::Native,
            // Its engine has an order of its own.
            turns: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            context_tokens: None,
            listed: Mutex::new(ModelList::default()),
        };
        let options = Options::built_in(model.name(), BATCH_TEXTS);
        let embedder = Embedder::with_dimensions(Arc::new(upstream), Some(DIMENSIONS), options);
        Ok(Self { model, embedder: Arc::new(embedder), fetching: Arc::default() })
    }

    /// Fetches it if it is not there. Whoever comes meanwhile waits for the same.
    pub(super) async fn fetch(&self, listener: Listener<'_>) -> Result<(), UpstreamFault> {
        let mut failed = self.fetching.lock().await;
        if let Some((_, why)) = failed.as_ref().filter(|(when, _)| when.elapsed() < PAUSE) {
            return Err(UpstreamFault::not_yet(why.clone(), PAUSE));
        }
        *failed = None;
        let Err(error) = self.model.prepare(listener).await else { return Ok(()) };
        let why = format!("The built-in embedding model could not be fetched: {error:#}");
        *failed = Some((Instant::now(), why.clone()));
        Err(UpstreamFault::not_yet(why, PAUSE))
    }

    /// Passages wait until it is there. Queries do not: as long as it was never there nothing was embedded that
    /// they could find.
    pub(super) async fn ready_for(&self, kind: TextKind) -> Result<(), UpstreamFault> {
        if self.model.is_prepared() {
            return Ok(());
        }
        match kind {
            TextKind::Passage => self.fetch(&log).await,
            TextKind::Query => {
                if self.fetching.try_lock().is_ok() {
                    let fetching = self.clone();
                    tokio::spawn(async move { fetching.fetch(&log).await });
                }
                let message = "The built-in embedding model is still being fetched.".to_owned();
                Err(UpstreamFault::not_yet(message, PAUSE))
            }
        }
    }

    pub(super) fn in_words(&self) -> String {
        format!("the built-in {}", self.model.name())
    }

    pub(super) fn check(&self) -> String {
        let place =
            if self.model.is_prepared() { "is on this machine" } else { "is fetched when it is needed" };
        format!("The built-in embedding model {place}.")
    }

    pub(super) fn listed(&self) -> wire::models::Model {
        crate::upstream::place::built_in(&self.model, wire::models::ModelUse::Embeddings)
    }

    pub(super) async fn stop(&self) {
        self.model.stop().await;
    }
}

/// Nobody sits before the log waiting for the next megabyte.
fn log(progress: Progress) {
    match progress {
        Progress::Step(_) => tracing::info!("{progress}"),
        Progress::Download { .. } => tracing::debug!("{progress}"),
    }
}
