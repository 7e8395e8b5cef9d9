//! What can go wrong while a request is served: it is refused, or we are broken.

use adjutant_wire as wire;

/// A result of anything that serves a request.
pub type Result<T, E = Fault> = std::result::Result<T, E>;

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The request is at fault: the client reads why.
    #[error(transparent)]
    Refused(#[from] wire::Error),
    /// It was served before: the client reads the same answer again.
    #[error("the request was answered before")]
    Answered(String),
    /// Something that we need is away for now, as a database that starts again: the client reads a 503, and tries
    /// again. What it asked for may have been done all the same.
    #[error("{0:#}")]
    Unavailable(anyhow::Error),
    /// We are: the log reads why, the client a 500 with the request's id.
    #[error("{0:#}")]
    Broken(anyhow::Error),
}

impl From<anyhow::Error> for Fault {
    fn from(error: anyhow::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Broken(anyhow::Error::new(error).context("a stored object could not be read or written"))
    }
}
