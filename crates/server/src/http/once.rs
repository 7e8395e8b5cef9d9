//! `Idempotency-Key`: a request that creates something may be sent again, and creates nothing again.

use adjutant_wire as wire;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::HeaderValue;
use axum::http::{HeaderMap, Response};
use axum::middleware::Next;
use serde::Deserialize;

use super::extract::Caller;
use crate::app::App;
use crate::fault::{Fault, Result};
use crate::store::Idempotency;

const LONGEST_KEY: usize = 255;

/// Answers a request that was answered before as it was then; else tells the handler the request's key, which
/// keeps the answer in the transaction that creates.
pub(super) async fn once(
    State(app): State<App>,
    Caller(project): Caller,
    request: Request,
    next: Next,
) -> Result<Response<Body>> {
    let Some(key) = key(request.headers())? else { return Ok(next.run(request).await) };
    let (mut parts, body) = request.into_parts();
    // It was read within the limit before it came here.
    let body = to_bytes(body, usize::MAX).await.map_err(|error| Fault::Broken(error.into()))?;
    if !asks_for_stream(&body) {
        let key = Idempotency::new(&key, parts.uri.path(), &body, app.clock.seconds());
        if let Some(answer) = app.store.read(&project).await?.answered(&key).await? {
            return Err(Fault::Answered(answer));
        }
        parts.extensions.insert(key);
    }
    Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
}

/// The key of a request, if it has one.
pub(super) fn key(headers: &HeaderMap) -> wire::Result<Option<String>> {
    headers.get("idempotency-key").map(checked).transpose()
}

fn checked(key: &HeaderValue) -> wire::Result<String> {
    match key.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= LONGEST_KEY => Ok(key.to_owned()),
        Ok(_) | Err(_) => {
            let message =
                format!("Invalid 'Idempotency-Key': expected 1 to {LONGEST_KEY} characters of ASCII.");
            Err(wire::Error { code: Some("invalid_idempotency_key"), ..wire::Error::invalid(message) })
        }
    }
}

/// A stream is answered as it comes, and nothing of it is kept to be sent again.
fn asks_for_stream(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Asks {
        stream: Option<bool>,
    }
    serde_json::from_slice::<Asks>(body).is_ok_and(|asks| asks.stream == Some(true))
}
