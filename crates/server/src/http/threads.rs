//! `/threads`

use adjutant_wire::list::List;
use adjutant_wire::threads::{CreateThread, Deleted, ListThreads, ModifyThread, Thread};
use adjutant_wire::tools::ToolResources;
use adjutant_wire::{Metadata, Patch, ThreadId};

use super::extract::{Caller, Json, Path, Query};
use crate::app::App;
use crate::fault::Result;
use crate::search::resources;
use crate::store::Once;

pub(super) async fn create(app: App, once: Once, Json(new): Json<CreateThread>) -> Result<Json<Thread>> {
    Ok(Json(app.engine.create_thread(&once, new).await?))
}

pub(super) async fn list(
    app: App,
    Caller(project): Caller,
    Query(query): Query<ListThreads>,
) -> Result<Json<List<Thread>>> {
    Ok(Json(app.store.read(&project).await?.threads(&query).await?))
}

pub(super) async fn retrieve(
    app: App,
    Caller(project): Caller,
    Path(id): Path<ThreadId>,
) -> Result<Json<Thread>> {
    Ok(Json(app.store.read(&project).await?.thread(&id).await?))
}

pub(super) async fn modify(
    app: App,
    Caller(project): Caller,
    Path(id): Path<ThreadId>,
    Json(changes): Json<ModifyThread>,
) -> Result<Json<Thread>> {
    let mut tx = app.store.write(&project).await?;
    tx.lock_thread(&id, 0, 0).await?;
    let mut thread = tx.thread(&id).await?;
    if let Patch::Set(resources) = &changes.tool_resources {
        resources::refuse_missing(&mut tx, resources, app.clock.seconds()).await?;
    }
    changes.metadata.apply_or(&mut thread.metadata, Metadata::default);
    changes.tool_resources.apply_or(&mut thread.tool_resources, ToolResources::default);
    tx.update_thread(&thread).await?;
    tx.commit().await?;
    Ok(Json(thread))
}

pub(super) async fn delete(
    app: App,
    Caller(project): Caller,
    Path(id): Path<ThreadId>,
) -> Result<Json<Deleted>> {
    app.engine.delete_thread(&project, &id).await?;
    Ok(Json(Deleted::new(&id, "thread")))
}
