//! What models were asked, for runs whose clients wanted that kept.

use adjutant_wire::id::Id;
use adjutant_wire::runs::{ModelRequest, Run};

use super::objects::read;
use super::{Claimed, Lease, Reading, Writing};
use crate::fault::Result;

/// The most requests that are kept of a run: one whose model calls tools again and again has many, each as long
/// as all before it together.
const A_RUN: i64 = 100;

impl Reading {
    /// What the model of a run was asked, oldest first.
    pub async fn model_requests(&mut self, run: &Run) -> Result<Vec<ModelRequest>> {
        let rows: Vec<(String,)> = sqlx::query_as(
            "select object from model_requests where run_id = $1 and project = $2 order by number",
        )
        .bind(run.id.as_str())
        .bind(self.project())
        .fetch_all(self.connection())
        .await?;
        rows.iter().map(|(object,)| read(object)).collect()
    }
}

impl Writing {
    /// From now on, what the model of this new run is asked is kept.
    pub async fn keep_model_requests(&mut self, run: &Run, claimed: Option<&mut Claimed>) -> Result<()> {
        sqlx::query("update runs set keeps_requests = 1 where id = $1 and project = $2")
            .bind(run.id.as_str())
            .bind(self.project())
            .execute(self.connection())
            .await?;
        if let Some(claimed) = claimed {
            claimed.keeps_requests = true;
        }
        Ok(())
    }

    /// Keeps what the model of a run is about to be asked, unless enough was kept, or just this. The run must be held,
    /// so that nobody else counts its requests meanwhile.
    pub async fn add_model_request(&mut self, lease: &Lease, request: &ModelRequest) -> Result<()> {
        sqlx::query(
            "insert into model_requests (run_id, number, project, thread_id, object) \
             select $1, count(*) + 1, $2, $3, $4 from model_requests where run_id = $1 having count(*) < $5 \
             and not exists (select 1 from model_requests where run_id = $1 and object = $4)",
        )
        .bind(lease.run().as_str())
        .bind(self.project())
        .bind(request.thread_id.as_str())
        .bind(serde_json::to_string(request)?)
        .bind(A_RUN)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
