//! Texts that are longer than a model's window, in parts that fit.
//!
//! A foreign model's vocabulary is not known, so tokens are counted carefully: a part may be shorter than it had
//! to be, but a server that quietly cuts what is too long gets nothing to cut.

/// A piece of a text that fits the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part<'a> {
    pub(super) text: &'a str,
    /// How much it weighs in the vector of the whole.
    pub(super) tokens: usize,
}

/// The text whole where it fits, else in parts that end between words where they can.
pub(super) fn cut(text: &str, window_tokens: usize) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((text, after)) = rest.split_at_checked(fitting(rest, window_tokens)) {
        parts.push(Part { text, tokens: most_tokens(text).max(1) });
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    parts
}

/// How many bytes of the text fit, up to the last blank before the end of the window if there is one.
fn fitting(text: &str, window_tokens: usize) -> usize {
    let window = window_tokens.saturating_mul(2);
    let (mut halves, mut after_blank) = (0, None);
    for (at, character) in text.char_indices() {
        halves += half_tokens(character);
        if halves > window && at > 0 {
            return after_blank.unwrap_or(at);
        }
        if character.is_whitespace() {
            after_blank = Some(at + character.len_utf8());
        }
    }
    text.len()
}

fn most_tokens(text: &str) -> usize {
    text.chars().map(half_tokens).sum::<usize>().div_ceil(2)
}

/// Two Latin letters or more share a token; any other character may be cut into its bytes.
fn half_tokens(character: char) -> usize {
    if character.is_ascii_alphabetic() { 1 } else { 2 * character.len_utf8() }
}

/// The vector of a whole: its parts' mean, weighted by their lengths, of unit length again.
pub(super) fn join(mut parts: Vec<(usize, Vec<f32>)>) -> Vec<f32> {
    if parts.len() < 2 {
        return parts.pop().unwrap_or_default().1;
    }
    let mut whole = vec![0.0; parts.first().map_or(0, |(_, vector)| vector.len())];
    for (tokens, vector) in &parts {
        #[expect(clippy::cast_precision_loss, reason = "a weight need not be exact")]
        let weight = *tokens as f32;
        for (sum, number) in whole.iter_mut().zip(vector) {
            *sum += weight * number;
        }
    }
    to_unit_length(&mut whole);
    whole
}

/// Whether that can be done: a vector of zeros or without numbers has no direction.
pub(super) fn to_unit_length(vector: &mut [f32]) -> bool {
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    if !length.is_normal() {
        return false;
    }
    for number in vector {
        *number /= length;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<'a>(parts: &[Part<'a>]) -> Vec<&'a str> {
        parts.iter().map(|part| part.text).collect()
    }

    #[test]
    fn a_text_that_fits_stays_whole() {
        for text in ["", "one two", "한국의 수도"] {
            assert_eq!(texts(&cut(text, 16)), [text]);
            assert_eq!(texts(&cut(text, usize::MAX)), [text]);
        }
    }

    #[test]
    fn nothing_is_lost_and_nothing_is_too_long() {
        let long =
            "one two three, 네 다섯 여섯 seven; a-very-long-word-without-any-blank 五六七八九十 ".repeat(20);
        for window in [1, 4, 7, 100] {
            let parts = cut(&long, window);
            assert_eq!(texts(&parts).concat(), long);
            // One character is never cut, even where the window is shorter.
            assert!(parts.iter().all(|part| part.tokens <= window || part.text.chars().count() == 1));
        }
    }

    #[test]
    fn words_stay_whole() {
        assert_eq!(texts(&cut("alpha beta gamma", 7)), ["alpha beta ", "gamma"]);
    }

    #[test]
    fn the_longer_part_weighs_more() {
        let whole = join(vec![(3, vec![1.0, 0.0]), (1, vec![0.0, 1.0])]);
        assert!((whole[0] / whole[1] - 3.0).abs() < 1e-6);
        assert!((whole.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn what_has_no_direction_is_told() {
        assert!(!to_unit_length(&mut [0.0, 0.0]) && !to_unit_length(&mut [f32::NAN, 1.0]));
    }
}
