//! How much of a run a client has been told, and what ids say of that.

use adjutant_wire as wire;
use adjutant_wire::StepId;
use adjutant_wire::messages::Content;
use adjutant_wire::steps::{CalledTool, Step, StepDetails, ToolCall};

use super::executor::Work;
use super::replay::Known;

/// How much of a run its client has been told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// 0 before the first step.
    pub(super) step: usize,
    pub(super) stage: u8,
    /// Whether the client knows that the run waited for it in this step, and so hears that it goes on.
    pub(super) waited: bool,
    /// The step's id, once it was told of.
    pub(super) id: Option<StepId>,
    /// Of each part or call of the step that was told of: how much of it.
    pub(super) parts: Vec<ToldPart>,
}

/// How much of a part or call was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ToldPart {
    pub(super) bytes: usize,
    pub(super) annotations: usize,
    /// Of a program: how many outputs are told of to their end, and how much of the next one.
    pub(super) outputs: usize,
    pub(super) output_bytes: usize,
}

impl ToldPart {
    /// A part of a message, all that there is of it.
    fn of_content(part: &Content) -> Self {
        match part {
            Content::Text { text } => {
                Self { bytes: text.value.len(), annotations: text.annotations.len(), ..Self::default() }
            }
            Content::Refusal { refusal } => Self { bytes: refusal.len(), ..Self::default() },
            Content::ImageFile { .. } | Content::ImageUrl { .. } => Self::default(),
        }
    }

    /// Leaves of a part what was told of it.
    fn leave_told(&self, part: &mut Content) {
        match part {
            Content::Text { text } => {
                text.value.truncate(text.value.floor_char_boundary(self.bytes));
                text.annotations.truncate(self.annotations);
            }
            Content::Refusal { refusal } => refusal.truncate(refusal.floor_char_boundary(self.bytes)),
            Content::ImageFile { .. } | Content::ImageUrl { .. } => {}
        }
    }

    /// A call that has not been run, all that there is of it.
    fn of_call(call: &ToolCall) -> Self {
        let bytes = match &call.tool {
            CalledTool::Function { function } => function.arguments.len(),
            CalledTool::FileSearch { .. } => 0,
            CalledTool::CodeInterpreter { code_interpreter } => code_interpreter.input.len(),
        };
        Self { bytes, ..Self::default() }
    }
}

/// The stages of a step.
pub(super) mod stage {
    pub(in crate::runs) const CREATED: u8 = 0;
    pub(in crate::runs) const BEGUN: u8 = 1;
    pub(in crate::runs) const MESSAGE_CREATED: u8 = 2;
    pub(in crate::runs) const GROWING: u8 = 3;
    pub(in crate::runs) const MESSAGE_ENDED: u8 = 4;
    pub(in crate::runs) const WAITING: u8 = 5;
    pub(in crate::runs) const ENDED: u8 = 6;
    pub(in crate::runs) const QUEUED_AGAIN: u8 = 7;
    pub(in crate::runs) const RESUMED: u8 = 8;
}

impl Told {
    /// The id of the event that a run waits for its client, after so many steps.
    pub(super) fn waiting(steps: usize) -> String {
        format!("{steps}.{}", stage::WAITING)
    }

    /// All of these steps, which have ended, and what there is of the one that is open.
    pub(super) fn so_far(steps: &[Step], open: Option<&Work>) -> Self {
        let next = Self { step: steps.len() + 1, ..Self::default() };
        let Some(open) = open else { return next };
        let parts = match (&open.message, &open.step.step_details) {
            (Some(message), _) => message.content.iter().map(ToldPart::of_content).collect(),
            (None, StepDetails::ToolCalls { tool_calls }) => {
                tool_calls.iter().map(ToldPart::of_call).collect()
            }
            (None, StepDetails::MessageCreation { .. }) => Vec::new(),
        };
        Self { stage: stage::GROWING, id: Some(open.step.id.clone()), parts, ..next }
    }

    /// Leaves of what is known of a run what its client has been told of the step that it is at, and nothing of those
    /// before but that they were. So the end of a message says what was told, should it be lost or deleted.
    pub(super) fn leave_told(&self, known: &mut Known) {
        known.work.truncate(self.step);
        for (place, work) in known.work.iter_mut().enumerate() {
            let Some(message) = &mut work.message else { continue };
            let told = if place + 1 == self.step { self.parts.as_slice() } else { &[] };
            message.content.truncate(told.len());
            for (part, told) in message.content.iter_mut().zip(told) {
                told.leave_told(part);
            }
        }
    }

    /// Where a stream goes on after the event of this id.
    ///
    /// # Errors
    /// 400 where it is no id of ours.
    pub(super) fn after(id: &str) -> wire::Result<Self> {
        let numbers =
            id.split_once('.').and_then(|(step, stage)| Some((step.parse().ok()?, stage.parse().ok()?)));
        let Some((step, stage)) = numbers else {
            let message =
                format!("Invalid 'Last-Event-ID': '{id}'. Expected the ID of an event of this run.");
            return Err(wire::Error::parameter("Last-Event-ID", "invalid_value", message));
        };
        let told = |step, stage| Self { step, stage, waited: stage >= stage::WAITING, ..Self::default() };
        Ok(match (step, stage) {
            (0, stage::GROWING..) => told(1, stage::CREATED),
            (0, _) => Self::default(),
            (step, stage::WAITING..) => told(step, stage),
            (step, _) => told(step, stage::CREATED),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use adjutant_wire::messages::Message;
    use serde_json::{Value, json};

    use super::super::replay::{Telling, tell};
    use super::*;

    /// A run at work on a step of this kind, with these details.
    pub(in crate::runs) fn at_work(kind: &str, details: Value, message: Option<Message>) -> Known {
        let step = json!({
            "id": "step_1", "object": "thread.run.step", "created_at": 0, "run_id": "run_1", "assistant_id": "asst_1",
            "thread_id": "thread_1", "type": kind, "status": "in_progress", "cancelled_at": null,
            "completed_at": null, "expires_at": null, "failed_at": null, "last_error": null, "usage": null,
            "step_details": {"type": kind, kind: details}
        });
        let run = json!({
            "id": "run_1", "object": "thread.run", "created_at": 0, "assistant_id": "asst_1", "thread_id": "thread_1",
            "status": "in_progress", "started_at": 0, "expires_at": 600, "cancelled_at": null, "failed_at": null,
            "completed_at": null, "required_action": null, "last_error": null, "model": "m", "instructions": "",
            "tools": [], "tool_resources": {}, "metadata": {}, "temperature": 1.0, "top_p": 1.0,
            "reasoning_effort": null, "max_completion_tokens": null, "max_prompt_tokens": null,
            "truncation_strategy": {"type": "auto", "last_messages": null}, "incomplete_details": null, "usage": null,
            "response_format": "auto", "tool_choice": "auto", "parallel_tool_calls": true
        });
        let work = Work { step: serde_json::from_value(step).unwrap(), message };
        Known { run: serde_json::from_value(run).unwrap(), expires_at: 600, work: vec![work], lost_at: 1 }
    }

    /// A run whose program has printed this so far.
    fn printing(logs: &str) -> Known {
        let program = json!({"input": "count()", "outputs": [{"type": "logs", "logs": logs}]});
        let call = json!({"id": "call_1", "type": "code_interpreter", "code_interpreter": program});
        at_work("tool_calls", json!([call]), None)
    }

    #[test]
    fn what_a_program_prints_again_after_a_crash_is_told_once() {
        let mut told = Told::default();
        let telling = Telling { include: wire::steps::Include::default(), ids: false };
        let mut hear = |logs: &str| {
            let mut frames = Vec::new();
            tell(&printing(logs), None, &mut told, telling, &mut frames);
            let frames = String::from_utf8(frames).unwrap();
            let outputs = frames.split(r#""logs":""#).skip(1).filter_map(|rest| rest.split('"').next());
            outputs.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(hear("하나 둘 셋 "), ["하나 둘 셋 "]);
        assert_eq!(hear("하나 "), [""; 0]);
        assert_eq!(hear("하나 둘 "), [""; 0]);
        assert_eq!(hear("하나 둘 셋 넷 "), ["넷 "]);
    }
}
