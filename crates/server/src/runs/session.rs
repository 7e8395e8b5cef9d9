//! The session of a run whose worker was lost: its programs are run once more, in order, so that those to come find what
//! these computed and wrote, and messages can link their files. Programs reach nothing outside their session, so running
//! them twice harms nobody; what they give the second time is told to nobody.

use adjutant_wire::steps::{CodeInterpreterCall, CodeInterpreterOutput, OutputImage, Step};

use super::code::{add, calls, has_run};
use super::executor::{Executor, Stop};
use crate::tools::code_interpreter::{Given, NEW_SESSION, Place, SESSION_LOST};

impl Executor {
    /// Makes the run's session again, where it went with the worker before this one. Programs of earlier runs are not
    /// run again. Where these count, or a program gives something else than it gave before, the next program's output
    /// says that the session is a new one.
    pub(super) async fn restore_session(&mut self) -> Result<(), Stop> {
        if !std::mem::take(&mut self.may_lack_session) {
            return Ok(());
        }
        let (project, thread) = (self.lease.project().clone(), self.run.thread_id.clone());
        let programs = to_run_again(&self.steps);
        if programs.is_empty() || !self.engine.code.lacks_session(&project, &thread).await {
            return Ok(());
        }
        tracing::info!(run.id = %self.run.id, "run `{}` has lost its session: {} programs are run again", self.run.id, programs.len());
        let place = Place { goes_on: false, ..self.place().await? };
        let mut is_as_before = !self.follows_programs().await?;
        for CodeInterpreterCall { input, outputs, .. } in programs {
            let again = self.outputs_again(&place, input).await?;
            is_as_before &= told(&outputs) == told(&again);
        }
        if !is_as_before {
            self.engine.code.doubt_session(&project, &thread).await;
        }
        Ok(())
    }

    /// Whether earlier runs of the thread have run programs.
    async fn follows_programs(&self) -> Result<bool, Stop> {
        let mut store = self.engine.store.read(self.lease.project()).await?;
        let steps = store.tool_steps_between(&self.run.thread_id, i64::MIN, i64::MAX).await?;
        Ok(steps.iter().any(|(_, step)| step.run_id != self.run.id && has_run(step)))
    }

    async fn outputs_again(
        &mut self,
        place: &Place,
        code: String,
    ) -> Result<Vec<CodeInterpreterOutput>, Stop> {
        let program = self.engine.code.start(place.clone(), code);
        let mut outputs = Vec::new();
        while let Some(given) = self.unless_stopped(program.next()).await? {
            for given in given {
                let output = match given {
                    Given::Text(logs) => CodeInterpreterOutput::Logs { logs },
                    // It has its file already.
                    Given::Image(_) => {
                        CodeInterpreterOutput::Image { image: OutputImage { file_id: String::new() } }
                    }
                };
                add(&mut outputs, &output);
            }
        }
        Ok(outputs)
    }
}

/// The programs that made the session what it was: those since it was last lost to a fault of theirs, or begun anew.
fn to_run_again(steps: &[Step]) -> Vec<CodeInterpreterCall> {
    let mut programs: Vec<CodeInterpreterCall> =
        steps.iter().flat_map(calls).filter(|call| !call.pending).cloned().collect();
    let says = |call: &CodeInterpreterCall, what: &str| {
        call.outputs.iter().any(|output| match output {
            CodeInterpreterOutput::Logs { logs } => logs.contains(what),
            CodeInterpreterOutput::Image { .. } => false,
        })
    };
    if let Some(lost) = programs.iter().rposition(|call| says(call, SESSION_LOST)) {
        programs.drain(..=lost);
    }
    if let Some(begun) = programs.iter().rposition(|call| says(call, NEW_SESSION)) {
        programs.drain(..begun);
    }
    programs
}

/// What outputs say, whatever files their figures became.
fn told(outputs: &[CodeInterpreterOutput]) -> Vec<Option<&str>> {
    let told = outputs.iter().map(|output| match output {
        CodeInterpreterOutput::Logs { logs } => Some(logs.as_str()),
        CodeInterpreterOutput::Image { .. } => None,
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A step with a program, which has printed this; one that was not run has printed nothing.
    fn step(input: &str, logs: &str) -> Step {
        let outputs = if logs.is_empty() { json!([]) } else { json!([{"type": "logs", "logs": logs}]) };
        serde_json::from_value(json!({
            "id": "step_1", "object": "thread.run.step", "created_at": 0, "run_id": "run_1", "assistant_id": "asst_1",
            "thread_id": "thread_1", "type": "tool_calls", "status": "completed", "cancelled_at": null,
            "completed_at": null, "expires_at": null, "failed_at": null, "last_error": null, "usage": null,
            "step_details": {"type": "tool_calls", "tool_calls": [{"id": "call_1", "type": "code_interpreter",
                "code_interpreter": {"input": input, "outputs": outputs}}]}
        }))
        .unwrap()
    }

    fn run_again(steps: &[Step]) -> Vec<String> {
        to_run_again(steps).into_iter().map(|call| call.input).collect()
    }

    #[test]
    fn what_made_the_session_is_run_again() {
        assert_eq!(run_again(&[]), [""; 0]);
        assert_eq!(run_again(&[step("a", "1"), step("b", "")]), ["a", "b"]);
        let lost = format!("2\n{SESSION_LOST}it took too much memory.]");
        assert_eq!(run_again(&[step("a", "1"), step("b", &lost), step("c", "3")]), ["c"]);
        assert_eq!(run_again(&[step("a", "1"), step("b", &lost)]), [""; 0]);
        let begun = format!("{NEW_SESSION}with it all.]\n2");
        assert_eq!(run_again(&[step("a", "1"), step("b", &begun), step("c", "3")]), ["b", "c"]);
    }

    #[test]
    fn figures_are_alike_whatever_their_files() {
        let image = |file_id: &str| CodeInterpreterOutput::Image {
            image: OutputImage { file_id: file_id.to_owned() },
        };
        let logs = |logs: &str| CodeInterpreterOutput::Logs { logs: logs.to_owned() };
        assert_eq!(told(&[logs("1"), image("file-1")]), told(&[logs("1"), image("")]));
        assert_ne!(told(&[logs("1"), image("file-1")]), told(&[image(""), logs("1")]));
        assert_ne!(told(&[logs("1")]), told(&[logs("2")]));
    }
}
