//! Files made searchable: read, cut into chunks, embedded, found again.

mod enclosed;
mod reader;

use std::time::Duration;

use adjutant_wire::UnixSeconds;
use serde_json::{Map, Value};

use crate::fault::Result;
use crate::store::{Project, Store};

pub use enclosed::read_document;
pub use reader::{NoDocument, Reader};

/// What is looked for, and how much of it is wanted.
#[derive(Clone, Debug)]
pub struct Question {
    /// One or several ways of asking the same.
    pub queries: Vec<String>,
    /// The most results, 1 to 50.
    pub max_num_results: usize,
    /// Results that score less are left out, 0 to 1.
    pub score_threshold: f64,
}

/// A passage that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Its file.
    pub file_id: String,
    /// The file's name.
    pub file_name: String,
    /// From 0 to 1, the best first.
    pub score: f64,
    /// The file's attributes in its store.
    pub attributes: Map<String, Value>,
    /// The passage.
    pub text: String,
    /// The page it begins on, from 1, where the file has pages.
    pub page: Option<u32>,
    /// The heading it stands under.
    pub heading: Option<String>,
}

/// Searches vector stores.
pub struct Search {
    store: Store,
}

impl Search {
    /// Searches in this database.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The best passages of several stores at once. Marks the stores as used `now`.
    ///
    /// # Errors
    /// 404 for a missing store; 400 for one that has expired.
    pub async fn search(
        &self,
        project: &Project,
        stores: &[String],
        question: &Question,
        now: UnixSeconds,
    ) -> Result<Vec<Hit>> {
        let _ = (&self.store, project, stores, question, now);
        Err(anyhow::anyhow!("vector stores are not built yet").into())
    }
    /// Waits until the files of these stores can be found, at most so long; then those count that can be found.
    ///
    /// # Errors
    /// 404 for a missing store; 400 for one that has expired.
    pub async fn await_indexed(
        &self,
        project: &Project,
        stores: &[String],
        patience: Duration,
    ) -> Result<()> {
        let _ = (&self.store, project, stores, patience);
        Ok(())
    }
}
