//! One turn of the model: its deltas become a message, or calls, or first the one and then the other.

use std::time::Duration;

use adjutant_wire::events::{CallDelta, CallGrowth, Event, PartDelta, PartGrowth};
use adjutant_wire::messages::{Content, Message, MessageStatus, Role};
use adjutant_wire::runs::{IncompleteRunReason, RunStatus, Usage};
use adjutant_wire::steps::{
    CalledTool, FunctionCall, MessageCreation, Step, StepDetails, StepKind, StepStatus, ToolCall,
};
use adjutant_wire::{Metadata, StepId};
use tokio::time::Instant;

use super::executor::{Executor, Stop, Work, failed};
use super::machine::{self, End};
use super::prompt::{self, Room};
use super::tokens;
use crate::ids::fresh;
use crate::tools::functions;
use crate::upstream::chat::{ChatDelta, ChatFinish, ChatRequest, ChatUsage};
use crate::upstream::{Answer, UpstreamFault};

/// A growing message is stored this often, so that not much of a long answer is unknown to the store.
const CHECKPOINT: Duration = Duration::from_secs(2);

/// What a turn has brought so far, beside the step that is open.
struct Turn {
    /// White space before the first word: it opens no message, since some models put it before calls.
    held: String,
    finish: Option<ChatFinish>,
    usage: Option<ChatUsage>,
    /// About what was read and written, should the upstream not say.
    estimate: ChatUsage,
    stored_at: Instant,
    /// Whether the open message grew since then.
    grew: bool,
}

impl From<UpstreamFault> for Stop {
    fn from(fault: UpstreamFault) -> Self {
        Self::End(End::Failed(fault.into_last_error()))
    }
}

impl Executor {
    /// Gives the model its turn.
    pub(super) async fn ask_model(&mut self) -> Result<(), Stop> {
        let request = self.prompt().await?;
        let mut turn = Turn {
            held: String::new(),
            finish: None,
            usage: None,
            estimate: ChatUsage { prompt_tokens: size(&request), ..ChatUsage::default() },
            stored_at: Instant::now(),
            grew: false,
        };
        let time_left = self.time_left();
        let asking = self.engine.upstreams.ask(request);
        let mut answer = tokio::select! {
            biased;
            _ = self.changed.changed() => return Err(Stop::Changed),
            () = tokio::time::sleep(time_left) => return Err(Stop::End(End::Expired)),
            answer = asking => answer?,
        };
        while let Some(deltas) = self.listen(&mut answer).await? {
            for delta in deltas {
                self.take(&mut turn, delta).await?;
            }
            self.listener.flush().await;
            self.live.show(self.open.as_ref());
            self.checkpoint(&mut turn).await?;
        }
        self.end_turn(turn).await
    }

    async fn prompt(&mut self) -> Result<ChatRequest, Stop> {
        let context_tokens = self.engine.upstreams.context_tokens(&self.run.model).await;
        let used = self.usage();
        let left = |most: Option<u64>, used: u64| most.map(|most| most.saturating_sub(used));
        let room = Room {
            context_tokens,
            prompt_tokens: left(self.run.max_prompt_tokens, used.prompt_tokens),
            completion_tokens: left(self.run.max_completion_tokens, used.completion_tokens),
        };
        let mut store = self.engine.store.read(self.lease.project()).await?;
        prompt::build(&mut store, &self.run, self.steps.is_empty(), room).await?.map_err(Stop::End)
    }

    async fn listen(&mut self, answer: &mut Answer) -> Result<Option<Vec<ChatDelta>>, Stop> {
        loop {
            let time_left = self.time_left();
            tokio::select! {
                biased;
                _ = self.changed.changed() => return Err(Stop::Changed),
                () = tokio::time::sleep(time_left) => return Err(Stop::End(End::Expired)),
                () = self.live.attached() => self.live.show(self.open.as_ref()),
                deltas = answer.next() => return Ok(deltas?),
            }
        }
    }

    async fn take(&mut self, turn: &mut Turn, delta: ChatDelta) -> Result<(), Stop> {
        match delta {
            ChatDelta::Text(text) => self.take_text(turn, text).await,
            ChatDelta::Refusal(text) => self.take_refusal(turn, &text).await,
            ChatDelta::ToolCall { index, name, arguments, id: _ } => {
                self.take_call(turn, index, name, &arguments).await
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
                self.open_message(turn).await?;
                let text = std::mem::take(&mut turn.held) + &text;
                self.grow_text(turn, &text);
                Ok(())
            }
            Some(Work { message: Some(_), .. }) => {
                self.grow_text(turn, &text);
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
            self.open_message(turn).await?;
        }
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

    fn grow_text(&mut self, turn: &mut Turn, text: &str) {
        let Some(Work { message: Some(message), .. }) = &mut self.open else { return };
        let first = !matches!(message.content.last(), Some(Content::Text { .. }));
        if first {
            message.content.push(Content::text(""));
        }
        if let Some(Content::Text { text: part }) = message.content.last_mut() {
            part.value.push_str(text);
        }
        turn.grew = true;
        let index = message.content.len() - 1;
        let delta = PartDelta { index, first, growth: PartGrowth::Text(text, &[]) };
        self.listener.emit(&Event::MessageDelta(&message.id, delta));
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
        let mut tx = self.hold().await?;
        tx.add_step(&self.lease, &step, position).await?;
        tx.add_run_message(&self.lease, &message, position + 1).await?;
        self.commit(tx).await?;
        self.next_position += 2;
        self.announce_step(&step);
        self.listener.emit(&Event::MessageCreated(&message));
        self.listener.emit(&Event::Message(&message));
        self.open = Some(Work { step, message: Some(message) });
        turn.stored_at = Instant::now();
        Ok(())
    }

    async fn open_calls(&mut self) -> Result<(), Stop> {
        let now = self.engine.clock.seconds();
        let details = StepDetails::ToolCalls { tool_calls: Vec::new() };
        let step = self.new_step(StepKind::ToolCalls, details, now);
        let mut tx = self.hold().await?;
        tx.add_step(&self.lease, &step, self.next_position).await?;
        self.commit(tx).await?;
        self.next_position += 1;
        self.announce_step(&step);
        self.open = Some(Work { step, message: None });
        Ok(())
    }

    fn announce_step(&mut self, step: &Step) {
        self.listener.emit(&Event::StepCreated(step));
        self.listener.emit(&Event::Step(step));
    }

    /// A transaction in which the lease is known to hold and the run to be at work.
    async fn hold(&mut self) -> Result<crate::store::Writing, Stop> {
        let mut tx = self.transaction().await?;
        match tx.hold(&self.lease).await? {
            Some(RunStatus::InProgress) => Ok(tx),
            Some(_) | None => Err(Stop::Changed),
        }
    }

    fn new_step(&self, kind: StepKind, step_details: StepDetails, now: i64) -> Step {
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

    async fn take_call(
        &mut self,
        turn: &mut Turn,
        index: usize,
        name: Option<String>,
        arguments: &str,
    ) -> Result<(), Stop> {
        turn.estimate.completion_tokens += tokens::estimate(arguments);
        if index > 0 && !self.run.parallel_tool_calls {
            // Not every upstream keeps to one call a turn when it is told to.
            tracing::debug!(run.id = %self.run.id, "a call beside the one that the run allows was dropped");
            return Ok(());
        }
        if !matches!(&self.open, Some(Work { message: None, .. })) {
            self.refuse_unknown(name.as_deref())?;
            self.complete_message(Usage::default());
            self.open_calls().await?;
        }
        let known = self.open_tool_calls().len();
        if index > known {
            return Err(Stop::End(failed("The model's server numbered the calls of its answer wrongly.")));
        }
        if index == known {
            self.refuse_unknown(name.as_deref())?;
            self.begin_call(index, name.unwrap_or_default());
        }
        if !arguments.is_empty() {
            self.grow_call(index, arguments);
        }
        Ok(())
    }

    fn open_tool_calls(&mut self) -> &mut [ToolCall] {
        match &mut self.open {
            Some(Work { step: Step { step_details: StepDetails::ToolCalls { tool_calls }, .. }, .. }) => {
                tool_calls
            }
            Some(_) | None => &mut [],
        }
    }

    fn refuse_unknown(&self, name: Option<&str>) -> Result<(), Stop> {
        match name {
            Some(name) if functions::has(&self.run.tools, name) => Ok(()),
            Some(name) => {
                Err(Stop::End(failed(format!("The model called `{name}`, which this run does not have."))))
            }
            None => Err(Stop::End(failed("The model called a function without saying which."))),
        }
    }

    fn begin_call(&mut self, index: usize, name: String) {
        let Some(Work { step, .. }) = &mut self.open else { return };
        let StepDetails::ToolCalls { tool_calls } = &mut step.step_details else { return };
        // Ids of ours: upstreams give the same ones again in another turn, and the model is shown ours.
        let id = fresh();
        let growth = CallGrowth::Function { id: &id, name: &name };
        self.listener.emit(&Event::StepDelta(&step.id, CallDelta { index, growth }));
        let function = FunctionCall { name, arguments: String::new(), output: None };
        tool_calls.push(ToolCall { id, tool: CalledTool::Function { function } });
    }

    fn grow_call(&mut self, index: usize, more: &str) {
        let Some(Work { step, .. }) = &mut self.open else { return };
        let StepDetails::ToolCalls { tool_calls } = &mut step.step_details else { return };
        if let Some(ToolCall { tool: CalledTool::Function { function }, .. }) = tool_calls.get_mut(index) {
            function.arguments.push_str(more);
            self.listener
                .emit(&Event::StepDelta(&step.id, CallDelta { index, growth: CallGrowth::Arguments(more) }));
        }
    }

    /// Completes the message that is open, if one is.
    fn complete_message(&mut self, usage: Usage) {
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

    async fn checkpoint(&mut self, turn: &mut Turn) -> Result<(), Stop> {
        if !turn.grew || turn.stored_at.elapsed() < CHECKPOINT {
            return Ok(());
        }
        let Some(Work { message: Some(message), .. }) = self.open.clone() else { return Ok(()) };
        let mut tx = self.hold().await?;
        tx.update_message(&message).await?;
        self.commit(tx).await?;
        turn.stored_at = Instant::now();
        turn.grew = false;
        Ok(())
    }

    /// The model is done. What it was asked to call waits in an open step; what it said is complete.
    async fn end_turn(&mut self, mut turn: Turn) -> Result<(), Stop> {
        let usage = self.turn_usage(&turn);
        if self.open.is_none() {
            // A message has at least one delta, or SDKs fail on it (contract §6).
            self.open_message(&mut turn).await?;
            let held = std::mem::take(&mut turn.held);
            self.grow_text(&mut turn, &held);
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
                self.complete_message(usage);
                Ok(())
            }
            (_, Some(_)) => {
                self.complete_message(usage);
                Ok(())
            }
            (_, None) => self.end_calls(),
        }
    }

    /// The token limit fell into a call: what there is of it cannot be answered.
    fn drop_cut_calls(&mut self, reason: IncompleteRunReason) -> Result<(), Stop> {
        let now = self.engine.clock.seconds();
        if let Some(mut work) = self.open.take() {
            machine::end_step(
                &mut work.step,
                &failed("The model reached its token limit within a call."),
                now,
            );
            self.close(work);
        }
        Err(Stop::End(End::Incomplete(reason)))
    }

    /// Checks the calls. The step stays in progress until the client has answered it.
    fn end_calls(&mut self) -> Result<(), Stop> {
        for index in 0..self.open_tool_calls().len() {
            let Some(ToolCall { tool: CalledTool::Function { function }, .. }) =
                self.open_tool_calls().get(index)
            else {
                continue;
            };
            if function.arguments.trim().is_empty() {
                // Some models write nothing for a function without parameters.
                self.grow_call(index, "{}");
            } else if !functions::are_arguments(&function.arguments) {
                let message = format!(
                    "The model called `{}` with arguments that are not a JSON object.",
                    function.name
                );
                return Err(Stop::End(failed(message)));
            }
        }
        if let Some(work) = self.open.take() {
            self.close(work);
        }
        Ok(())
    }

    fn turn_usage(&self, turn: &Turn) -> Usage {
        let usage = turn.usage.unwrap_or_else(|| {
            tracing::info!(run.id = %self.run.id, "the upstream gave no token counts for run `{}`: estimated", self.run.id);
            turn.estimate
        });
        Usage::new(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, usage.reasoning_tokens)
    }
}

fn size(request: &ChatRequest) -> u64 {
    serde_json::to_string(&request.messages).map_or(0, |messages| tokens::estimate(&messages))
}
