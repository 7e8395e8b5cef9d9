//! Stores that are to be embedded again, since the operator has changed the model.

use adjutant_wire::VectorStoreId;
use adjutant_wire::id::Id;
use adjutant_wire::vector_store_files::{FileStatus, VectorStoreFile};

use super::objects::read;
use super::vector_stores::StoreLock;
use super::{Project, Store, Writing};
use crate::fault::{Fault, Result};

impl Store {
    /// Gives this model to every store that has another one, and has its files embedded again from `due_at`
    /// (milliseconds since 1970) on. Until then they are found by their words. Tells how many stores there were.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn reembed(&self, model: &str, dimensions: i64, due_at: i64) -> Result<usize> {
        let stores: Vec<(String, String)> =
            sqlx::query_as("select id, project from vector_stores where model <> '' and model <> $1")
                .bind(model)
                .fetch_all(&self.reads)
                .await?;
        for (id, project) in &stores {
            let mut tx = self.write(&Project::new(project)).await?;
            match tx.lock_vector_store(&VectorStoreId::from_checked(id.clone())).await {
                Ok(lock) => tx.forget_vectors(&lock, model, dimensions, due_at).await?,
                // Deleted meanwhile.
                Err(Fault::Refused(_)) => {}
                Err(fault @ (Fault::Answered(_) | Fault::Broken(_) | Fault::Unavailable(_))) => {
                    return Err(fault);
                }
            }
            tx.commit().await?;
        }
        Ok(stores.len())
    }
}

impl Writing {
    async fn forget_vectors(
        &mut self,
        lock: &StoreLock,
        model: &str,
        dimensions: i64,
        due_at: i64,
    ) -> Result<()> {
        let store = lock.object.id.as_str();
        sqlx::query("update vector_stores set model = $1, dimensions = $2 where id = $3 and project = $4")
            .bind(model)
            .bind(dimensions)
            .bind(store)
            .bind(self.project())
            .execute(self.connection())
            .await?;
        self.drop_vectors(lock.number).await?;
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "select number, object from vector_store_files where store_id = $1 and project = $2 and status = 'completed'",
        )
        .bind(store)
        .bind(self.project())
        .fetch_all(self.connection())
        .await?;
        for (number, object) in rows {
            let mut file: VectorStoreFile = read(&object)?;
            file.status = FileStatus::InProgress;
            sqlx::query("delete from file_vectors where number = $1 and project = $2")
                .bind(number)
                .bind(self.project())
                .execute(self.connection())
                .await?;
            sqlx::query(
                "update vector_store_files set status = $1, due_at = $2, failures = 0, object = $3 \
                 where number = $4 and project = $5",
            )
            .bind(file.status.as_str())
            .bind(due_at)
            .bind(serde_json::to_string(&file)?)
            .bind(number)
            .bind(self.project())
            .execute(self.connection())
            .await?;
        }
        self.change_what_is_found(lock.number).await
    }
}
