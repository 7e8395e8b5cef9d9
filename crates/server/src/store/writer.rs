//! Writing. On PostgreSQL each transaction has its own connection. On SQLite, which has one writer, the
//! transactions of many requests share one commit: each is a savepoint inside a common transaction, and
//! whoever waits for the disk waits together with the others.
//!
//! The order is what makes it safe: a transaction is acknowledged only after the shared `commit` has
//! returned. A transaction that fails or is dropped is rolled back to its savepoint and harms no other.

use std::sync::Arc;

use anyhow::anyhow;
use sqlx::AnyConnection;
use sqlx::{Any, AnyPool, Transaction};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, oneshot};

use crate::crash_point;
use crate::fault::Result;

/// Where transactions come from.
#[derive(Clone)]
pub(super) enum Writer {
    /// SQLite: one lane for all.
    Shared(SharedLane),
    /// PostgreSQL: a connection each.
    Pool(AnyPool),
}

/// A transaction that has not been committed. Dropping it undoes it.
pub(super) enum Open {
    Shared(SharedTransaction),
    Own(Transaction<'static, Any>),
}

impl Writer {
    pub(super) async fn begin(&self) -> Result<Open> {
        Ok(match self {
            Self::Shared(lane) => Open::Shared(lane.begin().await?),
            Self::Pool(pool) => {
                let pool = pool.clone();
                Open::Own(undisturbed(async move { pool.begin().await }).await?)
            }
        })
    }
}

impl Open {
    pub(super) fn connection(&mut self) -> &mut AnyConnection {
        match self {
            Self::Shared(transaction) => &mut transaction.lane.connection,
            Self::Own(transaction) => transaction,
        }
    }

    /// What a `select` ends with of rows that nobody else is about to change. SQLite has one writer at a time.
    pub(super) fn skip_locked(&self) -> &'static str {
        match self {
            Self::Shared(_) => "",
            Self::Own(_) => " for update skip locked",
        }
    }

    pub(super) async fn commit(self) -> Result<()> {
        crash_point::reach("before a commit");
        let committed = match self {
            Self::Shared(transaction) => transaction.commit().await,
            Self::Own(transaction) => undisturbed(transaction.commit()).await,
        };
        crash_point::reach("after a commit");
        committed
    }
}

/// Does this in a task of its own, to its end: whoever asks may go away, as a request does whose client hangs up.
/// A `begin` that was dropped half-way would leave its connection within a transaction that nobody knows of, and give
/// it back to the pool so.
async fn undisturbed<T: Send + 'static>(
    work: impl Future<Output = Result<T, sqlx::Error>> + Send + 'static,
) -> Result<T> {
    let done = tokio::spawn(work).await;
    Ok(done.map_err(|_| anyhow!("the database writer has stopped"))??)
}

/// SQLite's one writing connection, handed from transaction to transaction in the order of asking.
#[derive(Clone)]
pub(super) struct SharedLane {
    lane: Arc<Mutex<Lane>>,
    wanted: Arc<Notify>,
}

struct Lane {
    connection: AnyConnection,
    /// Those who wait for the commit of the transaction that is open; `None` where none is open.
    batch: Option<Vec<oneshot::Sender<Result<(), String>>>>,
    /// Whether the last holder went away without committing or undoing.
    abandoned: bool,
}

pub(super) struct SharedTransaction {
    lane: OwnedMutexGuard<Lane>,
    wanted: Arc<Notify>,
    committed: bool,
}

impl SharedLane {
    /// Takes over the connection and starts the task that commits.
    pub(super) fn new(connection: AnyConnection) -> Self {
        let lane = Arc::new(Mutex::new(Lane { connection, batch: None, abandoned: false }));
        let wanted = Arc::new(Notify::new());
        tokio::spawn(commit_batches(Arc::downgrade(&lane), Arc::clone(&wanted)));
        Self { lane, wanted }
    }

    /// In a task of its own, for a request that is dropped half-way must not leave the lane half-way: the
    /// transaction that it began is then dropped like any other, and undone by the next.
    async fn begin(&self) -> Result<SharedTransaction> {
        let this = self.clone();
        let begun = tokio::spawn(async move { this.begin_whole().await }).await;
        begun.map_err(|_| anyhow!("the database writer has stopped"))?
    }

    async fn begin_whole(self) -> Result<SharedTransaction> {
        let mut lane = self.lane.lock_owned().await;
        lane.undo_abandoned().await;
        // Two statements in one order: each order is a change of threads and back.
        if lane.batch.is_none() {
            lane.run("begin immediate; savepoint own").await?;
            lane.batch = Some(Vec::new());
        } else {
            lane.run("release own; savepoint own").await?;
        }
        Ok(SharedTransaction { lane, wanted: self.wanted, committed: false })
    }
}

impl Lane {
    async fn run(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        sqlx::query(statement).execute(&mut self.connection).await.map(|_| ())
    }

    /// Undoes what the last holder left. Where SQLite has undone more than that by itself, as it does when
    /// the disk is full, the whole batch has failed and says so.
    async fn undo_abandoned(&mut self) {
        if !std::mem::take(&mut self.abandoned) {
            return;
        }
        if let Err(error) = self.run("rollback to own").await {
            let _ = self.run("rollback").await;
            self.answer(Err(error.to_string()));
        }
    }

    async fn commit(&mut self) {
        self.undo_abandoned().await;
        if self.batch.is_none() {
            return;
        }
        let outcome = self.run("commit").await.map_err(|error| error.to_string());
        if outcome.is_err() {
            // A commit that failed may leave the transaction open, say because the disk is full.
            let _ = self.run("rollback").await;
        }
        self.answer(outcome);
    }

    fn answer(&mut self, outcome: Result<(), String>) {
        for waiter in self.batch.take().into_iter().flatten() {
            // One who stopped waiting has lost nothing: the work is committed all the same.
            let _ = waiter.send(outcome.clone());
        }
    }
}

impl SharedTransaction {
    async fn commit(mut self) -> Result<()> {
        let (send, receive) = oneshot::channel();
        match &mut self.lane.batch {
            Some(waiting) => waiting.push(send),
            None => return Err(anyhow!("a transaction was committed that had not begun").into()),
        }
        self.committed = true;
        drop(self);
        let outcome = receive.await.map_err(|_| anyhow!("the database writer has stopped"))?;
        outcome.map_err(|error| anyhow!("the database could not commit: {error}").into())
    }
}

impl Drop for SharedTransaction {
    fn drop(&mut self) {
        self.lane.abandoned = !self.committed;
        // Even where this one is undone: what the batch holds besides still wants its commit.
        self.wanted.notify_one();
    }
}

/// Commits whenever a transaction asks for it. The lane's lock is fair: those who asked for it before this
/// task join the batch, so batches grow with the load and an idle server commits at once.
async fn commit_batches(lane: std::sync::Weak<Mutex<Lane>>, wanted: Arc<Notify>) {
    loop {
        wanted.notified().await;
        let Some(lane) = lane.upgrade() else { return };
        lane.lock_owned().await.commit().await;
    }
}
