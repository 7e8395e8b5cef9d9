//! Files with their bytes, and vector stores with their passages and vectors.

use adjutant_retrieval::vectors::Vectors;
use adjutant_wire::VectorStoreId;
use adjutant_wire::files::File;
use adjutant_wire::vector_store_files::{FileStatus, VectorStoreFile};
use adjutant_wire::vector_stores::VectorStore;
use futures_util::TryStreamExt;
use sha2::{Digest, Sha256};

use super::{Export, Shelf};
use crate::fault::{Fault, Result};
use crate::store::{BatchAndFiles, EmbeddingModel, Mark, StoreAndModel};
use crate::transfer::part::{self, PASSAGE_BYTES, PIECE_BYTES, Part};

/// Passages read at once.
const PASSAGES: i64 = 64;

impl Export {
    pub(super) async fn files(&mut self, shelf: &Shelf) -> Result<()> {
        let mut mark = Mark::default();
        loop {
            let files = self.read().await?.next_files(&mut mark).await?;
            if files.is_empty() {
                return Ok(());
            }
            for (position, file) in files {
                self.file(shelf, &file, position).await?;
            }
        }
    }

    async fn file(&mut self, shelf: &Shelf, file: &File, position: i64) -> Result<()> {
        let mut content = match shelf.files.content(&self.project, &file.id).await {
            Ok(content) => content,
            // Deleted since it was listed.
            Err(Fault::Refused(_)) => return Ok(()),
            Err(fault @ (Fault::Answered(_) | Fault::Broken(_) | Fault::Unavailable(_))) => {
                return Err(fault);
            }
        };
        self.line(file, position).await?;
        let mut sha256 = Sha256::new();
        let mut piece = Vec::new();
        while let Some(bytes) = content.try_next().await? {
            sha256.update(&bytes);
            piece.extend_from_slice(&bytes);
            while piece.len() >= PIECE_BYTES {
                let rest = piece.split_off(PIECE_BYTES);
                let full = std::mem::replace(&mut piece, rest);
                self.bytes(file, &full).await?;
            }
        }
        if !piece.is_empty() {
            self.bytes(file, &piece).await?;
        }
        let sha256 = part::hash_written(sha256);
        self.part(&Part::BytesEnd { file_id: file.id.clone(), sha256 }).await
    }

    async fn bytes(&mut self, file: &File, piece: &[u8]) -> Result<()> {
        self.part(&Part::Bytes { file_id: file.id.clone(), data: part::written(piece) }).await
    }

    pub(super) async fn vector_stores(&mut self, shelf: &Shelf) -> Result<()> {
        let mut mark = Mark::default();
        loop {
            let stores = self.read().await?.next_vector_stores(&mut mark).await?;
            if stores.is_empty() {
                return Ok(());
            }
            for (position, store) in stores {
                self.vector_store(shelf, &store, position).await?;
            }
        }
    }

    async fn vector_store(&mut self, shelf: &Shelf, store: &VectorStore, position: i64) -> Result<()> {
        let mut reading = self.read().await?;
        let told = async {
            let key = reading.store_key(&store.id).await?;
            Ok::<_, Fault>((key, reading.vector_store(&store.id, shelf.clock.seconds()).await?))
        };
        let (key, store) = match told.await {
            Ok(told) => told,
            // Deleted since it was listed.
            Err(Fault::Refused(_)) => return Ok(()),
            Err(fault @ (Fault::Answered(_) | Fault::Broken(_) | Fault::Unavailable(_))) => {
                return Err(fault);
            }
        };
        drop(reading);
        let embedding = (!key.model.is_empty())
            .then_some(EmbeddingModel { model: key.model, dimensions: key.dimensions });
        let id = store.id.clone();
        self.line(&StoreAndModel { store, embedding }, position).await?;
        self.store_files(&id).await?;
        self.batches(&id).await
    }

    async fn store_files(&mut self, store: &VectorStoreId) -> Result<()> {
        let mut mark = Mark::default();
        loop {
            let files = self.read().await?.next_store_files(store, &mut mark).await?;
            if files.is_empty() {
                return Ok(());
            }
            // What was attached after the export began may be a file that is not in it.
            let known = files.into_iter().filter(|(position, _)| *position <= self.began).collect::<Vec<_>>();
            for (position, file) in known {
                self.line(&file, position).await?;
                if file.status == FileStatus::Completed {
                    self.passages(&file).await?;
                }
            }
        }
    }

    /// The passages of a completed file and their vectors. One that is detached meanwhile is left without an end,
    /// and so brought into no other store.
    async fn passages(&mut self, file: &VectorStoreFile) -> Result<()> {
        let (store, id) = (&file.vector_store_id, &file.id);
        let mut reading = self.read().await?;
        let number = match reading.vector_store_file_number(store, id).await {
            Ok(number) => number,
            Err(Fault::Refused(_)) => return Ok(()),
            Err(fault @ (Fault::Answered(_) | Fault::Broken(_) | Fault::Unavailable(_))) => {
                return Err(fault);
            }
        };
        let Some(vectors) = reading.file_vectors(number).await? else { return Ok(()) };
        drop(reading);
        let expected = Vectors::from_bytes(&vectors).map_err(anyhow::Error::from)?.len();
        let (mut last, mut passages, mut bytes, mut written) = (0, Vec::new(), 0, 0);
        loop {
            let some = self.read().await?.next_passages(number, last, PASSAGES).await?;
            let Some(end) = some.last() else { break };
            last = end.id;
            for passage in some {
                bytes += passage.content.len() + passage.place.len();
                passages.push(part::Passage { place: passage.place, content: passage.content });
                if bytes >= PASSAGE_BYTES {
                    written += passages.len();
                    self.some_passages(file, std::mem::take(&mut passages)).await?;
                    bytes = 0;
                }
            }
        }
        written += passages.len();
        if !passages.is_empty() {
            self.some_passages(file, passages).await?;
        }
        for piece in vectors.chunks(PIECE_BYTES) {
            let data = part::written(piece);
            let (vector_store_id, file_id) = (store.clone(), id.clone());
            self.part(&Part::Vectors { vector_store_id, file_id, data }).await?;
        }
        if written != expected {
            return Ok(());
        }
        let passages = i64::try_from(written).unwrap_or(i64::MAX);
        self.part(&Part::PassagesEnd { vector_store_id: store.clone(), file_id: id.clone(), passages }).await
    }

    async fn some_passages(&mut self, file: &VectorStoreFile, passages: Vec<part::Passage>) -> Result<()> {
        let (vector_store_id, file_id) = (file.vector_store_id.clone(), file.id.clone());
        self.part(&Part::Passages { vector_store_id, file_id, passages }).await
    }

    async fn batches(&mut self, store: &VectorStoreId) -> Result<()> {
        let mut mark = Mark::default();
        loop {
            let mut reading = self.read().await?;
            let batches = reading.next_batches(store, &mut mark).await?;
            if batches.is_empty() {
                return Ok(());
            }
            let mut whole = Vec::with_capacity(batches.len());
            for (position, batch) in batches {
                let file_ids = reading.files_of_batch(store, &batch.id).await?;
                whole.push((position, BatchAndFiles { batch, file_ids }));
            }
            drop(reading);
            for (position, batch) in whole {
                self.line(&batch, position).await?;
            }
        }
    }
}
