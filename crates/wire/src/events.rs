//! The events of a stream, and how they look on the wire.

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::error::{Error, Inner};
use crate::messages::{Annotation, ImageFile, Message};
use crate::runs::{Run, RunStatus};
use crate::steps::{CodeInterpreterOutput, Include, Step, StepStatus, UsedRanking};
use crate::threads::Thread;
use crate::{CallId, MessageId, StepId};

/// One event. Its data is the bare object, without a `type` (contract §6).
#[derive(Debug)]
pub enum Event<'a> {
    /// Only on `POST /threads/runs`.
    ThreadCreated(&'a Thread),
    /// The run was created; says `queued`.
    RunCreated(&'a Run),
    /// The run came to its present status.
    Run(&'a Run),
    /// A step was created.
    StepCreated(&'a Step),
    /// A step came to its present status.
    Step(&'a Step),
    /// A tool call grew.
    StepDelta(&'a StepId, CallDelta<'a>),
    /// A message was created; its content is empty.
    MessageCreated(&'a Message),
    /// A message came to its present status.
    Message(&'a Message),
    /// A message grew.
    MessageDelta(&'a MessageId, PartDelta<'a>),
    /// The stream itself came to a fault.
    Error(&'a Error),
    /// The end.
    Done,
}

/// How a tool call grew.
#[derive(Debug)]
pub struct CallDelta<'a> {
    /// Which call of the step, from 0.
    pub index: usize,
    /// What is new.
    pub growth: CallGrowth<'a>,
}

/// What is new in a tool call.
#[derive(Debug)]
pub enum CallGrowth<'a> {
    /// The first delta: its constants, sent this once.
    Function {
        /// The call's id.
        id: &'a CallId,
        /// The function's name.
        name: &'a str,
    },
    /// More of the arguments.
    Arguments(&'a str),
    /// The only delta of a search: what it finds comes with the step's end (recorded).
    FileSearch {
        /// The call's id.
        id: &'a CallId,
        /// How results will be ranked.
        ranking_options: &'a UsedRanking,
    },
    /// The first delta of a program.
    CodeInterpreter {
        /// The call's id.
        id: &'a CallId,
    },
    /// More of the program.
    Code(&'a str),
    /// More of what the program gives.
    CodeOutput {
        /// Which of its outputs.
        index: usize,
        /// More text of it, or the image.
        output: &'a CodeInterpreterOutput,
    },
}

/// How a part of a message grew.
#[derive(Debug)]
pub struct PartDelta<'a> {
    /// Which part, from 0.
    pub index: usize,
    /// Whether this is the part's first delta.
    pub first: bool,
    /// What is new.
    pub growth: PartGrowth<'a>,
}

/// What is new in a part of a message.
#[derive(Debug)]
pub enum PartGrowth<'a> {
    /// More text, and the marks in it.
    Text {
        /// The text.
        value: &'a str,
        /// What is marked in it.
        annotations: &'a [Annotation],
        /// How many marks the part had before.
        marked: usize,
    },
    /// More of a refusal.
    Refusal(&'a str),
    /// An image, by its file: the only delta of its part.
    Image(&'a ImageFile),
}

impl<'a> PartGrowth<'a> {
    /// More text, with nothing marked in it.
    pub fn text(value: &'a str) -> Self {
        Self::Text { value, annotations: &[], marked: 0 }
    }
}

impl Event<'_> {
    /// The event's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ThreadCreated(_) => "thread.created",
            Self::RunCreated(_) => "thread.run.created",
            Self::Run(run) => run_event(run.status),
            Self::StepCreated(_) => "thread.run.step.created",
            Self::Step(step) => step_event(step.status),
            Self::StepDelta(..) => "thread.run.step.delta",
            Self::MessageCreated(_) => "thread.message.created",
            Self::Message(message) => message_event(message.status),
            Self::MessageDelta(..) => "thread.message.delta",
            Self::Error(_) => "error",
            Self::Done => "done",
        }
    }

    /// Appends the event as a server-sent event: `event: …`, `data: …`, a blank line. JSON has no line
    /// breaks, so one `data:` line is enough. Steps show what the client included.
    pub fn write_to(&self, frames: &mut Vec<u8>, include: Include) {
        frames.extend_from_slice(b"event: ");
        frames.extend_from_slice(self.name().as_bytes());
        frames.extend_from_slice(b"\ndata: ");
        let start = frames.len();
        let written = match self {
            Self::ThreadCreated(thread) => serde_json::to_writer(&mut *frames, thread),
            Self::RunCreated(run) | Self::Run(run) => serde_json::to_writer(&mut *frames, run),
            Self::StepCreated(step) | Self::Step(step) => {
                serde_json::to_writer(&mut *frames, &Step::clone(step).shown(include))
            }
            Self::StepDelta(id, delta) => serde_json::to_writer(&mut *frames, &StepDeltaBody(id, delta)),
            Self::MessageCreated(message) | Self::Message(message) => {
                serde_json::to_writer(&mut *frames, message)
            }
            Self::MessageDelta(id, delta) => {
                serde_json::to_writer(&mut *frames, &MessageDeltaBody(id, delta))
            }
            Self::Error(error) => serde_json::to_writer(&mut *frames, &ErrorBody(error)),
            Self::Done => {
                frames.extend_from_slice(b"[DONE]");
                Ok(())
            }
        };
        // Our types hold string keys and finite numbers only, which always serialise; should one not, the
        // frame stays well-formed.
        if written.is_err() {
            frames.truncate(start);
            frames.extend_from_slice(b"{}");
        }
        frames.extend_from_slice(b"\n\n");
    }
}

fn run_event(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Queued => "thread.run.queued",
        RunStatus::InProgress => "thread.run.in_progress",
        RunStatus::RequiresAction => "thread.run.requires_action",
        RunStatus::Cancelling => "thread.run.cancelling",
        RunStatus::Cancelled => "thread.run.cancelled",
        RunStatus::Failed => "thread.run.failed",
        RunStatus::Completed => "thread.run.completed",
        RunStatus::Incomplete => "thread.run.incomplete",
        RunStatus::Expired => "thread.run.expired",
    }
}

fn step_event(status: StepStatus) -> &'static str {
    match status {
        StepStatus::InProgress => "thread.run.step.in_progress",
        StepStatus::Cancelled => "thread.run.step.cancelled",
        StepStatus::Failed => "thread.run.step.failed",
        StepStatus::Completed => "thread.run.step.completed",
        StepStatus::Expired => "thread.run.step.expired",
    }
}

fn message_event(status: crate::messages::MessageStatus) -> &'static str {
    use crate::messages::MessageStatus;
    match status {
        MessageStatus::InProgress => "thread.message.in_progress",
        MessageStatus::Completed => "thread.message.completed",
        MessageStatus::Incomplete => "thread.message.incomplete",
    }
}

/// An object with one key, for the nests of delta events.
struct One<'a, T>(&'static str, &'a T);

impl<T: Serialize> Serialize for One<'_, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut object = to.serialize_struct("One", 1)?;
        object.serialize_field(self.0, self.1)?;
        object.end()
    }
}

struct MessageDeltaBody<'a>(&'a MessageId, &'a PartDelta<'a>);

impl Serialize for MessageDeltaBody<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut body = to.serialize_struct("MessageDelta", 3)?;
        body.serialize_field("id", self.0)?;
        body.serialize_field("object", "thread.message.delta")?;
        body.serialize_field("delta", &One("content", &[self.1]))?;
        body.end()
    }
}

impl Serialize for PartDelta<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut part = to.serialize_struct("PartDelta", 3)?;
        part.serialize_field("index", &self.index)?;
        match self.growth {
            PartGrowth::Text { value, annotations, marked } => {
                let text = TextGrowth { value, annotations, marked, first: self.first };
                part.serialize_field("type", "text")?;
                part.serialize_field("text", &text)?;
            }
            PartGrowth::Refusal(refusal) => {
                part.serialize_field("type", "refusal")?;
                part.serialize_field("refusal", refusal)?;
            }
            PartGrowth::Image(image) => {
                part.serialize_field("type", "image_file")?;
                part.serialize_field("image_file", image)?;
            }
        }
        part.end()
    }
}

struct TextGrowth<'a> {
    value: &'a str,
    annotations: &'a [Annotation],
    marked: usize,
    first: bool,
}

impl Serialize for TextGrowth<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let annotated = self.first || !self.annotations.is_empty();
        let mut text = to.serialize_struct("TextGrowth", 2)?;
        text.serialize_field("value", self.value)?;
        if annotated {
            let numbered = self.annotations.iter().enumerate();
            let numbered = numbered.map(|(at, annotation)| Numbered { index: self.marked + at, annotation });
            text.serialize_field("annotations", &numbered.collect::<Vec<_>>())?;
        }
        text.end()
    }
}

/// An annotation in a delta: with its place among those of its part.
#[derive(Serialize)]
struct Numbered<'a> {
    index: usize,
    #[serde(flatten)]
    annotation: &'a Annotation,
}

struct StepDeltaBody<'a>(&'a StepId, &'a CallDelta<'a>);

impl Serialize for StepDeltaBody<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut body = to.serialize_struct("StepDelta", 3)?;
        body.serialize_field("id", self.0)?;
        body.serialize_field("object", "thread.run.step.delta")?;
        body.serialize_field("delta", &One("step_details", &DetailsDelta(self.1)))?;
        body.end()
    }
}

struct DetailsDelta<'a>(&'a CallDelta<'a>);

impl Serialize for DetailsDelta<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut details = to.serialize_struct("StepDetailsDelta", 2)?;
        details.serialize_field("type", "tool_calls")?;
        details.serialize_field("tool_calls", &[self.0])?;
        details.end()
    }
}

impl Serialize for CallDelta<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut call = to.serialize_struct("CallDelta", 4)?;
        call.serialize_field("index", &self.index)?;
        match self.growth {
            CallGrowth::Function { id, name } => {
                call.serialize_field("id", id)?;
                call.serialize_field("type", "function")?;
                call.serialize_field("function", &FirstFunction { name, arguments: "", output: None })?;
            }
            CallGrowth::Arguments(arguments) => {
                call.serialize_field("type", "function")?;
                call.serialize_field("function", &One("arguments", &arguments))?;
            }
            CallGrowth::FileSearch { id, ranking_options } => {
                call.serialize_field("id", id)?;
                call.serialize_field("type", "file_search")?;
                call.serialize_field("file_search", &FirstSearch { ranking_options, results: [] })?;
            }
            CallGrowth::CodeInterpreter { id } => {
                call.serialize_field("id", id)?;
                call.serialize_field("type", "code_interpreter")?;
                call.serialize_field("code_interpreter", &FirstCode { input: "", outputs: [] })?;
            }
            CallGrowth::Code(input) => {
                call.serialize_field("type", "code_interpreter")?;
                call.serialize_field("code_interpreter", &One("input", &input))?;
            }
            CallGrowth::CodeOutput { index, output } => {
                call.serialize_field("type", "code_interpreter")?;
                call.serialize_field(
                    "code_interpreter",
                    &One("outputs", &[NumberedOutput { index, output }]),
                )?;
            }
        }
        call.end()
    }
}

#[derive(Serialize)]
struct FirstFunction<'a> {
    name: &'a str,
    arguments: &'static str,
    output: Option<String>,
}

#[derive(Serialize)]
struct FirstSearch<'a> {
    ranking_options: &'a UsedRanking,
    results: [(); 0],
}

#[derive(Serialize)]
struct FirstCode {
    input: &'static str,
    outputs: [(); 0],
}

/// An output in a delta: with its place among those of its call.
#[derive(Serialize)]
struct NumberedOutput<'a> {
    index: usize,
    #[serde(flatten)]
    output: &'a CodeInterpreterOutput,
}

/// Wrapped and bare at once: official SDKs raise on the first form, another known client reads the second
/// (contract §6).
struct ErrorBody<'a>(&'a Error);

impl Serialize for ErrorBody<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Both<'a> {
            error: Inner<'a>,
            #[serde(flatten)]
            bare: Inner<'a>,
        }
        Both { error: Inner(self.0), bare: Inner(self.0) }.serialize(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;
    use crate::messages::{Detail, FileCitation};
    use crate::steps::OutputImage;

    fn frame(event: &Event<'_>) -> String {
        let mut frames = Vec::new();
        event.write_to(&mut frames, Include::default());
        String::from_utf8(frames).unwrap()
    }

    #[test]
    fn deltas_look_as_recorded() {
        let message = MessageId::from_checked("msg_1".into());
        let first = PartDelta { index: 0, first: true, growth: PartGrowth::text("Hi") };
        assert_eq!(
            frame(&Event::MessageDelta(&message, first)),
            "event: thread.message.delta\ndata: {\"id\":\"msg_1\",\"object\":\"thread.message.delta\",\"delta\":{\"content\":[{\"index\":0,\"type\":\"text\",\"text\":{\"value\":\"Hi\",\"annotations\":[]}}]}}\n\n"
        );
        let later = PartDelta { index: 0, first: false, growth: PartGrowth::text(" there") };
        assert!(frame(&Event::MessageDelta(&message, later)).contains(r#""text":{"value":" there"}}]"#));

        let step = StepId::from_checked("step_1".into());
        let call = CallId::from_checked("call_1".into());
        let first = CallDelta { index: 0, growth: CallGrowth::Function { id: &call, name: "f" } };
        assert_eq!(
            frame(&Event::StepDelta(&step, first)),
            "event: thread.run.step.delta\ndata: {\"id\":\"step_1\",\"object\":\"thread.run.step.delta\",\"delta\":{\"step_details\":{\"type\":\"tool_calls\",\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\",\"output\":null}}]}}}\n\n"
        );
        let later = CallDelta { index: 0, growth: CallGrowth::Arguments("{}") };
        assert!(
            frame(&Event::StepDelta(&step, later))
                .contains(r#"[{"index":0,"type":"function","function":{"arguments":"{}"}}]"#)
        );
    }

    #[test]
    fn a_citation_and_a_search_look_as_recorded() {
        let message = MessageId::from_checked("msg_1".into());
        let citation = Annotation::FileCitation {
            text: "【4:0†a.txt】".into(),
            start_index: 29,
            end_index: 53,
            file_citation: FileCitation { file_id: "file-1".into(), quote: Some(String::new()) },
        };
        let growth = PartGrowth::Text { value: "【4:0†a.txt】", annotations: &[citation], marked: 2 };
        let delta = PartDelta { index: 0, first: false, growth };
        assert!(frame(&Event::MessageDelta(&message, delta)).contains(
            r#""text":{"value":"【4:0†a.txt】","annotations":[{"index":2,"type":"file_citation","text":"【4:0†a.txt】","start_index":29,"end_index":53,"file_citation":{"file_id":"file-1","quote":""}}]}}]"#
        ));

        let step = StepId::from_checked("step_1".into());
        let call = CallId::from_checked("call_1".into());
        let ranking = UsedRanking { ranker: "auto".into(), score_threshold: 0.0 };
        let growth = CallGrowth::FileSearch { id: &call, ranking_options: &ranking };
        assert!(frame(&Event::StepDelta(&step, CallDelta { index: 0, growth })).contains(
            r#"[{"index":0,"id":"call_1","type":"file_search","file_search":{"ranking_options":{"ranker":"auto","score_threshold":0.0},"results":[]}}]"#
        ));
    }

    #[test]
    fn a_program_and_its_outputs_look_as_recorded() {
        let step = StepId::from_checked("step_1".into());
        let call = CallId::from_checked("call_1".into());
        let logs = CodeInterpreterOutput::Logs { logs: "4\n".into() };
        let image = CodeInterpreterOutput::Image { image: OutputImage { file_id: "file-1".into() } };
        for (growth, data) in [
            (
                CallGrowth::CodeInterpreter { id: &call },
                r#"{"index":0,"id":"call_1","type":"code_interpreter","code_interpreter":{"input":"","outputs":[]}}"#,
            ),
            (
                CallGrowth::Code("import"),
                r#"{"index":0,"type":"code_interpreter","code_interpreter":{"input":"import"}}"#,
            ),
            (
                CallGrowth::CodeOutput { index: 0, output: &logs },
                r#"{"index":0,"type":"code_interpreter","code_interpreter":{"outputs":[{"index":0,"type":"logs","logs":"4\n"}]}}"#,
            ),
            (
                CallGrowth::CodeOutput { index: 1, output: &image },
                r#"{"index":0,"type":"code_interpreter","code_interpreter":{"outputs":[{"index":1,"type":"image","image":{"file_id":"file-1"}}]}}"#,
            ),
        ] {
            let shown = frame(&Event::StepDelta(&step, CallDelta { index: 0, growth }));
            assert!(shown.contains(&format!("\"tool_calls\":[{data}]")), "{shown}");
        }
        let message = MessageId::from_checked("msg_1".into());
        let image = ImageFile { file_id: "file-1".into(), detail: Detail::default() };
        let delta = PartDelta { index: 0, first: true, growth: PartGrowth::Image(&image) };
        assert!(
            frame(&Event::MessageDelta(&message, delta))
                .contains(r#"{"content":[{"index":0,"type":"image_file","image_file":{"file_id":"file-1""#)
        );
    }

    #[test]
    fn the_end_is_as_recorded() {
        assert_eq!(frame(&Event::Done), "event: done\ndata: [DONE]\n\n");
    }

    #[test]
    fn an_error_is_wrapped_and_bare() {
        let error = Error::invalid("no");
        assert!(frame(&Event::Error(&error)).contains(
            r#"{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null},"message":"no","#
        ));
    }
}
