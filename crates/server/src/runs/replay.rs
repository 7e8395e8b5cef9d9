//! A run's events, made again from what is stored of it, from any point on. Pure: the store and the worker
//! say what there is, this says what has not been told yet.
//!
//! An event's id is `STEP.STAGE`: 0 for what comes before the first step, then 1 and on. A client that lost
//! its stream within a step hears that step again from its beginning, what was said so far in one delta, so
//! that the accumulators of SDKs, which begin anew with each stream, add up.

use adjutant_wire as wire;
use adjutant_wire::events::{CallDelta, CallGrowth, Event, PartDelta, PartGrowth};
use adjutant_wire::messages::{Content, ImageFile, Message, MessageStatus};
use adjutant_wire::runs::{Run, RunStatus};
use adjutant_wire::steps::{
    CalledTool, CodeInterpreterOutput, Include, Step, StepDetails, StepStatus, ToolCall,
};
use adjutant_wire::threads::Thread;

use super::executor::{Work, failed};
use super::machine;
use super::pipe::FULL_BYTES;
use super::told::{Told, ToldPart, stage};

/// How events are told.
#[derive(Clone, Copy, Debug)]
pub struct Telling {
    /// What is shown of steps.
    pub include: Include,
    /// Whether each event has its id.
    pub ids: bool,
}

/// What there is of a run.
pub(super) struct Known {
    pub(super) run: Run,
    /// When it was to expire, also where it has ended since.
    pub(super) expires_at: wire::UnixSeconds,
    /// Its steps, oldest first, each with the message that it writes.
    pub(super) work: Vec<Work>,
    /// The time, should a step have been lost meanwhile.
    pub(super) lost_at: wire::UnixSeconds,
}

/// Appends the event that a thread was created for the run, which comes before all others. Whoever heard no
/// more than that goes on at the run's beginning.
pub(super) fn tell_thread(thread: &Thread, telling: Telling, frames: &mut Vec<u8>) {
    write(&Told::default(), &Event::ThreadCreated(thread), telling, frames);
}

/// Appends that the stream ends here, though the run does not.
pub(super) fn tell_interruption(told: &Told, error: &wire::Error, telling: Telling, frames: &mut Vec<u8>) {
    write(told, &Event::Error(error), telling, frames);
    write(told, &Event::Done, telling, frames);
}

/// What is to be done once something was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The stream is over: the run has ended, or waits for its client.
    End,
    /// There is more to be told, once this was read.
    GoOn,
    /// Everything was told; it changes.
    Wait,
}

/// Appends events that can be told and have not been: all of them, or as many as a client is told at once.
///
/// `before` is what was known when it was last told.
pub(super) fn tell(
    known: &Known,
    before: Option<&Known>,
    told: &mut Told,
    telling: Telling,
    frames: &mut Vec<u8>,
) -> Then {
    let mut teller = Teller { known, before, told, telling, frames, has_more: false };
    teller.preamble();
    if teller.steps() || teller.end() {
        Then::End
    } else if teller.has_more {
        Then::GoOn
    } else {
        Then::Wait
    }
}

fn write(told: &Told, event: &Event<'_>, telling: Telling, frames: &mut Vec<u8>) {
    if telling.ids {
        let id = format!("id: {}.{}\n", told.step, told.stage);
        frames.extend_from_slice(id.as_bytes());
    }
    event.write_to(frames, telling.include);
}

struct Teller<'a> {
    known: &'a Known,
    before: Option<&'a Known>,
    told: &'a mut Told,
    telling: Telling,
    frames: &'a mut Vec<u8>,
    /// Whether something was left out, since what is told at once is enough.
    has_more: bool,
}

impl Teller<'_> {
    fn event(&mut self, event: &Event<'_>) {
        write(self.told, event, self.telling, self.frames);
    }

    fn preamble(&mut self) {
        if self.told.step > 0 {
            return;
        }
        if self.told.stage == stage::CREATED {
            let queued = self.run_as(RunStatus::Queued);
            self.event(&Event::RunCreated(&queued));
            self.told.stage = stage::BEGUN;
            self.event(&Event::Run(&queued));
        }
        if self.known.run.status == RunStatus::Queued {
            return;
        }
        self.told.stage = stage::GROWING;
        self.event(&Event::Run(&self.run_as(RunStatus::InProgress)));
        self.next_step();
    }

    fn next_step(&mut self) {
        *self.told = Told { step: self.told.step + 1, ..Told::default() };
    }

    /// The run as it was in an earlier state.
    fn run_as(&self, status: RunStatus) -> Run {
        let run = &self.known.run;
        Run {
            status,
            started_at: run.started_at.filter(|_| status != RunStatus::Queued || self.told.step > 0),
            expires_at: Some(self.known.expires_at),
            cancelled_at: None,
            failed_at: None,
            completed_at: None,
            required_action: None,
            last_error: None,
            incomplete_details: None,
            usage: None,
            ..run.clone()
        }
    }

    /// True where the run waits for its client, and the stream ends for that.
    fn steps(&mut self) -> bool {
        while self.told.step > 0 {
            if self.frames.len() >= FULL_BYTES {
                self.has_more = true;
                return false;
            }
            let work = self.known.work.get(self.told.step - 1);
            if self.told.id.is_some() && self.told.id.as_ref() != work.map(|work| &work.step.id) {
                self.end_lost();
            }
            let Some(work) = work else { return false };
            self.told.id = Some(work.step.id.clone());
            let waits = match (&work.step.step_details, &work.message) {
                (StepDetails::MessageCreation { .. }, Some(message)) => {
                    self.begin_step(&work.step);
                    self.message(message);
                    false
                }
                // The message was deleted since; its step is still told of.
                (StepDetails::MessageCreation { .. }, None) => {
                    self.begin_step(&work.step);
                    false
                }
                (StepDetails::ToolCalls { tool_calls }, _) => {
                    self.begin_step(&work.step);
                    self.calls(&work.step, tool_calls)
                }
            };
            if waits {
                return true;
            }
            if self.has_more || !self.end_step(&work.step) {
                return false;
            }
        }
        false
    }

    /// The worker died within this step, and another one does it again, as another step: what was told of it does
    /// not count, and its client hears that it failed.
    fn end_lost(&mut self) {
        let again = Told { step: self.told.step, ..Told::default() };
        let told = std::mem::replace(self.told, again);
        let lost = self.before.and_then(|before| before.work.get(told.step - 1));
        let Some(lost) = lost.filter(|lost| told.id.as_ref() == Some(&lost.step.id)) else { return };
        let end = failed("The server that was doing this step was lost. Another one does it again.");
        let at = self.known.lost_at;
        if let Some(message) = &lost.message
            && (stage::MESSAGE_CREATED..stage::MESSAGE_ENDED).contains(&told.stage)
        {
            let mut message = message.clone();
            machine::end_message(&mut message, &end, at);
            self.event(&Event::Message(&message));
        }
        if (stage::BEGUN..stage::ENDED).contains(&told.stage) {
            let mut step = lost.step.clone();
            machine::end_step(&mut step, &end, at);
            self.event(&Event::Step(&step));
        }
    }

    fn begin_step(&mut self, step: &Step) {
        if self.told.stage > stage::CREATED {
            return;
        }
        let begun = as_begun(step, self.known.expires_at);
        self.event(&Event::StepCreated(&begun));
        self.told.stage = stage::BEGUN;
        self.event(&Event::Step(&begun));
    }

    fn message(&mut self, message: &Message) {
        if self.told.stage < stage::MESSAGE_CREATED {
            self.told.stage = stage::MESSAGE_CREATED;
            let begun = Message {
                status: MessageStatus::InProgress,
                content: Vec::new(),
                attachments: Vec::new(),
                completed_at: None,
                incomplete_at: None,
                incomplete_details: None,
                ..message.clone()
            };
            self.event(&Event::MessageCreated(&begun));
            self.event(&Event::Message(&begun));
        }
        if self.told.stage <= stage::GROWING {
            self.told.stage = stage::GROWING;
            for (index, part) in message.content.iter().enumerate() {
                self.part(message, index, part);
                if self.has_more {
                    return;
                }
            }
            if message.status != MessageStatus::InProgress {
                self.told.stage = stage::MESSAGE_ENDED;
                self.event(&Event::Message(message));
            }
        }
    }

    fn part(&mut self, message: &Message, index: usize, part: &Content) {
        let (whole, annotations) = match part {
            Content::Text { text } => (&text.value, Some(text.annotations.as_slice())),
            Content::Refusal { refusal } => (refusal, None),
            Content::ImageFile { image_file } => return self.image(message, index, image_file),
            Content::ImageUrl { .. } => return,
        };
        let marked = self.told.parts.get(index).map_or(0, |part| part.annotations);
        let has_new_marks = annotations.is_some_and(|all| all.len() > marked);
        let (first, new) = match self.new_text(index, whole) {
            Some(growth) => growth,
            // Links are marked once their text is whole, and was told.
            None if has_new_marks => (false, ""),
            None => return,
        };
        let growth = match annotations {
            // They come with the last of the text.
            Some(_) if self.has_more => PartGrowth::Text { value: new, annotations: &[], marked: 0 },
            Some(all) => {
                if let Some(part) = self.told.parts.get_mut(index) {
                    part.annotations = all.len();
                }
                PartGrowth::Text { value: new, annotations: all.get(marked..).unwrap_or_default(), marked }
            }
            None => PartGrowth::Refusal(new),
        };
        self.event(&Event::MessageDelta(&message.id, PartDelta { index, first, growth }));
    }

    fn image(&mut self, message: &Message, index: usize, image: &ImageFile) {
        if self.new_text(index, "").is_some() {
            let delta = PartDelta { index, first: true, growth: PartGrowth::Image(image) };
            self.event(&Event::MessageDelta(&message.id, delta));
        }
    }

    /// What is new of a text that grows, and whether it is its first piece.
    fn new_text<'t>(&mut self, index: usize, whole: &'t str) -> Option<(bool, &'t str)> {
        let first = index >= self.told.parts.len();
        if first {
            self.told.parts.push(ToldPart::default());
        }
        let told = self.told.parts.get_mut(index)?;
        let rest = whole.get(told.bytes..)?;
        let new = rest.get(..rest.floor_char_boundary(FULL_BYTES))?;
        told.bytes += new.len();
        self.has_more |= new.len() < rest.len();
        (first || !new.is_empty()).then_some((first, new))
    }

    /// Tells of calls, and of the run that waits for them: true if that is where it stands.
    fn calls(&mut self, step: &Step, calls: &[ToolCall]) -> bool {
        if self.told.stage <= stage::GROWING {
            self.told.stage = stage::GROWING;
            for (index, call) in calls.iter().enumerate() {
                self.call(step, index, call);
                if self.has_more {
                    return false;
                }
            }
        }
        if self.told.stage < stage::WAITING && step.status == StepStatus::InProgress {
            if self.known.run.status != RunStatus::RequiresAction {
                return false;
            }
            self.told.stage = stage::WAITING;
            let run = self.known.run.clone();
            self.event(&Event::Run(&run));
            self.event(&Event::Done);
            return true;
        }
        let waits =
            step.status == StepStatus::InProgress && self.known.run.status == RunStatus::RequiresAction;
        if waits {
            // It knew that already; but a stream without the state that it ends in would puzzle SDKs.
            let run = self.known.run.clone();
            self.event(&Event::Run(&run));
            self.event(&Event::Done);
        }
        waits
    }

    fn call(&mut self, step: &Step, index: usize, call: &ToolCall) {
        let (arguments, first_growth) = match &call.tool {
            CalledTool::Function { function } => {
                (function.arguments.as_str(), CallGrowth::Function { id: &call.id, name: &function.name })
            }
            CalledTool::FileSearch { file_search } => {
                ("", CallGrowth::FileSearch { id: &call.id, ranking_options: &file_search.ranking_options })
            }
            CalledTool::CodeInterpreter { code_interpreter } => {
                (code_interpreter.input.as_str(), CallGrowth::CodeInterpreter { id: &call.id })
            }
        };
        let program = match &call.tool {
            CalledTool::CodeInterpreter { code_interpreter } => Some(code_interpreter),
            CalledTool::Function { .. } | CalledTool::FileSearch { .. } => None,
        };
        if let Some((first, new)) = self.new_text(index, arguments) {
            if first {
                self.event(&Event::StepDelta(&step.id, CallDelta { index, growth: first_growth }));
            }
            if !new.is_empty() {
                let growth =
                    if program.is_some() { CallGrowth::Code(new) } else { CallGrowth::Arguments(new) };
                self.event(&Event::StepDelta(&step.id, CallDelta { index, growth }));
            }
        }
        if self.has_more {
            return;
        }
        for (place, output) in program.iter().flat_map(|program| program.outputs.iter().enumerate()) {
            self.output(step, index, place, output);
        }
    }

    /// Tells what is new of one of a program's outputs.
    fn output(&mut self, step: &Step, index: usize, place: usize, output: &CodeInterpreterOutput) {
        let Some(told) = self.told.parts.get_mut(index) else { return };
        if place < told.outputs {
            return;
        }
        if place > told.outputs {
            (told.outputs, told.output_bytes) = (place, 0);
        }
        let new = match output {
            CodeInterpreterOutput::Logs { logs } => {
                let new = logs.get(told.output_bytes..).unwrap_or_default().to_owned();
                // A program that is run again after a crash begins with less than was told of it.
                told.output_bytes = told.output_bytes.max(logs.len());
                if new.is_empty() {
                    return;
                }
                CodeInterpreterOutput::Logs { logs: new }
            }
            CodeInterpreterOutput::Image { .. } => {
                told.outputs = place + 1;
                told.output_bytes = 0;
                output.clone()
            }
        };
        let growth = CallGrowth::CodeOutput { index: place, output: &new };
        self.event(&Event::StepDelta(&step.id, CallDelta { index, growth }));
    }

    /// False where the step goes on.
    fn end_step(&mut self, step: &Step) -> bool {
        if step.status == StepStatus::InProgress {
            return false;
        }
        if self.told.stage < stage::ENDED {
            self.told.stage = stage::ENDED;
            self.event(&Event::Step(step));
        }
        let resumed = self.told.waited
            && step.status == StepStatus::Completed
            && matches!(step.step_details, StepDetails::ToolCalls { .. })
            && self.told.stage < stage::RESUMED;
        if resumed {
            self.told.stage = stage::QUEUED_AGAIN;
            self.event(&Event::Run(&self.run_as(RunStatus::Queued)));
            self.told.stage = stage::RESUMED;
            self.event(&Event::Run(&self.run_as(RunStatus::InProgress)));
        }
        self.next_step();
        true
    }

    fn end(&mut self) -> bool {
        let run = self.known.run.clone();
        let all_told = self.told.step > self.known.work.len();
        if !run.status.is_terminal() || !all_told {
            return false;
        }
        self.event(&Event::Run(&run));
        self.event(&Event::Done);
        true
    }
}

fn as_begun(step: &Step, expires_at: wire::UnixSeconds) -> Step {
    let step_details = match &step.step_details {
        StepDetails::ToolCalls { .. } => StepDetails::ToolCalls { tool_calls: Vec::new() },
        written @ StepDetails::MessageCreation { .. } => written.clone(),
    };
    Step {
        status: StepStatus::InProgress,
        cancelled_at: None,
        completed_at: None,
        expires_at: Some(expires_at),
        failed_at: None,
        expired_at: None,
        last_error: None,
        usage: None,
        step_details,
        ..step.clone()
    }
}
