//! Objects of more than one line. What follows a file's line are its bytes; what follows that of a file in a vector
//! store, its passages and their vectors. The last of these lines says that it is whole.

use adjutant_wire as wire;
use adjutant_wire::{FileId, VectorStoreId};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes of one line, before they are written in base64.
pub(super) const PIECE_BYTES: usize = 512 << 10;

/// About so many bytes of passages are one line.
pub(super) const PASSAGE_BYTES: usize = 256 << 10;

/// A line that goes on with the object that began before it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "object")]
pub(super) enum Part {
    /// Bytes of a file, in base64.
    #[serde(rename = "file.bytes")]
    Bytes { file_id: FileId, data: String },
    /// The end of a file's bytes, and the SHA-256 of all of them in hexadecimal.
    #[serde(rename = "file.end")]
    BytesEnd { file_id: FileId, sha256: String },
    /// Passages of a file in a store.
    #[serde(rename = "vector_store.file.passages")]
    Passages { vector_store_id: VectorStoreId, file_id: FileId, passages: Vec<Passage> },
    /// Bytes of the vectors of a file's passages, in base64.
    #[serde(rename = "vector_store.file.vectors")]
    Vectors { vector_store_id: VectorStoreId, file_id: FileId, data: String },
    /// The end of a file's passages and vectors, and how many passages there are.
    #[serde(rename = "vector_store.file.end")]
    PassagesEnd { vector_store_id: VectorStoreId, file_id: FileId, passages: i64 },
}

/// A passage as it is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Passage {
    /// Page, heading and offsets, as JSON in a text.
    pub(super) place: String,
    /// The passage.
    pub(super) content: String,
}

/// Which object a line goes on with: the file, in its store or by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whose {
    pub(super) store: Option<VectorStoreId>,
    pub(super) file: FileId,
}

impl Part {
    pub(super) const KINDS: [&str; 5] = [
        "file.bytes",
        "file.end",
        "vector_store.file.passages",
        "vector_store.file.vectors",
        "vector_store.file.end",
    ];

    pub(super) fn whose(&self) -> Whose {
        match self {
            Self::Bytes { file_id, .. } | Self::BytesEnd { file_id, .. } => {
                Whose { store: None, file: file_id.clone() }
            }
            Self::Passages { vector_store_id, file_id, .. }
            | Self::Vectors { vector_store_id, file_id, .. }
            | Self::PassagesEnd { vector_store_id, file_id, .. } => {
                Whose { store: Some(vector_store_id.clone()), file: file_id.clone() }
            }
        }
    }
}

/// A hash as it is written.
pub(super) fn hash_written(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn written(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// # Errors
/// Where it is not base64.
pub(super) fn read(data: &str) -> wire::Result<Vec<u8>> {
    STANDARD.decode(data).map_err(|error| wire::Error::invalid(format!("'data' is not base64: {error}.")))
}
