//! Batches of files in vector stores.

use adjutant_wire::id::Id;
use adjutant_wire::vector_store_files::{FileBatch, FileStatus, VectorStoreFile};
use adjutant_wire::vector_stores::FileCounts;
use adjutant_wire::{FileBatchId, FileId, VectorStoreId};

use super::objects::{Stored, read};
use super::vector_store_files::file_status;
use super::vector_stores::StoreLock;
use super::{Reading, Writing};
use crate::fault::Result;

impl Stored for FileBatch {
    type Id = FileBatchId;
    const TABLE: &'static str = "file_batches";

    fn id(&self) -> &FileBatchId {
        &self.id
    }
}

impl Reading {
    /// The batch of this store, or its 404.
    pub async fn file_batch(&mut self, store: &VectorStoreId, id: &FileBatchId) -> Result<FileBatch> {
        let mut batch: FileBatch = self.object(id, &[("store_id", store.as_str())]).await?;
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "select f.status, count(*) from file_batch_files b join vector_store_files f \
             on f.store_id = b.store_id and f.id = b.file_id \
             where b.batch_id = $1 and b.store_id = $2 and f.project = $3 group by f.status",
        )
        .bind(id.as_str())
        .bind(store.as_str())
        .bind(self.project())
        .fetch_all(self.connection())
        .await?;
        let mut counts = FileCounts::default();
        for (status, files) in rows {
            counts.add(file_status(&status)?, files);
        }
        batch.fill_in(counts);
        Ok(batch)
    }
}

impl Writing {
    /// Stores a new batch of files that are in the locked store.
    pub async fn add_file_batch(
        &mut self,
        lock: &StoreLock,
        batch: &FileBatch,
        files: &[FileId],
        position: i64,
    ) -> Result<()> {
        sqlx::query(
            "insert into file_batches (id, project, store_id, position, object) values ($1, $2, $3, $4, $5)",
        )
        .bind(batch.id.as_str())
        .bind(self.project())
        .bind(lock.object.id.as_str())
        .bind(position)
        .bind(serde_json::to_string(batch)?)
        .execute(self.connection())
        .await?;
        for file in files {
            sqlx::query(
                "insert into file_batch_files (batch_id, store_id, file_id) values ($1, $2, $3) on conflict do nothing",
            )
            .bind(batch.id.as_str())
            .bind(lock.object.id.as_str())
            .bind(file.as_str())
            .execute(self.connection())
            .await?;
        }
        Ok(())
    }

    /// Cancels a batch of the locked store: files of it that are in progress stop where they are, and what was
    /// read of them is forgotten.
    pub async fn cancel_file_batch(&mut self, lock: &StoreLock, batch: &FileBatch) -> Result<()> {
        self.store(batch).await?;
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "select f.number, f.object from file_batch_files b join vector_store_files f \
             on f.store_id = b.store_id and f.id = b.file_id \
             where b.batch_id = $1 and b.store_id = $2 and f.project = $3 and f.status = 'in_progress'",
        )
        .bind(batch.id.as_str())
        .bind(lock.object.id.as_str())
        .bind(self.project())
        .fetch_all(self.connection())
        .await?;
        for (number, object) in rows {
            let mut file: VectorStoreFile = read(&object)?;
            file.status = FileStatus::Cancelled;
            file.usage_bytes = 0;
            self.forget_chunks(number, lock.number).await?;
            sqlx::query(
                "update vector_store_files set status = $1, object = $2, readable = 0, usage_bytes = 0, lease_owner = '', \
                 lease_token = lease_token + 1 where store_id = $3 and id = $4 and project = $5",
            )
            .bind(file.status.as_str())
            .bind(serde_json::to_string(&file)?)
            .bind(lock.object.id.as_str())
            .bind(file.id.as_str())
            .bind(self.project())
            .execute(self.connection())
            .await?;
        }
        self.change_what_is_found(lock.number).await
    }
}
