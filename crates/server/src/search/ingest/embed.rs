//! The second stage: passages get the vectors by which their meaning is found.

use std::collections::{BTreeMap, HashMap};

use adjutant_retrieval::chunk::combine;
use adjutant_retrieval::vectors::Vectors;
use adjutant_wire::vector_store_files::{FileErrorCode, FileStatus, VectorStoreFile};

use super::{Ingest, Stop, failed};
use crate::search::passage::{Place, under_heading};
use crate::store::{ClaimedFile, Passage, Store, StoreKey};
use crate::upstream::TextKind;

/// Passages whose pieces are embedded together.
const EMBEDDED_TOGETHER: i64 = 32;

/// A passage's id, and its pieces: where each is among the texts to be embedded, and its weight.
type PassagePieces = (i64, Vec<(usize, usize)>);

impl Ingest {
    pub(super) async fn embed(&self, claimed: &ClaimedFile) -> Result<(), Stop> {
        let model = self.model_of(claimed).await?;
        let (mut last, mut bytes, mut embedded) = (0, 0, Vec::new());
        loop {
            let mut reading = self.store.read(claimed.lease.project()).await?;
            let passages = reading.next_passages(claimed.lease.number(), last, EMBEDDED_TOGETHER).await?;
            drop(reading);
            let Some(end) = passages.last() else { break };
            last = end.id;
            bytes += passages.iter().map(|passage| passage.content.len()).sum::<usize>();
            embedded.extend(self.embed_some(&model, &passages).await?);
        }
        let dimensions = usize::try_from(model.dimensions).unwrap_or_default();
        let borrowed: Vec<(i64, &[f32])> =
            embedded.iter().map(|(id, vector)| (*id, vector.as_slice())).collect();
        let vectors = Vectors::new(dimensions, &borrowed).map_err(|error| {
            failed(FileErrorCode::ServerError, format!("The embedding model gave {error}."))
        })?;
        let usage = bytes + vectors.to_bytes().len();
        let ended = VectorStoreFile {
            status: FileStatus::Completed,
            last_error: None,
            usage_bytes: i64::try_from(usage).unwrap_or(i64::MAX),
            ..claimed.file.clone()
        };
        // Before anyone can search by these vectors: the first search would have to wait for it.
        self.meanings.of(&model.model).await;
        let mut tx = self.store.write(claimed.lease.project()).await?;
        if !tx.hold_file(&claimed.lease, self.lease_end()).await? {
            return Err(Stop::Lost);
        }
        tx.add_vectors(&claimed.lease, &vectors).await?;
        tx.end_file(&claimed.lease, &ended).await?;
        tx.commit().await?;
        tracing::info!(file.id = %ended.id, "file `{}` can be searched in `{}`", ended.id, ended.vector_store_id);
        Ok(())
    }

    /// The model of the store; one that has none yet takes the present default.
    async fn model_of(&self, claimed: &ClaimedFile) -> Result<StoreKey, Stop> {
        let id = &claimed.file.vector_store_id;
        let key = self.store.read(claimed.lease.project()).await?.store_key(id).await;
        let mut key = key.map_err(|_| Stop::Lost)?;
        if key.model.is_empty() {
            let model = self.upstreams.embedding_model().await.map_err(|fault| Stop::Later(fault.message))?;
            let dimensions = i64::try_from(model.dimensions).unwrap_or_default();
            let mut tx = self.store.write(claimed.lease.project()).await?;
            if !tx.hold_file(&claimed.lease, self.lease_end()).await? {
                return Err(Stop::Lost);
            }
            (key.model, key.dimensions) = tx.settle_model(key.number, &model.name, dimensions).await?;
            tx.commit().await?;
            if let Err(fault) = self.store.index_vectors(key.dimensions).await {
                tracing::warn!("vectors of {} numbers have no index yet: {fault}", key.dimensions);
            }
        }
        Ok(key)
    }

    /// The vectors of passages, each put together from those of its pieces.
    async fn embed_some(&self, model: &StoreKey, passages: &[Passage]) -> Result<Vec<(i64, Vec<f32>)>, Stop> {
        let (texts, pieces) = pieces_of(passages)?;
        let vectors = self.vectors_of(model, &texts).await?;
        let whole = |(id, pieces): PassagePieces| {
            let parts: Vec<(&[f32], usize)> = pieces
                .iter()
                .filter_map(|(text, weight)| Some((vectors.get(*text)?.as_slice(), *weight)))
                .collect();
            (id, combine(&parts))
        };
        Ok(pieces.into_iter().map(whole).collect())
    }

    /// One vector a text, in order: those that are known, and the others as the model gives them.
    async fn vectors_of(&self, model: &StoreKey, texts: &[String]) -> Result<Vec<Vec<f32>>, Stop> {
        let keys: Vec<String> = texts.iter().map(|text| Store::embedding_key(text)).collect();
        let mut known = self.store.known_embeddings(&model.model, &keys).await?;
        let unknown: BTreeMap<&String, &String> =
            keys.iter().zip(texts).filter(|(key, _)| !known.contains_key(*key)).collect();
        if !unknown.is_empty() {
            let asked: Vec<String> = unknown.values().map(|text| (*text).clone()).collect();
            let given = self.upstreams.embed(&model.model, TextKind::Passage, &asked).await;
            let given = given.map_err(|fault| Stop::Later(fault.message))?;
            let dimensions = usize::try_from(model.dimensions).unwrap_or_default();
            if given.iter().any(|vector| vector.len() != dimensions) {
                let message = format!(
                    "The embedding model `{}` gave vectors of another length than the {dimensions} of this store.",
                    model.model
                );
                return Err(failed(FileErrorCode::ServerError, message));
            }
            let kept: Vec<(String, &[f32])> =
                unknown.keys().zip(&given).map(|(key, vector)| ((*key).clone(), vector.as_slice())).collect();
            self.store.keep_embeddings(&model.model, &kept, self.clock.seconds()).await?;
            known.extend(unknown.into_keys().cloned().zip(given));
        }
        Ok(keys.iter().map(|key| known.get(key).cloned().unwrap_or_default()).collect())
    }
}

/// The distinct pieces of passages, and which of them each passage has, with their weights.
fn pieces_of(passages: &[Passage]) -> Result<(Vec<String>, Vec<PassagePieces>), Stop> {
    let mut texts = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut embedded = Vec::with_capacity(passages.len());
    for passage in passages {
        let place = Place::read(&passage.place)?;
        let mut pieces = Vec::with_capacity(place.pieces.len());
        for piece in &place.pieces {
            let text = passage.content.get(piece.start..piece.end).unwrap_or_default();
            let text = under_heading(piece.heading.as_deref(), text);
            let at = *places.entry(text.clone()).or_insert_with(|| {
                texts.push(text);
                texts.len() - 1
            });
            pieces.push((at, piece.tokens));
        }
        embedded.push((passage.id, pieces));
    }
    Ok((texts, embedded))
}
