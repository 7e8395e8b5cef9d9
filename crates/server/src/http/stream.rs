//! Answers that are streams of server-sent events.

use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use bytes::{Bytes, BytesMut};
use futures_util::stream;

use crate::runs::Stream;

/// A comment, which every client ignores and every proxy counts as life. No empty line follows: OpenAI's SDK for
/// Python, once it knows the id of an event, takes that for one without data, and fails to read it.
const KEEPALIVE: &[u8] = b": keep-alive\n";

/// Pieces that wait together leave together, up to this much.
const PIECE_BYTES: usize = 64 << 10;

/// The answer that streams these events.
pub(super) fn answer(events: Stream, keepalive: Duration) -> Response<Body> {
    let pieces = stream::unfold(events, move |mut events| async move {
        let piece = match tokio::time::timeout(keepalive, events.recv()).await {
            Err(_) => Bytes::from_static(KEEPALIVE),
            Ok(None) => return None,
            Ok(Some(first)) => with_waiting(first, &mut events),
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

fn with_waiting(first: Bytes, events: &mut Stream) -> Bytes {
    let Ok(second) = events.try_recv() else { return first };
    let mut piece = BytesMut::from(first);
    piece.extend_from_slice(&second);
    while piece.len() < PIECE_BYTES {
        match events.try_recv() {
            Ok(more) => piece.extend_from_slice(&more),
            Err(_) => break,
        }
    }
    piece.freeze()
}
