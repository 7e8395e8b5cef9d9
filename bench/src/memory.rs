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
use crate::machine::Processors;
use crate::measure::{Bench, HEADERS};
use crate::process::{Peer, Server, resident_bytes};

/// How many streams are being opened at any time.
const OPENING_AT_ONCE: usize = 32;
const OPEN_LIMIT: Duration = Duration::from_secs(600);
const CLOSE_LIMIT: Duration = Duration::from_secs(600);
/// Within so long each stream must have heard that the server is alive, which says so every few seconds.
const LIVE_LIMIT: Duration = Duration::from_secs(60);
const PROBES: u32 = 200;
const BETWEEN_PROBES: Duration = Duration::from_millis(5);
/// For what is still going on when the last stream has ended.
const SETTLE: Duration = Duration::from_secs(1);
/// So long it is seen what idle streams cost: whatever is done once a minute is among it.
const WATCH: Duration = Duration::from_secs(60);

/// What open streams take, of Adjutant and of a bare relay.
pub(crate) struct OpenStreams {
    /// How many were open.
    pub(crate) count: usize,
    /// Of each process: the one that the streams are of, and the one that works on their runs, where that is another.
    pub(crate) adjutant: Vec<Held>,
    /// Of a relay that holds what the former must.
    pub(crate) relay: Held,
    /// With all of them open: the share of one core that all processes of Adjutant used together.
    pub(crate) share: f64,
    /// And that which everything else used: the database, this program, the machine's other programs.
    pub(crate) others: f64,
    /// How long it took to answer an ordinary request before, sorted.
    pub(crate) answered_before: Vec<Duration>,
    /// And with all of them open.
    pub(crate) answered_open: Vec<Duration>,
}

/// A process's bytes of memory.
pub(crate) struct Held {
    /// What it is.
    pub(crate) name: &'static str,
    pid: u32,
    /// Just before.
    pub(crate) before: u64,
    /// With all streams open.
    pub(crate) open: u64,
    /// When all had ended.
    pub(crate) after: u64,
}

impl Held {
    fn before(name: &'static str, pid: u32) -> Result<Self> {
        Ok(Self { name, pid, before: resident_bytes(pid)?, open: 0, after: 0 })
    }

    /// Bytes for each stream.
    pub(crate) fn each(&self, count: usize) -> f64 {
        self.open.saturating_sub(self.before) as f64 / count as f64
    }
}

/// Opens `count` streams, has the upstream stop half-way in each, and looks.
pub(crate) async fn with_open_streams(bench: &Bench, count: usize) -> Result<OpenStreams> {
    let mut control = Connection::open(bench.upstream.address).await?;
    control.call(&post("/hold", "", "")).await?;
    let relay = of_relay(bench, count).await?;
    let server = &bench.server;
    let answered_before = answer_times(server, BETWEEN_PROBES).await?;
    let mut adjutant = vec![Held::before("Adjutant", server.pid)?];
    if let Some(worker) = &bench.worker {
        adjutant.push(Held::before("its worker", worker.pid)?);
    }
    let streams = Streams::open(&bench.adjutant, count).await?;
    streams.live().await?;
    let before = (bench.servers_time()?, Processors::now()?);
    let began = Instant::now();
    let answered_open = answer_times(server, WATCH / PROBES).await?;
    let servers = bench.servers_time()?.saturating_sub(before.0);
    let others = Processors::now()?.since(before.1).busy.saturating_sub(servers);
    let [share, others] = [servers, others].map(|used| used.div_duration_f64(began.elapsed()));
    for held in &mut adjutant {
        held.open = resident_bytes(held.pid)?;
    }
    control.call(&post("/release", "", "")).await?;
    streams.end().await?;
    sleep(SETTLE).await;
    for held in &mut adjutant {
        held.after = resident_bytes(held.pid)?;
    }
    Ok(OpenStreams { count, adjutant, relay, share, others, answered_before, answered_open })
}

/// What a relay holds for the same streams; where runs are worked on elsewhere, without connections to the model.
async fn of_relay(bench: &Bench, count: usize) -> Result<Held> {
    let upstream = bench.upstream.address.to_string();
    let role: &[&str] = if bench.worker.is_some() { &["relay"] } else { &["relay", &upstream] };
    let relay = Peer::start(role).await?;
    let mut held = Held::before("a bare relay", relay.pid)?;
    let streams = Streams::open(&Arc::new(bench.direct.at(relay.address)), count).await?;
    streams.live().await?;
    held.open = resident_bytes(relay.pid)?;
    drop(streams);
    sleep(SETTLE).await;
    held.after = resident_bytes(relay.pid)?;
    Ok(held)
}

/// How long the server takes for an ordinary request, some hundred times.
async fn answer_times(server: &Server, between: Duration) -> Result<Vec<Duration>> {
    let mut connection = Connection::open(server.address).await?;
    let request = get_with("/v1/assistants?limit=1", HEADERS);
    let mut times = Vec::new();
    for _ in 0..PROBES {
        let began = Instant::now();
        connection.call(&request).await?;
        times.push(began.elapsed());
        sleep(between).await;
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
