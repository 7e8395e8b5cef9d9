//! Uploads: files that come in parts.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::files::{FILE_EXPIRY, FILENAME, File, FileExpiry, FileStatus, Purpose, expiry};
use crate::shape::{Field, Request, Shape};
use crate::{FileId, PartId, UnixSeconds, UploadId};

/// The most bytes of an upload's parts together.
pub const UPLOAD_BYTES: i64 = 8 << 30;

/// The most bytes of a part.
pub const PART_BYTES: i64 = 64 << 20;

/// How long an upload takes parts, in seconds.
pub const UPLOAD_SECONDS: i64 = 3_600;

/// A file that is coming in parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// Always `upload`.
    pub object: String,
    /// How long the file will be.
    pub bytes: i64,
    /// When it was created.
    pub created_at: UnixSeconds,
    /// The file's name.
    pub filename: String,
    /// What the file is for.
    pub purpose: Purpose,
    /// How far it is.
    pub status: UploadStatus,
    /// When it ends, whether it is complete or not.
    pub expires_at: UnixSeconds,
    /// The file, once it is complete; before, there is no such key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
}

/// How far an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UploadStatus {
    /// It takes parts.
    Pending,
    /// It has become a file.
    Completed,
    /// The client has given it up.
    Cancelled,
    /// Its time has run out.
    Expired,
}

impl UploadStatus {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

impl Upload {
    /// Whether its time has run out.
    pub fn is_expired(&self, now: UnixSeconds) -> bool {
        self.expires_at <= now
    }

    /// Refuses what can be done to an upload only while it takes parts, such as "add parts to".
    ///
    /// # Errors
    /// 400 where it takes no more.
    pub fn must_be_pending(&self, what: &str) -> Result<(), Error> {
        if self.status == UploadStatus::Pending {
            return Ok(());
        }
        Err(Error::invalid(format!("Cannot {what} upload with status '{}'.", self.status.as_str())))
    }

    /// Makes it the file that it has become. The file is as old as the upload (recorded).
    pub fn complete(&mut self, id: FileId, after: Option<FileExpiry>) -> File {
        let file = File {
            object: "file".to_owned(),
            id,
            purpose: self.purpose,
            filename: self.filename.clone(),
            bytes: self.bytes,
            created_at: self.created_at,
            expires_at: expiry(self.purpose, after, self.created_at),
            status: FileStatus::Processed,
            status_details: None,
        };
        self.status = UploadStatus::Completed;
        self.file = Some(file.clone());
        file
    }
}

/// Body of `POST /uploads`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateUpload {
    /// The file's name.
    pub filename: String,
    /// What it is for.
    pub purpose: Purpose,
    /// How long it will be.
    pub bytes: i64,
    /// What it is. Nothing asks for it later: what a file is shows in its bytes.
    pub mime_type: String,
    /// When the file shall be gone.
    pub expires_after: Option<FileExpiry>,
}

impl Request for CreateUpload {
    const SHAPE: Shape = Shape::Object(&[
        Field::required("filename", FILENAME),
        Field::required(
            "purpose",
            Shape::Enum(&["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]),
        ),
        Field::required("bytes", Shape::Integer { min: 1, max: UPLOAD_BYTES }),
        Field::required("mime_type", Shape::String { min: 1, max: 255 }),
        Field::optional("expires_after", FILE_EXPIRY),
    ]);
}

impl CreateUpload {
    /// The new upload.
    pub fn into_upload(self, id: UploadId, created_at: UnixSeconds) -> Upload {
        Upload {
            id,
            object: "upload".to_owned(),
            bytes: self.bytes,
            created_at,
            filename: self.filename,
            purpose: self.purpose,
            status: UploadStatus::Pending,
            expires_at: created_at + UPLOAD_SECONDS,
            file: None,
        }
    }
}

/// Body of `POST /uploads/{upload_id}/complete`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompleteUpload {
    /// The parts in the file's order.
    pub part_ids: Vec<PartId>,
    /// The MD5 of the file in hexadecimal digits, to be compared.
    pub md5: Option<String>,
}

impl Request for CompleteUpload {
    const SHAPE: Shape = Shape::Object(&[
        Field::required("part_ids", Shape::Array { items: &Shape::Id("part_"), min: 1, max: 10_000 }),
        Field::optional("md5", Shape::STRING),
    ]);
}

/// A piece of an upload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Its id.
    pub id: PartId,
    /// Always `upload.part`.
    pub object: String,
    /// When it was created.
    pub created_at: UnixSeconds,
    /// What it is a piece of.
    pub upload_id: UploadId,
}

impl Part {
    /// A new part.
    pub fn new(id: PartId, upload_id: UploadId, created_at: UnixSeconds) -> Self {
        Self { id, object: "upload.part".to_owned(), created_at, upload_id }
    }
}

/// The form of `POST /uploads/{upload_id}/parts`. Its content is read as it comes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddPart {
    /// The name that the client gave the part, which means nothing.
    pub data: String,
}

impl Request for AddPart {
    const SHAPE: Shape = Shape::Object(&[Field::required("data", Shape::STRING)]);
}
