//! `/vector_stores/{vector_store_id}/files` and `/file_batches`

use adjutant_wire::list::List;
use adjutant_wire::threads::Deleted;
use adjutant_wire::vector_store_files::{
    AttachFile, CreateFileBatch, FileBatch, FileStatus, ListFiles, ModifyAttributes, VectorStoreFile,
};
use adjutant_wire::vector_stores::FileCounts;
use adjutant_wire::{FileBatchId, FileId, VectorStoreId};
use anyhow::Context;
use axum::body::Body;
use axum::http::Response;

use super::answer::polled;
use super::extract::{Caller, InStore, Json, Path, Query};
use crate::app::App;
use crate::fault::Result;
use crate::ids::fresh;
use crate::search::stores;
use crate::store::Once;

pub(super) async fn create(
    app: App,
    once: Once,
    Path(store): Path<VectorStoreId>,
    Json(new): Json<AttachFile>,
) -> Result<Response<Body>> {
    let mut tx = app.store.write_once(&once).await?;
    let lock = tx.lock_vector_store(&store).await?;
    let mut attached = stores::attach(&mut tx, &lock, &app.clock, vec![new]).await?;
    let file = attached.pop().context("a file was not attached")?;
    tx.remember(&once, &file).await?;
    tx.commit().await?;
    app.search.wake();
    Ok(answer(file))
}

fn answer(file: VectorStoreFile) -> Response<Body> {
    let busy = file.status == FileStatus::InProgress;
    polled(file, busy)
}

pub(super) async fn list(
    app: App,
    Caller(project): Caller,
    Path(store): Path<VectorStoreId>,
    Query(query): Query<ListFiles>,
) -> Result<Json<List<VectorStoreFile>>> {
    let mut reading = app.store.read(&project).await?;
    reading.store_key(&store).await?;
    Ok(Json(reading.vector_store_files(&store, &query).await?))
}

pub(super) async fn retrieve(
    app: App,
    Caller(project): Caller,
    Path(InStore { store, id }): Path<InStore>,
) -> Result<Response<Body>> {
    let mut reading = app.store.read(&project).await?;
    reading.store_key(&store).await?;
    Ok(answer(reading.vector_store_file(&store, &id).await?))
}

pub(super) async fn modify(
    app: App,
    Caller(project): Caller,
    Path(InStore { store, id }): Path<InStore>,
    Json(changes): Json<ModifyAttributes>,
) -> Result<Json<VectorStoreFile>> {
    let mut tx = app.store.write(&project).await?;
    let lock = tx.lock_vector_store(&store).await?;
    let mut file = tx.vector_store_file(&store, &id).await?;
    file.attributes = changes.attributes.unwrap_or_default();
    tx.update_attributes(&lock, &file).await?;
    tx.commit().await?;
    Ok(Json(file))
}

pub(super) async fn delete(
    app: App,
    Caller(project): Caller,
    Path(InStore { store, id }): Path<InStore>,
) -> Result<Json<Deleted>> {
    let mut tx = app.store.write(&project).await?;
    let lock = tx.lock_vector_store(&store).await?;
    tx.detach_file_from_store(&lock, &id).await?;
    tx.commit().await?;
    app.search.wake();
    Ok(Json(Deleted::new(&id, "vector_store.file")))
}

pub(super) async fn create_batch(
    app: App,
    once: Once,
    Path(store): Path<VectorStoreId>,
    Json(new): Json<CreateFileBatch>,
) -> Result<Response<Body>> {
    let mut tx = app.store.write_once(&once).await?;
    let lock = tx.lock_vector_store(&store).await?;
    let attached = stores::attach(&mut tx, &lock, &app.clock, new.into_files()).await?;
    let batch = FileBatch {
        id: fresh(),
        object: "vector_store.file_batch".to_owned(),
        created_at: app.clock.seconds(),
        status: FileStatus::InProgress,
        vector_store_id: store.clone(),
        file_counts: FileCounts::default(),
    };
    let files: Vec<FileId> = attached.into_iter().map(|file| file.id).collect();
    tx.add_file_batch(&lock, &batch, &files, app.clock.position()).await?;
    let batch = tx.file_batch(&store, &batch.id).await?;
    tx.remember(&once, &batch).await?;
    tx.commit().await?;
    app.search.wake();
    Ok(batch_answer(batch))
}

fn batch_answer(batch: FileBatch) -> Response<Body> {
    let busy = batch.status == FileStatus::InProgress;
    polled(batch, busy)
}

pub(super) async fn retrieve_batch(
    app: App,
    Caller(project): Caller,
    Path((store, id)): Path<(VectorStoreId, FileBatchId)>,
) -> Result<Response<Body>> {
    let mut reading = app.store.read(&project).await?;
    reading.store_key(&store).await?;
    Ok(batch_answer(reading.file_batch(&store, &id).await?))
}

pub(super) async fn list_batch_files(
    app: App,
    Caller(project): Caller,
    Path((store, id)): Path<(VectorStoreId, FileBatchId)>,
    Query(query): Query<ListFiles>,
) -> Result<Json<List<VectorStoreFile>>> {
    let mut reading = app.store.read(&project).await?;
    reading.store_key(&store).await?;
    reading.file_batch(&store, &id).await?;
    Ok(Json(reading.file_batch_files(&store, &id, &query).await?))
}

/// Cancels what a batch has in progress. A batch that is done answers as it is (recorded).
pub(super) async fn cancel_batch(
    app: App,
    Caller(project): Caller,
    Path((store, id)): Path<(VectorStoreId, FileBatchId)>,
) -> Result<Json<FileBatch>> {
    let mut tx = app.store.write(&project).await?;
    let lock = tx.lock_vector_store(&store).await?;
    let mut batch = tx.file_batch(&store, &id).await?;
    if batch.status == FileStatus::InProgress {
        batch.status = FileStatus::Cancelled;
        tx.cancel_file_batch(&lock, &batch).await?;
        batch = tx.file_batch(&store, &id).await?;
    }
    tx.commit().await?;
    app.search.wake();
    Ok(Json(batch))
}
