//! From results to HTTP answers.

use adjutant_wire as wire;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use rand::RngExt;
use serde::Serialize;

use super::frame::POLL_AFTER;
use crate::fault::Fault;
use crate::ids::hex;

const RETRY_AFTER_MILLISECONDS: HeaderName = HeaderName::from_static("retry-after-ms");

/// An object as an answer of status 200. SDKs hand back plain text without the content type.
pub(super) fn json<T: Serialize>(status: StatusCode, object: &T) -> Response<Body> {
    match serde_json::to_vec(object) {
        Ok(text) => json_text(status, text),
        Err(error) => Fault::from(error).into_response(),
    }
}

/// JSON as it is stored.
pub(super) fn json_text(status: StatusCode, text: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Between two looks of a client that polls.
const POLL_AFTER_MILLISECONDS: HeaderValue = HeaderValue::from_static("250");

/// An object that its client asks for again as long as it is `busy`.
pub(super) fn polled<T: Serialize>(object: T, busy: bool) -> Response<Body> {
    let mut response = json(StatusCode::OK, &object);
    if busy {
        response.headers_mut().insert(POLL_AFTER, POLL_AFTER_MILLISECONDS);
    }
    response
}

/// A request's id: what the log calls it, and what its answer's header says.
#[derive(Clone)]
pub(super) struct RequestId(pub(super) String);

impl RequestId {
    pub(super) fn fresh() -> Self {
        Self(format!("req_{}", hex()))
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response<Body> {
        match self {
            Self::Refused(error) => refused(&error),
            Self::Answered(answer) => json_text(StatusCode::OK, answer),
            Self::Unavailable(error) => unavailable(&error),
            Self::Broken(error) => broken(&error),
        }
    }
}

fn refused(error: &wire::Error) -> Response<Body> {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, error);
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        // SDKs prefer this one. Those who were refused together do not come back together.
        let milliseconds = seconds.saturating_mul(rand::rng().random_range(1_000..2_000));
        response.headers_mut().insert(RETRY_AFTER_MILLISECONDS, HeaderValue::from(milliseconds));
    }
    response
}

/// Whoever asks again may be answered: SDKs do so by themselves.
fn unavailable(error: &anyhow::Error) -> Response<Body> {
    let id = RequestId::fresh();
    tracing::warn!(request.id = %id.0, "a request could not be served now: {error:#}");
    let mut response = refused(&wire::Error::overloaded(
        "The database does not answer just now, or was too busy with other requests. Send the request again.",
    ));
    response.extensions_mut().insert(id);
    response
}

/// The log reads what is wrong; the client, by which id to find it there. The answer's header gets the same.
fn broken(error: &anyhow::Error) -> Response<Body> {
    let id = RequestId::fresh();
    tracing::error!(request.id = %id.0, "a request could not be served: {error:#}");
    let mut response = refused(&wire::Error::server(&id.0));
    response.extensions_mut().insert(id);
    response
}
