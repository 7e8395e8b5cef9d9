//! One turn of the model: its deltas become a message, or calls, or first the one and then the other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use adjutant_wire::events::{Event, PartDelta, PartGrowth};
use adjutant_wire::messages::{
    Attachment, AttachmentTool, Content, Detail, ImageFile, Message, MessageStatus, Role,
};
use adjutant_wire::runs::{IncompleteRunReason, ResponseFormat, Usage};
use adjutant_wire::steps::{MessageCreation, Step, StepDetails, StepKind, StepStatus};
use adjutant_wire::{Metadata, StepId};
use tokio::time::Instant;

use super::citations::{Piece, Reader, Sources};
use super::code;
use super::executor::{Executor, Stop, Work};
use super::history::IMAGE_TOKENS;
use super::images::Images;
use super::machine::{self, End};
use super::prompt::{self, Room};
use super::replay::Telling;
use super::storing::Change;
use super::tokens;
use super::told::Told;
use crate::ids::fresh;
use crate::tools::code_interpreter::CodeReader;
use crate::upstream::chat::{
    ChatContent, ChatDelta, ChatFinish, ChatMessage, ChatPart, ChatRequest, ChatUsage, question,
};
use crate::upstream::{Answer, UpstreamFault};

/// A growing message is stored this often, so that not much of a long answer is unknown to the store.
const CHECKPOINT: Duration = Duration::from_secs(2);

/// And this often while somebody in another process follows the run, who sees only what is stored.
pub(super) const FOLLOWED_CHECKPOINT: Duration = Duration::from_millis(250);

/// What a turn has brought so far, beside the step that is open.
pub(super) struct Turn {
    /// What the user said last.
    pub(super) question: String,
    /// White space before the first word: it opens no message, since some models put it before calls.
    held: String,
    /// Finds citations in what the model says.
    reader: Reader,
    /// What hosted tools are called with, by the call's place in its step, while it is written.
    pub(super) hosted_arguments: HashMap<usize, String>,
    /// Finds the programs in what the code interpreter is called with.
    pub(super) programs: HashMap<usize, CodeReader>,
    finish: Option<ChatFinish>,
    usage: Option<ChatUsage>,
    /// About what was read and written, should the upstream not say.
    pub(super) estimate: ChatUsage,
    stored_at: Instant,
    /// Whether the open message grew since then.
    grew: bool,
}

/// What the model is asked.
struct Prompt {
    request: ChatRequest,
    /// Whether the model makes its calls in a protocol of ours.
    emulated: bool,
}

impl From<UpstreamFault> for Stop {
    fn from(fault: UpstreamFault) -> Self {
        Self::End(End::Failed(fault.into_last_error()))
    }
}

impl Executor {
    /// Gives the model its turn.
    pub(super) async fn ask_model(&mut self) -> Result<(), Stop> {
        // In a place of its own, as what follows the answer is: while the answer comes, no more is held than that takes.
        let (mut turn, mut answer) = Box::pin(self.begin_turn()).await?;
        let heard = self.hear(&mut turn, &mut answer).await;
        drop(answer);
        // However it ends: what was held back as the beginning of a mark was said.
        self.say_rest(&mut turn);
        heard?;
        Box::pin(self.end_turn(turn)).await
    }

    /// Asks the model, and waits until its answer begins.
    async fn begin_turn(&mut self) -> Result<(Turn, Answer), Stop> {
        let sources = Sources::of(&self.steps);
        let Prompt { request, emulated } = self.prompt(&sources).await?;
        let question = question(&request.messages).to_owned();
        let turn = Turn {
            held: String::new(),
            // JSON has brackets of its own.
            reader: match (self.writes_json(), emulated) {
                (true, _) => Reader::plain(),
                // Weak models do not cite.
                (false, true) => Reader::of_sentences(sources, &question),
                (false, false) => Reader::of_marks(sources),
            },
            question,
            hosted_arguments: HashMap::new(),
            programs: HashMap::new(),
            finish: None,
            usage: None,
            estimate: ChatUsage { prompt_tokens: size(&request), ..ChatUsage::default() },
            stored_at: Instant::now(),
            grew: false,
        };
        let engine = Arc::clone(&self.engine);
        let outgoing = self.unless_stopped(engine.upstreams.outgoing(request)).await??;
        self.keep_request(&outgoing).await?;
        let answer = self.unless_stopped(outgoing.send()).await??;
        Ok((turn, answer))
    }

    fn writes_json(&self) -> bool {
        matches!(&self.run.response_format, ResponseFormat::Object(format) if format["type"] != "text")
    }

    async fn hear(&mut self, turn: &mut Turn, answer: &mut Answer) -> Result<(), Stop> {
        while let Some(deltas) = self.listen(turn, answer).await? {
            for delta in deltas {
                self.take(turn, delta).await?;
                if self.listener.has_much() {
                    self.tell_client().await;
                }
            }
            self.tell_client().await;
            self.live.show(self.open.as_ref());
            Box::pin(self.checkpoint(turn)).await?;
        }
        Ok(())
    }

    /// Tells the client what was said. One that is behind is told the rest by a follower, which reads it from the store
    /// as fast as its client reads.
    async fn tell_client(&mut self) {
        self.listener.flush().await;
        // What is done and not stored has not been told yet.
        if !self.done.is_empty() {
            return;
        }
        let Some((to, include)) = self.listener.give_away_slow() else { return };
        tracing::debug!(run.id = %self.run.id, "the client of run `{}` reads too slowly: it is told from the store", self.run.id);
        let told = Told::so_far(&self.steps, self.open.as_ref());
        let run = (self.lease.project(), &self.run.thread_id, &self.run.id);
        self.engine.follow_into(to, run, told, Telling { include, ids: false });
    }

    async fn prompt(&mut self, sources: &Sources) -> Result<Prompt, Stop> {
        let stores = self.vector_stores().await?;
        let terms = self.terms(&stores).await?;
        if terms.first && !terms.hosted.is_empty() {
            self.await_files(&stores).await?;
        }
        let (engine, project) = (&self.engine, self.lease.project());
        let mut store = engine.store.read(project).await?;
        let entries = prompt::read(&mut store, &self.run, &terms).await?.map_err(Stop::End)?;
        // Images may take a while, and connections are few.
        drop(store);
        let images = Images::load(&engine.files, project, &entries, engine.settings.image_bytes).await?;
        self.has_read_code = code::is_among(&entries);
        let request = prompt::build(&self.run, &terms, sources, &entries, &images);
        Ok(Prompt { request, emulated: terms.emulated })
    }

    /// What the run may still read and write.
    pub(super) async fn room(&self) -> Room {
        let used = self.usage();
        let left = |most: Option<u64>, used: u64| most.map(|most| most.saturating_sub(used));
        Room {
            context_tokens: self.engine.upstreams.context_tokens(&self.run.model).await,
            prompt_tokens: left(self.run.max_prompt_tokens, used.prompt_tokens),
            completion_tokens: left(self.run.max_completion_tokens, used.completion_tokens),
        }
    }

    /// What the model says next; meanwhile the message is stored, should the model be silent for longer.
    async fn listen(&mut self, turn: &mut Turn, answer: &mut Answer) -> Result<Option<Vec<ChatDelta>>, Stop> {
        loop {
            let time_left = self.time_left();
            let due = self.checkpoint_due(turn);
            tokio::select! {
                biased;
                _ = self.changed.changed() => return Err(Stop::Changed),
                () = tokio::time::sleep(time_left) => return Err(Stop::End(End::Expired)),
                () = self.live.attached() => self.live.show(self.open.as_ref()),
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    Box::pin(self.checkpoint(turn)).await?;
                }
                deltas = answer.next() => return Ok(deltas?),
            }
        }
    }

    async fn take(&mut self, turn: &mut Turn, delta: ChatDelta) -> Result<(), Stop> {
        match delta {
            ChatDelta::Text(text) => self.take_text(turn, text).await,
            ChatDelta::Refusal(text) => self.take_refusal(turn, &text).await,
            ChatDelta::ToolCall { index, name, arguments, id: _ } => {
                Box::pin(self.take_call(turn, index, name, &arguments)).await
            }
            ChatDelta::Finish(finish) => {
                turn.finish = Some(finish);
                Ok(())
            }
            ChatDelta::Usage(usage) => {
                turn.usage = Some(usage);
                Ok(())
            }
        }
    }

    async fn take_text(&mut self, turn: &mut Turn, text: String) -> Result<(), Stop> {
        turn.estimate.completion_tokens += tokens::estimate(&text);
        match &self.open {
            None if text.trim().is_empty() => {
                turn.held.push_str(&text);
                Ok(())
            }
            None => {
                Box::pin(self.open_message(turn)).await?;
                let text = std::mem::take(&mut turn.held) + &text;
                self.say(turn, &text);
                Ok(())
            }
            Some(Work { message: Some(_), .. }) => {
                self.say(turn, &text);
                Ok(())
            }
            Some(Work { message: None, step }) => {
                // A step of calls stays the last one until they are answered, so there is no place for it.
                tracing::debug!(step.id = %step.id, "text after a call was dropped");
                Ok(())
            }
        }
    }

    async fn take_refusal(&mut self, turn: &mut Turn, text: &str) -> Result<(), Stop> {
        turn.estimate.completion_tokens += tokens::estimate(text);
        if self.open.is_none() {
            Box::pin(self.open_message(turn)).await?;
        }
        self.say_rest(turn);
        let Some(Work { message: Some(message), .. }) = &mut self.open else { return Ok(()) };
        let first = !matches!(message.content.last(), Some(Content::Refusal { .. }));
        if first {
            message.content.push(Content::Refusal { refusal: String::new() });
        }
        if let Some(Content::Refusal { refusal }) = message.content.last_mut() {
            refusal.push_str(text);
        }
        turn.grew = true;
        let index = message.content.len() - 1;
        let delta = PartDelta { index, first, growth: PartGrowth::Refusal(text) };
        self.listener.emit(&Event::MessageDelta(&message.id, delta));
        Ok(())
    }

    fn say(&mut self, turn: &mut Turn, text: &str) {
        for piece in turn.reader.read(text) {
            self.grow_text(turn, piece);
        }
    }

    /// Says what was held back.
    fn say_rest(&mut self, turn: &mut Turn) {
        for piece in turn.reader.finish() {
            self.grow_text(turn, piece);
        }
    }

    fn grow_text(&mut self, turn: &mut Turn, piece: Piece) {
        let Some(Work { message: Some(message), .. }) = &mut self.open else { return };
        let first = !matches!(message.content.last(), Some(Content::Text { .. }));
        if first {
            message.content.push(Content::text(""));
        }
        let index = message.content.len() - 1;
        let Some(Content::Text { text }) = message.content.last_mut() else { return };
        let marked = text.annotations.len();
        text.value.push_str(&piece.text);
        text.annotations.extend(piece.annotation);
        turn.grew = true;
        let annotations = text.annotations.get(marked..).unwrap_or_default();
        let growth = PartGrowth::Text { value: &piece.text, annotations, marked };
        self.listener.emit(&Event::MessageDelta(&message.id, PartDelta { index, first, growth }));
    }

    async fn open_message(&mut self, turn: &mut Turn) -> Result<(), Stop> {
        let now = self.engine.clock.seconds();
        let message = Message {
            id: fresh(),
            object: "thread.message".to_owned(),
            created_at: now,
            assistant_id: Some(self.run.assistant_id.clone()),
            thread_id: self.run.thread_id.clone(),
            run_id: Some(self.run.id.clone()),
            status: MessageStatus::InProgress,
            incomplete_details: None,
            incomplete_at: None,
            completed_at: None,
            role: Role::Assistant,
            content: Vec::new(),
            attachments: Vec::new(),
            metadata: Metadata::default(),
        };
        let details = StepDetails::MessageCreation {
            message_creation: MessageCreation { message_id: message.id.clone() },
        };
        let step = self.new_step(StepKind::MessageCreation, details, now);
        let position = self.next_position;
        self.store(Change::Step(&step, Some(&message), position)).await?;
        self.next_position += 2;
        self.announce_step(&step);
        self.listener.emit(&Event::MessageCreated(&message));
        self.listener.emit(&Event::Message(&message));
        self.open = Some(Work { step, message: Some(message) });
        turn.stored_at = Instant::now();
        self.show_figures(turn);
        Ok(())
    }

    /// Figures that programs drew since the last message stand before its text (contract §8).
    fn show_figures(&mut self, turn: &mut Turn) {
        let figures = code::figures(&self.steps);
        let Some(Work { message: Some(message), .. }) = &mut self.open else { return };
        for file_id in figures {
            let image_file = ImageFile { file_id, detail: Detail::Auto };
            let index = message.content.len();
            let growth = PartGrowth::Image(&image_file);
            self.listener.emit(&Event::MessageDelta(&message.id, PartDelta { index, first: true, growth }));
            message.content.push(Content::ImageFile { image_file });
            turn.grew = true;
        }
    }

    /// Makes files of what the message links, and marks the links.
    async fn link_files(&mut self, turn: &mut Turn) -> Result<(), Stop> {
        self.say_rest(turn);
        let Some(Work { message: Some(message), .. }) = &self.open else { return Ok(()) };
        let Some(Content::Text { text }) = message.content.last() else { return Ok(()) };
        let text = text.value.clone();
        let linked = match self.linked_files(&text).await {
            Ok(linked) => linked,
            Err(stop) => {
                // The message does not name those that were taken already.
                self.files.clear();
                return Err(stop);
            }
        };
        for (link, file_id) in linked.files {
            if let Some(Work { message: Some(message), .. }) = &mut self.open {
                attach(message, &file_id);
            }
            self.grow_text(turn, Piece { text: String::new(), annotation: Some(link.annotation(file_id)) });
        }
        if let Some(text) = linked.note.filter(|_| !self.writes_json()) {
            self.grow_text(turn, Piece { text, annotation: None });
        }
        Ok(())
    }

    pub(super) fn announce_step(&mut self, step: &Step) {
        self.listener.emit(&Event::StepCreated(step));
        self.listener.emit(&Event::Step(step));
    }

    pub(super) fn new_step(&self, kind: StepKind, step_details: StepDetails, now: i64) -> Step {
        Step {
            id: fresh::<StepId>(),
            object: "thread.run.step".to_owned(),
            created_at: now,
            run_id: self.run.id.clone(),
            assistant_id: self.run.assistant_id.clone(),
            thread_id: self.run.thread_id.clone(),
            kind,
            status: StepStatus::InProgress,
            cancelled_at: None,
            completed_at: None,
            expires_at: self.run.expires_at,
            failed_at: None,
            last_error: None,
            step_details,
            usage: None,
            expired_at: None,
            metadata: Metadata::default(),
        }
    }

    /// Completes the message that is open, if one is.
    pub(super) fn complete_message(&mut self, turn: &mut Turn, usage: Usage) {
        self.say_rest(turn);
        if matches!(&self.open, Some(Work { message: Some(message), .. }) if message.content.is_empty()) {
            // A message has at least one delta, or SDKs fail on it (contract §6).
            self.grow_text(turn, Piece::default());
        }
        let now = self.engine.clock.seconds();
        if let Some(mut work) = self.open.take() {
            if let Some(message) = &mut work.message
                && message.status == MessageStatus::InProgress
            {
                machine::end_message(message, &End::Completed, now);
            }
            machine::end_step(&mut work.step, &End::Completed, now);
            work.step.usage = Some(usage);
            self.close(work);
        }
    }

    /// When the growing message is to be stored, if it has grown.
    fn checkpoint_due(&self, turn: &Turn) -> Option<Instant> {
        let pause = if self.live.is_followed_elsewhere() { FOLLOWED_CHECKPOINT } else { CHECKPOINT };
        turn.grew.then(|| turn.stored_at + pause)
    }

    async fn checkpoint(&mut self, turn: &mut Turn) -> Result<(), Stop> {
        if self.checkpoint_due(turn).is_none_or(|due| due > Instant::now()) {
            return Ok(());
        }
        let Some(Work { message: Some(message), .. }) = self.open.clone() else { return Ok(()) };
        self.store(Change::Message(&message)).await?;
        turn.stored_at = Instant::now();
        turn.grew = false;
        Ok(())
    }

    /// The model is done. What it was asked to call waits in an open step; what it said is complete.
    async fn end_turn(&mut self, mut turn: Turn) -> Result<(), Stop> {
        let usage = self.turn_usage(&turn);
        if self.open.is_none() {
            Box::pin(self.open_message(&mut turn)).await?;
            let held = std::mem::take(&mut turn.held);
            self.say(&mut turn, &held);
        }
        let Some(work) = &mut self.open else { return Ok(()) };
        work.step.usage = Some(usage);
        match (turn.finish, &mut work.message) {
            (Some(ChatFinish::Length), Some(_)) => {
                Err(Stop::End(End::Incomplete(IncompleteRunReason::MaxCompletionTokens)))
            }
            (Some(ChatFinish::Length), None) => self.drop_cut_calls(IncompleteRunReason::MaxCompletionTokens),
            (Some(ChatFinish::ContentFilter), Some(message)) => {
                machine::end_filtered(message, self.engine.clock.seconds());
                self.complete_message(&mut turn, usage);
                Ok(())
            }
            (_, Some(_)) => {
                self.link_files(&mut turn).await?;
                self.complete_message(&mut turn, usage);
                Ok(())
            }
            (_, None) => self.end_calls(&mut turn),
        }
    }

    fn turn_usage(&self, turn: &Turn) -> Usage {
        let usage = turn.usage.unwrap_or_else(|| {
            tracing::info!(run.id = %self.run.id, "the upstream gave no token counts for run `{}`: estimated", self.run.id);
            turn.estimate
        });
        Usage::new(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, usage.reasoning_tokens)
    }
}

/// A file that code wrote belongs to the message that links it.
fn attach(message: &mut Message, file_id: &str) {
    if message.attachments.iter().all(|attachment| attachment.file_id != file_id) {
        let tools = vec![AttachmentTool::CodeInterpreter {}];
        message.attachments.push(Attachment { file_id: file_id.to_owned(), tools });
    }
}

fn size(request: &ChatRequest) -> u64 {
    let part = |part: &ChatPart| match part {
        ChatPart::Text { text } => tokens::estimate(text),
        ChatPart::ImageUrl { .. } => IMAGE_TOKENS,
    };
    let message = |message: &ChatMessage| match message {
        ChatMessage::User { content: ChatContent::Parts(parts) } => parts.iter().map(part).sum(),
        ChatMessage::User { content: ChatContent::Text(_) }
        | ChatMessage::System { .. }
        | ChatMessage::Assistant { .. }
        | ChatMessage::Tool { .. } => {
            serde_json::to_string(message).map_or(0, |message| tokens::estimate(&message))
        }
    };
    request.messages.iter().map(message).sum()
}
