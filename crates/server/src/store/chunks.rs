//! Passages, their words and their vectors.

use std::collections::BTreeMap;

use adjutant_wire::VectorStoreId;
use adjutant_wire::id::Id;
use sqlx::AssertSqlSafe;

use super::ingest::FileLease;
use super::{Project, Reading, Store, Writing};
use crate::fault::Result;

/// Passages of one file have ids that begin with its number; a file has fewer than this.
pub const CHUNKS_A_FILE: i64 = 1 << 20;

/// Passages that are taken away in one transaction, so that nobody waits long for it.
const AT_ONCE: i64 = 256;

/// Rows of one statement. SQLite takes 32,766 values a statement.
const ROWS: usize = 4_000;

/// A passage to be stored.
#[derive(Clone, Debug)]
pub struct NewChunk {
    /// Its place among the file's passages, from 0.
    pub index: i64,
    /// Page, heading and offsets, as JSON.
    pub place: String,
    /// The passage.
    pub content: String,
    /// Its words in order, as the index has them: letters and digits only.
    pub words: Vec<String>,
}

/// A passage as it was stored.
#[derive(Clone, Debug)]
pub struct Passage {
    /// Its id.
    pub id: i64,
    /// Page, heading and offsets, as JSON.
    pub place: String,
    /// The passage.
    pub content: String,
}

/// A passage that may be what is looked for.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its id.
    pub id: i64,
    /// Page, heading and offsets, as JSON.
    pub place: String,
    /// Its words with blanks between.
    pub words: String,
}

/// What BM25 needs to know of a store.
#[derive(Clone, Debug, Default)]
pub struct WordCounts {
    /// Passages.
    pub chunks: i64,
    /// Words of all passages.
    pub words: i64,
    /// In how many passages each of the words that were asked for stands. Those in none are missing.
    pub chunks_with: BTreeMap<String, i64>,
}

/// The number of the file that a passage is of.
pub fn file_of(chunk: i64) -> i64 {
    chunk / CHUNKS_A_FILE
}

/// The id of a file's passage.
pub(super) fn id_of(file_number: i64, place: i64) -> i64 {
    file_number * CHUNKS_A_FILE + place
}

/// The place of a passage among those of its file, from 0.
pub fn place_in_file(chunk: i64) -> i64 {
    chunk.rem_euclid(CHUNKS_A_FILE)
}

/// A list of placeholders.
fn placeholders(from: usize, count: usize) -> String {
    (from..from + count).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}

impl Reading {
    /// In how many passages of a store these words stand.
    pub async fn word_counts(&mut self, store: &VectorStoreId, words: &[&str]) -> Result<WordCounts> {
        let row: Option<(i64, i64, i64)> =
            sqlx::query_as("select number, chunks, words from vector_stores where id = $1 and project = $2")
                .bind(store.as_str())
                .bind(self.project())
                .fetch_optional(self.connection())
                .await?;
        let Some((number, chunks, total)) = row else { return Err(store.missing().into()) };
        let mut counts = WordCounts { chunks, words: total, chunks_with: BTreeMap::new() };
        if words.is_empty() {
            return Ok(counts);
        }
        let sql = format!(
            "select word, chunks from word_counts where store_number = $1 and word in ({})",
            placeholders(2, words.len())
        );
        let mut query = sqlx::query_as::<_, (String, i64)>(AssertSqlSafe(sql)).bind(number);
        for word in words {
            query = query.bind(*word);
        }
        counts.chunks_with = query.fetch_all(self.connection()).await?.into_iter().collect();
        Ok(counts)
    }

    /// The words of passages, with blanks between, and their places. Those that are gone are missing.
    pub async fn candidates(&mut self, ids: &[i64]) -> Result<Vec<Candidate>> {
        let rows: Vec<(i64, String, String)> = self.of_chunks("id, place, words", ids).await?;
        Ok(rows.into_iter().map(|(id, place, words)| Candidate { id, place, words }).collect())
    }

    /// Passages by id, in any order. Those that are gone are missing.
    pub async fn passages(&mut self, ids: &[i64]) -> Result<Vec<Passage>> {
        let rows: Vec<(i64, String, String)> = self.of_chunks("id, place, content", ids).await?;
        Ok(rows.into_iter().map(|(id, place, content)| Passage { id, place, content }).collect())
    }

    async fn of_chunks<R>(&mut self, columns: &str, ids: &[i64]) -> Result<Vec<R>>
    where
        R: for<'r> sqlx::FromRow<'r, sqlx::any::AnyRow> + Send + Unpin,
    {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "select {columns} from chunks where project = $1 and id in ({})",
            placeholders(2, ids.len())
        );
        let mut query = sqlx::query_as::<_, R>(AssertSqlSafe(sql)).bind(self.project());
        for id in ids {
            query = query.bind(*id);
        }
        Ok(query.fetch_all(self.connection()).await?)
    }

    /// The vectors of a completed file's passages, as they were stored.
    pub async fn file_vectors(&mut self, file_number: i64) -> Result<Option<Vec<u8>>> {
        let row: Option<(Vec<u8>,)> =
            sqlx::query_as("select vectors from file_vectors where number = $1 and project = $2")
                .bind(file_number)
                .bind(self.project())
                .fetch_optional(self.connection())
                .await?;
        Ok(row.map(|(vectors,)| vectors))
    }

    /// A file's next passages after one of them, in order.
    pub async fn next_passages(&mut self, file_number: i64, after: i64, limit: i64) -> Result<Vec<Passage>> {
        let rows: Vec<(i64, String, String)> = sqlx::query_as(
            "select id, place, content from chunks where id > $1 and id < $2 and project = $3 order by id limit $4",
        )
        .bind(after.max(file_number * CHUNKS_A_FILE - 1))
        .bind((file_number + 1) * CHUNKS_A_FILE)
        .bind(self.project())
        .bind(limit)
        .fetch_all(self.connection())
        .await?;
        Ok(rows.into_iter().map(|(id, place, content)| Passage { id, place, content }).collect())
    }
}

impl Writing {
    /// Stores passages of a file and puts them into the index. The lease must be held.
    pub async fn add_chunks(&mut self, lease: &FileLease, chunks: &[NewChunk]) -> Result<()> {
        let first = lease.number() * CHUNKS_A_FILE;
        for some in chunks.chunks(ROWS / 6) {
            let rows: Vec<String> =
                (0..some.len()).map(|row| format!("({})", placeholders(row * 6 + 1, 6))).collect();
            let sql = format!(
                "insert into chunks (id, project, store_number, place, content, words) values {}",
                rows.join(", ")
            );
            let mut insert = sqlx::query(AssertSqlSafe(sql));
            for chunk in some {
                insert = insert
                    .bind(first + chunk.index)
                    .bind(self.project())
                    .bind(lease.store_number())
                    .bind(chunk.place.as_str())
                    .bind(chunk.content.as_str())
                    .bind(chunk.words.join(" "));
            }
            insert.execute(self.connection()).await?;
        }
        let words: Vec<(i64, &[String])> =
            chunks.iter().map(|chunk| (first + chunk.index, chunk.words.as_slice())).collect();
        self.index(lease.store_number(), &words).await?;
        let mut counted = Counted::default();
        for chunk in chunks {
            counted.add(chunk.words.iter().map(String::as_str));
        }
        self.count(lease.store_number(), &counted, 1).await
    }

    /// Adds passages to a store's counts, or for a `sign` of -1 takes them away. The store's row comes first
    /// and words come in order, so that transactions wait for each other and never in a circle.
    async fn count(&mut self, store_number: i64, counted: &Counted<'_>, sign: i64) -> Result<()> {
        sqlx::query("update vector_stores set chunks = chunks + $1, words = words + $2 where number = $3 and project = $4")
            .bind(sign * counted.chunks)
            .bind(sign * counted.words)
            .bind(store_number)
            .bind(self.project())
            .execute(self.connection())
            .await?;
        let words: Vec<(&str, i64)> =
            counted.chunks_with.iter().map(|(word, count)| (*word, *count)).collect();
        for some in words.chunks(ROWS / 2) {
            let rows: Vec<String> =
                (0..some.len()).map(|row| format!("($1, ${}, ${})", row * 2 + 2, row * 2 + 3)).collect();
            let sql = format!(
                "insert into word_counts (store_number, word, chunks) values {} on conflict (store_number, word) \
                 do update set chunks = word_counts.chunks + excluded.chunks",
                rows.join(", ")
            );
            let mut upsert = sqlx::query(AssertSqlSafe(sql)).bind(store_number);
            for (word, count) in some {
                upsert = upsert.bind(*word).bind(sign * *count);
            }
            upsert.execute(self.connection()).await?;
        }
        Ok(())
    }
}

/// Passages as a store counts them.
#[derive(Default)]
struct Counted<'w> {
    chunks: i64,
    words: i64,
    chunks_with: BTreeMap<&'w str, i64>,
}

impl<'w> Counted<'w> {
    fn add(&mut self, words: impl Iterator<Item = &'w str>) {
        self.chunks += 1;
        let mut once = std::collections::BTreeSet::new();
        for word in words {
            self.words += 1;
            once.insert(word);
        }
        for word in once {
            *self.chunks_with.entry(word).or_default() += 1;
        }
    }
}

impl Store {
    /// Takes away some passages of an attachment that is gone. False where there are none left to take.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn purge_some(&self) -> Result<bool> {
        let row: Option<(i64, i64, String)> =
            sqlx::query_as("select number, store_number, project from detached order by number limit 1")
                .fetch_optional(&self.reads)
                .await?;
        let Some((number, store_number, project)) = row else { return Ok(false) };
        let mut tx = self.write(&Project::new(&project)).await?;
        tx.purge(number, store_number).await?;
        tx.commit().await?;
        Ok(true)
    }
}

impl Writing {
    async fn purge(&mut self, number: i64, store_number: i64) -> Result<()> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "delete from chunks where project = $1 and id in \
             (select id from chunks where id >= $2 and id < $3 order by id limit $4) returning id, words",
        )
        .bind(self.project())
        .bind(number * CHUNKS_A_FILE)
        .bind((number + 1) * CHUNKS_A_FILE)
        .bind(AT_ONCE)
        .fetch_all(self.connection())
        .await?;
        if rows.is_empty() {
            for statement in
                ["delete from file_vectors where number = $1", "delete from detached where number = $1"]
            {
                sqlx::query(statement).bind(number).execute(self.connection()).await?;
            }
            sqlx::query("delete from word_counts where store_number = $1 and chunks <= 0")
                .bind(store_number)
                .execute(self.connection())
                .await?;
            return Ok(());
        }
        let ids: Vec<i64> = rows.iter().map(|(id, _)| *id).collect();
        self.unindex(&ids).await?;
        let mut counted = Counted::default();
        for (_, words) in &rows {
            counted.add(words.split(' ').filter(|word| !word.is_empty()));
        }
        self.count(store_number, &counted, -1).await
    }
}
