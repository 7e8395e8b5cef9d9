//! Where a passage stands in its document, as it is stored beside it.

use std::ops::Range;

use adjutant_retrieval::words::words;
use adjutant_wire as wire;
use serde::{Deserialize, Serialize};

use crate::fault::Result;
use crate::store::NewChunk;

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

/// A passage that was read and cut elsewhere, with the words that find it here.
///
/// # Errors
/// Where the place is none, or the text has what no document has.
pub fn brought(index: i64, place: String, content: String) -> wire::Result<NewChunk> {
    let read: Place = serde_json::from_str(&place).map_err(|error| {
        wire::Error::invalid(format!("The place of passage {index} cannot be read: {error}."))
    })?;
    // PostgreSQL has no text with them.
    if content.contains('\0') {
        return Err(wire::Error::invalid(format!("Passage {index} has a character that no text has.")));
    }
    let words = words(&under_heading(read.heading.as_deref(), &content));
    Ok(NewChunk { index, place, content, words })
}
