//! Threads.

use adjutant_wire::ThreadId;
use adjutant_wire::id::Id;
use adjutant_wire::threads::Thread;

use super::objects::Stored;
use super::{News, Reading, Writing};
use crate::fault::Result;

impl Stored for Thread {
    type Id = ThreadId;
    const TABLE: &'static str = "threads";

    fn id(&self) -> &ThreadId {
        &self.id
    }
}

/// Proof that this transaction holds a thread: nobody else adds to it meanwhile. Hands out the positions
/// that were reserved for it.
#[derive(Debug)]
pub struct ThreadLock {
    thread: ThreadId,
    next: i64,
}

impl ThreadLock {
    /// The thread.
    pub fn thread(&self) -> &ThreadId {
        &self.thread
    }

    /// The next position in the thread.
    pub fn next_position(&mut self) -> i64 {
        let position = self.next;
        self.next += 1;
        position
    }
}

impl Reading {
    /// The thread, or its 404.
    pub async fn thread(&mut self, id: &ThreadId) -> Result<Thread> {
        self.object(id, &[]).await
    }

    /// Whether the thread is there.
    pub async fn has_thread(&mut self, id: &ThreadId) -> Result<bool> {
        let found: Option<(i64,)> =
            sqlx::query_as("select position from threads where id = $1 and project = $2")
                .bind(id.as_str())
                .bind(self.project())
                .fetch_optional(self.connection())
                .await?;
        Ok(found.is_some())
    }
}

impl Writing {
    /// Stores a new thread with so many positions reserved for what is added in the same transaction.
    pub async fn add_thread(&mut self, thread: &Thread, position: i64, reserved: i64) -> Result<ThreadLock> {
        sqlx::query(
            "insert into threads (id, project, position, last_position, has_pairs, object) values ($1, $2, $3, $4, 1, $5)",
        )
        .bind(thread.id.to_string())
        .bind(self.project())
        .bind(position)
        .bind(position + reserved)
        .bind(serde_json::to_string(thread)?)
        .execute(self.connection())
        .await?;
        self.label(thread, position).await?;
        self.note_resources(thread.id.as_str(), &thread.tool_resources).await?;
        Ok(ThreadLock { thread: thread.id.clone(), next: position + 1 })
    }

    /// Locks a thread until the transaction ends and reserves positions after all that it holds.
    ///
    /// # Errors
    /// 404 where there is none.
    pub async fn lock_thread(&mut self, id: &ThreadId, now: i64, reserved: i64) -> Result<ThreadLock> {
        let last: Option<(i64,)> = sqlx::query_as(
            "update threads set last_position = \
             (case when last_position < $1 then $1 else last_position end) + $2 \
             where id = $3 and project = $4 returning last_position",
        )
        .bind(now)
        .bind(reserved)
        .bind(id.as_str())
        .bind(self.project())
        .fetch_optional(self.connection())
        .await?;
        match last {
            Some((last,)) => Ok(ThreadLock { thread: id.clone(), next: last - reserved + 1 }),
            None => Err(id.missing().into()),
        }
    }

    /// Stores a locked thread's new state.
    pub async fn update_thread(&mut self, thread: &Thread) -> Result<()> {
        let (position,): (i64,) = sqlx::query_as(
            "update threads set object = $1, has_pairs = 1 where id = $2 and project = $3 returning position",
        )
        .bind(serde_json::to_string(thread)?)
        .bind(thread.id.to_string())
        .bind(self.project())
        .fetch_one(self.connection())
        .await?;
        self.unlabel(thread.id.as_str()).await?;
        self.label(thread, position).await?;
        self.forget_resources(thread.id.as_str()).await?;
        self.note_resources(thread.id.as_str(), &thread.tool_resources).await
    }

    /// Deletes a thread with all that belongs to it. A run at work on it finds its row gone and stops.
    pub async fn delete_thread(&mut self, lock: ThreadLock) -> Result<()> {
        self.unlabel(lock.thread.as_str()).await?;
        self.forget_resources(lock.thread.as_str()).await?;
        // Runs first: a worker that holds one is waited for, and what it has just stored is found by what follows.
        for statement in [
            "delete from runs where thread_id = $1 and project = $2",
            "delete from model_requests where thread_id = $1 and project = $2",
            "delete from steps where thread_id = $1 and project = $2",
            "delete from messages where thread_id = $1 and project = $2",
            "delete from threads where id = $1 and project = $2",
        ] {
            sqlx::query(statement)
                .bind(lock.thread.as_str())
                .bind(self.project())
                .execute(self.connection())
                .await?;
        }
        let project = self.project();
        self.announce(News::ThreadDeleted(project, lock.thread));
        Ok(())
    }
}
