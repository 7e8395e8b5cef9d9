//! Which chunks answer a query best.
//!
//! A search goes like this; what is in brackets the caller does:
//!
//! 1. [`terms`] splits the query; [the database says in how many of the store's chunks each word stands].
//! 2. [`Bm25::rarest`] says which of them are worth asking for; [the database finds candidates with any of them;
//!    the index of vectors finds those nearest in meaning; filters apply to both].
//! 3. Each candidate, however it was found, gets both scores: [`Bm25::score`] of [its words] and [`Meaning::score`]
//!    of [its cosine]; [`fused`] makes one of them.
//! 4. Where several queries ask for the same, [`agreed`] makes one of each chunk's scores.
//! 5. [`best`] orders them, without windows of a passage that is there already.
//!
//! All scores are from 0 to 1 and mean the same in every store, so that a threshold can be set: a chunk that has all
//! of the query's words several times and is near to it in meaning comes close to 1, one that has nothing to do with
//! it close to 0.

mod bm25;
mod matched;
mod meaning;

use std::cmp::Ordering;
use std::ops::Range;

pub use bm25::{Bm25, Store, Term, terms};
pub use matched::matched_words;
pub use meaning::{KNOWN_ANSWERS, Meaning};

/// What of the distance to 1 a chunk gains that all queries find as good as the one that finds it best.
const AGREEMENT: f64 = 0.25;

/// How much of a chunk's score its words and its meaning give, each from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// 0 where words do not count.
    pub words: f64,
    /// 0 where meaning does not count.
    pub meaning: f64,
}

impl Weights {
    /// Words alone.
    pub const WORDS: Self = Self { words: 1.0, meaning: 0.0 };
    /// Meaning alone.
    pub const MEANING: Self = Self { words: 0.0, meaning: 1.0 };

    /// Weights of which only the proportion is meant: the larger becomes 1.
    pub fn in_proportion(words: f64, meaning: f64) -> Self {
        let larger = words.max(meaning);
        if larger > 0.0 { Self { words: words / larger, meaning: meaning / larger } } else { Self::default() }
    }
}

/// Both count in full.
impl Default for Weights {
    fn default() -> Self {
        Self { words: 1.0, meaning: 1.0 }
    }
}

/// One score of what a chunk's words and its meaning score, 0 where one is not known: either is enough, and both are
/// better (1 - (1 - words) · (1 - meaning)). Then low scores are brought nearer to 0 and high ones to 1, which leaves
/// their order as it is.
pub fn fused(weights: Weights, words: f64, meaning: f64) -> f64 {
    let words = words.clamp(0.0, 1.0) * weights.words;
    let meaning = meaning.clamp(0.0, 1.0) * weights.meaning;
    let score = 1.0 - (1.0 - words) * (1.0 - meaning);
    score * score * (3.0 - 2.0 * score)
}

/// One score of what several queries give a chunk, 0 from those that do not find it: the best, and more if others
/// agree.
pub fn agreed(scores: &[f64]) -> f64 {
    let best = scores.iter().copied().fold(0.0, f64::max);
    let others = scores.len().saturating_sub(1).max(1) as f64;
    let sum: f64 = scores.iter().sum();
    best + (1.0 - best) * AGREEMENT * (sum - best) / others
}

/// A chunk with its score.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// Its file.
    pub file: i64,
    /// Its id.
    pub chunk: i64,
    /// Its characters in its file's text, as [`crate::chunk::Place`] has them.
    pub place: Range<usize>,
    /// From 0 to 1.
    pub score: f64,
}

/// The best `most` chunks, the best first; those of one score in the order of files and chunks.
///
/// Chunks overlap, so a good passage is found in two or three of them. One that shares half of its text or more with
/// a better one is only taken when nothing else is left.
pub fn best(mut found: Vec<Scored>, most: usize) -> Vec<Scored> {
    found.sort_by(best_first);
    let mut taken: Vec<Scored> = Vec::with_capacity(most.min(found.len()));
    let mut repeated = Vec::new();
    for scored in found {
        if taken.len() == most {
            break;
        }
        if taken.iter().any(|better| repeats(&scored, better)) {
            repeated.push(scored);
        } else {
            taken.push(scored);
        }
    }
    let left = most - taken.len();
    taken.extend(repeated.into_iter().take(left));
    taken.sort_by(best_first);
    taken
}

fn best_first(one: &Scored, other: &Scored) -> Ordering {
    other.score.total_cmp(&one.score).then((one.file, one.chunk).cmp(&(other.file, other.chunk)))
}

fn repeats(scored: &Scored, better: &Scored) -> bool {
    let shared =
        scored.place.end.min(better.place.end).saturating_sub(scored.place.start.max(better.place.start));
    // The pieces of a chunk are about of a length: half is a little less than half.
    scored.file == better.file && shared * 5 >= scored.place.len() * 2 && shared > 0
}

#[cfg(test)]
mod tests;
