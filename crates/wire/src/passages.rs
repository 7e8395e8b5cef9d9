//! Ours: where passages stand in their files, and why they were found. OpenAI showed neither.

use serde::{Deserialize, Serialize};

use crate::shape::{Field, Request, Shape, YES_OR_NO, is_true};

/// Query of `POST /vector_stores/{vector_store_id}/search`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct HowToSearch {
    /// Whether each result says why it was found.
    #[serde(default, deserialize_with = "is_true")]
    pub explain: bool,
}

/// Query of `GET /vector_stores/{vector_store_id}/files/{file_id}/content`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct HowToShow {
    /// Whether passages are shown one by one, as they are stored.
    #[serde(default, deserialize_with = "is_true")]
    pub passages: bool,
}

impl Request for HowToSearch {
    const SHAPE: Shape = Shape::Object(&[Field::optional("explain", YES_OR_NO)]);
}

impl Request for HowToShow {
    const SHAPE: Shape = Shape::Object(&[Field::optional("passages", YES_OR_NO)]);
}

/// Why a passage was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// Of several queries, the one that found it best.
    pub query: String,
    /// What its words give, from 0 to 1.
    pub keyword_score: f64,
    /// What its meaning gives, from 0 to 1; null where the store was searched by words alone.
    pub vector_score: Option<f64>,
    /// The query's words that it has. Of a word that it has only parts of, those parts.
    pub matched_words: Vec<String>,
}

/// A passage as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownPassage {
    /// Always `text`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The passage. It may begin with what the one before ends with.
    pub text: String,
    /// Its place among the file's passages, from 0.
    pub index: usize,
    /// The page it begins on, from 1, where the file has pages.
    pub page: Option<u32>,
    /// The headings above it.
    pub heading: Option<String>,
    /// Its first character in the file's text, from 0.
    pub start: usize,
    /// The character after its last.
    pub end: usize,
}
