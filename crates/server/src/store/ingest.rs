//! Files on their way into vector stores, and the leases under which they are worked on: as with runs, whoever
//! writes shows its lease, and a write under an older one changes nothing.

use adjutant_wire::id::Id;
use adjutant_wire::vector_store_files::{FileStatus, VectorStoreFile};
use adjutant_wire::{FileId, VectorStoreId};

use super::chunks::id_of;
use super::objects::read;
use super::vector_stores::StoreLock;
use super::{News, Project, Store, Writing, leases};
use crate::fault::Result;

/// Proof of a claim. Only claiming makes one, and attaching a file that is claimed from the beginning.
#[derive(Clone, Debug)]
pub struct FileLease {
    project: Project,
    store: VectorStoreId,
    store_number: i64,
    file: String,
    number: i64,
    token: i64,
}

impl FileLease {
    /// The claim to a file that was attached in this transaction with a token of 1.
    pub(super) fn first(project: Project, lock: &StoreLock, file: &FileId, number: i64) -> Self {
        let (store, file) = (lock.object.id.clone(), file.as_str().to_owned());
        Self { project, store, store_number: lock.number, file, number, token: 1 }
    }

    /// Whose file it is.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// Stands for the file in its passages.
    pub fn number(&self) -> i64 {
        self.number
    }

    /// The id of the file's passage that has this place among them.
    pub fn passage(&self, place: i64) -> i64 {
        id_of(self.number, place)
    }

    /// Stands for the store in the index.
    pub fn store_number(&self) -> i64 {
        self.store_number
    }
}

/// What is to be done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IngestStage {
    /// It is to be read and cut.
    Read,
    /// Its passages are to be embedded; they can be found by their words already.
    Embed,
}

impl IngestStage {
    fn readable(self) -> i64 {
        match self {
            Self::Read => 0,
            Self::Embed => 1,
        }
    }
}

/// A file and the right to work on it.
#[derive(Clone, Debug)]
pub struct ClaimedFile {
    /// The right.
    pub lease: FileLease,
    /// The file in its store.
    pub file: VectorStoreFile,
    /// Its name.
    pub name: String,
    /// How often work on it failed before.
    pub failures: i64,
}

impl Store {
    /// Claims the file that has been due for a stage the longest, if any, for the process `owner` until `until`
    /// (milliseconds since 1970). Of several processes that try at once, one succeeds.
    ///
    /// # Errors
    /// Where the database fails, or a stored file cannot be read.
    pub async fn claim_file(
        &self,
        stage: IngestStage,
        owner: &str,
        now: i64,
        until: i64,
    ) -> Result<Option<ClaimedFile>> {
        loop {
            let row: Option<(String, String, String)> = sqlx::query_as(
                "select store_id, id, project from vector_store_files \
                 where status = 'in_progress' and due_at <= $1 and readable = $2 order by due_at, position limit 1",
            )
            .bind(now)
            .bind(stage.readable())
            .fetch_optional(&self.reads)
            .await?;
            let Some((store, file, project)) = row else { return Ok(None) };
            let mut tx = self.write(&Project::new(&project)).await?;
            let store = VectorStoreId::from_checked(store);
            let claimed = tx.claim_file(stage, store, &file, owner, now, until).await?;
            tx.commit().await?;
            // Of several processes that saw it, one gets it; the others look again.
            if claimed.is_some() {
                return Ok(claimed);
            }
        }
    }

    /// Makes every file due whose lease belongs to `owner`, or to anybody where that is `None`. Whoever had them can
    /// write no more.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn release_files(&self, owner: Option<&str>) -> Result<u64> {
        self.release(leases::FILES, owner).await
    }
}

impl Writing {
    async fn claim_file(
        &mut self,
        stage: IngestStage,
        store: VectorStoreId,
        file: &str,
        owner: &str,
        now: i64,
        until: i64,
    ) -> Result<Option<ClaimedFile>> {
        let lock = match self.lock_vector_store(&store).await {
            Ok(lock) => lock,
            Err(crate::fault::Fault::Refused(_)) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let row: Option<(String, String, i64, i64, i64)> = sqlx::query_as(
            "update vector_store_files set lease_owner = $1, lease_token = lease_token + 1, due_at = $2 \
             where store_id = $3 and id = $4 and project = $5 and status = 'in_progress' and due_at <= $6 and readable = $7 \
             returning object, name, number, lease_token, failures",
        )
        .bind(owner)
        .bind(until)
        .bind(store.as_str())
        .bind(file)
        .bind(self.project())
        .bind(now)
        .bind(stage.readable())
        .fetch_optional(self.connection())
        .await?;
        let Some((object, name, mut number, token, failures)) = row else { return Ok(None) };
        if token > 1 && stage == IngestStage::Read {
            // What another worker left of it may be half of it: it begins anew, under another number.
            self.forget_chunks(number, lock.number).await?;
            number = Store::next_number(self).await?;
            sqlx::query(
                "update vector_store_files set number = $1 where store_id = $2 and id = $3 and project = $4",
            )
            .bind(number)
            .bind(store.as_str())
            .bind(file)
            .bind(self.project())
            .execute(self.connection())
            .await?;
        }
        let lease = FileLease {
            project: self.reading.project.clone(),
            store,
            store_number: lock.number,
            file: file.to_owned(),
            number,
            token,
        };
        Ok(Some(ClaimedFile { lease, file: read(&object)?, name, failures }))
    }

    /// Locks the store and the file and extends the lease, if it still holds.
    pub async fn hold_file(&mut self, lease: &FileLease, until: i64) -> Result<bool> {
        match self.lock_vector_store(&lease.store).await {
            Ok(_) => {}
            Err(crate::fault::Fault::Refused(_)) => return Ok(false),
            Err(fault) => return Err(fault),
        }
        let held = sqlx::query(
            "update vector_store_files set due_at = $1 where store_id = $2 and id = $3 and project = $4 \
             and number = $5 and lease_token = $6 and status = 'in_progress'",
        )
        .bind(until)
        .bind(lease.store.as_str())
        .bind(lease.file.as_str())
        .bind(self.project())
        .bind(lease.number)
        .bind(lease.token)
        .execute(self.connection())
        .await?
        .rows_affected();
        Ok(held == 1)
    }

    /// Lets a held file be found by its words, and any worker embed it.
    pub async fn make_readable(&mut self, lease: &FileLease, due_at: i64) -> Result<()> {
        sqlx::query(
            "update vector_store_files set readable = 1, due_at = $1, lease_owner = '' \
             where store_id = $2 and id = $3 and project = $4",
        )
        .bind(due_at)
        .bind(lease.store.as_str())
        .bind(lease.file.as_str())
        .bind(self.project())
        .execute(self.connection())
        .await?;
        self.announce(News::FileMoved);
        self.change_what_is_found(lease.store_number).await
    }

    /// Ends the work on a held file: it is completed, or failed and nothing of it is found. Its attributes, which
    /// its client may have changed meanwhile, stay.
    pub async fn end_file(&mut self, lease: &FileLease, ended: &VectorStoreFile) -> Result<()> {
        let completed = ended.status == FileStatus::Completed;
        let current = self.vector_store_file(&lease.store, &ended.id).await?;
        let object = VectorStoreFile { attributes: current.attributes, ..ended.clone() };
        sqlx::query(
            "update vector_store_files set status = $1, readable = $2, usage_bytes = $3, object = $4, lease_owner = '' \
             where store_id = $5 and id = $6 and project = $7",
        )
        .bind(object.status.as_str())
        .bind(i64::from(completed))
        .bind(object.usage_bytes)
        .bind(serde_json::to_string(&object)?)
        .bind(lease.store.as_str())
        .bind(lease.file.as_str())
        .bind(self.project())
        .execute(self.connection())
        .await?;
        self.announce(News::FileMoved);
        if !completed {
            self.forget_chunks(lease.number, lease.store_number).await?;
        }
        self.change_what_is_found(lease.store_number).await
    }

    /// Puts a held file off until `due_at`, when any worker may take it up again.
    pub async fn put_off_file(&mut self, lease: &FileLease, due_at: i64) -> Result<()> {
        sqlx::query(
            "update vector_store_files set due_at = $1, lease_owner = '', failures = failures + 1 \
             where store_id = $2 and id = $3 and project = $4",
        )
        .bind(due_at)
        .bind(lease.store.as_str())
        .bind(lease.file.as_str())
        .bind(self.project())
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
