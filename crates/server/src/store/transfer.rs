//! Everything of a project, page by page in order, and objects from elsewhere with the ids that they have.

use adjutant_wire::ThreadId;
use adjutant_wire::assistants::Assistant;
use adjutant_wire::id::Id;
use adjutant_wire::messages::Message;
use adjutant_wire::runs::Run;
use adjutant_wire::steps::{Step, StepKind};
use adjutant_wire::threads::Thread;
use serde::Serialize;
use sqlx::AssertSqlSafe;

use super::objects::{Cursor, Stored, Within, and, read};
use super::transfer_files::{BatchAndFiles, StoreAndModel};
use super::{Reading, Writing};
use crate::fault::Result;

/// Objects read at once.
const PAGE: i64 = 100;

/// Where an object's place is taken, the next one is looked for so far.
const NEAR: i64 = 300_000;

/// Any object that is kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Kept {
    Assistant(Box<Assistant>),
    Thread(Thread),
    Message(Box<Message>),
    Run(Box<Run>),
    Step(Box<Step>),
    VectorStore(Box<StoreAndModel>),
    FileBatch(BatchAndFiles),
}

/// What became of an object from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brought {
    /// It was not here and is now.
    New,
    /// It was here already, the same.
    Known,
    /// Its id stands for another object, which is left as it is.
    Other,
}

/// How far a list has been read: up to this position and id.
#[derive(Clone, Debug)]
pub struct Mark(Cursor);

impl Default for Mark {
    fn default() -> Self {
        Self((i64::MIN, String::new()))
    }
}

impl Reading {
    /// The next assistants after the mark, oldest first, each with its position. None at the end.
    pub async fn next_assistants(&mut self, mark: &mut Mark) -> Result<Vec<(i64, Assistant)>> {
        self.next(mark, &[]).await
    }

    /// The next threads.
    pub async fn next_threads(&mut self, mark: &mut Mark) -> Result<Vec<(i64, Thread)>> {
        self.next(mark, &[]).await
    }

    /// The thread's next messages.
    pub async fn next_messages(&mut self, thread: &ThreadId, mark: &mut Mark) -> Result<Vec<(i64, Message)>> {
        self.next(mark, &[("thread_id", thread.as_str())]).await
    }

    /// The thread's next runs.
    pub async fn next_runs(&mut self, thread: &ThreadId, mark: &mut Mark) -> Result<Vec<(i64, Run)>> {
        self.next(mark, &[("thread_id", thread.as_str())]).await
    }

    pub(super) async fn next<T: Stored>(
        &mut self,
        mark: &mut Mark,
        within: &[Within<'_>],
    ) -> Result<Vec<(i64, T)>> {
        let sql = format!(
            "select position, object from {} where project = $1 and (position, id) > ($2, $3){} \
             order by position, id limit $4",
            T::TABLE,
            and(within, 5)
        );
        let (position, id) = mark.0.clone();
        let mut rows = sqlx::query_as::<_, (i64, String)>(AssertSqlSafe(sql))
            .bind(self.project())
            .bind(position)
            .bind(id)
            .bind(PAGE);
        for (_, value) in within {
            rows = rows.bind(*value);
        }
        let rows = rows.fetch_all(self.connection()).await?;
        let objects: Vec<(i64, T)> =
            rows.iter().map(|(position, object)| Ok((*position, read(object)?))).collect::<Result<_>>()?;
        if let Some((position, last)) = objects.last() {
            mark.0 = (*position, last.id().as_str().to_owned());
        }
        Ok(objects)
    }

    /// Whether the project has an object of this id, and as it is shown the same one.
    pub(super) async fn known<T: Stored + PartialEq>(
        &mut self,
        object: &T,
        shown: impl Fn(T) -> T,
    ) -> Result<Option<Brought>> {
        let sql = format!("select object from {} where id = $1 and project = $2", T::TABLE);
        let row: Option<(String,)> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(object.id().as_str())
            .bind(self.project())
            .fetch_optional(self.connection())
            .await?;
        let Some((stored,)) = row else { return Ok(None) };
        let same = shown(read(&stored)?) == *object;
        Ok(Some(if same { Brought::Known } else { Brought::Other }))
    }
}

impl Writing {
    /// Stores an object with the id that it has, at the position that is wanted or the next free one. A run
    /// must have ended.
    ///
    /// # Errors
    /// 404 where what it belongs to is not here; then nothing has changed.
    pub async fn bring(&mut self, kept: &Kept, position: i64) -> Result<Brought> {
        match kept {
            Kept::Assistant(assistant) => self.bring_assistant(assistant, position).await,
            Kept::Thread(thread) => self.bring_thread(thread, position).await,
            Kept::Message(message) => self.bring_message(message, position).await,
            Kept::Run(run) => self.bring_run(run, position).await,
            Kept::Step(step) => self.bring_step(step, position).await,
            Kept::VectorStore(store) => self.bring_vector_store(store, position).await,
            Kept::FileBatch(batch) => self.bring_batch(batch, position).await,
        }
    }

    async fn bring_assistant(&mut self, assistant: &Assistant, position: i64) -> Result<Brought> {
        if let Some(known) = self.known(assistant, |stored| stored).await? {
            return Ok(known);
        }
        let added = sqlx::query(
            "insert into assistants (id, project, position, object) values ($1, $2, $3, $4) on conflict do nothing",
        )
        .bind(assistant.id.as_str())
        .bind(self.project())
        .bind(position)
        .bind(serde_json::to_string(assistant)?)
        .execute(self.connection())
        .await?;
        if added.rows_affected() == 1 {
            self.note_resources(assistant.id.as_str(), &assistant.tool_resources).await?;
        }
        Ok(brought(added.rows_affected()))
    }

    async fn bring_thread(&mut self, thread: &Thread, position: i64) -> Result<Brought> {
        if let Some(known) = self.known(thread, |stored| stored).await? {
            return Ok(known);
        }
        let added = sqlx::query(
            "insert into threads (id, project, position, last_position, has_pairs, object) \
             values ($1, $2, $3, $3, 1, $4) on conflict do nothing",
        )
        .bind(thread.id.as_str())
        .bind(self.project())
        .bind(position)
        .bind(serde_json::to_string(thread)?)
        .execute(self.connection())
        .await?;
        if added.rows_affected() == 1 {
            self.label(thread, position).await?;
            self.note_resources(thread.id.as_str(), &thread.tool_resources).await?;
        }
        Ok(brought(added.rows_affected()))
    }

    async fn bring_message(&mut self, message: &Message, position: i64) -> Result<Brought> {
        if let Some(known) = self.known(message, |stored| stored).await? {
            return Ok(known);
        }
        let owner = ("thread_id", message.thread_id.as_str());
        let position = self.free_place::<Message>(&message.thread_id, owner, position).await?;
        let added = sqlx::query(
            "insert into messages (id, project, thread_id, run_id, position, object) values ($1, $2, $3, $4, $5, $6) \
             on conflict do nothing",
        )
        .bind(message.id.as_str())
        .bind(self.project())
        .bind(message.thread_id.as_str())
        .bind(message.run_id.as_ref().map(|run| run.as_str().to_owned()))
        .bind(position)
        .bind(serde_json::to_string(message)?)
        .execute(self.connection())
        .await?;
        Ok(brought(added.rows_affected()))
    }

    async fn bring_run(&mut self, run: &Run, position: i64) -> Result<Brought> {
        if let Some(known) = self.known(run, |stored| stored).await? {
            return Ok(known);
        }
        let owner = ("thread_id", run.thread_id.as_str());
        let position = self.free_place::<Run>(&run.thread_id, owner, position).await?;
        let added = sqlx::query(
            "insert into runs (id, project, thread_id, position, status, live, due_at, lease_owner, lease_token, object) \
             values ($1, $2, $3, $4, $5, 0, 0, '', 0, $6) on conflict do nothing",
        )
        .bind(run.id.as_str())
        .bind(self.project())
        .bind(run.thread_id.as_str())
        .bind(position)
        .bind(run.status.as_str())
        .bind(serde_json::to_string(run)?)
        .execute(self.connection())
        .await?;
        Ok(brought(added.rows_affected()))
    }

    async fn bring_step(&mut self, step: &Step, position: i64) -> Result<Brought> {
        if let Some(known) = self.known(step, Step::exported).await? {
            return Ok(known);
        }
        self.run(&step.thread_id, &step.run_id).await?;
        let owner = ("run_id", step.run_id.as_str());
        let position = self.free_place::<Step>(&step.thread_id, owner, position).await?;
        let added = sqlx::query(
            "insert into steps (id, project, thread_id, run_id, position, calls_tools, object) \
             values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
        )
        .bind(step.id.as_str())
        .bind(self.project())
        .bind(step.thread_id.as_str())
        .bind(step.run_id.as_str())
        .bind(position)
        .bind(i64::from(step.kind == StepKind::ToolCalls))
        .bind(serde_json::to_string(step)?)
        .execute(self.connection())
        .await?;
        Ok(brought(added.rows_affected()))
    }

    /// Locks the thread and finds the place in it that is wanted, or where that is taken, the next one.
    async fn free_place<T: Stored>(
        &mut self,
        thread: &ThreadId,
        (column, owner): Within<'_>,
        wanted: i64,
    ) -> Result<i64> {
        self.lock_thread(thread, wanted, 0).await?;
        let select = |what: &str, which: &str| {
            format!("select {what} from {} where {column} = $1 and position {which}", T::TABLE)
        };
        let taken: Option<(i64,)> = sqlx::query_as(AssertSqlSafe(select("position", "= $2")))
            .bind(owner)
            .bind(wanted)
            .fetch_optional(self.connection())
            .await?;
        if taken.is_none() {
            return Ok(wanted);
        }
        let (last,): (i64,) =
            sqlx::query_as(AssertSqlSafe(select("max(position)", ">= $2 and position < $3")))
                .bind(owner)
                .bind(wanted)
                .bind(wanted + NEAR)
                .fetch_one(self.connection())
                .await?;
        self.lock_thread(thread, last + 1, 0).await?;
        Ok(last + 1)
    }
}

pub(super) fn brought(rows: u64) -> Brought {
    // What stands in the way is another project's, whose objects this one is told nothing of.
    if rows == 1 { Brought::New } else { Brought::Other }
}
