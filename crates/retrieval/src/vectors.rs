//! The vectors of a store in memory, all of them looked at for each query.
//!
//! Vectors are kept in two parts: a byte a dimension, which the scan reads, and half a byte of what that left out,
//! which the best of the scan are scored again with. So a vector of 384 dimensions takes 588 bytes with its id,
//! and its score is as good as with 12 bits a dimension. The scan is a plain loop that the compiler turns into
//! the processor's vector instructions: 100,000 such vectors take about 4 ms on one core.
//!
//! Scores are cosines: the lengths of vectors do not count.

mod bytes;
mod quantise;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use quantise::{Query, Row};

/// Why vectors cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Another length than the store's model gives.
    #[error("a vector of {found} dimensions where {expected} are expected")]
    Dimensions {
        /// The store's.
        expected: usize,
        /// The vector's.
        found: usize,
    },
    /// Infinite, or no number at all.
    #[error("a vector with a value that is no finite number")]
    NotFinite,
    /// Stored bytes that [`Vectors::to_bytes`] did not write.
    #[error("stored vectors that are cut off or damaged")]
    Damaged,
}

/// The vectors of one file's chunks, as the index and the database keep them.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors {
    dimensions: usize,
    /// In ascending order.
    chunks: Box<[i64]>,
    scales: Box<[f32]>,
    coarse: Box<[i8]>,
    fine: Box<[u8]>,
}

impl Vectors {
    /// Takes each chunk's id and vector, in any order. Of several with one id the last counts.
    ///
    /// # Errors
    /// [`Unusable::Dimensions`] and [`Unusable::NotFinite`].
    pub fn new(dimensions: usize, chunks: &[(i64, &[f32])]) -> Result<Self, Unusable> {
        let ordered: BTreeMap<i64, &[f32]> = chunks.iter().copied().collect();
        let mut scales = Vec::with_capacity(ordered.len());
        let mut coarse = Vec::with_capacity(ordered.len() * dimensions);
        let mut fine = Vec::with_capacity(ordered.len() * dimensions.div_ceil(2));
        for vector in ordered.values() {
            check(dimensions, vector)?;
            scales.push(quantise::push(vector, &mut coarse, &mut fine));
        }
        Ok(Self {
            dimensions,
            chunks: ordered.into_keys().collect(),
            scales: scales.into(),
            coarse: coarse.into(),
            fine: fine.into(),
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// How long each is.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Each chunk's id and its vector, of unit length, as far as it was kept: for databases that search vectors
    /// themselves.
    pub fn iter(&self) -> impl Iterator<Item = (i64, Vec<f32>)> {
        self.chunks.iter().enumerate().map(|(index, chunk)| (*chunk, self.row(index).values()))
    }

    /// The same vectors for chunks of other ids, in the same order.
    ///
    /// # Errors
    /// [`Unusable::Damaged`] where the new ids are not in ascending order.
    pub fn with_ids(self, new: impl Fn(i64) -> i64) -> Result<Self, Unusable> {
        let chunks: Box<[i64]> = self.chunks.iter().map(|chunk| new(*chunk)).collect();
        if !chunks.is_sorted_by(|one, next| one < next) {
            return Err(Unusable::Damaged);
        }
        Ok(Self { chunks, ..self })
    }

    /// The memory they take.
    fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.len() * (size_of::<i64>() + size_of::<f32>())
            + self.coarse.len()
            + self.fine.len()
    }

    fn row(&self, index: usize) -> Row<'_> {
        let half = self.dimensions.div_ceil(2);
        Row {
            scale: self.scales[index],
            coarse: &self.coarse[index * self.dimensions..][..self.dimensions],
            fine: &self.fine[index * half..][..half],
        }
    }
}

/// The vectors of a store's files.
#[derive(Clone, Debug)]
pub struct Index {
    dimensions: usize,
    // In order, so that equal scores come in the same order each time.
    files: BTreeMap<u32, Vectors>,
}

/// A chunk that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Its file.
    pub file: u32,
    /// Its id.
    pub chunk: i64,
    /// The cosine with the query, from -1 to 1.
    pub score: f32,
}

impl Index {
    /// An empty index of vectors of this length.
    pub fn new(dimensions: usize) -> Self {
        Self { dimensions, files: BTreeMap::new() }
    }

    /// Adds a file, in place of the one that had its handle.
    ///
    /// # Errors
    /// [`Unusable::Dimensions`] if its vectors are of another length; then nothing changes.
    pub fn add(&mut self, file: u32, vectors: Vectors) -> Result<(), Unusable> {
        if vectors.dimensions != self.dimensions {
            return Err(Unusable::Dimensions { expected: self.dimensions, found: vectors.dimensions });
        }
        self.files.insert(file, vectors);
        Ok(())
    }

    /// Takes a file away, and says whether it was there.
    pub fn remove(&mut self, file: u32) -> bool {
        self.files.remove(&file).is_some()
    }

    /// How many vectors there are.
    pub fn len(&self) -> usize {
        self.files.values().map(Vectors::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.files.values().all(Vectors::is_empty)
    }

    /// About how much memory the index takes.
    pub fn bytes(&self) -> usize {
        self.files.values().map(Vectors::bytes).sum()
    }

    /// The `k` chunks nearest to a query, the nearest first, of the files that `allow` lets in.
    ///
    /// # Errors
    /// [`Unusable::Dimensions`] and [`Unusable::NotFinite`] for the query.
    pub fn nearest(
        &self,
        query: &[f32],
        k: usize,
        allow: impl Fn(u32) -> bool,
    ) -> Result<Vec<Hit>, Unusable> {
        check(self.dimensions, query)?;
        let query = Query::new(query);
        // The scan errs in the fourth digit. What lies that near to the k-th best is among so many.
        let mut best = Best::new(k * 2 + 32);
        for (&file, vectors) in self.files.iter().filter(|(file, _)| allow(**file)) {
            let rows = vectors.coarse.chunks_exact(self.dimensions.max(1));
            for (index, (coarse, scale)) in rows.zip(&vectors.scales).enumerate() {
                best.offer(query.coarse_score(coarse, *scale), file, index);
            }
        }
        let mut hits: Vec<Hit> = best
            .finish()
            .into_iter()
            .filter_map(|(_, file, index)| {
                let vectors = self.files.get(&file)?;
                Some(Hit { file, chunk: vectors.chunks[index], score: query.score(&vectors.row(index)) })
            })
            .collect();
        hits.sort_by(|left, right| {
            right.score.total_cmp(&left.score).then((left.file, left.chunk).cmp(&(right.file, right.chunk)))
        });
        hits.truncate(k);
        Ok(hits)
    }

    /// The scores of these chunks of these files, in the order asked; none for one that is not there.
    ///
    /// # Errors
    /// [`Unusable::Dimensions`] and [`Unusable::NotFinite`] for the query.
    pub fn scores(&self, query: &[f32], chunks: &[(u32, i64)]) -> Result<Vec<Option<f32>>, Unusable> {
        check(self.dimensions, query)?;
        let query = Query::new(query);
        let score = |(file, chunk): &(u32, i64)| {
            let vectors = self.files.get(file)?;
            let index = vectors.chunks.binary_search(chunk).ok()?;
            Some(query.score(&vectors.row(index)))
        };
        Ok(chunks.iter().map(score).collect())
    }
}

fn check(expected: usize, vector: &[f32]) -> Result<(), Unusable> {
    let found = vector.len();
    if found != expected {
        return Err(Unusable::Dimensions { expected, found });
    }
    if vector.iter().all(|value| value.is_finite()) { Ok(()) } else { Err(Unusable::NotFinite) }
}

/// The best rows so far: score, file, index in the file.
struct Best {
    wanted: usize,
    /// Up to twice as many as wanted, so that they are sorted now and then instead of each time.
    rows: Vec<(f32, u32, usize)>,
    /// What is not above this is not among the best.
    floor: f32,
}

impl Best {
    fn new(wanted: usize) -> Self {
        Self { wanted, rows: Vec::new(), floor: f32::NEG_INFINITY }
    }

    fn offer(&mut self, score: f32, file: u32, index: usize) {
        if score > self.floor {
            self.rows.push((score, file, index));
            if self.rows.len() >= self.wanted * 2 {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        self.rows.sort_unstable_by(best_first);
        self.rows.truncate(self.wanted);
        if self.rows.len() == self.wanted {
            self.floor = self.rows.last().map_or(self.floor, |(score, ..)| *score);
        }
    }

    fn finish(mut self) -> Vec<(f32, u32, usize)> {
        self.cut();
        self.rows
    }
}

fn best_first(left: &(f32, u32, usize), right: &(f32, u32, usize)) -> Ordering {
    right.0.total_cmp(&left.0).then((left.1, left.2).cmp(&(right.1, right.2)))
}

#[cfg(test)]
mod tests;
