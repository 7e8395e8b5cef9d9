//! Vector stores.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::shape::{Field, Path, Request, Shape};
use crate::vector_store_files::{Attributes, FileStatus};
use crate::{Metadata, Patch, UnixSeconds, VectorStoreId, metadata};

/// Files that can be searched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VectorStore {
    /// Its id.
    pub id: VectorStoreId,
    /// Always `vector_store`.
    pub object: String,
    /// When it was created.
    pub created_at: UnixSeconds,
    /// The client's name for it.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Bytes of all passages and vectors.
    pub usage_bytes: i64,
    /// How many files are how far.
    pub file_counts: FileCounts,
    /// How far it is itself.
    pub status: VectorStoreStatus,
    /// After which time without use it expires.
    pub expires_after: Option<ExpiresAfter>,
    /// When it will, or did.
    pub expires_at: Option<UnixSeconds>,
    /// When it was last used.
    pub last_active_at: Option<UnixSeconds>,
    /// The client's own pairs.
    pub metadata: Metadata,
}

impl VectorStore {
    /// Fills in what follows from the files and the time.
    pub fn fill_in(&mut self, counts: FileCounts, usage_bytes: i64, now: UnixSeconds) {
        self.status = if self.is_expired(now) {
            VectorStoreStatus::Expired
        } else if counts.in_progress > 0 {
            VectorStoreStatus::InProgress
        } else {
            VectorStoreStatus::Completed
        };
        self.file_counts = counts;
        self.usage_bytes = usage_bytes;
    }

    /// Whether its time has run out.
    pub fn is_expired(&self, now: UnixSeconds) -> bool {
        self.expires_at.is_some_and(|expiry| expiry <= now)
    }

    /// Notes that it was used, which moves its expiry.
    pub fn used(&mut self, now: UnixSeconds) {
        self.last_active_at = Some(now);
        self.expires_at = self.expires_after.map(|after| now + after.days * 86_400);
    }
}

/// How far a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VectorStoreStatus {
    /// It was not used for too long.
    Expired,
    /// A file is being read.
    InProgress,
    /// All files have been.
    Completed,
}

/// How many files are how far. They always add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct FileCounts {
    pub in_progress: i64,
    pub completed: i64,
    pub failed: i64,
    pub cancelled: i64,
    pub total: i64,
}

impl FileCounts {
    /// Counts so many files more.
    pub fn add(&mut self, status: FileStatus, files: i64) {
        let count = match status {
            FileStatus::InProgress => &mut self.in_progress,
            FileStatus::Completed => &mut self.completed,
            FileStatus::Failed => &mut self.failed,
            FileStatus::Cancelled => &mut self.cancelled,
        };
        *count += files;
        self.total += files;
    }
}

/// After which time without use a store expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpiresAfter {
    /// From when on.
    pub anchor: Anchor,
    /// 1 to 365.
    pub days: i64,
}

/// From when on an expiry counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anchor {
    /// The last use.
    LastActiveAt,
}

/// How files are cut. `auto` is shown as the sizes that it stands for (recorded).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ChunkingStrategy {
    /// By these sizes.
    Static {
        /// The sizes.
        #[serde(rename = "static")]
        sizes: ChunkSizes,
    },
}

impl ChunkingStrategy {
    /// The sizes.
    pub fn sizes(self) -> ChunkSizes {
        let Self::Static { sizes } = self;
        sizes
    }
}

impl Default for ChunkingStrategy {
    fn default() -> Self {
        Self::Static { sizes: ChunkSizes { max_chunk_size_tokens: 800, chunk_overlap_tokens: 400 } }
    }
}

/// How long chunks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkSizes {
    /// 100 to 4096.
    pub max_chunk_size_tokens: usize,
    /// How much of a chunk the next one repeats: at most half.
    pub chunk_overlap_tokens: usize,
}

/// How files are to be cut, as requests say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NewChunkingStrategy {
    /// As we see fit.
    Auto {},
    /// By these sizes.
    Static {
        /// The sizes.
        #[serde(rename = "static")]
        sizes: ChunkSizes,
    },
}

impl From<Option<NewChunkingStrategy>> for ChunkingStrategy {
    fn from(new: Option<NewChunkingStrategy>) -> Self {
        match new {
            None | Some(NewChunkingStrategy::Auto {}) => Self::default(),
            Some(NewChunkingStrategy::Static { sizes }) => Self::Static { sizes },
        }
    }
}

/// Body of `POST /vector_stores`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the fields are those of VectorStore")]
pub struct CreateVectorStore {
    pub name: Option<String>,
    pub description: Option<String>,
    /// At most 500.
    pub file_ids: Vec<String>,
    pub expires_after: Option<ExpiresAfter>,
    pub chunking_strategy: Option<NewChunkingStrategy>,
    pub metadata: Metadata,
}

const EXPIRES_AFTER: Shape = Shape::Object(&[
    Field::required("anchor", Shape::Enum(&["last_active_at"])),
    Field::required("days", Shape::Integer { min: 1, max: 365 }),
]);

/// `chunking_strategy` of every request that has one.
pub(crate) const CHUNKING_STRATEGY: Shape = Shape::Tagged(&[
    ("auto", &[]),
    ("static", &[Field::required("static", Shape::Where(&CHUNK_SIZES, small_overlap))]),
]);

const CHUNK_SIZES: Shape = Shape::Object(&[
    Field::required("max_chunk_size_tokens", Shape::Integer { min: 100, max: 4096 }),
    Field::required("chunk_overlap_tokens", Shape::Integer { min: 0, max: 2048 }),
]);

fn small_overlap(sizes: &Value, path: &Path<'_>) -> Result<(), Error> {
    let number = |key: &str| sizes.get(key).and_then(Value::as_i64).unwrap_or_default();
    if number("chunk_overlap_tokens") * 2 <= number("max_chunk_size_tokens") {
        return Ok(());
    }
    let here = Path::Key(path, "chunk_overlap_tokens");
    let message = format!("Invalid '{here}': it must not exceed half of 'max_chunk_size_tokens'.");
    Err(Error::parameter(here.to_string(), "invalid_value", message))
}

impl Request for CreateVectorStore {
    const SHAPE: Shape = Shape::Object(&[
        Field::optional("name", Shape::String { min: 0, max: 256 }),
        Field::optional("description", Shape::String { min: 0, max: 512 }),
        Field::optional("file_ids", Shape::Array { items: &Shape::STRING, min: 0, max: 500 }),
        Field::optional("expires_after", EXPIRES_AFTER),
        Field::optional("chunking_strategy", CHUNKING_STRATEGY),
        Field::optional("metadata", metadata::SHAPE),
    ]);
}

/// Body of `POST /vector_stores/{vector_store_id}`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the fields are those of VectorStore")]
pub struct ModifyVectorStore {
    pub name: Patch<String>,
    pub expires_after: Patch<ExpiresAfter>,
    pub metadata: Patch<Metadata>,
}

impl Request for ModifyVectorStore {
    const SHAPE: Shape = Shape::Object(&[
        Field::nullable("name", Shape::String { min: 0, max: 256 }),
        Field::nullable("expires_after", EXPIRES_AFTER),
        Field::nullable("metadata", metadata::SHAPE),
    ]);
}

impl ModifyVectorStore {
    /// Changes what the request names. To be modified counts as being used.
    pub fn apply(self, to: &mut VectorStore, now: UnixSeconds) {
        self.name.apply(&mut to.name);
        self.expires_after.apply(&mut to.expires_after);
        self.metadata.apply_or(&mut to.metadata, Metadata::default);
        to.used(now);
    }
}

/// The text of a file as it was read, or what was found: pages that have no ids to go on from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page<T> {
    /// What it is a page of.
    pub object: &'static str,
    /// The queries, where this is the answer to a search.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search_query: Option<Vec<String>>,
    /// What is on it.
    pub data: Vec<T>,
    /// Always false: one page holds all.
    pub has_more: bool,
    /// Always null.
    pub next_page: Option<String>,
}

impl<T> Page<T> {
    /// The text of a file.
    pub fn of_content(data: Vec<T>) -> Self {
        let object = "vector_store.file_content.page";
        Self { object, search_query: None, data, has_more: false, next_page: None }
    }

    /// What was found by these queries.
    pub fn of_results(queries: Vec<String>, data: Vec<T>) -> Self {
        let object = "vector_store.search_results.page";
        Self { object, search_query: Some(queries), data, has_more: false, next_page: None }
    }
}

/// A passage that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SearchResult {
    /// Its file.
    pub file_id: String,
    /// The file's name.
    pub filename: String,
    /// From 0 to 1.
    pub score: f64,
    /// The file's attributes in its store.
    pub attributes: Attributes,
    /// The passage.
    pub content: Vec<crate::steps::FoundText>,
    /// Why it was found, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<crate::passages::Explanation>,
}
