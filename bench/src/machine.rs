//! What the kernel says of the whole machine: its processors and its disk.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::Instant;

/// Processor time of the machine since it was started, all its cores together.
#[derive(Clone, Copy)]
pub(crate) struct Processors {
    /// Spent on programs and the kernel.
    pub(crate) busy: Duration,
    /// Spent idle while a program waited for the disk.
    pub(crate) waiting: Duration,
    /// All of it, with the idle time and what other virtual machines took.
    pub(crate) all: Duration,
}

impl Processors {
    /// The counters as they are now.
    pub(crate) fn now() -> Result<Self> {
        let stat = std::fs::read_to_string("/proc/stat")?;
        let line = stat.lines().next().unwrap_or_default();
        let ticks: Vec<u64> = line.split_whitespace().skip(1).map_while(|field| field.parse().ok()).collect();
        let &[user, nice, system, idle, waiting, interrupts, soft, stolen, ..] = ticks.as_slice() else {
            anyhow::bail!("`{line}` has too few numbers");
        };
        let busy = user + nice + system + interrupts + soft;
        let second = u32::try_from(rustix::param::clock_ticks_per_second())?;
        let time = |ticks| Duration::from_secs(ticks) / second;
        Ok(Self { busy: time(busy), waiting: time(waiting), all: time(busy + idle + waiting + stolen) })
    }

    /// What was spent since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            busy: self.busy.saturating_sub(earlier.busy),
            waiting: self.waiting.saturating_sub(earlier.waiting),
            all: self.all.saturating_sub(earlier.all),
        }
    }
}

/// The disk that a folder is on.
pub(crate) struct Disk {
    /// The kernel's counters of it, where the folder is on a disk at all.
    counters: Option<PathBuf>,
}

/// Orders to a disk to make what it was sent durable, since the machine was started.
#[derive(Clone, Copy)]
pub(crate) struct Flushes {
    /// How many.
    pub(crate) count: u64,
    /// How long they took together.
    pub(crate) time: Duration,
}

impl Disk {
    /// The disk that `folder` is on.
    pub(crate) fn of(folder: &Path) -> Result<Self> {
        let device = std::fs::metadata(folder)?.dev();
        let name = format!("/sys/dev/block/{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
        // Flushes are counted for whole disks only.
        let device = std::fs::canonicalize(name).ok().and_then(|device| {
            let whole = if device.join("partition").exists() { device.parent()? } else { &device };
            Some(whole.join("stat"))
        });
        Ok(Self { counters: device })
    }

    /// The flushes as counted now; `None` where the kernel counts none.
    pub(crate) fn flushes(&self) -> Option<Flushes> {
        let stat = std::fs::read_to_string(self.counters.as_ref()?).ok()?;
        let mut fields = stat.split_whitespace().skip(15).map_while(|field| field.parse().ok());
        Some(Flushes { count: fields.next()?, time: Duration::from_millis(fields.next()?) })
    }
}

impl Flushes {
    /// What was counted since `earlier`; `None` if nothing was.
    pub(crate) fn since(self, earlier: Self) -> Option<Self> {
        let count = self.count.checked_sub(earlier.count).filter(|count| *count > 0)?;
        Some(Self { count, time: self.time.saturating_sub(earlier.time) })
    }
}

/// How long it takes to make 4 KiB durable in `folder`: sorted samples.
pub(crate) fn sync_times(folder: &Path) -> Result<Vec<Duration>> {
    const SAMPLES: usize = 200;
    let path = folder.join("sync-probe");
    let mut file = File::create(&path).with_context(|| format!("could not write `{}`", path.display()))?;
    let mut times = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let began = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    std::fs::remove_file(path)?;
    times.sort_unstable();
    Ok(times)
}
