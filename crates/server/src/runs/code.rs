//! What a run does with the code interpreter: which files its programs read, running them while their outputs
//! stream, and what becomes of figures and files.

use adjutant_wire::events::{CallDelta, CallGrowth, Event};
use adjutant_wire::id::Id;
use adjutant_wire::steps::{
    CalledTool, CodeInterpreterCall, CodeInterpreterOutput, OutputImage, Step, StepDetails,
};
use adjutant_wire::tools::ToolResources;
use adjutant_wire::{FileId, StepId};

use super::executor::{Executor, Stop};
use super::history::Entry;
use super::hosted::or_none;
use super::links::{self, Link};
use crate::fault::Result;
use crate::tools::code_interpreter::{Given, InputFile, Place, Program, plain_name};
use crate::tools::hosted::HostedTool;

impl Executor {
    /// The files that the run's programs can read: of the assistant, or what the run has in place of them, and of
    /// the thread, as these have them now.
    pub(super) async fn code_files(&self) -> Result<Vec<InputFile>> {
        if !HostedTool::CodeInterpreter.is_among(&self.run.tools) {
            return Ok(Vec::new());
        }
        let mut store = self.engine.store.read(self.lease.project()).await?;
        let mut ids = file_ids(&self.run.tool_resources);
        if ids.is_empty() {
            let assistant = or_none(store.assistant(&self.run.assistant_id).await)?;
            ids = assistant.map(|assistant| file_ids(&assistant.tool_resources)).unwrap_or_default();
        }
        let thread = or_none(store.thread(&self.run.thread_id).await)?;
        ids.extend(thread.map(|thread| file_ids(&thread.tool_resources)).unwrap_or_default());
        let mut files: Vec<InputFile> = Vec::with_capacity(ids.len());
        for id in ids {
            if files.iter().any(|file| file.id == id) {
                continue;
            }
            if let Some(file) = or_none(store.file(&id, self.engine.clock.seconds()).await)? {
                files.push(InputFile { id, name: plain_name(&file.filename) });
            }
        }
        Ok(files)
    }

    /// Where this run's programs run.
    async fn place(&self) -> Result<Place> {
        Ok(Place {
            project: self.lease.project().clone(),
            thread: self.run.thread_id.as_str().to_owned(),
            files: self.code_files().await?,
            goes_on: self.has_read_code || self.steps.iter().any(has_run),
        })
    }

    /// Runs those programs of a step that have not been run, one after the other, since they share a session.
    pub(super) async fn run_programs(&mut self, step: &mut Step) -> Result<(), Stop> {
        let id = step.id.clone();
        let StepDetails::ToolCalls { tool_calls } = &mut step.step_details else { return Ok(()) };
        for (index, call) in tool_calls.iter_mut().enumerate() {
            if let CalledTool::CodeInterpreter { code_interpreter } = &mut call.tool
                && code_interpreter.pending
            {
                self.run_program(&id, index, code_interpreter).await?;
            }
        }
        Ok(())
    }

    async fn run_program(
        &mut self,
        step: &StepId,
        index: usize,
        call: &mut CodeInterpreterCall,
    ) -> Result<(), Stop> {
        let place = self.place().await?;
        let program: Program = self.engine.code.start(place, call.input.clone());
        while let Some(given) = self.unless_stopped(program.next()).await? {
            for given in given {
                let output = self.output(given).await?;
                let place = add(&mut call.outputs, &output);
                let growth = CallGrowth::CodeOutput { index: place, output: &output };
                self.listener.emit(&Event::StepDelta(step, CallDelta { index, growth }));
            }
            self.listener.flush().await;
        }
        call.pending = false;
        Ok(())
    }

    async fn output(&self, given: Given) -> Result<CodeInterpreterOutput> {
        Ok(match given {
            Given::Text(logs) => CodeInterpreterOutput::Logs { logs },
            Given::Image(png) => {
                let file = self.engine.code.keep_image(self.lease.project(), png).await?;
                let image = OutputImage { file_id: file.id.as_str().to_owned() };
                CodeInterpreterOutput::Image { image }
            }
        })
    }

    /// Files of the session that a text links, each made a file of the project's. A link to what is not there
    /// stays as it is.
    pub(super) async fn linked_files(&mut self, text: &str) -> Result<Vec<(Link, String)>, Stop> {
        let mut found = Vec::new();
        if !HostedTool::CodeInterpreter.is_among(&self.run.tools) || !self.engine.code.is_offered() {
            return Ok(found);
        }
        let links = links::links(text);
        if links.is_empty() {
            return Ok(found);
        }
        let place = self.place().await?;
        let engine = std::sync::Arc::clone(&self.engine);
        let mut kept: Vec<(String, String)> = Vec::new();
        for link in links {
            let known = kept.iter().find(|(path, _)| *path == link.path).map(|(_, id)| id.clone());
            let id = match known {
                Some(id) => Some(id),
                None => {
                    let file = self.unless_stopped(engine.code.keep_file(&place, &link.path)).await??;
                    file.map(|file| file.id.as_str().to_owned())
                }
            };
            if let Some(id) = id {
                kept.push((link.path.clone(), id.clone()));
                found.push((link, id));
            }
        }
        Ok(found)
    }
}

fn file_ids(resources: &ToolResources) -> Vec<FileId> {
    let code = resources.code_interpreter.iter();
    code.flat_map(|code| &code.file_ids).map(|id| FileId::from_checked(id.clone())).collect()
}

fn has_run(step: &Step) -> bool {
    calls(step).any(|call| !call.pending)
}

/// Whether what the model reads has programs that were run.
pub(super) fn is_among(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| matches!(entry, Entry::Calls(_, step) if has_run(step)))
}

fn calls(step: &Step) -> impl Iterator<Item = &CodeInterpreterCall> {
    let calls = match &step.step_details {
        StepDetails::ToolCalls { tool_calls } => tool_calls.as_slice(),
        StepDetails::MessageCreation { .. } => &[],
    };
    calls.iter().filter_map(|call| match &call.tool {
        CalledTool::CodeInterpreter { code_interpreter } => Some(code_interpreter),
        CalledTool::FileSearch { .. } | CalledTool::Function { .. } => None,
    })
}

/// Adds an output to those before, text to text, and says as which one.
fn add(outputs: &mut Vec<CodeInterpreterOutput>, output: &CodeInterpreterOutput) -> usize {
    match (outputs.last_mut(), output) {
        (Some(CodeInterpreterOutput::Logs { logs }), CodeInterpreterOutput::Logs { logs: more }) => {
            logs.push_str(more);
        }
        (_, output) => outputs.push(output.clone()),
    }
    outputs.len() - 1
}

/// The figures that a run's programs have drawn since its last message, by their files.
pub(super) fn figures(steps: &[Step]) -> Vec<String> {
    let is_message = |step: &Step| matches!(step.step_details, StepDetails::MessageCreation { .. });
    let after = steps.iter().rposition(is_message).map_or(0, |at| at + 1);
    let outputs = steps.iter().skip(after).flat_map(calls).flat_map(|call| &call.outputs);
    let figure = |output: &CodeInterpreterOutput| match output {
        CodeInterpreterOutput::Image { image } => Some(image.file_id.clone()),
        CodeInterpreterOutput::Logs { .. } => None,
    };
    outputs.filter_map(figure).collect()
}

/// What the model reads of a program's outputs.
pub(super) fn answer(call: &CodeInterpreterCall) -> String {
    if call.outputs.is_empty() {
        return "The program ran and printed nothing.".to_owned();
    }
    let shown = |output: &CodeInterpreterOutput| match output {
        CodeInterpreterOutput::Logs { logs } => logs.clone(),
        CodeInterpreterOutput::Image { .. } => "[A figure, which the user sees.]\n".to_owned(),
    };
    call.outputs.iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn logs(logs: &str) -> CodeInterpreterOutput {
        CodeInterpreterOutput::Logs { logs: logs.to_owned() }
    }

    fn image(file_id: &str) -> CodeInterpreterOutput {
        CodeInterpreterOutput::Image { image: OutputImage { file_id: file_id.to_owned() } }
    }

    fn step(details: serde_json::Value) -> Step {
        serde_json::from_value(json!({
            "id": "step_1", "object": "thread.run.step", "created_at": 0, "run_id": "run_1", "assistant_id": "asst_1",
            "thread_id": "thread_1", "type": details["type"], "status": "completed", "cancelled_at": null,
            "completed_at": null, "expires_at": null, "failed_at": null, "last_error": null, "usage": null,
            "step_details": details
        }))
        .unwrap()
    }

    #[test]
    fn text_joins_text_and_images_stand_alone() {
        let mut outputs = Vec::new();
        let places: Vec<usize> = [logs("a"), logs("b"), image("file-1"), image("file-2"), logs("c")]
            .iter()
            .map(|output| add(&mut outputs, output))
            .collect();
        assert_eq!(places, [0, 0, 1, 2, 3]);
        assert_eq!(outputs, [logs("ab"), image("file-1"), image("file-2"), logs("c")]);
        let call = CodeInterpreterCall { input: String::new(), outputs, pending: false };
        assert_eq!(answer(&call), "ab[A figure, which the user sees.]\n[A figure, which the user sees.]\nc");
    }

    #[test]
    fn figures_go_to_the_next_message() {
        let drew = |file_id: &str| {
            step(json!({"type": "tool_calls", "tool_calls": [{"id": "call_1", "type": "code_interpreter",
                "code_interpreter": {"input": "", "outputs": [{"type": "image", "image": {"file_id": file_id}}]}}]}))
        };
        let said = step(json!({"type": "message_creation", "message_creation": {"message_id": "msg_1"}}));
        assert_eq!(figures(&[drew("a"), said.clone(), drew("b"), drew("c")]), ["b", "c"]);
        assert_eq!(figures(&[drew("a"), said]), Vec::<String>::new());
    }
}
