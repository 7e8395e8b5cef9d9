//! One embedding model at one server: what it is asked, in which portions, and how its answers are read.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::{OnceCell, Semaphore};

use super::parts::{Part, cut, join, to_unit_length};
use super::{EmbeddingModel, TextKind};
use crate::config::EmbeddingsConfig;
use crate::upstream::fault::UpstreamFault;
use crate::upstream::place::Upstream;
use crate::upstream::server::{Patience, post, read_limited, retrying};

/// Requests with passages that are under way at a time. More would only queue at the server.
const PASSAGES_AT_ONCE: usize = 4;

/// The most tokens a request, counted carefully. OpenAI refuses 300,000.
const REQUEST_TOKENS: usize = 250_000;

/// The longest answer that is read.
const ANSWER_BYTES: usize = 64 << 20;

/// What the model is told, and how much at a time.
#[derive(Clone, Debug)]
pub(super) struct Options {
    model: String,
    /// Where other vectors than the model's own are wanted.
    dimensions: Option<usize>,
    window_tokens: usize,
    batch_texts: usize,
    query_prefix: String,
    passage_prefix: String,
    /// Whether the server wants to be told what the texts are, as the built-in model's does, which also cuts
    /// texts by its own count of tokens.
    tells_kind: bool,
}

impl Options {
    pub(super) fn built_in(model: &str, batch_texts: usize) -> Self {
        Self {
            model: model.to_owned(),
            dimensions: None,
            window_tokens: usize::MAX,
            batch_texts,
            query_prefix: String::new(),
            passage_prefix: String::new(),
            tells_kind: true,
        }
    }

    pub(super) fn configured(config: &EmbeddingsConfig) -> Self {
        Self {
            model: config.model.clone(),
            dimensions: (config.dimensions > 0).then_some(config.dimensions),
            window_tokens: config.window_tokens,
            batch_texts: config.batch_texts,
            query_prefix: config.query_prefix.clone(),
            passage_prefix: config.passage_prefix.clone(),
            tells_kind: false,
        }
    }

    /// The model, as its server calls it.
    pub(super) fn model(&self) -> &str {
        &self.model
    }

    /// Those of another model, by the name that was recorded with its vectors.
    pub(super) fn for_model(self, name: &str) -> Self {
        let sized = name.rsplit_once('@').and_then(|(model, size)| Some((model, size.parse().ok()?)));
        let (model, dimensions) = sized.map_or((name, None), |(model, size)| (model, Some(size)));
        let prefix = String::new();
        Self {
            model: model.to_owned(),
            dimensions,
            query_prefix: prefix.clone(),
            passage_prefix: prefix,
            ..self
        }
    }
}

/// One model at its server.
pub(super) struct Embedder {
    upstream: Arc<Upstream>,
    options: Options,
    /// What passages wait for and queries do not.
    passages: Semaphore,
    /// Told, or learnt from the first answer.
    dimensions: OnceCell<usize>,
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<TextKind>,
}

/// What came of a request.
#[derive(Debug, Default)]
pub(super) struct Embedded {
    /// Of unit length, one for each text, in their order.
    pub(super) vectors: Vec<Vec<f32>>,
    /// How much the model read: as its server says, else counted carefully.
    pub(super) tokens: u64,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: u64,
}

#[derive(Deserialize)]
struct Item {
    index: Option<usize>,
    embedding: Vec<f32>,
}

impl Embedder {
    pub(super) fn new(upstream: Arc<Upstream>, options: Options) -> Self {
        Self::with_dimensions(upstream, options.dimensions, options)
    }

    /// One whose vectors' length is known.
    pub(super) fn with_dimensions(
        upstream: Arc<Upstream>,
        dimensions: Option<usize>,
        options: Options,
    ) -> Self {
        let dimensions = OnceCell::new_with(dimensions);
        Self { upstream, options, passages: Semaphore::new(PASSAGES_AT_ONCE), dimensions }
    }

    pub(super) fn upstream_name(&self) -> &str {
        &self.upstream.name
    }

    /// As it is recorded with its vectors.
    pub(super) fn name(&self) -> String {
        match self.options.dimensions {
            Some(dimensions) => format!("{}@{dimensions}", self.options.model),
            None => self.options.model.clone(),
        }
    }

    pub(super) async fn model(&self, patience: Patience) -> Result<EmbeddingModel, UpstreamFault> {
        let learn = || async {
            let embedded = self.embed(TextKind::Query, &["dimensions".to_owned()], patience).await?;
            Ok(embedded.vectors.first().map_or(0, Vec::len))
        };
        let dimensions = *self.dimensions.get_or_try_init(learn).await?;
        Ok(EmbeddingModel { name: self.name(), dimensions })
    }

    pub(super) async fn embed(
        &self,
        kind: TextKind,
        texts: &[String],
        patience: Patience,
    ) -> Result<Embedded, UpstreamFault> {
        let cuts: Vec<Vec<Part<'_>>> =
            texts.iter().map(|text| cut(text, self.options.window_tokens)).collect();
        let parts = cuts.concat();
        let batches = batches(&parts, self.options.batch_texts).into_iter();
        let asking: Vec<_> = batches.map(|batch| self.embed_batch(kind, batch, patience)).collect();
        let answers: Vec<Embedded> = stream::iter(asking).buffered(PASSAGES_AT_ONCE).try_collect().await?;
        let tokens = answers.iter().map(|answer| answer.tokens).sum();
        let vectors = answers.into_iter().flat_map(|answer| answer.vectors);
        let mut weighed = parts.iter().map(|part| part.tokens).zip(vectors);
        let vectors = cuts.iter().map(|cut| join(weighed.by_ref().take(cut.len()).collect())).collect();
        Ok(Embedded { vectors, tokens })
    }

    async fn embed_batch(
        &self,
        kind: TextKind,
        batch: &[Part<'_>],
        patience: Patience,
    ) -> Result<Embedded, UpstreamFault> {
        let _turn = match kind {
            TextKind::Query => None,
            // Never closed, so never an error.
            TextKind::Passage => self.passages.acquire().await.ok(),
        };
        let prefix = match kind {
            TextKind::Query => &self.options.query_prefix,
            TextKind::Passage => &self.options.passage_prefix,
        };
        let request = Request {
            model: &self.options.model,
            input: batch.iter().map(|part| format!("{prefix}{}", part.text)).collect(),
            dimensions: self.options.dimensions,
            kind: self.options.tells_kind.then_some(kind),
        };
        let body = serde_json::to_vec(&request).map_err(|error| UpstreamFault::lasting(error.to_string()))?;
        let body = Bytes::from(body);
        let ask = || self.ask(body.clone(), batch.len(), patience);
        let (vectors, tokens) = retrying(&self.upstream.name, patience, ask).await?;
        let counted = || batch.iter().map(|part| part.tokens as u64).sum();
        Ok(Embedded { vectors, tokens: tokens.unwrap_or_else(counted) })
    }

    async fn ask(
        &self,
        body: Bytes,
        texts: usize,
        patience: Patience,
    ) -> Result<(Vec<Vec<f32>>, Option<u64>), UpstreamFault> {
        let reached = self.upstream.reach().await?;
        let (client, endpoint) = (&self.upstream.client, &reached.endpoint);
        let response = post(client, endpoint, "/embeddings", body, patience.idle).await?;
        let reading = tokio::time::timeout(patience.idle, read_limited(response, ANSWER_BYTES)).await;
        let body = reading.map_err(|_| UpstreamFault::silent(&endpoint.name, patience.idle))?;
        let answer: Answer =
            serde_json::from_slice(&body).map_err(|error| self.garbled(&error.to_string()))?;
        let tokens = answer.usage.map(|usage| usage.prompt_tokens);
        Ok((self.vectors(answer.data, texts)?, tokens))
    }

    /// What an answer holds, if it is one to the question.
    fn vectors(&self, mut items: Vec<Item>, asked: usize) -> Result<Vec<Vec<f32>>, UpstreamFault> {
        if items.len() != asked {
            return Err(self.garbled(&format!("{} vectors for {asked} texts", items.len())));
        }
        // Servers that leave the index out keep the order, and so does this sort.
        items.sort_by_key(|item| item.index);
        let length = items.first().map_or(0, |item| item.embedding.len());
        let length = self.dimensions.get().copied().unwrap_or(length);
        for item in &mut items {
            if item.embedding.len() != length {
                let found = item.embedding.len();
                return Err(self.garbled(&format!("a vector of {found} dimensions, not {length}")));
            }
            if !to_unit_length(&mut item.embedding) {
                return Err(self.garbled("a vector that points nowhere"));
            }
        }
        Ok(items.into_iter().map(|item| item.embedding).collect())
    }

    fn garbled(&self, what: &str) -> UpstreamFault {
        UpstreamFault::garbled(&self.upstream.name, what)
    }
}

/// As many parts a request as the server is to have at once, and as it takes.
fn batches<'a, 'b>(parts: &'a [Part<'b>], most_texts: usize) -> Vec<&'a [Part<'b>]> {
    let mut batches = Vec::new();
    let mut rest = parts;
    while !rest.is_empty() {
        let mut tokens = 0;
        let fitting = rest.iter().take(most_texts).take_while(|part| {
            tokens += part.tokens;
            tokens <= REQUEST_TOKENS
        });
        let (batch, after) = rest.split_at(fitting.count().max(1));
        batches.push(batch);
        rest = after;
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(tokens: &[usize], most_texts: usize) -> Vec<usize> {
        let parts: Vec<Part<'_>> = tokens.iter().map(|&tokens| Part { text: "", tokens }).collect();
        batches(&parts, most_texts).iter().map(|batch| batch.len()).collect()
    }

    #[test]
    fn a_batch_has_so_many_texts_and_tokens_at_most() {
        assert_eq!(sizes(&[], 2), [0; 0]);
        assert_eq!(sizes(&[1, 1, 1], 2), [2, 1]);
        assert_eq!(sizes(&[200_000, 50_000, 1], 9), [2, 1]);
        assert_eq!(sizes(&[REQUEST_TOKENS + 1, 1], 9), [1, 1]);
    }

    #[test]
    fn a_name_says_which_dimensions_were_asked_for() {
        let options = Options {
            model: "large".to_owned(),
            dimensions: None,
            window_tokens: 9,
            batch_texts: 9,
            query_prefix: "q".to_owned(),
            passage_prefix: "p".to_owned(),
            tells_kind: false,
        };
        let named = |name: &str| {
            let Options { model, dimensions, .. } = options.clone().for_model(name);
            (model, dimensions)
        };
        assert_eq!(named("small@512"), ("small".to_owned(), Some(512)));
        assert_eq!(named("small"), ("small".to_owned(), None));
        assert_eq!(named("org/small@v2"), ("org/small@v2".to_owned(), None));
    }
}
