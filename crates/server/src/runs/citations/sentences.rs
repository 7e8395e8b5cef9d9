//! Cites for a model that does not: each of its sentences is traced to what it was taken from.

use super::code::Code;
use super::marks::Marks;
use super::origin::Origins;
use super::{Piece, Sources, Writer};

/// A text that is being read.
#[derive(Debug, Default)]
pub(super) struct Sentences {
    /// Takes away the markers that the model made up: it knows of no source.
    made_up: Marks,
    writer: Writer,
    origins: Origins,
    /// The sentence so far.
    sentence: String,
    /// What may end it: the marker stands before its point.
    held: String,
    code: Code,
    at_line_start: bool,
}

impl Sentences {
    pub(super) fn new(sources: Sources, question: &str) -> Self {
        let origins = Origins::new(sources.all.iter().map(|source| source.text.as_str()), question);
        Self::begin(sources, origins)
    }

    fn begin(sources: Sources, origins: Origins) -> Self {
        Self {
            made_up: Marks::new(Sources::default()),
            writer: Writer::new(sources),
            origins,
            at_line_start: true,
            ..Self::default()
        }
    }

    pub(super) fn read(&mut self, text: &str) -> Vec<Piece> {
        let pieces = self.made_up.read(text);
        self.see_all(&pieces);
        self.writer.take()
    }

    pub(super) fn finish(&mut self) -> Vec<Piece> {
        let pieces = self.made_up.finish();
        self.see_all(&pieces);
        let mut plain = String::new();
        self.end(&mut plain);
        self.writer.write(&plain);
        let pieces = self.writer.take();
        *self = Self::begin(std::mem::take(&mut self.writer.sources), std::mem::take(&mut self.origins));
        pieces
    }

    fn see_all(&mut self, pieces: &[Piece]) {
        let mut plain = String::new();
        for c in pieces.iter().flat_map(|piece| piece.text.chars()) {
            self.see(c, &mut plain);
        }
        self.writer.write(&plain);
    }

    fn see(&mut self, c: char, plain: &mut String) {
        self.code.see(c, self.at_line_start);
        self.at_line_start = c == '\n' || (self.at_line_start && c == ' ');
        let ends = match c {
            '\n' => true,
            // `3.5` and `a.txt` have no blank behind the point.
            _ if c.is_whitespace() => !self.held.is_empty(),
            _ => self.held.chars().any(|held| matches!(held, '。' | '！' | '？')) && !is_end(c),
        };
        if ends {
            self.end(plain);
        }
        if is_end(c) {
            self.held.push(c);
            return;
        }
        self.sentence.push_str(&self.held);
        plain.push_str(&std::mem::take(&mut self.held));
        self.sentence.push(c);
        plain.push(c);
    }

    /// Cites what the sentence was taken from.
    fn end(&mut self, plain: &mut String) {
        let sentence = std::mem::take(&mut self.sentence);
        let origin = if self.code.is_open() { None } else { self.origins.of(&sentence) };
        if let Some(origin) = origin {
            self.writer.write(&std::mem::take(plain));
            self.writer.cite(origin.source, &origin.text);
        }
        plain.push_str(&std::mem::take(&mut self.held));
    }
}

fn is_end(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '。' | '！' | '？')
}
