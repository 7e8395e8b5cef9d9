//! A document cut into overlapping chunks along its natural borders.
//!
//! The document is first laid out in *pieces*, one after the other, none longer than [`PIECE_TOKENS`]. A chunk is
//! a few consecutive pieces, and begins some pieces after the chunk before it, so what two chunks share is whole
//! pieces. With 800 tokens and 400 of overlap a chunk is two pieces, and each piece is the end of one chunk and
//! the beginning of the next. So a model embeds each piece once, and the vector of a chunk is put together from
//! those of its pieces by [`combine`].

mod borders;
mod layout;

use std::ops::Range;

use layout::Layout;

/// The most tokens of a piece. Embedding models read windows of 512 tokens and more; their vocabularies cut text
/// a little finer than o200k, and a heading may be put in front.
pub const PIECE_TOKENS: usize = 400;

/// What stands between two blocks in the whole text.
const BETWEEN_BLOCKS: &str = "\n\n";

/// The longest title in a path of headings, in characters; what is longer was no heading.
const TITLE_CHARS: usize = 120;

/// A part of a document, as a parser gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// What it is.
    pub kind: BlockKind,
    /// Its text, without markup.
    pub text: &'a str,
    /// The page it begins on, from 1, where the document has pages.
    pub page: Option<u32>,
}

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// A title of this level; 1 is the highest.
    Heading(u8),
    /// Running text.
    Paragraph,
    /// Program text, in which line breaks and indents count.
    Code,
    /// Rows, one a line.
    Table,
}

/// How long chunks are and how much consecutive ones share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strategy {
    /// The most tokens of a chunk; the contract allows 100 to 4096.
    pub max_tokens: usize,
    /// About how many tokens a chunk shares with the next; more than half of `max_tokens` counts as half.
    pub overlap_tokens: usize,
}

impl Default for Strategy {
    /// What OpenAI calls `auto`.
    fn default() -> Self {
        Self { max_tokens: 800, overlap_tokens: 400 }
    }
}

/// A passage that a search can find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its text, a part of the document's whole text without blank lines before and blanks behind.
    pub text: String,
    /// Where it stands.
    pub place: Place,
    /// What an embedding model reads, in order. Between two pieces is nothing but white space.
    pub pieces: Vec<Piece>,
}

/// A part of a chunk that is embedded as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Bytes of the chunk's text.
    pub range: Range<usize>,
    /// About how many tokens it has: its weight in the chunk's vector.
    pub tokens: usize,
    /// The headings above its beginning, like [`Place::heading`].
    pub heading: Option<String>,
}

/// Where a chunk stands in its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The page it begins on.
    pub page: Option<u32>,
    /// The headings above its beginning, the highest first, with ` > ` between; a heading that it begins with
    /// is among them.
    pub heading: Option<String>,
    /// Its first character in the document's whole text ([`document`]), counted from 0.
    pub start: usize,
    /// The character after its last one.
    pub end: usize,
}

/// The whole text of a document, in which [`Place`] counts characters: its blocks with blank lines between.
pub fn document(blocks: &[Block]) -> String {
    let mut text = String::with_capacity(blocks.iter().map(|block| block.text.len() + 2).sum());
    for (index, block) in blocks.iter().enumerate() {
        if index > 0 {
            text.push_str(BETWEEN_BLOCKS);
        }
        text.push_str(block.text);
    }
    text
}

/// Cuts a document into chunks. A text of nothing but white space has none.
///
/// `count` tells the tokens of a text. It reads the document about three times, in bits and as chunks. No chunk
/// has more than `max_tokens` by it, as long as it gives no single character more than that.
pub fn chunks(blocks: &[Block], strategy: Strategy, count: &dyn Fn(&str) -> usize) -> Vec<Chunk> {
    let max_tokens = strategy.max_tokens.max(1);
    let strategy = Strategy { max_tokens, overlap_tokens: strategy.overlap_tokens.min(max_tokens / 2) };
    Layout::new(blocks, strategy, count).chunks()
}

/// The vector of a whole out of those of its parts: their mean, weighted by tokens, of unit length. Parts of
/// another length than the first are left out. Empty if there is no part, zeros if they cancel out.
pub fn combine(parts: &[(&[f32], usize)]) -> Vec<f32> {
    let Some((first, _)) = parts.first() else { return Vec::new() };
    let mut whole = vec![0.0_f64; first.len()];
    for (part, tokens) in parts.iter().filter(|(part, _)| part.len() == first.len()) {
        // A part without tokens still says something: the count is an estimate of someone else's.
        let weight = (*tokens).max(1) as f64 / length(part);
        if weight.is_finite() {
            for (sum, value) in whole.iter_mut().zip(*part) {
                *sum += weight * f64::from(*value);
            }
        }
    }
    let length = whole.iter().map(|value| value * value).sum::<f64>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    whole.iter().map(|value| (value * scale) as f32).collect()
}

/// The Euclidean length.
fn length(vector: &[f32]) -> f64 {
    vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests;
