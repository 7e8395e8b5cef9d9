//! Requests about runs.

use serde::Deserialize;
use serde_json::Value;

use super::{IncludeInRun, ReasoningEffort, ResponseFormat, ToolChoice, TruncationStrategy};
use crate::error::Error;
use crate::messages::{CreateMessage, MESSAGE};
use crate::shape::{Field, Path, Request, Shape};
use crate::steps::Include;
use crate::threads::{CREATE_THREAD, CreateThread};
use crate::tools::{TOOL_RESOURCES, TOOLS, Tool, ToolResources, closed_schema};
use crate::{AssistantId, Metadata, metadata};

/// Body of `POST /threads/{thread_id}/runs`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are those of Run")]
pub struct CreateRun {
    pub assistant_id: AssistantId,
    pub model: Option<String>,
    /// In place of the assistant's.
    pub instructions: Option<String>,
    /// After the assistant's.
    pub additional_instructions: Option<String>,
    /// Stored before the run begins.
    #[serde(default)]
    pub additional_messages: Vec<CreateMessage>,
    pub tools: Option<Vec<Tool>>,
    /// Only `POST /threads/runs` takes them.
    #[serde(skip)]
    pub tool_resources: Option<ToolResources>,
    #[serde(default)]
    pub metadata: Metadata,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    /// Whether the answer is a stream of events.
    #[serde(default)]
    pub stream: bool,
    /// What that stream shows of steps, and what is kept beside them; comes in the query.
    #[serde(skip)]
    pub include: IncludeInRun,
    pub max_prompt_tokens: Option<u64>,
    pub max_completion_tokens: Option<u64>,
    #[serde(default)]
    pub truncation_strategy: TruncationStrategy,
    #[serde(default)]
    pub tool_choice: ToolChoice,
    pub parallel_tool_calls: Option<bool>,
    pub response_format: Option<ResponseFormat>,
    pub reasoning_effort: Option<ReasoningEffort>,
}

/// Body of `POST /threads/runs`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are those of CreateRun")]
pub struct CreateThreadAndRun {
    pub assistant_id: AssistantId,
    /// The new thread; empty where absent.
    #[serde(default)]
    pub thread: CreateThread,
    pub model: Option<String>,
    pub instructions: Option<String>,
    pub tools: Option<Vec<Tool>>,
    pub tool_resources: Option<ToolResources>,
    #[serde(default)]
    pub metadata: Metadata,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    #[serde(default)]
    pub stream: bool,
    pub max_prompt_tokens: Option<u64>,
    pub max_completion_tokens: Option<u64>,
    #[serde(default)]
    pub truncation_strategy: TruncationStrategy,
    #[serde(default)]
    pub tool_choice: ToolChoice,
    pub parallel_tool_calls: Option<bool>,
    pub response_format: Option<ResponseFormat>,
}

impl CreateThreadAndRun {
    /// The thread to create, and the run to create on it.
    pub fn split(self) -> (CreateThread, CreateRun) {
        let run = CreateRun {
            assistant_id: self.assistant_id,
            model: self.model,
            instructions: self.instructions,
            additional_instructions: None,
            additional_messages: Vec::new(),
            tools: self.tools,
            tool_resources: self.tool_resources,
            metadata: self.metadata,
            temperature: self.temperature,
            top_p: self.top_p,
            stream: self.stream,
            include: IncludeInRun::default(),
            max_prompt_tokens: self.max_prompt_tokens,
            max_completion_tokens: self.max_completion_tokens,
            truncation_strategy: self.truncation_strategy,
            tool_choice: self.tool_choice,
            parallel_tool_calls: self.parallel_tool_calls,
            response_format: self.response_format,
            reasoning_effort: None,
        };
        (self.thread, run)
    }
}

/// Body of `POST …/submit_tool_outputs`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmitToolOutputs {
    /// One for each pending call, in any order.
    pub tool_outputs: Vec<ToolOutput>,
    /// Whether the answer is a stream of events.
    #[serde(default)]
    pub stream: bool,
    /// What that stream shows of steps; comes in the query.
    #[serde(skip)]
    pub include: Include,
}

/// What a call gave.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolOutput {
    /// Which call.
    pub tool_call_id: String,
    /// Its output; a missing one is empty (contract §5).
    #[serde(default)]
    pub output: String,
}

pub(crate) const TEMPERATURE: Shape = Shape::Decimal { min: 0.0, max: 2.0 };
pub(crate) const TOP_P: Shape = Shape::Decimal { min: 0.0, max: 1.0 };
pub(crate) const REASONING_EFFORT: Shape =
    Shape::Enum(&["none", "minimal", "low", "medium", "high", "xhigh", "max"]);

pub(crate) const RESPONSE_FORMAT: Shape = Shape::Either(
    &Shape::Enum(&["auto"]),
    &Shape::Tagged(&[
        ("text", &[]),
        ("json_object", &[]),
        ("json_schema", &[Field::required("json_schema", Shape::Where(&JSON_SCHEMA, strict_schema))]),
    ]),
);

const JSON_SCHEMA: Shape = Shape::Object(&[
    Field::required("name", Shape::Name { max: 64 }),
    Field::optional("description", Shape::STRING),
    Field::optional("schema", Shape::AnyObject),
    Field::optional("strict", Shape::Boolean),
]);

/// A strict response schema must close every object and require every property (contract §5).
fn strict_schema(format: &Value, path: &Path<'_>) -> Result<(), Error> {
    if format.get("strict") != Some(&Value::Bool(true)) {
        return Ok(());
    }
    let name = format.get("name").and_then(Value::as_str).unwrap_or_default();
    closed_schema(format.get("schema").unwrap_or(&Value::Null), &mut Vec::new()).map_err(|fault| {
        let message = format!("Invalid schema for response_format '{name}': {fault}");
        Error::parameter(Path::Key(path, "schema").to_string(), "invalid_json_schema", message)
    })
}

const TOOL_CHOICE: Shape = Shape::Either(
    &Shape::Enum(&["none", "auto", "required"]),
    &Shape::Tagged(&[
        (
            "function",
            &[Field::required("function", Shape::Object(&[Field::required("name", Shape::FILLED)]))],
        ),
        ("code_interpreter", &[]),
        ("file_search", &[]),
    ]),
);

const TRUNCATION_STRATEGY: Shape = Shape::Where(
    &Shape::Object(&[
        Field::required("type", Shape::Enum(&["auto", "last_messages"])),
        Field::optional("last_messages", Shape::Integer { min: 1, max: i64::MAX }),
    ]),
    last_messages_has_a_number,
);

fn last_messages_has_a_number(strategy: &Value, path: &Path<'_>) -> Result<(), Error> {
    let wants = strategy.get("type").and_then(Value::as_str) == Some("last_messages");
    if !wants || strategy.get("last_messages").is_some() {
        return Ok(());
    }
    let path = Path::Key(path, "last_messages");
    let message = format!("Missing required parameter: '{path}'.");
    Err(Error::parameter(path.to_string(), "missing_required_parameter", message))
}

/// The specification says 256; a recorded run was accepted with 16, and recordings win (contract §2).
const TOKEN_LIMIT: Shape = Shape::Integer { min: 16, max: i64::MAX };

const INSTRUCTIONS: Shape = Shape::String { min: 0, max: 256_000 };

const ASSISTANT_ID: Field = Field::required("assistant_id", Shape::Id("asst_"));
const MODEL: Field = Field::optional("model", Shape::FILLED);
const STREAM: Field = Field::optional("stream", Shape::Boolean);

impl Request for CreateRun {
    const SHAPE: Shape = Shape::Object(&[
        ASSISTANT_ID,
        MODEL,
        Field::optional("instructions", INSTRUCTIONS),
        Field::optional("additional_instructions", INSTRUCTIONS),
        Field::optional("additional_messages", Shape::Array { items: &MESSAGE, min: 0, max: 100_000 }),
        Field::optional("tools", TOOLS),
        Field::optional("metadata", metadata::SHAPE),
        Field::optional("temperature", TEMPERATURE),
        Field::optional("top_p", TOP_P),
        STREAM,
        Field::optional("max_prompt_tokens", TOKEN_LIMIT),
        Field::optional("max_completion_tokens", TOKEN_LIMIT),
        Field::optional("truncation_strategy", TRUNCATION_STRATEGY),
        Field::optional("tool_choice", TOOL_CHOICE),
        Field::optional("parallel_tool_calls", Shape::Boolean),
        Field::optional("response_format", RESPONSE_FORMAT),
        Field::optional("reasoning_effort", REASONING_EFFORT),
    ]);
}

impl Request for CreateThreadAndRun {
    const SHAPE: Shape = Shape::Object(&[
        ASSISTANT_ID,
        Field::optional("thread", CREATE_THREAD),
        MODEL,
        Field::optional("instructions", INSTRUCTIONS),
        Field::optional("tools", TOOLS),
        Field::optional("tool_resources", TOOL_RESOURCES),
        Field::optional("metadata", metadata::SHAPE),
        Field::optional("temperature", TEMPERATURE),
        Field::optional("top_p", TOP_P),
        STREAM,
        Field::optional("max_prompt_tokens", TOKEN_LIMIT),
        Field::optional("max_completion_tokens", TOKEN_LIMIT),
        Field::optional("truncation_strategy", TRUNCATION_STRATEGY),
        Field::optional("tool_choice", TOOL_CHOICE),
        Field::optional("parallel_tool_calls", Shape::Boolean),
        Field::optional("response_format", RESPONSE_FORMAT),
    ]);
}

const TOOL_OUTPUT: Shape = Shape::Object(&[
    Field::required("tool_call_id", Shape::STRING),
    Field::optional("output", Shape::String { min: 0, max: 1_048_576 }),
]);

/// All outputs of one request together (contract §3).
const ALL_OUTPUTS_BYTES: usize = 512 * 1024;

fn outputs_fit(outputs: &Value, path: &Path<'_>) -> Result<(), Error> {
    let outputs = outputs.as_array().map(Vec::as_slice).unwrap_or_default();
    let length = |output: &Value| output.get("output").and_then(Value::as_str).map_or(0, str::len);
    if outputs.iter().map(length).sum::<usize>() < ALL_OUTPUTS_BYTES {
        return Ok(());
    }
    let message = format!("'{path}' too large: the combined tool outputs must be less than 512kb.");
    Err(Error::parameter(path.to_string(), "invalid_value", message))
}

impl Request for SubmitToolOutputs {
    const SHAPE: Shape = Shape::Object(&[
        Field::required(
            "tool_outputs",
            Shape::Where(&Shape::Array { items: &TOOL_OUTPUT, min: 0, max: 1024 }, outputs_fit),
        ),
        STREAM,
    ]);
}
