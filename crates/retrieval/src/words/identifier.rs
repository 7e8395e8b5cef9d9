//! Words of scripts with blanks, numbers, and identifiers made of them.

use super::script::Script;
use super::{List, english, fold};

/// What may stand before an apostrophe and be a word of its own, as in `l'eau`.
const ELIDED: [&str; 9] = ["l", "d", "j", "m", "n", "s", "t", "c", "qu"];

/// The bytes at the beginning that are words with single joints between.
pub(super) fn length(text: &str) -> usize {
    let mut part = 0;
    let mut end = 0;
    loop {
        let rest = &text[end..];
        end += rest.find(|character| !is_word(character)).unwrap_or(rest.len());
        let mut next = text[end..].chars();
        let (Some(joint), Some(after)) = (next.next(), next.next()) else { return end };
        let joins = is_word(after)
            && match joint {
                ',' => text[part..end].ends_with(is_digit) && is_digit(after),
                '\'' | '\u{2019}' => {
                    !ELIDED.iter().any(|elided| text[part..end].eq_ignore_ascii_case(elided))
                }
                _ => is_joint(joint),
            };
        if !joins {
            return end;
        }
        end += joint.len_utf8();
        part = end;
    }
}

/// Adds the words of an identifier, a number or a plain word: the whole without joints, and its parts, if there
/// are several. `after` is the text that follows.
pub(super) fn words(text: &str, after: &str, list: &mut List) {
    let mut whole = String::with_capacity(text.len() + 8);
    let mut parts: Vec<String> = Vec::new();
    let mut start = 0;
    for piece in text.split(is_joint) {
        // Apostrophes, and commas between digits, are as good as not there.
        let piece_text: String = piece.chars().filter(|character| is_word(*character)).collect();
        for hump in humps(&piece_text) {
            parts.push(folded(hump));
        }
        fold::push_folded(&piece_text, &mut whole);
        start += piece.len();
        let joint = text[start..].chars().next();
        start += joint.map_or(0, char::len_utf8);
        if joint == Some('.') && piece.ends_with(is_digit) && text[start..].starts_with(is_digit) {
            whole.push('p');
        }
    }
    if let Some(suffix) = suffix(text, after) {
        whole.push_str(suffix);
        list.push(&whole);
    } else if parts.len() > 1 {
        english::singular(&mut whole);
        list.push(&whole);
    }
    for mut part in parts {
        english::singular(&mut part);
        list.push(&part);
    }
}

/// C++, C#, F# and the like are not C and F.
fn suffix(text: &str, after: &str) -> Option<&'static str> {
    let alone = |rest: &str| !rest.starts_with(|character: char| character.is_alphanumeric());
    match (text.len(), after.strip_prefix("++"), after.strip_prefix('#')) {
        (1 | 2, Some(rest), _) if alone(rest) => Some("plusplus"),
        (1 | 2, _, Some(rest)) if alone(rest) => Some("sharp"),
        _ => None,
    }
}

/// The parts of `fooBar`, `HTTPServer` and `utf8`; the whole, if its parts would be too small to mean anything, as
/// those of a key or a hash are.
fn humps(text: &str) -> Vec<&str> {
    let mut humps = Vec::new();
    let mut start = 0;
    let mut before: Option<char> = None;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        // The i of iPhone is no word.
        let long = text[start..at].chars().nth(1).is_some();
        let begins = before.is_some_and(|before| {
            is_digit(before) != is_digit(character)
                || long && before.is_lowercase() && character.is_uppercase()
                || before.is_uppercase() && character.is_uppercase() && next.is_some_and(char::is_lowercase)
        });
        if begins {
            humps.push(&text[start..at]);
            start = at;
        }
        before = Some(character);
    }
    humps.push(&text[start..]);
    let letters = text.chars().count();
    if humps.len() * 2 > letters { vec![text] } else { humps }
}

fn folded(word: &str) -> String {
    let mut folded = String::with_capacity(word.len());
    fold::push_folded(word, &mut folded);
    folded
}

fn is_word(character: char) -> bool {
    Script::of(character) == Some(Script::Spaced)
}

fn is_digit(character: char) -> bool {
    character.is_numeric()
}

fn is_joint(character: char) -> bool {
    matches!(character, '-' | '_' | '.' | '\u{2010}' | '\u{2011}')
}
