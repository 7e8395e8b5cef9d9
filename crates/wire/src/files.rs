//! Files.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::list::{self, ListQuery, Order};
use crate::shape::{Field, Path, Request, Shape, YES_OR_NO, is_true};
use crate::{FileId, UnixSeconds};

/// What a client uploaded, or a tool wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct File {
    /// Always `file`.
    pub object: String,
    /// Its id.
    pub id: FileId,
    /// What it is for.
    pub purpose: Purpose,
    /// The client's name for it. It names nothing but itself: no path is ever made of it.
    pub filename: String,
    /// How long it is.
    pub bytes: i64,
    /// When it was created.
    pub created_at: UnixSeconds,
    /// When it will be gone; null for never.
    pub expires_at: Option<UnixSeconds>,
    /// How far it is.
    pub status: FileStatus,
    /// Always null: what is wrong with a file is said by what uses it.
    pub status_details: Option<String>,
}

impl File {
    /// Whether its time has run out.
    pub fn is_expired(&self, now: UnixSeconds) -> bool {
        self.expires_at.is_some_and(|expiry| expiry <= now)
    }
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the API's")]
pub enum Purpose {
    Assistants,
    AssistantsOutput,
    Batch,
    BatchOutput,
    #[serde(rename = "fine-tune")]
    FineTune,
    #[serde(rename = "fine-tune-results")]
    FineTuneResults,
    Vision,
    UserData,
    Evals,
}

/// The purposes that a client may name, in the order of the recorded refusal.
const PURPOSES: &[&str] = &["fine-tune", "assistants", "batch", "user_data", "vision", "evals"];

impl Purpose {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assistants => "assistants",
            Self::AssistantsOutput => "assistants_output",
            Self::Batch => "batch",
            Self::BatchOutput => "batch_output",
            Self::FineTune => "fine-tune",
            Self::FineTuneResults => "fine-tune-results",
            Self::Vision => "vision",
            Self::UserData => "user_data",
            Self::Evals => "evals",
        }
    }

    /// Whether OpenAI gave the content of such files back (contract §8).
    pub fn may_be_downloaded(self) -> bool {
        !matches!(self, Self::Assistants | Self::UserData)
    }
}

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the API's")]
pub enum FileStatus {
    Uploaded,
    Processed,
    Error,
}

/// The quoted refusal to give a file's content back.
pub fn no_download(purpose: Purpose) -> Error {
    Error::invalid(format!("Not allowed to download files of purpose: {}", purpose.as_str()))
}

/// The form of `POST /files`. `file` stands for the file's name; its content is read as it comes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateFile {
    /// The file's name.
    #[serde(rename = "file")]
    pub filename: String,
    /// What it is for.
    pub purpose: Purpose,
    /// When it shall be gone.
    pub expires_after: Option<FileExpiry>,
}

impl Request for CreateFile {
    const SHAPE: Shape = Shape::Object(&[
        Field::required("file", FILENAME),
        Field::required("purpose", Shape::Where(&Shape::STRING, known_purpose)),
        Field::optional("expires_after", FILE_EXPIRY),
    ]);
}

impl CreateFile {
    /// The new file.
    pub fn into_file(self, id: FileId, bytes: i64, created_at: UnixSeconds) -> File {
        File {
            object: "file".to_owned(),
            id,
            purpose: self.purpose,
            filename: self.filename,
            bytes,
            created_at,
            expires_at: expiry(self.purpose, self.expires_after, created_at),
            status: FileStatus::Processed,
            status_details: None,
        }
    }
}

/// The longest name of a file, in characters. OpenAI's limit is not known; file systems take 255 bytes.
pub(crate) const FILENAME: Shape = Shape::String { min: 1, max: 1_000 };

/// How long after its creation a file shall be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileExpiry {
    /// From when on the seconds count.
    pub anchor: FileAnchor,
    /// An hour to 30 days.
    pub seconds: i64,
}

/// From when on a file's seconds count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileAnchor {
    /// Its creation.
    CreatedAt,
}

pub(crate) const FILE_EXPIRY: Shape = Shape::Object(&[
    Field::required("anchor", Shape::Enum(&["created_at"])),
    Field::required("seconds", Shape::Integer { min: 3_600, max: 2_592_000 }),
]);

/// When a file will be gone. Those for batches are after 30 days, unless the client says otherwise.
pub(crate) fn expiry(
    purpose: Purpose,
    after: Option<FileExpiry>,
    created_at: UnixSeconds,
) -> Option<UnixSeconds> {
    let default = (purpose == Purpose::Batch).then_some(2_592_000);
    after.map(|after| after.seconds).or(default).map(|seconds| created_at + seconds)
}

/// The recorded refusal of other purposes.
fn known_purpose(value: &Value, _: &Path<'_>) -> Result<(), Error> {
    let word = value.as_str().unwrap_or_default();
    if PURPOSES.contains(&word) {
        return Ok(());
    }
    let known = PURPOSES.iter().map(|purpose| format!("'{purpose}'")).collect::<Vec<_>>().join(", ");
    Err(Error {
        param: Some("purpose".to_owned()),
        has_detail: true,
        ..Error::invalid(format!("'{word}' is not one of [{known}] - 'purpose'"))
    })
}

/// Query of `GET /files/{file_id}`. Ours; OpenAI told it by refusing.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct HowToShowFile {
    /// Whether the file says if its content may be had.
    #[serde(default, deserialize_with = "is_true")]
    pub downloadable: bool,
}

impl Request for HowToShowFile {
    const SHAPE: Shape = Shape::Object(&[Field::optional("downloadable", YES_OR_NO)]);
}

/// A file, and whether its content may be had, where that was asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownFile {
    /// The file.
    #[serde(flatten)]
    pub file: File,
    /// Whether `GET /files/{file_id}/content` gives its bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downloadable: Option<bool>,
}

/// Query of `GET /files`.
#[derive(Clone, Debug, Deserialize)]
pub struct ListFiles {
    /// At most so many.
    #[serde(default = "most_files")]
    limit: i64,
    /// Which way.
    #[serde(default)]
    order: Order,
    /// Only what follows this file.
    after: Option<String>,
    /// Only files for this; any word may be asked for.
    pub purpose: Option<String>,
}

const MOST_FILES: i64 = 10_000;

fn most_files() -> i64 {
    MOST_FILES
}

impl ListFiles {
    /// Which page of them.
    pub fn page(&self) -> ListQuery {
        ListQuery {
            limit: self.limit,
            order: self.order,
            after: self.after.clone(),
            before: None,
            run_id: None,
        }
    }
}

impl Request for ListFiles {
    const SHAPE: Shape = Shape::Object(&[
        Field::optional("limit", Shape::Integer { min: 1, max: MOST_FILES }),
        list::ORDER,
        list::AFTER,
        Field::optional("purpose", Shape::STRING),
    ]);
}

/// The recorded answer to a file's deletion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeletedFile {
    /// Always `file`.
    pub object: String,
    /// Always true.
    pub deleted: bool,
    /// What is gone.
    pub id: FileId,
}

impl DeletedFile {
    /// The answer for this file.
    pub fn new(id: FileId) -> Self {
        Self { object: "file".to_owned(), deleted: true, id }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unknown_purpose_is_refused_as_recorded() {
        let error = CreateFile::read(json!({"file": "a", "purpose": "world_domination"})).unwrap_err();
        let text = "'world_domination' is not one of ['fine-tune', 'assistants', 'batch', 'user_data', 'vision', \
                    'evals'] - 'purpose'";
        assert_eq!(
            serde_json::to_value(&error).unwrap(),
            json!({
                "error": {"message": text, "type": "invalid_request_error", "param": "purpose", "code": null},
                "detail": {"message": text, "code": null},
            })
        );
    }

    #[test]
    fn files_for_batches_expire_unless_told_otherwise() {
        let file =
            |body| CreateFile::read(body).unwrap().into_file(crate::id::Id::from_checked("f".into()), 1, 10);
        assert_eq!(file(json!({"file": "a", "purpose": "assistants"})).expires_at, None);
        assert_eq!(file(json!({"file": "a", "purpose": "batch"})).expires_at, Some(2_592_010));
        let after = json!({"anchor": "created_at", "seconds": 3600});
        let short = file(json!({"file": "a", "purpose": "batch", "expires_after": after}));
        assert_eq!(short.expires_at, Some(3_610));
        assert!(!short.is_expired(3_609) && short.is_expired(3_610));
    }

    #[test]
    fn files_are_listed_ten_thousand_at_a_time() {
        let page = |query| ListFiles::read(query).unwrap().limit;
        assert_eq!(page(json!({})), 10_000);
        assert_eq!(page(json!({"limit": 20})), 20);
    }

    #[test]
    fn every_purpose_is_written_as_it_is_named() {
        for purpose in PURPOSES {
            let read: Purpose = serde_json::from_value(json!(purpose)).unwrap();
            assert_eq!(read.as_str(), *purpose);
        }
    }
}
