//! Counting tokens, exactly only where it matters.
//!
//! The vocabulary is OpenAI's o200k. Other models cut text differently, but alike in number: the margin of
//! [`super::prompt`] covers the difference.

/// Never fewer than the tokens of a text: no token is shorter than a byte. Costs nothing.
pub(super) fn at_most(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

/// The tokens of a text. The first call loads the vocabulary: 0.6 s and 46 MB, which a server whose threads
/// all fit their models' windows never spends. Blocks its thread.
pub(super) fn count(text: &str) -> u64 {
    let count = || tiktoken_rs::o200k_base_singleton().count_ordinary(text);
    u64::try_from(tokio::task::block_in_place(count)).unwrap_or(u64::MAX)
}

/// About how many tokens a text has: four letters of ASCII to a token, one of any other script. For figures
/// that an upstream should have given.
pub(super) fn estimate(text: &str) -> u64 {
    let ascii = text.bytes().filter(u8::is_ascii).count();
    let others = text.chars().count() - ascii;
    u64::try_from(ascii.div_ceil(4) + others).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_text_has_no_more_tokens_than_bytes() {
        for text in ["", "four", "한국의 수도는 서울입니다.", "👩‍👩‍👧", "\u{0}\u{7f}", "<|endoftext|>"]
        {
            assert!(count(text) <= at_most(text), "{text}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn tokens_are_counted_as_the_vocabulary_cuts_them() {
        assert_eq!(count("Hello, world!"), 4);
        assert_eq!(estimate("four"), 1);
        assert_eq!(estimate("한국의 수도"), 6);
    }
}
