//! What a run does with the code interpreter: which files its programs read, running them while their outputs
//! stream, and what becomes of figures and files.

use std::collections::VecDeque;
use std::time::Duration;

use adjutant_wire::FileId;
use adjutant_wire::events::{CallDelta, CallGrowth, Event};
use adjutant_wire::files::File;
use adjutant_wire::id::Id;
use adjutant_wire::steps::{
    CalledTool, CodeInterpreterCall, CodeInterpreterOutput, OutputImage, Step, StepDetails, ToolCall,
};
use adjutant_wire::tools::ToolResources;
use tokio::time::{Instant, timeout};

use super::executor::{Executor, Stop, Work};
use super::history::Entry;
use super::hosted::or_none;
use super::links::{self, Link};
use super::storing::Change;
use super::turn::FOLLOWED_CHECKPOINT;
use crate::crash_point;
use crate::fault::{Fault, Result};
use crate::tools::code_interpreter::{Given, InputFile, Place, Program, plain_name};
use crate::tools::hosted::HostedTool;

/// The most files that a message links; an answer has one or two.
const MESSAGE_FILES: usize = 10;

/// The most figures that a run keeps: its programs may draw twenty each, and more than this nobody looks at.
const RUN_FIGURES: usize = 100;

/// The most bytes of figures and files that a run keeps: as much as one file may have. They go to the server's own
/// disk, which no session's limits protect.
const RUN_BYTES: u64 = 512 << 20;

/// What was kept of what a run's programs gave.
#[derive(Debug, Default)]
pub(super) struct Kept {
    figures: usize,
    bytes: u64,
    /// What the program that is run had drawn for a worker that is lost, in order. Clients may have been told of these
    /// figures, so its figures take their places.
    before: VecDeque<FileId>,
}

/// What became of the links of a message.
#[derive(Debug, Default)]
pub(super) struct Linked {
    /// Links with the ids of their files.
    pub(super) files: Vec<(Link, String)>,
    /// What the user is to know of the others.
    pub(super) note: Option<String>,
}

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
        let mut files: Vec<File> = Vec::with_capacity(ids.len());
        for id in ids {
            if files.iter().any(|file| file.id == id) {
                continue;
            }
            files.extend(or_none(store.file(&id, self.engine.clock.seconds()).await)?);
        }
        Ok(named(&files))
    }

    /// Where this run's programs run.
    pub(super) async fn place(&self) -> Result<Place> {
        Ok(Place {
            project: self.lease.project().clone(),
            thread: self.run.thread_id.clone(),
            files: self.code_files().await?,
            goes_on: self.has_read_code || self.steps.iter().any(has_run),
        })
    }

    /// Runs those programs of a step that have not been run, one after the other, since they share a session.
    pub(super) async fn run_programs(&mut self, step: &mut Step) -> Result<(), Stop> {
        if !calls(step).any(|call| call.pending) {
            return Ok(());
        }
        self.restore_session().await.map_err(not_again)?;
        let place = self.place().await?;
        for index in 0..all_calls(step).len() {
            let ran = self.run_program(&place, step, index).await;
            ran.map_err(not_again)?;
        }
        Ok(())
    }

    async fn run_program(&mut self, place: &Place, step: &mut Step, index: usize) -> Result<(), Stop> {
        let Some(call) = pending_program(step, index) else { return Ok(()) };
        // A worker before this one may have stored what it gave then.
        let given = std::mem::take(&mut call.outputs);
        let code = call.input.clone();
        self.kept.before = given.iter().filter_map(figure).map(FileId::from_checked).collect();
        crash_point::reach("before a program");
        let program: Program = self.engine.code.start(place.clone(), code);
        let mut stored_at = Instant::now();
        let mut grew = false;
        loop {
            // The stored step names the figures of before until they all have their places again.
            let may_store = grew && self.kept.before.is_empty();
            let due = match may_store {
                true => FOLLOWED_CHECKPOINT.saturating_sub(stored_at.elapsed()),
                false => Duration::MAX,
            };
            match self.unless_stopped(timeout(due, program.next())).await? {
                Ok(Some(given)) => {
                    self.take_outputs(step, index, given).await?;
                    grew = self.live.is_followed_elsewhere();
                }
                Ok(None) => break,
                Err(_) => {
                    self.store(Change::Outputs(step)).await?;
                    (stored_at, grew) = (Instant::now(), false);
                }
            }
            if self.live.is_followed_here() {
                self.live.show(Some(&Work { step: step.clone(), message: None }));
            }
        }
        let left: Vec<FileId> = self.kept.before.drain(..).collect();
        if !left.is_empty() {
            self.store(Change::Redrawn(step, &left)).await?;
            self.keep_stored(step);
        }
        crash_point::reach("after a program");
        if let Some(call) = pending_program(step, index) {
            call.pending = false;
        }
        Ok(())
    }

    /// Adds what a program gave to its call, and tells the client.
    async fn take_outputs(&mut self, step: &mut Step, index: usize, given: Vec<Given>) -> Result<(), Stop> {
        for given in given {
            crash_point::reach("after an output of a program");
            let output = self.output(given).await?;
            let Some(call) = pending_program(step, index) else { return Ok(()) };
            let at = add(&mut call.outputs, &output);
            if !self.files.is_empty() {
                self.store_figure(step).await?;
            }
            let growth = CallGrowth::CodeOutput { index: at, output: &output };
            self.listener.emit(&Event::StepDelta(&step.id, CallDelta { index, growth }));
        }
        self.listener.flush().await;
        Ok(())
    }

    /// Stores a figure together with the step that names it, so that a crash leaves neither without the other.
    async fn store_figure(&mut self, step: &Step) -> Result<(), Stop> {
        if let Err(stop) = self.store(Change::Outputs(step)).await {
            // The step that the run ends with does not name it.
            self.files.clear();
            return Err(stop);
        }
        self.keep_stored(step);
        Ok(())
    }

    /// Should the run be cancelled amid its program, its step ends with the figures that are stored.
    fn keep_stored(&mut self, step: &Step) {
        if let Some(last) = self.steps.last_mut() {
            *last = step.clone();
        }
    }

    async fn output(&mut self, given: Given) -> Result<CodeInterpreterOutput, Stop> {
        Ok(match given {
            Given::Text(logs) => CodeInterpreterOutput::Logs { logs },
            Given::Image(png) if !self.kept.may_keep_figure(png.len()) => {
                let logs = format!(
                    "[A figure is left out: a run keeps {RUN_FIGURES}, and {} MB.]\n",
                    RUN_BYTES >> 20
                );
                CodeInterpreterOutput::Logs { logs }
            }
            Given::Image(png) => {
                if let Some(file) = self.kept.before.pop_front() {
                    let image = OutputImage { file_id: file.as_str().to_owned() };
                    return Ok(CodeInterpreterOutput::Image { image });
                }
                let figure = self.engine.code.keep_image(png).await?;
                let image = OutputImage { file_id: figure.file.id.as_str().to_owned() };
                self.files.push(figure);
                CodeInterpreterOutput::Image { image }
            }
        })
    }

    /// Files of the session that a text links, each made a file of the project's. A link to what is not there
    /// stays as it is.
    pub(super) async fn linked_files(&mut self, text: &str) -> Result<Linked, Stop> {
        let mut linked = Linked::default();
        if !HostedTool::CodeInterpreter.is_among(&self.run.tools) || !self.engine.code.is_offered() {
            return Ok(linked);
        }
        let links = links::links(text);
        if links.is_empty() {
            return Ok(linked);
        }
        self.restore_session().await?;
        let mut known: Vec<(String, Option<String>)> = Vec::new();
        for link in links {
            let id = match known.iter().find(|(path, _)| *path == link.path) {
                Some((_, id)) => id.clone(),
                None if known.len() == MESSAGE_FILES => {
                    linked.note = Some(format!("\n\n[Only the first {MESSAGE_FILES} files are linked.]"));
                    break;
                }
                None => {
                    let id = self.linked_file(&link.path).await?;
                    known.push((link.path.clone(), id.clone()));
                    id
                }
            };
            linked.files.extend(id.map(|id| (link, id)));
        }
        Ok(linked)
    }

    async fn linked_file(&mut self, path: &str) -> Result<Option<String>, Stop> {
        let engine = std::sync::Arc::clone(&self.engine);
        let most = RUN_BYTES.saturating_sub(self.kept.bytes);
        let (project, thread) = (self.lease.project().clone(), self.run.thread_id.clone());
        crash_point::reach("before a file is taken from a session");
        let kept = engine.code.keep_file(&project, &thread, path, most);
        let Some(new) = self.unless_stopped(kept).await?? else { return Ok(None) };
        self.kept.bytes += u64::try_from(new.file.bytes).unwrap_or_default();
        let id = new.file.id.as_str().to_owned();
        // The commit stores it that stores the message.
        self.files.push(new);
        Ok(Some(id))
    }
}

impl Kept {
    /// Counts a figure, if there is room for it.
    fn may_keep_figure(&mut self, bytes: usize) -> bool {
        let bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        let may = self.figures < RUN_FIGURES && bytes <= RUN_BYTES;
        if may {
            (self.figures, self.bytes) = (self.figures + 1, bytes);
        }
        may
    }
}

/// Files with the names that programs know them by: of several of one name, the newest has it. No name is another
/// file's id.
fn named(files: &[File]) -> Vec<InputFile> {
    let name = |at: usize, file: &File| {
        let name = plain_name(&file.filename)?;
        let is_newer = |(other, file): (usize, &File)| (file.created_at, other);
        let of_name =
            files.iter().enumerate().filter(|(_, other)| plain_name(&other.filename).as_ref() == Some(&name));
        let newest = of_name.max_by_key(|other| is_newer(*other)).map(|(other, _)| other);
        let is_id = files.iter().any(|other| other.id.as_str() == name);
        (newest == Some(at) && !is_id).then_some(name)
    };
    let named = |(at, file): (usize, &File)| InputFile { id: file.id.clone(), name: name(at, file) };
    files.iter().enumerate().map(named).collect()
}

/// What a program gave was told already, so that this worker does not run it again: the next one does.
fn not_again(stop: Stop) -> Stop {
    match stop {
        Stop::Broken(Fault::Unavailable(why)) => Stop::Broken(Fault::Broken(why)),
        stop @ (Stop::Broken(_) | Stop::Changed | Stop::End(_)) => stop,
    }
}

fn file_ids(resources: &ToolResources) -> Vec<FileId> {
    let code = resources.code_interpreter.iter();
    code.flat_map(|code| &code.file_ids).map(|id| FileId::from_checked(id.clone())).collect()
}

pub(super) fn has_run(step: &Step) -> bool {
    calls(step).any(|call| !call.pending)
}

/// Whether what the model reads has programs that were run.
pub(super) fn is_among(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| matches!(entry, Entry::Calls(_, step) if has_run(step)))
}

pub(super) fn calls(step: &Step) -> impl Iterator<Item = &CodeInterpreterCall> {
    all_calls(step).iter().filter_map(|call| match &call.tool {
        CalledTool::CodeInterpreter { code_interpreter } => Some(code_interpreter),
        CalledTool::FileSearch { .. } | CalledTool::Function { .. } => None,
    })
}

fn all_calls(step: &Step) -> &[ToolCall] {
    match &step.step_details {
        StepDetails::ToolCalls { tool_calls } => tool_calls.as_slice(),
        StepDetails::MessageCreation { .. } => &[],
    }
}

/// The program at this place among a step's calls, if it has not been run.
fn pending_program(step: &mut Step, index: usize) -> Option<&mut CodeInterpreterCall> {
    let StepDetails::ToolCalls { tool_calls } = &mut step.step_details else { return None };
    match tool_calls.get_mut(index).map(|call| &mut call.tool) {
        Some(CalledTool::CodeInterpreter { code_interpreter }) => {
            code_interpreter.pending.then_some(code_interpreter)
        }
        Some(CalledTool::FileSearch { .. } | CalledTool::Function { .. }) | None => None,
    }
}

/// Adds an output to those before, text to text, and says as which one.
pub(super) fn add(outputs: &mut Vec<CodeInterpreterOutput>, output: &CodeInterpreterOutput) -> usize {
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
    outputs.filter_map(figure).collect()
}

/// The file of an output that is a figure.
fn figure(output: &CodeInterpreterOutput) -> Option<String> {
    match output {
        CodeInterpreterOutput::Image { image } => Some(image.file_id.clone()),
        CodeInterpreterOutput::Logs { .. } => None,
    }
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
    fn the_newest_of_several_files_has_their_name() {
        let file = |id: &str, filename: &str, created_at: i64| -> File {
            serde_json::from_value(json!({"id": id, "object": "file", "bytes": 1, "created_at": created_at,
                "filename": filename, "purpose": "assistants", "status": "processed"}))
            .unwrap()
        };
        let files = [
            file("file-1", "a.csv", 5),
            file("file-2", "a.csv", 7),
            file("file-3", "x/a.csv", 7),
            file("file-4", "a.csv", 6),
            file("file-5", "file-1", 9),
            file("file-6", "b.csv", 1),
        ];
        let names: Vec<Option<String>> = named(&files).into_iter().map(|file| file.name).collect();
        let expected = [None, None, Some("a.csv"), None, None, Some("b.csv")];
        assert_eq!(names, expected.map(|name| name.map(str::to_owned)));
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
