//! What handlers take as arguments, checked before they begin: who calls, which object, what they say.

use std::convert::Infallible;

use adjutant_wire as wire;
use adjutant_wire::id::Id;
use adjutant_wire::shape::{Request as Checked, split_key};
use adjutant_wire::{AssistantId, FileId, ThreadId, UploadId, VectorStoreId};
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::{Map, Value};

use super::admission::Place;
use super::answer;
use crate::app::App;
use crate::config::Busy;
use crate::fault::Fault;
use crate::runs::Turn;
use crate::store::{Once, Project};

impl FromRequestParts<App> for App {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(app.clone())
    }
}

/// Whoever calls has shown a key that is accepted; these are the objects that it opens.
pub(super) struct Caller(pub(super) Project);

impl FromRequestParts<App> for Caller {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Fault> {
        Ok(Self(app.keys.project(bearer(&parts.headers))?))
    }
}

impl FromRequestParts<App> for Once {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Fault> {
        let Caller(project) = Caller::from_request_parts(parts, app).await?;
        Ok(Self { project, key: parts.extensions.get().cloned() })
    }
}

/// The key of a request: OpenAI's header, or Azure's.
pub(super) fn bearer(headers: &HeaderMap) -> &str {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text(AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
    });
    bearer.or_else(|| text("api-key")).unwrap_or_default()
}

/// What is to become of this request if a run is at work on its thread: as its header says, else as configured.
pub(super) struct OnBusyThread {
    busy: Busy,
    place: Place,
}

impl OnBusyThread {
    /// Waits until no run is at work on the thread, as far as was said.
    pub(super) async fn await_turn(
        &self,
        app: &App,
        project: &Project,
        thread: &ThreadId,
    ) -> Result<Turn, Fault> {
        self.place.beside(app.engine.await_turn(project, thread, self.busy)).await
    }
}

impl FromRequestParts<App> for OnBusyThread {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Fault> {
        let place = Place::from_request_parts(parts, app).await?;
        let busy = match parts.headers.get("adjutant-busy-thread").map(HeaderValue::as_bytes) {
            None => app.busy_threads,
            Some(b"reject") => Busy::Reject,
            Some(b"queue") => Busy::Queue,
            Some(b"interrupt") => Busy::Interrupt,
            Some(_) => {
                return Err(wire::Error::parameter(
                    "Adjutant-Busy-Thread",
                    "invalid_value",
                    "Invalid value of the header 'Adjutant-Busy-Thread'. Supported values are: 'reject', 'queue', and \
                     'interrupt'.",
                )
                .into());
            }
        };
        Ok(Self { busy, place })
    }
}

/// Whether the request's stream is to have event ids, by which it can be taken up again.
pub(super) struct Events {
    with_ids: bool,
}

impl Events {
    /// Whether the stream that the body asks for is one of a follower, and not of the run's own worker.
    pub(super) fn take_over(&self, stream: &mut bool) -> bool {
        self.with_ids && std::mem::take(stream)
    }
}

impl FromRequestParts<App> for Events {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Infallible> {
        let with_ids =
            parts.headers.get("adjutant-event-ids").is_some_and(|value| value.as_bytes() == b"true");
        Ok(Self { with_ids })
    }
}

/// The identifiers in a path.
pub(super) struct Path<T>(pub(super) T);

/// Identifiers in the order in which a path has them.
pub(super) trait FromPath: Sized {
    /// Checks their prefixes.
    fn from_path(segments: &[String]) -> wire::Result<Self>;
}

fn segment<I: Id>(segments: &[String], index: usize) -> wire::Result<I> {
    I::parse(segments.get(index).map(String::as_str).unwrap_or_default())
}

impl FromPath for AssistantId {
    fn from_path(segments: &[String]) -> wire::Result<Self> {
        segment(segments, 0)
    }
}

impl FromPath for VectorStoreId {
    fn from_path(segments: &[String]) -> wire::Result<Self> {
        segment(segments, 0)
    }
}

impl FromPath for ThreadId {
    fn from_path(segments: &[String]) -> wire::Result<Self> {
        segment(segments, 0)
    }
}

impl FromPath for FileId {
    fn from_path(segments: &[String]) -> wire::Result<Self> {
        segment(segments, 0)
    }
}

impl FromPath for UploadId {
    fn from_path(segments: &[String]) -> wire::Result<Self> {
        segment(segments, 0)
    }
}

impl<A: Id, B: Id> FromPath for (A, B) {
    fn from_path(segments: &[String]) -> wire::Result<Self> {
        Ok((segment(segments, 0)?, segment(segments, 1)?))
    }
}

impl<A: Id, B: Id, C: Id> FromPath for (A, B, C) {
    fn from_path(segments: &[String]) -> wire::Result<Self> {
        Ok((segment(segments, 0)?, segment(segments, 1)?, segment(segments, 2)?))
    }
}

/// A file of a vector store.
pub(super) struct InStore {
    pub(super) store: VectorStoreId,
    pub(super) id: FileId,
}

impl FromPath for InStore {
    fn from_path(segments: &[String]) -> wire::Result<Self> {
        let store: VectorStoreId = segment(segments, 0)?;
        let file = segments.get(1).map(String::as_str).unwrap_or_default();
        // Whatever is no id of a file is not in the store either.
        let id = FileId::parse(file).map_err(|_| wire::Error::not_in_store(file, store.as_str()))?;
        Ok(Self { store, id })
    }
}

/// A model's name, which has no form of its own.
pub(super) struct ModelName(pub(super) String);

impl FromPath for ModelName {
    fn from_path(segments: &[String]) -> wire::Result<Self> {
        Ok(Self(segments.first().cloned().unwrap_or_default()))
    }
}

impl<T: FromPath> FromRequestParts<App> for Path<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Fault> {
        let params = RawPathParams::from_request_parts(parts, app)
            .await
            .map_err(|_| wire::Error::invalid("The URL's path is not valid UTF-8."))?;
        let segments: Vec<String> = params.iter().map(|(_, value)| value.to_owned()).collect();
        Ok(Self(T::from_path(&segments)?))
    }
}

/// A request's query, checked. Keys that no endpoint knows are ignored, as `api-version` of Azure's clients.
pub(super) struct Query<T>(pub(super) T);

impl<T: Checked> FromRequestParts<App> for Query<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Fault> {
        let mut query = Map::new();
        for (key, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            if T::SHAPE.has_key(split_key(&key).0) {
                T::SHAPE.enter_text(&mut query, &key, value.into_owned());
            }
        }
        Ok(Self(T::read(Value::Object(query))?))
    }
}

/// A body: of a request, checked; or of an answer.
pub(super) struct Json<T>(pub(super) T);

impl<T: Checked> FromRequest<App> for Json<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, app: &App) -> Result<Self, Fault> {
        Ok(Self(T::read(body(request, app).await?)?))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response<Body> {
        answer::json(StatusCode::OK, &self.0)
    }
}

/// A request's body as JSON. An absent one is an empty object (contract §1).
pub(super) async fn body(request: Request, app: &App) -> Result<Value, Fault> {
    let bytes = Bytes::from_request(request, app)
        .await
        .map_err(|_| wire::Error::invalid("The request's body could not be read to its end."))?;
    if bytes.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    serde_json::from_slice(&bytes).map_err(|error| wire::Error::not_json(&error).into())
}
