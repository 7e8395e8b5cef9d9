//! What can go wrong with a model's server, in words that help.

use adjutant_wire as wire;
use adjutant_wire::runs::{LastError, LastErrorCode};
use std::time::Duration;

/// A call of a model that came to nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamFault {
    /// The class that `last_error` shows.
    pub code: LastErrorCode,
    /// What happened and what to look at.
    pub message: String,
    /// Whether trying again may help, as long as nothing of an answer was heard, and after how long the
    /// upstream wants it.
    pub retry: Retry,
}

/// Whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It will not.
    Never,
    /// It may, after a pause of ours.
    Soon,
    /// It may, after this long.
    After(Duration),
}

impl UpstreamFault {
    fn new(code: LastErrorCode, retry: Retry, message: String) -> Self {
        Self { code, message, retry }
    }

    /// A fault that trying again does not mend.
    pub fn lasting(message: impl Into<String>) -> Self {
        Self::new(LastErrorCode::ServerError, Retry::Never, message.into())
    }

    /// What is needed is on its way.
    pub(super) fn not_yet(message: String, wait: Duration) -> Self {
        Self::new(LastErrorCode::ServerError, Retry::After(wait), message)
    }

    /// No connection, or it was lost.
    pub fn unreachable(upstream: &str, reason: &str) -> Self {
        let message =
            format!("The model's server `{upstream}` could not be reached: {reason}. Is it running?");
        Self::new(LastErrorCode::ServerError, Retry::Soon, message)
    }

    /// It said nothing for too long.
    pub fn silent(upstream: &str, limit: Duration) -> Self {
        let message =
            format!("The model's server `{upstream}` did not respond for {} seconds.", limit.as_secs());
        Self::new(LastErrorCode::ServerError, Retry::Never, message)
    }

    /// Its answer ended before it was whole.
    pub fn cut_off(upstream: &str) -> Self {
        let message = format!("The model's server `{upstream}` broke off its answer before the end.");
        Self::new(LastErrorCode::ServerError, Retry::Soon, message)
    }

    /// It sent what no model's server should.
    pub fn garbled(upstream: &str, what: &str) -> Self {
        let message = format!("The model's server `{upstream}` sent an answer that cannot be read: {what}.");
        Self::new(LastErrorCode::ServerError, Retry::Never, message)
    }

    /// It answered with an error.
    pub fn refused(upstream: &str, status: u16, reason: &str, retry_after: Option<Duration>) -> Self {
        let soon = retry_after.map_or(Retry::Soon, Retry::After);
        let (code, retry, hint) = match status {
            401 | 403 => {
                (LastErrorCode::ServerError, Retry::Never, " Check the key that Adjutant has for it.")
            }
            404 => (LastErrorCode::ServerError, Retry::Never, " Check its base URL and the model's name."),
            429 if reason.contains("quota") => (LastErrorCode::RateLimitExceeded, Retry::Never, ""),
            429 => (LastErrorCode::RateLimitExceeded, soon, ""),
            408 | 409 | 500.. => (LastErrorCode::ServerError, soon, ""),
            400 | 413 | 422 => (LastErrorCode::InvalidPrompt, Retry::Never, ""),
            _ => (LastErrorCode::ServerError, Retry::Never, ""),
        };
        let message =
            format!("The model's server `{upstream}` answered with status {status}: {reason}.{hint}");
        Self::new(code, retry, message)
    }

    /// As a run shows it.
    pub fn into_last_error(self) -> LastError {
        LastError { code: self.code, message: self.message }
    }
}

/// As a client sees it whose request was passed on.
pub(super) fn unavailable(fault: UpstreamFault) -> wire::Error {
    let kind = wire::error::Kind::Server;
    let code = Some("upstream_unavailable");
    wire::Error { status: 502, kind, code, ..wire::Error::invalid(fault.message) }
}
