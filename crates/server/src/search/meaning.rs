//! What the cosines of an embedding model mean, found out by asking it what is known. It is learnt while the first
//! files are brought in, so that no search has to wait for it; its vectors are kept in the database, so that each
//! process can reckon it without the model.

use std::collections::HashMap;
use std::sync::Arc;

use adjutant_retrieval::rank::{KNOWN_ANSWERS, Meaning};
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::store::Store;
use crate::upstream::{TextKind, Upstreams};

/// What the cosines of each model mean, as far as it is known.
pub(super) struct Meanings {
    store: Store,
    clock: Arc<Clock>,
    upstreams: Arc<Upstreams>,
    known: Mutex<HashMap<String, Meaning>>,
}

impl Meanings {
    pub(super) fn new(store: Store, clock: Arc<Clock>, upstreams: Arc<Upstreams>) -> Arc<Self> {
        Arc::new(Self { store, clock, upstreams, known: Mutex::default() })
    }

    /// What the cosines of this model mean. It is asked once; one that does not answer, or does not know right from
    /// wrong, is taken at its cosines.
    pub(super) async fn of(&self, model: &str) -> Meaning {
        if model.is_empty() {
            return Meaning::default();
        }
        let mut known = self.known.lock().await;
        if let Some(meaning) = known.get(model) {
            return *meaning;
        }
        match self.learn(model).await {
            Ok(learnt) => {
                let meaning = learnt.unwrap_or_default();
                known.insert(model.to_owned(), meaning);
                meaning
            }
            Err(reason) => {
                tracing::warn!("what the vectors of `{model}` mean is not known yet: {reason}");
                Meaning::default()
            }
        }
    }

    async fn learn(&self, model: &str) -> Result<Option<Meaning>, String> {
        let (questions, passages): (Vec<&str>, Vec<&str>) = KNOWN_ANSWERS.into_iter().unzip();
        let questions = self.vectors(model, TextKind::Query, &questions).await?;
        let passages = self.vectors(model, TextKind::Passage, &passages).await?;
        Ok(Meaning::learn(&questions, &passages))
    }

    /// The vectors of known texts, in order: kept ones, or as the model gives them.
    async fn vectors(&self, model: &str, kind: TextKind, texts: &[&str]) -> Result<Vec<Vec<f32>>, String> {
        let key = |text: &&str| match kind {
            TextKind::Passage => Store::embedding_key(text),
            // A query's vector is another than that of the same text in a file.
            TextKind::Query => Store::embedding_key(&format!("query\0{text}")),
        };
        let keys: Vec<String> = texts.iter().map(key).collect();
        let kept = self.store.known_embeddings(model, &keys).await.map_err(|fault| fault.to_string())?;
        if let Some(vectors) = keys.iter().map(|key| kept.get(key).cloned()).collect() {
            return Ok(vectors);
        }
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let given = self.upstreams.embed(model, kind, &texts).await.map_err(|fault| fault.message)?;
        let keep: Vec<(String, &[f32])> = keys.into_iter().zip(given.iter().map(Vec::as_slice)).collect();
        let now = self.clock.seconds();
        self.store.keep_embeddings(model, &keep, now).await.map_err(|fault| fault.to_string())?;
        Ok(given)
    }
}
