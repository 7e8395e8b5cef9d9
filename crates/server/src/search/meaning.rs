//! What the cosines of an embedding model mean, found out by asking it what is known.

use adjutant_retrieval::rank::{KNOWN_ANSWERS, Meaning};

use super::Search;
use crate::upstream::{TextKind, UpstreamFault};

impl Search {
    /// What the cosines of this model mean. It is asked once; one that does not answer, or does not know right from
    /// wrong, is taken at its cosines.
    pub(super) async fn meaning(&self, model: &str) -> Meaning {
        let mut known = self.meanings.lock().await;
        if let Some(meaning) = known.get(model) {
            return *meaning;
        }
        match self.learn(model).await {
            Ok(learnt) => {
                let meaning = learnt.unwrap_or_default();
                known.insert(model.to_owned(), meaning);
                meaning
            }
            Err(fault) => {
                tracing::warn!("what the vectors of `{model}` mean is not known yet: {}", fault.message);
                Meaning::default()
            }
        }
    }

    async fn learn(&self, model: &str) -> Result<Option<Meaning>, UpstreamFault> {
        if model.is_empty() {
            return Ok(None);
        }
        let (questions, passages): (Vec<String>, Vec<String>) = KNOWN_ANSWERS
            .iter()
            .map(|(question, passage)| ((*question).to_owned(), (*passage).to_owned()))
            .unzip();
        let questions = self.upstreams.embed(model, TextKind::Query, &questions).await?;
        let passages = self.upstreams.embed(model, TextKind::Passage, &passages).await?;
        Ok(Meaning::learn(&questions, &passages))
    }
}
