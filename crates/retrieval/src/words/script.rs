//! Which characters make words, and how their script writes them.

use unicode_normalization::char::is_combining_mark;

/// How a script separates its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    /// By blanks: most scripts. Digits too.
    Spaced,
    /// By blanks, with particles and endings attached.
    Hangul,
    /// Not at all, a character being about half a word.
    Han,
    /// Not at all.
    Kana,
    /// Not at all, with letters as small as Latin ones: Thai, Lao, Burmese, Khmer.
    Unspaced,
}

impl Script {
    /// None for what is no part of a word.
    pub(super) fn of(character: char) -> Option<Self> {
        let script = match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' => Self::Spaced,
            '\0'..='\u{7f}' => return None,
            '\u{1100}'..='\u{11ff}' | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7ff}' => Self::Hangul,
            '\u{3005}'..='\u{3007}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' => Self::Han,
            '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' => Self::Han,
            // With the mark that makes a vowel long and without the dot between words.
            '\u{3041}'..='\u{309f}' | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}' => Self::Kana,
            '\u{31f0}'..='\u{31ff}' | '\u{1b000}'..='\u{1b16f}' => Self::Kana,
            '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' => Self::Unspaced,
            _ => Self::Spaced,
        };
        (character.is_alphanumeric() || is_combining_mark(character)).then_some(script)
    }
}
