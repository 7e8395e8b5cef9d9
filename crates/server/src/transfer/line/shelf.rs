//! Files and vector stores: what requests could not have made is refused, what follows from others is left to follow.

use adjutant_wire as wire;
use adjutant_wire::Request;
use adjutant_wire::files::{CreateFile, File};
use adjutant_wire::vector_store_files::{AttachFile, FileStatus, VectorStoreFile};
use adjutant_wire::vector_stores::{CreateVectorStore, FileCounts, VectorStoreStatus};
use serde_json::{Map, Value, json};

use super::{check_time, typed};
use crate::store::{BatchAndFiles, StoreAndModel};

/// More than any model gives.
const MOST_DIMENSIONS: i64 = 1 << 16;
const LONGEST_MODEL: usize = 1_000;

pub(super) fn file(object: Map<String, Value>) -> wire::Result<File> {
    let file: File = typed(object, json!({"status": "processed"}))?;
    // What code made has a purpose that no request may name.
    CreateFile::SHAPE.check(&mut json!({"file": file.filename, "purpose": "assistants"}))?;
    if file.bytes < 0 {
        return Err(wire::Error::invalid("Invalid 'bytes': less than none."));
    }
    file.expires_at.map_or(Ok(()), |time| check_time("expires_at", time))?;
    Ok(file)
}

pub(super) fn vector_store(object: Map<String, Value>) -> wire::Result<StoreAndModel> {
    let defaults = json!({"metadata": {}, "usage_bytes": 0, "status": "completed",
        "file_counts": {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0}});
    let mut kept: StoreAndModel = typed(object, defaults)?;
    let store = &mut kept.store;
    store.usage_bytes = 0;
    store.file_counts = FileCounts::default();
    store.status = VectorStoreStatus::Completed;
    let mut request = json!({});
    for (key, value) in [
        ("name", json!(store.name)),
        ("description", json!(store.description)),
        ("expires_after", json!(store.expires_after)),
    ] {
        if !value.is_null() {
            request[key] = value;
        }
    }
    CreateVectorStore::SHAPE.check(&mut request)?;
    for (name, time) in [("expires_at", store.expires_at), ("last_active_at", store.last_active_at)] {
        time.map_or(Ok(()), |time| check_time(name, time))?;
    }
    if let Some(embedding) = &kept.embedding {
        let sound = (1..=MOST_DIMENSIONS).contains(&embedding.dimensions)
            && (1..=LONGEST_MODEL).contains(&embedding.model.len())
            && !embedding.model.contains('\0');
        if !sound {
            return Err(wire::Error::invalid(
                "Invalid 'embedding': a model and its dimensions are expected.",
            ));
        }
    }
    Ok(kept)
}

pub(super) fn store_file(object: Map<String, Value>) -> wire::Result<VectorStoreFile> {
    let file: VectorStoreFile = typed(object, json!({"attributes": {}, "usage_bytes": 0}))?;
    AttachFile::SHAPE.check(&mut json!({"file_id": file.id, "attributes": file.attributes,
        "chunking_strategy": file.chunking_strategy}))?;
    if file.usage_bytes < 0 {
        return Err(wire::Error::invalid("Invalid 'usage_bytes': less than none."));
    }
    Ok(file)
}

/// Of a batch it is kept only whether it was cancelled; the rest follows from its files.
pub(super) fn batch(object: Map<String, Value>) -> wire::Result<BatchAndFiles> {
    let mut kept: BatchAndFiles = typed(object, json!({}))?;
    kept.batch.file_counts = FileCounts::default();
    if kept.batch.status != FileStatus::Cancelled {
        kept.batch.status = FileStatus::InProgress;
    }
    Ok(kept)
}
