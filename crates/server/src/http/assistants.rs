//! `/assistants`

use adjutant_wire::assistants::{Assistant, CreateAssistant, ModifyAssistant};
use adjutant_wire::list::{List, ListQuery};
use adjutant_wire::threads::Deleted;
use adjutant_wire::{AssistantId, Patch};

use super::extract::{Caller, Json, Path, Query};
use crate::app::App;
use crate::fault::Result;
use crate::ids::fresh;
use crate::search::resources;
use crate::store::Once;

pub(super) async fn create(
    app: App,
    once: Once,
    Json(mut new): Json<CreateAssistant>,
) -> Result<Json<Assistant>> {
    app.upstreams.refuse_unknown(&new.model).await?;
    let mut tx = app.store.write_once(&once).await?;
    let resources = resources::settle(&mut tx, &app.clock, std::mem::take(&mut new.tool_resources)).await?;
    let assistant = new.into_assistant(fresh(), app.clock.seconds(), resources);
    tx.add_assistant(&assistant, app.clock.position()).await?;
    tx.remember(&once, &assistant).await?;
    tx.commit().await?;
    app.search.wake();
    Ok(Json(assistant))
}

pub(super) async fn list(
    app: App,
    Caller(project): Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<List<Assistant>>> {
    Ok(Json(app.store.read(&project).await?.assistants(&query).await?))
}

pub(super) async fn retrieve(
    app: App,
    Caller(project): Caller,
    Path(id): Path<AssistantId>,
) -> Result<Json<Assistant>> {
    Ok(Json(app.store.read(&project).await?.assistant(&id).await?))
}

pub(super) async fn modify(
    app: App,
    Caller(project): Caller,
    Path(id): Path<AssistantId>,
    Json(changes): Json<ModifyAssistant>,
) -> Result<Json<Assistant>> {
    if let Some(model) = &changes.model {
        app.upstreams.refuse_unknown(model).await?;
    }
    let mut tx = app.store.write(&project).await?;
    let mut assistant = tx.lock_assistant(&id).await?;
    if let Patch::Set(resources) = &changes.tool_resources {
        resources::refuse_missing(&mut tx, resources, app.clock.seconds()).await?;
    }
    changes.apply(&mut assistant);
    tx.update_assistant(&assistant).await?;
    tx.commit().await?;
    Ok(Json(assistant))
}

pub(super) async fn delete(
    app: App,
    Caller(project): Caller,
    Path(id): Path<AssistantId>,
) -> Result<Json<Deleted>> {
    let mut tx = app.store.write(&project).await?;
    tx.delete_assistant(&id).await?;
    tx.commit().await?;
    Ok(Json(Deleted::new(&id, "assistant")))
}
