//! The pieces of a document, and the chunks they make.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::borders::{Atom, Border, Cutter, is_line_break};
use super::{
    BETWEEN_BLOCKS, Block, BlockKind, Chunk, PIECE_TOKENS, Piece, Place, Strategy, TITLE_CHARS, document,
};

/// A document whose atoms are known.
pub(super) struct Layout<'a> {
    text: String,
    /// The blocks in order, by where they begin.
    sections: Vec<Section>,
    atoms: Vec<Atom>,
    strategy: Strategy,
    count: &'a dyn Fn(&str) -> usize,
}

/// What holds from a block's first byte on.
struct Section {
    start: usize,
    page: Option<u32>,
    heading: Option<String>,
}

/// A character of the text in bytes and in characters; both only grow.
#[derive(Clone, Copy, Default)]
struct Cursor {
    bytes: usize,
    characters: usize,
}

impl Cursor {
    fn to(&mut self, text: &str, bytes: usize) -> usize {
        // A cursor that has to go back begins anew; chunks come in order, so none does.
        if bytes < self.bytes {
            *self = Self::default();
        }
        self.characters += text[self.bytes..bytes].chars().count();
        self.bytes = bytes;
        self.characters
    }
}

impl<'a> Layout<'a> {
    pub(super) fn new(blocks: &[Block], strategy: Strategy, count: &'a dyn Fn(&str) -> usize) -> Self {
        let text = document(blocks);
        let sections = sections(blocks);
        let mut cutter = Cutter {
            text: &text,
            count,
            // Pieces are filled to about this much.
            atom_tokens: (strategy.max_tokens / 16).clamp(1, 64),
            max_tokens: strategy.max_tokens,
            atoms: Vec::new(),
        };
        for (range, border) in parts(blocks, &text) {
            cutter.cut(range, border);
        }
        let atoms = cutter.atoms;
        Self { text, sections, atoms, strategy, count }
    }

    /// The document's chunks in order.
    pub(super) fn chunks(&self) -> Vec<Chunk> {
        let pieces = self.pieces();
        let mut chunks = Vec::new();
        let (mut start, mut end) = (Cursor::default(), Cursor::default());
        // Pieces that are in a chunk already.
        let mut done: usize = 0;
        for window in self.windows(&pieces) {
            for pieces in self.fitting(&pieces[window.clone()], done.saturating_sub(window.start)) {
                let Some(mut chunk) = self.chunk(&pieces) else { continue };
                let bytes = self.bytes(&pieces);
                chunk.place.start = start.to(&self.text, bytes.start);
                chunk.place.end = end.to(&self.text, bytes.end);
                chunks.push(chunk);
            }
            done = window.end;
        }
        chunks
    }

    /// The atoms of each piece. Pieces follow each other as the strategy's spans do: what two chunks share, what
    /// is one chunk's own, what it shares with the next, and so on.
    fn pieces(&self) -> Vec<Range<usize>> {
        let targets = self.spans().concat();
        let mut rest: usize = self.atoms.iter().map(|atom| atom.tokens).sum();
        let mut pieces: Vec<Range<usize>> = Vec::new();
        let mut start = 0;
        while start < self.atoms.len() {
            let target = targets[pieces.len() % targets.len()];
            let end = self.piece_end(start, target, rest);
            rest -= self.tokens(&(start..end));
            pieces.push(start..end);
            start = end;
        }
        pieces
    }

    /// The sizes of the pieces that a chunk shares with the one before, and of those that are its own.
    fn spans(&self) -> [Vec<usize>; 2] {
        let Strategy { max_tokens, overlap_tokens } = self.strategy;
        [evenly(overlap_tokens), evenly(max_tokens - 2 * overlap_tokens)]
    }

    /// Where a piece of about `target` tokens that begins with the atom `start` ends best; `rest` is what the
    /// document has from there on.
    fn piece_end(&self, start: usize, target: usize, rest: usize) -> usize {
        // The last two pieces are of a length, lest the last is a scrap.
        let target = if rest > target && rest < target * 3 / 2 { rest.div_ceil(2) } else { target };
        let mut filled = 0;
        let mut best = (Border::CodePoint, start + 1);
        for (end, atom) in self.atoms.iter().enumerate().skip(start) {
            if end > start && atom.border >= best.0 && filled * 100 >= atom.border.least_fill() * target {
                best = (atom.border, end);
            }
            filled += atom.tokens;
            if filled > target {
                return best.1.max(start + 1);
            }
        }
        self.atoms.len()
    }

    fn tokens(&self, piece: &Range<usize>) -> usize {
        self.atoms[piece.clone()].iter().map(|atom| atom.tokens).sum()
    }

    /// The pieces of each chunk, as the strategy has them.
    fn windows(&self, pieces: &[Range<usize>]) -> Vec<Range<usize>> {
        let [shared, own] = self.spans().map(|span| span.len());
        let total: usize = pieces.iter().map(|piece| self.tokens(piece)).sum();
        let length = if total <= self.strategy.max_tokens { pieces.len() } else { shared + own + shared };
        let mut windows = Vec::new();
        let mut start = 0;
        while start < pieces.len() {
            let end = (start + length).min(pieces.len());
            windows.push(start..end);
            // What the last one shares with nobody is no chunk of its own.
            start = if end == pieces.len() { end } else { start + shared + own };
        }
        windows
    }

    /// A window as one chunk, or, where tokens were counted as fewer in bits than they are together, as several:
    /// without the pieces that are in a chunk already, which are the first `done`, then by halves.
    fn fitting(&self, window: &[Range<usize>], done: usize) -> Vec<Vec<Range<usize>>> {
        let skip = (0..done).find(|skip| self.fits(&window[*skip..])).unwrap_or(done);
        let mut fitting = Vec::new();
        let mut waiting = vec![window[skip..].to_vec()];
        while let Some(mut pieces) = waiting.pop() {
            if self.fits(&pieces) {
                fitting.push(pieces);
                continue;
            }
            if let [piece] = &pieces[..] {
                if piece.len() < 2 {
                    fitting.push(pieces);
                    continue;
                }
                let middle = piece.start + piece.len() / 2;
                pieces = vec![piece.start..middle, middle..piece.end];
            }
            let second = pieces.split_off(pieces.len() / 2);
            waiting.extend([second, pieces]);
        }
        fitting
    }

    fn fits(&self, pieces: &[Range<usize>]) -> bool {
        (self.count)(&self.text[self.bytes(pieces)]) <= self.strategy.max_tokens
    }

    /// The bytes of consecutive pieces, without white space around them.
    fn bytes(&self, pieces: &[Range<usize>]) -> Range<usize> {
        let mut contents =
            pieces.iter().map(|piece| self.content(piece)).filter(|content| !content.is_empty());
        let Some(first) = contents.next() else { return 0..0 };
        first.start..contents.next_back().map_or(first.end, |last| last.end)
    }

    /// The bytes of a piece without white space behind and before, but with the indent of its first line, for
    /// that counts in programs. Empty if the piece is blank.
    fn content(&self, piece: &Range<usize>) -> Range<usize> {
        let range = self.atoms[piece.start].range.start..self.atoms[piece.end - 1].range.end;
        let text = &self.text[range.clone()];
        let end = range.start + text.trim_end().len();
        let content = range.end - text.trim_start().len();
        let before = &self.text[..content];
        let line = before.trim_end_matches(|c: char| c.is_whitespace() && !is_line_break(c)).len();
        let begins_line = line == 0 || before[..line].ends_with(is_line_break);
        let start = if begins_line && line >= range.start { line } else { content };
        start.min(end)..end
    }

    /// A chunk of these pieces, still without its characters' places; none if all are blank.
    fn chunk(&self, pieces: &[Range<usize>]) -> Option<Chunk> {
        let whole = self.bytes(pieces);
        let pieces: Vec<Piece> = pieces
            .iter()
            .map(|piece| (self.content(piece), self.tokens(piece)))
            .filter(|(content, _)| !content.is_empty())
            .map(|(content, tokens)| Piece {
                range: content.start - whole.start..content.end - whole.start,
                tokens,
                heading: self.section(content.start).and_then(|section| section.heading.clone()),
            })
            .collect();
        let section = self.section(whole.start);
        let place = Place {
            page: section.and_then(|section| section.page),
            heading: section.and_then(|section| section.heading.clone()),
            start: 0,
            end: 0,
        };
        let text = self.text[whole].to_owned();
        (!pieces.is_empty()).then_some(Chunk { text, place, pieces })
    }

    /// What holds at this byte.
    fn section(&self, byte: usize) -> Option<&Section> {
        let after = self.sections.partition_point(|section| section.start <= byte);
        self.sections.get(after.checked_sub(1)?)
    }
}

/// Where blocks begin, and under which headings.
fn sections(blocks: &[Block]) -> Vec<Section> {
    let mut path: Vec<(u8, String)> = Vec::new();
    let mut start = 0;
    let mut page = None;
    let mut sections = Vec::with_capacity(blocks.len());
    for block in blocks {
        if let BlockKind::Heading(level) = block.kind {
            path.retain(|(above, _)| *above < level);
            path.extend(title(block.text).map(|title| (level, title)));
        }
        page = block.page.or(page);
        let titles: Vec<&str> = path.iter().map(|(_, title)| title.as_str()).collect();
        let heading = (!titles.is_empty()).then(|| titles.join(" > "));
        sections.push(Section { start, page, heading });
        start += block.text.len() + BETWEEN_BLOCKS.len();
    }
    sections
}

/// A heading on one line and of bearable length; none if it is blank.
fn title(text: &str) -> Option<String> {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = line.grapheme_indices(true).nth(TITLE_CHARS).map_or(line.len(), |(at, _)| at);
    (!line.is_empty()).then(|| line[..end].trim_end().to_owned())
}

/// The blocks' ranges, each with the blank line after it, and what lies before each. A blank block belongs to
/// the one before it.
fn parts(blocks: &[Block], text: &str) -> Vec<(Range<usize>, Border)> {
    let mut parts: Vec<(Range<usize>, Border)> = Vec::with_capacity(blocks.len());
    let mut start = 0;
    let mut after_heading = false;
    for block in blocks {
        let end = (start + block.text.len() + BETWEEN_BLOCKS.len()).min(text.len());
        let is_heading = matches!(block.kind, BlockKind::Heading(_));
        let blank = block.text.trim().is_empty();
        match parts.last_mut() {
            Some((range, _)) if blank => range.end = end,
            None if blank => {}
            _ => {
                let border = match (is_heading, after_heading) {
                    // A heading stays with what it is the heading of, be that another heading.
                    (_, true) => Border::Blank,
                    (true, false) => Border::Heading,
                    (false, false) => Border::Block,
                };
                parts.push((start..end, border));
                after_heading = is_heading;
            }
        }
        start = end;
    }
    parts
}

/// So many tokens as sizes of pieces, none too long.
fn evenly(tokens: usize) -> Vec<usize> {
    let pieces = tokens.div_ceil(PIECE_TOKENS);
    (0..pieces).map(|piece| tokens * (piece + 1) / pieces - tokens * piece / pieces).collect()
}
