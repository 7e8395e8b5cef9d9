//! Streams of runs that are at work already: for clients that lost theirs, or never had one. Events are made
//! from what is stored, and from what the worker has in hand where it is in this process, so nothing is kept
//! for them and any process can serve them.

use std::future::pending;
use std::ops::Range;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use adjutant_wire as wire;
use adjutant_wire::messages::{Content, Message};
use adjutant_wire::runs::{Run, RunStatus, Usage};
use adjutant_wire::steps::{Step, StepDetails, StepStatus};
use adjutant_wire::threads::Thread;
use adjutant_wire::{RunId, ThreadId, UnixSeconds};
use rand::RngExt;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::{Instant, sleep, sleep_until};

use super::executor::Work;
use super::hosted::or_none;
use super::machine::{self, End};
use super::pipe::{Inlet, pipe};
use super::replay::{Known, Telling, Then, tell, tell_interruption, tell_thread};
use super::told::Told;
use super::{Engine, Stream};
use crate::fault::{Fault, Result};
use crate::store::{News, Project, Reading};

/// How often a run is looked at where news of it cannot be heard.
const LOOK: Duration = Duration::from_secs(1);

/// And where they can: once in so many seconds, not all at once. Thousands may follow runs of which there is nothing new
/// for minutes.
const LOOK_WHILE_HEARING: Range<f64> = 30.0..90.0;

/// Who follows a run that is worked on in another process says so again after this long.
const SAID_AGAIN: Duration = Duration::from_secs(10);

/// How late that may come.
const SAID_LATE: Duration = Duration::from_secs(5);

/// A worker that has not heard for so long that somebody follows it from another process takes it that nobody does.
const FOLLOWED: Duration = Duration::from_secs(45);

/// How long the database may be away before a stream ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a worker shows of its run to those who follow it.
#[derive(Debug, Default)]
pub(super) struct Live {
    followers: AtomicUsize,
    /// Boxed, since of most runs nothing is shown.
    open: Mutex<Option<Box<Work>>>,
    changed: Notify,
    attached: Notify,
    /// Until when it is taken that somebody in another process follows the run.
    followed_until: Mutex<Option<Instant>>,
}

impl Live {
    /// Whether somebody in this process follows the run.
    pub(super) fn is_followed_here(&self) -> bool {
        self.followers.load(Ordering::Acquire) > 0
    }

    /// Shows the step that is open. Copied only if somebody looks.
    pub(super) fn show(&self, open: Option<&Work>) {
        if self.is_followed_here() {
            *self.open.lock().unwrap_or_else(PoisonError::into_inner) = open.cloned().map(Box::new);
            self.changed.notify_waiters();
        }
    }

    /// Waits until somebody begins to follow the run, who has not been shown yet what is open.
    pub(super) async fn attached(&self) {
        self.attached.notified().await;
    }

    /// Notes that somebody in another process follows the run: what grows is stored often for a while, and told. True
    /// where that was not so before.
    pub(super) fn follow_from_elsewhere(&self) -> bool {
        self.take_as_followed(FOLLOWED)
    }

    /// Takes it that somebody does, until they would have said so again.
    pub(super) fn may_be_followed(&self) {
        self.take_as_followed(SAID_AGAIN + SAID_LATE);
    }

    fn take_as_followed(&self, time: Duration) -> bool {
        let mut until = self.followed_until.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_new = until.is_none_or(|until| until <= now);
        *until = until.max(Some(now + time));
        if is_new {
            self.attached.notify_one();
        }
        is_new
    }

    /// Whether somebody in another process follows the run, and is to be told what is stored.
    pub(super) fn is_followed_elsewhere(&self) -> bool {
        let until = self.followed_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Tells those who follow it here that its worker is gone.
    pub(super) fn leave(&self) {
        self.changed.notify_waiters();
    }

    fn open(&self) -> Option<Work> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).as_deref().cloned()
    }
}

/// Somebody who follows a run; the worker shows nothing once the last one is gone.
struct Follower(Arc<Live>);

impl Follower {
    fn new(live: Arc<Live>) -> Self {
        live.followers.fetch_add(1, Ordering::AcqRel);
        live.attached.notify_one();
        Self(live)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.followers.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Where a stream of a run's events begins.
pub enum Begin<'a> {
    /// With the run's first event.
    Run,
    /// With the thread that was created for the run.
    Thread(&'a Thread),
    /// After the event of this id.
    After(&'a str),
}

impl Engine {
    /// A run's events, each with its id.
    ///
    /// # Errors
    /// 404 for a missing run; 400 for an id that is none.
    pub async fn follow(
        self: &Arc<Self>,
        project: &Project,
        thread: &ThreadId,
        run: &RunId,
        begin: Begin<'_>,
        telling: Telling,
    ) -> Result<Stream> {
        let mut opening = Vec::new();
        let told = match begin {
            Begin::Run => Told::default(),
            Begin::Thread(thread) => {
                tell_thread(thread, telling, &mut opening);
                Told::default()
            }
            Begin::After(id) => Told::after(id)?,
        };
        self.store.read(project).await?.run(thread, run).await?;
        let (to, stream) = pipe();
        to.push(opening);
        self.follow_into(to, (project, thread, run), told, telling);
        Ok(stream)
    }

    /// Tells of a run, in a task of its own, what its client has not been told yet.
    pub(super) fn follow_into(
        self: &Arc<Self>,
        to: Inlet,
        (project, thread, run): (&Project, &ThreadId, &RunId),
        told: Told,
        telling: Telling,
    ) {
        let (engine, project, thread, run) = (Arc::clone(self), project.clone(), thread.clone(), run.clone());
        tokio::spawn(async move {
            if let Err(fault) = engine.tell_all((&project, &thread, &run), told, telling, &to).await {
                tracing::warn!(run.id = %run, "a stream of run `{run}` ended early: {fault}");
            }
        });
    }

    /// The id of the event with which a run that waits for its client said so; `None` where it does not wait.
    ///
    /// # Errors
    /// 404 for a missing run.
    pub async fn last_event_id(
        &self,
        project: &Project,
        thread: &ThreadId,
        run: &RunId,
    ) -> Result<Option<String>> {
        let mut store = self.store.read(project).await?;
        let run = store.run(thread, run).await?;
        let steps = store.all_steps(&run.id).await?.len();
        Ok((run.status == RunStatus::RequiresAction).then(|| Told::waiting(steps)))
    }

    async fn tell_all(
        &self,
        (project, thread, run): (&Project, &ThreadId, &RunId),
        mut told: Told,
        telling: Telling,
        to: &Inlet,
    ) -> Result<()> {
        let mut follower: Option<Follower> = None;
        let watch = self.watched.watch(run);
        let mut said: Option<Instant> = None;
        let mut away: Option<Instant> = None;
        let mut before: Option<Known> = None;
        let mut ending = self.ending.subscribe();
        loop {
            if to.is_full() {
                // Nothing is shown to a client that is behind. Once it has read, it is told everything at once.
                follower = None;
                before.iter_mut().for_each(|known| told.leave_told(known));
                tokio::select! {
                    () = to.room() => {}
                    _ = ending.wait_for(|ending| *ending) => {
                        tell_that_it_ends(&told, (thread, run), telling, to);
                        return Ok(());
                    }
                }
            }
            let live = self.live(run);
            // A run that goes on after it waited has another worker.
            if live.as_ref().map(Arc::as_ptr) != follower.as_ref().map(|follower| Arc::as_ptr(&follower.0)) {
                follower = live.map(Follower::new);
            }
            // Registered before the look, or a change that comes in between would be missed.
            let changed = follower.as_ref().map(|follower| follower.0.changed.notified());
            let moved = watch.moved();
            let mut known = match self.known(project, thread, run, follower.as_ref()).await {
                Err(Fault::Unavailable(why)) if away.is_none_or(|since| since.elapsed() < PATIENCE) => {
                    tracing::warn!(run.id = %run, "a stream of run `{run}` waits for the database: {why:#}");
                    away.get_or_insert_with(Instant::now);
                    sleep(LOOK).await;
                    continue;
                }
                // The thread was deleted with its run, as a client hears it whose stream began the run.
                Err(Fault::Refused(error)) => match before.take() {
                    Some(known) => cancelled(known, self.clock.seconds()),
                    None => return Err(error.into()),
                },
                known => known?,
            };
            if let Some(before) = &before {
                keep_shown(&mut known, before);
            }
            away = None;
            let mut frames = Vec::new();
            let then = tell(&known, before.as_ref(), &mut told, telling, &mut frames);
            before = Some(known);
            to.push(frames);
            match then {
                Then::End => return Ok(()),
                Then::GoOn => continue,
                Then::Wait => {}
            }
            let hears = follower.is_some() || self.store.hears_news();
            let pause = match hears {
                true => Duration::from_secs_f64(rand::rng().random_range(LOOK_WHILE_HEARING)),
                false => LOOK,
            };
            let change = async {
                tokio::select! {
                    () = or_never(changed) => {}
                    () = moved => {}
                    () = to.left() => {}
                    () = sleep(pause) => {}
                }
            };
            let mut change = pin!(change);
            let is_ending = loop {
                let again = said.map_or_else(Instant::now, |said| said + SAID_AGAIN);
                tokio::select! {
                    biased;
                    () = sleep_until(again), if follower.is_none() => {
                        self.store.announce(News::RunFollowed(run.clone()));
                        said = Some(Instant::now());
                    }
                    () = change.as_mut() => break false,
                    _ = ending.wait_for(|ending| *ending) => break true,
                }
            };
            if is_ending {
                tell_that_it_ends(&told, (thread, run), telling, to);
                return Ok(());
            }
            if to.is_left() {
                return Ok(());
            }
        }
    }

    async fn known(
        &self,
        project: &Project,
        thread: &ThreadId,
        run: &RunId,
        follower: Option<&Follower>,
    ) -> Result<Known> {
        let mut store = self.store.read(project).await?;
        let (run, mut work) = loop {
            let run = store.run(thread, run).await?;
            if let Some(work) = work_of(&mut store, &run).await? {
                break (run, work);
            }
        };
        if let (Some(stored), Some(open)) = (work.last_mut(), follower.and_then(|follower| follower.0.open()))
        {
            let same = stored.step.id == open.step.id && is_open(&stored.step);
            if same {
                *stored = open;
            }
        }
        let expires_at = run.expires_at.unwrap_or(run.created_at + self.settings.expires_seconds);
        Ok(Known { run, expires_at, work, lost_at: self.clock.seconds() })
    }
}

/// A run's steps with their messages; `None` where a step was taken away while they were read, by a worker that does it
/// again.
async fn work_of(store: &mut Reading, run: &Run) -> Result<Option<Vec<Work>>> {
    let mut work = Vec::new();
    for (_, step) in store.all_steps(&run.id).await? {
        let message = match &step.step_details {
            StepDetails::MessageCreation { message_creation } => {
                let message = or_none(store.message(&run.thread_id, &message_creation.message_id).await)?;
                // A client may have deleted it, but not its step.
                if message.is_none() && or_none(store.step(&run.id, &step.id).await)?.is_none() {
                    return Ok(None);
                }
                message
            }
            StepDetails::ToolCalls { .. } => None,
        };
        work.push(Work { step, message });
    }
    Ok(Some(work))
}

/// A run that is gone, as if it had been cancelled.
fn cancelled(mut known: Known, now: UnixSeconds) -> Known {
    for work in known.work.iter_mut().filter(|work| is_open(&work.step)) {
        machine::end_step(&mut work.step, &End::Cancelled, now);
        if let Some(message) = &mut work.message {
            machine::end_message(message, &End::Cancelled, now);
        }
    }
    let usage: Usage = known.work.iter().filter_map(|work| work.step.usage).sum();
    // It lived, so both moves are legal; one that had ended is told as it was.
    if machine::cancel(&mut known.run).is_ok() {
        let _ = machine::end(&mut known.run, &End::Cancelled, usage, now);
    }
    known
}

async fn or_never(change: Option<Notified<'_>>) {
    match change {
        Some(change) => change.await,
        None => pending().await,
    }
}

/// What a client hears whose stream ends before the run does.
pub(super) fn interrupted(thread: &ThreadId, run: &RunId) -> wire::Error {
    let message = format!(
        "The stream was interrupted, the run was not: ask for run {run} to see how it goes on, or for \
         /v1/threads/{thread}/runs/{run}/stream to hear its events."
    );
    wire::Error { kind: wire::error::Kind::Server, ..wire::Error::invalid(message) }
}

/// Keeps what was shown of a message and had not been stored when its worker was lost: its end is to say what was told.
fn keep_shown(known: &mut Known, before: &Known) {
    let open = known.work.iter_mut().zip(&before.work).filter(|(work, _)| is_open(&work.step));
    for (work, before) in open.filter(|(work, before)| work.step.id == before.step.id) {
        if let (Some(message), Some(before)) = (&mut work.message, &before.message)
            && length(before) > length(message)
        {
            message.content.clone_from(&before.content);
        }
    }
}

/// How much a message says, in bytes.
fn length(message: &Message) -> usize {
    let said = message.content.iter().map(|part| match part {
        Content::Text { text } => text.value.len(),
        Content::Refusal { refusal } => refusal.len(),
        Content::ImageFile { .. } | Content::ImageUrl { .. } => 0,
    });
    said.sum()
}

fn tell_that_it_ends(told: &Told, (thread, run): (&ThreadId, &RunId), telling: Telling, to: &Inlet) {
    let mut frames = Vec::new();
    tell_interruption(told, &interrupted(thread, run), telling, &mut frames);
    to.push(frames);
}

fn is_open(step: &Step) -> bool {
    step.status == StepStatus::InProgress
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::told::tests::at_work;
    use super::*;

    fn content(parts: &[&str]) -> Value {
        let part = |value: &&str| json!({"type": "text", "text": {"value": value, "annotations": []}});
        parts.iter().map(part).collect()
    }

    /// A run that writes one message, which says this so far.
    fn writing(parts: &[&str]) -> Known {
        let message = json!({
            "id": "msg_1", "object": "thread.message", "created_at": 0, "assistant_id": "asst_1",
            "thread_id": "thread_1", "run_id": "run_1", "status": "in_progress", "incomplete_details": null,
            "incomplete_at": null, "completed_at": null, "role": "assistant", "content": content(parts),
            "attachments": [], "metadata": {}
        });
        let message = serde_json::from_value(message).unwrap();
        at_work("message_creation", json!({"message_id": "msg_1"}), Some(message))
    }

    fn said(known: &Known) -> Value {
        let message = known.work.last().and_then(|work| work.message.as_ref()).unwrap();
        serde_json::to_value(&message.content).unwrap()
    }

    fn told(known: &Known) -> (Told, String) {
        let (mut told, mut frames) = (Told::default(), Vec::new());
        let telling = Telling { include: adjutant_wire::steps::Include::default(), ids: false };
        assert_eq!(tell(known, None, &mut told, telling, &mut frames), Then::Wait);
        (told, String::from_utf8(frames).unwrap())
    }

    #[test]
    fn what_a_lost_worker_showed_and_had_not_stored_is_what_its_message_ends_with() {
        let shown = writing(&["반쯤 "]);
        let mut stored = writing(&[]);
        keep_shown(&mut stored, &shown);
        assert_eq!(said(&stored), content(&["반쯤 "]));
        let mut grown = writing(&["반쯤 말한"]);
        keep_shown(&mut grown, &shown);
        assert_eq!(said(&grown), content(&["반쯤 말한"]));
    }

    #[test]
    fn of_a_message_that_a_slow_client_was_told_in_part_that_part_is_left() {
        let long = "가나다라".repeat(10_000);
        let mut known = writing(&["짧다", &long, "not told"]);
        let (mut told, mut frames) = (Told::default(), Vec::new());
        let telling = Telling { include: adjutant_wire::steps::Include::default(), ids: false };
        assert_eq!(tell(&known, None, &mut told, telling, &mut frames), Then::GoOn);
        told.leave_told(&mut known);
        let left = said(&known);
        let part = left[1]["text"]["value"].as_str().unwrap();
        assert!(long.starts_with(part) && !part.is_empty() && part.len() < long.len());
        assert_eq!(left[0], content(&["짧다"])[0]);
        let (_, again) = self::told(&known);
        let frames = String::from_utf8(frames).unwrap();
        assert_eq!(frames, again, "what is left is what was told");
    }
}
