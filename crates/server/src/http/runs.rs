//! `/threads/{thread_id}/runs` and `/threads/runs`

use adjutant_wire::list::{List, ListQuery};
use adjutant_wire::messages::ModifyMetadata;
use adjutant_wire::runs::{
    CreateRun, CreateThreadAndRun, IncludeInRun, ModelRequests, Run, SubmitToolOutputs,
};
use adjutant_wire::steps::Include;
use adjutant_wire::{Metadata, RunId, ThreadId};
use axum::body::Body;
use axum::http::{HeaderMap, Response};

use super::answer;
use super::extract::{Caller, Events, Json, OnBusyThread, Path, Query};
use super::stream;
use crate::app::App;
use crate::fault::Result;
use crate::runs::{Begin, Started, Telling, refuse_live};
use crate::store::{Once, Project};

pub(super) async fn create(
    app: App,
    once: Once,
    busy: OnBusyThread,
    events: Events,
    Query(include): Query<IncludeInRun>,
    Path(thread): Path<ThreadId>,
    Json(mut new): Json<CreateRun>,
) -> Result<Response<Body>> {
    new.include = include;
    let _turn = busy.await_turn(&app, &once.project, &thread).await?;
    let followed = events.take_over(&mut new.stream);
    let started = app.engine.create(&once, &thread, new).await?;
    if followed {
        return follow(&app, &once.project, &started.run, Begin::Run, include.shown).await;
    }
    Ok(answer(&app, started))
}

pub(super) async fn create_with_thread(
    app: App,
    once: Once,
    events: Events,
    Query(include): Query<IncludeInRun>,
    Json(new): Json<CreateThreadAndRun>,
) -> Result<Response<Body>> {
    let (thread, mut run) = new.split();
    run.include = include;
    let followed = events.take_over(&mut run.stream);
    let started = app.engine.create_with_thread(&once, thread, run).await?;
    if followed {
        let begin = started.thread.as_ref().map_or(Begin::Run, Begin::Thread);
        return follow(&app, &once.project, &started.run, begin, include.shown).await;
    }
    Ok(answer(&app, started))
}

pub(super) async fn submit_tool_outputs(
    app: App,
    once: Once,
    events: Events,
    Query(include): Query<Include>,
    Path((thread, id)): Path<(ThreadId, RunId)>,
    Json(mut new): Json<SubmitToolOutputs>,
) -> Result<Response<Body>> {
    new.include = include;
    let followed = events.take_over(&mut new.stream);
    let project = &once.project;
    let waiting = if followed { app.engine.last_event_id(project, &thread, &id).await? } else { None };
    let started = app.engine.submit(&once, &thread, &id, new).await?;
    if followed {
        let begin = waiting.as_deref().map_or(Begin::Run, Begin::After);
        return follow(&app, project, &started.run, begin, include).await;
    }
    Ok(answer(&app, started))
}

/// The events of a run that is at work, or was: all of them, or those after `Last-Event-ID`. Ours; OpenAI's
/// streams could not be taken up again.
pub(super) async fn stream_events(
    app: App,
    Caller(project): Caller,
    Query(include): Query<Include>,
    Path((thread, id)): Path<(ThreadId, RunId)>,
    headers: HeaderMap,
) -> Result<Response<Body>> {
    let last = headers.get("last-event-id").map(|id| id.to_str().unwrap_or("?"));
    let begin = last.map_or(Begin::Run, Begin::After);
    let run = app.store.read(&project).await?.run(&thread, &id).await?;
    follow(&app, &project, &run, begin, include).await
}

async fn follow(
    app: &App,
    project: &Project,
    run: &Run,
    begin: Begin<'_>,
    include: Include,
) -> Result<Response<Body>> {
    let telling = Telling { include, ids: true };
    let events = app.engine.follow(project, &run.thread_id, &run.id, begin, telling).await?;
    Ok(stream::answer(events, app.keepalive))
}

fn answer(app: &App, started: Started) -> Response<Body> {
    match started.stream {
        Some(events) => stream::answer(events, app.keepalive),
        None => polled(started.run),
    }
}

fn polled(run: Run) -> Response<Body> {
    let live = !run.status.is_terminal();
    answer::polled(run, live)
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

/// What the run's model was asked, where `include[]=model_requests` created it. Ours; OpenAI showed it to nobody.
pub(super) async fn model_requests(
    app: App,
    Caller(project): Caller,
    Path((thread, id)): Path<(ThreadId, RunId)>,
) -> Result<Json<ModelRequests>> {
    let mut store = app.store.read(&project).await?;
    let run = store.run(&thread, &id).await?;
    Ok(Json(ModelRequests { object: "list".to_owned(), data: store.model_requests(&run).await? }))
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
