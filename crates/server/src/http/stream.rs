//! Answers that are streams of server-sent events.

use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use bytes::Bytes;
use futures_util::stream;

use crate::runs::Stream;

/// A comment, which every client ignores and every proxy counts as life. No empty line follows: OpenAI's SDK for
/// Python, once it knows the id of an event, takes that for one without data, and fails to read it.
const KEEPALIVE: &[u8] = b": keep-alive\n";

/// The answer that streams these events.
pub(super) fn answer(events: Stream, keepalive: Duration) -> Response<Body> {
    let pieces = stream::unfold(events, move |mut events| async move {
        let piece = match tokio::time::timeout(keepalive, events.next()).await {
            Err(_) => Bytes::from_static(KEEPALIVE),
            Ok(None) => return None,
            Ok(Some(piece)) => piece,
        };
        Some((Ok::<_, std::convert::Infallible>(piece), events))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Asks nginx not to hold events back.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}
