//! OpenAI's Assistants API v2 as types: objects, requests, identifiers, errors, lists and events.
//!
//! Both ways exact. Answers carry every key that OpenAI's carried, in the recorded order, null where it
//! was null. Requests are checked against a [`shape::Shape`] first, so that what is refused is refused in
//! OpenAI's words and names the parameter; only then they become types. No I/O, no clock, no randomness.

pub mod assistants;
pub mod embeddings;
pub mod error;
pub mod events;
pub mod files;
pub mod id;
pub mod list;
pub mod messages;
pub mod metadata;
pub mod models;
pub mod passages;
pub mod patch;
pub mod runs;
pub mod search;
pub mod shape;
pub mod steps;
pub mod threads;
pub mod tools;
pub mod uploads;
pub mod vector_store_files;
pub mod vector_stores;

pub use error::{Error, Result};
pub use id::{
    AssistantId, CallId, FileBatchId, FileId, MessageId, PartId, RunId, StepId, ThreadId, UploadId,
    VectorStoreId,
};
pub use metadata::Metadata;
pub use patch::Patch;
pub use shape::Request;

/// Seconds since 1970-01-01 UTC, the API's only measure of time.
pub type UnixSeconds = i64;
