//! A file in a store whose passages and vectors come line by line, as if a worker had read and embedded it here: under
//! a lease, in the store from the beginning, found when it is whole. Where they never come, the server reads the file.

use adjutant_retrieval::vectors::Vectors;
use adjutant_wire as wire;
use adjutant_wire::vector_store_files::VectorStoreFile;

use crate::clock::Clock;
use crate::fault::Result;
use crate::search;
use crate::store::{CHUNKS_A_FILE, FileLease, Store, place_in_file};
use crate::transfer::part::{self, Passage, Whose};

/// How long the next line may take to come, in milliseconds, before a server takes the file over.
const LEASE: i64 = 60_000;

/// A file of 5 million tokens in the smallest chunks, each with a vector of 4,096 dimensions, has a little less.
const MOST_VECTOR_BYTES: usize = 512 << 20;

/// Passages stored in one transaction.
const STORED_AT_ONCE: usize = 64;

/// A file whose passages are coming.
pub(super) struct ComingPassages {
    lease: FileLease,
    pub(super) file: VectorStoreFile,
    passages: i64,
    vectors: Vec<u8>,
}

/// When a lease ends that begins now.
pub(super) fn lease_end(clock: &Clock) -> i64 {
    clock.milliseconds() + LEASE
}

impl ComingPassages {
    pub(super) fn new(lease: FileLease, file: VectorStoreFile) -> Self {
        Self { lease, file, passages: 0, vectors: Vec::new() }
    }

    pub(super) fn is(&self, whose: &Whose) -> bool {
        whose.file == self.file.id && whose.store.as_ref() == Some(&self.file.vector_store_id)
    }

    /// # Errors
    /// Where they cannot be passages.
    pub(super) async fn passages(
        &mut self,
        store: &Store,
        clock: &Clock,
        passages: Vec<Passage>,
    ) -> Result<()> {
        let mut chunks = Vec::with_capacity(passages.len());
        for passage in passages {
            if self.passages >= CHUNKS_A_FILE {
                return Err(wire::Error::invalid("A file has fewer passages.").into());
            }
            chunks.push(search::brought(self.passages, passage.place, passage.content)?);
            self.passages += 1;
        }
        for some in chunks.chunks(STORED_AT_ONCE) {
            let mut tx = store.write(self.lease.project()).await?;
            if !tx.hold_file(&self.lease, lease_end(clock)).await? {
                return Err(self.taken().into());
            }
            tx.add_chunks(&self.lease, some).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// # Errors
    /// Where they are no base64, or too many.
    pub(super) fn vectors(&mut self, data: &str) -> Result<()> {
        let bytes = part::read(data)?;
        if self.vectors.len() + bytes.len() > MOST_VECTOR_BYTES {
            return Err(wire::Error::invalid("A file has fewer vectors.").into());
        }
        self.vectors.extend_from_slice(&bytes);
        Ok(())
    }

    /// # Errors
    /// Where passages are missing, or have no vectors of the store's model.
    pub(super) async fn end(self, store: &Store, clock: &Clock, passages: i64) -> Result<()> {
        let damaged = |why: String| {
            wire::Error::invalid(format!("What was read of '{}' is damaged: {why}.", self.file.id))
        };
        if self.passages != passages {
            return Err(
                damaged(format!("it has {passages} passages, of which {} are here", self.passages)).into()
            );
        }
        let vectors = Vectors::from_bytes(&self.vectors)
            .and_then(|vectors| vectors.with_ids(|chunk| self.lease.passage(place_in_file(chunk))))
            .map_err(|error| damaged(error.to_string()))?;
        let key = store.read(self.lease.project()).await?.store_key(&self.file.vector_store_id).await?;
        let fits = i64::try_from(vectors.len()) == Ok(passages)
            && i64::try_from(vectors.dimensions()) == Ok(key.dimensions);
        if !fits {
            return Err(damaged("its vectors are others than those of its passages".to_owned()).into());
        }
        let mut tx = store.write(self.lease.project()).await?;
        if !tx.hold_file(&self.lease, lease_end(clock)).await? {
            return Err(self.taken().into());
        }
        tx.add_vectors(&self.lease, &vectors).await?;
        tx.end_file(&self.lease, &self.file).await?;
        tx.commit().await
    }

    fn taken(&self) -> wire::Error {
        wire::Error::invalid(format!("'{}' is read by a server here.", self.file.id))
    }
}
