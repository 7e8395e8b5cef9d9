//! A document while it is being read.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::{Block, BlockKind, Document, Limits, Unreadable};

/// The blocks so far, and how much more may come.
pub(crate) struct Draft {
    blocks: Vec<Block>,
    limits: Limits,
    /// Bytes of text so far.
    taken: usize,
}

impl Draft {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { blocks: Vec::new(), limits: *limits, taken: 0 }
    }

    /// Adds a block, cleaned; nothing, if nothing is left of it.
    pub(crate) fn push(&mut self, kind: BlockKind, text: &str, page: Option<u32>) -> Result<(), Unreadable> {
        // Looked at first: cleaning makes copies, and a block may be all there is.
        self.allow(text.len())?;
        let text = clean(text);
        if text.is_empty() {
            return Ok(());
        }
        self.taken += text.len();
        self.blocks.push(Block { kind, text, page });
        Ok(())
    }

    /// Whether `more` bytes of text may come; for readers that gather text before they push it.
    pub(crate) fn allow(&self, more: usize) -> Result<(), Unreadable> {
        let limit = self.limits.text_bytes;
        if more > limit - self.taken {
            return Err(Unreadable::Invalid(format!(
                "The file has more than {} of text.",
                size(limit as u64)
            )));
        }
        Ok(())
    }

    /// The blocks added so far.
    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    pub(crate) fn finish(self) -> Document {
        Document { blocks: self.blocks }
    }
}

/// A number of bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} kB", bytes >> 10),
        _ => format!("{} MB", bytes >> 20),
    }
}

/// Text as it is stored: composed, without control characters, blanks at the ends of lines, and blank lines at
/// its ends. Blanks before the first word stay, since they mean something in code.
fn clean(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}', '\u{c}', '\u{b}'], "\n");
    let mut out = String::with_capacity(text.len());
    for line in text.split('\n') {
        out.extend(line.trim_end().chars().filter(|c| !is_noise(*c)).map(known));
        out.push('\n');
    }
    let out = out.trim_end();
    let start = out
        .find(|c: char| !c.is_whitespace())
        .map_or(out.len(), |first| out[..first].rfind('\n').map_or(0, |newline| newline + 1));
    let out = &out[start..];
    if is_nfc_quick(out.chars()) == IsNormalized::Yes { out.to_owned() } else { out.nfc().collect() }
}

/// Characters that nobody sees: controls, marks of byte order, soft hyphens, zero-width blanks, and the
/// private stand-ins of broken conversions.
fn is_noise(character: char) -> bool {
    (character.is_control() && character != '\t')
        || matches!(character, '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Bullets of Microsoft's fonts of signs have no meaning outside them.
fn known(character: char) -> char {
    if matches!(character, '\u{f06c}' | '\u{f06e}' | '\u{f0a7}' | '\u{f0b7}' | '\u{f0d8}' | '\u{f0fc}') {
        '•'
    } else {
        character
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cleaned() {
        assert_eq!(clean("\r\n\n  a \t\r\nb\u{0}c\u{feff}\n\n"), "  a\nbc");
        assert_eq!(clean(" \n\t"), "");
        assert_eq!(clean("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}"), "한글");
    }

    #[test]
    fn too_much_text_is_refused_in_words() {
        let mut draft = Draft::new(&Limits { text_bytes: 2 << 20, ..Limits::default() });
        assert!(draft.push(BlockKind::Paragraph, &"a".repeat(2 << 20), None).is_ok());
        let refused = draft.push(BlockKind::Paragraph, "b", None);
        assert_eq!(refused, Err(Unreadable::invalid("The file has more than 2 MB of text.")));
    }
}
