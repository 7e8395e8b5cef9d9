//! What a client gives for the calls that a run waits for.

use adjutant_wire as wire;
use adjutant_wire::UnixSeconds;
use adjutant_wire::runs::{RunStatus, ToolOutput};
use adjutant_wire::steps::{CalledTool, Step, StepDetails, StepStatus};

/// The 400 of a run that waits for nothing.
pub(super) fn not_waiting(status: RunStatus) -> wire::Error {
    // Due to expire, though no worker has come to it yet.
    let status = if status == RunStatus::RequiresAction { RunStatus::Expired } else { status };
    wire::Error::invalid(format!("Runs in status \"{}\" do not accept tool outputs.", status.as_str()))
}

/// Refuses outputs that are not those of exactly these calls.
pub(super) fn refuse_wrong_set(expected: &[&str], given: &[ToolOutput]) -> wire::Result<()> {
    let mut sorted_expected = expected.to_vec();
    let mut sorted_given: Vec<&str> = given.iter().map(|output| output.tool_call_id.as_str()).collect();
    let list = |ids: &[&str]| {
        let quoted: Vec<String> = ids.iter().map(|id| format!("'{id}'")).collect();
        format!("[{}]", quoted.join(", "))
    };
    let message =
        format!("Expected tool outputs for call_ids {}, got {}", list(expected), list(&sorted_given));
    sorted_expected.sort_unstable();
    sorted_given.sort_unstable();
    if sorted_expected == sorted_given { Ok(()) } else { Err(wire::Error::invalid(message)) }
}

/// Writes outputs into the step whose calls waited for them.
pub(super) fn fill_in(step: &mut Step, outputs: Vec<ToolOutput>, now: UnixSeconds) {
    step.status = StepStatus::Completed;
    step.completed_at = Some(now);
    let StepDetails::ToolCalls { tool_calls } = &mut step.step_details else { return };
    for ToolOutput { tool_call_id, output } in outputs {
        let call = tool_calls.iter_mut().find(|call| wire::id::Id::as_str(&call.id) == tool_call_id);
        if let Some(CalledTool::Function { function }) = call.map(|call| &mut call.tool) {
            function.output = Some(output);
        }
    }
}
