//! The files in vector stores, and batches of them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::list::{self, ListQuery};
use crate::shape::{Field, Path, Request, Shape};
use crate::vector_stores::{CHUNKING_STRATEGY, ChunkingStrategy, FileCounts, NewChunkingStrategy};
use crate::{FileBatchId, FileId, UnixSeconds, VectorStoreId, metadata};

/// A file in a store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VectorStoreFile {
    /// The file's own id.
    pub id: FileId,
    /// Always `vector_store.file`.
    pub object: String,
    /// Bytes of its passages and vectors.
    pub usage_bytes: i64,
    /// When it was attached.
    pub created_at: UnixSeconds,
    /// The store.
    pub vector_store_id: VectorStoreId,
    /// How far it is.
    pub status: FileStatus,
    /// Why it failed.
    pub last_error: Option<FileError>,
    /// How it is cut.
    pub chunking_strategy: ChunkingStrategy,
    /// What it can be filtered by.
    pub attributes: Attributes,
}

/// How far a file is on its way into a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words say it")]
pub enum FileStatus {
    InProgress,
    Completed,
    Failed,
    Cancelled,
}

impl FileStatus {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why a file could not be made searchable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileError {
    /// For programs.
    pub code: FileErrorCode,
    /// For people.
    pub message: String,
}

/// Why a file could not be made searchable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileErrorCode {
    /// We or the embedding model are at fault.
    ServerError,
    /// Files of this type are not read.
    UnsupportedFile,
    /// The file is broken or empty.
    InvalidFile,
}

/// A file's attributes: at most 16, each a string, a number or a boolean.
pub type Attributes = Map<String, Value>;

/// A file that is to be attached: body of `POST /vector_stores/{vector_store_id}/files`, and an item of a batch.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachFile {
    /// Which.
    pub file_id: String,
    /// What it can be filtered by.
    #[serde(default)]
    pub attributes: Attributes,
    /// How it is to be cut.
    #[serde(default)]
    pub chunking_strategy: Option<NewChunkingStrategy>,
}

/// Attributes, wherever a request has them.
const ATTRIBUTES: Shape = Shape::Where(&Shape::AnyObject, are_attributes);

fn are_attributes(attributes: &Value, path: &Path<'_>) -> Result<(), Error> {
    let pairs = attributes.as_object().into_iter().flatten();
    let mut texts = Map::new();
    for (key, value) in pairs {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => String::new(),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                let here = Path::Key(path, key);
                let message = format!("Invalid type for '{here}': expected a string, a number or a boolean.");
                return Err(Error::parameter(here.to_string(), "invalid_type", message));
            }
        };
        texts.insert(key.clone(), Value::String(text));
    }
    metadata::SHAPE.check_at(&mut Value::Object(texts), path)
}

const ATTACH_FILE: Shape = Shape::Object(&[
    Field::required("file_id", Shape::STRING),
    Field::optional("attributes", ATTRIBUTES),
    Field::optional("chunking_strategy", CHUNKING_STRATEGY),
]);

impl Request for AttachFile {
    const SHAPE: Shape = ATTACH_FILE;
}

/// Body of `POST /vector_stores/{vector_store_id}/files/{file_id}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModifyAttributes {
    /// They replace those that the file has.
    pub attributes: Option<Attributes>,
}

impl Request for ModifyAttributes {
    const SHAPE: Shape =
        Shape::Where(&Shape::Object(&[Field::nullable("attributes", ATTRIBUTES)]), names_attributes);
}

/// Null is allowed, absence is not.
fn names_attributes(body: &Value, _: &Path<'_>) -> Result<(), Error> {
    if body.get("attributes").is_some() {
        return Ok(());
    }
    let message = "Missing required parameter: 'attributes'.";
    Err(Error::parameter("attributes", "missing_required_parameter", message))
}

/// Body of `POST /vector_stores/{vector_store_id}/file_batches`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CreateFileBatch {
    /// 1 to 2000 files, all attached alike.
    pub file_ids: Vec<String>,
    /// 1 to 2000 files, each with its own attributes and sizes.
    pub files: Vec<AttachFile>,
    /// What the files of `file_ids` can be filtered by.
    pub attributes: Attributes,
    /// How the files of `file_ids` are to be cut.
    pub chunking_strategy: Option<NewChunkingStrategy>,
}

impl Request for CreateFileBatch {
    const SHAPE: Shape = Shape::Where(
        &Shape::Object(&[
            Field::optional("file_ids", Shape::Array { items: &Shape::STRING, min: 1, max: 2000 }),
            Field::optional("files", Shape::Array { items: &ATTACH_FILE, min: 1, max: 2000 }),
            Field::optional("attributes", ATTRIBUTES),
            Field::optional("chunking_strategy", CHUNKING_STRATEGY),
        ]),
        one_list,
    );
}

fn one_list(body: &Value, _: &Path<'_>) -> Result<(), Error> {
    match (body.get("file_ids"), body.get("files")) {
        (Some(_), None) | (None, Some(_)) => Ok(()),
        (None, None) => Err(Error::parameter(
            "file_ids",
            "missing_required_parameter",
            "Missing required parameter: 'file_ids'.",
        )),
        (Some(_), Some(_)) => Err(Error::parameter(
            "files",
            "mutually_exclusive_parameters",
            "Mutually exclusive parameters: 'file_ids' and 'files'. Only one of them can be given.",
        )),
    }
}

impl CreateFileBatch {
    /// The files, each as if it were attached alone.
    pub fn into_files(self) -> Vec<AttachFile> {
        let (attributes, chunking_strategy) = (self.attributes, self.chunking_strategy);
        let alike = |file_id| AttachFile { file_id, attributes: attributes.clone(), chunking_strategy };
        self.file_ids.into_iter().map(alike).chain(self.files).collect()
    }
}

/// Files that were attached together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileBatch {
    /// Its id.
    pub id: FileBatchId,
    /// Always `vector_store.file_batch`: recorded, though the specification has `files_batch`.
    pub object: String,
    /// When it was created.
    pub created_at: UnixSeconds,
    /// How far it is.
    pub status: FileStatus,
    /// The store.
    pub vector_store_id: VectorStoreId,
    /// How many of its files are how far.
    pub file_counts: FileCounts,
}

impl FileBatch {
    /// Fills in what follows from its files. `status` says whether it was cancelled.
    pub fn fill_in(&mut self, counts: FileCounts) {
        self.status = match self.status {
            FileStatus::Cancelled => FileStatus::Cancelled,
            FileStatus::InProgress | FileStatus::Completed | FileStatus::Failed if counts.in_progress > 0 => {
                FileStatus::InProgress
            }
            FileStatus::InProgress | FileStatus::Completed | FileStatus::Failed => FileStatus::Completed,
        };
        self.file_counts = counts;
    }
}

/// Query of the lists of a store's or a batch's files.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ListFiles {
    /// Which page.
    #[serde(flatten)]
    pub page: ListQuery,
    /// Only files that are so far.
    pub filter: Option<FileStatus>,
}

impl Request for ListFiles {
    const SHAPE: Shape = Shape::Object(&[
        list::LIMIT,
        list::ORDER,
        list::AFTER,
        list::BEFORE,
        Field::optional("filter", Shape::Enum(&["in_progress", "completed", "failed", "cancelled"])),
    ]);
}
