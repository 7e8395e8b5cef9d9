//! The order of the measurement.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use memchr::memmem::Finder;
use tokio::time::sleep;

use crate::http::{Connection, get, post};
use crate::load::{self, Limit, Question, Seen};
use crate::long_threads::{self, LongThread};
use crate::machine::{self, Disk, Flushes, Processors};
use crate::memory::{self, OpenStreams};
use crate::process::{self, Peer, Server};
use crate::upstream::MODEL;
use crate::{Options, Part};

/// What the server wants to see of every request.
pub(crate) const HEADERS: &str = "Authorization: Bearer bench\r\nOpenAI-Beta: assistants=v2\r\n";

/// Everything that was measured.
pub(crate) struct Outcome {
    /// Which database, without its password.
    pub(crate) database: String,
    /// One for each number of clients.
    pub(crate) comparisons: Vec<Comparison>,
    /// The server's bytes of memory before it did anything.
    pub(crate) idle_bytes: u64,
    /// The share of one core that the server used while nobody asked anything.
    pub(crate) idle_share: f64,
    /// Its bytes of memory after the load.
    pub(crate) loaded_bytes: u64,
    /// Its memory with streams open, unless left out.
    pub(crate) streams: Option<OpenStreams>,
    /// Runs on threads of different lengths, one for each length.
    pub(crate) long_threads: Vec<LongThread>,
    /// How long the disk of the data folder takes to make 4 KiB durable, sorted.
    pub(crate) sync_times: Vec<Duration>,
}

/// The same number of clients straight at the upstream and through Adjutant.
pub(crate) struct Comparison {
    /// How many clients.
    pub(crate) clients: usize,
    /// Straight at the upstream.
    pub(crate) direct: Phase,
    /// Through Adjutant.
    pub(crate) adjutant: Phase,
}

/// One load and what it cost.
pub(crate) struct Phase {
    /// What the clients saw.
    pub(crate) seen: Seen,
    /// Processor time of the server.
    pub(crate) server: Duration,
    /// How long the server's threads waited for a processor.
    pub(crate) queueing: Duration,
    /// Processor time of this process.
    pub(crate) generator: Duration,
    /// Processor time of the upstream.
    pub(crate) upstream: Duration,
    /// Processor time of the machine.
    pub(crate) processors: Processors,
    /// Bytes that the server wrote.
    pub(crate) written: u64,
    /// Flushes of the disk, whoever caused them.
    pub(crate) flushes: Option<Flushes>,
    /// Connections that were opened to the upstream.
    pub(crate) upstream_connections: u64,
}

/// Starts what is needed, measures, and stops it.
pub(crate) async fn everything(options: &Options) -> Result<Outcome> {
    // Each stream is a connection here and, where it works on the run as well, two in the server.
    let each = if options.split { 1 } else { 2 };
    process::allow_open_files(each * options.streams as u64 + 200)?;
    let upstream = Peer::start(&["upstream"]).await?;
    let server = Server::start(options, if options.split { "api" } else { "both" }, upstream.address).await?;
    let worker = match options.split {
        true => Some(Server::start(options, "worker", upstream.address).await?),
        false => None,
    };
    let (idle_bytes, idle_share) = idle(&server).await?;
    let assistant = create_assistant(&server).await?;
    let bench = Bench {
        direct: Arc::new(direct_question(&upstream)),
        adjutant: Arc::new(run_question(&server, &assistant)),
        disk: Disk::of(server.data.path())?,
        limit: options.limit(),
        server,
        worker,
        upstream,
    };
    let sync_times = machine::sync_times(bench.server.data.path())?;
    let mut comparisons = Vec::new();
    for &clients in options.clients.iter().filter(|_| options.wants(Part::Load)) {
        comparisons.push(bench.compare(clients).await?);
    }
    let loaded_bytes = process::resident_bytes(bench.server.pid)?;
    let streams = match options.streams {
        count if count > 0 && options.wants(Part::Streams) => Some(bench.hold(count).await?),
        _ => None,
    };
    let mut long_threads = Vec::new();
    if options.wants(Part::LongThreads) {
        say(&format!("runs on threads of {:?} messages", options.messages));
        long_threads =
            long_threads::compare(&bench.server, &assistant, &options.messages, bench.limit).await?;
    }
    bench.server.stop().await?;
    if let Some(worker) = bench.worker {
        worker.stop().await?;
    }
    let database = options.database_url.as_deref().map_or("SQLite".to_owned(), without_password);
    Ok(Outcome {
        database,
        comparisons,
        idle_bytes,
        idle_share,
        loaded_bytes,
        streams,
        long_threads,
        sync_times,
    })
}

/// Memory and share of a core while nothing is asked.
async fn idle(server: &Server) -> Result<(u64, f64)> {
    const SETTLE: Duration = Duration::from_secs(1);
    const WATCH: Duration = Duration::from_secs(3);
    sleep(SETTLE).await;
    let before = process::processor_time(server.pid)?;
    sleep(WATCH).await;
    let used = process::processor_time(server.pid)? - before;
    Ok((process::resident_bytes(server.pid)?, used.as_secs_f64() / WATCH.as_secs_f64()))
}

/// What is running, and what is asked of it.
pub(crate) struct Bench {
    /// Straight at the upstream.
    pub(crate) direct: Arc<Question>,
    /// A run.
    pub(crate) adjutant: Arc<Question>,
    disk: Disk,
    limit: Limit,
    /// The server that is asked.
    pub(crate) server: Server,
    /// Another one that works on its runs, where it does not do so itself.
    pub(crate) worker: Option<Server>,
    /// Its model's server.
    pub(crate) upstream: Peer,
}

impl Bench {
    async fn compare(&self, clients: usize) -> Result<Comparison> {
        say(&format!("{clients} clients, straight at the upstream"));
        let direct = self.phase(&self.direct, clients).await?;
        say(&format!("{clients} clients, runs through Adjutant"));
        let adjutant = self.phase(&self.adjutant, clients).await?;
        Ok(Comparison { clients, direct, adjutant })
    }

    async fn phase(&self, question: &Arc<Question>, clients: usize) -> Result<Phase> {
        // Connections, caches and the allocator settle.
        let warm_up = Limit { runs: 50.max(4 * clients as u64), time: Duration::from_secs(5) };
        load::put(question, clients, warm_up).await?;
        let before = Counters::now(self).await?;
        let seen = load::put(question, clients, self.limit).await?;
        let after = Counters::now(self).await?;
        Ok(Phase {
            seen,
            server: after.server - before.server,
            queueing: after.queueing.saturating_sub(before.queueing),
            generator: after.generator - before.generator,
            upstream: after.upstream - before.upstream,
            processors: after.processors.since(before.processors),
            written: after.written - before.written,
            flushes: after.flushes.zip(before.flushes).and_then(|(after, before)| after.since(before)),
            upstream_connections: after.connections - before.connections,
        })
    }

    async fn hold(&self, count: usize) -> Result<OpenStreams> {
        say(&format!("{count} open streams"));
        memory::with_open_streams(self, count).await
    }

    /// Processor time that the processes of Adjutant have used.
    pub(crate) fn servers_time(&self) -> Result<Duration> {
        let pids = std::iter::once(&self.server).chain(&self.worker).map(|server| server.pid);
        pids.map(process::processor_time).sum()
    }
}

/// What the kernel has counted so far.
struct Counters {
    server: Duration,
    queueing: Duration,
    generator: Duration,
    upstream: Duration,
    processors: Processors,
    written: u64,
    flushes: Option<Flushes>,
    connections: u64,
}

impl Counters {
    async fn now(bench: &Bench) -> Result<Self> {
        let mut control = Connection::open(bench.upstream.address).await?;
        let connections = String::from_utf8_lossy(control.call(&get("/connections")).await?).parse()?;
        Ok(Self {
            server: bench.servers_time()?,
            queueing: process::queueing_time(bench.server.pid)?,
            generator: process::processor_time(std::process::id())?,
            upstream: process::processor_time(bench.upstream.pid)?,
            processors: Processors::now()?,
            written: process::written_bytes(bench.server.pid)?,
            flushes: bench.disk.flushes(),
            connections,
        })
    }
}

fn direct_question(upstream: &Peer) -> Question {
    let body = format!(
        r#"{{"model":"{MODEL}","messages":[{{"role":"user","content":"What is three times one?"}}],"stream":true,"stream_options":{{"include_usage":true}}}}"#
    );
    Question {
        address: upstream.address,
        request: post("/v1/chat/completions", "", &body),
        first: Finder::new(r#""delta":{"content":"#),
        good: Finder::new(r#""finish_reason":"stop""#),
        done: Finder::new("data: [DONE]"),
    }
}

/// Makes the assistant of all runs; its id.
async fn create_assistant(server: &Server) -> Result<String> {
    let body = format!(r#"{{"model":"{MODEL}","instructions":"You answer in one sentence."}}"#);
    let mut connection = Connection::open(server.address).await?;
    let created = connection.call(&post("/v1/assistants", HEADERS, &body)).await?;
    let created = String::from_utf8_lossy(created);
    let assistant = created.split('"').find(|text| text.starts_with("asst_"));
    Ok(assistant.with_context(|| format!("no assistant's id in {created}"))?.to_owned())
}

/// A run on a thread of its own.
fn run_question(server: &Server, assistant: &str) -> Question {
    let body = format!(
        r#"{{"assistant_id":"{assistant}","stream":true,"thread":{{"messages":[{{"role":"user","content":"What is three times one?"}}]}}}}"#
    );
    Question::of_run(server.address, post("/v1/threads/runs", HEADERS, &body))
}

/// `postgres://user:password@host/name` without what nobody else should read.
fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    format!("{scheme}://{}", place.split('?').next().unwrap_or(place))
}

/// Says on standard error what is going on, for the table on standard output is for keeping.
#[expect(clippy::print_stderr, reason = "a bench shows that it has not stopped")]
fn say(what: &str) {
    eprintln!("measuring: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        assert_eq!(without_password("postgres://a:b@127.0.0.1:5432/c?x=y"), "postgres://127.0.0.1:5432/c");
        assert_eq!(without_password("postgres:///c"), "postgres:///c");
    }
}
