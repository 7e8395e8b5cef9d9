//! Messages and their parts.

use serde::{Deserialize, Serialize};

use crate::shape::{Field, Request, Shape};
use crate::{AssistantId, MessageId, Metadata, Patch, RunId, ThreadId, UnixSeconds, metadata};

/// What a user or an assistant said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Always `thread.message`.
    pub object: String,
    /// When it was created.
    pub created_at: UnixSeconds,
    /// Who wrote it; null for users.
    pub assistant_id: Option<AssistantId>,
    /// The conversation.
    pub thread_id: ThreadId,
    /// The run that wrote it.
    pub run_id: Option<RunId>,
    /// How far it is.
    pub status: MessageStatus,
    /// Why it is incomplete.
    pub incomplete_details: Option<IncompleteMessage>,
    /// When it became incomplete.
    pub incomplete_at: Option<UnixSeconds>,
    /// When it was whole.
    pub completed_at: Option<UnixSeconds>,
    /// Who speaks.
    pub role: Role,
    /// What was said.
    pub content: Vec<Content>,
    /// Files that came with it, as sent.
    pub attachments: Vec<Attachment>,
    /// The client's own pairs.
    pub metadata: Metadata,
}

/// How far a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageStatus {
    /// It is being written.
    InProgress,
    /// It is whole.
    Completed,
    /// It ended early.
    Incomplete,
}

/// Why a message ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncompleteMessage {
    /// The reason.
    pub reason: IncompleteMessageReason,
}

/// Why a message ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncompleteMessageReason {
    /// The upstream withheld the rest.
    ContentFilter,
    /// A token limit was reached.
    MaxTokens,
    /// The run was cancelled.
    RunCancelled,
    /// The run expired.
    RunExpired,
    /// The run failed.
    RunFailed,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The client's user.
    User,
    /// The model.
    Assistant,
}

/// A part of a message as it is returned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// Text.
    Text {
        /// The text and what is marked in it.
        text: Text,
    },
    /// An uploaded image.
    ImageFile {
        /// Which, and how closely to look.
        image_file: ImageFile,
    },
    /// An image somewhere else.
    ImageUrl {
        /// Where, and how closely to look.
        image_url: ImageUrl,
    },
    /// The model declined.
    Refusal {
        /// In these words.
        refusal: String,
    },
}

impl Content {
    /// Text without annotations.
    pub fn text(value: impl Into<String>) -> Self {
        Self::Text { text: Text { value: value.into(), annotations: Vec::new() } }
    }
}

/// Text and what is marked in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Text {
    /// The text.
    pub value: String,
    /// Citations and links.
    pub annotations: Vec<Annotation>,
}

/// A mark in a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Annotation {
    /// A passage of a file that was searched.
    FileCitation {
        /// The marker as it stands in the text.
        text: String,
        /// Where the marker begins, in characters.
        start_index: usize,
        /// Where it ends.
        end_index: usize,
        /// The file, and its words.
        file_citation: FileCitation,
    },
    /// A file that code wrote.
    FilePath {
        /// The link as it stands in the text.
        text: String,
        /// Where the link begins, in characters.
        start_index: usize,
        /// Where it ends.
        end_index: usize,
        /// The file.
        file_path: FileReference,
    },
}

/// A file that is cited.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileCitation {
    /// Which file.
    pub file_id: String,
    /// The sentence of it that says what the message says. OpenAI's had it in deltas alone, and empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
}

/// A file by id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileReference {
    /// Which file.
    pub file_id: String,
}

/// An uploaded image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageFile {
    /// Which file.
    pub file_id: String,
    /// How closely to look.
    #[serde(default)]
    pub detail: Detail,
}

/// An image somewhere else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageUrl {
    /// Where.
    pub url: String,
    /// How closely to look.
    #[serde(default)]
    pub detail: Detail,
}

/// How closely a model looks at an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// As the model sees fit.
    #[default]
    Auto,
    /// Coarsely.
    Low,
    /// Closely.
    High,
}

impl Detail {
    /// The word in requests to a model.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Low => "low",
            Self::High => "high",
        }
    }
}

/// A file that came with a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// Which file.
    pub file_id: String,
    /// Which tools may use it.
    #[serde(default)]
    pub tools: Vec<AttachmentTool>,
}

/// A tool that may use an attached file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AttachmentTool {
    /// Python in a sandbox.
    CodeInterpreter {},
    /// Search over vector stores.
    FileSearch {},
}

/// Body of `POST /threads/{thread_id}/messages`, and an item of `messages` and `additional_messages`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: NewContent,
    /// Files that come with it.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// The client's own pairs.
    #[serde(default)]
    pub metadata: Metadata,
}

impl CreateMessage {
    /// The new message, whole from the start.
    pub fn into_message(self, id: MessageId, thread_id: ThreadId, now: UnixSeconds) -> Message {
        Message {
            id,
            object: "thread.message".to_owned(),
            created_at: now,
            assistant_id: None,
            thread_id,
            run_id: None,
            status: MessageStatus::Completed,
            incomplete_details: None,
            incomplete_at: None,
            completed_at: Some(now),
            role: self.role,
            content: self.content.into_content(),
            attachments: self.attachments,
            metadata: self.metadata,
        }
    }
}

/// Content as requests give it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum NewContent {
    /// Text alone.
    Text(String),
    /// Parts in order.
    Parts(Vec<NewPart>),
}

/// A part as requests give it: here text is a plain string.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the parts are those of Content")]
pub enum NewPart {
    Text { text: String },
    ImageFile { image_file: ImageFile },
    ImageUrl { image_url: ImageUrl },
}

impl NewContent {
    /// The content as it will be returned.
    pub fn into_content(self) -> Vec<Content> {
        match self {
            Self::Text(value) => vec![Content::text(value)],
            Self::Parts(parts) => parts.into_iter().map(NewPart::into_content).collect(),
        }
    }
}

impl NewPart {
    fn into_content(self) -> Content {
        match self {
            Self::Text { text } => Content::text(text),
            Self::ImageFile { image_file } => Content::ImageFile { image_file },
            Self::ImageUrl { image_url } => Content::ImageUrl { image_url },
        }
    }
}

const TEXT: Shape = Shape::String { min: 1, max: 256_000 };
const DETAIL: Shape = Shape::Enum(&["auto", "low", "high"]);
const IMAGE_FILE: Shape =
    Shape::Object(&[Field::required("file_id", Shape::STRING), Field::optional("detail", DETAIL)]);
const IMAGE_URL: Shape =
    Shape::Object(&[Field::required("url", Shape::FILLED), Field::optional("detail", DETAIL)]);
const PART: Shape = Shape::Tagged(&[
    ("text", &[Field::required("text", TEXT)]),
    ("image_file", &[Field::required("image_file", IMAGE_FILE)]),
    ("image_url", &[Field::required("image_url", IMAGE_URL)]),
]);
const PARTS: Shape = Shape::Array { items: &PART, min: 1, max: usize::MAX };
const ATTACHMENT: Shape = Shape::Object(&[
    Field::required("file_id", Shape::STRING),
    Field::optional("tools", Shape::Array { items: &ATTACHMENT_TOOL, min: 0, max: 128 }),
]);
const ATTACHMENT_TOOL: Shape = Shape::Tagged(&[("code_interpreter", &[]), ("file_search", &[])]);

pub(crate) const MESSAGE: Shape = Shape::Object(&[
    Field::required("role", Shape::Enum(&["user", "assistant"])),
    Field::required("content", Shape::Either(&TEXT, &PARTS)),
    Field::optional("attachments", Shape::Array { items: &ATTACHMENT, min: 0, max: usize::MAX }),
    Field::optional("metadata", metadata::SHAPE),
]);

impl Request for CreateMessage {
    const SHAPE: Shape = MESSAGE;
}

/// Body of the requests that modify metadata alone: of a message or a run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModifyMetadata {
    /// The client's own pairs.
    #[serde(default)]
    pub metadata: Patch<Metadata>,
}

impl Request for ModifyMetadata {
    const SHAPE: Shape = Shape::Object(&[Field::nullable("metadata", metadata::SHAPE)]);
}
