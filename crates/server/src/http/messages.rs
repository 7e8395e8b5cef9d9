//! `/threads/{thread_id}/messages`

use adjutant_wire::list::{List, ListQuery};
use adjutant_wire::messages::{CreateMessage, Message, ModifyMetadata};
use adjutant_wire::threads::Deleted;
use adjutant_wire::{MessageId, Metadata, ThreadId};

use super::extract::{Caller, Json, OnBusyThread, Path, Query};
use crate::app::App;
use crate::fault::Result;
use crate::store::Once;

pub(super) async fn create(
    app: App,
    once: Once,
    busy: OnBusyThread,
    Path(thread): Path<ThreadId>,
    Json(new): Json<CreateMessage>,
) -> Result<Json<Message>> {
    let _turn = busy.await_turn(&app, &once.project, &thread).await?;
    Ok(Json(app.engine.add_message(&once, &thread, new).await?))
}

pub(super) async fn list(
    app: App,
    Caller(project): Caller,
    Path(thread): Path<ThreadId>,
    Query(query): Query<ListQuery>,
) -> Result<Json<List<Message>>> {
    let mut store = app.store.read(&project).await?;
    store.thread(&thread).await?;
    Ok(Json(store.messages(&thread, &query).await?))
}

pub(super) async fn retrieve(
    app: App,
    Caller(project): Caller,
    Path((thread, id)): Path<(ThreadId, MessageId)>,
) -> Result<Json<Message>> {
    let mut store = app.store.read(&project).await?;
    store.thread(&thread).await?;
    Ok(Json(store.message(&thread, &id).await?))
}

pub(super) async fn modify(
    app: App,
    Caller(project): Caller,
    Path((thread, id)): Path<(ThreadId, MessageId)>,
    Json(changes): Json<ModifyMetadata>,
) -> Result<Json<Message>> {
    let mut tx = app.store.write(&project).await?;
    tx.thread(&thread).await?;
    let mut message = tx.lock_message(&thread, &id).await?;
    changes.metadata.apply_or(&mut message.metadata, Metadata::default);
    tx.update_message(&message).await?;
    tx.commit().await?;
    Ok(Json(message))
}

pub(super) async fn delete(
    app: App,
    Caller(project): Caller,
    Path((thread, id)): Path<(ThreadId, MessageId)>,
) -> Result<Json<Deleted>> {
    let mut tx = app.store.write(&project).await?;
    tx.thread(&thread).await?;
    tx.delete_message(&thread, &id).await?;
    tx.commit().await?;
    Ok(Json(Deleted::new(&id, "thread.message")))
}
