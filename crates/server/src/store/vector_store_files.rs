//! Files in vector stores.

use adjutant_wire as wire;
use adjutant_wire::id::Id;
use adjutant_wire::list::List;
use adjutant_wire::vector_store_files::{Attributes, FileStatus, ListFiles, VectorStoreFile};
use adjutant_wire::{FileBatchId, FileId, VectorStoreId};
use anyhow::Context;

use super::objects::{Cursor, Stored, read};
use super::vector_stores::StoreLock;
use super::{News, Reading, Store, Writing};
use crate::fault::{Fault, Result};

impl Stored for VectorStoreFile {
    type Id = FileId;
    const TABLE: &'static str = "vector_store_files";

    fn id(&self) -> &FileId {
        &self.id
    }
}

/// The files of a batch, as a table with the batch's id.
const FILES_OF_BATCHES: &str = "(select f.*, b.batch_id from file_batch_files b join vector_store_files f \
                                on f.store_id = b.store_id and f.id = b.file_id) as files_of_batches";

/// A file as a search sees it.
#[derive(Clone, Debug)]
pub struct SearchedFile {
    /// Stands for it in its passages.
    pub number: i64,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it has all its vectors.
    pub completed: bool,
    /// What it can be filtered by.
    pub attributes: Attributes,
}

pub(super) fn file_status(word: &str) -> Result<FileStatus> {
    let status = serde_json::from_value(serde_json::Value::String(word.to_owned()));
    Ok(status.context("a stored status could not be read")?)
}

/// What is refused of a file is told of its place in a store.
fn not_in_store(fault: Fault, store: &VectorStoreId, file: &str) -> Fault {
    match fault {
        Fault::Refused(_) => wire::Error::not_in_store(file, store.as_str()).into(),
        Fault::Answered(_) | Fault::Broken(_) | Fault::Unavailable(_) => fault,
    }
}

impl Reading {
    /// The file of this store, or its 404.
    pub async fn vector_store_file(&mut self, store: &VectorStoreId, id: &FileId) -> Result<VectorStoreFile> {
        let found = self.object(id, &[("store_id", store.as_str())]).await;
        found.map_err(|fault| not_in_store(fault, store, id.as_str()))
    }

    /// The file's number, by which its passages are found.
    pub async fn vector_store_file_number(&mut self, store: &VectorStoreId, id: &FileId) -> Result<i64> {
        let row: Option<(i64,)> = sqlx::query_as(
            "select number from vector_store_files where store_id = $1 and id = $2 and project = $3",
        )
        .bind(store.as_str())
        .bind(id.as_str())
        .bind(self.project())
        .fetch_optional(self.connection())
        .await?;
        row.map(|(number,)| number)
            .ok_or_else(|| wire::Error::not_in_store(id.as_str(), store.as_str()).into())
    }

    /// A page of a store's files.
    pub async fn vector_store_files(
        &mut self,
        store: &VectorStoreId,
        query: &ListFiles,
    ) -> Result<List<VectorStoreFile>> {
        let mut within = vec![("store_id", store.as_str())];
        if let Some(status) = query.filter {
            within.push(("status", status.as_str()));
        }
        let after = self.cursor_in_store(store, query.page.after.as_deref()).await?;
        let before = self.cursor_in_store(store, query.page.before.as_deref()).await?;
        self.page_between(VectorStoreFile::TABLE, &query.page, &within, (after, before)).await
    }

    /// A page of a batch's files.
    pub async fn file_batch_files(
        &mut self,
        store: &VectorStoreId,
        batch: &FileBatchId,
        query: &ListFiles,
    ) -> Result<List<VectorStoreFile>> {
        let mut within = vec![("store_id", store.as_str()), ("batch_id", batch.as_str())];
        if let Some(status) = query.filter {
            within.push(("status", status.as_str()));
        }
        let after = self.cursor_in_store(store, query.page.after.as_deref()).await?;
        let before = self.cursor_in_store(store, query.page.before.as_deref()).await?;
        self.page_between(FILES_OF_BATCHES, &query.page, &within, (after, before)).await
    }

    /// The place of a file among those of its store. One that has another status by now, or is of another batch,
    /// is still a place to go on from.
    async fn cursor_in_store(&mut self, store: &VectorStoreId, id: Option<&str>) -> Result<Option<Cursor>> {
        let found = self.cursor::<VectorStoreFile>(id, &[("store_id", store.as_str())]).await;
        found.map_err(|fault| not_in_store(fault, store, id.unwrap_or_default()))
    }

    /// The files of a store in which something can be found.
    pub async fn searched_files(&mut self, store: &VectorStoreId) -> Result<Vec<SearchedFile>> {
        let rows: Vec<(i64, String, String, String, String)> = sqlx::query_as(
            "select number, id, name, status, object from vector_store_files \
             where store_id = $1 and project = $2 and readable = 1 order by number",
        )
        .bind(store.as_str())
        .bind(self.project())
        .fetch_all(self.connection())
        .await?;
        let searched = |(number, id, name, status, object): (i64, String, String, String, String)| {
            let file: VectorStoreFile = read(&object)?;
            let completed = file_status(&status)? == FileStatus::Completed;
            Ok(SearchedFile { number, id, name, completed, attributes: file.attributes })
        };
        rows.into_iter().map(searched).collect()
    }

    /// Whether a file of the store is still being read.
    pub async fn has_files_in_progress(&mut self, store: &VectorStoreId) -> Result<bool> {
        let row: Option<(String,)> = sqlx::query_as(
            "select id from vector_store_files where store_id = $1 and status = 'in_progress' and project = $2 limit 1",
        )
        .bind(store.as_str())
        .bind(self.project())
        .fetch_optional(self.connection())
        .await?;
        Ok(row.is_some())
    }

    /// How many files a store has.
    pub async fn count_vector_store_files(&mut self, store: &VectorStoreId) -> Result<i64> {
        let (count,): (i64,) =
            sqlx::query_as("select count(*) from vector_store_files where store_id = $1 and project = $2")
                .bind(store.as_str())
                .bind(self.project())
                .fetch_one(self.connection())
                .await?;
        Ok(count)
    }
}

impl Writing {
    /// Attaches a file that is to be read from `due_at` (milliseconds since 1970) on. Attached again it stays as
    /// it is, unless it is to be cut otherwise, or failed or was cancelled: then it is read again. Attributes
    /// that the request names replace those that it had.
    pub async fn attach_file(
        &mut self,
        lock: &StoreLock,
        file: VectorStoreFile,
        name: &str,
        position: i64,
        due_at: i64,
    ) -> Result<VectorStoreFile> {
        let store = lock.object.id.clone();
        match self.vector_store_file(&store, &file.id).await {
            Ok(known) if stays(&known, &file) && file.attributes.is_empty() => return Ok(known),
            Ok(known) if stays(&known, &file) => {
                let kept = VectorStoreFile { attributes: file.attributes, ..known };
                self.update_attributes(lock, &kept).await?;
                return Ok(kept);
            }
            Ok(_) => self.detach_file_from(lock, &file.id).await?,
            Err(Fault::Refused(_)) => {}
            Err(fault @ (Fault::Answered(_) | Fault::Broken(_) | Fault::Unavailable(_))) => {
                return Err(fault);
            }
        }
        let number = Store::next_number(self).await?;
        sqlx::query(
            "insert into vector_store_files (id, store_id, project, position, number, name, status, usage_bytes, \
             readable, due_at, lease_owner, lease_token, failures, object) \
             values ($1, $2, $3, $4, $5, $6, $7, 0, 0, $8, '', 0, 0, $9)",
        )
        .bind(file.id.as_str())
        .bind(store.as_str())
        .bind(self.project())
        .bind(position)
        .bind(number)
        .bind(name)
        .bind(file.status.as_str())
        .bind(due_at)
        .bind(serde_json::to_string(&file)?)
        .execute(self.connection())
        .await?;
        self.announce(News::FileDue);
        Ok(file)
    }

    /// Stores a file's new attributes.
    pub async fn update_attributes(&mut self, lock: &StoreLock, file: &VectorStoreFile) -> Result<()> {
        sqlx::query(
            "update vector_store_files set object = $1 where store_id = $2 and id = $3 and project = $4",
        )
        .bind(serde_json::to_string(file)?)
        .bind(lock.object.id.as_str())
        .bind(file.id.as_str())
        .bind(self.project())
        .execute(self.connection())
        .await?;
        self.change_what_is_found(lock.number).await
    }

    /// Takes a file out of a locked store and out of its batches: nothing of it is found any more. Its passages are
    /// taken away later.
    ///
    /// # Errors
    /// 404 where it is not in the store.
    pub async fn detach_file_from_store(&mut self, lock: &StoreLock, id: &FileId) -> Result<()> {
        self.detach_file_from(lock, id).await?;
        sqlx::query("delete from file_batch_files where store_id = $1 and file_id = $2")
            .bind(lock.object.id.as_str())
            .bind(id.as_str())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    pub(super) async fn detach_file_from(&mut self, lock: &StoreLock, id: &FileId) -> Result<()> {
        let row: Option<(i64,)> = sqlx::query_as(
            "delete from vector_store_files where store_id = $1 and id = $2 and project = $3 returning number",
        )
        .bind(lock.object.id.as_str())
        .bind(id.as_str())
        .bind(self.project())
        .fetch_optional(self.connection())
        .await?;
        let Some((number,)) = row else {
            return Err(wire::Error::not_in_store(id.as_str(), lock.object.id.as_str()).into());
        };
        self.forget_chunks(number, lock.number).await?;
        self.change_what_is_found(lock.number).await
    }

    /// Has the passages of an attachment taken away later.
    pub(super) async fn forget_chunks(&mut self, number: i64, store_number: i64) -> Result<()> {
        sqlx::query(
            "insert into detached (number, store_number, project) values ($1, $2, $3) on conflict do nothing",
        )
        .bind(number)
        .bind(store_number)
        .bind(self.project())
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Takes a file out of all stores of the project that it is in.
    pub async fn detach_file_everywhere(&mut self, id: &FileId) -> Result<()> {
        let rows: Vec<(String,)> = sqlx::query_as(
            "select store_id from vector_store_files where id = $1 and project = $2 order by store_id",
        )
        .bind(id.as_str())
        .bind(self.project())
        .fetch_all(self.connection())
        .await?;
        for (store,) in rows {
            let lock = match self.lock_vector_store(&VectorStoreId::from_checked(store)).await {
                Ok(lock) => lock,
                // Deleted meanwhile, and the file taken out with it.
                Err(Fault::Refused(_)) => continue,
                Err(fault @ (Fault::Answered(_) | Fault::Broken(_) | Fault::Unavailable(_))) => {
                    return Err(fault);
                }
            };
            match self.detach_file_from_store(&lock, id).await {
                Ok(()) | Err(Fault::Refused(_)) => {}
                Err(fault @ (Fault::Answered(_) | Fault::Broken(_) | Fault::Unavailable(_))) => {
                    return Err(fault);
                }
            }
        }
        Ok(())
    }
}

/// Whether a file that is attached again need not be read again.
fn stays(known: &VectorStoreFile, again: &VectorStoreFile) -> bool {
    known.chunking_strategy == again.chunking_strategy
        && matches!(known.status, FileStatus::InProgress | FileStatus::Completed)
}
