//! Run steps.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::runs::{LastError, Usage};
use crate::search::HybridSearch;
use crate::shape::{Field, Request, Shape};
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

    /// The step as clients see it: what is stored of calls beyond the API is taken away, and so is the
    /// text of the passages unless it was asked for.
    #[must_use]
    pub fn shown(mut self, include: Include) -> Self {
        let StepDetails::ToolCalls { tool_calls } = &mut self.step_details else { return self };
        for ToolCall { tool, .. } in tool_calls {
            match tool {
                CalledTool::FileSearch { file_search } => file_search.show(include),
                CalledTool::CodeInterpreter { code_interpreter } => code_interpreter.pending = false,
                CalledTool::Function { .. } => {}
            }
        }
        self
    }

    /// The step with all that the API can show of it: as it is exported.
    #[must_use]
    pub fn exported(self) -> Self {
        self.shown(Include { found_text: true }).at_rest()
    }
}

/// What a request asks to be shown of steps beyond the usual: query of the requests that answer with steps,
/// or with a stream of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Include {
    /// The text of the passages that a search found.
    #[serde(default, rename = "include", deserialize_with = "is_filled")]
    pub found_text: bool,
}

/// The only word that there is, and the shape has checked it.
fn is_filled<'de, D: serde::Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(!Vec::<String>::deserialize(from)?.is_empty())
}

pub(crate) const INCLUDED: Shape =
    Shape::Enum(&["step_details.tool_calls[*].file_search.results[*].content"]);

impl Request for Include {
    const SHAPE: Shape =
        Shape::Object(&[Field::optional("include", Shape::Array { items: &INCLUDED, min: 0, max: 128 })]);
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
    /// Whether it is yet to be run. Stored and never shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pending: bool,
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
    /// How much meaning and words count. Stored and never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hybrid_search: Option<HybridSearch>,
    /// What was looked for. Stored and never shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<String>,
    /// Whether it is yet to be done. Stored and never shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pending: bool,
}

impl FileSearchCall {
    fn show(&mut self, include: Include) {
        self.hybrid_search = None;
        self.queries.clear();
        self.pending = false;
        for result in &mut self.results {
            (result.page, result.heading) = (None, None);
            result.content.take_if(|_| !include.found_text);
        }
    }
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
    /// The passage; shown only where the request includes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Vec<FoundText>>,
    /// The page that the passage begins on, from 1. Stored and never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// The heading that it stands under. Stored and never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heading: Option<String>,
}

impl FileSearchResult {
    /// The passage's text.
    pub fn text(&self) -> &str {
        self.content.as_deref().and_then(<[FoundText]>::first).map_or("", |found| found.text.as_str())
    }
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

impl FoundText {
    /// This text.
    pub fn new(text: String) -> Self {
        Self { kind: "text".to_owned(), text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Request;
    use serde_json::json;

    #[test]
    fn a_step_shows_what_its_client_included() {
        let result = json!({"file_id": "file-1", "file_name": "a.txt", "score": 0.5, "attributes": {"a": 1}});
        let stored = |more: Value| {
            let mut result = result.clone();
            let more = more.as_object().unwrap().clone();
            result.as_object_mut().unwrap().extend(more);
            result
        };
        let content = json!([{"type": "text", "text": "words"}]);
        let kept = stored(json!({"content": content, "page": 3, "heading": "Food"}));
        let step: Step = serde_json::from_value(json!({
            "id": "step_1", "object": "thread.run.step", "created_at": 0, "run_id": "run_1", "assistant_id": "asst_1",
            "thread_id": "thread_1", "type": "tool_calls", "status": "in_progress", "cancelled_at": null,
            "completed_at": null, "expires_at": null, "failed_at": null, "last_error": null, "usage": null,
            "step_details": {"type": "tool_calls", "tool_calls": [{"id": "call_1", "type": "file_search", "file_search": {
                "ranking_options": {"ranker": "auto", "score_threshold": 0.0}, "results": [kept],
                "queries": ["food"], "pending": true
            }}]}
        }))
        .unwrap();
        let search = |step: &Step| {
            let step = serde_json::to_value(step).unwrap();
            step["step_details"]["tool_calls"][0]["file_search"].clone()
        };
        assert_eq!(search(&step)["results"], json!([kept]), "all of it is stored");
        let ranking = json!({"ranker": "auto", "score_threshold": 0.0});
        let shown = json!({"ranking_options": ranking, "results": [result]});
        assert_eq!(search(&step.clone().shown(Include::default())), shown);
        let include =
            Include::read(json!({"include": ["step_details.tool_calls[*].file_search.results[*].content"]}));
        let shown = json!({"ranking_options": ranking, "results": [stored(json!({"content": content}))]});
        assert_eq!(search(&step.shown(include.unwrap())), shown);
    }

    #[test]
    fn nothing_else_can_be_included() {
        assert_eq!(Include::read(json!({})).unwrap(), Include::default());
        let refused = Include::read(json!({"include": ["file_search"]})).unwrap_err();
        assert_eq!(
            refused.message,
            "Invalid value: 'file_search'. Supported values are: \
             'step_details.tool_calls[*].file_search.results[*].content'."
        );
        assert_eq!(refused.param.as_deref(), Some("include[0]"));
    }
}
