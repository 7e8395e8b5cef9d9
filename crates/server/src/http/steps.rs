//! `/threads/{thread_id}/runs/{run_id}/steps`

use adjutant_wire::list::{List, ListQuery};
use adjutant_wire::steps::{Include, Step};
use adjutant_wire::{RunId, StepId, ThreadId};

use super::extract::{Caller, Json, Path, Query};
use crate::app::App;
use crate::fault::Result;

pub(super) async fn list(
    app: App,
    Caller(project): Caller,
    Path((thread, run)): Path<(ThreadId, RunId)>,
    Query(query): Query<ListQuery>,
    Query(include): Query<Include>,
) -> Result<Json<List<Step>>> {
    let mut store = app.store.read(&project).await?;
    store.thread(&thread).await?;
    store.run(&thread, &run).await?;
    let mut steps = store.steps(&run, &query).await?;
    steps.data = steps.data.into_iter().map(|step| step.shown(include).at_rest()).collect();
    Ok(Json(steps))
}

pub(super) async fn retrieve(
    app: App,
    Caller(project): Caller,
    Path((thread, run, id)): Path<(ThreadId, RunId, StepId)>,
    Query(include): Query<Include>,
) -> Result<Json<Step>> {
    let mut store = app.store.read(&project).await?;
    store.thread(&thread).await?;
    store.run(&thread, &run).await?;
    Ok(Json(store.step(&run, &id).await?.shown(include).at_rest()))
}
