//! Runs: creating, answering, cancelling, and the workers that carry them forward. The only place that
//! writes a run's status.

mod busy;
mod calls;
mod citations;
mod code;
mod executor;
mod follow;
mod hearing;
mod history;
mod hosted;
mod images;
mod links;
mod listener;
mod logs;
mod machine;
mod outputs;
mod pipe;
mod prompt;
mod replay;
mod requests;
mod session;
mod storing;
mod tokens;
mod told;
mod turn;
mod worker;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use adjutant_wire as wire;
use adjutant_wire::assistants::Assistant;
use adjutant_wire::events::Event;
use adjutant_wire::messages::{Attachment, CreateMessage, Message};
use adjutant_wire::runs::{CreateRun, RequiredAction, Run, RunStatus, SubmitToolOutputs};
use adjutant_wire::threads::{CreateThread, Thread};
use adjutant_wire::{RunId, ThreadId, UnixSeconds};
use anyhow::{Context, anyhow};
use tokio::sync::{Notify, Semaphore, watch};

use crate::clock::Clock;
use crate::config::RunsConfig;
use crate::fault::{Fault, Result};
use crate::files::Files;
use crate::ids::{fresh, hex};
use crate::search::{Search, resources};
use crate::store::{News, Once, POSITIONS_A_RUN, Project, Store, ThreadLock, Writing};
use crate::tools::code_interpreter::CodeInterpreter;
use crate::upstream::Upstreams;
pub use busy::Turn;
pub use follow::Begin;
use hearing::{AtWork, Watchers};
use listener::Listener;
use outputs::{fill_in, not_waiting, refuse_wrong_set};
pub use pipe::Stream;
pub use replay::Telling;
use told::Told;

/// What runs need to run.
pub struct Engine {
    pub(crate) store: Store,
    /// What tools read and write.
    pub files: Arc<Files>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) search: Arc<Search>,
    pub(crate) code: Arc<CodeInterpreter>,
    settings: RunsConfig,
    /// Names this process in leases.
    owner: String,
    /// Runs that this process works on, and how their workers hear of changes.
    at_work: Mutex<BTreeMap<(RunId, i64), AtWork>>,
    /// Wakes the worker that looks for due runs.
    due: Notify,
    /// Whether a run was worked on since the leases were last renewed: an idle server writes nothing.
    worked_lately: AtomicBool,
    /// Requests that wait for a thread.
    queues: busy::Queues,
    /// Those who wait for what others do to a run.
    watched: Watchers,
    /// Wakes whoever keeps the leases: some may be lost, and nobody said so.
    doubtful: Notify,
    /// Tells those who wait that work on a run has ended here.
    ended: Notify,
    /// Whether runs that are created or answered here are worked on here. Else they wait for another process.
    takes_runs: AtomicBool,
    /// Room for the runs that may be worked on here at once.
    rooms: Arc<Semaphore>,
    /// Whether runs wait because there was no room: those that come are behind them.
    crowded: AtomicBool,
    /// Turns true when the process is about to end, and with it every stream.
    ending: watch::Sender<bool>,
}

/// A run as it is answered at once, and its stream where one was asked for.
pub struct Started {
    /// The thread, where it was created for the run.
    pub thread: Option<Thread>,
    /// The run, queued.
    pub run: Run,
    /// Its events.
    pub stream: Option<Stream>,
}

impl Engine {
    /// An engine that works on nothing yet: see [`Engine::work`].
    pub fn new(
        store: Store,
        files: Arc<Files>,
        clock: Arc<Clock>,
        upstreams: Arc<Upstreams>,
        search: Arc<Search>,
        code: Arc<CodeInterpreter>,
        settings: RunsConfig,
    ) -> Arc<Self> {
        let hearing = store.hear();
        let rooms = usize::try_from(settings.at_once).unwrap_or(Semaphore::MAX_PERMITS);
        let engine = Arc::new(Self {
            store,
            files,
            clock,
            upstreams,
            search,
            code,
            settings,
            owner: hex(),
            at_work: Mutex::default(),
            due: Notify::new(),
            worked_lately: AtomicBool::new(false),
            queues: busy::Queues::default(),
            watched: Watchers::default(),
            doubtful: Notify::new(),
            ended: Notify::new(),
            takes_runs: AtomicBool::new(true),
            rooms: Arc::new(Semaphore::new(rooms)),
            crowded: AtomicBool::new(false),
            ending: watch::Sender::new(false),
        });
        tokio::spawn(Arc::clone(&engine).hear(hearing));
        tokio::spawn(Arc::clone(&engine).look_after_watched());
        engine
    }

    /// Creates a run on a thread and starts it.
    ///
    /// # Errors
    /// 404 for a missing thread or assistant; 400 where the thread has a live run, or there is nothing to
    /// answer; 429 where there is no room, and too many wait.
    pub async fn create(self: &Arc<Self>, once: &Once, thread: &ThreadId, new: CreateRun) -> Result<Started> {
        self.refuse_unknown_model(&once.project, &new).await?;
        let mut tx = self.store.write_once(once).await?;
        let reserved = POSITIONS_A_RUN + i64::try_from(new.additional_messages.len()).unwrap_or_default();
        let mut lock = tx.lock_thread(thread, self.clock.position(), reserved).await?;
        self.create_in(once, tx, &mut lock, None, new).await
    }

    /// Creates a thread and a run on it, and starts the run.
    ///
    /// # Errors
    /// As [`Engine::create`].
    pub async fn create_with_thread(
        self: &Arc<Self>,
        once: &Once,
        new_thread: CreateThread,
        new: CreateRun,
    ) -> Result<Started> {
        self.refuse_unknown_model(&once.project, &new).await?;
        let mut tx = self.store.write_once(once).await?;
        let (thread, mut lock) = self.add_thread(&mut tx, new_thread, POSITIONS_A_RUN).await?;
        self.create_in(once, tx, &mut lock, Some(thread), new).await
    }

    async fn refuse_unknown_model(&self, project: &Project, new: &CreateRun) -> Result<()> {
        if !self.upstreams.is_strict() {
            return Ok(());
        }
        let model = match &new.model {
            Some(model) => model.clone(),
            None => self.store.read(project).await?.assistant(&new.assistant_id).await?.model,
        };
        self.upstreams.refuse_unknown(&model).await.map_err(Fault::Refused)
    }

    async fn create_in(
        self: &Arc<Self>,
        once: &Once,
        mut tx: Writing,
        lock: &mut ThreadLock,
        thread: Option<Thread>,
        mut new: CreateRun,
    ) -> Result<Started> {
        let now = self.clock.seconds();
        let assistant = tx.assistant(&new.assistant_id).await?;
        if let Some(resources) = &new.tool_resources {
            resources::refuse_missing(&mut tx, resources, now).await?;
        }
        self.add_messages(&mut tx, lock, std::mem::take(&mut new.additional_messages)).await?;
        let (streamed, include) = (new.stream, new.include);
        let queued = self.queued(lock.thread(), assistant, new, now);
        if queued.instructions.is_empty() && !tx.has_messages(lock.thread()).await? {
            return Err(nothing_to_answer().into());
        }
        let mut claimed = None;
        if let Some(room) = self.room_for_another() {
            // Claimed and started as it is created: nobody else needs to look for it, and it costs no second
            // commit. The client sees the states in their order all the same.
            let mut run = queued.clone();
            machine::start(&mut run, now).map_err(anyhow::Error::from)?;
            claimed = Some((tx.add_run(lock, &run, &self.owner, self.lease_end()).await?, room));
        } else {
            tx.refuse_beyond(self.settings.waiting, self.clock.milliseconds()).await?;
            tx.add_queued_run(lock, &queued, self.clock.milliseconds()).await?;
        }
        if include.model_requests {
            tx.keep_model_requests(&queued, claimed.as_mut().map(|(claimed, _)| claimed)).await?;
        }
        tx.remember(once, &queued).await?;
        tx.commit().await?;
        self.search.wake();
        let Some((claimed, room)) = claimed else {
            let begin = thread.as_ref().map_or(Begin::Run, Begin::Thread);
            let stream = self.left_to_others(&once.project, &queued, begin, streamed, include.shown).await?;
            return Ok(Started { thread, run: queued, stream });
        };
        let (mut listener, stream) = Listener::of(streamed, include.shown);
        if let Some(thread) = &thread {
            listener.emit(&Event::ThreadCreated(thread));
        }
        listener.emit(&Event::RunCreated(&queued));
        listener.emit(&Event::Run(&queued));
        listener.emit(&Event::Run(&claimed.run));
        self.spawn(claimed, room, listener);
        Ok(Started { thread, run: queued, stream })
    }

    /// The new run, with the assistant's values where the request has none.
    fn queued(&self, thread: &ThreadId, assistant: Assistant, new: CreateRun, now: UnixSeconds) -> Run {
        let instructions = new.instructions.or(assistant.instructions).unwrap_or_default();
        let parts = [Some(instructions), new.additional_instructions];
        let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        Run {
            id: fresh(),
            object: "thread.run".to_owned(),
            created_at: now,
            assistant_id: assistant.id,
            thread_id: thread.clone(),
            status: RunStatus::Queued,
            started_at: None,
            expires_at: Some(now + self.settings.expires_seconds),
            cancelled_at: None,
            failed_at: None,
            completed_at: None,
            required_action: None,
            last_error: None,
            model: new.model.unwrap_or(assistant.model),
            instructions: parts.join("\n"),
            tools: new.tools.unwrap_or(assistant.tools),
            tool_resources: new.tool_resources.unwrap_or_default(),
            metadata: new.metadata,
            temperature: new.temperature.unwrap_or(assistant.temperature),
            top_p: new.top_p.unwrap_or(assistant.top_p),
            reasoning_effort: new.reasoning_effort.or(assistant.reasoning_effort),
            max_completion_tokens: new.max_completion_tokens,
            max_prompt_tokens: new.max_prompt_tokens,
            truncation_strategy: new.truncation_strategy,
            incomplete_details: None,
            usage: None,
            response_format: new.response_format.unwrap_or(assistant.response_format),
            tool_choice: new.tool_choice,
            parallel_tool_calls: new.parallel_tool_calls.unwrap_or(true),
        }
    }

    /// Takes the outputs of a run's pending calls and lets it go on.
    ///
    /// # Errors
    /// 400 where the run does not wait, or not for exactly these calls.
    pub async fn submit(
        self: &Arc<Self>,
        once: &Once,
        thread: &ThreadId,
        id: &RunId,
        new: SubmitToolOutputs,
    ) -> Result<Started> {
        let now = self.clock.seconds();
        let mut tx = self.store.write_once(once).await?;
        let mut queued = tx.lock_run(thread, id).await?;
        let waits = queued.status == RunStatus::RequiresAction
            && queued.expires_at.is_some_and(|expiry| expiry > now);
        let Some(RequiredAction::SubmitToolOutputs { submit_tool_outputs }) =
            &queued.required_action.take_if(|_| waits)
        else {
            return Err(not_waiting(queued.status).into());
        };
        let expected: Vec<&str> =
            submit_tool_outputs.tool_calls.iter().map(|call| wire::id::Id::as_str(&call.id)).collect();
        refuse_wrong_set(&expected, &new.tool_outputs)?;
        let mut steps = tx.all_steps(id).await?;
        let waited = Told::waiting(steps.len());
        let mut step = steps.pop().map(|(_, step)| step).context("a waiting run has no step")?;
        fill_in(&mut step, new.tool_outputs, now);
        tx.update_step(&step).await?;
        machine::resume(&mut queued).map_err(anyhow::Error::from)?;
        let Some(room) = self.room_for_another() else {
            tx.requeue_run(&queued, self.clock.milliseconds()).await?;
            tx.remember(once, &queued).await?;
            tx.commit().await?;
            let begin = Begin::After(&waited);
            let stream = self.left_to_others(&once.project, &queued, begin, new.stream, new.include).await?;
            return Ok(Started { thread: None, run: queued, stream });
        };
        let mut run = queued.clone();
        machine::start(&mut run, now).map_err(anyhow::Error::from)?;
        let claimed = tx.resume_run(&run, &self.owner, self.lease_end()).await?;
        tx.remember(once, &queued).await?;
        tx.commit().await?;
        let (mut listener, stream) = Listener::of(new.stream, new.include);
        listener.emit(&Event::Step(&step));
        listener.emit(&Event::Run(&queued));
        listener.emit(&Event::Run(&run));
        self.spawn(claimed, room, listener);
        Ok(Started { thread: None, run: queued, stream })
    }

    /// Begins to cancel a run.
    ///
    /// # Errors
    /// 400 where it has ended.
    pub async fn cancel(&self, project: &Project, thread: &ThreadId, id: &RunId) -> Result<Run> {
        let mut tx = self.store.write(project).await?;
        let mut run = tx.lock_run(thread, id).await?;
        if run.status == RunStatus::Cancelling {
            return Ok(run);
        }
        if run.status.is_terminal() {
            let message = format!("Cannot cancel run with status '{}'.", run.status.as_str());
            return Err(wire::Error::invalid(message).into());
        }
        machine::cancel(&mut run).map_err(anyhow::Error::from)?;
        tx.cancel_run(&run, self.clock.milliseconds()).await?;
        tx.commit().await?;
        Ok(run)
    }

    /// Adds a message to a thread on which no run is at work.
    ///
    /// # Errors
    /// 404 for a missing thread; 400 where a run is at work on it.
    pub async fn add_message(&self, once: &Once, thread: &ThreadId, new: CreateMessage) -> Result<Message> {
        let mut tx = self.store.write_once(once).await?;
        let mut lock = tx.lock_thread(thread, self.clock.position(), 1).await?;
        if let Some(run) = tx.live_run(thread).await? {
            let message = format!("Can't add messages to {thread} while a run {run} is active.");
            return Err(wire::Error::invalid(message).into());
        }
        let message = self.add_messages(&mut tx, &mut lock, vec![new]).await?.pop();
        let message = message.context("a message was not added")?;
        tx.remember(once, &message).await?;
        tx.commit().await?;
        self.search.wake();
        Ok(message)
    }

    /// Creates a thread with its first messages.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn create_thread(&self, once: &Once, new: CreateThread) -> Result<Thread> {
        let mut tx = self.store.write_once(once).await?;
        let (thread, _) = self.add_thread(&mut tx, new, 0).await?;
        tx.remember(once, &thread).await?;
        tx.commit().await?;
        self.search.wake();
        Ok(thread)
    }

    /// Deletes a thread with all that belongs to it. A run at work on it stops, and its client hears that it
    /// was cancelled.
    ///
    /// # Errors
    /// 404 for a missing thread.
    pub async fn delete_thread(&self, project: &Project, id: &ThreadId) -> Result<()> {
        let mut tx = self.store.write(project).await?;
        let lock = tx.lock_thread(id, self.clock.position(), 0).await?;
        let live = tx.live_run(id).await?;
        tx.delete_thread(lock).await?;
        if let Some(run) = live {
            tx.announce(News::RunChanged(run.clone()));
            tx.announce(News::RunMoved(run));
        }
        tx.commit().await
    }

    async fn add_thread(
        &self,
        tx: &mut Writing,
        new: CreateThread,
        reserved: i64,
    ) -> Result<(Thread, ThreadLock)> {
        let thread = Thread {
            id: fresh(),
            object: "thread".to_owned(),
            created_at: self.clock.seconds(),
            metadata: new.metadata,
            tool_resources: resources::settle(tx, &self.clock, new.tool_resources).await?,
        };
        let reserved = reserved + i64::try_from(new.messages.len()).unwrap_or_default();
        let mut lock = tx.add_thread(&thread, self.clock.position(), reserved).await?;
        self.add_messages(tx, &mut lock, new.messages).await?;
        Ok((tx.thread(&thread.id).await?, lock))
    }

    /// Adds messages to a locked thread, and their files to what its tools work on.
    async fn add_messages(
        &self,
        tx: &mut Writing,
        lock: &mut ThreadLock,
        new: Vec<CreateMessage>,
    ) -> Result<Vec<Message>> {
        let attachments: Vec<Attachment> =
            new.iter().flat_map(|message| &message.attachments).cloned().collect();
        if !attachments.is_empty() {
            let mut thread = tx.thread(lock.thread()).await?;
            resources::attach(tx, &self.clock, &mut thread, &attachments).await?;
            tx.update_thread(&thread).await?;
        }
        let mut added = Vec::with_capacity(new.len());
        for message in new {
            let message = message.into_message(fresh(), lock.thread().clone(), self.clock.seconds());
            tx.add_message(lock, &message).await?;
            added.push(message);
        }
        Ok(added)
    }

    fn lease_end(&self) -> i64 {
        self.clock.milliseconds() + milliseconds(self.settings.lease())
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn nothing_to_answer() -> wire::Error {
    let message = "Run creation requires a Thread with a user message or an assistant with instructions.";
    wire::Error { code: Some("invalid_thread"), ..wire::Error::invalid(message) }
}

/// Changes metadata of a run that has ended.
///
/// # Errors
/// 400 while it has not.
pub fn refuse_live(run: &Run) -> wire::Result<()> {
    if run.status.is_terminal() {
        return Ok(());
    }
    Err(wire::Error::invalid(format!("Cannot update run with status '{}'.", run.status.as_str())))
}

impl From<machine::Illegal> for Fault {
    fn from(illegal: machine::Illegal) -> Self {
        Self::Broken(anyhow!(illegal))
    }
}
