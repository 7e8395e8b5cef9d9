//! Reads the model's answer as it grows: words come out piece by piece, calls as their arguments arrive.

use super::call::{Broken, Call, MOST_HELD_BYTES, Told, push_raw};
use super::scan::{Container, Scanner, Token};
use crate::upstream::chat::{ChatDelta, ChatFinish};

/// What the model was asked to write, and so what is understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    /// The functions that it may call; none means that whatever it writes is words.
    pub(super) functions: Vec<String>,
    /// Whether its words are a JSON value of the caller's, handed on as JSON text.
    pub(super) json_words: bool,
    /// The most calls that it may make; further ones are not announced.
    pub(super) most_calls: usize,
}

/// Turns the deltas of a constrained answer into the deltas of an answer with words and calls.
///
/// A server that ignored the constraint is understood too: plain text is words, and a call written bare, in
/// a list, in a code fence or between `<tool_call>` tags is a call where its function exists.
#[derive(Debug)]
pub(crate) struct Parser {
    expected: Expected,
    mode: Mode,
    /// What was read since the last value began, until it is sure that it is ours: words otherwise.
    unsure: String,
    sure: bool,
    scanner: Scanner,
    at: At,
    /// Depth inside of the object whose members are being read.
    object: usize,
    /// A key or a function's name as it grows.
    word: String,
    call: Call,
    called: usize,
    spoke: bool,
    ready: Vec<ChatDelta>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Everything is words.
    Words,
    /// What the protocol asks for.
    Protocol,
    /// The answer is known; what follows it is not.
    Ignore,
}

/// Where in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before, between and after values.
    Outside,
    /// In a list of calls.
    List,
    /// In an object, between its members.
    Members,
    Key,
    /// After a key, before its value.
    Value(Member),
    Inside(Member),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Reply,
    Calls,
    Name,
    Arguments,
    /// Arguments as JSON within a string, as OpenAI's API has them.
    QuotedArguments,
    Other,
}

/// Longer keys, names and wrappings are none of ours.
const LONGEST_WORD: usize = 256;

impl Parser {
    pub(super) fn new(expected: Expected) -> Self {
        let mode = if expected.functions.is_empty() { Mode::Words } else { Mode::Protocol };
        Self {
            expected,
            mode,
            unsure: String::new(),
            sure: false,
            scanner: Scanner::new(),
            at: At::Outside,
            object: 0,
            word: String::new(),
            call: Call::default(),
            called: 0,
            spoke: false,
            ready: Vec::new(),
        }
    }

    /// Takes the upstream's next delta and gives what it amounts to.
    ///
    /// # Errors
    /// Where a call cannot be read, or the answer ends within one although the model was not cut off.
    pub(crate) fn take(&mut self, delta: ChatDelta) -> Result<Vec<ChatDelta>, Broken> {
        match delta {
            ChatDelta::Text(text) => self.read(&text)?,
            ChatDelta::Finish(finish) => self.finish(finish)?,
            ChatDelta::ToolCall { .. } | ChatDelta::Refusal(_) | ChatDelta::Usage(_) => {
                self.ready.push(delta);
            }
        }
        Ok(std::mem::take(&mut self.ready))
    }

    fn read(&mut self, text: &str) -> Result<(), Broken> {
        for (position, c) in text.char_indices() {
            match self.mode {
                Mode::Ignore => return Ok(()),
                Mode::Words => {
                    self.say(text.get(position..).unwrap_or_default());
                    return Ok(());
                }
                Mode::Protocol => self.read_char(c)?,
            }
        }
        self.hand_on_arguments();
        Ok(())
    }

    fn finish(&mut self, finish: ChatFinish) -> Result<(), Broken> {
        let in_call = self.mode == Mode::Protocol && matches!(self.call.told, Told::As(_));
        if in_call && matches!(finish, ChatFinish::Stop | ChatFinish::ToolCalls) {
            return Err(Broken::CutOff);
        }
        if self.mode == Mode::Protocol && !self.sure {
            self.give_up();
        }
        let finish = match finish {
            ChatFinish::Stop if self.called > 0 => ChatFinish::ToolCalls,
            ChatFinish::Stop | ChatFinish::Length | ChatFinish::ToolCalls | ChatFinish::ContentFilter => {
                finish
            }
        };
        self.ready.push(ChatDelta::Finish(finish));
        Ok(())
    }

    fn read_char(&mut self, c: char) -> Result<(), Broken> {
        if !self.sure {
            self.unsure.push(c);
        }
        let read = if self.at == At::Outside { self.outside(c) } else { self.inside(c) };
        let too_long = !self.sure && self.unsure.len() > MOST_HELD_BYTES;
        match read {
            Err(_) if !self.sure => self.give_up(),
            Ok(()) if too_long => self.give_up(),
            Ok(()) => {}
            Err(broken) => return Err(broken),
        }
        Ok(())
    }

    /// What was held back is words after all, or what follows the answer and nobody needs.
    fn give_up(&mut self) {
        let held = std::mem::take(&mut self.unsure);
        if self.called > 0 || self.spoke {
            self.mode = Mode::Ignore;
            return;
        }
        self.mode = Mode::Words;
        self.say(&held);
    }

    fn outside(&mut self, c: char) -> Result<(), Broken> {
        if !matches!(c, '{' | '[') {
            self.sure = false;
            let wraps = self.unsure.len() <= LONGEST_WORD && could_wrap(&self.unsure);
            return if wraps { Ok(()) } else { Err(Broken::Shape("is none")) };
        }
        self.scanner = Scanner::new();
        self.object = 0;
        self.inside(c)
    }

    fn inside(&mut self, c: char) -> Result<(), Broken> {
        let before = self.scanner.depth();
        let mut text = String::new();
        let token = self.scanner.step(c, &mut text)?;
        match self.at {
            At::Outside | At::List => self.element(token),
            At::Members => self.member(token),
            At::Key => self.key(token, &text),
            At::Value(member) => self.value(member, token, c),
            At::Inside(member) => self.within(member, token, c, &text, before),
        }
    }

    /// A value of ours begins or ends, or a list of such.
    fn element(&mut self, token: Token) -> Result<(), Broken> {
        match token {
            Token::Open(Container::Object) => {
                self.object = self.scanner.depth();
                self.call = Call::default();
                self.at = At::Members;
            }
            Token::Open(Container::Array) if self.scanner.depth() == 1 => self.at = At::List,
            Token::Close => self.leave_list()?,
            Token::Blank | Token::Comma => {}
            Token::Open(Container::Array)
            | Token::OpenString { .. }
            | Token::Text
            | Token::CloseString
            | Token::Scalar
            | Token::Colon => return Err(Broken::Shape("is not an object")),
        }
        Ok(())
    }

    fn leave_list(&mut self) -> Result<(), Broken> {
        if !self.scanner.is_done() {
            // The envelope around the list of calls.
            self.object = self.scanner.depth();
            self.at = At::Members;
        } else if self.sure {
            self.leave();
        } else {
            return Err(Broken::Shape("is none"));
        }
        Ok(())
    }

    /// A value at the top has ended; others may follow.
    fn leave(&mut self) {
        self.at = At::Outside;
        self.sure = false;
        self.unsure.clear();
    }

    fn member(&mut self, token: Token) -> Result<(), Broken> {
        match token {
            Token::OpenString { .. } => {
                self.word.clear();
                self.at = At::Key;
            }
            Token::Close => self.leave_object()?,
            Token::Blank
            | Token::Comma
            | Token::Colon
            | Token::Open(_)
            | Token::Text
            | Token::CloseString
            | Token::Scalar => {}
        }
        Ok(())
    }

    fn leave_object(&mut self) -> Result<(), Broken> {
        self.end_call()?;
        if self.scanner.is_done() {
            self.leave();
        } else {
            self.at = At::List;
        }
        Ok(())
    }

    fn key(&mut self, token: Token, text: &str) -> Result<(), Broken> {
        if token != Token::CloseString {
            return self.grow_word(text);
        }
        let at_top = self.object == 1;
        let member = match self.word.as_str() {
            "reply" if at_top => Member::Reply,
            "calls" if at_top => Member::Calls,
            "name" | "function" => Member::Name,
            "arguments" | "parameters" => Member::Arguments,
            "id" | "type" | "index" => Member::Other,
            _ if self.sure => Member::Other,
            _ => return Err(Broken::Shape("has members of another kind")),
        };
        self.word.clear();
        self.at = At::Value(member);
        Ok(())
    }

    fn grow_word(&mut self, text: &str) -> Result<(), Broken> {
        self.word.push_str(text);
        if self.word.len() > LONGEST_WORD { Err(Broken::Shape("has too long a name")) } else { Ok(()) }
    }

    /// The first character of a member's value, or the colon and blanks before it.
    fn value(&mut self, member: Member, token: Token, c: char) -> Result<(), Broken> {
        if matches!(token, Token::Colon | Token::Blank) {
            return Ok(());
        }
        match (member, token) {
            (Member::Reply, Token::OpenString { .. }) if !self.expected.json_words => self.be_sure(),
            (Member::Reply, _) if self.expected.json_words => {
                self.be_sure();
                self.say_raw(token, c);
            }
            (Member::Calls, Token::Open(Container::Array)) => {
                self.at = At::List;
                return Ok(());
            }
            (Member::Name, Token::OpenString { .. }) | (Member::Other, _) => {}
            (Member::Arguments, Token::Open(Container::Object)) => {
                self.begin_arguments()?;
                self.call.grow(token, c)?;
            }
            (Member::Arguments, Token::OpenString { .. }) => {
                self.begin_arguments()?;
                self.at = At::Inside(Member::QuotedArguments);
                return Ok(());
            }
            (
                Member::Reply | Member::Calls | Member::Name | Member::Arguments | Member::QuotedArguments,
                _,
            ) => {
                return Err(Broken::Shape("has a member of the wrong type"));
            }
        }
        self.at = At::Inside(member);
        Ok(())
    }

    /// Further characters of a member's value; `before` is the depth before this one.
    fn within(
        &mut self,
        member: Member,
        token: Token,
        c: char,
        text: &str,
        before: usize,
    ) -> Result<(), Broken> {
        let depth = self.scanner.depth();
        if before == self.object && matches!(token, Token::Comma | Token::Close) {
            // Only this character shows that a number has ended.
            self.at = At::Members;
            return self.member(token);
        }
        match member {
            Member::Reply if self.expected.json_words => self.say_raw(token, c),
            Member::Reply => self.say(text),
            Member::Name => self.grow_word(text)?,
            Member::Arguments => self.call.grow(token, c)?,
            Member::QuotedArguments => self.call.grow_quoted(text)?,
            Member::Calls | Member::Other => {}
        }
        if depth == self.object && matches!(token, Token::CloseString | Token::Close) {
            self.at = At::Members;
            self.end_member(member)?;
        }
        Ok(())
    }

    fn end_member(&mut self, member: Member) -> Result<(), Broken> {
        match member {
            Member::Name => self.end_name(),
            Member::Arguments => {
                self.call.end_arguments();
                Ok(())
            }
            Member::QuotedArguments => self.call.end_quoted(),
            Member::Reply | Member::Calls | Member::Other => Ok(()),
        }
    }

    fn begin_arguments(&mut self) -> Result<(), Broken> {
        self.call.begin_arguments()?;
        if self.call.name.is_some() {
            self.announce();
        }
        Ok(())
    }

    fn end_name(&mut self) -> Result<(), Broken> {
        let name = std::mem::take(&mut self.word);
        let in_envelope = self.object > 2;
        if !self.expected.functions.contains(&name) {
            // Within the envelope it can only have been meant as a call.
            self.sure = self.sure || in_envelope;
            return Err(Broken::UnknownFunction(name));
        }
        self.call.name = Some(name);
        if self.call.is_whole() || in_envelope {
            self.announce();
        }
        Ok(())
    }

    /// From here on it is a call that the client hears of.
    fn announce(&mut self) {
        let Some(name) = self.call.name.clone() else { return };
        self.be_sure();
        if self.call.told != Told::NotYet {
            return;
        }
        if self.called == self.expected.most_calls {
            self.call.told = Told::Never;
            return;
        }
        let index = self.called;
        self.called += 1;
        self.call.told = Told::As(index);
        self.ready.push(ChatDelta::ToolCall { index, id: None, name: Some(name), arguments: String::new() });
    }

    fn end_call(&mut self) -> Result<(), Broken> {
        if self.call.name.is_some() {
            self.announce();
            self.call.end();
            self.hand_on_arguments();
        } else if self.call.has_arguments() || self.object > 2 || !self.sure {
            return Err(Broken::Shape("has no name"));
        }
        self.call = Call::default();
        Ok(())
    }

    fn hand_on_arguments(&mut self) {
        if let Some((index, arguments)) = self.call.unheard() {
            self.ready.push(ChatDelta::ToolCall { index, id: None, name: None, arguments });
        }
    }

    fn be_sure(&mut self) {
        self.sure = true;
        self.unsure.clear();
    }

    fn say_raw(&mut self, token: Token, c: char) {
        let mut text = String::new();
        push_raw(&mut text, token, c);
        self.say(&text);
    }

    fn say(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.spoke = true;
        if let Some(ChatDelta::Text(said)) = self.ready.last_mut() {
            said.push_str(text);
        } else {
            self.ready.push(ChatDelta::Text(text.to_owned()));
        }
    }
}

/// What models put around a call.
const WRAPPINGS: [&str; 5] = ["```json", "```", "<tool_call>", "</tool_call>", ","];

/// Whether this text, before or between values, is nothing but wrapping, whole or begun.
fn could_wrap(text: &str) -> bool {
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    loop {
        if WRAPPINGS.iter().any(|wrapping| wrapping.starts_with(rest)) {
            return true;
        }
        let Some(after) = WRAPPINGS.iter().find_map(|wrapping| rest.strip_prefix(wrapping)) else {
            return false;
        };
        rest = after.trim_start();
    }
}
