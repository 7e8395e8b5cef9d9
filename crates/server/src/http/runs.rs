//! `/threads/{thread_id}/runs` and `/threads/runs`

use adjutant_wire::list::{List, ListQuery};
use adjutant_wire::messages::ModifyMetadata;
use adjutant_wire::runs::{CreateRun, CreateThreadAndRun, Run, SubmitToolOutputs};
use adjutant_wire::{Metadata, RunId, ThreadId};
use axum::body::Body;
use axum::http::Response;
use axum::http::header::HeaderValue;
use axum::response::IntoResponse;

use super::extract::{Caller, Json, Path, Query};
use super::frame::POLL_AFTER;
use super::stream;
use crate::app::App;
use crate::fault::Result;
use crate::runs::{Started, refuse_live};

/// Between two looks of a client that polls.
const POLL_AFTER_MILLISECONDS: HeaderValue = HeaderValue::from_static("250");

pub(super) async fn create(
    app: App,
    Caller(project): Caller,
    Path(thread): Path<ThreadId>,
    Json(new): Json<CreateRun>,
) -> Result<Response<Body>> {
    let started = app.engine.create(&project, &thread, new).await?;
    Ok(answer(&app, started))
}

pub(super) async fn create_with_thread(
    app: App,
    Caller(project): Caller,
    Json(new): Json<CreateThreadAndRun>,
) -> Result<Response<Body>> {
    let (thread, run) = new.split();
    let started = app.engine.create_with_thread(&project, thread, run).await?;
    Ok(answer(&app, started))
}

pub(super) async fn submit_tool_outputs(
    app: App,
    Caller(project): Caller,
    Path((thread, id)): Path<(ThreadId, RunId)>,
    Json(new): Json<SubmitToolOutputs>,
) -> Result<Response<Body>> {
    let started = app.engine.submit(&project, &thread, &id, new).await?;
    Ok(answer(&app, started))
}

fn answer(app: &App, started: Started) -> Response<Body> {
    match started.stream {
        Some(events) => stream::answer(events, app.keepalive),
        None => polled(started.run),
    }
}

fn polled(run: Run) -> Response<Body> {
    let live = !run.status.is_terminal();
    let mut response = Json(run).into_response();
    if live {
        response.headers_mut().insert(POLL_AFTER, POLL_AFTER_MILLISECONDS);
    }
    response
}

pub(super) async fn list(
    app: App,
    Caller(project): Caller,
    Path(thread): Path<ThreadId>,
    Query(query): Query<ListQuery>,
) -> Result<Json<List<Run>>> {
    let mut store = app.store.read(&project).await?;
    store.thread(&thread).await?;
    Ok(Json(store.runs(&thread, &query).await?))
}

pub(super) async fn retrieve(
    app: App,
    Caller(project): Caller,
    Path((thread, id)): Path<(ThreadId, RunId)>,
) -> Result<Response<Body>> {
    let mut store = app.store.read(&project).await?;
    store.thread(&thread).await?;
    Ok(polled(store.run(&thread, &id).await?))
}

pub(super) async fn modify(
    app: App,
    Caller(project): Caller,
    Path((thread, id)): Path<(ThreadId, RunId)>,
    Json(changes): Json<ModifyMetadata>,
) -> Result<Json<Run>> {
    let mut tx = app.store.write(&project).await?;
    tx.thread(&thread).await?;
    let mut run = tx.lock_run(&thread, &id).await?;
    refuse_live(&run)?;
    changes.metadata.apply_or(&mut run.metadata, Metadata::default);
    tx.update_ended_run(&run).await?;
    tx.commit().await?;
    Ok(Json(run))
}

pub(super) async fn cancel(
    app: App,
    Caller(project): Caller,
    Path((thread, id)): Path<(ThreadId, RunId)>,
) -> Result<Json<Run>> {
    Ok(Json(app.engine.cancel(&project, &thread, &id).await?))
}
