//! Making vector stores and attaching files to them, from wherever it is asked.

use adjutant_wire as wire;
use adjutant_wire::id::Id;
use adjutant_wire::vector_store_files::{AttachFile, FileStatus, VectorStoreFile};
use adjutant_wire::vector_stores::{
    ChunkingStrategy, CreateVectorStore, FileCounts, NewChunkingStrategy, VectorStore, VectorStoreStatus,
};
use adjutant_wire::{FileId, UnixSeconds};

use crate::clock::Clock;
use crate::fault::{Fault, Result};
use crate::ids::fresh;
use crate::store::{StoreLock, Writing};

/// The most files of one store. OpenAI's was 10,000 until November 2025 and is far more since (contract §2).
const MOST_FILES: i64 = 1_000_000;

/// Makes a store with its first files. Whoever commits wakes the readers of files.
///
/// # Errors
/// 404 where a file is missing.
pub async fn create(tx: &mut Writing, clock: &Clock, new: CreateVectorStore) -> Result<StoreLock> {
    let now = clock.seconds();
    let mut store = VectorStore {
        id: fresh(),
        object: "vector_store".to_owned(),
        created_at: now,
        name: new.name,
        description: new.description,
        usage_bytes: 0,
        file_counts: FileCounts::default(),
        status: VectorStoreStatus::Completed,
        expires_after: new.expires_after,
        expires_at: None,
        last_active_at: None,
        metadata: new.metadata,
    };
    store.used(now);
    let lock = tx.add_vector_store(store, clock.position()).await?;
    let files = alike(new.file_ids, new.chunking_strategy);
    attach(tx, &lock, clock, files).await?;
    Ok(lock)
}

/// Files that are attached with nothing said of each.
pub fn alike(file_ids: Vec<String>, chunking_strategy: Option<NewChunkingStrategy>) -> Vec<AttachFile> {
    let file = |file_id| AttachFile {
        file_id,
        attributes: wire::vector_store_files::Attributes::new(),
        chunking_strategy,
    };
    file_ids.into_iter().map(file).collect()
}

/// Attaches files to a locked store, to be read in their order. Whoever commits wakes the readers of files.
///
/// # Errors
/// 404 where a file is missing; 400 where the store has expired or is full.
pub async fn attach(
    tx: &mut Writing,
    lock: &StoreLock,
    clock: &Clock,
    files: Vec<AttachFile>,
) -> Result<Vec<VectorStoreFile>> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    refuse_expired(&lock.object, clock.seconds())?;
    let ids = files.iter().map(|file| file.file_id.as_str());
    let names = names_of(tx, ids, clock.seconds()).await?;
    let there = tx.count_vector_store_files(&lock.object.id).await?;
    if there.saturating_add(i64::try_from(files.len()).unwrap_or(i64::MAX)) > MOST_FILES {
        let message =
            format!("Vector store {} has too many files: at most {MOST_FILES} fit.", lock.object.id);
        return Err(wire::Error::invalid(message).into());
    }
    let mut attached = Vec::with_capacity(files.len());
    for (file, (id, name)) in files.into_iter().zip(names) {
        let file = VectorStoreFile {
            id,
            object: "vector_store.file".to_owned(),
            usage_bytes: 0,
            created_at: clock.seconds(),
            vector_store_id: lock.object.id.clone(),
            status: FileStatus::InProgress,
            last_error: None,
            chunking_strategy: ChunkingStrategy::from(file.chunking_strategy),
            attributes: file.attributes,
        };
        let due_at = clock.milliseconds();
        attached.push(tx.attach_file(lock, file, &name, clock.position(), due_at).await?);
    }
    Ok(attached)
}

/// Files that the body of a request names, each with its own name.
///
/// # Errors
/// 404 where some are missing, which it tells, as recorded.
pub(super) async fn names_of(
    tx: &mut Writing,
    ids: impl Iterator<Item = &str>,
    now: UnixSeconds,
) -> Result<Vec<(FileId, String)>> {
    let mut names = Vec::new();
    let mut missing = Vec::new();
    for file in ids {
        let found = match FileId::parse(file) {
            Ok(id) => tx.file(&id, now).await.map(|found| (id, found.filename)),
            Err(error) => Err(error.into()),
        };
        match found {
            Ok(named) => names.push(named),
            Err(Fault::Refused(_)) => missing.push(file),
            Err(fault @ (Fault::Answered(_) | Fault::Broken(_) | Fault::Unavailable(_))) => {
                return Err(fault);
            }
        }
    }
    if missing.is_empty() {
        return Ok(names);
    }
    let message = format!("Files [{}] were not found", missing.join(", "));
    Err(wire::Error { status: 404, ..wire::Error::invalid(message) }.into())
}

/// # Errors
/// 400 where the store has expired.
pub fn refuse_expired(store: &VectorStore, now: UnixSeconds) -> wire::Result<()> {
    if !store.is_expired(now) {
        return Ok(());
    }
    let code = Some("vector_store_expired");
    Err(wire::Error { code, ..wire::Error::invalid(format!("Vector store {} has expired.", store.id)) })
}
