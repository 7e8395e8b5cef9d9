//! Run steps.

use adjutant_wire::id::Id;
use adjutant_wire::list::{List, ListQuery};
use adjutant_wire::steps::{Step, StepKind};
use adjutant_wire::{RunId, StepId, ThreadId};

use super::objects::{Stored, read};
use super::runs::Lease;
use super::{Reading, Writing};
use crate::fault::Result;

impl Stored for Step {
    type Id = StepId;
    const TABLE: &'static str = "steps";

    fn id(&self) -> &StepId {
        &self.id
    }
}

impl Reading {
    /// The step of this run, or its 404.
    pub async fn step(&mut self, run: &RunId, id: &StepId) -> Result<Step> {
        self.object(id, &[("run_id", run.as_str())]).await
    }

    /// A page of a run's steps.
    pub async fn steps(&mut self, run: &RunId, query: &ListQuery) -> Result<List<Step>> {
        self.page(query, &[("run_id", run.as_str())]).await
    }

    /// All steps of a run, oldest first, each with its position.
    pub async fn all_steps(&mut self, run: &RunId) -> Result<Vec<(i64, Step)>> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "select position, object from steps where run_id = $1 and project = $2 order by position",
        )
        .bind(run.as_str())
        .bind(self.project())
        .fetch_all(self.connection())
        .await?;
        rows.into_iter().map(|(position, object)| Ok((position, read(&object)?))).collect()
    }

    /// The thread's newest steps that called tools, from one position up to another, newest first.
    pub async fn tool_steps_between(
        &mut self,
        thread: &ThreadId,
        from: i64,
        before: i64,
    ) -> Result<Vec<(i64, Step)>> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "select position, object from steps where thread_id = $1 and project = $2 and calls_tools = 1 \
             and position >= $3 and position < $4 order by position desc",
        )
        .bind(thread.as_str())
        .bind(self.project())
        .bind(from)
        .bind(before)
        .fetch_all(self.connection())
        .await?;
        rows.into_iter().map(|(position, object)| Ok((position, read(&object)?))).collect()
    }
}

impl Writing {
    /// Stores a new step of a run. Nothing happens where it is stored already: a commit's answer may have been lost.
    pub async fn add_step(&mut self, _: &Lease, step: &Step, position: i64) -> Result<()> {
        sqlx::query(
            "insert into steps (id, project, thread_id, run_id, position, calls_tools, object) \
             values ($1, $2, $3, $4, $5, $6, $7) on conflict (id) do nothing",
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
        Ok(())
    }

    /// Stores a step's new state.
    pub async fn update_step(&mut self, step: &Step) -> Result<()> {
        self.store(step).await
    }

    /// Takes away the step that a lost worker had half done.
    pub async fn discard_step(&mut self, _: &Lease, id: &StepId) -> Result<()> {
        self.delete::<Step>(id, &[]).await
    }
}
