//! What surrounds every request: its id, the recorded headers, its line in the log, and what keeps a fault
//! of ours from reaching anybody else.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use adjutant_wire as wire;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, ORIGIN, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Response};
use axum::middleware::Next;
use axum::response::IntoResponse;
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::Instant;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::admission::{Admission, Memory};
use super::answer::RequestId;
use super::extract::bearer;
use super::pace::Paced;
use crate::app::App;
use crate::fault::{Fault, Result};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROCESSING: HeaderName = HeaderName::from_static("openai-processing-ms");
const VERSION: HeaderName = HeaderName::from_static("openai-version");
/// Tells SDKs that poll how soon to ask again, in place of their one to five seconds.
pub(super) const POLL_AFTER: HeaderName = HeaderName::from_static("openai-poll-after-ms");
const ORGANIZATION: HeaderName = HeaderName::from_static("openai-organization");

/// Adds the recorded headers and writes the log's line.
pub(super) async fn frame(State(app): State<App>, request: Request, next: Next) -> Response<Body> {
    let started = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let project = app.keys.project(bearer(request.headers())).ok();
    let mut response = match refuse_long_head(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(error) => last_answer(error),
    };
    let elapsed = started.elapsed();
    let RequestId(id) = response.extensions_mut().remove().unwrap_or_else(RequestId::fresh);
    let headers = response.headers_mut();
    let mut insert = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    insert(REQUEST_ID, &id);
    insert(PROCESSING, &elapsed.as_millis().to_string());
    insert(VERSION, "2020-10-01");
    // What it says is JSON or bytes, no browser shall take for a page.
    insert(X_CONTENT_TYPE_OPTIONS, "nosniff");
    insert(ORGANIZATION, project.as_ref().map_or("default", |project| project.as_str()));
    if app.health.is_stopping() {
        // So that nobody sends another request on a connection that is about to end.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let status = response.status().as_u16();
    tracing::debug!(request.id = %id, status, "{method} {path} answered {status} in {elapsed:?}");
    response
}

/// A head within twice these limits comes this far, and gets an answer that says what is wrong.
fn refuse_long_head(app: &App, request: &Request) -> wire::Result<()> {
    let (limits, headers) = (app.connections, request.headers());
    // As they came: with `: `, and a new line each.
    let fields = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if headers.len() > limits.head_fields || target + fields.sum::<usize>() > limits.head_bytes {
        return Err(wire::Error::long_head(limits.head_bytes, limits.head_fields));
    }
    Ok(())
}

/// What lets requests in.
#[derive(Clone)]
pub(super) struct Door {
    app: App,
    admission: Arc<Admission>,
}

impl Door {
    pub(super) fn new(app: App) -> Self {
        let admission = Arc::new(Admission::new(&app.connections));
        Self { app, admission }
    }

    fn paced(&self, body: Body) -> Paced {
        Paced::new(body, Duration::from_secs(self.app.connections.body_seconds))
    }

    fn slow_body(&self) -> wire::Error {
        wire::Error::slow_body(self.app.connections.body_seconds)
    }

    /// A body as it is in memory from now on, and leave to keep it there.
    async fn read(&self, body: Body) -> wire::Result<(Bytes, Memory)> {
        let (mut body, mut memory) = (self.paced(body), self.admission.memory());
        let (late, mut read) = (body.late(), Vec::new());
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|_| match late.is_true() {
                true => self.slow_body(),
                false => wire::Error::invalid("The request's body could not be read to its end."),
            })?;
            // Copied, since each piece would keep alive what it was read with.
            memory.extend(&mut read, &piece, self.app.request_bytes).await?;
        }
        Ok((read.into(), memory))
    }
}

/// Reads the whole body before anything is decided, so that a connection can serve the next request whatever
/// the answer to this one is. Whoever has no key, or too much to say, is not read: their connection is closed.
/// The place that the request is then handled at is free again when its answer begins.
pub(super) async fn read_body(State(door): State<Door>, request: Request, next: Next) -> Response<Body> {
    let app = &door.app;
    if let Err(error) = admit(app, request.headers()) {
        return last_answer(error);
    }
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > app.request_bytes) {
        return last_answer(wire::Error::too_large(app.request_bytes));
    }
    let (mut parts, body) = request.into_parts();
    let (body, _memory) = match door.read(body).await {
        Ok(read) => read,
        Err(error) => return last_answer(error),
    };
    let place = match door.admission.place().await {
        Ok(place) => place,
        Err(error) => return Fault::Refused(error).into_response(),
    };
    parts.extensions.insert(place.clone());
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    place.leave();
    response
}

/// Lets in who may come, and leaves the body to the handler, which reads it piece by piece: to its end, or until it
/// refuses it. Then the connection is closed. What only reads has no body that a handler would look at. How long it
/// takes is up to the client, so it takes memory in place of a place.
pub(super) async fn leave_body(door: State<Door>, request: Request, next: Next) -> Response<Body> {
    if request.method() == Method::GET {
        return read_body(door, request, next).await;
    }
    let State(door) = door;
    if let Err(error) = admit(&door.app, request.headers()) {
        return last_answer(error);
    }
    let mut memory = door.admission.memory();
    if let Err(error) = memory.take(door.app.files.incoming_bytes()).await {
        return last_answer(error);
    }
    let (parts, body) = request.into_parts();
    let body = door.paced(body);
    let late = body.late();
    let mut response = next.run(Request::from_parts(parts, Body::from_stream(body))).await;
    if late.is_true() {
        return last_answer(door.slow_body());
    }
    if !response.status().is_success() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn admit(app: &App, headers: &HeaderMap) -> wire::Result<()> {
    app.keys.project(bearer(headers))?;
    if app.keys.accept_all() && !comes_from_here(headers) {
        let message = "Requests of other machines' web pages are accepted only with a key: name one in ADJUTANT_API_KEYS.";
        return Err(wire::Error {
            status: 403,
            code: Some("foreign_origin"),
            ..wire::Error::invalid(message)
        });
    }
    Ok(())
}

/// Without keys, whatever runs on this machine may come in, and that includes its browser. So a page of
/// another machine is refused, by its `Origin`, or by a `Host` that only looks as if it were this one's.
fn comes_from_here(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    text(ORIGIN).is_none_or(is_loopback_origin) && text(HOST).is_none_or(is_loopback)
}

fn is_loopback_origin(origin: &str) -> bool {
    origin.split_once("://").is_some_and(|(_, host)| is_loopback(host))
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn last_answer(error: wire::Error) -> Response<Body> {
    let mut response = Fault::Refused(error).into_response();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Refuses clients of the API's first version, as recorded, and where it is wanted those that do not say
/// which version they mean.
pub(super) async fn check_version(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response<Body>> {
    let headers = request.headers().get_all("openai-beta").iter().filter_map(|value| value.to_str().ok());
    let tokens: Vec<&str> = headers.flat_map(|value| value.split(',')).map(str::trim).collect();
    if tokens.contains(&"assistants=v1") {
        return Err(wire::Error::invalid(
            "The v1 Assistants API has been deprecated. See the migration guide for more information: \
             https://platform.openai.com/docs/assistants/migration.",
        )
        .into());
    }
    if app.require_beta_header && !tokens.contains(&"assistants=v2") {
        let message = "You must provide the 'OpenAI-Beta' header to access the Assistants API. Please try again by \
                       setting the header 'OpenAI-Beta: assistants=v2'.";
        return Err(wire::Error { code: Some("invalid_beta"), ..wire::Error::invalid(message) }.into());
    }
    Ok(next.run(request).await)
}

/// Lets web pages call the API: any page where a key is needed to come in, else those of this machine.
pub(super) fn cors(app: &App) -> CorsLayer {
    let from_here_only = app.keys.accept_all();
    let allowed = move |origin: &HeaderValue, _: &Parts| {
        !from_here_only || origin.to_str().is_ok_and(is_loopback_origin)
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allowed))
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([REQUEST_ID, PROCESSING, VERSION, ORGANIZATION, POLL_AFTER])
        .max_age(Duration::from_secs(600))
}

/// A handler that panicked: a fault of ours, in the log and as a 500.
pub(super) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response<Body> {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    Fault::Broken(anyhow::anyhow!("a handler panicked: {}", text.unwrap_or("without a message")))
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_here() {
        for (host, here) in [
            ("localhost", true),
            ("localhost:8080", true),
            ("127.0.0.1:8080", true),
            ("127.0.0.2", true),
            ("[::1]:8080", true),
            ("example.com", false),
            ("localhost.example.com:8080", false),
            ("127.0.0.1.example.com", false),
            ("10.0.0.1:8080", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(host), here, "{host}");
        }
    }
}
