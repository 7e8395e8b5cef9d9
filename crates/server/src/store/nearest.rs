//! Vectors found by PostgreSQL itself, where its extension pgvector is there. Elsewhere they are found in this
//! process, which takes the memory of one copy each; both give the same.
//!
//! A passage's vector is kept as bytes in either case, so that the extension may come later.

use adjutant_retrieval::vectors::Vectors;
use sqlx::{AnyConnection, AssertSqlSafe, Executor};

use super::full_text::Database;
use super::{FileLease, Reading, Store, Writing};
use crate::fault::Result;

/// Stores of no more passages are searched exactly: that is quick, and an index that all stores share would have
/// to wade through the others' vectors.
const EXACT_CHUNKS: i64 = 10_000;

/// The most dimensions that an index of half-precision vectors takes (pgvector 0.7 and later).
const MOST_INDEXED: i64 = 4_000;

/// Files whose vectors are taken over in one transaction when the extension is there for the first time.
const AT_ONCE: i64 = 16;

/// Set for each connection: how far an index is searched, which is unknown to the database until the extension is
/// used and does not disturb it; and that no statement is compiled, which takes longer than any of ours.
pub(super) const SESSION: &str =
    "set hnsw.ef_search = 200; set hnsw.iterative_scan = strict_order; set jit = off";

/// A table of their own, since exact search reads all vectors of a store: beside the passages' texts it would read
/// six times as much. For the same reason they are kept in their rows.
const TABLE: &str = "do $$ begin if to_regclass('chunk_vectors') is null then \
    create table chunk_vectors (id bigint primary key references chunks (id) on delete cascade, \
        store_number bigint not null, project text not null, dimensions integer not null, embedding halfvec not null); \
    alter table chunk_vectors alter column embedding set storage main; \
    create index chunk_vectors_by_store on chunk_vectors (store_number); end if; end $$";

/// Makes the extension and its table where that can be done; false where it cannot.
pub(super) async fn prepare(connection: &mut AnyConnection) -> bool {
    let made = async {
        connection.execute("create extension if not exists vector").await?;
        connection.execute(TABLE).await?;
        connection.execute("alter table file_vectors add column if not exists adopted boolean").await?;
        Ok::<_, sqlx::Error>(())
    };
    match made.await {
        Ok(()) => true,
        Err(error) => {
            tracing::info!("PostgreSQL has no pgvector 0.7 or later, so vectors are searched here: {error}");
            false
        }
    }
}

/// A vector as pgvector reads it.
fn as_text(vector: &[f32]) -> String {
    let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
    format!("[{}]", numbers.join(","))
}

/// Stores a passage's vector, in place of an earlier one; nothing where the passage is gone.
async fn insert(connection: &mut AnyConnection, id: i64, vector: &[f32]) -> sqlx::Result<()> {
    let sql = format!(
        "insert into chunk_vectors (id, store_number, project, dimensions, embedding) \
         select id, store_number, project, {}, $1::halfvec from chunks where id = $2 \
         on conflict (id) do update set dimensions = excluded.dimensions, embedding = excluded.embedding",
        vector.len()
    );
    sqlx::query(AssertSqlSafe(sql)).bind(as_text(vector)).bind(id).execute(connection).await?;
    Ok(())
}

impl Store {
    /// Whether the database finds vectors itself.
    pub fn finds_vectors(&self) -> bool {
        self.database.finds_vectors()
    }

    /// Takes over vectors that were stored before the extension was there, and makes the indexes that are
    /// missing.
    pub(super) async fn adopt_vectors(&self) -> Result<()> {
        if !self.finds_vectors() {
            return Ok(());
        }
        while self.adopt_some().await? > 0 {}
        let lengths: Vec<(i64,)> =
            sqlx::query_as("select distinct dimensions from vector_stores where dimensions > 0")
                .fetch_all(&self.reads)
                .await?;
        for (dimensions,) in lengths {
            self.index_vectors(dimensions).await?;
        }
        Ok(())
    }

    async fn adopt_some(&self) -> Result<usize> {
        let mut open = self.writer.begin().await?;
        let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(
            "select number, vectors from file_vectors where adopted is null limit $1 for update",
        )
        .bind(AT_ONCE)
        .fetch_all(open.connection())
        .await?;
        for (number, bytes) in &rows {
            let vectors = Vectors::from_bytes(bytes).map_err(anyhow::Error::from)?;
            for (id, vector) in vectors.iter() {
                insert(open.connection(), id, &vector).await?;
            }
            sqlx::query("update file_vectors set adopted = true where number = $1")
                .bind(*number)
                .execute(open.connection())
                .await?;
        }
        open.commit().await?;
        Ok(rows.len())
    }

    /// Makes the index of vectors of this length, where the database has use for one. Quick for the first store
    /// whose vectors are so long.
    ///
    /// # Errors
    /// Where the database fails, or another process makes it at this moment.
    pub async fn index_vectors(&self, dimensions: i64) -> Result<()> {
        if !self.finds_vectors() || dimensions > MOST_INDEXED {
            return Ok(());
        }
        let sql = format!(
            "create index if not exists chunk_vectors_nearest_{dimensions} on chunk_vectors \
             using hnsw ((embedding::halfvec({dimensions})) halfvec_cosine_ops) where dimensions = {dimensions}"
        );
        let mut open = self.writer.begin().await?;
        // Over many vectors it takes minutes.
        for statement in ["set local statement_timeout = 0", "set local lock_timeout = 0", &sql] {
            sqlx::query(AssertSqlSafe(statement.to_owned())).execute(open.connection()).await?;
        }
        open.commit().await
    }
}

// The vector that is compared with is a query of its own in each statement, so that its text is read once and not
// again for each passage.
impl Reading {
    /// The cosines of passages with a vector, by id; those without a vector are missing. For databases that find
    /// vectors themselves.
    pub async fn cosines(&mut self, vector: &[f32], ids: &[i64]) -> Result<Vec<(i64, f64)>> {
        let sql = format!(
            "select id, 1 - (embedding <=> (select $1::halfvec)) from chunk_vectors where project = $2 \
             and dimensions = {} and id = any($3::bigint[])",
            vector.len()
        );
        let rows = sqlx::query_as(AssertSqlSafe(sql))
            .bind(as_text(vector))
            .bind(self.project())
            .bind(self.database.numbers_as_value(ids))
            .fetch_all(self.connection())
            .await?;
        Ok(rows)
    }

    /// The passages of a store whose vectors are nearest to this one, with their cosines, nearest first. `files`
    /// limits the search to these files, by number. For databases that find vectors themselves.
    pub async fn nearest_chunks(
        &mut self,
        (store_number, chunks): (i64, i64),
        vector: &[f32],
        files: Option<&[i64]>,
        limit: usize,
    ) -> Result<Vec<(i64, f64)>> {
        let dimensions = vector.len();
        let indexed = chunks > EXACT_CHUNKS && i64::try_from(dimensions).is_ok_and(|n| n <= MOST_INDEXED);
        // The index is one of this expression; written otherwise, the database does not use it.
        let distance = if indexed {
            format!("(embedding::halfvec({dimensions})) <=> (select $1::halfvec({dimensions}))")
        } else {
            "embedding <=> (select $1::halfvec)".to_owned()
        };
        let sql = format!(
            "select id, 1 - ({distance}) from chunk_vectors where store_number = $2 and project = $3 \
             and dimensions = {dimensions}{} order by {distance} limit {limit}",
            files.map(|_| self.database.of_files("id", 4)).unwrap_or_default()
        );
        let mut query =
            sqlx::query_as(AssertSqlSafe(sql)).bind(as_text(vector)).bind(store_number).bind(self.project());
        if let Some(files) = files {
            query = query.bind(self.database.numbers_as_value(files));
        }
        Ok(query.fetch_all(self.connection()).await?)
    }
}

impl Writing {
    /// Stores the vectors of a held file's passages.
    pub async fn add_vectors(&mut self, lease: &FileLease, vectors: &Vectors) -> Result<()> {
        let finds = self.database.finds_vectors();
        let also = if finds { ("adopted, ", "true, ") } else { ("", "") };
        let sql = format!(
            "insert into file_vectors ({}number, project, vectors) values ({}$1, $2, $3) on conflict (number) \
             do update set vectors = excluded.vectors",
            also.0, also.1
        );
        sqlx::query(AssertSqlSafe(sql))
            .bind(lease.number())
            .bind(self.project())
            .bind(vectors.to_bytes())
            .execute(self.connection())
            .await?;
        if !finds {
            return Ok(());
        }
        for (id, vector) in vectors.iter() {
            insert(self.connection(), id, &vector).await?;
        }
        Ok(())
    }
}

impl Writing {
    /// Forgets the vectors of a store's passages where the database has them.
    pub(super) async fn drop_vectors(&mut self, store_number: i64) -> Result<()> {
        if self.database.finds_vectors() {
            sqlx::query("delete from chunk_vectors where store_number = $1 and project = $2")
                .bind(store_number)
                .bind(self.project())
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }
}

impl Database {
    pub(super) fn finds_vectors(self) -> bool {
        match self {
            Self::Sqlite => false,
            Self::Postgres { vectors } => vectors,
        }
    }
}
