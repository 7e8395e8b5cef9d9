//! The runs that this process works on or waits for, and the news that it hears of them.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use adjutant_wire::RunId;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};

use super::Engine;
use super::executor::Executor;
use super::follow::Live;
use super::listener::Listener;
use super::worker::Room;
use crate::store::{Claimed, Hearing, Lease, News, Project};

/// How often it is looked whether runs are still worked on whose news are waited for here.
const LOOK: Duration = Duration::from_secs(1);

/// A run that is worked on here.
pub(super) struct AtWork {
    /// Tells its worker that it is not as it was.
    pub(super) tell: watch::Sender<()>,
    /// What its worker shows to those who follow it.
    live: Arc<Live>,
}

/// Those who want to know when something of a run is stored.
#[derive(Clone, Debug, Default)]
pub(super) struct Watchers(Arc<Mutex<HashMap<RunId, Weak<Notify>>>>);

/// Somebody who wants to know it of one run.
pub(super) struct Watch {
    run: RunId,
    moved: Arc<Notify>,
    watchers: Watchers,
}

impl Watchers {
    pub(super) fn watch(&self, run: &RunId) -> Watch {
        let mut watched = self.watched();
        let moved = watched.get(run).and_then(Weak::upgrade).unwrap_or_default();
        watched.insert(run.clone(), Arc::downgrade(&moved));
        Watch { run: run.clone(), moved, watchers: self.clone() }
    }

    fn tell(&self, run: &RunId) {
        if let Some(moved) = self.watched().get(run).and_then(Weak::upgrade) {
            moved.notify_waiters();
        }
    }

    fn runs(&self) -> Vec<RunId> {
        self.watched().keys().cloned().collect()
    }

    fn tell_all(&self) {
        for moved in self.watched().values().filter_map(Weak::upgrade) {
            moved.notify_waiters();
        }
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<RunId, Weak<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// The run.
    pub(super) fn run(&self) -> &RunId {
        &self.run
    }

    /// Waits for what is stored from now on, whether it is waited for at once or not.
    pub(super) fn moved(&self) -> Notified<'_> {
        self.moved.notified()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = self.watchers.watched();
        // This one is the last.
        if Arc::strong_count(&self.moved) == 1 {
            watched.remove(&self.run);
        }
    }
}

impl Engine {
    /// Hears what is said of runs, here and elsewhere, until the process ends.
    pub(super) async fn hear(self: Arc<Self>, mut hearing: Hearing) {
        while let Some(news) = hearing.next().await {
            match news {
                News::RunDue => self.due.notify_one(),
                News::RunChanged(run) => self.changed(&run),
                News::RunMoved(run) => self.watched.tell(&run),
                News::RunFollowed(run) => {
                    // What was stored before this was heard, nobody was told.
                    if self.live(&run).is_some_and(|live| live.follow_from_elsewhere()) {
                        self.store.announce(News::RunMoved(run));
                    }
                }
                News::ThreadDeleted(project, thread) => self.code.forget(&Project::new(&project), &thread),
                News::Missed => {
                    self.due.notify_one();
                    self.watched.tell_all();
                    self.doubtful.notify_one();
                }
                News::FileDue | News::FileMoved => {}
            }
        }
    }

    /// Looks, for all who wait for news at once, which of their runs nobody works on any more, until the process ends:
    /// the last news may have been lost with the worker.
    pub(super) async fn look_after_watched(self: Arc<Self>) {
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let runs = self.watched.runs();
            let looking = self.store.runs_not_at_work(&runs, self.clock.milliseconds());
            // A connection can be lost without anybody saying so.
            match tokio::time::timeout(self.settings.lease(), looking).await {
                Ok(Ok(left)) => left.iter().for_each(|run| self.watched.tell(run)),
                Ok(Err(fault)) => tracing::debug!("it could not be seen which runs are worked on: {fault}"),
                Err(_) => tracing::debug!("it could not be seen in time which runs are worked on"),
            }
        }
    }

    /// Works on a run in a task of its own.
    pub(super) fn spawn(self: &Arc<Self>, claimed: Claimed, room: Room, listener: Listener) {
        self.spawn_shown(claimed, Some(room), listener, Arc::default());
    }

    /// Works on a run that was due, whoever created it, and whoever follows it. One that only has to be ended takes no
    /// room.
    pub(super) fn take_up(self: &Arc<Self>, claimed: Claimed, room: Option<Room>) {
        let live = Arc::<Live>::default();
        live.may_be_followed();
        self.spawn_shown(claimed, room, Listener::default(), live);
    }

    fn spawn_shown(
        self: &Arc<Self>,
        claimed: Claimed,
        room: Option<Room>,
        listener: Listener,
        live: Arc<Live>,
    ) {
        let (tell, changed) = watch::channel(());
        let key = at_work_key(&claimed.lease);
        self.worked_lately.store(true, Ordering::Relaxed);
        let at_work = AtWork { tell, live: Arc::clone(&live) };
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), at_work);
        let engine = Arc::clone(self);
        let mut executor = Executor::new(Arc::clone(self), claimed, listener, changed, Arc::clone(&live));
        tokio::spawn(async move {
            executor.execute().await;
            drop(executor);
            engine.at_work.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            live.leave();
            engine.ended.notify_waiters();
            engine.leave(room);
        });
    }

    /// Tells whoever works on this run here that it is not as it was.
    pub(super) fn changed(&self, run: &RunId) {
        let at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, worker) in at_work.range(all_workers(run)) {
            worker.tell.send_replace(());
        }
    }

    /// What the worker of this run shows, if it is worked on here.
    pub(super) fn live(&self, run: &RunId) -> Option<Arc<Live>> {
        let at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        at_work.range(all_workers(run)).next_back().map(|(_, worker)| Arc::clone(&worker.live))
    }
}

fn at_work_key(lease: &Lease) -> (RunId, i64) {
    (lease.run().clone(), lease.token())
}

/// A run has a second worker here while one that has lost its lease does not know it yet.
fn all_workers(run: &RunId) -> RangeInclusive<(RunId, i64)> {
    (run.clone(), i64::MIN)..=(run.clone(), i64::MAX)
}
