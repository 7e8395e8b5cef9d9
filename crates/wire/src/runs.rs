//! Runs.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use crate::error::Error;
use crate::messages::{CreateMessage, MESSAGE};
use crate::shape::{Field, Path, Request, Shape};
use crate::threads::{CREATE_THREAD, CreateThread};
use crate::tools::{TOOL_RESOURCES, TOOLS, Tool, ToolResources, closed_schema};
use crate::{AssistantId, CallId, Metadata, RunId, ThreadId, UnixSeconds, metadata};

/// An assistant at work on a thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Always `thread.run`.
    pub object: String,
    /// When it was created.
    pub created_at: UnixSeconds,
    /// Who works.
    pub assistant_id: AssistantId,
    /// On what.
    pub thread_id: ThreadId,
    /// How far it is.
    pub status: RunStatus,
    /// When work began, or was last resumed.
    pub started_at: Option<UnixSeconds>,
    /// When it will expire; null once it has ended.
    pub expires_at: Option<UnixSeconds>,
    /// When it was cancelled.
    pub cancelled_at: Option<UnixSeconds>,
    /// When it failed.
    pub failed_at: Option<UnixSeconds>,
    /// When it was completed.
    pub completed_at: Option<UnixSeconds>,
    /// What the client must do.
    pub required_action: Option<RequiredAction>,
    /// Why it failed.
    pub last_error: Option<LastError>,
    /// The model's name as the client knows it.
    pub model: String,
    /// The instructions; empty where there are none. OpenAI sent null, which a known client cannot read
    /// (contract §4).
    pub instructions: String,
    /// The tools.
    pub tools: Vec<Tool>,
    /// Files for the tools.
    pub tool_resources: ToolResources,
    /// The client's own pairs.
    pub metadata: Metadata,
    /// Sampling temperature, 0 to 2.
    pub temperature: f64,
    /// Nucleus sampling, 0 to 1.
    pub top_p: f64,
    /// How long a reasoning model may think.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// The most tokens that the model may write over the whole run.
    pub max_completion_tokens: Option<u64>,
    /// The most tokens that the model may read over the whole run.
    pub max_prompt_tokens: Option<u64>,
    /// What is left out of a thread that is too long.
    pub truncation_strategy: TruncationStrategy,
    /// Why it is incomplete.
    pub incomplete_details: Option<IncompleteRun>,
    /// What it cost; null until it has ended.
    pub usage: Option<Usage>,
    /// The answers' form.
    pub response_format: ResponseFormat,
    /// Whether and which tool the model must call.
    pub tool_choice: ToolChoice,
    /// Whether the model may make several calls at once.
    pub parallel_tool_calls: bool,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It waits for a worker.
    Queued,
    /// It is at work.
    InProgress,
    /// It waits for the client's tool outputs.
    RequiresAction,
    /// It is being stopped.
    Cancelling,
    /// It was stopped.
    Cancelled,
    /// It came to a fault.
    Failed,
    /// It is done.
    Completed,
    /// It reached a limit.
    Incomplete,
    /// It took too long.
    Expired,
}

impl RunStatus {
    /// The word in answers and error texts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::RequiresAction => "requires_action",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Expired => "expired",
        }
    }

    /// Whether the run has ended and its thread is free.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Queued | Self::InProgress | Self::RequiresAction | Self::Cancelling => false,
            Self::Cancelled | Self::Failed | Self::Completed | Self::Incomplete | Self::Expired => true,
        }
    }
}

/// What the client must do before the run goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RequiredAction {
    /// Answer these calls, all in one request.
    SubmitToolOutputs {
        /// The calls.
        submit_tool_outputs: PendingCalls,
    },
}

/// Calls that wait for their outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PendingCalls {
    /// In the model's order.
    pub tool_calls: Vec<PendingCall>,
}

/// A call that waits for its output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PendingCall {
    /// Repeated by the output.
    pub id: CallId,
    /// Always `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What to call with what.
    pub function: PendingFunction,
}

/// A function's name and arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PendingFunction {
    /// The function's name.
    pub name: String,
    /// JSON text.
    pub arguments: String,
}

/// Why a run or a step failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastError {
    /// The class of the fault.
    pub code: LastErrorCode,
    /// What happened, in words that help.
    pub message: String,
}

/// The class of a fault inside a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastErrorCode {
    /// A fault of the server or of a model's server.
    ServerError,
    /// A model's server had enough.
    RateLimitExceeded,
    /// A model's server would not take the prompt.
    InvalidPrompt,
}

/// Why a run ended before the model was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncompleteRun {
    /// The limit that was reached.
    pub reason: IncompleteRunReason,
}

/// A run's token limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncompleteRunReason {
    /// `max_completion_tokens`, or the model's own limit.
    MaxCompletionTokens,
    /// `max_prompt_tokens`.
    MaxPromptTokens,
}

/// Tokens that a step or a run cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
    /// The sum of both.
    pub total_tokens: u64,
    /// Of the tokens read. The key is spelled as recorded.
    #[serde(default)]
    pub prompt_token_details: PromptTokenDetails,
    /// Of the tokens written.
    #[serde(default)]
    pub completion_tokens_details: CompletionTokensDetails,
}

/// Of the tokens read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptTokenDetails {
    /// How many came from a cache.
    pub cached_tokens: u64,
}

/// Of the tokens written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletionTokensDetails {
    /// How many were reasoning.
    pub reasoning_tokens: u64,
}

impl Usage {
    /// The usage of one model turn.
    pub fn new(
        prompt_tokens: u64,
        completion_tokens: u64,
        cached_tokens: u64,
        reasoning_tokens: u64,
    ) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
            prompt_token_details: PromptTokenDetails { cached_tokens },
            completion_tokens_details: CompletionTokensDetails { reasoning_tokens },
        }
    }
}

impl std::ops::Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::new(
            self.prompt_tokens.saturating_add(other.prompt_tokens),
            self.completion_tokens.saturating_add(other.completion_tokens),
            self.prompt_token_details.cached_tokens.saturating_add(other.prompt_token_details.cached_tokens),
            self.completion_tokens_details
                .reasoning_tokens
                .saturating_add(other.completion_tokens_details.reasoning_tokens),
        )
    }
}

/// What is left out of a thread that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TruncationStrategy {
    /// How messages are chosen.
    #[serde(rename = "type")]
    pub kind: TruncationKind,
    /// With `last_messages`: how many.
    #[serde(default)]
    pub last_messages: Option<u64>,
}

/// How messages are chosen for the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TruncationKind {
    /// What fits the window.
    Auto,
    /// The newest so many.
    LastMessages,
}

impl Default for TruncationStrategy {
    fn default() -> Self {
        Self { kind: TruncationKind::Auto, last_messages: None }
    }
}

/// How long a reasoning model may think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the words say it")]
pub enum ReasoningEffort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

impl ReasoningEffort {
    /// The word in requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
        }
    }
}

/// The answers' form: the word `auto`, or an object with a type.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ResponseFormat {
    /// As the model sees fit.
    #[default]
    Auto,
    /// `text`, `json_object` or `json_schema`, as given.
    Object(Value),
}

impl Serialize for ResponseFormat {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => to.serialize_str("auto"),
            Self::Object(format) => format.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for ResponseFormat {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let format = Value::deserialize(from)?;
        Ok(if format.is_string() { Self::Auto } else { Self::Object(format) })
    }
}

/// Whether and which tool the model must call.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ToolChoice {
    /// None.
    None,
    /// The model decides.
    #[default]
    Auto,
    /// Some tool.
    Required,
    /// This tool.
    Tool(NamedTool),
}

/// A tool by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NamedTool {
    /// A function.
    Function {
        /// Which.
        function: FunctionName,
    },
    /// Python in a sandbox.
    CodeInterpreter {},
    /// Search over vector stores.
    FileSearch {},
}

/// A function by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunctionName {
    /// The name.
    pub name: String,
}

impl Serialize for ToolChoice {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => to.serialize_str("none"),
            Self::Auto => to.serialize_str("auto"),
            Self::Required => to.serialize_str("required"),
            Self::Tool(tool) => tool.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for ToolChoice {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        match value.as_str() {
            Some("none") => Ok(Self::None),
            Some("auto") => Ok(Self::Auto),
            Some("required") => Ok(Self::Required),
            Some(word) => Err(de::Error::custom(format!("unknown tool choice `{word}`"))),
            None => serde_json::from_value(value).map(Self::Tool).map_err(de::Error::custom),
        }
    }
}

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
