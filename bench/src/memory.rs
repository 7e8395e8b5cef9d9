//! The server with many streams open that have nothing to say: its memory, and how fast it answers others.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use memchr::memmem;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::http::{Connection, get_with, post};
use crate::load::Question;
use crate::measure::HEADERS;
use crate::process::{Server, Upstream, resident_bytes};

/// How many streams are being opened at any time.
const OPENING_AT_ONCE: usize = 32;
const OPEN_LIMIT: Duration = Duration::from_secs(600);
const CLOSE_LIMIT: Duration = Duration::from_secs(600);
/// Within so long each stream must have heard that the server is alive, which says so every few seconds.
const LIVE_LIMIT: Duration = Duration::from_secs(60);
const PROBES: usize = 200;
const BETWEEN_PROBES: Duration = Duration::from_millis(5);
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
    /// How long it took to answer an ordinary request before, sorted.
    pub(crate) answered_before: Vec<Duration>,
    /// And with all of them open.
    pub(crate) answered_open: Vec<Duration>,
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
    let answered_before = answer_times(server).await?;
    let before = resident_bytes(server.pid)?;
    control.call(&post("/hold", "", "")).await?;
    let streams = Streams::open(question, count).await?;
    sleep(SETTLE).await;
    let answered_open = answer_times(server).await?;
    streams.live().await?;
    let open = resident_bytes(server.pid)?;
    control.call(&post("/release", "", "")).await?;
    streams.end().await?;
    sleep(SETTLE).await;
    let after = resident_bytes(server.pid)?;
    Ok(OpenStreams { count, before, open, after, answered_before, answered_open })
}

/// How long the server takes for an ordinary request, some hundred times.
async fn answer_times(server: &Server) -> Result<Vec<Duration>> {
    let mut connection = Connection::open(server.address).await?;
    let request = get_with("/v1/assistants?limit=1", HEADERS);
    let mut times = Vec::with_capacity(PROBES);
    for _ in 0..PROBES {
        let began = Instant::now();
        connection.call(&request).await?;
        times.push(began.elapsed());
        sleep(BETWEEN_PROBES).await;
    }
    times.sort_unstable();
    Ok(times)
}

/// Streams that have begun and wait for the upstream.
struct Streams {
    tasks: JoinSet<Result<()>>,
    count: usize,
    /// How many have heard that the server is alive since they began to wait.
    live: watch::Receiver<usize>,
}

impl Streams {
    async fn open(question: &Arc<Question>, count: usize) -> Result<Self> {
        let opening = Arc::new(Semaphore::new(OPENING_AT_ONCE));
        let begun = watch::Sender::new(0);
        let mut begun_count = begun.subscribe();
        let live = watch::Sender::new(0);
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            tasks.spawn(stream(Arc::clone(question), Arc::clone(&opening), begun.clone(), live.clone()));
        }
        let all = async {
            tokio::select! {
                begun = begun_count.wait_for(|begun| *begun == count) => begun.map(|_| ()).map_err(Into::into),
                Some(ended) = tasks.join_next() => ended?.and(Err(anyhow::anyhow!("a held stream ended"))),
            }
        };
        timeout(OPEN_LIMIT, all)
            .await
            .with_context(|| format!("only {} of {count} streams began in time", *begun.borrow()))??;
        Ok(Self { tasks, count, live: live.subscribe() })
    }

    /// Waits until every stream has heard a comment.
    async fn live(&self) -> Result<()> {
        let mut live = self.live.clone();
        let all = live.wait_for(|live| *live == self.count);
        timeout(LIVE_LIMIT, all).await.context("a stream has heard nothing for 60 s")??;
        Ok(())
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
            .context("the streams did not end in time after the upstream's answer")?
    }
}

async fn stream(
    question: Arc<Question>,
    opening: Arc<Semaphore>,
    begun: watch::Sender<usize>,
    live: watch::Sender<usize>,
) -> Result<()> {
    let turn = opening.acquire().await?;
    let mut connection = Connection::open(question.address).await?;
    connection.send(&question.request).await?;
    connection.until(&question.first).await?;
    begun.send_modify(|begun| *begun += 1);
    drop(turn);
    connection.until(&memmem::Finder::new(": keep-alive")).await?;
    live.send_modify(|live| *live += 1);
    connection.until(&question.done).await?;
    ensure!(connection.has(&question.good), "a run did not complete: {}", connection.tail());
    Ok(())
}
