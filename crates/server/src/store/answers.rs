//! Requests that are carried out once however often they are sent: those with an `Idempotency-Key`.
//!
//! The answer is stored in the transaction that creates what it describes, so there is never one without the
//! other. The row is inserted first: of two requests with one key the database lets one through, and the
//! other reads its answer.

use adjutant_wire::UnixSeconds;
use anyhow::Context;
use serde::Serialize;

use super::digest::digest;
use super::{Project, Reading, Store, Writing};
use crate::fault::{Fault, Result};

/// A request's key and what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    key: String,
    request: String,
    now: UnixSeconds,
}

impl Idempotency {
    /// The key of a request with this path and body that came in now.
    pub fn new(key: &str, path: &str, body: &[u8], now: UnixSeconds) -> Self {
        Self { key: key.to_owned(), request: digest(&[path.as_bytes(), body]), now }
    }
}

/// Who asks for something new, and the key by which to know the request again, if it has one.
#[derive(Clone, Debug)]
pub struct Once {
    /// Whose objects these are.
    pub project: Project,
    /// The key.
    pub key: Option<Idempotency>,
}

impl Store {
    /// Begins a transaction that carries a request out. It must [`remember`](Writing::remember) the answer.
    ///
    /// # Errors
    /// [`Fault::Answered`] where the request has been carried out; a 400 where its key stands for another one.
    pub async fn write_once(&self, once: &Once) -> Result<Writing> {
        let mut tx = self.write(&once.project).await?;
        let Some(key) = &once.key else { return Ok(tx) };
        if tx.claim_key(key).await? {
            return Ok(tx);
        }
        let answered = tx.answered(key).await;
        // On SQLite the row may be of a transaction that waits for its commit. This one waits with it: an answer
        // counts once it is on disk.
        tx.commit().await?;
        let answer = answered?.context("an answer was taken away while it was read")?;
        Err(Fault::Answered(answer))
    }

    /// Takes away the answers to requests that came in before `before`, and tells how many they were.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn forget_answers(&self, before: UnixSeconds) -> Result<u64> {
        let mut open = self.writer.begin().await?;
        let forgotten = sqlx::query("delete from answers where created_at < $1")
            .bind(before)
            .execute(open.connection())
            .await?
            .rows_affected();
        open.commit().await?;
        Ok(forgotten)
    }
}

impl Reading {
    /// What the request was answered, if it has been carried out.
    ///
    /// # Errors
    /// A 400 where its key stands for another request.
    pub async fn answered(&mut self, key: &Idempotency) -> Result<Option<String>> {
        let row: Option<(String, String)> =
            sqlx::query_as("select request, answer from answers where project = $1 and idempotency_key = $2")
                .bind(self.project())
                .bind(key.key.clone())
                .fetch_optional(self.connection())
                .await?;
        match row {
            Some((request, _)) if request != key.request => Err(reused().into()),
            Some((_, answer)) => Ok(Some(answer)),
            None => Ok(None),
        }
    }
}

impl Writing {
    /// False where another request has the key.
    async fn claim_key(&mut self, key: &Idempotency) -> Result<bool> {
        let claimed = sqlx::query(
            "insert into answers (project, idempotency_key, request, answer, created_at) values ($1, $2, $3, '', $4) \
             on conflict do nothing",
        )
        .bind(self.project())
        .bind(key.key.clone())
        .bind(key.request.clone())
        .bind(key.now)
        .execute(self.connection())
        .await?
        .rows_affected();
        Ok(claimed == 1)
    }

    /// Keeps the answer for whoever sends the request again. Nothing happens where it has no key.
    pub async fn remember<T: Serialize>(&mut self, once: &Once, answer: &T) -> Result<()> {
        let Some(key) = &once.key else { return Ok(()) };
        sqlx::query("update answers set answer = $1 where project = $2 and idempotency_key = $3")
            .bind(serde_json::to_string(answer)?)
            .bind(self.project())
            .bind(key.key.clone())
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

fn reused() -> adjutant_wire::Error {
    let message = "The Idempotency-Key of this request was used for another one. Send the same path and body as \
                   before, or take another key.";
    adjutant_wire::Error { code: Some("idempotency_key_reused"), ..adjutant_wire::Error::invalid(message) }
}
