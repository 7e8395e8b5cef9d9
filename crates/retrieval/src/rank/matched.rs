//! Which words of a query a chunk was found by.

use std::collections::HashSet;

use crate::words;

/// The words of a query that a chunk has, as they stand in the query; of a word that it has only parts of, those
/// parts. `list` are the chunk's words as [`words::joined`] has them.
pub fn matched_words(query: &str, list: &str) -> Vec<String> {
    let known: HashSet<&str> = list.split(' ').collect();
    let mut matched: Vec<String> = Vec::new();
    for written in query.split_whitespace() {
        let mut parts = words::words(written);
        let all = parts.len();
        parts.retain(|part| known.contains(part.as_str()));
        if parts.len() == all && all > 0 {
            parts = vec![written.trim_matches(|end: char| !end.is_alphanumeric()).to_owned()];
        }
        for word in parts {
            if !matched.contains(&word) {
                matched.push(word);
            }
        }
    }
    matched
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_as_they_were_asked_for() {
        let chunk = words::joined("Refunds are paid within 30 days. 환불은 30일 안에 됩니다. AX-700");
        for (query, matched) in [
            ("What about refund days?", vec!["refund", "days"]),
            ("환불 기간", vec!["환불"]),
            ("REFUNDS refunds", vec!["REFUNDS", "refunds"]),
            ("refund, refund!", vec!["refund"]),
            ("AX-700", vec!["AX-700"]),
            ("AX-900", vec!["ax"]),
            ("warranty — ?", vec![]),
        ] {
            assert_eq!(matched_words(query, &chunk), matched, "{query}");
        }
    }
}
