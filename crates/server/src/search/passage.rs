//! Where a passage stands in its document, as it is stored beside it.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::fault::Result;

/// Where a passage stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The page it begins on, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) page: Option<u32>,
    /// The headings above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) heading: Option<String>,
    /// Its first character in the document's text, and the one after its last.
    pub(super) characters: Range<usize>,
    /// What the embedding model reads of it at once.
    pub(super) pieces: Vec<Piece>,
}

/// A part of a passage that is embedded as one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Piece {
    /// Bytes of the passage.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
    /// How much it counts in the passage's vector.
    pub(super) tokens: usize,
    /// The headings above its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) heading: Option<String>,
}

impl Place {
    pub(super) fn read(text: &str) -> Result<Self> {
        Ok(serde_json::from_str(text)?)
    }

    pub(super) fn to_text(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }
}

/// A text as it is indexed and embedded: what stands under a heading is often about it without naming it.
pub(super) fn under_heading(heading: Option<&str>, text: &str) -> String {
    heading.map_or_else(|| text.to_owned(), |heading| format!("{heading}\n{text}"))
}
