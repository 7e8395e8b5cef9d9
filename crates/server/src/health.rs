//! Whether the process lives, and whether it can serve.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::blobs::Blobs;
use crate::store::Store;

/// However many ask, the database is asked no more often.
const LOOK: Duration = Duration::from_secs(1);

/// So long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it is looked whether the blob store answers.
const BLOBS_LOOK: Duration = Duration::from_secs(10);

/// After so long without an answer the blob store counts as lost: much is served without it.
const BLOBS_PATIENCE: Duration = Duration::from_secs(60);

/// What a process knows of its own health.
pub struct Health {
    store: Store,
    blobs: Blobs,
    stopping: AtomicBool,
    loops: Mutex<Vec<(&'static str, AbortHandle)>>,
    database: tokio::sync::Mutex<Option<(Instant, Result<(), String>)>>,
    /// Since when the blob store has not answered.
    blobs_lost: Mutex<Option<Instant>>,
    /// Held while somebody looks for the blob store, and when that was last begun.
    blobs_looked: Arc<tokio::sync::Mutex<Instant>>,
}

impl Health {
    /// Of a process that has just asked its database and its blob store, and both have answered.
    pub fn new(store: Store, blobs: Blobs) -> Arc<Self> {
        Arc::new(Self {
            store,
            blobs,
            stopping: AtomicBool::new(false),
            loops: Mutex::default(),
            database: tokio::sync::Mutex::default(),
            blobs_lost: Mutex::default(),
            blobs_looked: Arc::new(tokio::sync::Mutex::new(Instant::now())),
        })
    }

    /// From now on, the end of this task is a fault of ours; until the process stops.
    pub fn watch(&self, name: &'static str, task: AbortHandle) {
        self.loops.lock().unwrap_or_else(PoisonError::into_inner).push((name, task));
    }

    /// From now on, the process is not ready any more.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Whether the process is about to end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Whether everything runs that should.
    ///
    /// # Errors
    /// What does not, in words.
    pub fn lives(&self) -> Result<(), String> {
        let loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        match loops.iter().find(|(_, task)| task.is_finished()) {
            Some((name, _)) if !self.is_stopping() => Err(format!("{name} has ended")),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether requests can be served: the process is not about to end, its database answers, and its blob store
    /// has answered lately. Its tables are up to date, or it would not be there.
    ///
    /// # Errors
    /// Why not, in words.
    pub async fn is_ready(self: &Arc<Self>) -> Result<(), String> {
        if self.is_stopping() {
            return Err("stopping".to_owned());
        }
        self.database_answers().await?;
        self.look_for_blobs();
        let lost = *self.blobs_lost.lock().unwrap_or_else(PoisonError::into_inner);
        if lost.is_some_and(|since| since.elapsed() > BLOBS_PATIENCE) {
            return Err("the blob store does not answer".to_owned());
        }
        Ok(())
    }

    /// Those who ask while it is being looked wait for what is seen.
    async fn database_answers(&self) -> Result<(), String> {
        let mut last = self.database.lock().await;
        if let Some((looked, seen)) = &*last
            && looked.elapsed() < LOOK
        {
            return seen.clone();
        }
        let seen = match timeout(PATIENCE, self.store.ping()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(fault)) => {
                tracing::warn!("not ready: {fault}");
                Err("the database does not answer".to_owned())
            }
            Err(_) => {
                tracing::warn!("not ready: the database has not answered within {PATIENCE:?}");
                Err("the database does not answer".to_owned())
            }
        };
        *last = Some((Instant::now(), seen.clone()));
        seen
    }

    /// Beside the answer: a blob store that is slow shall not make whoever asks believe that we are.
    fn look_for_blobs(self: &Arc<Self>) {
        let Ok(mut looked) = Arc::clone(&self.blobs_looked).try_lock_owned() else { return };
        if looked.elapsed() < BLOBS_LOOK {
            return;
        }
        let asked = Instant::now();
        *looked = asked;
        let health = Arc::clone(self);
        tokio::spawn(async move {
            let answer = timeout(BLOBS_PATIENCE, health.blobs.answers()).await;
            let mut lost = health.blobs_lost.lock().unwrap_or_else(PoisonError::into_inner);
            *lost = match answer {
                Ok(Ok(())) => None,
                Ok(Err(error)) => {
                    tracing::warn!("the blob store does not answer: {error:#}");
                    lost.or(Some(asked))
                }
                Err(_) => {
                    tracing::warn!("the blob store has not answered within {BLOBS_PATIENCE:?}");
                    lost.or(Some(asked))
                }
            };
            drop(looked);
        });
    }
}
