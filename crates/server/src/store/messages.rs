//! Messages.

use adjutant_wire::id::Id;
use adjutant_wire::list::{List, ListQuery};
use adjutant_wire::messages::Message;
use adjutant_wire::{MessageId, RunId, ThreadId};
use sqlx::AssertSqlSafe;

use super::objects::{Stored, read};
use super::runs::Lease;
use super::{Reading, ThreadLock, Writing};
use crate::fault::{Fault, Result};

impl Stored for Message {
    type Id = MessageId;
    const TABLE: &'static str = "messages";

    fn id(&self) -> &MessageId {
        &self.id
    }
}

impl Reading {
    /// The message of this thread, or its 404.
    pub async fn message(&mut self, thread: &ThreadId, id: &MessageId) -> Result<Message> {
        self.object(id, &[("thread_id", thread.as_str())]).await
    }

    /// A page of a thread's messages, or of those that one run wrote.
    pub async fn messages(&mut self, thread: &ThreadId, query: &ListQuery) -> Result<List<Message>> {
        let mut within = vec![("thread_id", thread.as_str())];
        if let Some(run) = &query.run_id {
            within.push(("run_id", run.as_str()));
        }
        self.page(query, &within).await
    }

    /// The thread's newest messages before a position, newest first, each with its position.
    pub async fn messages_before(
        &mut self,
        thread: &ThreadId,
        before: i64,
        limit: i64,
    ) -> Result<Vec<(i64, Message)>> {
        // SQLite plans a statement anew whenever its limit is bound, so the limit is part of the text; there
        // are few.
        let sql = format!(
            "select position, object from messages where thread_id = $1 and project = $2 and position < $3 \
             order by position desc limit {limit}"
        );
        let rows: Vec<(i64, String)> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(thread.as_str())
            .bind(self.project())
            .bind(before)
            .fetch_all(self.connection())
            .await?;
        rows.into_iter().map(|(position, object)| Ok((position, read(&object)?))).collect()
    }

    /// The thread's oldest message, with its position.
    pub async fn first_message(&mut self, thread: &ThreadId) -> Result<Option<(i64, Message)>> {
        let row: Option<(i64, String)> = sqlx::query_as(
            "select position, object from messages where thread_id = $1 and project = $2 order by position limit 1",
        )
        .bind(thread.as_str())
        .bind(self.project())
        .fetch_optional(self.connection())
        .await?;
        row.map(|(position, object)| Ok((position, read(&object)?))).transpose()
    }

    /// Whether the thread has a message of a user.
    pub async fn has_messages(&mut self, thread: &ThreadId) -> Result<bool> {
        let row: Option<(i64,)> =
            sqlx::query_as("select position from messages where thread_id = $1 and project = $2 limit 1")
                .bind(thread.as_str())
                .bind(self.project())
                .fetch_optional(self.connection())
                .await?;
        Ok(row.is_some())
    }
}

impl Writing {
    /// Stores a new message at the thread's end.
    pub async fn add_message(&mut self, lock: &mut ThreadLock, message: &Message) -> Result<()> {
        let position = lock.next_position();
        self.insert_message(message, position).await
    }

    /// Stores a new message that a run writes. Nothing happens where it is stored already.
    pub async fn add_run_message(&mut self, _: &Lease, message: &Message, position: i64) -> Result<()> {
        self.insert_message(message, position).await
    }

    async fn insert_message(&mut self, message: &Message, position: i64) -> Result<()> {
        sqlx::query(
            "insert into messages (id, project, thread_id, run_id, position, object) values ($1, $2, $3, $4, $5, $6) \
             on conflict (id) do nothing",
        )
        .bind(message.id.as_str())
        .bind(self.project())
        .bind(message.thread_id.as_str())
        .bind(message.run_id.as_ref().map(|run| run.as_str().to_owned()))
        .bind(position)
        .bind(serde_json::to_string(message)?)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// The message, kept from other writers until this transaction ends.
    pub async fn lock_message(&mut self, thread: &ThreadId, id: &MessageId) -> Result<Message> {
        self.locked(id, &[("thread_id", thread.as_str())]).await
    }

    /// Stores a locked message's new state.
    pub async fn update_message(&mut self, message: &Message) -> Result<()> {
        self.store(message).await
    }

    /// Stores the new state of a message that a run writes. Its metadata, which its client may have changed meanwhile,
    /// stay; one that was deleted stays deleted.
    pub async fn update_run_message(&mut self, _: &Lease, message: &Message) -> Result<()> {
        match self.locked::<Message>(&message.id, &[]).await {
            Ok(stored) => self.store(&Message { metadata: stored.metadata, ..message.clone() }).await,
            Err(Fault::Refused(_)) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// Deletes a message.
    pub async fn delete_message(&mut self, thread: &ThreadId, id: &MessageId) -> Result<()> {
        self.delete::<Message>(id, &[("thread_id", thread.as_str())]).await
    }

    /// Takes away the message that a lost worker had half written.
    pub async fn discard_message(&mut self, _: &Lease, run: &RunId, id: &MessageId) -> Result<()> {
        sqlx::query("delete from messages where id = $1 and project = $2 and run_id = $3")
            .bind(id.as_str())
            .bind(self.project())
            .bind(run.as_str())
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
