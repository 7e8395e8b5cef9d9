//! Runs.

mod model_requests;
mod requests;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use crate::tools::{Tool, ToolResources};
use crate::{AssistantId, CallId, Metadata, RunId, ThreadId, UnixSeconds};

pub use model_requests::{IncludeInRun, ModelRequest, ModelRequests};
pub use requests::{CreateRun, CreateThreadAndRun, SubmitToolOutputs, ToolOutput};
pub(crate) use requests::{REASONING_EFFORT, RESPONSE_FORMAT, TEMPERATURE, TOP_P};

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

impl std::iter::Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, usage| sum + usage)
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
