//! What can be found in a store, kept in memory from one search to the next: its files, and its vectors.
//!
//! A store counts its changes; a search asks for the count first, so what is kept is never older than what was
//! committed, in whichever process.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use adjutant_retrieval::vectors::{Index, Vectors};
use adjutant_wire::VectorStoreId;
use anyhow::Context;
use tokio::time::Instant;

use crate::fault::Result;
use crate::store::{Project, SearchedFile, Store, StoreKey};

/// One store.
#[derive(Default)]
pub(super) struct Snapshot {
    /// The count of changes that it shows; before the first look none.
    changes: Option<i64>,
    /// The files in which something can be found, by number.
    pub(super) files: Vec<SearchedFile>,
    /// The vectors of those that are completed; none where the database finds them itself.
    pub(super) vectors: Option<Index>,
    /// Whose vectors are there, by number.
    loaded: BTreeSet<i64>,
}

impl Snapshot {
    /// The file of this number.
    pub(super) fn file(&self, number: i64) -> Option<&SearchedFile> {
        let at = self.files.binary_search_by_key(&number, |file| file.number).ok()?;
        self.files.get(at)
    }

    /// About what it takes in memory.
    fn bytes(&self) -> usize {
        let vectors = self.vectors.as_ref().map_or(0, Index::bytes);
        size_of::<Self>() + vectors + self.files.iter().map(file_bytes).sum::<usize>()
    }
}

fn file_bytes(file: &SearchedFile) -> usize {
    // Of a map and its values on the heap.
    const ATTRIBUTE: usize = 128;
    let attributes =
        file.attributes.iter().map(|(key, value)| ATTRIBUTE + key.len() + value.as_str().map_or(0, str::len));
    size_of_val(file) + file.id.len() + file.name.len() + attributes.sum::<usize>()
}

/// One store in memory, and who looks after it.
struct Kept {
    snapshot: Arc<RwLock<Snapshot>>,
    /// Held by the search that brings it up to date.
    updating: Arc<tokio::sync::Mutex<()>>,
    used: Instant,
}

/// Stores that were searched lately.
pub(super) struct Snapshots {
    kept: Mutex<HashMap<VectorStoreId, Kept>>,
    /// When they take more, those that were not used the longest are dropped.
    bytes: usize,
}

impl Snapshots {
    pub(super) fn new(bytes: usize) -> Self {
        Self { kept: Mutex::default(), bytes }
    }

    /// The store as it is now.
    pub(super) async fn of(
        &self,
        store: &Store,
        project: &Project,
        key: &StoreKey,
    ) -> Result<Arc<RwLock<Snapshot>>> {
        let id = &key.object.id;
        let (snapshot, updating) = self.kept(id);
        let _alone = updating.lock().await;
        if read(&snapshot).changes != Some(key.changes) {
            update(store, project, key, &snapshot).await?;
            self.make_room(id);
        }
        Ok(snapshot)
    }

    fn kept(&self, id: &VectorStoreId) -> (Arc<RwLock<Snapshot>>, Arc<tokio::sync::Mutex<()>>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = kept.entry(id.clone()).or_insert_with(|| Kept {
            snapshot: Arc::default(),
            updating: Arc::default(),
            used: Instant::now(),
        });
        entry.used = Instant::now();
        (Arc::clone(&entry.snapshot), Arc::clone(&entry.updating))
    }

    fn make_room(&self, except: &VectorStoreId) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sizes: Vec<(Instant, VectorStoreId, usize)> =
            kept.iter().map(|(id, entry)| (entry.used, id.clone(), read(&entry.snapshot).bytes())).collect();
        sizes.sort();
        let mut total: usize = sizes.iter().map(|(_, _, bytes)| bytes).sum();
        for (_, id, bytes) in sizes {
            if total <= self.bytes {
                return;
            }
            if id != *except {
                kept.remove(&id);
                total -= bytes;
            }
        }
    }
}

pub(super) fn read(snapshot: &RwLock<Snapshot>) -> std::sync::RwLockReadGuard<'_, Snapshot> {
    snapshot.read().unwrap_or_else(PoisonError::into_inner)
}

async fn update(store: &Store, project: &Project, key: &StoreKey, snapshot: &RwLock<Snapshot>) -> Result<()> {
    let mut reading = store.read(project).await?;
    let files = reading.searched_files(&key.object.id).await?;
    let completed: BTreeSet<i64> =
        files.iter().filter(|file| file.completed).map(|file| file.number).collect();
    let loaded = read(snapshot).loaded.clone();
    let mut new = Vec::new();
    if !store.finds_vectors() {
        for number in completed.difference(&loaded) {
            let bytes = reading.file_vectors(*number).await?.context("a completed file has no vectors")?;
            new.push((*number, Vectors::from_bytes(&bytes).map_err(anyhow::Error::from)?));
        }
    }
    drop(reading);
    let mut snapshot = snapshot.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(index) = &mut snapshot.vectors {
        for number in loaded.difference(&completed) {
            index.remove(handle(*number));
        }
    }
    for (number, vectors) in new {
        let dimensions = vectors.dimensions();
        let index = snapshot.vectors.get_or_insert_with(|| Index::new(dimensions));
        index.add(handle(number), vectors).map_err(anyhow::Error::from)?;
    }
    snapshot.loaded = completed;
    snapshot.files = files;
    snapshot.changes = Some(key.changes);
    Ok(())
}

/// A file's number as the index of vectors has it: numbers are given one after the other, and four thousand
/// million are not given.
pub(super) fn handle(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
