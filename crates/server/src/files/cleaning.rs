//! Takes away files and uploads whose time has run out, and deletes the bytes that nothing holds.

use std::sync::Arc;
use std::time::Duration;

use super::{DAY, Files};
use crate::fault::Result;

/// How often it is looked whether anything is due, when nobody says so.
const LOOK: Duration = Duration::from_secs(1);

impl Files {
    /// Says that no other process uses the database: whatever one was receiving, it is dead. To be called before
    /// the first byte is received.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn take_over(&self) -> Result<()> {
        self.store.release_blobs().await
    }

    /// Cleans until the process ends. Any number of processes may do so: each row is taken away by one of them,
    /// and deleting the same bytes twice does no harm.
    pub async fn clean(self: Arc<Self>) {
        loop {
            // Registered before the look: a wake-up that comes while we look would be lost otherwise.
            let woken = self.due.notified();
            if let Err(fault) = self.clean_once().await {
                tracing::error!("could not delete what is due: {fault}");
            }
            let _ = tokio::time::timeout(LOOK, woken).await;
        }
    }

    async fn clean_once(&self) -> Result<()> {
        let (now, milliseconds) = (self.clock.seconds(), self.clock.milliseconds());
        if !self.store.is_cleaning_due(now, milliseconds).await? {
            return Ok(());
        }
        while self.store.expire_file(now).await? {}
        while self.store.expire_upload(now).await? {}
        // While a copy of the folder is made, what is due stays due.
        while let Some(_leave) = self.blobs.leave_to_delete()? {
            let condemned = self.store.condemn_blobs(milliseconds, self.lease_end()).await?;
            if condemned.is_empty() {
                return Ok(());
            }
            self.delete_blobs(condemned).await?;
        }
        Ok(())
    }

    /// Deletes these; those that cannot be deleted now are tried again when the lease has run out.
    async fn delete_blobs(&self, keys: Vec<String>) -> Result<()> {
        let mut deleted = Vec::with_capacity(keys.len());
        for key in keys {
            match self.blobs.delete(&key).await {
                Ok(()) => deleted.push(key),
                Err(error) => tracing::warn!("{error:#}"),
            }
        }
        self.store.forget_blobs(&deleted, self.clock.milliseconds() + DAY).await
    }
}
