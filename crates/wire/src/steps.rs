//! Run steps.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::runs::{LastError, Usage};
use crate::{AssistantId, CallId, MessageId, Metadata, RunId, StepId, ThreadId, UnixSeconds};

/// One thing that a run did: it wrote a message, or it called tools.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its id.
    pub id: StepId,
    /// Always `thread.run.step`.
    pub object: String,
    /// When it began.
    pub created_at: UnixSeconds,
    /// The run.
    pub run_id: RunId,
    /// Who works.
    pub assistant_id: AssistantId,
    /// On what.
    pub thread_id: ThreadId,
    /// What is done.
    #[serde(rename = "type")]
    pub kind: StepKind,
    /// How far it is.
    pub status: StepStatus,
    /// When it was cancelled.
    pub cancelled_at: Option<UnixSeconds>,
    /// When it was completed.
    pub completed_at: Option<UnixSeconds>,
    /// When its run will expire.
    pub expires_at: Option<UnixSeconds>,
    /// When it failed.
    pub failed_at: Option<UnixSeconds>,
    /// Why it failed.
    pub last_error: Option<LastError>,
    /// What was done.
    pub step_details: StepDetails,
    /// What it cost; null until it has ended.
    pub usage: Option<Usage>,
    /// When it expired. The specification has this and `metadata`; the recordings have neither.
    #[serde(default)]
    pub expired_at: Option<UnixSeconds>,
    /// Always empty: no request sets it.
    #[serde(default)]
    pub metadata: Metadata,
}

impl Step {
    /// The step as `GET` shows it: one that has ended has no `expires_at` there, though its event had
    /// (recorded both ways), and one that has not shows no `usage` yet.
    #[must_use]
    pub fn at_rest(mut self) -> Self {
        match self.status {
            StepStatus::InProgress => self.usage = None,
            StepStatus::Cancelled | StepStatus::Failed | StepStatus::Completed | StepStatus::Expired => {
                self.expires_at = None;
            }
        }
        self
    }
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Writes a message.
    MessageCreation,
    /// Calls tools.
    ToolCalls,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words say it")]
pub enum StepStatus {
    InProgress,
    Cancelled,
    Failed,
    Completed,
    Expired,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StepDetails {
    /// A message was written.
    MessageCreation {
        /// Which.
        message_creation: MessageCreation,
    },
    /// Tools were called; all calls of one model turn.
    ToolCalls {
        /// In the model's order.
        tool_calls: Vec<ToolCall>,
    },
}

/// The message that a step wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageCreation {
    /// Its id.
    pub message_id: MessageId,
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Its id.
    pub id: CallId,
    /// The tool and what became of the call.
    #[serde(flatten)]
    pub tool: CalledTool,
}

/// A called tool and what became of the call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CalledTool {
    /// A function of the client's.
    Function {
        /// The call.
        function: FunctionCall,
    },
    /// Python in a sandbox.
    CodeInterpreter {
        /// The program and what it printed.
        code_interpreter: CodeInterpreterCall,
    },
    /// Search over vector stores.
    FileSearch {
        /// What was found.
        file_search: FileSearchCall,
    },
}

/// A call of a function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunctionCall {
    /// The function's name.
    pub name: String,
    /// JSON text.
    pub arguments: String,
    /// What the client submitted; null until then.
    pub output: Option<String>,
}

/// A program and what it gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CodeInterpreterCall {
    /// The program.
    pub input: String,
    /// What it printed and drew.
    pub outputs: Vec<CodeInterpreterOutput>,
}

/// What a program gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CodeInterpreterOutput {
    /// Text.
    Logs {
        /// The text.
        logs: String,
    },
    /// A picture.
    Image {
        /// Its file.
        image: OutputImage,
    },
}

/// A picture's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputImage {
    /// Its id.
    pub file_id: String,
}

/// A search and what it found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileSearchCall {
    /// How results were ranked.
    pub ranking_options: UsedRanking,
    /// Best first.
    pub results: Vec<FileSearchResult>,
}

/// How results were ranked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsedRanking {
    /// The ranker's name.
    pub ranker: String,
    /// Results below this were dropped.
    pub score_threshold: f64,
}

/// A passage that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileSearchResult {
    /// Its file.
    pub file_id: String,
    /// The file's name.
    pub file_name: String,
    /// From 0 to 1.
    pub score: f64,
    /// The file's attributes in its store.
    #[serde(default)]
    pub attributes: serde_json::Map<String, Value>,
    /// The passage; only where the request includes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Vec<FoundText>>,
}

/// A found passage's text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoundText {
    /// Always `text`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text.
    pub text: String,
}
