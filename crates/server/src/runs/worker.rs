//! Looks for runs that are due, keeps the leases of those at work, and hands them back before it stops.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use adjutant_wire::RunId;
use adjutant_wire::id::Id;
use adjutant_wire::runs::Run;
use adjutant_wire::steps::Include;
use tokio::sync::OwnedSemaphorePermit;

use super::{Begin, Engine, Stream, Telling};
use crate::fault::Result;
use crate::store::{Lease, Project};

/// How often due runs are looked for when nobody says that there is one: what expires, and what a dead process
/// left.
const LOOK: Duration = Duration::from_secs(1);

/// Runs of dead processes are taken up this many at a time, so that a restart is no stampede.
const TAKEN_AT_ONCE: usize = 64;

/// Room for one run at work.
pub(super) struct Room(#[expect(dead_code, reason = "it is kept")] OwnedSemaphorePermit);

impl Engine {
    /// Works until the process ends. `alone` says that no other process uses the database, so that what is
    /// claimed in it was claimed by a dead one.
    ///
    /// # Errors
    /// Where the store cannot be read at the start.
    pub async fn work(self: Arc<Self>, alone: bool) -> Result<()> {
        if alone {
            let left = self.store.release_leases(None).await?;
            if left > 0 {
                tracing::info!("{left} runs were left unfinished by the last process and go on");
            }
        }
        tokio::join!(self.keep_leases(), self.look_for_due());
        Ok(())
    }

    async fn look_for_due(self: &Arc<Self>) {
        loop {
            // Registered before the look: a wake-up that comes while we look would be lost otherwise.
            let woken = self.due.notified();
            match tokio::time::timeout(self.settings.lease(), self.take_due()).await {
                Ok(Ok(())) => {}
                Ok(Err(fault)) => tracing::error!("could not look for due runs: {fault}"),
                Err(_) => tracing::error!("could not look for due runs in time"),
            }
            let _ = tokio::time::timeout(LOOK, woken).await;
        }
    }

    async fn take_due(self: &Arc<Self>) -> Result<()> {
        for _ in 0..TAKEN_AT_ONCE {
            if !self.takes_runs.load(Ordering::Acquire) {
                return Ok(());
            }
            let room = self.room();
            let now = self.clock.milliseconds();
            // Without room, those that only have to be ended: they are being cancelled, or have expired.
            let expired = now.saturating_sub(self.settings.expires_seconds.saturating_mul(1_000));
            let since = if room.is_some() { now } else { expired };
            let claimed = self.store.claim_due(&self.owner, now, self.lease_end(), since).await?;
            let Some(claimed) = claimed else {
                self.crowded.store(room.is_none(), Ordering::Release);
                return Ok(());
            };
            tracing::debug!(run.id = %claimed.run.id, "claimed run `{}`", claimed.run.id);
            self.take_up(claimed, room);
        }
        self.due.notify_one();
        Ok(())
    }

    async fn keep_leases(&self) {
        let mut tick = tokio::time::interval(self.settings.lease() / 3);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut without_worker = HashSet::new();
        loop {
            let regular = tokio::select! {
                _ = tick.tick() => true,
                () = self.doubtful.notified() => false,
            };
            // A connection can be lost without anybody saying so.
            let renewed = tokio::time::timeout(self.settings.lease(), self.renew(&without_worker)).await;
            match renewed {
                // Two looks of which one was out of turn may be too close together to find a worker missing.
                Ok(Ok(found)) => without_worker = if regular { found } else { HashSet::new() },
                Ok(Err(fault)) => tracing::error!("could not renew the leases of the runs at work: {fault}"),
                Err(_) => tracing::error!("could not renew the leases of the runs at work in time"),
            }
        }
    }

    /// Renews all leases at once. Workers whose lease was not among them, or whose run is being cancelled
    /// through another process, are told. A lease without a worker at two looks in a row (one may be about to
    /// begin) has lost it to a fault of ours: it is given back.
    async fn renew(&self, without_worker: &HashSet<(RunId, i64)>) -> Result<HashSet<(RunId, i64)>> {
        let before = self.workers();
        let idle = before.is_empty() && without_worker.is_empty();
        if idle && !self.worked_lately.swap(false, Ordering::Relaxed) {
            return Ok(HashSet::new());
        }
        let renewed = self.store.renew_leases(&self.owner, self.lease_end()).await?;
        let renewed: HashMap<(RunId, i64), bool> = renewed
            .into_iter()
            .map(|lease| ((RunId::from_checked(lease.run), lease.token), lease.cancelling))
            .collect();
        for key in before {
            if renewed.get(&key) != Some(&false) {
                self.changed(&key.0);
            }
        }
        let after = self.workers();
        let alone: HashSet<_> = renewed.into_keys().filter(|key| !after.contains(key)).collect();
        for (run, token) in alone.intersection(without_worker) {
            tracing::error!(run.id = %run, "run `{run}` has lost its worker and is given back");
            self.store.release_lease(run.as_str(), *token, self.clock.milliseconds()).await?;
        }
        Ok(alone)
    }

    fn workers(&self) -> HashSet<(RunId, i64)> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Gives a run to whoever looks for due ones from `due_at` on.
    pub(super) async fn give_back(&self, lease: &Lease, due_at: i64) {
        if let Err(fault) = self.store.release_lease(lease.run().as_str(), lease.token(), due_at).await {
            tracing::error!(run.id = %lease.run(), "could not give run `{}` back: {fault}", lease.run());
        }
    }

    /// Room for one more run to be worked on here.
    fn room(&self) -> Option<Room> {
        if !self.takes_runs.load(Ordering::Acquire) {
            return None;
        }
        Arc::clone(&self.rooms).try_acquire_owned().ok().map(Room)
    }

    /// Room for a run that is created or answered here, unless others wait for it.
    pub(super) fn room_for_another(&self) -> Option<Room> {
        if self.crowded.load(Ordering::Acquire) { None } else { self.room() }
    }

    /// A run has ended here: those that wait are looked for.
    pub(super) fn leave(&self, room: Option<Room>) {
        drop(room);
        if self.crowded.load(Ordering::Acquire) {
            self.due.notify_one();
        }
    }

    /// Takes up no more runs. Those at work go on; what is created or answered from now on waits for another
    /// process.
    pub fn take_no_more(&self) {
        self.takes_runs.store(false, Ordering::Release);
    }

    /// A run that waits for another process, or for room here, and its stream where its client wants one.
    pub(super) async fn left_to_others(
        self: &Arc<Self>,
        project: &Project,
        run: &Run,
        begin: Begin<'_>,
        streamed: bool,
        include: Include,
    ) -> Result<Option<Stream>> {
        if self.takes_runs.load(Ordering::Acquire) {
            self.crowded.store(true, Ordering::Release);
        }
        self.due.notify_one();
        if !streamed {
            return Ok(None);
        }
        let telling = Telling { include, ids: false };
        self.follow(project, &run.thread_id, &run.id, begin, telling).await.map(Some)
    }

    /// Waits until no run is at work here.
    pub async fn at_rest(&self) {
        loop {
            let mut ended = pin!(self.ended.notified());
            // Registered before the look, or an end that comes in between would be missed.
            ended.as_mut().enable();
            if self.at_work() == 0 {
                return;
            }
            ended.await;
        }
    }

    /// Breaks off whatever runs are at work here, and every stream: they tell their clients how to hear the rest.
    pub fn break_off(&self) {
        self.ending.send_replace(true);
        let at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        for worker in at_work.values() {
            worker.tell.send_replace(());
        }
    }

    /// Hands all runs that are still at work to whoever looks for them next. Nothing more can be written of them
    /// here.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn hand_back(&self) -> Result<()> {
        let handed = self.store.release_leases(Some(&self.owner)).await?;
        if handed > 0 {
            tracing::info!("{handed} runs were handed back unfinished");
        }
        Ok(())
    }

    /// How many runs this process works on.
    pub fn at_work(&self) -> usize {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
