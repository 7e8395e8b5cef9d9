//! `/vector_stores`

use adjutant_retrieval::rank::Weights;
use adjutant_wire::VectorStoreId;
use adjutant_wire::list::{List, ListQuery};
use adjutant_wire::passages::{HowToSearch, HowToShow};
use adjutant_wire::search::{Ranker, SearchStore};
use adjutant_wire::steps::FoundText;
use adjutant_wire::threads::Deleted;
use adjutant_wire::vector_stores::{CreateVectorStore, ModifyVectorStore, Page, SearchResult, VectorStore};
use axum::body::Body;
use axum::http::Response;
use axum::response::IntoResponse;

use super::answer::polled;
use super::extract::{Caller, InStore, Json, Path, Query};
use crate::app::App;
use crate::fault::Result;
use crate::search::{Question, stores, weights};
use crate::store::Once;

pub(super) async fn create(
    app: App,
    once: Once,
    Json(new): Json<CreateVectorStore>,
) -> Result<Json<VectorStore>> {
    let mut tx = app.store.write_once(&once).await?;
    let lock = stores::create(&mut tx, &app.clock, new).await?;
    let store = tx.vector_store(&lock.object.id, app.clock.seconds()).await?;
    tx.remember(&once, &store).await?;
    tx.commit().await?;
    app.search.wake();
    Ok(Json(store))
}

pub(super) async fn list(
    app: App,
    Caller(project): Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<List<VectorStore>>> {
    let now = app.clock.seconds();
    Ok(Json(app.store.read(&project).await?.vector_stores(&query, now).await?))
}

pub(super) async fn retrieve(
    app: App,
    Caller(project): Caller,
    Path(id): Path<VectorStoreId>,
) -> Result<Response<Body>> {
    let store = app.store.read(&project).await?.vector_store(&id, app.clock.seconds()).await?;
    let busy = store.file_counts.in_progress > 0;
    Ok(polled(store, busy))
}

pub(super) async fn modify(
    app: App,
    Caller(project): Caller,
    Path(id): Path<VectorStoreId>,
    Json(changes): Json<ModifyVectorStore>,
) -> Result<Json<VectorStore>> {
    let now = app.clock.seconds();
    let mut tx = app.store.write(&project).await?;
    let mut lock = tx.lock_vector_store(&id).await?;
    stores::refuse_expired(&lock.object, now)?;
    changes.apply(&mut lock.object, now);
    tx.update_vector_store(&lock).await?;
    let store = tx.vector_store(&id, now).await?;
    tx.commit().await?;
    Ok(Json(store))
}

pub(super) async fn delete(
    app: App,
    Caller(project): Caller,
    Path(id): Path<VectorStoreId>,
) -> Result<Json<Deleted>> {
    let mut tx = app.store.write(&project).await?;
    tx.delete_vector_store(&id).await?;
    tx.commit().await?;
    app.search.wake();
    Ok(Json(Deleted::new(&id, "vector_store")))
}

pub(super) async fn search(
    app: App,
    Caller(project): Caller,
    Path(id): Path<VectorStoreId>,
    Query(how): Query<HowToSearch>,
    Json(asked): Json<SearchStore>,
) -> Result<Json<Page<SearchResult>>> {
    let ranking = asked.ranking_options;
    let mut question = Question {
        queries: asked.query,
        max_num_results: asked.max_num_results,
        score_threshold: ranking.score_threshold,
        filter: asked.filters,
        weights: match ranking.ranker {
            Ranker::None => Weights::MEANING,
            Ranker::Auto => weights(ranking.hybrid_search),
        },
        explain: how.explain,
    };
    if asked.rewrite_query {
        question.queries = app.search.rewrite(&question.queries).await;
    }
    let stores = [id.to_string()];
    let hits = app.search.search(&project, &stores, &question, app.clock.seconds()).await?;
    let results = hits.into_iter().map(|hit| SearchResult {
        file_id: hit.file_id,
        filename: hit.file_name,
        score: hit.score,
        attributes: hit.attributes,
        content: vec![FoundText::new(hit.text)],
        explanation: hit.explanation,
    });
    Ok(Json(Page::of_results(question.queries, results.collect())))
}

/// The text of a file as it was read; or its passages, which are ours.
pub(super) async fn content(
    app: App,
    Caller(project): Caller,
    Path(InStore { store, id }): Path<InStore>,
    Query(how): Query<HowToShow>,
) -> Result<Response<Body>> {
    if how.passages {
        let passages = app.search.passages(&project, &store, &id).await?;
        return Ok(Json(Page::of_content(passages)).into_response());
    }
    let text = app.search.content(&project, &store, &id).await?;
    Ok(Json(Page::of_content(text.into_iter().map(FoundText::new).collect())).into_response())
}
