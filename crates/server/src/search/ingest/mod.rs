//! Brings attached files in, in two stages: read and cut, when its words can be found; then embedded, when its
//! meaning can. Each stage is work that is due in the database, claimed under a lease, so that a file survives
//! any crash and several processes share the work.

mod embed;
mod read;

use std::sync::Arc;
use std::time::Duration;

use adjutant_wire::vector_store_files::{FileError, FileErrorCode, FileStatus, VectorStoreFile};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::meaning::Meanings;
use super::reader::Reader;
use crate::clock::Clock;
use crate::config::SearchConfig;
use crate::fault::{Fault, Result};
use crate::files::Files;
use crate::ids::hex;
use crate::store::{ClaimedFile, FileLease, Hearing, IngestStage, News, Store};
use crate::upstream::Upstreams;

/// How often due files are looked for when nobody says that there is one.
const LOOK: Duration = Duration::from_secs(2);

/// How long a claim lasts without being renewed.
const LEASE: Duration = Duration::from_secs(15);

/// Files that are embedded at once: one waits for the database while the other one's texts are embedded.
const EMBEDDED_AT_ONCE: usize = 2;

/// A file is given up when work on it has failed so often.
const MOST_TRIES: i64 = 6;

/// Vectors of texts are kept so long after they were made.
const EMBEDDINGS_SECONDS: i64 = 30 * 24 * 60 * 60;

/// Brings attached files in.
pub struct Ingest {
    store: Store,
    clock: Arc<Clock>,
    upstreams: Arc<Upstreams>,
    files: Arc<Files>,
    reader: Reader,
    settings: SearchConfig,
    meanings: Arc<Meanings>,
    /// Names this process in leases.
    owner: String,
    due: Arc<Notify>,
    /// Tells those who wait that a file has come further.
    moved: watch::Sender<u64>,
    /// Turns true when the process is about to end.
    ending: watch::Sender<bool>,
    /// Whether files may be at work here.
    working: watch::Sender<bool>,
}

/// Why work on a file stopped.
enum Stop {
    /// The file is at fault, or can never be brought in.
    Failed(FileError),
    /// Something else is, which may pass.
    Later(String),
    /// The file is gone, or another worker has it.
    Lost,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Later(fault.to_string())
    }
}

fn failed(code: FileErrorCode, message: impl Into<String>) -> Stop {
    Stop::Failed(FileError { code, message: message.into() })
}

impl Ingest {
    /// Brings nothing in yet: see [`Ingest::work`].
    pub fn new(
        store: Store,
        clock: Arc<Clock>,
        upstreams: Arc<Upstreams>,
        files: Arc<Files>,
        reader: Reader,
        settings: SearchConfig,
    ) -> Arc<Self> {
        let (moved, _) = watch::channel(0);
        let due = Arc::default();
        let meanings = Meanings::new(store.clone(), Arc::clone(&clock), Arc::clone(&upstreams));
        let hearing = store.hear();
        let ingest = Arc::new(Self {
            store,
            clock,
            upstreams,
            files,
            reader,
            settings,
            meanings,
            owner: hex(),
            due,
            moved,
            ending: watch::Sender::new(false),
            working: watch::Sender::new(false),
        });
        tokio::spawn(Arc::clone(&ingest).hear(hearing));
        ingest
    }

    /// Hears what is said of files, here and elsewhere, until the process ends.
    async fn hear(self: Arc<Self>, mut hearing: Hearing) {
        while let Some(news) = hearing.next().await {
            match news {
                News::FileDue => self.due.notify_one(),
                News::FileMoved => self.moved.send_modify(|moves| *moves += 1),
                News::Missed => {
                    self.due.notify_one();
                    self.moved.send_modify(|moves| *moves += 1);
                }
                News::RunDue
                | News::RunChanged(_)
                | News::RunMoved(_)
                | News::RunFollowed(_)
                | News::ThreadDeleted(..) => {}
            }
        }
    }

    /// What the vectors mean that are made here.
    pub(super) fn meanings(&self) -> Arc<Meanings> {
        Arc::clone(&self.meanings)
    }

    /// What says that there may be something to do.
    pub fn due(&self) -> Arc<Notify> {
        Arc::clone(&self.due)
    }

    /// Changes whenever a file has come further, in this process or another one.
    pub fn moved(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// Works until the process ends. `alone` says that no other process uses the database, so that what is
    /// claimed in it was claimed by a dead one.
    ///
    /// # Errors
    /// Where the store cannot be written at the start.
    pub async fn work(self: Arc<Self>, alone: bool) -> Result<()> {
        if alone {
            let left = self.store.release_files(None).await?;
            if left > 0 {
                tracing::info!("{left} files were left half read by the last process and go on");
            }
        }
        if self.settings.reembed {
            tokio::spawn(Arc::clone(&self).reembed());
        }
        let mut at_work = [JoinSet::new(), JoinSet::new()];
        let mut ending = self.ending.subscribe();
        self.working.send_replace(true);
        while !*ending.borrow_and_update() {
            // Registered before the look: a wake-up that comes while we look would be lost otherwise.
            let woken = self.due.notified();
            let [reading, embedding] = &mut at_work;
            self.take(IngestStage::Read, self.settings.read_at_once, reading).await;
            self.take(IngestStage::Embed, EMBEDDED_AT_ONCE, embedding).await;
            self.purge().await;
            tokio::select! {
                () = woken => {}
                Some(_) = reading.join_next() => {}
                Some(_) = embedding.join_next() => {}
                () = tokio::time::sleep(LOOK) => {}
                _ = ending.changed() => {}
            }
        }
        for stage in &mut at_work {
            stage.shutdown().await;
        }
        self.working.send_replace(false);
        Ok(())
    }

    /// Has stores of other models embedded with the present one, once that answers.
    async fn reembed(self: Arc<Self>) {
        let model = loop {
            match self.upstreams.embedding_model().await {
                Ok(model) => break model,
                Err(fault) => {
                    tracing::warn!("stores of other models are not embedded again yet: {}", fault.message);
                    tokio::time::sleep(LEASE).await;
                }
            }
        };
        let dimensions = i64::try_from(model.dimensions).unwrap_or_default();
        match self.store.reembed(&model.name, dimensions, self.clock.milliseconds()).await {
            Ok(0) => {}
            Ok(stores) => {
                tracing::info!("{stores} vector stores are embedded again, with `{}`", model.name);
                self.due.notify_one();
            }
            Err(fault) => tracing::error!("stores of other models could not be embedded again: {fault}"),
        }
    }

    /// Takes up due files, as many as there is room for.
    async fn take(self: &Arc<Self>, stage: IngestStage, room: usize, at_work: &mut JoinSet<()>) {
        while at_work.len() < room {
            let now = self.clock.milliseconds();
            match self.store.claim_file(stage, &self.owner, now, self.lease_end()).await {
                Ok(Some(claimed)) => {
                    let ingest = Arc::clone(self);
                    at_work.spawn(async move { ingest.bring_in(stage, claimed).await });
                }
                Ok(None) => return,
                Err(fault) => {
                    tracing::error!("could not look for files to read: {fault}");
                    return;
                }
            }
        }
    }

    /// Takes away some passages that nothing finds any more, and comes again if there are others.
    async fn purge(&self) {
        match self.store.purge_some().await {
            Ok(true) => self.due.notify_one(),
            Ok(false) => {}
            Err(fault) => tracing::error!("could not take away passages of detached files: {fault}"),
        }
    }

    /// One stage of one file, as long as its lease holds.
    async fn bring_in(&self, stage: IngestStage, claimed: ClaimedFile) {
        let id = claimed.file.id.clone();
        let store = claimed.file.vector_store_id.clone();
        let work = async {
            match stage {
                IngestStage::Read => self.read(&claimed).await,
                IngestStage::Embed => self.embed(&claimed).await,
            }
        };
        let outcome = tokio::select! {
            outcome = work => outcome,
            () = self.keep(&claimed.lease) => Err(Stop::Lost),
        };
        let settled = match outcome {
            Ok(()) => Ok(()),
            Err(Stop::Lost) => {
                tracing::debug!(file.id = %id, "file `{id}` of store `{store}` is no longer read here");
                Ok(())
            }
            Err(Stop::Failed(error)) => {
                tracing::info!(file.id = %id, "file `{id}` of store `{store}` failed: {}", error.message);
                self.fail(&claimed, error).await
            }
            Err(Stop::Later(why)) if claimed.failures + 1 >= MOST_TRIES => {
                tracing::error!(file.id = %id, "file `{id}` of store `{store}` is given up: {why}");
                let message = format!("The file could not be processed after {MOST_TRIES} tries. {why}");
                self.fail(&claimed, FileError { code: FileErrorCode::ServerError, message }).await
            }
            Err(Stop::Later(why)) => {
                let put_off = self.put_off(&claimed).await;
                // Once the try is counted: who reads this may stop the server.
                tracing::warn!(file.id = %id, "file `{id}` of store `{store}` is tried again later: {why}");
                put_off
            }
        };
        if let Err(fault) = settled {
            tracing::error!(file.id = %id, "what became of file `{id}` could not be stored: {fault}");
        }
        self.moved.send_modify(|moves| *moves += 1);
        self.due.notify_one();
    }

    async fn fail(&self, claimed: &ClaimedFile, error: FileError) -> Result<()> {
        let ended = VectorStoreFile {
            status: FileStatus::Failed,
            last_error: Some(error),
            usage_bytes: 0,
            ..claimed.file.clone()
        };
        let mut tx = self.store.write(claimed.lease.project()).await?;
        if tx.hold_file(&claimed.lease, self.lease_end()).await? {
            tx.end_file(&claimed.lease, &ended).await?;
        }
        tx.commit().await
    }

    /// Later and later: after 2 seconds, 8, 32, …
    async fn put_off(&self, claimed: &ClaimedFile) -> Result<()> {
        let pause = 2_000_i64.saturating_mul(1 << (2 * claimed.failures.clamp(0, 6)));
        let mut tx = self.store.write(claimed.lease.project()).await?;
        if tx.hold_file(&claimed.lease, self.lease_end()).await? {
            tx.put_off_file(&claimed.lease, self.clock.milliseconds() + pause).await?;
        }
        tx.commit().await
    }

    /// Renews a lease until it is lost.
    async fn keep(&self, lease: &FileLease) {
        loop {
            tokio::time::sleep(LEASE / 3).await;
            // A connection can be lost without anybody saying so.
            match tokio::time::timeout(LEASE, self.renew(lease)).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => return,
                Ok(Err(fault)) => tracing::error!("could not renew the lease of a file: {fault}"),
                Err(_) => tracing::error!("could not renew the lease of a file in time"),
            }
        }
    }

    async fn renew(&self, lease: &FileLease) -> Result<bool> {
        let mut tx = self.store.write(lease.project()).await?;
        let held = tx.hold_file(lease, self.lease_end()).await?;
        tx.commit().await?;
        Ok(held)
    }

    fn lease_end(&self) -> i64 {
        self.clock.milliseconds() + i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX)
    }

    /// Works no more, and hands all files at work to whoever looks for them next.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn stop(&self) -> Result<()> {
        self.ending.send_replace(true);
        let _ = self.working.subscribe().wait_for(|working| !working).await;
        self.store.release_files(Some(&self.owner)).await?;
        Ok(())
    }

    /// Takes away vectors of texts that were made long ago.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn forget_embeddings(&self) -> Result<()> {
        self.store.forget_embeddings(self.clock.seconds() - EMBEDDINGS_SECONDS).await
    }
}
