//! What programs printed, cut to what the model can read: the beginning and the end, with a note between. The step
//! keeps all of it. Pure.

use adjutant_wire::steps::{CalledTool, CodeInterpreterOutput, Step, StepDetails};

/// An output of so many characters is never cut, and of a longer one as many stay.
const SHORT: usize = 400;

/// A step whose programs' logs cost so many tokens together, or little more where even what is short is too much. What
/// short logs leave goes to the longer ones. `None` where there is nothing to cut.
pub(super) fn cut(step: &Step, tokens: u64, count: impl Fn(&str) -> u64) -> Option<Step> {
    let mut step = step.clone();
    let mut logs: Vec<(u64, &mut String)> =
        logs_of(&mut step.step_details).map(|logs| (count(logs), logs)).collect();
    logs.sort_by_key(|(cost, _)| *cost);
    let (mut left, mut sharing) = (tokens, u64::try_from(logs.len()).unwrap_or(u64::MAX));
    let mut any = false;
    for (cost, logs) in logs {
        let share = left / sharing.max(1);
        sharing = sharing.saturating_sub(1);
        left = left.saturating_sub(cost.min(share));
        if cost > share && logs.chars().nth(SHORT).is_some() {
            *logs = cut_text(logs, cost, share, &count);
            any = true;
        }
    }
    any.then_some(step)
}

fn logs_of(details: &mut StepDetails) -> impl Iterator<Item = &mut String> {
    let calls = match details {
        StepDetails::ToolCalls { tool_calls } => tool_calls.as_mut_slice(),
        StepDetails::MessageCreation { .. } => &mut [],
    };
    let outputs = calls.iter_mut().filter_map(|call| match &mut call.tool {
        CalledTool::CodeInterpreter { code_interpreter } => Some(&mut code_interpreter.outputs),
        CalledTool::FileSearch { .. } | CalledTool::Function { .. } => None,
    });
    outputs.flatten().filter_map(|output| match output {
        CodeInterpreterOutput::Logs { logs } => Some(logs),
        CodeInterpreterOutput::Image { .. } => None,
    })
}

/// A text that costs so much, cut to what may cost `share`.
fn cut_text(text: &str, cost: u64, share: u64, count: impl Fn(&str) -> u64) -> String {
    let characters = text.chars().count();
    let share_of = |number: usize| {
        let number = u128::try_from(number).unwrap_or_default();
        usize::try_from(number * u128::from(share) / u128::from(cost.max(1))).unwrap_or_default()
    };
    let mut kept = share_of(characters).max(SHORT);
    loop {
        let cut = ends(text, characters, kept);
        if kept == SHORT || count(&cut) <= share {
            return cut;
        }
        // Tokens are not spread evenly, and the note costs some.
        kept = (kept - kept.div_ceil(10)).max(SHORT);
    }
}

/// The beginning and the end of a text, so many characters together.
fn ends(text: &str, characters: usize, kept: usize) -> String {
    let (head, tail) = (kept - kept / 2, kept / 2);
    let at = |character: usize| text.char_indices().nth(character).map_or(text.len(), |(at, _)| at);
    let (before, after) =
        (text.get(..at(head)).unwrap_or_default(), text.get(at(characters - tail)..).unwrap_or_default());
    let left_out = characters - kept;
    format!("{before}\n[{left_out} characters are left out here: it is too long to read.]\n{after}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn step(logs: &[String]) -> Step {
        let call = |logs: &String| {
            json!({"id": "call_1", "type": "code_interpreter",
                "code_interpreter": {"input": "", "outputs": [{"type": "logs", "logs": logs}]}})
        };
        let calls: Vec<_> = logs.iter().map(call).collect();
        serde_json::from_value(json!({
            "id": "step_1", "object": "thread.run.step", "created_at": 0, "run_id": "run_1", "assistant_id": "asst_1",
            "thread_id": "thread_1", "type": "tool_calls", "status": "completed", "cancelled_at": null,
            "completed_at": null, "expires_at": null, "failed_at": null, "last_error": null, "usage": null,
            "step_details": {"type": "tool_calls", "tool_calls": calls}
        }))
        .unwrap()
    }

    fn bytes(text: &str) -> u64 {
        u64::try_from(text.len()).unwrap()
    }

    fn cut_to(logs: &[String], tokens: u64) -> Option<Vec<String>> {
        let mut step = cut(&step(logs), tokens, bytes)?;
        Some(logs_of(&mut step.step_details).map(|logs| logs.clone()).collect())
    }

    #[test]
    fn what_fits_or_is_short_stays() {
        assert_eq!(cut_to(&["x".repeat(9_000)], 9_000), None);
        assert_eq!(cut_to(&["x".repeat(SHORT), "y".to_owned()], 0), None);
    }

    #[test]
    fn the_ends_of_what_is_long_stay() {
        let text = format!("{}{}{}", "가".repeat(1_000), "b".repeat(9_000), "끝");
        let shown = cut_to(std::slice::from_ref(&text), 3_000).unwrap().remove(0);
        assert!(shown.starts_with("가가") && shown.ends_with("b끝"), "{shown}");
        assert!(bytes(&shown) <= 3_000, "{}", shown.len());
        let kept = shown.chars().filter(|c| matches!(c, '가' | 'b' | '끝')).count();
        let note = format!("\n[{} characters are left out here", 10_001 - kept);
        assert!(shown.contains(&note), "{note}: {shown}");
        let least = cut_to(&[text], 0).unwrap().remove(0);
        assert!(least.starts_with(&"가".repeat(SHORT / 2)) && least.len() < 1_000, "{least}");
    }

    #[test]
    fn what_short_logs_leave_goes_to_the_longer_ones() {
        let logs = ["x".repeat(8_000), "y".repeat(500), "z".repeat(8_000)];
        let lengths: Vec<usize> = cut_to(&logs, 6_500).unwrap().iter().map(String::len).collect();
        assert_eq!(lengths[1], 500);
        for length in [lengths[0], lengths[2]] {
            assert!((2_500..=3_000).contains(&length), "{lengths:?}");
        }
    }
}
