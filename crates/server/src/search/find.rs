//! One search in one store: by words and by meaning at once, and what both found put in one order.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::RwLock;

use adjutant_retrieval::rank::{self, Bm25, Meaning, Scored, Weights};
use adjutant_wire::passages::Explanation;

use super::passage::Place;
use super::snapshot::{Snapshot, handle, read};
use super::{Hit, Question, Search};
use crate::fault::Result;
use crate::store::{Candidate, Project, StoreKey, file_of};
use crate::upstream::TextKind;

/// What the database finds by words is weighed exactly up to so many passages.
const BY_WORDS: usize = 200;

/// So many are taken by their meaning.
const BY_MEANING: usize = 100;

/// Words are asked for, the rarest first, until about so many passages have one of them.
const HAVING_WORDS: u64 = 3_000;

/// Where one search looks.
struct Scope<'s> {
    project: &'s Project,
    key: &'s StoreKey,
    snapshot: &'s RwLock<Snapshot>,
    /// The files that are searched, by number.
    allowed: HashSet<i64>,
    /// Whether those are fewer than the store has.
    filtered: bool,
}

/// What was found by one query.
type Found = HashMap<i64, Score>;

/// What a passage is worth, from 0 to 1.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    /// By its words.
    words: f64,
    /// By its meaning, where that is known.
    meaning: Option<f64>,
    /// By both.
    both: f64,
}

impl Search {
    /// The best passages of one store, best first.
    pub(super) async fn find(
        &self,
        project: &Project,
        key: &StoreKey,
        question: &Question,
    ) -> Result<Vec<Hit>> {
        let snapshot = self.snapshots.of(&self.store, project, key).await?;
        let admits = |attributes| question.filter.as_ref().is_none_or(|filter| filter.admits(attributes));
        let allowed: HashSet<i64> = read(&snapshot)
            .files
            .iter()
            .filter(|file| admits(&file.attributes))
            .map(|file| file.number)
            .collect();
        if allowed.is_empty() {
            return Ok(Vec::new());
        }
        let filtered = question.filter.is_some();
        let scope = Scope { project, key, snapshot: &snapshot, allowed, filtered };
        let mut places = HashMap::new();
        let mut found = Vec::with_capacity(question.queries.len());
        for query in &question.queries {
            found.push(self.find_one(&scope, query, question.weights, &mut places).await?);
        }
        let best = rank::best(in_one(&found, &places, question.score_threshold), question.max_num_results);
        let explanations = match question.explain {
            true => self.explanations(&scope, &question.queries, &found, &best).await?,
            false => HashMap::new(),
        };
        self.hits(&scope, &best, explanations).await
    }

    /// What one query finds.
    async fn find_one(
        &self,
        scope: &Scope<'_>,
        query: &str,
        weights: Weights,
        places: &mut HashMap<i64, Place>,
    ) -> Result<Found> {
        let ((bm25, with_words), vector) =
            tokio::try_join!(self.by_words(scope, query, weights), self.vector(scope, query, weights))?;
        let near = match &vector {
            Some(vector) => self.by_meaning(scope, vector).await?,
            None => HashMap::new(),
        };
        let ids: BTreeSet<i64> = with_words.into_iter().chain(near.keys().copied()).collect();
        let ids: Vec<i64> = ids.into_iter().filter(|id| scope.allowed.contains(&file_of(*id))).collect();
        let candidates = self.store.read(scope.project).await?.candidates(&ids).await?;
        let cosines = match &vector {
            Some(vector) => self.cosines(scope, vector, near, &candidates).await?,
            None => HashMap::new(),
        };
        let meaning =
            if cosines.is_empty() { Meaning::default() } else { self.meanings.of(&scope.key.model).await };
        let mut found = Found::with_capacity(candidates.len());
        for Candidate { id, place, words } in candidates {
            let words = bm25.score(&words);
            let near = cosines.get(&id).map(|cosine| meaning.score(*cosine));
            let both = rank::fused(weights, words, near.unwrap_or_default());
            found.insert(id, Score { words, meaning: near, both });
            places.insert(id, Place::read(&place)?);
        }
        Ok(found)
    }

    /// How the query's words are weighed, and passages that have some of them.
    async fn by_words(&self, scope: &Scope<'_>, query: &str, weights: Weights) -> Result<(Bm25, Vec<i64>)> {
        let mut terms = rank::terms(query);
        let words: Vec<&str> = terms.iter().map(|term| term.word.as_str()).collect();
        let mut reading = self.store.read(scope.project).await?;
        let counts = reading.word_counts(&scope.key.object.id, &words).await?;
        for term in &mut terms {
            term.chunks = unsigned(counts.chunks_with.get(&term.word).copied().unwrap_or_default());
        }
        let store = rank::Store { chunks: unsigned(counts.chunks), words: unsigned(counts.words) };
        let bm25 = Bm25::new(store, terms);
        if weights.words == 0.0 {
            return Ok((bm25, Vec::new()));
        }
        let rarest = bm25.rarest(HAVING_WORDS);
        let files = scope.files();
        let found = reading.chunks_with_any(scope.key.number, &rarest, files.as_deref(), BY_WORDS).await?;
        Ok((bm25, found))
    }

    /// The query's vector; none where meaning does not count, the store has no vectors, or the model does not
    /// answer: then words alone are searched.
    async fn vector(&self, scope: &Scope<'_>, query: &str, weights: Weights) -> Result<Option<Vec<f32>>> {
        if scope.key.model.is_empty() || weights.meaning == 0.0 {
            return Ok(None);
        }
        let embedded = self.upstreams.embed(&scope.key.model, TextKind::Query, &[query.to_owned()]).await;
        match embedded {
            Ok(mut vectors) => Ok(vectors.pop()),
            Err(fault) => {
                let id = &scope.key.object.id;
                tracing::warn!(store.id = %id, "store `{id}` is searched by words alone: {}", fault.message);
                Ok(None)
            }
        }
    }

    /// The passages nearest to a vector, with their cosines.
    async fn by_meaning(&self, scope: &Scope<'_>, vector: &[f32]) -> Result<HashMap<i64, f64>> {
        if self.store.finds_vectors() {
            let files = scope.files();
            let mut reading = self.store.read(scope.project).await?;
            let size = (scope.key.number, scope.key.chunks);
            let found = reading.nearest_chunks(size, vector, files.as_deref(), BY_MEANING).await?;
            return Ok(found.into_iter().collect());
        }
        let handles: HashSet<u32> = scope.allowed.iter().map(|number| handle(*number)).collect();
        let snapshot = read(scope.snapshot);
        let Some(index) = &snapshot.vectors else { return Ok(HashMap::new()) };
        let nearest = index.nearest(vector, BY_MEANING, |file| handles.contains(&file));
        let nearest = nearest.map_err(anyhow::Error::from)?;
        Ok(nearest.into_iter().map(|hit| (hit.chunk, f64::from(hit.score))).collect())
    }

    /// The cosines of all candidates, some of which are known already.
    async fn cosines(
        &self,
        scope: &Scope<'_>,
        vector: &[f32],
        mut known: HashMap<i64, f64>,
        candidates: &[Candidate],
    ) -> Result<HashMap<i64, f64>> {
        let unknown: Vec<i64> =
            candidates.iter().map(|candidate| candidate.id).filter(|id| !known.contains_key(id)).collect();
        if self.store.finds_vectors() {
            known.extend(self.store.read(scope.project).await?.cosines(vector, &unknown).await?);
            return Ok(known);
        }
        let snapshot = read(scope.snapshot);
        let Some(index) = &snapshot.vectors else { return Ok(known) };
        let chunks: Vec<(u32, i64)> = unknown.iter().map(|id| (handle(file_of(*id)), *id)).collect();
        let scores = index.scores(vector, &chunks).map_err(anyhow::Error::from)?;
        let scored = unknown.into_iter().zip(scores);
        known.extend(scored.filter_map(|(id, score)| Some((id, f64::from(score?)))));
        Ok(known)
    }

    /// Why the best passages were found.
    async fn explanations(
        &self,
        scope: &Scope<'_>,
        queries: &[String],
        found: &[Found],
        best: &[Scored],
    ) -> Result<HashMap<i64, Explanation>> {
        let ids: Vec<i64> = best.iter().map(|scored| scored.chunk).collect();
        let candidates = self.store.read(scope.project).await?.candidates(&ids).await?;
        let explained = |Candidate { id, words, .. }: Candidate| {
            let scores =
                queries.iter().zip(found).filter_map(|(query, found)| Some((query, found.get(&id)?)));
            let (query, score) = scores.max_by(|one, other| one.1.both.total_cmp(&other.1.both))?;
            let explanation = Explanation {
                query: query.clone(),
                keyword_score: score.words,
                vector_score: score.meaning,
                matched_words: rank::matched_words(query, &words),
            };
            Some((id, explanation))
        };
        Ok(candidates.into_iter().filter_map(explained).collect())
    }

    async fn hits(
        &self,
        scope: &Scope<'_>,
        best: &[Scored],
        mut explanations: HashMap<i64, Explanation>,
    ) -> Result<Vec<Hit>> {
        let ids: Vec<i64> = best.iter().map(|scored| scored.chunk).collect();
        let passages = self.store.read(scope.project).await?.passages(&ids).await?;
        let mut passages: BTreeMap<i64, _> =
            passages.into_iter().map(|passage| (passage.id, passage)).collect();
        let snapshot = read(scope.snapshot);
        let mut hits = Vec::with_capacity(best.len());
        for Scored { file, chunk, score, .. } in best {
            // Either may be gone since it was found.
            let (Some(file), Some(passage)) = (snapshot.file(*file), passages.remove(chunk)) else {
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
                explanation: explanations.remove(chunk),
            });
        }
        Ok(hits)
    }
}

impl Scope<'_> {
    /// The files that are searched, where they are not all.
    fn files(&self) -> Option<Vec<i64>> {
        self.filtered.then(|| self.allowed.iter().copied().collect())
    }
}

/// What several queries found, each passage once.
fn in_one(found: &[Found], places: &HashMap<i64, Place>, threshold: f64) -> Vec<Scored> {
    let scored = |(id, place): (&i64, &Place)| {
        let scores: Vec<f64> =
            found.iter().map(|found| found.get(id).copied().unwrap_or_default().both).collect();
        let score = rank::agreed(&scores);
        (score > 0.0 && score >= threshold).then(|| Scored {
            file: file_of(*id),
            chunk: *id,
            place: place.characters.clone(),
            score,
        })
    };
    places.iter().filter_map(scored).collect()
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}
