//! Identifiers: a prefix that says what they name, and 24 random letters and digits.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// What all identifiers of objects have in common.
pub trait Id: Sized {
    /// What the identifier begins with, underscore included.
    const PREFIX: &'static str;
    /// The path parameter's name in OpenAI's reference, for error texts.
    const PARAMETER: &'static str;
    /// The object's name in "No … found with id".
    const NOUN: &'static str;

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
    ($($(#[$doc:meta])* $name:ident: $prefix:literal, $parameter:literal, $noun:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl Id for $name {
            const PREFIX: &'static str = $prefix;
            const PARAMETER: &'static str = $parameter;
            const NOUN: &'static str = $noun;

            fn from_checked(text: String) -> Self {
                Self(text)
            }

            fn as_str(&self) -> &str {
                &self.0
            }
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
    AssistantId: "asst_", "assistant_id", "assistant";
    /// Names a thread.
    ThreadId: "thread_", "thread_id", "thread";
    /// Names a message.
    MessageId: "msg_", "message_id", "message";
    /// Names a run.
    RunId: "run_", "run_id", "run";
    /// Names a run step.
    StepId: "step_", "step_id", "run step";
    /// Names a tool call within a step.
    CallId: "call_", "tool_call_id", "tool call";
    /// Names a file.
    FileId: "file-", "file_id", "file";
    /// Names a vector store.
    VectorStoreId: "vs_", "vector_store_id", "vector store";
    /// Names a batch of files.
    FileBatchId: "vsfb_", "batch_id", "file batch";
}
