//! The server's memory: idle, after work, and with many streams open.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::http::{Connection, post};
use crate::load::Question;
use crate::process::{Server, Upstream, resident_bytes};

/// How many streams are being opened at any time.
const OPENING_AT_ONCE: usize = 32;
const OPEN_LIMIT: Duration = Duration::from_secs(60);
const CLOSE_LIMIT: Duration = Duration::from_secs(60);
/// For what is still going on when the last stream is open.
const SETTLE: Duration = Duration::from_secs(1);

/// Memory with streams open.
pub(crate) struct OpenStreams {
    /// How many were open.
    pub(crate) count: usize,
    /// Just before.
    pub(crate) before: u64,
    /// With all of them open.
    pub(crate) open: u64,
    /// When all had ended.
    pub(crate) after: u64,
}

impl OpenStreams {
    /// Bytes for each stream.
    pub(crate) fn each(&self) -> u64 {
        self.open.saturating_sub(self.before) / self.count as u64
    }
}

/// Opens `count` streams, has the upstream stop half-way in each, and looks.
pub(crate) async fn with_open_streams(
    question: &Arc<Question>,
    count: usize,
    server: &Server,
    upstream: &Upstream,
) -> Result<OpenStreams> {
    let mut control = Connection::open(upstream.address).await?;
    let before = resident_bytes(server.pid)?;
    control.call(&post("/hold", "", "")).await?;
    let streams = Streams::open(question, count).await?;
    sleep(SETTLE).await;
    let open = resident_bytes(server.pid)?;
    control.call(&post("/release", "", "")).await?;
    streams.end().await?;
    sleep(SETTLE).await;
    Ok(OpenStreams { count, before, open, after: resident_bytes(server.pid)? })
}

/// Streams that have begun and wait for the upstream.
struct Streams {
    tasks: JoinSet<Result<()>>,
}

impl Streams {
    async fn open(question: &Arc<Question>, count: usize) -> Result<Self> {
        let opening = Arc::new(Semaphore::new(OPENING_AT_ONCE));
        let begun = watch::Sender::new(0);
        let mut begun_count = begun.subscribe();
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            tasks.spawn(stream(Arc::clone(question), Arc::clone(&opening), begun.clone()));
        }
        let all = async {
            tokio::select! {
                begun = begun_count.wait_for(|begun| *begun == count) => begun.map(|_| ()).map_err(Into::into),
                Some(ended) = tasks.join_next() => ended?.and(Err(anyhow::anyhow!("a held stream ended"))),
            }
        };
        timeout(OPEN_LIMIT, all)
            .await
            .with_context(|| format!("only {} of {count} streams began within 60 s", *begun.borrow()))??;
        Ok(Self { tasks })
    }

    async fn end(mut self) -> Result<()> {
        let all = async {
            while let Some(stream) = self.tasks.join_next().await {
                stream??;
            }
            anyhow::Ok(())
        };
        timeout(CLOSE_LIMIT, all)
            .await
            .context("the streams did not end within 60 s of the upstream's answer")?
    }
}

async fn stream(question: Arc<Question>, opening: Arc<Semaphore>, begun: watch::Sender<usize>) -> Result<()> {
    let turn = opening.acquire().await?;
    let mut connection = Connection::open(question.address).await?;
    connection.send(&question.request).await?;
    connection.until(&question.first).await?;
    begun.send_modify(|begun| *begun += 1);
    drop(turn);
    connection.until(&question.done).await?;
    ensure!(connection.has(&question.good), "a run did not complete: {}", connection.tail());
    Ok(())
}
