//! Runs and the leases under which they are worked on.
//!
//! A lease is a fact of the database: the run's row names the process that works on it and counts claims.
//! Whoever writes to a run shows its [`Lease`]; a write under an older count changes nothing.

use std::collections::HashSet;

use adjutant_wire::id::Id;
use adjutant_wire::list::{List, ListQuery};
use adjutant_wire::runs::{Run, RunStatus};
use adjutant_wire::{RunId, ThreadId};
use anyhow::Context;
use sqlx::AssertSqlSafe;

use super::objects::{Stored, read};
use super::{News, Project, Reading, Store, ThreadLock, Writing, leases};
use crate::fault::Result;

/// How many positions of its thread a run reserves: its own, and two for each step that it may take.
pub const POSITIONS_A_RUN: i64 = 1 + 2 * 1024;

impl Stored for Run {
    type Id = RunId;
    const TABLE: &'static str = "runs";

    fn id(&self) -> &RunId {
        &self.id
    }
}

/// Proof of a claim. Only claiming makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    run: RunId,
    project: Project,
    token: i64,
}

impl Lease {
    /// The run.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Whose run it is.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// Counts the run's claims.
    pub fn token(&self) -> i64 {
        self.token
    }
}

/// A run and the right to work on it.
#[derive(Debug)]
pub struct Claimed {
    /// The right.
    pub lease: Lease,
    /// The run as stored.
    pub run: Run,
    /// Its place in its thread; its steps and messages come after.
    pub position: i64,
    /// Whether what its model is asked is kept.
    pub keeps_requests: bool,
}

/// A lease that was renewed.
#[derive(Debug, PartialEq, Eq)]
pub struct Renewed {
    /// The run.
    pub run: String,
    /// The claim.
    pub token: i64,
    /// Whether the run is being cancelled.
    pub cancelling: bool,
}

impl Store {
    /// Claims the run that has been due the longest, if any, for the process `owner` until `until`
    /// (milliseconds since 1970). Of several processes that try at once, one succeeds. One that is not being cancelled
    /// is claimed only where it has been due since `since` or longer.
    ///
    /// # Errors
    /// Where the database fails, or a stored run cannot be read.
    pub async fn claim_due(&self, owner: &str, now: i64, until: i64, since: i64) -> Result<Option<Claimed>> {
        // Looked at first, so that an idle process begins no transaction.
        let due: Option<(i64,)> = sqlx::query_as(
            "select due_at from runs where live = 1 and due_at <= $1 and (due_at <= $2 or status = 'cancelling') \
             order by due_at limit 1",
        )
        .bind(now)
        .bind(since)
        .fetch_optional(&self.reads)
        .await?;
        if due.is_none() {
            return Ok(None);
        }
        let mut open = self.writer.begin().await?;
        // The one that is due the longest of those that no other process is claiming just now.
        let sql = format!(
            "update runs set lease_owner = $1, lease_token = lease_token + 1, due_at = $2 \
             where live = 1 and due_at <= $3 and id = \
             (select id from runs where live = 1 and due_at <= $3 and (due_at <= $4 or status = 'cancelling') \
             order by due_at limit 1{}) \
             returning project, object, position, lease_token, keeps_requests",
            open.skip_locked()
        );
        let row: Option<(String, String, i64, i64, i64)> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(owner.to_owned())
            .bind(until)
            .bind(now)
            .bind(since)
            .fetch_optional(open.connection())
            .await?;
        open.commit().await?;
        let Some((project, object, position, token, keeps_requests)) = row else { return Ok(None) };
        let run: Run = read(&object)?;
        let lease = Lease { run: run.id.clone(), project: Project::new(&project), token };
        Ok(Some(Claimed { lease, run, position, keeps_requests: keeps_requests == 1 }))
    }

    /// Extends all leases of the process `owner` at once, and tells which they are.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn renew_leases(&self, owner: &str, until: i64) -> Result<Vec<Renewed>> {
        let mut open = self.writer.begin().await?;
        let rows: Vec<(String, i64, String)> = sqlx::query_as(
            "update runs set due_at = $1 where lease_owner = $2 and live = 1 and status <> 'requires_action' \
             returning id, lease_token, status",
        )
        .bind(until)
        .bind(owner.to_owned())
        .fetch_all(open.connection())
        .await?;
        open.commit().await?;
        let cancelling = |status: &str| status == RunStatus::Cancelling.as_str();
        let renewed = |(run, token, status): (String, i64, String)| Renewed {
            run,
            token,
            cancelling: cancelling(&status),
        };
        Ok(rows.into_iter().map(renewed).collect())
    }

    /// Those of these runs that no process works on at `now` (milliseconds since 1970): they have ended, are gone, wait
    /// for their clients or a worker, or have lost theirs. None where this is the only process, which knows.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn runs_not_at_work(&self, runs: &[RunId], now: i64) -> Result<Vec<RunId>> {
        if runs.is_empty() || self.is_alone() {
            return Ok(Vec::new());
        }
        // Ids have no character that means anything in an array.
        let ids: Vec<&str> = runs.iter().map(Id::as_str).collect();
        let at_work: Vec<(String,)> = sqlx::query_as(
            // Joined: PostgreSQL would compare each run with each id of a list.
            "select runs.id from unnest($1::text[]) as asked (id) join runs on runs.id = asked.id \
             where live = 1 and lease_owner <> '' and due_at > $2 and status <> 'requires_action'",
        )
        .bind(format!("{{{}}}", ids.join(",")))
        .bind(now)
        .fetch_all(&self.reads)
        .await?;
        let at_work: HashSet<&str> = at_work.iter().map(|(id,)| id.as_str()).collect();
        Ok(runs.iter().filter(|run| !at_work.contains(run.as_str())).cloned().collect())
    }

    /// Gives a lease back: any worker may take the run up from `due_at` on, and whoever had it can write no more.
    /// Nothing happens where it was lost.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn release_lease(&self, run: &str, token: i64, due_at: i64) -> Result<()> {
        let mut open = self.writer.begin().await?;
        sqlx::query(
            "update runs set due_at = $1, lease_owner = '', lease_token = lease_token + 1 \
             where id = $2 and lease_token = $3 and live = 1 and status <> 'requires_action'",
        )
        .bind(due_at)
        .bind(run.to_owned())
        .bind(token)
        .execute(open.connection())
        .await?;
        open.commit().await?;
        self.announce(News::RunDue);
        Ok(())
    }

    /// Makes every run due whose lease belongs to `owner`, or to anybody where that is `None`: the process
    /// is about to stop, or knows that all others are dead. Whoever had them can write no more.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn release_leases(&self, owner: Option<&str>) -> Result<u64> {
        self.release(leases::RUNS, owner).await
    }
}

impl Reading {
    /// The run of this thread, or its 404.
    pub async fn run(&mut self, thread: &ThreadId, id: &RunId) -> Result<Run> {
        self.object(id, &[("thread_id", thread.as_str())]).await
    }

    /// A page of a thread's runs.
    pub async fn runs(&mut self, thread: &ThreadId, query: &ListQuery) -> Result<List<Run>> {
        self.page(query, &[("thread_id", thread.as_str())]).await
    }

    /// The thread's run that has not ended, if there is one.
    pub async fn live_run(&mut self, thread: &ThreadId) -> Result<Option<RunId>> {
        let row: Option<(String,)> =
            sqlx::query_as("select id from runs where thread_id = $1 and project = $2 and live = 1")
                .bind(thread.as_str())
                .bind(self.project())
                .fetch_optional(self.connection())
                .await?;
        Ok(row.map(|(id,)| RunId::from_checked(id)))
    }
}

impl Writing {
    /// Stores a new run, already claimed by the process `owner` until `until`.
    ///
    /// # Errors
    /// A 400 where the thread has a run that has not ended: the database's own unique index says so.
    pub async fn add_run(
        &mut self,
        lock: &mut ThreadLock,
        run: &Run,
        owner: &str,
        until: i64,
    ) -> Result<Claimed> {
        let position = self.insert_run(lock, run, until, (owner, 1)).await?;
        let lease = Lease { run: run.id.clone(), project: self.reading.project.clone(), token: 1 };
        Ok(Claimed { lease, run: run.clone(), position, keeps_requests: false })
    }

    /// Stores a new run that nobody has claimed, due at `due_at`.
    ///
    /// # Errors
    /// As [`Self::add_run`].
    pub async fn add_queued_run(&mut self, lock: &mut ThreadLock, run: &Run, due_at: i64) -> Result<()> {
        self.insert_run(lock, run, due_at, ("", 0)).await?;
        self.announce(News::RunDue);
        Ok(())
    }

    /// Refuses another run while `most` of the project's runs wait for a worker.
    ///
    /// # Errors
    /// The 429.
    pub async fn refuse_beyond(&mut self, most: u32, now: i64) -> Result<()> {
        // What a worker has is due when its lease ends, so what is due already waits.
        let (waiting,): (i64,) = sqlx::query_as(
            "select count(*) from (select 1 from runs where live = 1 and due_at <= $1 and project = $2 limit $3) as due",
        )
        .bind(now)
        .bind(self.project())
        .bind(i64::from(most))
        .fetch_one(self.connection())
        .await?;
        if waiting >= i64::from(most) {
            return Err(adjutant_wire::Error::too_many_runs(most).into());
        }
        Ok(())
    }

    async fn insert_run(
        &mut self,
        lock: &mut ThreadLock,
        run: &Run,
        due_at: i64,
        (owner, token): (&str, i64),
    ) -> Result<i64> {
        let position = lock.next_position();
        let added = sqlx::query(
            "insert into runs (id, project, thread_id, position, status, live, due_at, lease_owner, lease_token, object) \
             values ($1, $2, $3, $4, $5, 1, $6, $7, $8, $9) on conflict do nothing",
        )
        .bind(run.id.as_str())
        .bind(self.project())
        .bind(run.thread_id.as_str())
        .bind(position)
        .bind(run.status.as_str())
        .bind(due_at)
        .bind(owner.to_owned())
        .bind(token)
        .bind(serde_json::to_string(run)?)
        .execute(self.connection())
        .await?
        .rows_affected();
        if added == 0 {
            let live = self.live_run(&run.thread_id).await?.context("a run could not be stored")?;
            let message = format!("Thread {} already has an active run {live}.", run.thread_id);
            return Err(adjutant_wire::Error::invalid(message).into());
        }
        Ok(position)
    }

    /// The run, kept from other writers until this transaction ends.
    pub async fn lock_run(&mut self, thread: &ThreadId, id: &RunId) -> Result<Run> {
        self.locked(id, &[("thread_id", thread.as_str())]).await
    }

    /// Stores the new metadata of a run that has ended.
    pub async fn update_ended_run(&mut self, run: &Run) -> Result<()> {
        self.store(run).await
    }

    /// Marks a locked run as being cancelled. One that nobody works on is due at `due_at`, now; for one
    /// that somebody works on the lease stays as it is.
    pub async fn cancel_run(&mut self, run: &Run, due_at: i64) -> Result<()> {
        let (owner,): (String,) = sqlx::query_as(
            "update runs set status = $1, object = $2, due_at = (case when lease_owner = '' then $3 else due_at end) \
             where id = $4 and project = $5 returning lease_owner",
        )
        .bind(run.status.as_str())
        .bind(serde_json::to_string(run)?)
        .bind(due_at)
        .bind(run.id.as_str())
        .bind(self.project())
        .fetch_one(self.connection())
        .await?;
        self.announce(if owner.is_empty() { News::RunDue } else { News::RunChanged(run.id.clone()) });
        Ok(())
    }

    /// Stores a locked run that goes on after its client has answered, and claims it for `owner`.
    pub async fn resume_run(&mut self, run: &Run, owner: &str, until: i64) -> Result<Claimed> {
        let (token, position, keeps_requests): (i64, i64, i64) = sqlx::query_as(
            "update runs set status = $1, object = $2, due_at = $3, lease_owner = $4, lease_token = lease_token + 1 \
             where id = $5 and project = $6 returning lease_token, position, keeps_requests",
        )
        .bind(run.status.as_str())
        .bind(serde_json::to_string(run)?)
        .bind(until)
        .bind(owner.to_owned())
        .bind(run.id.as_str())
        .bind(self.project())
        .fetch_one(self.connection())
        .await?;
        let lease = Lease { run: run.id.clone(), project: self.reading.project.clone(), token };
        Ok(Claimed { lease, run: run.clone(), position, keeps_requests: keeps_requests == 1 })
    }

    /// Stores a locked run that goes on after its client has answered, for whoever claims it from `due_at` on.
    pub async fn requeue_run(&mut self, run: &Run, due_at: i64) -> Result<()> {
        sqlx::query(
            "update runs set status = $1, object = $2, due_at = $3, lease_owner = '' where id = $4 and project = $5",
        )
        .bind(run.status.as_str())
        .bind(serde_json::to_string(run)?)
        .bind(due_at)
        .bind(run.id.as_str())
        .bind(self.project())
        .execute(self.connection())
        .await?;
        self.announce(News::RunDue);
        Ok(())
    }

    /// Whether the lease still holds, and for which status. Holds the run until the transaction ends.
    pub async fn hold(&mut self, lease: &Lease) -> Result<Option<RunStatus>> {
        let sql = format!(
            "select status from runs where id = $1 and project = $2 and lease_token = $3 and live = 1{}",
            self.and_lock()
        );
        let row: Option<(String,)> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(lease.run.as_str())
            .bind(self.project())
            .bind(lease.token)
            .fetch_optional(self.connection())
            .await?;
        let status = |(status,): (String,)| Ok(serde_json::from_value(serde_json::Value::String(status))?);
        row.map(status).transpose()
    }

    /// Moves a run from one status to another under its lease. `due_at` is for a run that lives on without
    /// a worker. False where the lease is lost or the status is another by now; then nothing has changed.
    pub async fn move_run(
        &mut self,
        lease: &Lease,
        from: RunStatus,
        run: &Run,
        due_at: Option<i64>,
    ) -> Result<bool> {
        let moved = sqlx::query(
            "update runs set status = $1, live = $2, object = $3, \
             due_at = (case when $4 = 0 then due_at else $4 end), \
             lease_owner = (case when $4 = 0 then lease_owner else '' end) \
             where id = $5 and project = $6 and lease_token = $7 and live = 1 and status = $8",
        )
        .bind(run.status.as_str())
        .bind(i64::from(!run.status.is_terminal()))
        .bind(serde_json::to_string(run)?)
        .bind(due_at.unwrap_or_default())
        .bind(lease.run.as_str())
        .bind(self.project())
        .bind(lease.token)
        .bind(from.as_str())
        .execute(self.connection())
        .await?
        .rows_affected();
        if moved == 1 && (run.status.is_terminal() || due_at.is_some()) {
            self.announce(News::RunMoved(run.id.clone()));
        }
        Ok(moved == 1)
    }

    /// Whether a move whose answer was lost was made all the same. Nobody else moves a run to such a status under
    /// this lease: clients cancel, and any other claim counts the lease on.
    pub async fn has_moved(&mut self, lease: &Lease, run: &Run) -> Result<bool> {
        let row: Option<(i64,)> = sqlx::query_as(
            "select live from runs where id = $1 and project = $2 and lease_token = $3 and status = $4",
        )
        .bind(lease.run.as_str())
        .bind(self.project())
        .bind(lease.token)
        .bind(run.status.as_str())
        .fetch_optional(self.connection())
        .await?;
        Ok(row.is_some())
    }
}
