//! The table.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use anyhow::Result;

use crate::load::percentile;
use crate::long_threads::LongThread;
use crate::measure::{Comparison, Outcome, Phase};
use crate::memory::OpenStreams;
use crate::upstream::DELTAS;

/// A row's name and how to get its value from a phase.
type Row<T> = (&'static str, fn(&Phase) -> T);

/// Prints what was measured.
pub(crate) fn print(outcome: &Outcome) -> Result<()> {
    let mut text = format!(
        "\nAdjutant against an upstream that answers at once with {DELTAS} pieces of text\n\
         {} cores shared by server, upstream and load; {}; loopback\n",
        cores(),
        outcome.database
    );
    for comparison in &outcome.comparisons {
        text += &speed(comparison)?;
    }
    if !outcome.comparisons.is_empty() {
        text += &limits(outcome)?;
    }
    text += &long_threads(&outcome.long_threads)?;
    text += &memory(outcome)?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Times and rates, direct and through Adjutant.
fn speed(Comparison { clients, direct, adjutant }: &Comparison) -> Result<String> {
    let mut text = String::new();
    let title = if *clients == 1 { "1 client".to_owned() } else { format!("{clients} clients") };
    writeln!(text, "\n{title:<36}{:>10}{:>10}{:>9}{:>11}", "direct", "Adjutant", "ratio", "added")?;
    let (a, b) = (direct.seen.rate(), adjutant.seen.rate());
    writeln!(text, "  {:<34}{a:>10.0}{b:>10.0}{:>9.3}", "runs a second", b / a)?;
    let rows: [Row<Duration>; 6] = [
        ("first delta, p50", |phase| percentile(&phase.seen.first, 0.50)),
        ("first delta, p99", |phase| percentile(&phase.seen.first, 0.99)),
        ("done, p50", |phase| percentile(&phase.seen.done, 0.50)),
        ("done, p99", |phase| percentile(&phase.seen.done, 0.99)),
        ("processor a run, all three", |phase| phase.a_run(phase.server + phase.generator + phase.upstream)),
        ("processor a run, server", |phase| phase.a_run(phase.server)),
    ];
    for (name, of) in rows {
        let (a, b) = (milliseconds(of(direct)), milliseconds(of(adjutant)));
        let ratio = if a > 0.005 { format!("{:.1}", b / a) } else { "–".to_owned() };
        writeln!(text, "  {name:<34}{a:>7.2} ms{b:>7.2} ms{ratio:>9}{:>8.2} ms", b - a)?;
    }
    Ok(text)
}

/// Where the time of the runs went.
fn limits(outcome: &Outcome) -> Result<String> {
    let mut text = format!("\n{:<36}", "What limits the runs");
    let phases = || outcome.comparisons.iter().map(|comparison| &comparison.adjutant);
    for comparison in &outcome.comparisons {
        write!(text, "{:>11}", format!("{} cl.", comparison.clients))?;
    }
    let rows: [Row<String>; 12] = [
        ("processors: server", |phase| percent(phase.share(phase.server))),
        ("processors: load generator", |phase| percent(phase.share(phase.generator))),
        ("processors: upstream", |phase| percent(phase.share(phase.upstream))),
        ("processors: everything else", |phase| percent(phase.share(phase.others()))),
        ("processors: waiting for the disk", |phase| percent(phase.share(phase.processors.waiting))),
        ("server waits for processors a run", |phase| {
            format!("{:.2} ms", milliseconds(phase.a_run(phase.queueing)))
        }),
        ("written by the server a run", |phase| {
            format!("{:.1} KiB", phase.written as f64 / 1024.0 / phase.runs())
        }),
        ("disk flushes a second", |phase| {
            phase.flushed(|count, _| format!("{:.0}", count / phase.seen.elapsed.as_secs_f64()))
        }),
        ("disk flushes a run", |phase| phase.flushed(|count, _| format!("{:.2}", count / phase.runs()))),
        ("a flush takes", |phase| phase.flushed(|count, time| format!("{:.2} ms", time / count))),
        ("connections by the load", |phase| phase.seen.connections.to_string()),
        ("connections by the server a run", |phase| {
            // One is the bench's own, to ask for this number.
            format!("{:.2}", (phase.upstream_connections - 1) as f64 / phase.runs())
        }),
    ];
    for (name, of) in rows {
        write!(text, "\n  {name:<34}")?;
        for phase in phases() {
            write!(text, "{:>11}", of(phase))?;
        }
    }
    if phases().any(|phase| phase.share(phase.others()) > 0.2) {
        text += "\n  (everything else: a database server, or programs that make these figures worse than they are)";
    }
    let (p50, p99) = (percentile(&outcome.sync_times, 0.5), percentile(&outcome.sync_times, 0.99));
    writeln!(
        text,
        "\n  4 KiB and fdatasync in the data folder: p50 {:.2} ms, p99 {:.2} ms",
        milliseconds(p50),
        milliseconds(p99)
    )?;
    for comparison in &outcome.comparisons {
        writeln!(text, "  {} cl.: {}", comparison.clients, verdict(&comparison.adjutant))?;
    }
    Ok(text)
}

/// The nearest limit in a sentence.
fn verdict(phase: &Phase) -> String {
    let busy = phase.share(phase.processors.busy);
    let server = phase.share(phase.server);
    let flushing = phase.flushes.map_or(0.0, |f| f.time.as_secs_f64() / phase.seen.elapsed.as_secs_f64());
    if busy > 0.9 {
        format!("the processors, {} busy; the server has {} of them", percent(busy), percent(server))
    } else if flushing > 0.5 {
        format!(
            "the disk, flushing {} of the time; the processors are {} busy",
            percent(flushing),
            percent(busy)
        )
    } else {
        format!(
            "neither processors ({} busy) nor disk (flushing {} of the time): the parts wait for one another",
            percent(busy),
            percent(flushing)
        )
    }
}

/// What runs cost on threads of different lengths; each ratio is to the first.
fn long_threads(threads: &[LongThread]) -> Result<String> {
    let Some(first) = threads.first() else { return Ok(String::new()) };
    let mut text = format!("\n{:<36}", "Runs on threads of messages");
    for (index, thread) in threads.iter().enumerate() {
        write!(text, "{:>10}", thread.messages)?;
        text += if index > 0 { "    ratio" } else { "" };
    }
    type Figure = fn(&LongThread) -> Duration;
    let rows: [(&str, Figure); 5] = [
        ("first delta, p50", |thread| percentile(&thread.seen.first, 0.50)),
        ("first delta, p99", |thread| percentile(&thread.seen.first, 0.99)),
        ("done, p50", |thread| percentile(&thread.seen.done, 0.50)),
        ("done, p99", |thread| percentile(&thread.seen.done, 0.99)),
        ("processor a run, server", |thread| thread.server.div_f64(thread.seen.done.len().max(1) as f64)),
    ];
    for (name, of) in rows {
        write!(text, "\n  {name:<34}")?;
        for (index, thread) in threads.iter().enumerate() {
            write!(text, "{:>7.2} ms", milliseconds(of(thread)))?;
            if index > 0 {
                write!(text, "{:>9.2}", of(thread).div_duration_f64(of(first)))?;
            }
        }
    }
    text.push('\n');
    Ok(text)
}

fn memory(outcome: &Outcome) -> Result<String> {
    let mut text = "\nMemory of the server (resident)\n".to_owned();
    writeln!(text, "  {:<34}{:>7.1} MiB", "idle after the start", mebibytes(outcome.idle_bytes))?;
    writeln!(text, "  {:<34}{:>7.1} MiB", "after the load", mebibytes(outcome.loaded_bytes))?;
    writeln!(text, "  {:<34}{:>7} of one core", "processor while idle", percent(outcome.idle_share))?;
    if let Some(streams) = &outcome.streams {
        text += &open_streams(streams)?;
    }
    Ok(text)
}

/// What they take, and what they leave to others.
fn open_streams(streams: &OpenStreams) -> Result<String> {
    let title = format!("{} open streams", streams.count);
    let mut text = format!("\n{title:<36}{:>11}{:>11}{:>11}{:>14}\n", "before", "open", "ended", "each");
    for held in streams.adjutant.iter().chain([&streams.relay]) {
        let [before, open, after] = [held.before, held.open, held.after].map(mebibytes);
        let each = held.each(streams.count) / 1024.0;
        writeln!(
            text,
            "  {:<34}{before:>7.1} MiB{open:>7.1} MiB{after:>7.1} MiB{each:>10.1} KiB",
            held.name
        )?;
    }
    if let Some(adjutant) = streams.adjutant.first() {
        let own = (adjutant.each(streams.count) - streams.relay.each(streams.count)) / 1024.0;
        writeln!(text, "  {:<34}{:>43.1} KiB", "of Adjutant's own", own)?;
    }
    writeln!(text, "  {:<34}{:>7} of one core", "processor with them open", percent(streams.share))?;
    writeln!(text, "  {:<34}{:>7} of one core", "everything else meanwhile", percent(streams.others))?;
    writeln!(text, "\n{:<36}{:>10}{:>10}", "An ordinary request", "p50", "p99")?;
    for (name, times) in [("before", &streams.answered_before), ("with them open", &streams.answered_open)] {
        let (p50, p99) = (milliseconds(percentile(times, 0.5)), milliseconds(percentile(times, 0.99)));
        writeln!(text, "  {name:<34}{p50:>7.2} ms{p99:>7.2} ms")?;
    }
    Ok(text)
}

impl Phase {
    fn runs(&self) -> f64 {
        self.seen.done.len() as f64
    }

    fn a_run(&self, time: Duration) -> Duration {
        time.div_f64(self.runs().max(1.0))
    }

    /// What part of the machine's processors `time` is.
    fn share(&self, time: Duration) -> f64 {
        time.as_secs_f64() / self.processors.all.as_secs_f64()
    }

    /// What the processors did for nobody that was measured: a database server, other programs.
    fn others(&self) -> Duration {
        self.processors.busy.saturating_sub(self.server + self.generator + self.upstream)
    }

    /// A text from the count of flushes and their milliseconds; `?` where the kernel counts none.
    fn flushed(&self, text: impl Fn(f64, f64) -> String) -> String {
        self.flushes.map_or("?".to_owned(), |f| text(f.count as f64, milliseconds(f.time)))
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
