//! Documents as text: bytes in; headings, paragraphs, code and tables with their pages out.
//!
//! [`read`] touches nothing but the bytes it is given: no file, no network, no clock. It still runs code of
//! many authors on bytes of unknown intent, so a server calls it in a process of its own, behind walls.

mod archive;
mod draft;
mod encoding;
mod epub;
mod html;
mod kind;
mod markdown;
mod office;
mod pdf;
mod rtf;
mod separated;
mod sheets;
mod table;
mod text;

use serde::{Deserialize, Serialize};

use draft::Draft;
use kind::Kind;

pub use kind::extension;

/// A document as text, in reading order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// Never empty when it comes from [`read`].
    pub blocks: Vec<Block>,
}

/// A piece of a document that belongs together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// What it is.
    pub kind: BlockKind,
    /// Its text: not empty, no blank lines at its ends, `\n` between lines, in Unicode's composed form (NFC).
    pub text: String,
    /// From 1, where the format has pages or slides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
}

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockKind {
    /// A heading of level 1 to 6.
    Heading(u8),
    /// Prose, or a whole list with an item a line.
    Paragraph,
    /// Program text, line by line as it stands. A file of code is cut where a line without indentation follows
    /// an empty one, which is mostly between two functions.
    Code,
    /// Some rows of a table, one a line. A long table is several blocks, each of which can be understood alone:
    /// it names its columns again.
    Table,
}

/// How much is read of a document at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of text in all blocks together.
    pub text_bytes: usize,
    /// Bytes of everything that is packed in a file, unpacked. Counted before anything is unpacked into memory.
    pub unpacked_bytes: u64,
}

impl Default for Limits {
    /// 32 MiB of text is more than the 5,000,000 tokens that OpenAI indexes of a file, in any language.
    /// Office files of a hundred megabytes unpack to less than 512 MiB.
    fn default() -> Self {
        Self { text_bytes: 32 << 20, unpacked_bytes: 512 << 20 }
    }
}

/// Why a document could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unreadable {
    /// The file is of a type that has no text or that nobody here can read: `unsupported_file`.
    Unsupported,
    /// The file is of a type that is read, but this one cannot be: `invalid_file`, with the reason in words for
    /// its owner.
    Invalid(String),
}

impl Unreadable {
    fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid(reason.into())
    }
}

/// What OpenAI says of a file without text.
const EMPTY: &str = "The file could not be parsed because it is empty.";

/// What is said of a document that only its password opens.
const LOCKED: &str = "The file is protected by a password.";

/// Reads a document. Its first bytes say what it is; `name`, of which only the extension matters, decides
/// among the types that are plain text. Text of an unknown extension is read as text.
///
/// # Errors
/// [`Unreadable::Unsupported`] for pictures, sound, archives and other bytes that are no text;
/// [`Unreadable::Invalid`] for a document that is damaged, locked, too large, or without any text.
pub fn read(name: &str, bytes: &[u8], limits: &Limits) -> Result<Document, Unreadable> {
    let mut draft = Draft::new(limits);
    match kind::of(name, bytes)? {
        Kind::PackedOffice => office::read_packed(bytes, limits, &mut draft)?,
        Kind::OldOffice => office::read(bytes, &mut draft)?,
        Kind::Sheets => sheets::read(bytes, limits, &mut draft)?,
        Kind::OldSheets => sheets::read_old(bytes, &mut draft)?,
        Kind::Epub => epub::read(bytes, limits, &mut draft)?,
        Kind::Rtf => rtf::read(bytes, &mut draft)?,
        Kind::Pdf => pdf::read(bytes, &mut draft)?,
        Kind::Text => text::prose(&encoding::decode(bytes)?, &mut draft)?,
        Kind::Latex => text::latex(&encoding::decode(bytes)?, &mut draft)?,
        Kind::Code => text::code(&encoding::decode(bytes)?, &mut draft)?,
        Kind::Markdown => markdown::read(&encoding::decode(bytes)?, &mut draft)?,
        Kind::Html => html::read(&encoding::decode_markup(bytes)?, &mut draft)?,
        Kind::Separated(delimiter) => separated::read(&encoding::decode(bytes)?, delimiter, &mut draft)?,
    }
    let document = draft.finish();
    if document.blocks.is_empty() {
        return Err(Unreadable::invalid(EMPTY));
    }
    Ok(document)
}
