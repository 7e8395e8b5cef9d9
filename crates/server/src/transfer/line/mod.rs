//! From a line to an object: what saved objects lack is filled in, what had not ended has ended.

mod shelf;

use adjutant_wire as wire;
use adjutant_wire::files::File;
use adjutant_wire::id::Id;
use adjutant_wire::messages::{IncompleteMessage, IncompleteMessageReason, Message, MessageStatus, Role};
use adjutant_wire::runs::{Run, RunStatus};
use adjutant_wire::shape::{Field, Shape};
use adjutant_wire::steps::{Step, StepStatus};
use adjutant_wire::vector_store_files::VectorStoreFile;
use adjutant_wire::{
    AssistantId, FileBatchId, FileId, MessageId, RunId, StepId, ThreadId, UnixSeconds, VectorStoreId,
    metadata,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::store::Kept;
use crate::transfer::part::Part;

/// Positions are microseconds since 1970.
const SECOND: i64 = 1_000_000;
/// The end of the year 9999.
const LATEST: UnixSeconds = 253_402_300_799;
const LONGEST_ID: usize = 128;
const METADATA: Shape = Shape::Object(&[Field::optional("metadata", metadata::SHAPE)]);

/// What a line says, and whose it is where it says so.
pub(super) struct Line {
    pub(super) project: Option<String>,
    pub(super) what: What,
}

/// What a line says.
pub(super) enum What {
    /// An object, whole, and the position that it wants.
    Object(Kept, i64),
    /// A file, whose bytes follow.
    File(File, i64),
    /// A file in a store, whose passages follow where it was completed.
    StoreFile(VectorStoreFile, i64),
    /// What belongs to the object before it.
    Part(Part),
}

/// # Errors
/// What is wrong with the line.
pub(super) fn read(line: &[u8]) -> wire::Result<Line> {
    let object =
        serde_json::from_slice(line).map_err(|error| wire::Error::invalid(format!("Not JSON: {error}.")))?;
    let Value::Object(mut object) = object else { return Err(wire::Error::invalid("Not a JSON object.")) };
    let project = match object.shift_remove("project") {
        None => None,
        Some(Value::String(name)) if !name.contains('\0') => Some(name),
        Some(_) => return Err(wire::Error::invalid("Invalid 'project': a name is expected.")),
    };
    let kind = object.get("object").and_then(Value::as_str).unwrap_or_default();
    if Part::KINDS.contains(&kind) {
        return Ok(Line { project, what: What::Part(typed(object, json!({}))?) });
    }
    let position = object.shift_remove("position");
    check_metadata(&mut object)?;
    let what = what(object)?;
    let (created_at, within_second) = check(&what)?;
    let wanted = match position.as_ref().map(Value::as_i64) {
        None => created_at * SECOND + within_second,
        Some(Some(position)) if (0..=LATEST * SECOND).contains(&position) => position,
        Some(_) => {
            return Err(wire::Error::invalid("Invalid 'position': microseconds since 1970 are expected."));
        }
    };
    Ok(Line { project, what: what.at(wanted) })
}

impl What {
    fn at(self, wanted: i64) -> Self {
        match self {
            Self::Object(kept, _) => Self::Object(kept, wanted),
            Self::File(file, _) => Self::File(file, wanted),
            Self::StoreFile(file, _) => Self::StoreFile(file, wanted),
            Self::Part(part) => Self::Part(part),
        }
    }
}

/// The object, at no position yet.
fn what(object: Map<String, Value>) -> wire::Result<What> {
    let kind = object.get("object").and_then(Value::as_str).unwrap_or_default();
    Ok(match kind {
        "file" => What::File(shelf::file(object)?, 0),
        "vector_store" => What::Object(Kept::VectorStore(Box::new(shelf::vector_store(object)?)), 0),
        "vector_store.file" => What::StoreFile(shelf::store_file(object)?, 0),
        "vector_store.file_batch" => What::Object(Kept::FileBatch(shelf::batch(object)?), 0),
        _ => What::Object(kept(object)?, 0),
    })
}

fn kept(object: Map<String, Value>) -> wire::Result<Kept> {
    let kind = object.get("object").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "assistant" => typed(object, assistant_defaults()).map(|object| Kept::Assistant(Box::new(object))),
        "thread" => typed(object, thread_defaults()).map(Kept::Thread),
        "thread.message" => message(object).map(|object| Kept::Message(Box::new(object))),
        "thread.run" => typed(object, run_defaults()).map(|object| Kept::Run(Box::new(ended_run(object)))),
        "thread.run.step" => {
            typed(object, json!({"metadata": {}})).map(|object| Kept::Step(Box::new(ended_step(object))))
        }
        other => Err(wire::Error::invalid(format!(
            "Objects of the kind '{other}' cannot be imported: 'assistant', 'thread', 'thread.message', 'thread.run', \
             'thread.run.step', 'file', 'vector_store', 'vector_store.file' and 'vector_store.file_batch' can."
        ))),
    }
}

fn assistant_defaults() -> Value {
    json!({"tools": [], "top_p": 1.0, "temperature": 1.0, "tool_resources": {}, "metadata": {},
        "response_format": "auto"})
}

fn thread_defaults() -> Value {
    json!({"metadata": {}, "tool_resources": {}})
}

fn run_defaults() -> Value {
    json!({"instructions": "", "tools": [], "tool_resources": {}, "metadata": {}, "temperature": 1.0, "top_p": 1.0,
        "truncation_strategy": {"type": "auto"}, "response_format": "auto", "tool_choice": "auto",
        "parallel_tool_calls": true})
}

/// Messages that OpenAI's servers answered over REST had no status; they were whole.
fn message(object: Map<String, Value>) -> wire::Result<Message> {
    let created_at = object.get("created_at").cloned().unwrap_or_default();
    let without_status = object.get("status").is_none_or(Value::is_null);
    let mut defaults = json!({"status": "completed", "attachments": [], "metadata": {}});
    if without_status {
        defaults["completed_at"] = created_at;
    }
    let mut message: Message = typed(object, defaults)?;
    if message.status == MessageStatus::InProgress {
        message.status = MessageStatus::Incomplete;
        message.incomplete_at = Some(message.created_at);
        message.incomplete_details = Some(IncompleteMessage { reason: IncompleteMessageReason::RunExpired });
    }
    Ok(message)
}

/// Nobody works on it here, so its time is over.
fn ended_run(mut run: Run) -> Run {
    if !run.status.is_terminal() {
        run.status = RunStatus::Expired;
        run.required_action = None;
        run.expires_at = None;
    }
    run
}

fn ended_step(mut step: Step) -> Step {
    if step.status == StepStatus::InProgress {
        step.status = StepStatus::Expired;
        step.expired_at = Some(step.expires_at.unwrap_or(step.created_at));
    }
    step.exported()
}

/// The type of an object, what is absent or null filled in where the type needs a value.
fn typed<T: DeserializeOwned>(mut object: Map<String, Value>, defaults: Value) -> wire::Result<T> {
    let Value::Object(defaults) = defaults else { return Err(wire::Error::invalid("Not a JSON object.")) };
    for (key, default) in defaults {
        let value = object.entry(key).or_insert(Value::Null);
        if value.is_null() {
            *value = default;
        }
    }
    serde_json::from_value(Value::Object(object))
        .map_err(|error| wire::Error::invalid(format!("Not an object of the API: {error}.")))
}

fn check_metadata(object: &mut Map<String, Value>) -> wire::Result<()> {
    let Some(metadata) = object.get("metadata") else { return Ok(()) };
    METADATA.check(&mut json!({"metadata": metadata}))
}

/// Refuses ids and times that no database can hold. Gives the time, and where in its second the object belongs.
fn check(what: &What) -> wire::Result<(UnixSeconds, i64)> {
    let (created_at, within_second) = match what {
        What::Object(kept, _) => (check_kept(kept)?, within_second(kept)),
        What::File(file, _) => {
            check_id::<FileId>(&file.id)?;
            (file.created_at, 0)
        }
        What::StoreFile(file, _) => {
            check_id::<FileId>(&file.id)?;
            check_id::<VectorStoreId>(&file.vector_store_id)?;
            (file.created_at, 0)
        }
        What::Part(_) => (0, 0),
    };
    check_time("created_at", created_at)?;
    Ok((created_at, within_second))
}

fn check_time(name: &str, time: UnixSeconds) -> wire::Result<()> {
    if (0..=LATEST).contains(&time) {
        return Ok(());
    }
    Err(wire::Error::invalid(format!("Invalid '{name}': seconds since 1970 are expected.")))
}

fn check_kept(kept: &Kept) -> wire::Result<UnixSeconds> {
    Ok(match kept {
        Kept::Assistant(assistant) => {
            check_id::<AssistantId>(&assistant.id)?;
            assistant.created_at
        }
        Kept::Thread(thread) => {
            check_id::<ThreadId>(&thread.id)?;
            thread.created_at
        }
        Kept::Message(message) => {
            check_id::<MessageId>(&message.id)?;
            check_id::<ThreadId>(&message.thread_id)?;
            message.run_id.as_ref().map_or(Ok(()), check_id::<RunId>)?;
            message.assistant_id.as_ref().map_or(Ok(()), check_id::<AssistantId>)?;
            message.created_at
        }
        Kept::Run(run) => {
            check_id::<RunId>(&run.id)?;
            check_id::<ThreadId>(&run.thread_id)?;
            check_id::<AssistantId>(&run.assistant_id)?;
            run.created_at
        }
        Kept::Step(step) => {
            check_id::<StepId>(&step.id)?;
            check_id::<ThreadId>(&step.thread_id)?;
            check_id::<RunId>(&step.run_id)?;
            step.created_at
        }
        Kept::VectorStore(kept) => {
            check_id::<VectorStoreId>(&kept.store.id)?;
            kept.store.created_at
        }
        Kept::FileBatch(kept) => {
            check_id::<FileBatchId>(&kept.batch.id)?;
            check_id::<VectorStoreId>(&kept.batch.vector_store_id)?;
            kept.file_ids.iter().try_for_each(check_id::<FileId>)?;
            kept.batch.created_at
        }
    })
}

fn check_id<I: Id>(id: &I) -> wire::Result<()> {
    I::parse(id.as_str())?;
    if id.as_str().len() <= LONGEST_ID {
        return Ok(());
    }
    Err(wire::Error::invalid(format!("Invalid '{}': longer than {LONGEST_ID} characters.", I::PARAMETER)))
}

/// Times are whole seconds. Within one, what the user said comes first, then the calls, then the answer.
fn within_second(kept: &Kept) -> i64 {
    match kept {
        Kept::Assistant(_) | Kept::Thread(_) | Kept::Run(_) | Kept::VectorStore(_) | Kept::FileBatch(_) => 0,
        Kept::Message(message) if message.role == Role::User => 0,
        Kept::Step(_) => SECOND / 3,
        Kept::Message(_) => SECOND / 3 * 2,
    }
}
