//! The program in what a model calls the tool with, while that is being written.

use serde_json::Value;

/// Takes the pieces of a call's arguments and gives the pieces of the program in them: `{"code": "…"}` as the tool
/// asks for it, another key, a bare string, or no JSON at all.
#[derive(Debug, Default)]
pub struct CodeReader {
    state: State,
    /// What has not been understood yet.
    held: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum State {
    /// Before the program.
    #[default]
    Before,
    /// Within a string of JSON.
    Text,
    /// The program stands there as it is.
    Plain,
    /// Behind the program.
    Behind,
}

impl CodeReader {
    /// Takes more, and gives what there is more of the program.
    pub fn read(&mut self, more: &str) -> String {
        self.held.push_str(more);
        if self.state == State::Before {
            self.find_beginning();
        }
        match self.state {
            State::Before => String::new(),
            State::Text => self.decode(),
            State::Plain => std::mem::take(&mut self.held),
            State::Behind => {
                self.held.clear();
                String::new()
            }
        }
    }

    /// The arguments are over: gives what is left.
    pub fn finish(mut self) -> String {
        match self.state {
            State::Before => program_in(&self.held),
            State::Text => self.decode(),
            State::Plain | State::Behind => String::new(),
        }
    }

    fn find_beginning(&mut self) {
        let held = self.held.trim_start();
        let rest = match held.chars().next() {
            None => return,
            Some('"') => held.get(1..),
            Some('{') => {
                let Some(rest) = held.get(1..).and_then(first_value) else { return };
                rest.strip_prefix('"')
            }
            Some('[') => return,
            Some(_) => {
                self.state = State::Plain;
                return;
            }
        };
        // Another kind of value: it is understood once it is whole.
        let Some(rest) = rest else { return };
        self.held = rest.to_owned();
        self.state = State::Text;
    }

    /// Decodes as much of a string as is there, up to its end.
    fn decode(&mut self) -> String {
        let mut text = String::new();
        let mut rest = self.held.as_str();
        loop {
            let plain = rest.find(['"', '\\']).unwrap_or(rest.len());
            let (before, from) = rest.split_at(plain);
            text.push_str(before);
            rest = from;
            if rest.starts_with('"') {
                self.state = State::Behind;
                rest = "";
            }
            let Some((character, after)) = escaped(rest) else { break };
            text.push(character);
            rest = after;
        }
        self.held = rest.to_owned();
        text
    }
}

/// What follows the first key of an object, once it has begun.
fn first_value(inside: &str) -> Option<&str> {
    let (_, behind) = inside.trim_start().strip_prefix('"')?.split_once('"')?;
    let value = behind.trim_start().strip_prefix(':')?.trim_start();
    (!value.is_empty()).then_some(value)
}

/// The character that an escape stands for, and what follows it. `None` where it is not whole yet.
fn escaped(text: &str) -> Option<(char, &str)> {
    let mut characters = text.strip_prefix('\\')?.chars();
    let plain = match characters.next()? {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'u' => return unicode(characters.as_str()),
        other => other,
    };
    Some((plain, characters.as_str()))
}

fn unicode(text: &str) -> Option<(char, &str)> {
    let (first, rest) = digits(text)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some((char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), rest));
    }
    // The first half of a character beyond the 65,536th.
    match rest.get(..2) {
        Some("\\u") => {
            let (second, rest) = digits(rest.get(2..)?)?;
            let whole = 0x10000 + ((first - 0xd800) << 10) + (second.wrapping_sub(0xdc00) & 0x3ff);
            Some((char::from_u32(whole).unwrap_or(char::REPLACEMENT_CHARACTER), rest))
        }
        Some(_) => Some((char::REPLACEMENT_CHARACTER, rest)),
        None => None,
    }
}

fn digits(text: &str) -> Option<(u32, &str)> {
    let code = u32::from_str_radix(text.get(..4)?, 16).unwrap_or(0xfffd);
    Some((code, text.get(4..)?))
}

/// The program in whole arguments of another form.
fn program_in(arguments: &str) -> String {
    match serde_json::from_str::<Value>(arguments) {
        Ok(value) => first_text(&value).unwrap_or_default().to_owned(),
        Err(_) => arguments.to_owned(),
    }
}

fn first_text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Array(items) => items.iter().find_map(first_text),
        Value::Object(members) => match members.get("code") {
            Some(code) => first_text(code),
            None => members.values().find_map(first_text),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// A program without the fence that models are used to put around it.
pub(super) fn without_fence(code: &str) -> &str {
    let Some(fenced) = code.trim().strip_prefix("```") else { return code };
    let fenced = fenced.strip_suffix("```").unwrap_or(fenced);
    match fenced.split_once('\n') {
        Some((language, program)) if language.trim().chars().all(char::is_alphanumeric) => program,
        Some(_) | None => fenced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read in pieces of so many bytes.
    fn read(arguments: &str, size: usize) -> String {
        let mut reader = CodeReader::default();
        let characters: Vec<char> = arguments.chars().collect();
        let pieces = characters.chunks(size).map(|piece| piece.iter().collect::<String>());
        let mut code: String = pieces.map(|piece| reader.read(&piece)).collect();
        code.push_str(&reader.finish());
        code
    }

    #[test]
    fn a_program_is_read_however_it_comes() {
        for (arguments, code) in [
            (r#"{"code": "print(1)"}"#, "print(1)"),
            (r#"  { "code" : "a\n\tb\\n\"c\"" , "more": "x"}"#, "a\n\tb\\n\"c\""),
            (r#"{"code": "'\ud55c\uad6d \ud83d\ude00 한국'"}"#, "'한국 😀 한국'"),
            (r#"{"input": "1 + 1"}"#, "1 + 1"),
            (r#"{"code": ""}"#, ""),
            (r#""1 + 1""#, "1 + 1"),
            ("print(1)\nprint(2)", "print(1)\nprint(2)"),
            (r#"{"code": ["a", "b"]}"#, "a"),
            (r#"{"language": {"name": "python"}, "code": "a"}"#, "a"),
            (r#"["a"]"#, "a"),
            (r#"{"code": "cut off"#, "cut off"),
            (r#"{"code": "half \ud83d" }"#, "half \u{fffd}"),
            ("{}", ""),
            ("", ""),
            ("{ 1, 2 }.pop()", "{ 1, 2 }.pop()"),
        ] {
            for size in [1, 2, 3, 7, 1000] {
                assert_eq!(read(arguments, size), code, "{arguments} by {size}");
            }
        }
    }

    #[test]
    fn a_program_comes_while_it_is_written() {
        let mut reader = CodeReader::default();
        let given: Vec<String> =
            ["{\"co", "de\": \"im", "port a\\", "nb", "\"}"].map(|piece| reader.read(piece)).into();
        assert_eq!(given, ["", "im", "port a", "\nb", ""]);
    }

    #[test]
    fn fences_are_taken_away() {
        for (code, program) in [
            ("```python\nx = 1\n```", "x = 1\n"),
            ("```\nx = 1\n```\n", "x = 1\n"),
            ("```x```", "x"),
            ("x = '```'", "x = '```'"),
        ] {
            assert_eq!(without_fence(code), program, "{code}");
        }
    }
}
