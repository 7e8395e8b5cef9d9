//! Text that foreign code printed, made harmless for whoever shows it on a terminal.

/// Takes the power from control characters: a line break stays one however it is written, a tab stays, an escape
/// becomes the picture of one, and the rest goes away.
pub(super) fn harmless(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\n' | '\t' => clean.push(character),
            // Progress bars write over their own line; here each state is a line.
            '\r' if characters.peek() == Some(&'\n') => {}
            '\r' => clean.push('\n'),
            '\u{1b}' => clean.push('\u{241b}'),
            // Reordered text can hide what it says.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            _ if character.is_control() => {}
            _ => clean.push(character),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn nothing_that_is_printed_commands_a_terminal() {
        for (printed, shown) in [
            ("a\tb\n", "a\tb\n"),
            ("한국 😀", "한국 😀"),
            ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
            ("\x1b]0;title\x07", "␛]0;title"),
            ("50%\r100%\r\n", "50%\n100%\n"),
            ("a\x08\x00\x7f\u{9b}31mb", "a31mb"),
            ("a\u{202e}b\u{2066}c", "abc"),
        ] {
            assert_eq!(harmless(printed), shown, "{printed:?}");
        }
    }
}
