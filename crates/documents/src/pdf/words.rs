//! What stands between the last letter of a line and the first of the next: a blank, or nothing, where the
//! line ends within a word.

use std::collections::HashSet;

use super::{Flow, Line};

/// How two lines are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seam {
    Blank,
    None,
    /// The hyphen at the end of the first line goes.
    NoHyphen,
}

/// The words that stand within the lines of a document, and what it does at their ends.
pub(super) struct Words {
    known: HashSet<String>,
    /// Lines that end between words end with a blank.
    marks_ends: bool,
    /// Lines of Korean end within words.
    splits_korean: bool,
}

impl Words {
    pub(super) fn of(pages: &[Vec<Flow>]) -> Self {
        let (mut known, mut blanks, mut lines) = (HashSet::new(), 0, 0);
        for line in pages.iter().flatten().flatten() {
            blanks += usize::from(line.blank_after);
            lines += 1;
            // The first and the last one may be halves.
            let words: Vec<&str> = line.text.split_whitespace().collect();
            let whole = words.get(1..words.len().saturating_sub(1)).unwrap_or_default();
            known.extend(whole.iter().map(|word| bare(word)));
        }
        let mut words = Self { known, marks_ends: blanks * 5 > lines, splits_korean: false };
        words.splits_korean = words.sees_split_korean(pages);
        words
    }

    /// What stands between two lines of a paragraph.
    pub(super) fn between(&self, above: &Line, line: &Line) -> Seam {
        let (before, after) = (last_word(&above.text), first_word(&line.text));
        let (Some(last), Some(first)) = (before.chars().next_back(), after.chars().next()) else {
            return Seam::Blank;
        };
        let is_split = (is_unspaced(last) && is_unspaced(first))
            || (is_hangul(last) && is_hangul(first) && self.splits(above, before, after));
        match last {
            '\u{ad}' => Seam::NoHyphen,
            '-' => self.after_hyphen(before, after),
            _ if is_split => Seam::None,
            _ => Seam::Blank,
        }
    }

    /// `inter-` and `national` are one word, `well-` and `known` two, `state-of-the-` and `art` stay as they are.
    fn after_hyphen(&self, before: &str, after: &str) -> Seam {
        let start = before.trim_end_matches('-');
        if start.is_empty() {
            return Seam::Blank;
        }
        let is_word = start.chars().all(char::is_alphabetic) && after.starts_with(char::is_lowercase);
        let are_words =
            FIRST_PARTS.contains(&&*start.to_lowercase()) || (self.knows(start) && self.knows(after));
        let two_words = are_words && !self.knows(&format!("{start}{after}"));
        if is_word && start.chars().count() > 1 && !two_words { Seam::NoHyphen } else { Seam::None }
    }

    /// Whether a line of Korean ends within a word.
    fn splits(&self, above: &Line, before: &str, after: &str) -> bool {
        if above.blank_after {
            return false;
        }
        let is_seen = self.sees_split(before, after);
        let is_end = SHORT_WORDS.contains(&before) || ENDINGS.iter().any(|ending| before.ends_with(ending));
        let are_words = self.knows(before) && self.knows(after);
        is_seen || self.marks_ends || (self.splits_korean && !is_end && !are_words)
    }

    /// Whether nothing but a split word explains the two parts.
    fn sees_split(&self, before: &str, after: &str) -> bool {
        let is_whole = self.knows(&format!("{before}{after}"));
        let are_words = self.knows(before) && self.knows(after);
        let is_stump = before.chars().count() == 1 && !SHORT_WORDS.contains(&before) && !self.knows(before);
        (is_whole && !are_words) || is_stump || PARTICLES.contains(&bare(after).as_str())
    }

    /// Whether one line end in ten is within a word: then lines are filled without regard to words.
    fn sees_split_korean(&self, pages: &[Vec<Flow>]) -> bool {
        let (mut ends, mut split) = (0, 0);
        for pair in pages.iter().flatten().flat_map(|flow| flow.windows(2)) {
            let (before, after) = (last_word(&pair[0].text), first_word(&pair[1].text));
            if before.ends_with(is_hangul) && after.starts_with(is_hangul) {
                ends += 1;
                split += usize::from(self.sees_split(before, after));
            }
        }
        split * 10 > ends
    }

    fn knows(&self, word: &str) -> bool {
        self.known.contains(&bare(word))
    }
}

/// What English compounds with a hyphen begin with.
const FIRST_PARTS: &[&str] = &[
    "all", "cross", "ever", "first", "five", "four", "full", "half", "high", "large", "long", "low", "multi",
    "non", "one", "post", "pre", "real", "second", "self", "semi", "short", "single", "small", "so", "state",
    "third", "three", "two", "well",
];

/// Korean words of one syllable that may end a line.
const SHORT_WORDS: &[&str] = &[
    "각", "것", "그", "네", "다", "더", "데", "두", "등", "때", "또", "말", "몇", "못", "및", "바", "세",
    "수", "안", "약", "이", "잘", "저", "전", "점", "제", "줄", "중", "즉", "총", "한", "후",
];

/// What Korean words end with and no word is.
const PARTICLES: &[&str] = &[
    "고",
    "니다",
    "는",
    "를",
    "습니다",
    "에",
    "에게",
    "에는",
    "에서",
    "으로",
    "으며",
    "으면",
    "은",
    "을",
    "의",
];

/// Syllables with which Korean words end more often than they go on.
const ENDINGS: &[&str] =
    &["을", "를", "은", "는", "의", "에", "로", "와", "과", "며", "면", "고", "게", "다", "된", "할", "야"];

fn last_word(text: &str) -> &str {
    text.rsplit(char::is_whitespace).next().unwrap_or_default()
}

fn first_word(text: &str) -> &str {
    text.split(char::is_whitespace).next().unwrap_or_default()
}

/// A word without the signs around it, in lower case.
fn bare(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}

fn is_hangul(character: char) -> bool {
    matches!(character, '\u{ac00}'..='\u{d7a3}' | '\u{1100}'..='\u{11ff}' | '\u{3131}'..='\u{318e}')
}

/// Letters of scripts without blanks between words, Chinese and Japanese, and their punctuation.
fn is_unspaced(character: char) -> bool {
    matches!(character,
        '\u{2e80}'..='\u{312f}' | '\u{3190}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}'
        | '\u{20000}'..='\u{3ffff}')
}
