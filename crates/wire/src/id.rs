//! Identifiers: a prefix that says what they name, and what is random.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// What follows the prefix of a new identifier, as recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// So many letters and digits.
    Alphanumeric(usize),
    /// So many lower-case hexadecimal digits.
    Hexadecimal(usize),
}

/// What all identifiers of objects have in common.
pub trait Id: Sized {
    /// What the identifier begins with, underscore included.
    const PREFIX: &'static str;
    /// The path parameter's name in OpenAI's reference, for error texts.
    const PARAMETER: &'static str;
    /// The object's name in "No … found with id".
    const NOUN: &'static str;
    /// What a new one ends in.
    const TAIL: Tail;

    /// Takes an identifier whose prefix was checked or made here.
    fn from_checked(text: String) -> Self;

    /// The identifier's text.
    fn as_str(&self) -> &str;

    /// Reads an identifier from a path or a body's parameter.
    ///
    /// # Errors
    /// `invalid_value` where the prefix is another's, a 404 where it has characters that no identifier has.
    /// Otherwise what follows the prefix is not judged: an unknown identifier is simply not found.
    fn parse(text: &str) -> Result<Self, Error> {
        if !text.starts_with(Self::PREFIX) {
            return Err(Error::wrong_prefix(Self::PARAMETER, text, Self::PREFIX));
        }
        if !is_nameable(text) {
            return Err(Error::missing(Self::NOUN, text));
        }
        Ok(Self::from_checked(text.to_owned()))
    }

    /// The 404 for an identifier that names nothing the caller may see.
    fn missing(&self) -> Error {
        Error::missing(Self::NOUN, self.as_str())
    }
}

/// Whether a text has only characters that identifiers have. PostgreSQL, for one, cannot even look for others.
pub(crate) fn is_nameable(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

macro_rules! ids {
    ($(
        $(#[$doc:meta])*
        $name:ident: $prefix:literal, $parameter:literal, $noun:literal, $tail:ident($length:literal)
        $({ $($own:tt)* })?;
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl Id for $name {
            const PREFIX: &'static str = $prefix;
            const PARAMETER: &'static str = $parameter;
            const NOUN: &'static str = $noun;
            const TAIL: Tail = Tail::$tail($length);

            fn from_checked(text: String) -> Self {
                Self(text)
            }

            fn as_str(&self) -> &str {
                &self.0
            }

            $($($own)*)?
        }

        impl fmt::Display for $name {
            fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// Names an assistant.
    AssistantId: "asst_", "assistant_id", "assistant", Alphanumeric(24);
    /// Names a thread.
    ThreadId: "thread_", "thread_id", "thread", Alphanumeric(24);
    /// Names a message.
    MessageId: "msg_", "message_id", "message", Alphanumeric(24);
    /// Names a run.
    RunId: "run_", "run_id", "run", Alphanumeric(24);
    /// Names a run step.
    StepId: "step_", "step_id", "run step", Alphanumeric(24);
    /// Names a tool call within a step.
    CallId: "call_", "tool_call_id", "tool call", Alphanumeric(24);
    /// Names a file. Any text may be asked for, since OpenAI answered `fake_id` with a 404 and Azure's files have
    /// another prefix.
    FileId: "file-", "file_id", "file", Alphanumeric(22) {
        fn parse(text: &str) -> Result<Self, Error> {
            if is_nameable(text) { Ok(Self::from_checked(text.to_owned())) } else { Err(Error::missing_file(text)) }
        }

        fn missing(&self) -> Error {
            Error::missing_file(&self.0)
        }
    };
    /// Names an upload.
    UploadId: "upload_", "upload_id", "upload", Hexadecimal(32);
    /// Names a part of an upload.
    PartId: "part_", "part_id", "part", Hexadecimal(32);
    /// Names a vector store.
    VectorStoreId: "vs_", "vector_store_id", "vector store", Hexadecimal(32);
    /// Names a batch of files.
    FileBatchId: "vsfb_", "batch_id", "file batch", Hexadecimal(32);
}
