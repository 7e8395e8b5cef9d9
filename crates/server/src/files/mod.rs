//! Files: bytes in the blob store and rows in the database, kept so that neither is without the other for long.
//!
//! Whoever keeps something [receives](Files::receive) its bytes first and then stores a row that holds them, in
//! one transaction with whatever else belongs to it. What was received and never stored is deleted.

mod cleaning;
mod uploads;

use std::sync::Arc;
use std::time::Duration;

use adjutant_wire::files::{CreateFile, File};
use adjutant_wire::id::Id;
use adjutant_wire::{FileId, UnixSeconds};
use anyhow::anyhow;
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::blobs::{self, Blobs, Content};
use crate::clock::Clock;
use crate::fault::Result;
use crate::ids::{fresh, hex};
use crate::store::{Once, Project, Store};

/// In milliseconds. So much later what no row ever held is deleted once more.
const DAY: i64 = 24 * 60 * 60 * 1_000;

/// What files need.
pub struct Files {
    store: Store,
    blobs: Blobs,
    clock: Arc<Clock>,
    /// For how long a process that receives may be silent before another one deletes what it received.
    lease: Duration,
    /// Wakes whoever deletes.
    due: Notify,
}

/// Bytes that are coming in. Dropped before it is [finished](Incoming::finish), it leaves nothing behind.
pub struct Incoming {
    blob: blobs::Incoming,
    bytes: i64,
    claim: Claim,
}

/// Bytes that came in whole. Dropped before a row holds them, they are deleted.
pub struct Received {
    bytes: i64,
    claim: Claim,
}

/// A file whose bytes came in whole, on its way to be stored by the transaction that names it.
pub struct Unstored {
    /// The file, as it will be.
    pub file: File,
    /// Its place among the project's files.
    pub position: i64,
    received: Received,
}

/// A key that is ours as long as this is kept.
struct Claim {
    key: String,
    renewing: AbortHandle,
}

impl Files {
    /// Files in this database and blob store. Nobody deletes what is due until [`Files::clean`] is called.
    pub fn new(store: Store, blobs: Blobs, clock: Arc<Clock>, lease: Duration) -> Arc<Self> {
        Arc::new(Self { store, blobs, clock, lease, due: Notify::new() })
    }

    /// Writes something, reads it and deletes it again. What cannot be deleted now, or is left by a process that dies
    /// meanwhile, is deleted as whatever no row holds.
    ///
    /// # Errors
    /// Where the blob store does not do one of these, or the database fails.
    pub async fn check(&self) -> anyhow::Result<()> {
        let incoming = self.receive().await?;
        self.blobs.check(incoming.key()).await?;
        let keys = [incoming.key().to_owned()];
        Ok(self.store.forget_blobs(&keys, self.clock.milliseconds() + DAY).await?)
    }

    /// The most that is in memory of bytes that are being received.
    pub fn incoming_bytes(&self) -> usize {
        self.blobs.incoming_bytes()
    }

    /// Begins to receive bytes.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn receive(&self) -> Result<Incoming> {
        let key = hex();
        self.store.enter_blob(&key, self.lease_end()).await?;
        let blob = self.blobs.write(&key);
        Ok(Incoming { blob, bytes: 0, claim: self.claim(key) })
    }

    /// Stores a new file that was received.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn add(&self, once: &Once, new: CreateFile, received: Received) -> Result<File> {
        let file = new.into_file(fresh(), received.bytes(), self.clock.seconds());
        let mut tx = self.store.write_once(once).await?;
        tx.add_file(&file, self.clock.position(), received.key()).await?;
        tx.remember(once, &file).await?;
        tx.commit().await?;
        Ok(file)
    }

    /// A new file of what was received, which somebody else will store.
    pub fn prepare(&self, new: CreateFile, received: Received) -> Unstored {
        let file = new.into_file(fresh(), received.bytes(), self.clock.seconds());
        Unstored { file, position: self.clock.position(), received }
    }

    /// A file and its content.
    ///
    /// # Errors
    /// 404 where there is none, or its time has run out.
    pub async fn open(&self, project: &Project, id: &FileId) -> Result<(File, Content)> {
        self.opened(project, id, self.clock.seconds()).await
    }

    async fn opened(&self, project: &Project, id: &FileId, now: UnixSeconds) -> Result<(File, Content)> {
        let (file, blob) = self.store.read(project).await?.file_and_blob(id, now).await?;
        match self.blobs.read(&blob).await? {
            Some(content) => Ok((file, content)),
            None => {
                // Deleted since the row was read; else bytes are lost, which somebody should know.
                self.store.read(project).await?.file(id, now).await?;
                Err(anyhow!("the bytes of file `{}` are not in {}", id.as_str(), self.blobs.in_words())
                    .into())
            }
        }
    }

    /// The content of a file, whether its time has run out or not.
    ///
    /// # Errors
    /// 404 where there is none.
    pub async fn content(&self, project: &Project, id: &FileId) -> Result<Content> {
        Ok(self.opened(project, id, UnixSeconds::MIN).await?.1)
    }

    /// Deletes a file and takes it out of all that names it.
    ///
    /// # Errors
    /// 404 where there is none, or its time has run out.
    pub async fn delete(&self, project: &Project, id: &FileId) -> Result<()> {
        let mut tx = self.store.write(project).await?;
        tx.delete_file(id, self.clock.seconds()).await?;
        tx.commit().await?;
        self.due.notify_one();
        Ok(())
    }

    fn lease_end(&self) -> i64 {
        self.clock.milliseconds() + i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX)
    }

    /// Keeps moving on when the key may be deleted, as long as the claim is kept.
    fn claim(&self, key: String) -> Claim {
        let (store, clock, lease) = (self.store.clone(), Arc::clone(&self.clock), self.lease);
        let kept = key.clone();
        let renewing = tokio::spawn(async move {
            let milliseconds = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
            loop {
                tokio::time::sleep(lease / 3).await;
                // Where it was lost, storing the row will be refused.
                if let Err(fault) = store.keep_blob(&kept, clock.milliseconds() + milliseconds).await {
                    tracing::error!("could not keep the claim to a blob: {fault}");
                }
            }
        });
        Claim { key, renewing: renewing.abort_handle() }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

impl Incoming {
    /// Writes on.
    ///
    /// # Errors
    /// Where the blob store fails.
    pub async fn write(&mut self, piece: Bytes) -> Result<()> {
        self.bytes += i64::try_from(piece.len()).unwrap_or(i64::MAX);
        Ok(self.blob.write(piece).await?)
    }

    /// The key that they will have.
    pub fn key(&self) -> &str {
        &self.claim.key
    }

    /// How many bytes came so far.
    pub fn bytes(&self) -> i64 {
        self.bytes
    }

    /// Makes the bytes last. A row has to hold them soon.
    ///
    /// # Errors
    /// Where the blob store fails.
    pub async fn finish(self) -> Result<Received> {
        self.blob.finish().await?;
        Ok(Received { bytes: self.bytes, claim: self.claim })
    }
}

impl Unstored {
    /// The key of its bytes, for its row.
    pub fn key(&self) -> &str {
        self.received.key()
    }
}

impl Received {
    /// How many they are.
    pub fn bytes(&self) -> i64 {
        self.bytes
    }

    /// Their key, for the row that will hold them.
    pub fn key(&self) -> &str {
        &self.claim.key
    }
}
