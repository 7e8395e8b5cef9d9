//! Reads JSON one character at a time, so that a value can be used before its end has arrived.

use std::fmt;

/// What a character did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Space between tokens.
    Blank,
    /// `{` or `[`.
    Open(Container),
    /// `}` or `]`.
    Close,
    /// The quote that begins a key or a string value.
    OpenString {
        /// Whether it is an object's key.
        key: bool,
    },
    /// Part of a string.
    Text,
    /// The quote that ends a string.
    CloseString,
    /// Part of a number, `true`, `false` or `null`.
    Scalar,
    /// `,`.
    Comma,
    /// `:`.
    Colon,
}

/// What holds values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    /// `{…}`.
    Object,
    /// `[…]`.
    Array,
}

/// The text is not JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Invalid(&'static str);

impl fmt::Display for Invalid {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.0)
    }
}

/// What may come next outside of strings and scalars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expect {
    #[default]
    Value,
    ValueOrClose,
    Key,
    KeyOrClose,
    Colon,
    CommaOrClose,
    Nothing,
}

/// Where in a string.
#[derive(Debug, Default)]
struct InString {
    key: bool,
    escape: Escape,
    /// The first half of a surrogate pair, whose second half must follow.
    high: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Escape {
    #[default]
    No,
    Begun,
    Hex {
        digits: u8,
        value: u32,
    },
}

/// The position in one JSON value. Memory is bounded by the greatest depth.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    open: Vec<Container>,
    expect: Expect,
    string: Option<InString>,
    scalar: String,
}

/// Deeper nesting than this is an attack or a model that runs away, not an argument.
const MAX_DEPTH: usize = 128;
/// Longer numbers than this have no meaning to anyone.
const MAX_SCALAR: usize = 64;

impl Scanner {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// How many objects and arrays are open.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Whether the value is whole.
    pub(super) fn is_done(&self) -> bool {
        self.expect == Expect::Nothing
    }

    /// Takes the next character; a string's decoded text is added to `text`.
    pub(super) fn step(&mut self, c: char, text: &mut String) -> Result<Token, Invalid> {
        if let Some(string) = &mut self.string {
            if !string.step(c, text)? {
                return Ok(Token::Text);
            }
            let key = string.key;
            self.string = None;
            self.expect = if key { Expect::Colon } else { self.after_value() };
            return Ok(Token::CloseString);
        }
        if is_scalar(c) {
            return self.grow_scalar(c);
        }
        self.end_scalar()?;
        match c {
            ' ' | '\t' | '\r' | '\n' => Ok(Token::Blank),
            '{' => self.open(Container::Object, Expect::KeyOrClose),
            '[' => self.open(Container::Array, Expect::ValueOrClose),
            '}' => self.close(Container::Object),
            ']' => self.close(Container::Array),
            '"' => self.open_string(),
            ',' => self.comma(),
            ':' => self.colon(),
            _ => Err(Invalid("a character that JSON doesn't know")),
        }
    }

    fn open(&mut self, container: Container, expect: Expect) -> Result<Token, Invalid> {
        if !matches!(self.expect, Expect::Value | Expect::ValueOrClose) {
            return Err(Invalid("a value where none may be"));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(Invalid("nested too deeply"));
        }
        self.open.push(container);
        self.expect = expect;
        Ok(Token::Open(container))
    }

    fn close(&mut self, container: Container) -> Result<Token, Invalid> {
        let may_close =
            matches!(self.expect, Expect::CommaOrClose | Expect::ValueOrClose | Expect::KeyOrClose);
        if !may_close || self.open.pop() != Some(container) {
            return Err(Invalid("a bracket that closes nothing"));
        }
        self.expect = self.after_value();
        Ok(Token::Close)
    }

    fn open_string(&mut self) -> Result<Token, Invalid> {
        let key = match self.expect {
            Expect::Key | Expect::KeyOrClose => true,
            Expect::Value | Expect::ValueOrClose => false,
            Expect::Colon | Expect::CommaOrClose | Expect::Nothing => {
                return Err(Invalid("a string where none may be"));
            }
        };
        self.string = Some(InString { key, ..InString::default() });
        Ok(Token::OpenString { key })
    }

    fn comma(&mut self) -> Result<Token, Invalid> {
        if self.expect != Expect::CommaOrClose {
            return Err(Invalid("a comma where none may be"));
        }
        self.expect = match self.open.last() {
            Some(Container::Object) => Expect::Key,
            Some(Container::Array) | None => Expect::Value,
        };
        Ok(Token::Comma)
    }

    fn colon(&mut self) -> Result<Token, Invalid> {
        if self.expect != Expect::Colon {
            return Err(Invalid("a colon where none may be"));
        }
        self.expect = Expect::Value;
        Ok(Token::Colon)
    }

    fn grow_scalar(&mut self, c: char) -> Result<Token, Invalid> {
        let begins = self.scalar.is_empty();
        if begins && !matches!(self.expect, Expect::Value | Expect::ValueOrClose) {
            return Err(Invalid("a value where none may be"));
        }
        if self.scalar.len() == MAX_SCALAR {
            return Err(Invalid("a number that is too long"));
        }
        self.scalar.push(c);
        Ok(Token::Scalar)
    }

    /// Only the character after a number shows that it has ended.
    fn end_scalar(&mut self) -> Result<(), Invalid> {
        if self.scalar.is_empty() {
            return Ok(());
        }
        if serde_json::from_str::<serde_json::Value>(&self.scalar).is_err() {
            return Err(Invalid("a word that is neither number, true, false nor null"));
        }
        self.scalar.clear();
        self.expect = self.after_value();
        Ok(())
    }

    fn after_value(&self) -> Expect {
        if self.open.is_empty() { Expect::Nothing } else { Expect::CommaOrClose }
    }
}

impl InString {
    /// Whether this character was the closing quote.
    fn step(&mut self, c: char, text: &mut String) -> Result<bool, Invalid> {
        match self.escape {
            Escape::No => Ok(self.plain(c, text)),
            Escape::Begun => self.escaped(c, text).map(|()| false),
            Escape::Hex { digits, value } => self.hex(digits, value, c, text).map(|()| false),
        }
    }

    fn plain(&mut self, c: char, text: &mut String) -> bool {
        match c {
            '\\' => self.escape = Escape::Begun,
            '"' => self.end_pair(text),
            _ => self.push(c, text),
        }
        c == '"'
    }

    fn escaped(&mut self, c: char, text: &mut String) -> Result<(), Invalid> {
        self.escape = Escape::No;
        match c {
            'u' => self.escape = Escape::Hex { digits: 0, value: 0 },
            'n' => self.push('\n', text),
            't' => self.push('\t', text),
            'r' => self.push('\r', text),
            'b' => self.push('\u{8}', text),
            'f' => self.push('\u{c}', text),
            '"' | '\\' | '/' => self.push(c, text),
            _ => return Err(Invalid("an escape that JSON doesn't know")),
        }
        Ok(())
    }

    fn hex(&mut self, digits: u8, value: u32, c: char, text: &mut String) -> Result<(), Invalid> {
        let digit = c.to_digit(16).ok_or(Invalid("an escape that isn't four hexadecimal digits"))?;
        let value = value * 16 + digit;
        if digits < 3 {
            self.escape = Escape::Hex { digits: digits + 1, value };
            return Ok(());
        }
        self.escape = Escape::No;
        self.unit(value, text);
        Ok(())
    }

    /// One UTF-16 unit of an escape: half a pair, or a character.
    fn unit(&mut self, unit: u32, text: &mut String) {
        if let (Some(high), 0xDC00..=0xDFFF) = (self.high, unit) {
            self.high = None;
            let code = 0x10000 + ((high - 0xD800) << 10) + (unit - 0xDC00);
            text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            return;
        }
        self.end_pair(text);
        match unit {
            0xD800..=0xDBFF => self.high = Some(unit),
            _ => text.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
    }

    fn push(&mut self, c: char, text: &mut String) {
        self.end_pair(text);
        text.push(c);
    }

    /// Half a pair without its other half is no character.
    fn end_pair(&mut self, text: &mut String) {
        if self.high.take().is_some() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

fn is_scalar(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<String, Invalid> {
        let (mut scanner, mut text) = (Scanner::new(), String::new());
        for c in json.chars() {
            scanner.step(c, &mut text)?;
        }
        if scanner.is_done() { Ok(text) } else { Err(Invalid("cut off")) }
    }

    #[test]
    fn whole_values_are_read_and_their_strings_decoded() {
        let cases = [
            (r#""""#, ""),
            (r#""a\n\"b\"\\\/""#, "a\n\"b\"\\/"),
            (r#""\ud55c\uAD6D""#, "한국"),
            (r#""\ud83d\ude00!""#, "😀!"),
            (r#""\ud83d""#, "\u{fffd}"),
            (r#""\ud83dx\ude00""#, "\u{fffd}x\u{fffd}"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (r#"{"a": [1, -2.5e3, true, null, {}, []], "b": "c"}"#, "abc"),
        ];
        for (json, text) in cases {
            assert_eq!(read(json).as_deref(), Ok(text), "{json}");
        }
    }

    #[test]
    fn what_serde_json_refuses_is_refused() {
        let cases = [
            "{",
            "}",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{1:2}",
            "tru ",
            "[01]",
            "[1 2]",
            "\"\\x\"",
            "\"\\u12g4\"",
            "[\"a\" \"b\"]",
            "{]",
            "[}",
            "{} {}",
            "[--1]",
            "'a'",
            "[nan]",
        ];
        for json in cases {
            assert!(read(json).is_err(), "{json}");
            assert!(serde_json::from_str::<serde_json::Value>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn depth_and_numbers_are_bounded() {
        assert!(read(&"[".repeat(MAX_DEPTH + 1)).is_err());
        assert!(read(&format!("[{}]", "1".repeat(MAX_SCALAR + 1))).is_err());
    }
}
