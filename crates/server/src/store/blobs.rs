//! Keys of blobs that no row holds: what is being written, and what is to be deleted.
//!
//! A key is entered before its first byte is written and leaves in the transaction that gives it to a row, so at
//! any moment a blob has a row or an entry here. Entries that are due are condemned first, which shuts them to
//! rows, and deleted then: a blob that a row holds is never deleted.

use anyhow::anyhow;

use super::{Store, Writing};
use crate::fault::Result;

/// Keys condemned in one go.
const AT_ONCE: i64 = 100;

impl Store {
    /// Enters a key under which something will be written. It may be deleted from `due_at` on, in milliseconds
    /// since 1970, unless that is moved on before.
    pub async fn enter_blob(&self, blob: &str, due_at: i64) -> Result<()> {
        let mut open = self.writer.begin().await?;
        sqlx::query("insert into loose_blobs (blob, due_at, condemned) values ($1, $2, 0)")
            .bind(blob.to_owned())
            .bind(due_at)
            .execute(open.connection())
            .await?;
        open.commit().await
    }

    /// Moves on when an entered key may be deleted. False where it was condemned meanwhile: then it is lost.
    pub async fn keep_blob(&self, blob: &str, due_at: i64) -> Result<bool> {
        let mut open = self.writer.begin().await?;
        let kept = sqlx::query("update loose_blobs set due_at = $1 where blob = $2 and condemned = 0")
            .bind(due_at)
            .bind(blob.to_owned())
            .execute(open.connection())
            .await?
            .rows_affected();
        open.commit().await?;
        Ok(kept == 1)
    }

    /// Makes all entered keys due: whoever wrote under them is dead.
    pub async fn release_blobs(&self) -> Result<()> {
        let mut open = self.writer.begin().await?;
        sqlx::query("update loose_blobs set due_at = 0").execute(open.connection()).await?;
        open.commit().await
    }

    /// Condemns some keys that are due and gives them to be deleted. Nobody else is given them before `until`.
    pub async fn condemn_blobs(&self, now: i64, until: i64) -> Result<Vec<String>> {
        let mut open = self.writer.begin().await?;
        let keys: Vec<(String,)> = sqlx::query_as(
            "update loose_blobs set due_at = $1, condemned = case when condemned = 0 then 1 else condemned end \
             where due_at <= $2 and blob in \
             (select blob from loose_blobs where due_at <= $2 order by due_at limit $3) returning blob",
        )
        .bind(until)
        .bind(now)
        .bind(AT_ONCE)
        .fetch_all(open.connection())
        .await?;
        open.commit().await?;
        Ok(keys.into_iter().map(|(key,)| key).collect())
    }

    /// Forgets condemned keys whose blobs have been deleted. Those that no row ever held are deleted once more, at
    /// `again`: a writer that was only very slow may have gone on until then.
    pub async fn forget_blobs(&self, keys: &[String], again: i64) -> Result<()> {
        let mut open = self.writer.begin().await?;
        for key in keys {
            sqlx::query("delete from loose_blobs where blob = $1 and condemned = 2")
                .bind(key.clone())
                .execute(open.connection())
                .await?;
            sqlx::query("update loose_blobs set condemned = 2, due_at = $1 where blob = $2")
                .bind(again)
                .bind(key.clone())
                .execute(open.connection())
                .await?;
        }
        open.commit().await
    }
}

impl Writing {
    /// Takes a key out for the row that this transaction stores.
    ///
    /// # Errors
    /// Where it was condemned, because its writer was silent for too long.
    pub(super) async fn hold_blob(&mut self, blob: &str) -> Result<()> {
        let taken = sqlx::query("delete from loose_blobs where blob = $1 and condemned = 0")
            .bind(blob.to_owned())
            .execute(self.connection())
            .await?
            .rows_affected();
        if taken == 1 {
            return Ok(());
        }
        Err(anyhow!("a blob was given up before it was stored: its writer was silent for too long").into())
    }

    /// Condemns the key of a row that this transaction takes away.
    pub(super) async fn condemn_blob(&mut self, blob: &str) -> Result<()> {
        sqlx::query("insert into loose_blobs (blob, due_at, condemned) values ($1, 0, 2)")
            .bind(blob.to_owned())
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
