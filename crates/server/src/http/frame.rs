//! What surrounds every request: its id, the recorded headers, its line in the log, and what keeps a fault
//! of ours from reaching anybody else.

use std::any::Any;

use adjutant_wire as wire;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{HeaderName, HeaderValue};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::middleware::Next;
use axum::response::IntoResponse;
use tokio::time::Instant;

use super::extract::bearer;
use crate::app::App;
use crate::fault::{Fault, Result};
use crate::ids::hex;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROCESSING: HeaderName = HeaderName::from_static("openai-processing-ms");
const VERSION: HeaderName = HeaderName::from_static("openai-version");
const ORGANIZATION: HeaderName = HeaderName::from_static("openai-organization");

/// Adds the recorded headers and writes the log's line.
pub(super) async fn frame(State(app): State<App>, request: Request, next: Next) -> Response<Body> {
    let started = Instant::now();
    let id = format!("req_{}", hex());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let project = app.keys.project(bearer(request.headers())).ok();
    let mut response = next.run(request).await;
    let elapsed = started.elapsed();
    let headers = response.headers_mut();
    let mut insert = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    insert(REQUEST_ID, &id);
    insert(PROCESSING, &elapsed.as_millis().to_string());
    insert(VERSION, "2020-10-01");
    insert(ORGANIZATION, project.as_ref().map_or("default", |project| project.as_str()));
    let status = response.status().as_u16();
    tracing::debug!(request.id = %id, status, "{method} {path} answered {status} in {elapsed:?}");
    response
}

/// Refuses clients of the API's first version, as recorded. A missing header is accepted: Azure and some
/// other clients never send it.
pub(super) async fn refuse_first_version(
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Result<Response<Body>> {
    let tokens = headers.get_all("openai-beta").iter().filter_map(|value| value.to_str().ok());
    if tokens.flat_map(|value| value.split(',')).any(|token| token.trim() == "assistants=v1") {
        return Err(wire::Error::invalid(
            "The v1 Assistants API has been deprecated. See the migration guide for more information: \
             https://platform.openai.com/docs/assistants/migration.",
        )
        .into());
    }
    Ok(next.run(request).await)
}

/// Whether the server can serve.
pub(super) async fn ready(State(app): State<App>) -> Response<Body> {
    match app.store.ping().await {
        Ok(()) => "ok".into_response(),
        Err(fault) => {
            tracing::warn!("not ready: {fault}");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer").into_response()
        }
    }
}

/// A handler that panicked: a fault of ours, in the log and as a 500.
pub(super) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response<Body> {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    Fault::Broken(anyhow::anyhow!("a handler panicked: {}", text.unwrap_or("without a message")))
        .into_response()
}
