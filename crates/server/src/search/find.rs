//! One search in one store: by words and by meaning at once, and what both found put in one order.

use std::collections::{BTreeMap, HashMap, HashSet};

use adjutant_retrieval::words::words;
use adjutant_wire::search::Ranker;

use super::passage::Place;
use super::snapshot::{handle, read};
use super::{Hit, Question, Search};
use crate::fault::Result;
use crate::store::{Project, StoreKey, WordCounts, file_of};
use crate::upstream::TextKind;

/// What the database finds by words is weighed exactly up to so many passages.
const CANDIDATES: usize = 200;
/// A word that stands in more passages than this is not asked for where rarer ones are.
const COMMON: i64 = 3_000;
const NEAREST: usize = 100;

impl Search {
    /// The best passages of one store, best first.
    pub(super) async fn find(
        &self,
        project: &Project,
        key: &StoreKey,
        question: &Question,
    ) -> Result<Vec<Hit>> {
        let snapshot = self.snapshots.of(&self.store, project, key).await?;
        let allowed: HashSet<i64> = read(&snapshot)
            .files
            .iter()
            .filter(|file| question.filter.as_ref().is_none_or(|filter| filter.admits(&file.attributes)))
            .map(|file| file.number)
            .collect();
        if allowed.is_empty() {
            return Ok(Vec::new());
        }
        let mut best: HashMap<i64, f64> = HashMap::new();
        for query in &question.queries {
            let by_words = async {
                if question.ranker == Ranker::None {
                    Ok(HashMap::new())
                } else {
                    self.by_words(project, key, query, question, &allowed).await
                }
            };
            let (by_words, by_meaning) =
                tokio::join!(by_words, self.by_meaning(project, key, query, question, &snapshot, &allowed));
            let (by_words, by_meaning) = (by_words?, by_meaning?);
            let ids: HashSet<i64> = by_words.keys().chain(by_meaning.keys()).copied().collect();
            for id in ids {
                let words = by_words.get(&id).copied().unwrap_or_default();
                let meaning = by_meaning.get(&id).copied().unwrap_or_default();
                let score = if by_meaning.is_empty() { words } else { 0.4 * words + 0.6 * meaning };
                let known = best.entry(id).or_default();
                *known = known.max(score);
            }
        }
        let mut order: Vec<(i64, f64)> = best
            .into_iter()
            .filter(|(_, score)| *score > 0.0 && *score >= question.score_threshold)
            .collect();
        order.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
        order.truncate(question.max_num_results);
        self.hits(project, &snapshot, &order).await
    }

    async fn by_words(
        &self,
        project: &Project,
        key: &StoreKey,
        query: &str,
        question: &Question,
        allowed: &HashSet<i64>,
    ) -> Result<HashMap<i64, f64>> {
        let mut asked = words(query);
        asked.sort_unstable();
        asked.dedup();
        let mut reading = self.store.read(project).await?;
        let counts = reading.word_counts(&key.object.id, &asked).await?;
        let chosen = rarest(&counts);
        let files: Vec<i64> = allowed.iter().copied().collect();
        let files = question.filter.is_some().then_some(files.as_slice());
        let found = reading.chunks_with_any(key.number, &chosen, files, CANDIDATES).await?;
        let found: Vec<i64> = found.into_iter().filter(|id| allowed.contains(&file_of(*id))).collect();
        let texts = reading.words_of_chunks(&found).await?;
        let most = ideal(&counts);
        let score = |words: &str| (bm25(words, &counts) / most).clamp(0.0, 1.0);
        Ok(texts.iter().map(|(id, words)| (*id, score(words))).collect())
    }

    async fn by_meaning(
        &self,
        project: &Project,
        key: &StoreKey,
        query: &str,
        question: &Question,
        snapshot: &std::sync::RwLock<super::snapshot::Snapshot>,
        allowed: &HashSet<i64>,
    ) -> Result<HashMap<i64, f64>> {
        if key.model.is_empty() {
            return Ok(HashMap::new());
        }
        let embedded = self.upstreams.embed(&key.model, TextKind::Query, &[query.to_owned()]).await;
        let vector = match embedded {
            Ok(mut vectors) => vectors.pop().unwrap_or_default(),
            Err(fault) => {
                tracing::warn!(store.id = %key.object.id, "searched by words alone: {}", fault.message);
                return Ok(HashMap::new());
            }
        };
        if self.store.finds_vectors() {
            let files: Vec<i64> = allowed.iter().copied().collect();
            let files = question.filter.is_some().then_some(files.as_slice());
            let mut reading = self.store.read(project).await?;
            let found = reading.nearest_chunks((key.number, key.chunks), &vector, files, NEAREST).await?;
            return Ok(found.into_iter().filter(|(id, _)| allowed.contains(&file_of(*id))).collect());
        }
        let handles: HashSet<u32> = allowed.iter().map(|number| handle(*number)).collect();
        let snapshot = read(snapshot);
        let Some(index) = &snapshot.vectors else { return Ok(HashMap::new()) };
        let nearest = index.nearest(&vector, NEAREST, |file| handles.contains(&file));
        let nearest = nearest.map_err(anyhow::Error::from)?;
        Ok(nearest.iter().map(|hit| (hit.chunk, f64::from(hit.score.max(0.0)))).collect())
    }

    async fn hits(
        &self,
        project: &Project,
        snapshot: &std::sync::RwLock<super::snapshot::Snapshot>,
        order: &[(i64, f64)],
    ) -> Result<Vec<Hit>> {
        let ids: Vec<i64> = order.iter().map(|(id, _)| *id).collect();
        let passages = self.store.read(project).await?.passages(&ids).await?;
        let mut passages: BTreeMap<i64, _> =
            passages.into_iter().map(|passage| (passage.id, passage)).collect();
        let snapshot = read(snapshot);
        let mut hits = Vec::with_capacity(order.len());
        for (id, score) in order {
            // Either may be gone since it was found.
            let (Some(file), Some(passage)) = (snapshot.file(file_of(*id)), passages.remove(id)) else {
                continue;
            };
            let place = Place::read(&passage.place)?;
            hits.push(Hit {
                file_id: file.id.clone(),
                file_name: file.name.clone(),
                score: *score,
                attributes: file.attributes.clone(),
                text: passage.content,
                page: place.page,
                heading: place.heading,
            });
        }
        Ok(hits)
    }
}

fn rarest(counts: &WordCounts) -> Vec<&str> {
    let mut words: Vec<(&str, i64)> = counts
        .chunks_with
        .iter()
        .map(|(word, chunks)| (word.as_str(), *chunks))
        .filter(|(_, n)| *n > 0)
        .collect();
    words.sort_by_key(|(_, chunks)| *chunks);
    let mut sum = 0;
    let chosen = words.into_iter().enumerate().take_while(|(index, (_, chunks))| {
        sum += chunks;
        *index == 0 || sum <= COMMON
    });
    chosen.map(|(_, (word, _))| word).collect()
}

fn idf(counts: &WordCounts, chunks_with: i64) -> f64 {
    let (all, with) = (counts.chunks as f64, chunks_with as f64);
    (1.0 + (all - with + 0.5).max(0.0) / (with + 0.5)).ln()
}

/// What a passage would score in which every word stands often.
fn ideal(counts: &WordCounts) -> f64 {
    counts.chunks_with.values().map(|with| idf(counts, *with)).sum::<f64>().max(f64::EPSILON) * 1.5
}

fn bm25(words: &str, counts: &WordCounts) -> f64 {
    const K: f64 = 1.2;
    const B: f64 = 0.75;
    let mut times: HashMap<&str, f64> = HashMap::new();
    let mut length = 0.0;
    for word in words.split(' ') {
        length += 1.0;
        if counts.chunks_with.contains_key(word) {
            *times.entry(word).or_default() += 1.0;
        }
    }
    let average = counts.words as f64 / (counts.chunks as f64).max(1.0);
    let score = |(word, times): (&str, f64)| {
        let with = counts.chunks_with.get(word).copied().unwrap_or_default();
        idf(counts, with) * times * (K + 1.0) / (times + K * (1.0 - B + B * length / average.max(1.0)))
    };
    times.into_iter().map(score).sum()
}
