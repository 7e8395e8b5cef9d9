//! Files, vector stores and what is in them, page by page in order, and those from elsewhere with the ids that they
//! have.

use adjutant_wire::files::File;
use adjutant_wire::id::Id;
use adjutant_wire::vector_store_files::{FileBatch, FileStatus, VectorStoreFile};
use adjutant_wire::vector_stores::VectorStore;
use adjutant_wire::{FileBatchId, FileId, VectorStoreId};
use serde::{Deserialize, Serialize};

use super::ingest::FileLease;
use super::objects::read;
use super::transfer::brought;
use super::vector_stores::StoreLock;
use super::{Brought, Mark, Project, Reading, Store, Writing};
use crate::fault::Result;

/// Names an import in leases, in the place of a process.
const OWNER: &str = "import";

/// A store and what its vectors are of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoreAndModel {
    /// The store.
    #[serde(flatten)]
    pub store: VectorStore,
    /// Null until its first file was embedded.
    pub embedding: Option<EmbeddingModel>,
}

/// What the vectors of a store are of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbeddingModel {
    /// The model's name.
    pub model: String,
    /// How long they are.
    pub dimensions: i64,
}

/// A batch and its files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchAndFiles {
    /// The batch.
    #[serde(flatten)]
    pub batch: FileBatch,
    /// Those that were attached with it.
    pub file_ids: Vec<FileId>,
}

/// What became of a file that was in a store elsewhere.
#[derive(Debug)]
pub enum Attached {
    /// It is in the store and has nothing more to get: it failed there, or is to be read here.
    Whole,
    /// It is in the store, and its passages are to follow under this lease. Without them it is read here.
    Awaited(FileLease),
    /// It was here already.
    Known,
    /// It is in the store otherwise than it was there, and was left as it is.
    Other,
}

impl Store {
    /// The projects that have anything, by name.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn projects(&self) -> Result<Vec<Project>> {
        let rows: Vec<(String,)> = sqlx::query_as(
            "select project from assistants union select project from threads union select project from files \
             union select project from vector_stores order by project",
        )
        .fetch_all(&self.reads)
        .await?;
        Ok(rows.into_iter().map(|(name,)| Project::new(&name)).collect())
    }
}

impl Reading {
    /// The next files, also those whose time has run out and that nobody has taken away yet.
    pub async fn next_files(&mut self, mark: &mut Mark) -> Result<Vec<(i64, File)>> {
        self.next(mark, &[]).await
    }

    /// The next vector stores, without what follows from their files.
    pub async fn next_vector_stores(&mut self, mark: &mut Mark) -> Result<Vec<(i64, VectorStore)>> {
        self.next(mark, &[]).await
    }

    /// A store's next files.
    pub async fn next_store_files(
        &mut self,
        store: &VectorStoreId,
        mark: &mut Mark,
    ) -> Result<Vec<(i64, VectorStoreFile)>> {
        self.next(mark, &[("store_id", store.as_str())]).await
    }

    /// A store's next batches, without what follows from their files.
    pub async fn next_batches(
        &mut self,
        store: &VectorStoreId,
        mark: &mut Mark,
    ) -> Result<Vec<(i64, FileBatch)>> {
        self.next(mark, &[("store_id", store.as_str())]).await
    }

    /// The ids of a batch's files, of which some may be in the store no longer.
    pub async fn files_of_batch(&mut self, store: &VectorStoreId, id: &FileBatchId) -> Result<Vec<FileId>> {
        let rows: Vec<(String,)> = sqlx::query_as(
            "select b.file_id from file_batch_files b join vector_stores s on s.id = b.store_id \
             where b.batch_id = $1 and b.store_id = $2 and s.project = $3 order by b.file_id",
        )
        .bind(id.as_str())
        .bind(store.as_str())
        .bind(self.project())
        .fetch_all(self.connection())
        .await?;
        Ok(rows.into_iter().map(|(id,)| FileId::from_checked(id)).collect())
    }

    /// Whether the project has a file of this id, and if so, the same one.
    pub async fn known_file(&mut self, file: &File) -> Result<Option<Brought>> {
        self.known(file, |stored| stored).await
    }

    /// The name of a file, whether its time has run out or not.
    async fn name_of_file(&mut self, id: &FileId) -> Result<String> {
        let file: File = self.object(id, &[]).await?;
        Ok(file.filename)
    }
}

impl Writing {
    /// Stores a file with the id that it has, whose bytes are in the blob store under this key.
    ///
    /// # Errors
    /// Where the bytes were given up meanwhile.
    pub async fn bring_file(&mut self, file: &File, position: i64, blob: &str) -> Result<Brought> {
        if let Some(known) = self.known_file(file).await? {
            return Ok(known);
        }
        let added = self.insert_file(file, position, blob).await?;
        if added {
            self.hold_blob(blob).await?;
        }
        Ok(brought(u64::from(added)))
    }

    /// A store that is used moves on by itself, so only what its client said of it is compared.
    pub(super) async fn bring_vector_store(
        &mut self,
        brought_store: &StoreAndModel,
        position: i64,
    ) -> Result<Brought> {
        let store = &brought_store.store;
        let unmoved = |stored: VectorStore| VectorStore {
            last_active_at: store.last_active_at,
            expires_at: store.expires_at,
            ..stored
        };
        if let Some(known) = self.known(store, unmoved).await? {
            return Ok(known);
        }
        let number = Store::next_number(self).await?;
        let embedding = brought_store.embedding.as_ref();
        let added = sqlx::query(
            "insert into vector_stores (id, project, position, number, model, dimensions, changes, chunks, words, object) \
             values ($1, $2, $3, $4, $5, $6, 0, 0, 0, $7) on conflict do nothing",
        )
        .bind(store.id.as_str())
        .bind(self.project())
        .bind(position)
        .bind(number)
        .bind(embedding.map_or("", |embedding| embedding.model.as_str()).to_owned())
        .bind(embedding.map_or(0, |embedding| embedding.dimensions))
        .bind(serde_json::to_string(store)?)
        .execute(self.connection())
        .await?;
        Ok(brought(added.rows_affected()))
    }

    pub(super) async fn bring_batch(&mut self, whole: &BatchAndFiles, position: i64) -> Result<Brought> {
        let batch = &whole.batch;
        let lock = self.lock_vector_store(&batch.vector_store_id).await?;
        if let Some(known) = self.known(batch, |stored| stored).await? {
            return Ok(known);
        }
        let other = sqlx::query("select id from file_batches where id = $1").bind(batch.id.as_str());
        if other.fetch_optional(self.connection()).await?.is_some() {
            return Ok(Brought::Other);
        }
        self.add_file_batch(&lock, batch, &whole.file_ids, position).await?;
        Ok(Brought::New)
    }

    /// Puts a file into a store in which it was elsewhere. One that was completed there is in progress here until
    /// its passages have come, for which whoever brings them has until `until`; one that was in progress is due at
    /// `now` (both in milliseconds since 1970). One that is here, but not yet completed as it was there, is brought
    /// again.
    ///
    /// # Errors
    /// 404 where the store or the file is not here.
    pub async fn bring_store_file(
        &mut self,
        file: &VectorStoreFile,
        position: i64,
        (now, until): (i64, i64),
    ) -> Result<Attached> {
        let lock = self.lock_vector_store(&file.vector_store_id).await?;
        let name = self.name_of_file(&file.id).await?;
        match self.known_in_store(&lock, file).await? {
            Some(known) if !is_same(&known, file) => return Ok(Attached::Other),
            Some(known) if known.status == file.status || file.status != FileStatus::Completed => {
                return Ok(Attached::Known);
            }
            Some(_) => self.detach_file_from(&lock, &file.id).await?,
            None => {}
        }
        let number = Store::next_number(self).await?;
        let comes = file.status == FileStatus::Completed;
        let status = if comes { FileStatus::InProgress } else { file.status };
        let object = VectorStoreFile { status, usage_bytes: 0, ..file.clone() };
        sqlx::query(
            "insert into vector_store_files (id, store_id, project, position, number, name, status, usage_bytes, \
             readable, due_at, lease_owner, lease_token, failures, object) \
             values ($1, $2, $3, $4, $5, $6, $7, 0, 0, $8, $9, $10, 0, $11)",
        )
        .bind(file.id.as_str())
        .bind(file.vector_store_id.as_str())
        .bind(self.project())
        .bind(position)
        .bind(number)
        .bind(name)
        .bind(status.as_str())
        .bind(if comes { until } else { now })
        .bind(if comes { OWNER } else { "" })
        .bind(i64::from(comes))
        .bind(serde_json::to_string(&object)?)
        .execute(self.connection())
        .await?;
        if !comes {
            return Ok(Attached::Whole);
        }
        Ok(Attached::Awaited(FileLease::first(self.reading.project.clone(), &lock, &file.id, number)))
    }

    async fn known_in_store(
        &mut self,
        lock: &StoreLock,
        file: &VectorStoreFile,
    ) -> Result<Option<VectorStoreFile>> {
        let row: Option<(String,)> = sqlx::query_as(
            "select object from vector_store_files where store_id = $1 and id = $2 and project = $3",
        )
        .bind(lock.object.id.as_str())
        .bind(file.id.as_str())
        .bind(self.project())
        .fetch_optional(self.connection())
        .await?;
        row.map(|(object,)| read(&object)).transpose()
    }
}

/// Whether a file was attached by the same request, however far it is by now.
fn is_same(here: &VectorStoreFile, there: &VectorStoreFile) -> bool {
    here.created_at == there.created_at
        && here.chunking_strategy == there.chunking_strategy
        && here.attributes == there.attributes
}
