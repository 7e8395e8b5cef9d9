//! The load: a number of clients, each of which asks again as soon as it was answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use memchr::memmem::Finder;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::http::Connection;

/// What every client asks, and what in the answer is timed.
#[derive(Clone)]
pub(crate) struct Question {
    /// Whom to ask.
    pub(crate) address: SocketAddr,
    /// The request's bytes.
    pub(crate) request: Vec<u8>,
    /// The first piece of text.
    pub(crate) first: Finder<'static>,
    /// What only a good answer has; an answer without it ends the bench.
    pub(crate) good: Finder<'static>,
    /// The last event.
    pub(crate) done: Finder<'static>,
}

impl Question {
    /// The same, asked of another.
    pub(crate) fn at(&self, address: SocketAddr) -> Self {
        Self { address, ..self.clone() }
    }

    /// A request that is answered by the stream of a run.
    pub(crate) fn of_run(address: SocketAddr, request: Vec<u8>) -> Self {
        Self {
            address,
            request,
            first: Finder::new("event: thread.message.delta"),
            good: Finder::new("event: thread.run.completed"),
            done: Finder::new("event: done"),
        }
    }
}

/// A phase ends at whichever comes first.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    /// How many runs are begun.
    pub(crate) runs: u64,
    /// How long runs are begun.
    pub(crate) time: Duration,
}

/// What the clients saw.
#[derive(Default)]
pub(crate) struct Seen {
    /// From the first request to the end of the last answer.
    pub(crate) elapsed: Duration,
    /// From a request to its first piece of text, sorted.
    pub(crate) first: Vec<Duration>,
    /// From a request to its last event, sorted.
    pub(crate) done: Vec<Duration>,
    /// How many connections were opened in all.
    pub(crate) connections: u64,
}

impl Seen {
    /// Adds what was seen another time.
    pub(crate) fn add(&mut self, other: Self) {
        self.elapsed += other.elapsed;
        self.connections += other.connections;
        self.first.extend(other.first);
        self.done.extend(other.done);
        self.first.sort_unstable();
        self.done.sort_unstable();
    }

    /// How many runs were ended a second.
    pub(crate) fn rate(&self) -> f64 {
        self.done.len() as f64 / self.elapsed.as_secs_f64()
    }
}

/// The value that `share` of the sorted samples do not exceed.
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// Lets `clients` ask the same thing until the limit is reached.
pub(crate) async fn put(question: &Arc<Question>, clients: usize, limit: Limit) -> Result<Seen> {
    let mut connections = Vec::with_capacity(clients);
    for _ in 0..clients {
        connections.push(Connection::open(question.address).await?);
    }
    let left = Arc::new(AtomicU64::new(limit.runs));
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for connection in connections {
        let client = Client { connection, question: Arc::clone(question), left: Arc::clone(&left) };
        tasks.spawn(client.ask_until(began + limit.time));
    }
    let mut seen = Seen::default();
    while let Some(samples) = tasks.join_next().await {
        let samples = samples.context("a client stopped")??;
        seen.connections += samples.connections;
        for (first, done) in samples.times {
            seen.first.push(first);
            seen.done.push(done);
        }
    }
    seen.elapsed = began.elapsed();
    seen.first.sort_unstable();
    seen.done.sort_unstable();
    Ok(seen)
}

struct Client {
    connection: Connection,
    question: Arc<Question>,
    left: Arc<AtomicU64>,
}

struct Samples {
    /// First piece and last event of each run.
    times: Vec<(Duration, Duration)>,
    connections: u64,
}

impl Client {
    async fn ask_until(mut self, end: Instant) -> Result<Samples> {
        let mut times = Vec::new();
        while Instant::now() < end && self.take_one() {
            times.push(self.ask().await?);
        }
        Ok(Samples { times, connections: self.connection.opened })
    }

    fn take_one(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    async fn ask(&mut self) -> Result<(Duration, Duration)> {
        let Self { connection, question, .. } = self;
        let asked = Instant::now();
        connection.send(&question.request).await?;
        connection.until(&question.first).await?;
        let first = asked.elapsed();
        connection.until(&question.done).await?;
        let done = asked.elapsed();
        connection.rest().await?;
        ensure!(connection.has(&question.good), "a run did not complete: {}", connection.tail());
        Ok((first, done))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let sorted: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&sorted, 0.5), Duration::from_millis(50));
        assert_eq!(percentile(&sorted, 0.99), Duration::from_millis(99));
        assert_eq!(percentile(&sorted[..1], 0.99), Duration::from_millis(1));
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }
}
