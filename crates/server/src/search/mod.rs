//! Files made searchable: read, cut into chunks, embedded, found again.
//!
//! [`Ingest`] brings files in, [`Search`] finds passages. What is worth how much is decided in the crate
//! `adjutant-retrieval`, which knows neither files nor databases.

mod content;
mod enclosed;
mod find;
mod ingest;
mod meaning;
mod passage;
mod reader;
pub mod resources;
mod rewrite;
mod snapshot;
pub mod stores;

use std::sync::Arc;
use std::time::Duration;

use adjutant_retrieval::rank::Weights;
use adjutant_wire::id::Id;
use adjutant_wire::passages::Explanation;
use adjutant_wire::search::{Filter, HybridSearch};
use adjutant_wire::vector_store_files::Attributes;
use adjutant_wire::{UnixSeconds, VectorStoreId};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

pub use enclosed::read_document;
pub use ingest::Ingest;
pub use passage::brought;
pub use reader::{NoDocument, Reader};

use crate::config::SearchConfig;
use crate::crash_point;
use crate::fault::Result;
use crate::store::{Project, Store, StoreKey};
use crate::upstream::Upstreams;
use meaning::Meanings;
use snapshot::Snapshots;

/// How often files that are read in another process are looked at by those who wait for them.
const LOOK: Duration = Duration::from_millis(500);

/// What is looked for, and how much of it is wanted.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// One or several ways of asking the same.
    pub queries: Vec<String>,
    /// The most results, 1 to 50.
    pub max_num_results: usize,
    /// Results that score less are left out, 0 to 1.
    pub score_threshold: f64,
    /// Only files whose attributes fit.
    pub filter: Option<Filter>,
    /// How much words and meaning count.
    pub weights: Weights,
    /// Whether each hit says why it was found.
    pub explain: bool,
}

/// What a client's weights are to the ranking.
pub fn weights(wanted: Option<HybridSearch>) -> Weights {
    wanted.map_or_else(Weights::default, |wanted| {
        Weights::in_proportion(wanted.text_weight, wanted.embedding_weight)
    })
}

/// A passage that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Its file.
    pub file_id: String,
    /// The file's name.
    pub file_name: String,
    /// From 0 to 1, the best first.
    pub score: f64,
    /// The file's attributes in its store.
    pub attributes: Attributes,
    /// The passage.
    pub text: String,
    /// The page it begins on, from 1, where the file has pages.
    pub page: Option<u32>,
    /// The heading it stands under.
    pub heading: Option<String>,
    /// Why it was found, where that was asked.
    pub explanation: Option<Explanation>,
}

/// Searches vector stores.
pub struct Search {
    store: Store,
    upstreams: Arc<Upstreams>,
    snapshots: Snapshots,
    meanings: Arc<Meanings>,
    due: Arc<Notify>,
    moved: watch::Receiver<u64>,
}

impl Search {
    /// Searches what `ingest` brings in.
    pub fn new(
        store: Store,
        upstreams: Arc<Upstreams>,
        ingest: &Ingest,
        settings: SearchConfig,
    ) -> Arc<Self> {
        let (due, moved) = (ingest.due(), ingest.moved());
        Arc::new(Self {
            store,
            upstreams,
            snapshots: Snapshots::new(settings.memory_bytes),
            meanings: ingest.meanings(),
            due,
            moved,
        })
    }

    /// Says that files were attached or detached.
    pub fn wake(&self) {
        self.due.notify_one();
    }

    /// The best passages of several stores at once. Marks the stores as used `now`.
    ///
    /// # Errors
    /// 404 for a missing store; 400 for one that has expired.
    pub async fn search(
        &self,
        project: &Project,
        stores: &[String],
        question: &Question,
        now: UnixSeconds,
    ) -> Result<Vec<Hit>> {
        let mut hits: Vec<Hit> = Vec::new();
        for id in stores {
            let key = self.usable(project, id, now).await?;
            self.note_use(project, &key.object.id, &key.object, now);
            for hit in self.find(project, &key, question).await? {
                // A file may be in both stores.
                if !hits.iter().any(|known| known.file_id == hit.file_id && known.text == hit.text) {
                    hits.push(hit);
                }
            }
        }
        // Stable, so that equals keep the order of the stores.
        hits.sort_by(|one, other| other.score.total_cmp(&one.score));
        hits.truncate(question.max_num_results);
        Ok(hits)
    }

    /// Refuses stores that cannot be searched.
    ///
    /// # Errors
    /// 404 for a missing store; 400 for one that has expired.
    pub async fn refuse_unusable(
        &self,
        project: &Project,
        stores: &[String],
        now: UnixSeconds,
    ) -> Result<()> {
        for id in stores {
            self.usable(project, id, now).await?;
        }
        Ok(())
    }

    async fn usable(&self, project: &Project, id: &str, now: UnixSeconds) -> Result<StoreKey> {
        let id = VectorStoreId::parse(id)?;
        let key = self.store.read(project).await?.store_key(&id).await?;
        stores::refuse_expired(&key.object, now)?;
        Ok(key)
    }

    /// Beside the search: nobody waits for it, and once a second is enough.
    fn note_use(
        &self,
        project: &Project,
        id: &VectorStoreId,
        known: &adjutant_wire::vector_stores::VectorStore,
        now: UnixSeconds,
    ) {
        if known.last_active_at >= Some(now) {
            return;
        }
        let (store, project, id) = (self.store.clone(), project.clone(), id.clone());
        tokio::spawn(crash_point::aside(async move {
            if let Err(fault) = store.use_vector_store(&project, &id, now).await {
                tracing::warn!(store.id = %id, "could not note the use of vector store `{id}`: {fault}");
            }
        }));
    }

    /// Waits until no file of these stores is being read any more, at most for so long. A store that is missing
    /// is waited for no longer.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn await_indexed(
        &self,
        project: &Project,
        stores: &[String],
        patience: Duration,
    ) -> Result<()> {
        let deadline = Instant::now() + patience;
        let mut moved = self.moved.clone();
        for id in stores {
            let Ok(id) = VectorStoreId::parse(id) else { continue };
            while Instant::now() < deadline {
                // Before the look, or what comes in between would be missed.
                moved.mark_unchanged();
                if !self.store.read(project).await?.has_files_in_progress(&id).await? {
                    break;
                }
                let _ = tokio::time::timeout(LOOK, moved.changed()).await;
            }
        }
        Ok(())
    }
}
