//! One call as it grows.

use super::scan::{Container, Invalid, Scanner, Token};

/// The model's answer broke off or is not what the protocol allows.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    /// A call's JSON cannot be read.
    #[error("the model's function call is not valid JSON: {0}")]
    Json(String),
    /// The model called what does not exist.
    #[error("the model called the function `{0}`, which it was not given")]
    UnknownFunction(String),
    /// A call has no name, or arguments that are no object.
    #[error("the model's function call {0}")]
    Shape(&'static str),
    /// The answer ended within a call.
    #[error("the model's function call broke off before its end")]
    CutOff,
}

impl From<Invalid> for Broken {
    fn from(invalid: Invalid) -> Self {
        Self::Json(invalid.to_string())
    }
}

/// Doubtful text and arguments without a name are kept up to here.
pub(super) const MOST_HELD_BYTES: usize = 64 << 10;

/// A call's name and arguments so far.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) name: Option<String>,
    pub(super) told: Told,
    /// Arguments that came before the name, or that were not handed on yet.
    held: String,
    arguments: Arguments,
    quoted: Scanner,
}

/// Whether the client hears of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Told {
    #[default]
    NotYet,
    /// As the call of this index.
    As(usize),
    /// It is one too many.
    Never,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Arguments {
    #[default]
    Missing,
    Begun,
    Whole,
}

impl Call {
    pub(super) fn has_arguments(&self) -> bool {
        self.arguments != Arguments::Missing
    }

    pub(super) fn is_whole(&self) -> bool {
        self.arguments == Arguments::Whole
    }

    pub(super) fn begin_arguments(&mut self) -> Result<(), Broken> {
        if self.has_arguments() {
            return Err(Broken::Shape("has arguments twice"));
        }
        self.arguments = Arguments::Begun;
        Ok(())
    }

    pub(super) fn grow(&mut self, token: Token, c: char) -> Result<(), Broken> {
        match self.told {
            Told::Never => return Ok(()),
            Told::NotYet if self.held.len() >= MOST_HELD_BYTES => return Err(Broken::Shape("has no name")),
            Told::NotYet | Told::As(_) => {}
        }
        push_raw(&mut self.held, token, c);
        Ok(())
    }

    /// Further text of arguments that are JSON within a string.
    pub(super) fn grow_quoted(&mut self, text: &str) -> Result<(), Broken> {
        for c in text.chars() {
            let begins = self.quoted.depth() == 0 && !self.quoted.is_done();
            let token = self.quoted.step(c, &mut String::new())?;
            if begins && !matches!(token, Token::Open(Container::Object) | Token::Blank) {
                return Err(Broken::Shape("has arguments that are not an object"));
            }
            self.grow(token, c)?;
        }
        Ok(())
    }

    pub(super) fn end_arguments(&mut self) {
        self.arguments = Arguments::Whole;
    }

    pub(super) fn end_quoted(&mut self) -> Result<(), Broken> {
        if !self.quoted.is_done() {
            return Err(Broken::Json("its arguments are cut off".to_owned()));
        }
        self.end_arguments();
        Ok(())
    }

    /// A function without parameters may come without arguments.
    pub(super) fn end(&mut self) {
        if !self.has_arguments() {
            self.held.push_str("{}");
        }
    }

    /// The arguments that the client has not heard yet.
    pub(super) fn unheard(&mut self) -> Option<(usize, String)> {
        let Told::As(index) = self.told else { return None };
        (!self.held.is_empty()).then(|| (index, std::mem::take(&mut self.held)))
    }
}

/// Adds a character of JSON as it may stand in JSON: weak models break lines within strings.
pub(super) fn push_raw(to: &mut String, token: Token, c: char) {
    if token == Token::Text && c < ' ' {
        to.push_str(&format!("\\u{:04x}", u32::from(c)));
    } else {
        to.push(c);
    }
}
