//! The one place with SQL. The same statements run on SQLite and PostgreSQL; what differs between them is
//! in `connect` and `writer`.
//!
//! [`Reading`] and [`Writing`] belong to one project: every statement names it, so no object of another
//! project can be seen or touched.

mod answers;
mod assistants;
mod backup;
mod blobs;
mod chunks;
mod connect;
mod digest;
mod embeddings;
mod file_batches;
mod files;
mod full_text;
mod ingest;
mod labels;
mod leases;
mod messages;
mod model_requests;
mod nearest;
mod news;
mod objects;
mod passing;
mod reembed;
mod runs;
mod steps;
mod threads;
mod transfer;
mod transfer_files;
mod uploads;
mod vector_store_files;
mod vector_stores;
mod writer;

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sqlx::AnyConnection;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyPool};

pub use answers::{Idempotency, Once};
pub use backup::{BlobMark, DatabaseCopy, NamedBlob};
pub use chunks::{CHUNKS_A_FILE, Candidate, NewChunk, Passage, WordCounts, file_of, place_in_file};
pub use connect::{FolderLock, Place};
pub use ingest::{ClaimedFile, FileLease, IngestStage};
pub use news::{Hearing, News};
pub use runs::{Claimed, Lease, POSITIONS_A_RUN, Renewed};
pub use threads::ThreadLock;
pub use transfer::{Brought, Kept, Mark};
pub use transfer_files::{Attached, BatchAndFiles, EmbeddingModel, StoreAndModel};
pub use uploads::StoredPart;
pub use vector_store_files::SearchedFile;
pub use vector_stores::{StoreKey, StoreLock};

use crate::fault::{Fault, Result};

/// The database.
#[derive(Clone)]
pub struct Store {
    reads: AnyPool,
    writer: writer::Writer,
    database: full_text::Database,
    bulletin: news::Bulletin,
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        let passes = passing::passes(&error);
        let error = anyhow::Error::new(error).context("the database");
        if passes { Self::Unavailable(error) } else { Self::Broken(error) }
    }
}

/// Whose objects these are. A key belongs to one project.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Project(Arc<str>);

impl Project {
    /// The project of this name.
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One project's objects, to be read.
pub struct Reading {
    connection: Connection,
    project: Project,
    database: full_text::Database,
}

enum Connection {
    Pooled(PoolConnection<Any>),
    Open(writer::Open),
}

/// A transaction on one project's objects. It is undone unless it is committed.
pub struct Writing {
    reading: Reading,
    /// What others are told once it is committed.
    news: Vec<News>,
    bulletin: news::Bulletin,
}

impl Store {
    /// Reads a project's objects, as they were last committed.
    ///
    /// # Errors
    /// Where the database gives no connection.
    pub async fn read(&self, project: &Project) -> Result<Reading> {
        let connection = Connection::Pooled(self.reads.acquire().await?);
        Ok(Reading { connection, project: project.clone(), database: self.database })
    }

    /// Begins a transaction on a project's objects.
    ///
    /// # Errors
    /// Where the database begins none.
    pub async fn write(&self, project: &Project) -> Result<Writing> {
        let connection = Connection::Open(self.writer.begin().await?);
        let reading = Reading { connection, project: project.clone(), database: self.database };
        Ok(Writing { reading, news: Vec::new(), bulletin: self.bulletin.clone() })
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query("select 1").execute(&self.reads).await?;
        Ok(())
    }
}

impl Reading {
    fn connection(&mut self) -> &mut AnyConnection {
        match &mut self.connection {
            Connection::Pooled(connection) => connection,
            Connection::Open(open) => open.connection(),
        }
    }

    /// The project's name as a statement's value. Owned, since the connection is borrowed beside it.
    fn project(&self) -> String {
        self.project.as_str().to_owned()
    }
}

impl Writing {
    /// What a `select` ends with whose rows nobody else may change before this transaction ends. SQLite has
    /// one writer at a time, and this is it.
    fn and_lock(&self) -> &'static str {
        match &self.reading.connection {
            Connection::Open(writer::Open::Own(_)) => " for update",
            Connection::Open(writer::Open::Shared(_)) | Connection::Pooled(_) => "",
        }
    }

    /// Makes it last. When this returns, it is on disk.
    ///
    /// # Errors
    /// Where the database could not; then nothing has changed.
    pub async fn commit(self) -> Result<()> {
        let Self { reading, news, bulletin } = self;
        let committed = match reading.connection {
            Connection::Open(open) => open.commit().await,
            Connection::Pooled(_) => Ok(()),
        };
        // Whatever became of it: where the answer was lost, it may have been committed.
        bulletin.post(news);
        committed
    }

    /// Has others told once the transaction is committed.
    pub fn announce(&mut self, news: News) {
        self.news.push(news);
    }
}

impl Deref for Writing {
    type Target = Reading;

    fn deref(&self) -> &Reading {
        &self.reading
    }
}

impl DerefMut for Writing {
    fn deref_mut(&mut self) -> &mut Reading {
        &mut self.reading
    }
}
