//! Carries one run forward under its lease: load, decide, do one thing, until it ends or waits for its
//! client. What is announced has been stored before; only deltas go out at once.

use std::sync::Arc;
use std::time::Duration;

use adjutant_wire as wire;
use adjutant_wire::events::Event;
use adjutant_wire::messages::Message;
use adjutant_wire::runs::{LastError, LastErrorCode, PendingCall, Run, RunStatus, Usage};
use adjutant_wire::steps::{Step, StepDetails, StepKind, StepStatus};
use tokio::sync::watch;

use super::Engine;
use super::code::{Kept, has_run};
use super::follow::{Live, interrupted};
use super::hosted::or_none;
use super::listener::Listener;
use super::machine::{self, End, Illegal, Next};
use super::storing::{Change, Patience};
use crate::fault::{Fault, Result};
use crate::files::Unstored;
use crate::store::{Claimed, Lease, News};

/// Why a worker stopped in the middle of what it did.
#[derive(Debug)]
pub(super) enum Stop {
    /// The run must end so.
    End(End),
    /// The run is not as it was: it is being cancelled, was deleted, or another worker has it.
    Changed,
    /// A fault of ours.
    Broken(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Broken(fault)
    }
}

impl From<Illegal> for Stop {
    fn from(illegal: Illegal) -> Self {
        Self::Broken(Fault::Broken(illegal.into()))
    }
}

/// A step, and the message that it writes if it writes one.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) step: Step,
    pub(super) message: Option<Message>,
}

/// A worker on one run.
pub(super) struct Executor {
    pub(super) engine: Arc<Engine>,
    pub(super) lease: Lease,
    pub(super) run: Run,
    /// Steps that are done, or whose calls wait for this server or the client; oldest first.
    pub(super) steps: Vec<Step>,
    /// The step that is being done. It is stored, as it was when it began.
    pub(super) open: Option<Work>,
    /// What has been done since the last commit.
    pub(super) done: Vec<Work>,
    pub(super) next_position: i64,
    pub(super) listener: Listener,
    /// Changes when the run is no longer as this worker knows it.
    pub(super) changed: watch::Receiver<()>,
    /// What those see who follow the run.
    pub(super) live: Arc<Live>,
    /// Whether what the model is asked is kept.
    pub(super) keeps_requests: bool,
    /// Whether the model has read what its programs gave in this run or in earlier ones.
    pub(super) has_read_code: bool,
    /// What this worker has kept of what the run's programs gave.
    pub(super) kept: Kept,
    /// Whether programs of this run were run by another worker, whose session may be gone.
    pub(super) may_lack_session: bool,
    /// Files that the next commit stores, together with what names them.
    pub(super) files: Vec<Unstored>,
}

impl Executor {
    /// A worker on the run of this claim, in memory of its own: what is moved into a future takes its place twice.
    pub(super) fn new(
        engine: Arc<Engine>,
        claimed: Claimed,
        listener: Listener,
        changed: watch::Receiver<()>,
        live: Arc<Live>,
    ) -> Box<Self> {
        let Claimed { lease, run, position, keeps_requests } = claimed;
        Box::new(Self {
            engine,
            next_position: position + 1,
            lease,
            run,
            steps: Vec::new(),
            open: None,
            done: Vec::new(),
            listener,
            changed,
            live,
            keeps_requests,
            has_read_code: false,
            kept: Kept::default(),
            may_lack_session: false,
            files: Vec::new(),
        })
    }

    /// Carries the run forward until it ends, waits for its client, or belongs to somebody else.
    pub(super) async fn execute(&mut self) {
        self.listener.flush().await;
        if let Err(fault) = self.work().await {
            tracing::error!(run.id = %self.run.id, "work on run `{}` stopped: {fault}", self.run.id);
            self.break_off().await;
            // Not at once: what is broken is likely to be so still.
            self.engine.give_back(&self.lease, self.engine.lease_end()).await;
        }
    }

    async fn work(&mut self) -> Result<()> {
        // A new run has no steps to be read, unless a worker before this one has made some.
        if self.lease.token() > 1 {
            Box::pin(self.load()).await?;
        }
        let mut away: Option<Patience> = None;
        loop {
            let next = machine::next(&self.run, &self.steps, self.engine.clock.seconds());
            // Each in a place of its own: a run that waits for its model holds what that takes, and not the most of all.
            let outcome = match next {
                Next::Start => Box::pin(self.start()).await,
                Next::AskModel => Box::pin(self.ask_model()).await,
                Next::RunTools => Box::pin(self.run_tools()).await,
                Next::WaitForClient(calls) => match Box::pin(self.park(calls)).await {
                    Ok(()) => return Ok(()),
                    Err(stop) => Err(stop),
                },
                Next::Finish(end) => match Box::pin(self.finish(end)).await {
                    Ok(()) => return Ok(()),
                    Err(stop) => Err(stop),
                },
            };
            let stop = match outcome {
                Ok(()) => {
                    away = None;
                    continue;
                }
                Err(Stop::End(end)) => match Box::pin(self.finish(end)).await {
                    Ok(()) => return Ok(()),
                    Err(stop) => stop,
                },
                Err(stop) => stop,
            };
            match stop {
                Stop::Changed => {
                    if !Box::pin(self.look_again()).await? {
                        return Ok(());
                    }
                }
                // Nothing was announced of what this step began: it can begin again.
                Stop::Broken(Fault::Unavailable(why))
                    if self.open.is_none()
                        && away.get_or_insert_with(|| self.patience()).waits(&why).await => {}
                Stop::Broken(fault) => return Err(fault),
                Stop::End(_) => return Err(Fault::Broken(anyhow::anyhow!("a run could not be ended twice"))),
            }
        }
    }

    /// Takes over what was done before, and takes away what a lost worker had left half done: the model is asked
    /// for that turn again.
    async fn load(&mut self) -> Result<()> {
        let patience = self.patience();
        let stored = loop {
            match self.stored_steps().await {
                Err(Fault::Unavailable(why)) if patience.waits(&why).await => {}
                stored => break stored?,
            }
        };
        if let Some((position, _)) = stored.last() {
            // Its message has the place after it.
            self.next_position = *position + 2;
        }
        let (mut half_done, mut whole): (Vec<Step>, Vec<Step>) =
            stored.into_iter().map(|(_, step)| step).partition(machine::is_half_done);
        if !half_done.is_empty() {
            // A turn begins again as a whole, with what it had said before its calls.
            half_done.extend(whole.pop_if(|step| step.kind == StepKind::MessageCreation));
        }
        self.may_lack_session = whole.iter().any(has_run);
        self.steps = whole;
        loop {
            match self.discard(&half_done).await {
                Err(Fault::Unavailable(why)) if patience.waits(&why).await => {}
                discarded => return discarded,
            }
        }
    }

    async fn stored_steps(&self) -> Result<Vec<(i64, Step)>> {
        self.engine.store.read(self.lease.project()).await?.all_steps(&self.run.id).await
    }

    async fn discard(&self, half_done: &[Step]) -> Result<()> {
        if half_done.is_empty() {
            return Ok(());
        }
        let mut tx = self.engine.store.write(self.lease.project()).await?;
        if tx.hold(&self.lease).await?.is_none() {
            return Ok(());
        }
        for step in half_done {
            tracing::info!(run.id = %self.run.id, step.id = %step.id, "step `{}` was left half done and begins again", step.id);
            // Gone already where an answer was lost.
            or_none(tx.discard_step(&self.lease, &step.id).await)?;
            if let StepDetails::MessageCreation { message_creation } = &step.step_details {
                tx.discard_message(&self.lease, &self.run.id, &message_creation.message_id).await?;
            }
        }
        tx.announce(News::RunMoved(self.run.id.clone()));
        tx.commit().await
    }

    async fn start(&mut self) -> Result<(), Stop> {
        let mut run = self.run.clone();
        machine::start(&mut run, self.engine.clock.seconds())?;
        self.move_run(run, None).await?;
        self.listener.emit(&Event::Run(&self.run));
        self.listener.flush().await;
        Ok(())
    }

    /// Lets go of the run until its client has answered. Stored before it is announced, since clients answer
    /// from inside their event handler.
    async fn park(&mut self, calls: Vec<PendingCall>) -> Result<(), Stop> {
        if self.run.status == RunStatus::RequiresAction {
            return Ok(());
        }
        let mut run = self.run.clone();
        machine::park(&mut run, calls)?;
        let due_at = run.expires_at.unwrap_or_default().saturating_mul(1_000);
        self.move_run(run, Some(due_at)).await?;
        tracing::debug!(run.id = %self.run.id, "run `{}` waits for its client", self.run.id);
        self.listener.emit(&Event::Run(&self.run));
        self.listener.emit(&Event::Done);
        self.listener.flush().await;
        Ok(())
    }

    async fn finish(&mut self, end: End) -> Result<(), Stop> {
        let now = self.engine.clock.seconds();
        let before = (self.open.clone(), self.steps.clone(), self.done.clone());
        self.end_open(&end, now);
        let usage = self.usage();
        let mut run = self.run.clone();
        machine::end(&mut run, &end, usage, now)?;
        let moved = self.move_run(run, None).await;
        if matches!(moved, Err(Stop::Changed)) {
            // The run will end otherwise, and so will what is open.
            (self.open, self.steps, self.done) = before;
        }
        moved?;
        tracing::info!(run.id = %self.run.id, tokens = usage.total_tokens, "run `{}` ended: {}", self.run.id, self.run.status.as_str());
        if let Some(LastError { message, .. }) = &self.run.last_error {
            tracing::warn!(run.id = %self.run.id, "run `{}` failed: {message}", self.run.id);
        }
        self.listener.emit(&Event::Run(&self.run));
        self.listener.emit(&Event::Done);
        self.listener.flush().await;
        Ok(())
    }

    /// Ends what is open: the step that is being done, and one whose calls will not be answered any more.
    fn end_open(&mut self, end: &End, now: wire::UnixSeconds) {
        if let Some(mut work) = self.open.take() {
            machine::end_step(&mut work.step, end, now);
            if let Some(message) = &mut work.message {
                machine::end_message(message, end, now);
            }
            self.close(work);
        }
        let unanswered = self.steps.last_mut().filter(|step| step.status == StepStatus::InProgress);
        if let Some(step) = unanswered {
            machine::end_step(step, end, now);
            let step = step.clone();
            self.done.push(Work { step, message: None });
        }
    }

    /// Notes a step that is done, to be stored with the next commit.
    pub(super) fn close(&mut self, work: Work) {
        self.steps.push(work.step.clone());
        self.done.push(work);
    }

    /// What the run has cost so far.
    pub(super) fn usage(&self) -> Usage {
        self.steps.iter().filter_map(|step| step.usage).sum()
    }

    async fn move_run(&mut self, run: Run, due_at: Option<i64>) -> Result<(), Stop> {
        self.store(Change::Run(&run, due_at)).await?;
        self.run = run;
        Ok(())
    }

    /// Finds out why the run is not as it was. False where there is nothing left to do here.
    async fn look_again(&mut self) -> Result<bool> {
        let patience = self.patience();
        let stored = loop {
            match self.stored_run().await {
                Err(Fault::Unavailable(why)) if patience.waits(&why).await => {}
                stored => break stored,
            }
        };
        match stored {
            Ok((run, true)) if run.status == RunStatus::Cancelling => {
                if self.run.status != RunStatus::Cancelling {
                    self.run = run;
                    self.listener.emit(&Event::Run(&self.run));
                }
                Ok(true)
            }
            // Another worker has it; or nothing has changed after all, and since the turn was left in the
            // middle, whoever takes it up next cleans up after it.
            Ok(_) => {
                tracing::info!(run.id = %self.run.id, "run `{}` is no longer worked on here", self.run.id);
                self.break_off().await;
                self.engine.give_back(&self.lease, self.engine.clock.milliseconds()).await;
                Ok(false)
            }
            Err(Fault::Refused(_)) => {
                self.end_deleted().await;
                Ok(false)
            }
            Err(fault @ (Fault::Broken(_) | Fault::Answered(_) | Fault::Unavailable(_))) => Err(fault),
        }
    }

    /// The run as it is by now, and whether it is still this worker's. Asked of the writer: what made a write of ours
    /// fail may not be committed yet, so readers may not see it.
    async fn stored_run(&self) -> Result<(Run, bool)> {
        let mut tx = self.engine.store.write(self.lease.project()).await?;
        let stored = tx.run(&self.run.thread_id, &self.run.id).await;
        let held = tx.hold(&self.lease).await?.is_some();
        tx.commit().await?;
        Ok((stored?, held))
    }

    /// The thread was deleted with its run: its client hears that the run was cancelled.
    async fn end_deleted(&mut self) {
        let now = self.engine.clock.seconds();
        self.end_open(&End::Cancelled, now);
        for Work { step, message } in self.done.drain(..) {
            if let Some(message) = &message {
                self.listener.emit(&Event::Message(message));
            }
            self.listener.emit(&Event::Step(&step));
        }
        let usage = self.usage();
        let mut run = self.run.clone();
        if machine::cancel(&mut run).is_ok() {
            self.listener.emit(&Event::Run(&run));
        }
        if machine::end(&mut run, &End::Cancelled, usage, now).is_ok() {
            self.listener.emit(&Event::Run(&run));
        }
        self.listener.emit(&Event::Done);
        self.listener.flush().await;
    }

    /// The run goes on elsewhere or later; this stream cannot follow it.
    async fn break_off(&mut self) {
        self.listener.emit(&Event::Error(&interrupted(&self.run.thread_id, &self.run.id)));
        self.listener.emit(&Event::Done);
        self.listener.flush().await;
    }

    /// Waits for something, unless the run changes or expires meanwhile.
    pub(super) async fn unless_stopped<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Stop> {
        let time_left = self.time_left();
        tokio::select! {
            biased;
            _ = self.changed.changed() => Err(Stop::Changed),
            () = tokio::time::sleep(time_left) => Err(Stop::End(End::Expired)),
            done = work => Ok(done),
        }
    }

    /// How long the run may still take.
    pub(super) fn time_left(&self) -> Duration {
        let expiry = self.run.expires_at.unwrap_or(i64::MAX / 1_000).saturating_mul(1_000);
        let left = expiry.saturating_sub(self.engine.clock.milliseconds());
        Duration::from_millis(u64::try_from(left).unwrap_or_default())
    }
}

/// A fault inside a run, as its client reads it.
pub(super) fn failed(message: impl Into<String>) -> End {
    End::Failed(LastError { code: LastErrorCode::ServerError, message: message.into() })
}
