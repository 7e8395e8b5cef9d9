//! Threads found by their metadata. Each pair of a thread has a row of its own, written with the thread.

use adjutant_wire::Metadata;
use adjutant_wire::list::List;
use adjutant_wire::threads::{ListThreads, Thread};
use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::digest::digest;
use super::objects::{Within, read};
use super::{Project, Reading, Store, Writing};
use crate::fault::Result;

/// Threads whose rows are added in one transaction when an older database is first opened.
const AT_ONCE: i64 = 500;

/// The columns of the pairs that a list is filtered by; metadata has no more.
const PAIRS: [&str; 16] = [
    "pair0", "pair1", "pair2", "pair3", "pair4", "pair5", "pair6", "pair7", "pair8", "pair9", "pair10",
    "pair11", "pair12", "pair13", "pair14", "pair15",
];

impl Reading {
    /// A page of the project's threads, or of those that have all the pairs asked for.
    pub async fn threads(&mut self, query: &ListThreads) -> Result<List<Thread>> {
        let digests = digests(&query.metadata);
        let pairs: Vec<Within<'_>> =
            PAIRS.into_iter().zip(&digests).map(|(column, digest)| (column, digest.as_str())).collect();
        // A thread that has lost its pairs since the last page is still a place to go on from.
        let after = self.cursor::<Thread>(query.page.after.as_deref(), &[]).await?;
        let before = self.cursor::<Thread>(query.page.before.as_deref(), &[]).await?;
        self.page_between(&with_pairs(pairs.len()), &query.page, &pairs, (after, before)).await
    }
}

/// Threads beside so many of their pairs. Read in the first pair's order, which is the index's: a page costs
/// what it shows, however many threads there are.
fn with_pairs(number: usize) -> String {
    if number == 0 {
        return "threads".to_owned();
    }
    let columns: String = (0..number).map(|n| format!(", m{n}.pair as pair{n}")).collect();
    let joins: String = (1..number)
        .map(|n| {
            format!(
                " join thread_metadata m{n} on m{n}.project = m0.project and m{n}.position = m0.position \
                 and m{n}.thread_id = m0.thread_id"
            )
        })
        .collect();
    format!(
        "(select m0.project, m0.position, m0.thread_id as id, t.object{columns} from thread_metadata m0{joins} \
         join threads t on t.id = m0.thread_id) as labelled"
    )
}

fn digests(metadata: &Metadata) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    metadata.0.iter().map(|(key, value)| digest(&[key.as_bytes(), text(value).as_bytes()])).collect()
}

impl Writing {
    /// Adds the rows of a thread that has none.
    pub(super) async fn label(&mut self, thread: &Thread, position: i64) -> Result<()> {
        let digests = digests(&thread.metadata);
        if digests.is_empty() {
            return Ok(());
        }
        let rows: Vec<String> = (0..digests.len()).map(|n| format!("($1, ${}, $2, $3)", n + 4)).collect();
        let sql = format!(
            "insert into thread_metadata (project, pair, position, thread_id) values {} on conflict do nothing",
            rows.join(", ")
        );
        let mut insert =
            sqlx::query(AssertSqlSafe(sql)).bind(self.project()).bind(position).bind(thread.id.to_string());
        for digest in digests {
            insert = insert.bind(digest);
        }
        insert.execute(self.connection()).await?;
        Ok(())
    }

    /// Takes a thread's rows away.
    pub(super) async fn unlabel(&mut self, thread: &str) -> Result<()> {
        sqlx::query("delete from thread_metadata where thread_id = $1 and project = $2")
            .bind(thread.to_owned())
            .bind(self.project())
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

impl Store {
    /// Adds the rows of threads that were stored before there were any. Other processes may do the same.
    pub(super) async fn label_older_threads(&self) -> Result<()> {
        while self.label_some().await? > 0 {}
        Ok(())
    }

    async fn label_some(&self) -> Result<usize> {
        let mut tx = self.write(&Project::new("")).await?;
        let rows: Vec<(String, i64, String)> = sqlx::query_as(
            "update threads set has_pairs = 1 where has_pairs = 0 \
             and id in (select id from threads where has_pairs = 0 limit $1) returning project, position, object",
        )
        .bind(AT_ONCE)
        .fetch_all(tx.connection())
        .await?;
        for (project, position, object) in &rows {
            tx.reading.project = Project::new(project);
            tx.label(&read(object)?, *position).await?;
        }
        tx.commit().await?;
        Ok(rows.len())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::Place;

    fn asked(metadata: Value) -> ListThreads {
        let query = json!({"metadata": metadata, "limit": 20});
        serde_json::from_value(query).unwrap()
    }

    #[tokio::test]
    async fn threads_of_an_older_database_are_found_after_it_was_opened() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::Folder(folder.path().to_owned());
        let project = Project::new("default");
        let (store, lock) = Store::open(&place).await.unwrap();
        let mut tx = store.write(&project).await.unwrap();
        for number in 0..1200 {
            // As version 1 of the tables has them: without the column, and without rows for the pairs.
            let id = format!("thread_{number:04}");
            let object = json!({"id": id, "object": "thread", "created_at": 1, "tool_resources": {},
                "metadata": {"parity": if number % 2 == 0 { "even" } else { "odd" }}});
            sqlx::query("insert into threads (id, project, position, last_position, object) values ($1, 'default', $2, $2, $3)")
                .bind(id)
                .bind(i64::from(number))
                .bind(object.to_string())
                .execute(tx.connection())
                .await
                .unwrap();
        }
        tx.commit().await.unwrap();
        let found =
            store.read(&project).await.unwrap().threads(&asked(json!({"parity": "odd"}))).await.unwrap();
        assert!(found.data.is_empty());
        store.label_older_threads().await.unwrap();
        let mut reading = store.read(&project).await.unwrap();
        let found = reading.threads(&asked(json!({"parity": "odd"}))).await.unwrap();
        assert_eq!(found.data.first().unwrap().id.to_string(), "thread_1199");
        assert_eq!((found.data.len(), found.has_more), (20, true));
        drop((store, lock));
    }
}
