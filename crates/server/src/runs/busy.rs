//! Threads on which a run is at work, and requests that would add to them. OpenAI refuses such requests; a
//! client may ask for something kinder.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use adjutant_wire::{RunId, ThreadId};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;

use super::Engine;
use super::hearing::Watch;
use crate::config::Busy;
use crate::fault::{Fault, Result};
use crate::store::Project;

/// How often it is looked whether a run has ended when nobody says so.
const LOOK: Duration = Duration::from_secs(1);

/// More requests than this do not wait for one thread.
const MOST_WAITING: usize = 64;

/// Who waits for which thread.
pub(super) type Queues = std::sync::Mutex<HashMap<ThreadId, Weak<Mutex<()>>>>;

/// As long as it lives, nobody else who waits for the thread has its turn.
#[derive(Debug)]
pub struct Turn {
    _place: Option<OwnedMutexGuard<()>>,
}

impl Engine {
    /// Waits until no run is at work on the thread, as far as `busy` says so. Where the wait is in vain, the
    /// request goes on and is refused.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn await_turn(&self, project: &Project, thread: &ThreadId, busy: Busy) -> Result<Turn> {
        if busy == Busy::Reject {
            return Ok(Turn { _place: None });
        }
        let queue = self.queue(thread);
        // This request, those before it, and the map's own count is weak.
        if Arc::strong_count(&queue) > MOST_WAITING {
            return Ok(Turn { _place: None });
        }
        let patience = Duration::from_secs(u64::try_from(self.settings.expires_seconds).unwrap_or_default());
        let deadline = Instant::now() + patience;
        let Ok(place) = tokio::time::timeout_at(deadline, queue.lock_owned()).await else {
            return Ok(Turn { _place: None });
        };
        self.await_free(project, thread, busy, deadline).await?;
        Ok(Turn { _place: Some(place) })
    }

    fn queue(&self, thread: &ThreadId) -> Arc<Mutex<()>> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(thread).and_then(Weak::upgrade) {
            return queue;
        }
        queues.retain(|_, queue| queue.strong_count() > 0);
        let queue = Arc::default();
        queues.insert(thread.clone(), Arc::downgrade(&queue));
        queue
    }

    async fn await_free(
        &self,
        project: &Project,
        thread: &ThreadId,
        busy: Busy,
        deadline: Instant,
    ) -> Result<()> {
        let mut interrupted: Option<RunId> = None;
        let mut watch: Option<Watch> = None;
        while Instant::now() < deadline {
            // Registered before the look, or an end that comes in between would be missed.
            let ended = watch.as_ref().map(Watch::moved);
            let live = self.store.read(project).await?.live_run(thread).await?;
            let Some(run) = live else { return Ok(()) };
            if busy == Busy::Interrupt && interrupted.as_ref() != Some(&run) {
                match self.cancel(project, thread, &run).await {
                    // Refused: it has ended by itself meanwhile.
                    Ok(_) | Err(Fault::Refused(_)) => interrupted = Some(run),
                    Err(fault) => return Err(fault),
                }
                continue;
            }
            let is_watched = watch.as_ref().is_some_and(|watch| *watch.run() == run);
            let Some(ended) = ended.filter(|_| is_watched) else {
                watch = Some(self.watched.watch(&run));
                continue;
            };
            let _ = tokio::time::timeout(LOOK, ended).await;
        }
        Ok(())
    }
}
