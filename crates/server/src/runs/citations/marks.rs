//! Puts markers in the place of the marks that a model writes.

use super::code::Code;
use super::mark::{self, Cited, Look};
use super::{Piece, Sources, Writer, quote};

/// As much of a message as can tell what a mark stands for.
const CLAIM_BYTES: usize = 600;

/// A text that is being read.
#[derive(Debug, Default)]
pub(super) struct Marks {
    writer: Writer,
    /// May be the beginning of a mark.
    held: String,
    /// The end of the plain text so far.
    claim: String,
    code: Code,
    at_line_start: bool,
    /// The character before, unless it belongs to a mark.
    before: Option<char>,
}

impl Marks {
    pub(super) fn new(sources: Sources) -> Self {
        Self { writer: Writer::new(sources), at_line_start: true, ..Self::default() }
    }

    pub(super) fn read(&mut self, text: &str) -> Vec<Piece> {
        self.held.push_str(text);
        self.advance(false);
        self.writer.take()
    }

    pub(super) fn finish(&mut self) -> Vec<Piece> {
        self.advance(true);
        let pieces = self.writer.take();
        *self = Self::new(std::mem::take(&mut self.writer.sources));
        pieces
    }

    fn advance(&mut self, over: bool) {
        let text = std::mem::take(&mut self.held);
        let (mut from, mut at) = (0, 0);
        while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
            match self.look(c, text.get(at..).unwrap_or_default(), over) {
                Look::Unsure => break,
                Look::Text => {
                    self.pass(c);
                    at += c.len_utf8();
                }
                Look::Mark { bytes, cited, labelled } => {
                    let Some(found) = self.resolve(&cited, labelled) else {
                        self.pass(c);
                        at += c.len_utf8();
                        continue;
                    };
                    self.write(text.get(from..at).unwrap_or_default());
                    for index in found {
                        self.cite(index);
                    }
                    at += bytes;
                    from = at;
                    (self.before, self.at_line_start) = (None, false);
                }
            }
        }
        self.write(text.get(from..at).unwrap_or_default());
        self.held = text.get(at..).unwrap_or_default().to_owned();
    }

    fn look(&mut self, c: char, rest: &str, over: bool) -> Look {
        self.code.before(c);
        // `\[` is a bracket, `[text][1]` a link.
        let is_text = self.code.is_open() || matches!(self.before, Some('\\' | ']'));
        if is_text { Look::Text } else { mark::look(rest, self.at_line_start, over) }
    }

    /// Goes past a character of plain text.
    fn pass(&mut self, c: char) {
        self.code.see(c, self.at_line_start);
        self.at_line_start = c == '\n' || (self.at_line_start && c == ' ');
        self.before = Some(c);
    }

    /// What a mark cites. `None` where it is none, but text.
    fn resolve(&self, cited: &[Cited], labelled: bool) -> Option<Vec<usize>> {
        let mut found = Vec::new();
        for cited in cited {
            match self.writer.sources.find(*cited) {
                Some(index) if found.contains(&index) => {}
                Some(index) => found.push(index),
                None if labelled => {}
                None => return None,
            }
        }
        Some(found)
    }

    fn write(&mut self, text: &str) {
        self.claim.push_str(text);
        if self.claim.len() > 2 * CLAIM_BYTES {
            let cut = self.claim.ceil_char_boundary(self.claim.len() - CLAIM_BYTES);
            self.claim.drain(..cut);
        }
        self.writer.write(text);
    }

    fn cite(&mut self, index: usize) {
        let Some(source) = self.writer.sources.all.get(index) else { return };
        let quote = quote::best(&source.text, &self.claim).to_owned();
        self.writer.cite(index, &quote);
    }
}
