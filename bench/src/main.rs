//! Measures what Adjutant adds to a call of a model.
//!
//! Three processes on one machine: an upstream that answers at once ([`upstream`]), Adjutant in front of
//! it, and this load generator. The same generator streams answers straight from the upstream and then as
//! runs through Adjutant, so the difference is Adjutant's. Then it compares runs on threads of different
//! lengths with one another. Everything stays on loopback, and every phase ends after a number of runs or
//! seconds.

mod http;
mod load;
mod long_threads;
mod machine;
mod measure;
mod memory;
mod process;
mod relay;
mod report;
mod upstream;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Measures what Adjutant adds to a call of a model, against an upstream on loopback that answers at once.
#[derive(Parser)]
#[command(name = "adjutant-bench", args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Role {
    /// Be the upstream: print the port and serve until standard input closes. The bench starts this itself.
    #[command(hide = true)]
    Upstream,
    /// Pass on what an upstream answers, and hold no more than that takes; or without one, a stream that never ends.
    #[command(hide = true)]
    Relay { upstream: Option<SocketAddr> },
}

/// What can be measured by itself.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    /// Clients straight at the upstream, and runs through Adjutant
    Load,
    /// Memory with streams held open
    Streams,
    /// Runs on threads of different lengths
    LongThreads,
}

/// What to measure and how long.
#[derive(Args)]
struct Options {
    /// Measure this alone [default: everything]
    #[arg(long, value_name = "PART")]
    only: Option<Part>,
    /// Measure on this database instead of SQLite in the data folder
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Where the server's data folder is made, and removed afterwards; its disk counts
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    data: PathBuf,
    /// The server to measure [default: `adjutant` beside this program]
    #[arg(long, value_name = "PROGRAM")]
    server: Option<PathBuf>,
    /// How many clients stream at once, one measurement for each number
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,64")]
    clients: Vec<usize>,
    /// A phase ends after this many seconds …
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// … or after this many runs
    #[arg(long, default_value_t = 200_000)]
    runs: u64,
    /// How many streams to hold open for the measurement of memory; 0 leaves it out
    #[arg(long, value_name = "N", default_value_t = 1000)]
    streams: usize,
    /// Serve with one process and work on runs with another, over the same database
    #[arg(long, requires = "database_url")]
    split: bool,
    /// How many messages the threads have whose runs are compared
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "100,100000")]
    messages: Vec<usize>,
    /// More arguments for the server's `serve`, after `--`
    #[arg(last = true)]
    server_arguments: Vec<String>,
}

impl Options {
    fn wants(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }

    fn limit(&self) -> load::Limit {
        load::Limit { runs: self.runs, time: Duration::from_secs(self.seconds) }
    }
}

// One thread: the machine's other cores belong to what is measured.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let CommandLine { role, options } = CommandLine::parse();
    match role {
        Some(Role::Upstream) => upstream::serve().await,
        Some(Role::Relay { upstream }) => relay::serve(upstream).await,
        None => tokio::select! {
            outcome = measure::everything(&options) => report::print(&outcome?),
            _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted; nothing was measured"),
        },
    }
}
