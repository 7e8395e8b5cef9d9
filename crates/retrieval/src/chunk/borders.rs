//! Where a text may be cut, and how well.

use std::ops::Range;

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

/// What a cut falls between, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Border {
    /// Code points of what a reader sees as one character: only where that alone is too long for a chunk.
    CodePoint,
    /// Characters as a reader sees them.
    Character,
    /// Words, by Unicode's rules.
    Word,
    /// Words with blanks between; also a heading and what it is the heading of.
    Blank,
    /// Sentences, by Unicode's rules, which know the full stops of all scripts.
    Sentence,
    Line,
    /// Lines with an empty one between.
    Paragraph,
    /// Blocks of the document.
    Block,
    /// What stands above a heading and the heading.
    Heading,
}

impl Border {
    /// The next best border to try inside a text that has none of this kind, or not enough.
    fn finer(self) -> Self {
        match self {
            Self::Heading | Self::Block => Self::Paragraph,
            Self::Paragraph => Self::Line,
            Self::Line => Self::Sentence,
            Self::Sentence => Self::Blank,
            Self::Blank => Self::Word,
            Self::Word => Self::Character,
            Self::Character | Self::CodePoint => Self::CodePoint,
        }
    }

    /// How full a piece has to be for a cut here, in hundredths, given that a better cut is not in reach. The
    /// better the border, the shorter a piece it is worth.
    pub(super) fn least_fill(self) -> usize {
        match self {
            Self::Heading => 50,
            Self::Block => 65,
            Self::Paragraph => 70,
            Self::Line => 75,
            Self::Sentence => 80,
            Self::Blank => 85,
            Self::Word => 90,
            Self::Character | Self::CodePoint => 0,
        }
    }
}

/// A part of the text that is never cut, small beside a piece. It begins where the one before ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Atom {
    /// Bytes of the text.
    pub(super) range: Range<usize>,
    /// What lies before it.
    pub(super) border: Border,
    pub(super) tokens: usize,
}

/// Cuts text into atoms.
pub(super) struct Cutter<'a> {
    pub(super) text: &'a str,
    pub(super) count: &'a dyn Fn(&str) -> usize,
    /// The most tokens of an atom, where there is any border in it.
    pub(super) atom_tokens: usize,
    /// The most tokens of anything that is not a single code point.
    pub(super) max_tokens: usize,
    pub(super) atoms: Vec<Atom>,
}

impl Cutter<'_> {
    /// Adds the atoms of a range; `border` lies before it.
    pub(super) fn cut(&mut self, range: Range<usize>, border: Border) {
        self.cut_at(range, border, Border::Paragraph);
    }

    fn cut_at(&mut self, range: Range<usize>, border: Border, level: Border) {
        let most = if level == Border::CodePoint { self.max_tokens } else { self.atom_tokens };
        // What is far too long is not counted first: most vocabularies have tokens of four letters or fewer.
        let hopeless = range.len() > most.saturating_mul(16);
        if !hopeless {
            let tokens = (self.count)(&self.text[range.clone()]);
            if tokens <= most {
                self.atoms.push(Atom { range, border, tokens });
                return;
            }
        }
        if level == Border::CodePoint {
            self.cut_characters(range, border);
        } else {
            self.cut_between(range, border, level);
        }
    }

    /// Cuts at all borders of one kind, and goes on within the parts.
    fn cut_between(&mut self, range: Range<usize>, border: Border, level: Border) {
        let (text, offset) = (&self.text[range.clone()], range.start);
        let mut cuts = match level {
            Border::Heading | Border::Block | Border::Paragraph => after_lines(text, 2),
            Border::Line => after_lines(text, 1),
            Border::Sentence => before_sentences(text),
            Border::Blank => before_blanks(text),
            Border::Word => text.split_word_bound_indices().map(|(at, _)| at).collect(),
            Border::Character | Border::CodePoint => text.grapheme_indices(true).map(|(at, _)| at).collect(),
        };
        cuts.retain(|at| is_between_characters(text, *at));
        if level <= Border::Blank {
            // Words are many and short; as one atom of some words they are counted in one go. No token is
            // shorter than a byte, so this many bytes are never too many tokens.
            thin(&mut cuts, text.len(), self.atom_tokens);
        }
        cuts.push(text.len());
        let mut start = 0;
        let mut before = border;
        for end in cuts {
            if end > start {
                self.cut_at(offset + start..offset + end, before, level.finer());
                start = end;
                before = level;
            }
        }
    }

    /// Characters too long to be atoms are atoms all the same, unless not even a chunk holds them.
    fn cut_characters(&mut self, range: Range<usize>, border: Border) {
        let (text, offset) = (&self.text[range.clone()], range.start);
        let mut before = border;
        for (at, character) in text.grapheme_indices(true) {
            let range = offset + at..offset + at + character.len();
            let tokens = (self.count)(character);
            if tokens <= self.max_tokens {
                self.atoms.push(Atom { range, border: before, tokens });
            } else {
                self.cut_code_points(range, before);
            }
            before = Border::Character;
        }
    }

    fn cut_code_points(&mut self, range: Range<usize>, border: Border) {
        let mut before = border;
        for (at, point) in self.text[range.clone()].char_indices() {
            let start = range.start + at;
            let range = start..start + point.len_utf8();
            let tokens = (self.count)(&self.text[range.clone()]);
            self.atoms.push(Atom { range, border: before, tokens });
            before = Border::CodePoint;
        }
    }
}

/// Leaves out cuts until the parts between them have about `bytes`.
fn thin(cuts: &mut Vec<usize>, end: usize, bytes: usize) {
    let mut start = 0;
    let kept: Vec<usize> = cuts
        .iter()
        .zip(cuts.iter().skip(1).chain([&end]))
        .filter_map(|(&cut, &next)| {
            let keep = cut > start && next - start > bytes;
            if keep {
                start = cut;
            }
            keep.then_some(cut)
        })
        .collect();
    *cuts = kept;
}

/// Where a line begins after at least so many line breaks, with its indent; not at the very beginning.
fn after_lines(text: &str, breaks: usize) -> Vec<usize> {
    blanks(text).filter(|blank| blank.breaks >= breaks).map(|blank| blank.line).collect()
}

/// Where white space begins between words.
fn before_blanks(text: &str) -> Vec<usize> {
    blanks(text).map(|blank| blank.start).collect()
}

/// Where sentences begin, with the blanks before them: a vocabulary's tokens have the blank in front.
fn before_sentences(text: &str) -> Vec<usize> {
    text.split_sentence_bound_indices()
        .map(|(at, _)| text[..at].trim_end_matches([' ', '\t']).len())
        .collect()
}

/// White space inside a text, neither at its beginning nor at its end.
struct Blank {
    start: usize,
    /// After the last line break in it; where there is none, its start.
    line: usize,
    /// Line breaks in it.
    breaks: usize,
}

fn blanks(text: &str) -> impl Iterator<Item = Blank> {
    let trimmed = text.trim_end();
    let offset = text.len() - text.trim_start().len();
    let mut characters = trimmed.char_indices().skip_while(move |(at, _)| *at < offset).peekable();
    std::iter::from_fn(move || {
        let (start, mut last) = characters.find(|(_, character)| character.is_whitespace())?;
        let mut blank = Blank { start, line: start, breaks: 0 };
        let (mut at, mut previous) = (start, ' ');
        loop {
            if is_line_break(last) {
                blank.line = at + last.len_utf8();
                blank.breaks += usize::from(!(previous == '\r' && last == '\n'));
            }
            previous = last;
            match characters.next_if(|(_, character)| character.is_whitespace()) {
                Some(next) => (at, last) = next,
                None => return Some(blank),
            }
        }
    })
}

/// Whether a character ends a line, in any system and in Unicode; a form feed does too.
pub(super) fn is_line_break(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether no character, as a reader sees it, lies on both sides.
fn is_between_characters(text: &str, at: usize) -> bool {
    GraphemeCursor::new(at, text.len(), true).is_boundary(text, 0).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str, cuts: Vec<usize>) -> Vec<&str> {
        let mut starts = vec![0];
        starts.extend(cuts.into_iter().filter(|cut| *cut > 0));
        let ends: Vec<usize> = starts.iter().skip(1).copied().chain([text.len()]).collect();
        starts.into_iter().zip(ends).map(|(start, end)| &text[start..end]).collect()
    }

    #[test]
    fn lines_keep_their_indent_and_paragraphs_their_blank_lines() {
        let text = "\n  a\r\n\r\n    b\n\tc \n";
        assert_eq!(parts(text, after_lines(text, 1)), ["\n  a\r\n\r\n", "    b\n", "\tc \n"]);
        assert_eq!(parts(text, after_lines(text, 2)), ["\n  a\r\n\r\n", "    b\n\tc \n"]);
    }

    #[test]
    fn sentences_end_in_every_script() {
        for (text, expected) in [
            ("One. Two! Three?", vec!["One.", " Two!", " Three?"]),
            ("서울은 수도다. 부산은 항구예요. 끝", vec!["서울은 수도다.", " 부산은 항구예요.", " 끝"]),
            ("東京は首都です。大阪は？", vec!["東京は首都です。", "大阪は？"]),
            ("北京是首都。上海呢？", vec!["北京是首都。", "上海呢？"]),
            ("यह एक है। वह दो है।", vec!["यह एक है।", " वह दो है।"]),
            ("Pi is 3.14 here.", vec!["Pi is 3.14 here."]),
        ] {
            assert_eq!(parts(text, before_sentences(text)), expected);
        }
    }

    #[test]
    fn words_are_cut_before_their_blank() {
        let text = " one  two three ";
        assert_eq!(parts(text, before_blanks(text)), [" one", "  two", " three "]);
    }
}
