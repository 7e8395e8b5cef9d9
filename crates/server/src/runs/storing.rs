//! What a worker stores of its run: always under its lease, which is looked at first, and again where the database
//! was away.

use std::time::Duration;

use adjutant_wire::events::Event;
use adjutant_wire::messages::Message;
use adjutant_wire::runs::{ModelRequest, Run, RunStatus};
use adjutant_wire::steps::{Step, StepStatus};
use adjutant_wire::{FileId, RunId, UnixSeconds};
use tokio::time::Instant;

use super::executor::{Executor, Stop, Work};
use super::hosted::or_none;
use crate::fault::Fault;
use crate::store::News;

/// Between two tries of a database that is away.
const PAUSE: Duration = Duration::from_millis(250);

/// What a worker stores beside what it has done since the last commit.
pub(super) enum Change<'a> {
    /// Nothing.
    Nothing,
    /// A new step at this position, and the message behind it that it writes.
    Step(&'a Step, Option<&'a Message>, i64),
    /// A message that has grown.
    Message(&'a Message),
    /// A step of calls with what its programs gave so far. They still count as not run.
    Outputs(&'a Step),
    /// As [`Self::Outputs`], and figures that a program has not drawn again which it had drawn for a worker that is lost.
    Redrawn(&'a Step, &'a [FileId]),
    /// What the model is about to be asked.
    Request(&'a ModelRequest),
    /// The run's new status; where it lives on without a worker, until when.
    Run(&'a Run, Option<i64>),
}

impl Executor {
    /// Stores what has been done since the last commit, and a change, in one transaction; then announces what has
    /// been done. While the database is away it is tried again, until the run is another worker's for sure.
    pub(super) async fn store(&mut self, change: Change<'_>) -> Result<(), Stop> {
        let patience = self.patience();
        let mut again = false;
        loop {
            match self.try_to_store(&change, again).await {
                Ok(()) => break,
                Err(Stop::Broken(Fault::Unavailable(why))) if patience.waits(&why).await => again = true,
                Err(stop) => return Err(stop),
            }
        }
        self.files.clear();
        for Work { step, message } in self.done.drain(..) {
            if let Some(message) = &message {
                self.listener.emit(&Event::Message(message));
            }
            // Calls that wait for the client leave their step in progress, which was announced.
            if step.status != StepStatus::InProgress {
                self.listener.emit(&Event::Step(&step));
            }
        }
        self.live.show(self.open.as_ref());
        Ok(())
    }

    /// `again`: an earlier try may have been committed, though its answer was lost. All that is stored has its id
    /// already, so that storing it twice changes nothing.
    async fn try_to_store(&self, change: &Change<'_>, again: bool) -> Result<(), Stop> {
        let lease = &self.lease;
        let mut tx = self.engine.store.write(lease.project()).await?;
        // The run before all else: who has lost it is not to wait for rows that its new worker holds.
        match change {
            Change::Run(run, due_at) => {
                if !tx.move_run(lease, self.run.status, run, *due_at).await? {
                    let moved = again && tx.has_moved(lease, run).await?;
                    return if moved { Ok(()) } else { Err(Stop::Changed) };
                }
            }
            Change::Nothing
            | Change::Step(..)
            | Change::Message(_)
            | Change::Outputs(_)
            | Change::Redrawn(..)
            | Change::Request(_) => match tx.hold(lease).await? {
                Some(RunStatus::InProgress) => {}
                Some(_) | None => return Err(Stop::Changed),
            },
        }
        for new in &self.files {
            // Where the first try was committed, it is there.
            let is_there = again && or_none(tx.file(&new.file.id, UnixSeconds::MIN).await)?.is_some();
            if !is_there {
                tx.add_file(&new.file, new.position, new.key()).await?;
            }
        }
        for work in &self.done {
            tx.update_step(&work.step).await?;
            if let Some(message) = &work.message {
                tx.update_run_message(lease, message).await?;
            }
        }
        match change {
            Change::Step(step, message, position) => {
                tx.add_step(lease, step, *position).await?;
                if let Some(message) = message {
                    tx.add_run_message(lease, message, position + 1).await?;
                }
            }
            Change::Message(message) => tx.update_run_message(lease, message).await?,
            Change::Outputs(step) => tx.update_step(step).await?,
            Change::Redrawn(step, figures) => {
                tx.update_step(step).await?;
                for figure in *figures {
                    // Its user may have deleted it.
                    or_none(tx.delete_file(figure, UnixSeconds::MIN).await)?;
                }
            }
            Change::Request(request) => tx.add_model_request(lease, request).await?,
            Change::Nothing | Change::Run(..) => {}
        }
        if self.live.is_followed_elsewhere() {
            tx.announce(News::RunMoved(self.run.id.clone()));
        }
        Ok(tx.commit().await?)
    }

    /// For how long a database may be away from now on.
    pub(super) fn patience(&self) -> Patience {
        // When it is back later than that, others have taken the run over.
        Patience { run: self.run.id.clone(), until: Instant::now() + 2 * self.engine.settings.lease() }
    }
}

/// How long a run waits for a database that is away.
pub(super) struct Patience {
    run: RunId,
    until: Instant,
}

impl Patience {
    /// Waits a little before another try; false where it is too late for one.
    pub(super) async fn waits(&self, why: &anyhow::Error) -> bool {
        if Instant::now() >= self.until {
            return false;
        }
        tracing::warn!(run.id = %self.run, "run `{}` waits for the database: {why:#}", self.run);
        tokio::time::sleep(PAUSE).await;
        true
    }
}
