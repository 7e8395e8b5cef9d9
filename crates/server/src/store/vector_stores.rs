//! Vector stores.
//!
//! Whoever writes to a store, its files, passages or words locks the store's row first: so writers of one store
//! wait for each other and never in a circle.

use std::collections::HashMap;

use adjutant_wire::id::Id;
use adjutant_wire::list::{List, ListQuery};
use adjutant_wire::vector_stores::{FileCounts, VectorStore};
use adjutant_wire::{UnixSeconds, VectorStoreId};
use sqlx::AssertSqlSafe;

use super::objects::{Stored, read};
use super::vector_store_files::file_status;
use super::{Reading, Store, Writing};
use crate::fault::Result;

impl Stored for VectorStore {
    type Id = VectorStoreId;
    const TABLE: &'static str = "vector_stores";

    fn id(&self) -> &VectorStoreId {
        &self.id
    }
}

/// What a search needs to know of a store.
#[derive(Clone, Debug)]
pub struct StoreKey {
    /// Stands for the store in the index.
    pub number: i64,
    /// The embedding model of all its vectors; empty until the first file is embedded.
    pub model: String,
    /// How long they are.
    pub dimensions: i64,
    /// How many passages there are.
    pub chunks: i64,
    /// Another number means that something else can be found.
    pub changes: i64,
    /// The object, without what follows from its files.
    pub object: VectorStore,
}

/// Proof that this transaction holds a store: nobody else writes to it meanwhile.
#[derive(Debug)]
pub struct StoreLock {
    /// The store, without what follows from its files.
    pub object: VectorStore,
    /// Stands for the store in the index.
    pub(super) number: i64,
}

impl Store {
    /// Numbers for what the index names; none is ever given again.
    pub(super) async fn next_number(tx: &mut Writing) -> Result<i64> {
        let (number,): (i64,) =
            sqlx::query_as("update numbers set last = last + 1 where name = 'search' returning last")
                .fetch_one(tx.connection())
                .await?;
        Ok(number)
    }

    /// Notes that a store was used, where it has not been noted in this second.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn use_vector_store(
        &self,
        project: &super::Project,
        id: &VectorStoreId,
        now: UnixSeconds,
    ) -> Result<()> {
        let mut tx = self.write(project).await?;
        let mut lock = tx.lock_vector_store(id).await?;
        if lock.object.last_active_at < Some(now) && !lock.object.is_expired(now) {
            lock.object.used(now);
            tx.update_vector_store(&lock).await?;
        }
        tx.commit().await
    }
}

impl Reading {
    /// The store, or its 404.
    pub async fn vector_store(&mut self, id: &VectorStoreId, now: UnixSeconds) -> Result<VectorStore> {
        let mut store: VectorStore = self.object(id, &[]).await?;
        let (counts, usage) = self.file_counts(&[id.as_str()]).await?.remove(id.as_str()).unwrap_or_default();
        store.fill_in(counts, usage, now);
        Ok(store)
    }

    /// A page of the project's stores.
    pub async fn vector_stores(&mut self, query: &ListQuery, now: UnixSeconds) -> Result<List<VectorStore>> {
        let mut page: List<VectorStore> = self.page(query, &[]).await?;
        let ids: Vec<&str> = page.data.iter().map(|store| store.id.as_str()).collect();
        let mut counted = self.file_counts(&ids).await?;
        for store in &mut page.data {
            let (counts, usage) = counted.remove(store.id.as_str()).unwrap_or_default();
            store.fill_in(counts, usage, now);
        }
        Ok(page)
    }

    /// What a search needs to know of a store.
    ///
    /// # Errors
    /// 404 where there is none.
    pub async fn store_key(&mut self, id: &VectorStoreId) -> Result<StoreKey> {
        let row: Option<(i64, String, i64, i64, i64, String)> = sqlx::query_as(
            "select number, model, dimensions, chunks, changes, object from vector_stores where id = $1 and project = $2",
        )
        .bind(id.as_str())
        .bind(self.project())
        .fetch_optional(self.connection())
        .await?;
        let Some((number, model, dimensions, chunks, changes, object)) = row else {
            return Err(id.missing().into());
        };
        Ok(StoreKey { number, model, dimensions, chunks, changes, object: read(&object)? })
    }

    /// How many files of each of these stores are how far, and how many bytes they use.
    async fn file_counts(&mut self, ids: &[&str]) -> Result<HashMap<String, (FileCounts, i64)>> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let places: Vec<String> = (0..ids.len()).map(|n| format!("${}", n + 2)).collect();
        let sql = format!(
            "select store_id, status, count(*), cast(sum(usage_bytes) as bigint) from vector_store_files \
             where project = $1 and store_id in ({}) group by store_id, status",
            places.join(", ")
        );
        let mut query =
            sqlx::query_as::<_, (String, String, i64, i64)>(AssertSqlSafe(sql)).bind(self.project());
        for id in ids {
            query = query.bind(*id);
        }
        let mut counted: HashMap<String, (FileCounts, i64)> = HashMap::new();
        for (store, status, files, bytes) in query.fetch_all(self.connection()).await? {
            let (counts, usage) = counted.entry(store).or_default();
            counts.add(file_status(&status)?, files);
            *usage += bytes;
        }
        Ok(counted)
    }
}

impl Writing {
    /// Stores a new store, locked.
    pub async fn add_vector_store(&mut self, store: VectorStore, position: i64) -> Result<StoreLock> {
        let number = Store::next_number(self).await?;
        sqlx::query(
            "insert into vector_stores (id, project, position, number, model, dimensions, changes, chunks, words, object) \
             values ($1, $2, $3, $4, '', 0, 0, 0, 0, $5)",
        )
        .bind(store.id.as_str())
        .bind(self.project())
        .bind(position)
        .bind(number)
        .bind(serde_json::to_string(&store)?)
        .execute(self.connection())
        .await?;
        Ok(StoreLock { object: store, number })
    }

    /// Locks a store until the transaction ends.
    ///
    /// # Errors
    /// 404 where there is none.
    pub async fn lock_vector_store(&mut self, id: &VectorStoreId) -> Result<StoreLock> {
        let row: Option<(i64, String)> = sqlx::query_as(
            "update vector_stores set position = position where id = $1 and project = $2 returning number, object",
        )
        .bind(id.as_str())
        .bind(self.project())
        .fetch_optional(self.connection())
        .await?;
        let Some((number, object)) = row else { return Err(id.missing().into()) };
        Ok(StoreLock { object: read(&object)?, number })
    }

    /// Stores a locked store's new state.
    pub async fn update_vector_store(&mut self, lock: &StoreLock) -> Result<()> {
        self.store(&lock.object).await
    }

    /// Notes that something else can be found in a locked store now.
    pub(super) async fn change_what_is_found(&mut self, store_number: i64) -> Result<()> {
        sqlx::query("update vector_stores set changes = changes + 1 where number = $1 and project = $2")
            .bind(store_number)
            .bind(self.project())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Sets the embedding model of a store that has none, and tells which one it has now.
    pub async fn settle_model(
        &mut self,
        store_number: i64,
        model: &str,
        dimensions: i64,
    ) -> Result<(String, i64)> {
        let settled = sqlx::query_as(
            "update vector_stores set model = (case when model = '' then $1 else model end), \
             dimensions = (case when model = '' then $2 else dimensions end) \
             where number = $3 and project = $4 returning model, dimensions",
        )
        .bind(model)
        .bind(dimensions)
        .bind(store_number)
        .bind(self.project())
        .fetch_one(self.connection())
        .await?;
        Ok(settled)
    }

    /// Deletes a store and takes it out of all that names it. Its files stay files; their passages are found no
    /// more and taken away later.
    ///
    /// # Errors
    /// 404 where there is none.
    pub async fn delete_vector_store(&mut self, id: &VectorStoreId) -> Result<()> {
        // Before the store: who attaches a message's file locks the thread first, and then its store.
        self.release_resource(id.as_str()).await?;
        let lock = self.lock_vector_store(id).await?;
        let id = lock.object.id.as_str().to_owned();
        sqlx::query(
            "insert into detached (number, store_number, project) \
             select number, $1, project from vector_store_files where store_id = $2 and project = $3 on conflict do nothing",
        )
        .bind(lock.number)
        .bind(id.as_str())
        .bind(self.project())
        .execute(self.connection())
        .await?;
        for statement in [
            "delete from vector_store_files where store_id = $1 and project = $2",
            "delete from file_batches where store_id = $1 and project = $2",
            "delete from vector_stores where id = $1 and project = $2",
        ] {
            sqlx::query(statement).bind(id.as_str()).bind(self.project()).execute(self.connection()).await?;
        }
        sqlx::query("delete from file_batch_files where store_id = $1")
            .bind(id)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
