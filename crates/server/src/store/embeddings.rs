//! Vectors by the text that they are of, so that no text is embedded twice: not the halves that neighbouring
//! passages share, not a file in several stores, not what was done before a crash.

use std::collections::HashMap;

use adjutant_wire::UnixSeconds;
use sqlx::AssertSqlSafe;

use super::{Store, digest};
use crate::fault::Result;

/// Rows of one statement.
const ROWS: usize = 500;

impl Store {
    /// The name under which a text's vector is kept.
    pub fn embedding_key(text: &str) -> String {
        digest::digest(&[text.as_bytes()])
    }

    /// The vectors that are known, by key.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn known_embeddings(&self, model: &str, keys: &[String]) -> Result<HashMap<String, Vec<f32>>> {
        let mut known = HashMap::new();
        for some in keys.chunks(ROWS) {
            let places: Vec<String> = (0..some.len()).map(|n| format!("${}", n + 2)).collect();
            let sql = format!(
                "select digest, vector from embeddings where model = $1 and digest in ({})",
                places.join(", ")
            );
            let mut query = sqlx::query_as::<_, (String, Vec<u8>)>(AssertSqlSafe(sql)).bind(model);
            for key in some {
                query = query.bind(key.as_str());
            }
            let rows = query.fetch_all(&self.reads).await?;
            known.extend(rows.into_iter().map(|(key, bytes)| (key, from_bytes(&bytes))));
        }
        Ok(known)
    }

    /// Keeps vectors, by key.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn keep_embeddings(
        &self,
        model: &str,
        vectors: &[(String, &[f32])],
        now: UnixSeconds,
    ) -> Result<()> {
        let mut open = self.writer.begin().await?;
        for (key, vector) in vectors {
            sqlx::query(
                "insert into embeddings (model, digest, vector, created_at) values ($1, $2, $3, $4) \
                 on conflict do nothing",
            )
            .bind(model.to_owned())
            .bind(key.clone())
            .bind(to_bytes(vector))
            .bind(now)
            .execute(open.connection())
            .await?;
        }
        open.commit().await
    }

    /// Takes away vectors that were kept before `before`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn forget_embeddings(&self, before: UnixSeconds) -> Result<()> {
        let mut open = self.writer.begin().await?;
        sqlx::query("delete from embeddings where created_at < $1")
            .bind(before)
            .execute(open.connection())
            .await?;
        open.commit().await
    }
}

fn to_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn from_bytes(bytes: &[u8]) -> Vec<f32> {
    let (values, _) = bytes.as_chunks::<4>();
    values.iter().map(|value| f32::from_le_bytes(*value)).collect()
}
