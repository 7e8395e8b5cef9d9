//! The words that a text is found by, the same for what is stored and for what is asked.
//!
//! - Text is brought to one form first (NFKC): full-width and half-width letters, ligatures, composed and
//!   decomposed letters are the same. Case does not count, nor do accents, Arabic vowel signs and the like.
//! - Scripts with blanks between words give words; English ones lose their plural.
//! - Korean, Japanese and Chinese give pairs of characters, so 서울의 finds 서울은 by 서울. Korean words lose
//!   their particles first. Thai, Lao, Burmese and Khmer give runs of three characters.
//! - Identifiers give themselves, without what joins their parts, and their parts: `AB-1234` gives `ab1234`, `ab`
//!   and `1234`; `fooBar` gives `foobar`, `foo` and `bar`. A point between digits is written `p`: 1.2 is `1p2`.
//!
//! **The alphabet.** A word is made of letters, digits and combining marks, at most [`LONGEST`] of them; what is
//! ASCII in it is `a-z` and `0-9`. So a list of words with blanks between comes back the same from everything that
//! splits at ASCII blanks and punctuation: SQLite's FTS5 with `tokenize = 'ascii'`, PostgreSQL's
//! `array_to_tsvector(string_to_array(words, ' '))`. (FTS5's `unicode61` would split at marks and fold some; a
//! text search configuration's parser would take `1e5` for a number and `a1p2` apart.)

mod english;
mod fold;
mod identifier;
mod korean;
mod script;

use script::Script;

/// The most characters of a word; the rest of a longer one is dropped.
pub const LONGEST: usize = 64;

/// The words of a text in order, each as often as it stands there.
pub fn words(text: &str) -> Vec<String> {
    joined(text).split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The words of a text with single blanks between, as a database keeps them.
pub fn joined(text: &str) -> String {
    let text = fold::form(text);
    let mut list = List(String::with_capacity(text.len() * 3 / 2));
    let mut rest = &*text;
    while let Some((at, script)) = rest.char_indices().find_map(|(at, first)| Some((at, Script::of(first)?)))
    {
        rest = &rest[at..];
        let length = if script == Script::Spaced {
            identifier::length(rest)
        } else {
            rest.find(|character| Script::of(character) != Some(script)).unwrap_or(rest.len())
        };
        let (run, after) = rest.split_at(length);
        match script {
            Script::Spaced => identifier::words(run, after, &mut list),
            Script::Hangul => korean::words(run, &mut list),
            Script::Han | Script::Kana => list.push_runs(run, 2),
            Script::Unspaced => list.push_runs(run, 3),
        }
        rest = after;
    }
    list.0.pop();
    list.0
}

/// Words with a blank behind each.
struct List(String);

impl List {
    fn push(&mut self, word: &str) {
        let end = word.char_indices().nth(LONGEST).map_or(word.len(), |(at, _)| at);
        if end > 0 {
            self.0.push_str(&word[..end]);
            self.0.push(' ');
        }
    }

    /// All runs of so many characters; the whole, if it is shorter.
    fn push_runs(&mut self, text: &str, length: usize) {
        let starts = text.char_indices().map(|(at, _)| at);
        let ends = text.char_indices().map(|(at, character)| at + character.len_utf8()).skip(length - 1);
        let before = self.0.len();
        for (start, end) in starts.zip(ends) {
            self.push(&text[start..end]);
        }
        if self.0.len() == before {
            self.push(text);
        }
    }
}

#[cfg(test)]
mod tests;
