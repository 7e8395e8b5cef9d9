//! OpenAI's error body, and the texts that clients are known to match on.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct};

/// A result whose error is an answer to the client.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error as the client sees it: an HTTP status and OpenAI's body
/// `{"error":{"message","type","param","code"}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// HTTP status.
    pub status: u16,
    /// What is wrong, in a sentence for the program's author.
    pub message: String,
    /// OpenAI's class of error.
    pub kind: Kind,
    /// The offending parameter as a dotted path.
    pub param: Option<String>,
    /// A word that programs may match on.
    pub code: Option<&'static str>,
    /// Whether the body says message and code once more under `detail`, as recorded of files.
    pub has_detail: bool,
    /// After how many seconds the same request may well be taken: the header `retry-after`.
    pub retry_after: Option<u32>,
}

/// The `type` of an error body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request is at fault.
    InvalidRequest,
    /// Too many requests: OpenAI names here what there is too much of, `requests` or `tokens`.
    Requests,
    /// The server is at fault.
    Server,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request_error",
            Self::Requests => "requests",
            Self::Server => "server_error",
        }
    }
}

impl Error {
    /// A 400 without `param` and `code`: most refusals that depend on an object's state.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            message: message.into(),
            kind: Kind::InvalidRequest,
            param: None,
            code: None,
            has_detail: false,
            retry_after: None,
        }
    }

    /// A 400 about one parameter.
    pub fn parameter(param: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), code: Some(code), ..Self::invalid(message) }
    }

    /// The 404 of an object that does not exist in the caller's project.
    pub fn missing(noun: &str, id: &str) -> Self {
        Self { status: 404, ..Self::invalid(format!("No {noun} found with id '{id}'.")) }
    }

    /// The recorded 404 of a file.
    pub fn missing_file(id: &str) -> Self {
        Self {
            status: 404,
            param: Some("id".to_owned()),
            has_detail: true,
            ..Self::invalid(format!("No such File object: {id}"))
        }
    }

    /// The recorded 404 of a file that is not in a vector store.
    pub fn not_in_store(file: &str, store: &str) -> Self {
        let message = format!("No file found with id '{file}' in vector store '{store}'.");
        Self { status: 404, ..Self::invalid(message) }
    }

    /// The 400 of an identifier of another kind.
    pub fn wrong_prefix(param: &str, id: &str, prefix: &str) -> Self {
        let prefix = prefix.trim_end_matches('_');
        let message = format!("Invalid '{param}': '{id}'. Expected an ID that begins with '{prefix}'.");
        Self::parameter(param, "invalid_value", message)
    }

    /// The recorded 401; most of the key is hidden, as in OpenAI's.
    pub fn wrong_key(key: &str) -> Self {
        let message = if key.is_empty() {
            "You didn't provide an API key. You need to provide your API key in an Authorization header using \
             Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
                .to_owned()
        } else {
            format!(
                "Incorrect API key provided: {}. You can find your API key at \
                 https://platform.openai.com/account/api-keys.",
                redact(key)
            )
        };
        Self { status: 401, code: Some("invalid_api_key"), ..Self::invalid(message) }
    }

    /// The 404 of a model asked for by name.
    pub fn unknown_model(name: &str) -> Self {
        let message = format!("The model '{name}' does not exist");
        Self { status: 404, ..Self::parameter("model", "model_not_found", message) }
    }

    /// The 403 of whoever would delete a model. OpenAI's words for it were never seen.
    pub fn undeletable_model(name: &str) -> Self {
        let message =
            format!("The model '{name}' cannot be deleted here: it belongs to the server that runs it.");
        Self { status: 403, ..Self::parameter("model", "model_not_deletable", message) }
    }

    /// The 400 of a request that wants a model which nothing serves.
    pub fn unknown_requested_model(name: &str) -> Self {
        Self::parameter("model", "model_not_found", format!("The requested model '{name}' does not exist."))
    }

    /// A path that is no endpoint.
    pub fn unknown_path(method: &str, path: &str) -> Self {
        Self {
            status: 404,
            code: Some("unknown_url"),
            ..Self::invalid(format!("Invalid URL ({method} {path})"))
        }
    }

    /// An endpoint that does not know the method.
    pub fn unknown_method(method: &str, path: &str) -> Self {
        Self {
            status: 405,
            code: Some("method_not_supported"),
            ..Self::invalid(format!("Not allowed to {method} on {path}."))
        }
    }

    /// A body that is not JSON.
    pub fn not_json(reason: &dyn fmt::Display) -> Self {
        Self::invalid(format!("We could not parse the JSON body of your request: {reason}."))
    }

    /// A body over the server's limit.
    pub fn too_large(limit_bytes: usize) -> Self {
        Self {
            status: 413,
            code: Some("request_too_large"),
            ..Self::invalid(format!(
                "The request body is too large: at most {limit_bytes} bytes are accepted."
            ))
        }
    }

    /// A request's head over the server's limits.
    pub fn long_head(limit_bytes: usize, limit_fields: usize) -> Self {
        Self {
            status: 431,
            code: Some("request_headers_too_large"),
            ..Self::invalid(format!(
                "The request's headers are too large: at most {limit_fields} of them are accepted, and {limit_bytes} \
                 bytes in all."
            ))
        }
    }

    /// A body that came too slowly, or not to its end in time.
    pub fn slow_body(seconds: u64) -> Self {
        Self {
            status: 408,
            code: Some("request_timeout"),
            ..Self::invalid(format!(
                "The request's body came too slowly: we waited {seconds} seconds in all for more of it."
            ))
        }
    }

    /// The server has taken on as much as it can for the moment.
    pub fn overloaded(message: impl Into<String>) -> Self {
        Self {
            status: 503,
            kind: Kind::Server,
            code: Some("server_overloaded"),
            retry_after: Some(1),
            ..Self::invalid(message)
        }
    }

    /// More runs wait to be worked on than may.
    pub fn too_many_runs(waiting: u32) -> Self {
        Self {
            status: 429,
            kind: Kind::Requests,
            code: Some("rate_limit_exceeded"),
            // Runs take seconds, so a place is hardly free earlier.
            retry_after: Some(5),
            ..Self::invalid(format!(
                "Rate limit reached for runs: {waiting} of this project wait to be worked on already. Please try \
                 again later."
            ))
        }
    }

    /// A fault of ours. The message names the request, by which the log tells the reason.
    pub fn server(request_id: &str) -> Self {
        let message = format!(
            "The server had an error processing your request. Sorry about that! The log says why: look for the \
             request ID {request_id}."
        );
        Self { status: 500, kind: Kind::Server, ..Self::invalid(message) }
    }
}

/// The first 8 and last 4 characters with stars between, as in the recorded 401; a short key is all stars.
fn redact(key: &str) -> String {
    let characters: Vec<char> = key.chars().collect();
    let [head @ .., _, _, _, _] = characters.as_slice() else { return "*".repeat(characters.len()) };
    if head.len() <= 8 {
        return "*".repeat(characters.len());
    }
    let shown: String = head.iter().take(8).collect();
    let tail: String = characters.iter().skip(head.len()).collect();
    format!("{shown}{}{tail}", "*".repeat(head.len() - 8))
}

impl fmt::Display for Error {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        let mut body = to.serialize_struct("Error", 2)?;
        body.serialize_field("error", &Inner(self))?;
        if self.has_detail {
            body.serialize_field("detail", &Detail { message: &self.message, code: self.code })?;
        }
        body.end()
    }
}

#[derive(Serialize)]
struct Detail<'a> {
    message: &'a str,
    code: Option<&'static str>,
}

/// The object inside `{"error": …}`; the event `error` carries it bare as well.
pub(crate) struct Inner<'a>(pub(crate) &'a Error);

impl Serialize for Inner<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        let mut inner = to.serialize_struct("Error", 4)?;
        inner.serialize_field("message", &self.0.message)?;
        inner.serialize_field("type", self.0.kind.as_str())?;
        inner.serialize_field("param", &self.0.param)?;
        inner.serialize_field("code", &self.0.code)?;
        inner.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_key_is_hidden_as_recorded() {
        let error = Error::wrong_key("not-a-real-key-but-this-is-sanitized");
        assert!(error.message.contains(": not-a-re"), "{error}");
        assert!(error.message.contains("*ized. You can"), "{error}");
        assert!(!Error::wrong_key("short").message.contains("short"));
    }

    #[test]
    fn the_body_has_the_four_keys_in_order() {
        let body = serde_json::to_string(&Error::missing("thread", "thread_a")).unwrap();
        assert_eq!(
            body,
            r#"{"error":{"message":"No thread found with id 'thread_a'.","type":"invalid_request_error","param":null,"code":null}}"#
        );
    }
}
