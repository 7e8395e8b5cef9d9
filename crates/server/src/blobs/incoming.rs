//! A blob that is being written.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayloadMut, WriteMultipart};

use super::told;
use crate::crash_point;

/// A blob that is being written. It is there once it is [finished](Incoming::finish); dropped before, it leaves
/// nothing behind.
pub struct Incoming {
    store: Arc<dyn ObjectStore>,
    path: Path,
    chunk_bytes: usize,
    /// What came so far, while it is less than a chunk.
    first: PutPayloadMut,
    /// Where chunks go. One is on its way while the next is gathered, so no more than two are in memory.
    chunks: Option<WriteMultipart>,
}

impl Incoming {
    pub(super) fn new(store: Arc<dyn ObjectStore>, path: Path, chunk_bytes: usize) -> Self {
        Self { store, path, chunk_bytes, first: PutPayloadMut::new(), chunks: None }
    }

    /// Writes on.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn write(&mut self, piece: Bytes) -> anyhow::Result<()> {
        if self.chunks.is_none() && self.first.content_length() + piece.len() < self.chunk_bytes {
            self.first.push(piece);
            return Ok(());
        }
        if self.chunks.is_none() {
            let upload = self.store.put_multipart(&self.path).await.map_err(|error| told(&error))?;
            let chunks = self.chunks.insert(WriteMultipart::new_with_chunk_size(upload, self.chunk_bytes));
            for piece in std::mem::take(&mut self.first).freeze() {
                chunks.put(piece);
            }
        }
        if let Some(chunks) = &mut self.chunks {
            chunks.wait_for_capacity(1).await.map_err(|error| told(&error))?;
            chunks.put(piece);
        }
        Ok(())
    }

    /// Makes it be there, whole.
    ///
    /// # Errors
    /// Where the store fails; then nothing is there.
    pub async fn finish(mut self) -> anyhow::Result<()> {
        crash_point::reach("before a blob is whole");
        let written = match self.chunks.take() {
            Some(chunks) => chunks.finish().await,
            None => self.store.put(&self.path, std::mem::take(&mut self.first).freeze()).await,
        };
        crash_point::reach("after a blob is whole");
        written.map(|_| ()).map_err(|error| told(&error))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let (Some(chunks), Ok(runtime)) = (self.chunks.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        runtime.spawn(async move {
            if let Err(error) = chunks.abort().await {
                tracing::warn!("could not give up a blob that was half written: {error}");
            }
        });
    }
}
