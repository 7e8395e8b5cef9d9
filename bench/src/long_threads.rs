//! Runs on threads of different lengths, side by side. A run must cost the same however long its thread is,
//! once that is longer than what its model can read.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::http::{Connection, post};
use crate::load::{self, Limit, Question, Seen};
use crate::measure::HEADERS;
use crate::process::{self, Server};

/// Letters of a message: a hundred of them are already longer than the default window of 32,768 tokens.
const MESSAGE_LETTERS: usize = 1600;
const SENTENCE: &str = "The ferry to the island leaves at nine and is back before dark. ";

/// The threads take turns, so that whatever else the machine does meets both.
const ROUNDS: u32 = 10;

/// Runs on one thread.
pub(crate) struct LongThread {
    /// How many messages it had at first.
    pub(crate) messages: usize,
    /// What the client saw.
    pub(crate) seen: Seen,
    /// Processor time of the server.
    pub(crate) server: Duration,
}

/// Fills threads with so many messages, and runs on each of them in turn.
pub(crate) async fn compare(
    server: &Server,
    assistant: &str,
    lengths: &[usize],
    limit: Limit,
) -> Result<Vec<LongThread>> {
    let mut threads = Vec::new();
    for &messages in lengths {
        let id = format!("thread_bench{messages}");
        fill(server, &id, messages).await?;
        let body = format!(r#"{{"assistant_id":"{assistant}","stream":true}}"#);
        let request = post(&format!("/v1/threads/{id}/runs"), HEADERS, &body);
        let question = Arc::new(Question::of_run(server.address, request));
        let warm_up = Limit { runs: 20, time: Duration::from_secs(5) };
        load::put(&question, 1, warm_up).await?;
        threads.push((question, LongThread { messages, seen: Seen::default(), server: Duration::ZERO }));
    }
    let turn = Limit { runs: (limit.runs / u64::from(ROUNDS)).max(1), time: limit.time / ROUNDS };
    for _ in 0..ROUNDS {
        for (question, thread) in &mut threads {
            let before = process::processor_time(server.pid)?;
            thread.seen.add(load::put(question, 1, turn).await?);
            thread.server += process::processor_time(server.pid)? - before;
        }
    }
    Ok(threads.into_iter().map(|(_, thread)| thread).collect())
}

/// Imports a thread, which takes any number of messages in one request.
async fn fill(server: &Server, id: &str, messages: usize) -> Result<()> {
    let text: String = SENTENCE.chars().cycle().take(MESSAGE_LETTERS).collect();
    let mut lines = format!("{{\"object\":\"thread\",\"id\":\"{id}\",\"created_at\":1700000000}}\n");
    for index in 0..messages {
        let role = if index % 2 == 0 { "user" } else { "assistant" };
        writeln!(
            lines,
            r#"{{"object":"thread.message","id":"msg_{messages}n{index}","thread_id":"{id}","created_at":{},"role":"{role}","content":[{{"type":"text","text":{{"value":"{index} {text}","annotations":[]}}}}]}}"#,
            1_700_000_001 + index,
        )?;
    }
    let mut connection = Connection::open(server.address).await?;
    let report = connection.call(&post("/v1/threads/import", HEADERS, &lines)).await?;
    let report = String::from_utf8_lossy(report);
    ensure!(report.contains(&format!(r#""messages":{messages},"#)), "the thread was not imported: {report}");
    Ok(())
}
