//! The sentence of a passage that says what a message says.

use std::collections::HashSet;
use std::ops::Range;

/// Longer sentences are cut.
const LONGEST_BYTES: usize = 500;

/// The sentence of `passage` that is nearest to the last sentence of `claim`: which pairs of letters they share
/// tells in any script. Empty where they share none, as in different languages: a wrong quote is worse.
pub(super) fn best<'p>(passage: &'p str, claim: &str) -> &'p str {
    let wanted = pairs(last_sentence(claim));
    let mut best = ("", 0.0);
    for place in sentences(passage) {
        let sentence = passage.get(place).unwrap_or_default();
        let has = pairs(sentence);
        let shared = has.intersection(&wanted).count();
        // By the root of its length, so that neither a heading of one word wins nor the longest sentence.
        let score = as_number(shared) / as_number(has.len().max(1)).sqrt();
        if score > best.1 {
            best = (sentence, score);
        }
    }
    shortened(best.0)
}

/// As much of a text as is quoted.
pub(super) fn shortened(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST_BYTES)).unwrap_or_default()
}

fn as_number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

fn last_sentence(text: &str) -> &str {
    sentences(text).pop().and_then(|place| text.get(place)).unwrap_or_default()
}

/// Where the sentences of a text stand, without the white space around them. Lines end sentences, too.
pub(super) fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let mut start = 0;
    while let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty()) {
        let end = sentence_end(rest);
        let sentence = rest.get(..end).unwrap_or_default();
        if sentence.contains(char::is_alphanumeric) {
            let before = sentence.len() - sentence.trim_start().len();
            places.push(start + before..start + sentence.trim_end().len());
        }
        start += end;
    }
    places
}

fn sentence_end(text: &str) -> usize {
    let mut characters = text.char_indices().peekable();
    while let Some((_, c)) = characters.next() {
        let next = characters.peek().map(|(at, c)| (*at, *c));
        let ends = match c {
            '\n' | '。' | '！' | '？' => true,
            // `3.5` and `a.txt` have no blank behind the point.
            '.' | '!' | '?' => next.is_none_or(|(_, c)| c.is_whitespace()),
            _ => false,
        };
        if ends {
            return next.map_or(text.len(), |(at, _)| at);
        }
    }
    text.len()
}

/// Pairs of letters within words, in small letters; one letter alone counts as a pair.
fn pairs(text: &str) -> HashSet<(char, char)> {
    let text = text.to_lowercase();
    let mut pairs = HashSet::new();
    for word in text.split(|c: char| !c.is_alphanumeric()) {
        let letters: Vec<char> = word.chars().collect();
        if let [only] = letters.as_slice() {
            pairs.insert((*only, ' '));
        }
        pairs.extend(letters.array_windows().map(|[a, b]| (*a, *b)));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_sentence_is_quoted() {
        let foods = "The favorite food of several people:\n- Summanus Ferdinand: tacos\n- Filip Carola: cake";
        for (passage, claim, expected) in [
            (foods, "Filip's favorite food is cake", "- Filip Carola: cake"),
            (foods, "Tacos are what Ferdinand likes. ", "- Summanus Ferdinand: tacos"),
            (foods, "그는 케이크를 좋아한다", ""),
            (
                "환불은 7일 안에 가능합니다. 배송비는 3,000원입니다. 문의는 이메일로 받습니다.",
                "배송비는 3,000원이에요",
                "배송비는 3,000원입니다.",
            ),
            ("Version 3.5 is old. Version 4.1 is new.", "It is version 4.1", "Version 4.1 is new."),
            ("猫が好きです。犬も好きです。", "犬も好き", "犬も好きです。"),
            ("", "Anything", ""),
        ] {
            assert_eq!(best(passage, claim), expected, "{claim}");
        }
    }

    #[test]
    fn a_quote_is_never_too_long() {
        let long = "가나다 ".repeat(1_000);
        let quote = best(&long, "가나다");
        assert!(quote.len() <= LONGEST_BYTES && long.starts_with(quote) && !quote.is_empty());
    }
}
