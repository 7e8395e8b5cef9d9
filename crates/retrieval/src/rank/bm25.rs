//! Keyword scores: BM25, the same on every database, because it is reckoned here.

use std::collections::BTreeMap;

use crate::words;

/// How fast more of the same word stops to count.
const K1: f64 = 1.2;
/// How much a long chunk has to say to count as much as a short one.
const B: f64 = 0.75;

/// What is known of all chunks of a store together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Store {
    /// How many there are.
    pub chunks: u64,
    /// How many words they have, counted as often as they stand there.
    pub words: u64,
}

/// A word of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The word.
    pub word: String,
    /// How often the query has it.
    pub times: u32,
    /// How many of the store's chunks have it.
    pub chunks: u64,
}

/// The words of a query, still without what the store knows of them.
pub fn terms(query: &str) -> Vec<Term> {
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    for word in words::words(query) {
        *times.entry(word).or_default() += 1;
    }
    times.into_iter().map(|(word, times)| Term { word, times, chunks: 0 }).collect()
}

/// A query's scoring.
#[derive(Clone, Debug)]
pub struct Bm25 {
    terms: Vec<(Term, f64)>,
    mean_length: f64,
}

impl Bm25 {
    /// Scores by these words.
    pub fn new(store: Store, terms: Vec<Term>) -> Self {
        let chunks = store.chunks.max(1) as f64;
        let terms = terms
            .into_iter()
            .map(|term| {
                let having = (term.chunks as f64).min(chunks);
                let rarity = ((chunks - having + 0.5) / (having + 0.5)).ln_1p();
                let weight = rarity * f64::from(term.times);
                (term, weight)
            })
            .collect();
        Self { terms, mean_length: (store.words as f64 / chunks).max(1.0) }
    }

    /// Which of the words the database should be asked for, the rarest first, so that not many more than `most`
    /// chunks have any of them; but at least one, if there is one that stands anywhere.
    pub fn rarest(&self, most: u64) -> Vec<&str> {
        let mut terms: Vec<&Term> =
            self.terms.iter().map(|(term, _)| term).filter(|term| term.chunks > 0).collect();
        terms.sort_by(|one, other| (one.chunks, &one.word).cmp(&(other.chunks, &other.word)));
        let mut sum = 0;
        let few = terms.iter().take_while(|term| {
            let first = sum == 0;
            sum += term.chunks;
            first || sum <= most
        });
        few.map(|term| term.word.as_str()).collect()
    }

    /// The score of a chunk from 0 to 1, given its words as [`words::joined`] has them: BM25 as a part of the most
    /// that a chunk could have, which is never quite reached. Each word once in a chunk of mean length gives 0.45.
    /// Words that no chunk has count as well: what the store knows half of is answered by half.
    pub fn score(&self, list: &str) -> f64 {
        let mut times = vec![0_u32; self.terms.len()];
        let mut length = 0_u32;
        for word in list.split(' ') {
            length += 1;
            if let Ok(index) = self.terms.binary_search_by(|(term, _)| term.word.as_str().cmp(word)) {
                times[index] += 1;
            }
        }
        let stretch = K1 * (1.0 - B + B * f64::from(length) / self.mean_length);
        let weighed = self.terms.iter().zip(times).map(|((_, weight), times)| (weight, f64::from(times)));
        let sum: f64 = weighed.map(|(weight, times)| weight * times * (K1 + 1.0) / (times + stretch)).sum();
        let most = self.terms.iter().map(|(_, weight)| weight).sum::<f64>() * (K1 + 1.0);
        if most > 0.0 { sum / most } else { 0.0 }
    }
}
