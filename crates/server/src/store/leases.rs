//! What runs and files on their way into vector stores have in common: rows that are due, and are worked on under a
//! lease. `due_at` is when any process may take the row up, `lease_owner` is the process that has it, and `lease_token`
//! counts how often it was claimed or given back: whoever writes names the count that it was given, and a write under
//! an older one changes nothing.

use sqlx::AssertSqlSafe;

use super::{News, Store};
use crate::fault::Result;

/// A table of such rows.
pub(super) struct Leased {
    pub(super) table: &'static str,
    /// Which of its rows can be worked on.
    pub(super) at_work: &'static str,
    /// What is said when one is due.
    pub(super) due: News,
}

/// Runs that have not ended and do not wait for their clients.
pub(super) const RUNS: Leased =
    Leased { table: "runs", at_work: "live = 1 and status <> 'requires_action'", due: News::RunDue };

/// Files that are not in their stores yet.
pub(super) const FILES: Leased =
    Leased { table: "vector_store_files", at_work: "status = 'in_progress'", due: News::FileDue };

impl Store {
    /// Makes every row due whose lease belongs to `owner`, or to anybody where that is `None`: the process is about to
    /// stop, or knows that all others are dead. Whoever had them can write no more.
    pub(super) async fn release(&self, rows: Leased, owner: Option<&str>) -> Result<u64> {
        let mut open = self.writer.begin().await?;
        let sql = format!(
            "update {} set due_at = 0, lease_owner = '', lease_token = lease_token + 1 \
             where {} and lease_owner <> '' and (lease_owner = $1 or $2 = 1)",
            rows.table, rows.at_work
        );
        let released = sqlx::query(AssertSqlSafe(sql))
            .bind(owner.unwrap_or_default().to_owned())
            .bind(i64::from(owner.is_none()))
            .execute(open.connection())
            .await?
            .rows_affected();
        if released > 0 {
            self.bulletin.post_within(&mut open, rows.due).await?;
        }
        open.commit().await?;
        Ok(released)
    }
}
