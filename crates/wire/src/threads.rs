//! Threads.

use serde::{Deserialize, Serialize};

use crate::list::{self, ListQuery};
use crate::messages::{CreateMessage, MESSAGE};
use crate::shape::{Field, Request, Shape};
use crate::tools::{NEW_TOOL_RESOURCES, NewToolResources, TOOL_RESOURCES, ToolResources};
use crate::{Metadata, Patch, ThreadId, UnixSeconds, metadata};

/// A conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thread {
    /// Its id.
    pub id: ThreadId,
    /// Always `thread`.
    pub object: String,
    /// When it was created.
    pub created_at: UnixSeconds,
    /// The client's own pairs.
    pub metadata: Metadata,
    /// Files for the tools of every run on it.
    pub tool_resources: ToolResources,
}

/// Body of `POST /threads`, and `thread` of `POST /threads/runs`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateThread {
    /// What has been said already.
    #[serde(default)]
    pub messages: Vec<CreateMessage>,
    /// Files for the tools.
    #[serde(default)]
    pub tool_resources: NewToolResources,
    /// The client's own pairs.
    #[serde(default)]
    pub metadata: Metadata,
}

pub(crate) const CREATE_THREAD: Shape = Shape::Object(&[
    Field::optional("messages", Shape::Array { items: &MESSAGE, min: 0, max: 100_000 }),
    Field::optional("tool_resources", NEW_TOOL_RESOURCES),
    Field::optional("metadata", metadata::SHAPE),
]);

impl Request for CreateThread {
    const SHAPE: Shape = CREATE_THREAD;
}

/// Body of `POST /threads/{thread_id}`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModifyThread {
    /// Files for the tools.
    #[serde(default)]
    pub tool_resources: Patch<ToolResources>,
    /// The client's own pairs.
    #[serde(default)]
    pub metadata: Patch<Metadata>,
}

impl Request for ModifyThread {
    const SHAPE: Shape = Shape::Object(&[
        Field::nullable("tool_resources", TOOL_RESOURCES),
        Field::nullable("metadata", metadata::SHAPE),
    ]);
}

/// Query of `GET /threads`, which OpenAI never had: the threads that have all these pairs.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ListThreads {
    /// Which page.
    #[serde(flatten)]
    pub page: ListQuery,
    /// What the threads' metadata must hold, as `metadata[key]=value`.
    #[serde(default)]
    pub metadata: Metadata,
}

impl Request for ListThreads {
    const SHAPE: Shape = Shape::Object(&[
        list::LIMIT,
        list::ORDER,
        list::AFTER,
        list::BEFORE,
        Field::optional("metadata", metadata::SHAPE),
    ]);
}

/// The answer to a deletion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deleted {
    /// What is gone.
    pub id: String,
    /// The object's name and `.deleted`.
    pub object: String,
    /// Always true.
    pub deleted: bool,
}

impl Deleted {
    /// The answer for this object.
    pub fn new(id: &impl crate::id::Id, object: &str) -> Self {
        Self { id: id.as_str().to_owned(), object: format!("{object}.deleted"), deleted: true }
    }
}
