//! English plurals.

/// Takes the plural's ending from a word of lower case letters (D. Harman, "How effective is suffixing?", 1991:
/// the S stemmer). Words that are not English lose an `s` at most, in texts and queries alike.
pub(super) fn singular(word: &mut String) {
    if word.len() < 4 || !word.ends_with('s') || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return;
    }
    let ends = |endings: &[&str]| endings.iter().any(|ending| word.ends_with(ending));
    if word.ends_with("ies") && !ends(&["eies", "aies"]) {
        word.truncate(word.len() - 3);
        word.push('y');
    } else if !ends(&["us", "ss", "aes", "ees", "oes"]) {
        word.truncate(word.len() - 1);
    }
}
