//! What is legal for a run, and what comes next. Pure: no I/O, no clock, no randomness.

use adjutant_wire::UnixSeconds;
use adjutant_wire::messages::{IncompleteMessage, IncompleteMessageReason, Message, MessageStatus};
use adjutant_wire::runs::{
    IncompleteRun, IncompleteRunReason, LastError, PendingCall, PendingCalls, PendingFunction,
    RequiredAction, Run, RunStatus, Usage,
};
use adjutant_wire::steps::{CalledTool, Step, StepDetails, StepStatus, ToolCall};

use crate::tools::hosted;

/// After so many turns in which the model used tools of the server it has to answer: a weak one would go on for
/// ever.
const MOST_HOSTED_TURNS: usize = 16;

/// What a worker does next with a run that it holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Next {
    /// Begin.
    Start,
    /// Give the model its turn.
    AskModel,
    /// Run those calls of the last turn that are this server's to run.
    RunTools,
    /// Let go of the run until its client has answered these calls.
    WaitForClient(Vec<PendingCall>),
    /// End it.
    Finish(End),
}

/// How a run ends.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum End {
    /// The model was done.
    Completed,
    /// A limit was reached; what was said is kept.
    Incomplete(IncompleteRunReason),
    /// A fault.
    Failed(LastError),
    /// The client wanted it.
    Cancelled,
    /// It took too long.
    Expired,
}

/// A move that the lifecycle (contract §5) does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run cannot go from `{}` to `{}`", from.as_str(), to.as_str())]
pub(super) struct Illegal {
    from: RunStatus,
    to: RunStatus,
}

/// Decides from what is stored. `steps` are the run's, oldest first; none of them is half done, but for a
/// last one whose calls wait for this server or for the client.
pub(super) fn next(run: &Run, steps: &[Step], now: UnixSeconds) -> Next {
    if run.status == RunStatus::Cancelling {
        return Next::Finish(End::Cancelled);
    }
    if run.expires_at.is_some_and(|expiry| expiry <= now) {
        return Next::Finish(End::Expired);
    }
    if run.status == RunStatus::Queued {
        return Next::Start;
    }
    match steps.last() {
        None => Next::AskModel,
        Some(step) => match (after(step), used_up(run, steps)) {
            (Next::AskModel, Some(limit)) => Next::Finish(End::Incomplete(limit)),
            (next, _) => next,
        },
    }
}

/// The limit that the turns so far have reached, if one. The limits are for the whole run (contract §5).
fn used_up(run: &Run, steps: &[Step]) -> Option<IncompleteRunReason> {
    let used: Usage = steps.iter().filter_map(|step| step.usage).sum();
    if run.max_completion_tokens.is_some_and(|most| used.completion_tokens >= most) {
        return Some(IncompleteRunReason::MaxCompletionTokens);
    }
    run.max_prompt_tokens
        .filter(|most| used.prompt_tokens >= *most)
        .map(|_| IncompleteRunReason::MaxPromptTokens)
}

fn after(step: &Step) -> Next {
    match &step.step_details {
        StepDetails::MessageCreation { .. } => Next::Finish(End::Completed),
        // The client is asked last, when nothing else is left to do (contract §5).
        StepDetails::ToolCalls { tool_calls }
            if tool_calls.iter().any(|call| hosted::is_pending(&call.tool)) =>
        {
            Next::RunTools
        }
        StepDetails::ToolCalls { tool_calls } => match pending(tool_calls).as_slice() {
            [] => Next::AskModel,
            calls => Next::WaitForClient(calls.to_vec()),
        },
    }
}

/// Whether the model has used tools of the server so often that it must answer without them.
pub(super) fn must_answer(steps: &[Step]) -> bool {
    let uses_hosted = |step: &&Step| match &step.step_details {
        StepDetails::ToolCalls { tool_calls } => tool_calls.iter().any(|call| hosted::is_hosted(&call.tool)),
        StepDetails::MessageCreation { .. } => false,
    };
    steps.iter().filter(uses_hosted).count() >= MOST_HOSTED_TURNS
}

/// Whether a stored step is half done, so that its turn begins again. Calls are stored once all of them are known.
pub(super) fn is_half_done(step: &Step) -> bool {
    let has_calls = match &step.step_details {
        StepDetails::ToolCalls { tool_calls } => !tool_calls.is_empty(),
        StepDetails::MessageCreation { .. } => false,
    };
    step.status == StepStatus::InProgress && !has_calls
}

/// The calls among these that the client has yet to answer.
pub(super) fn pending(calls: &[ToolCall]) -> Vec<PendingCall> {
    let waiting = |call: &ToolCall| match &call.tool {
        CalledTool::Function { function } if function.output.is_none() => Some(PendingCall {
            id: call.id.clone(),
            kind: "function".to_owned(),
            function: PendingFunction { name: function.name.clone(), arguments: function.arguments.clone() },
        }),
        CalledTool::Function { .. } | CalledTool::CodeInterpreter { .. } | CalledTool::FileSearch { .. } => {
            None
        }
    };
    calls.iter().filter_map(waiting).collect()
}

/// All moves that there are.
fn is_legal(from: RunStatus, to: RunStatus) -> bool {
    use RunStatus::{
        Cancelled, Cancelling, Completed, Expired, Failed, InProgress, Incomplete, Queued, RequiresAction,
    };
    match from {
        Queued => matches!(to, InProgress | Cancelling | Failed | Expired),
        InProgress => {
            matches!(to, RequiresAction | Cancelling | Completed | Failed | Incomplete | Expired)
        }
        RequiresAction => matches!(to, Queued | Cancelling | Expired),
        Cancelling => matches!(to, Cancelled),
        Cancelled | Failed | Completed | Incomplete | Expired => false,
    }
}

fn go(run: &mut Run, to: RunStatus) -> Result<(), Illegal> {
    if !is_legal(run.status, to) {
        return Err(Illegal { from: run.status, to });
    }
    run.status = to;
    Ok(())
}

/// Work begins, or goes on after the client has answered.
pub(super) fn start(run: &mut Run, now: UnixSeconds) -> Result<(), Illegal> {
    go(run, RunStatus::InProgress)?;
    run.started_at = Some(now);
    Ok(())
}

/// The client has to answer calls.
pub(super) fn park(run: &mut Run, calls: Vec<PendingCall>) -> Result<(), Illegal> {
    go(run, RunStatus::RequiresAction)?;
    run.required_action =
        Some(RequiredAction::SubmitToolOutputs { submit_tool_outputs: PendingCalls { tool_calls: calls } });
    Ok(())
}

/// The client has answered.
pub(super) fn resume(run: &mut Run) -> Result<(), Illegal> {
    go(run, RunStatus::Queued)?;
    run.required_action = None;
    Ok(())
}

/// The client wants the run to stop.
pub(super) fn cancel(run: &mut Run) -> Result<(), Illegal> {
    go(run, RunStatus::Cancelling)?;
    run.required_action = None;
    Ok(())
}

/// The run ends, having cost this much.
pub(super) fn end(run: &mut Run, end: &End, usage: Usage, now: UnixSeconds) -> Result<(), Illegal> {
    match end {
        End::Completed => {
            go(run, RunStatus::Completed)?;
            (run.completed_at, run.expires_at) = (Some(now), None);
        }
        End::Incomplete(reason) => {
            go(run, RunStatus::Incomplete)?;
            // Recorded with the time of its end as `completed_at`.
            (run.completed_at, run.expires_at) = (Some(now), None);
            run.incomplete_details = Some(IncompleteRun { reason: *reason });
        }
        End::Failed(error) => {
            go(run, RunStatus::Failed)?;
            (run.failed_at, run.expires_at) = (Some(now), None);
            run.last_error = Some(error.clone());
        }
        End::Cancelled => {
            go(run, RunStatus::Cancelled)?;
            (run.cancelled_at, run.expires_at) = (Some(now), None);
        }
        // `expires_at` stays: no other field says when it was.
        End::Expired => go(run, RunStatus::Expired)?,
    }
    run.required_action = None;
    run.usage = Some(usage);
    Ok(())
}

/// A step that is open when its run ends, ends with it.
pub(super) fn end_step(step: &mut Step, end: &End, now: UnixSeconds) {
    match end {
        End::Completed | End::Incomplete(_) => {
            step.status = StepStatus::Completed;
            step.completed_at = Some(now);
        }
        End::Failed(error) => {
            step.status = StepStatus::Failed;
            step.failed_at = Some(now);
            step.last_error = Some(error.clone());
        }
        End::Cancelled => {
            step.status = StepStatus::Cancelled;
            step.cancelled_at = Some(now);
        }
        End::Expired => {
            step.status = StepStatus::Expired;
            step.expired_at = Some(now);
        }
    }
}

/// A message that is being written when its run ends, ends with it.
pub(super) fn end_message(message: &mut Message, end: &End, now: UnixSeconds) {
    let reason = match end {
        End::Completed => {
            message.status = MessageStatus::Completed;
            message.completed_at = Some(now);
            return;
        }
        End::Incomplete(_) => IncompleteMessageReason::MaxTokens,
        End::Failed(_) => IncompleteMessageReason::RunFailed,
        End::Cancelled => IncompleteMessageReason::RunCancelled,
        End::Expired => IncompleteMessageReason::RunExpired,
    };
    message.status = MessageStatus::Incomplete;
    message.incomplete_at = Some(now);
    message.incomplete_details = Some(IncompleteMessage { reason });
}

/// A message whose rest the upstream withheld. The run itself is not at fault, and is completed.
pub(super) fn end_filtered(message: &mut Message, now: UnixSeconds) {
    message.status = MessageStatus::Incomplete;
    message.incomplete_at = Some(now);
    message.incomplete_details = Some(IncompleteMessage { reason: IncompleteMessageReason::ContentFilter });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(status: &str, expires_at: i64) -> Run {
        serde_json::from_value(json!({
            "id": "run_1", "object": "thread.run", "created_at": 0, "assistant_id": "asst_1", "thread_id": "thread_1",
            "status": status, "started_at": null, "expires_at": expires_at, "cancelled_at": null, "failed_at": null,
            "completed_at": null, "required_action": null, "last_error": null, "model": "m", "instructions": "",
            "tools": [], "tool_resources": {}, "metadata": {}, "temperature": 1.0, "top_p": 1.0,
            "reasoning_effort": null, "max_completion_tokens": null, "max_prompt_tokens": null,
            "truncation_strategy": {"type": "auto", "last_messages": null}, "incomplete_details": null, "usage": null,
            "response_format": "auto", "tool_choice": "auto", "parallel_tool_calls": true
        }))
        .unwrap()
    }

    fn step(details: serde_json::Value) -> Step {
        serde_json::from_value(json!({
            "id": "step_1", "object": "thread.run.step", "created_at": 0, "run_id": "run_1", "assistant_id": "asst_1",
            "thread_id": "thread_1", "type": details["type"], "status": "in_progress", "cancelled_at": null,
            "completed_at": null, "expires_at": null, "failed_at": null, "last_error": null, "step_details": details,
            "usage": null
        }))
        .unwrap()
    }

    fn call(output: Option<&str>) -> Step {
        step(json!({"type": "tool_calls", "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}", "output": output}}
        ]}))
    }

    fn search(pending: bool, output: Option<&str>) -> Step {
        let ranking = json!({"ranker": "auto", "score_threshold": 0.0});
        step(json!({"type": "tool_calls", "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}", "output": output}},
            {"id": "call_2", "type": "file_search",
                "file_search": {"ranking_options": ranking, "results": [], "queries": ["q"], "pending": pending}}
        ]}))
    }

    fn said() -> Step {
        step(json!({"type": "message_creation", "message_creation": {"message_id": "msg_1"}}))
    }

    #[test]
    fn what_comes_next() {
        let asked = Next::WaitForClient(pending(match &call(None).step_details {
            StepDetails::ToolCalls { tool_calls } => tool_calls,
            StepDetails::MessageCreation { .. } => unreachable!(),
        }));
        for (status, expires_at, steps, expected) in [
            ("queued", 10, vec![], Next::Start),
            ("queued", 5, vec![], Next::Finish(End::Expired)),
            ("cancelling", 5, vec![], Next::Finish(End::Cancelled)),
            ("in_progress", 10, vec![], Next::AskModel),
            ("in_progress", 10, vec![said()], Next::Finish(End::Completed)),
            ("in_progress", 10, vec![call(Some(""))], Next::AskModel),
            ("in_progress", 10, vec![said(), call(None)], asked.clone()),
            ("requires_action", 10, vec![call(None)], asked.clone()),
            ("in_progress", 10, vec![search(true, None)], Next::RunTools),
            ("in_progress", 10, vec![search(true, Some(""))], Next::RunTools),
            ("in_progress", 10, vec![search(false, None)], asked),
            ("in_progress", 10, vec![search(false, Some(""))], Next::AskModel),
            ("in_progress", 5, vec![search(true, None)], Next::Finish(End::Expired)),
            ("cancelling", 10, vec![search(true, None)], Next::Finish(End::Cancelled)),
            ("requires_action", 5, vec![call(None)], Next::Finish(End::Expired)),
        ] {
            assert_eq!(
                next(&run(status, expires_at), &steps, 5),
                expected,
                "{status} with {} steps",
                steps.len()
            );
        }
    }

    #[test]
    fn a_model_does_not_search_for_ever() {
        let turns = |number| vec![search(false, Some("")); number];
        assert!(!must_answer(&turns(MOST_HOSTED_TURNS - 1)));
        assert!(must_answer(&turns(MOST_HOSTED_TURNS)));
        assert!(!must_answer(&vec![call(Some("")); MOST_HOSTED_TURNS]), "functions are the client's affair");
    }

    #[test]
    fn what_a_lost_worker_left_is_half_done_or_whole() {
        let empty = step(json!({"type": "tool_calls", "tool_calls": []}));
        for half in [said(), empty] {
            assert!(is_half_done(&half));
        }
        let mut ended = said();
        ended.status = StepStatus::Completed;
        for whole in [call(None), search(true, None), ended] {
            assert!(!is_half_done(&whole));
        }
    }

    #[test]
    fn the_lifecycle_has_no_other_moves() {
        use RunStatus::*;
        let all = [
            Queued,
            InProgress,
            RequiresAction,
            Cancelling,
            Cancelled,
            Failed,
            Completed,
            Incomplete,
            Expired,
        ];
        let moves = all.iter().flat_map(|from| all.iter().map(move |to| (*from, *to)));
        let legal: Vec<String> = moves
            .filter(|(from, to)| is_legal(*from, *to))
            .map(|(from, to)| format!("{} > {}", from.as_str(), to.as_str()))
            .collect();
        assert_eq!(
            legal,
            [
                "queued > in_progress",
                "queued > cancelling",
                "queued > failed",
                "queued > expired",
                "in_progress > requires_action",
                "in_progress > cancelling",
                "in_progress > failed",
                "in_progress > completed",
                "in_progress > incomplete",
                "in_progress > expired",
                "requires_action > queued",
                "requires_action > cancelling",
                "requires_action > expired",
                "cancelling > cancelled",
            ]
        );
        let mut ended = run("completed", 10);
        assert_eq!(
            cancel(&mut ended).unwrap_err().to_string(),
            "a run cannot go from `completed` to `cancelling`"
        );
    }
}
