//! The measured processes: starting and ending them, and what the kernel says of them.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Resource, Rlimit, Signal};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::Options;

/// The key that the server accepts during the measurement.
const KEY: &str = "bench";
/// After so long without an event a stream says that it is alive.
pub(crate) const KEEPALIVE_SECONDS: u64 = 3;
const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Allows this process and those that it starts as many open files as the system lets them have.
pub(crate) fn allow_open_files(needed: u64) -> Result<()> {
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .map_err(|error| anyhow!("could not raise the limit of open files: {error}"))?;
    ensure!(
        maximum.is_none_or(|maximum| maximum >= needed),
        "{needed} open files are needed, {maximum:?} are allowed: raise it with `ulimit -n`, or hold fewer \
         streams with `--streams`"
    );
    Ok(())
}

/// This very program, running in another role.
pub(crate) struct Peer {
    /// Its process.
    pub(crate) pid: u32,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    _child: Child,
    /// Closed by our end, which ends it.
    _input: ChildStdin,
}

impl Peer {
    /// Starts it, and waits until it listens.
    pub(crate) async fn start(role: &[&str]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(role).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("could not start {role:?}"))?;
        let (Some(input), Some(output), Some(pid)) = (child.stdin.take(), child.stdout.take(), child.id())
        else {
            bail!("{role:?} ended at once");
        };
        let port = timeout(START_LIMIT, BufReader::new(output).lines().next_line()).await??;
        let port: u16 = port.with_context(|| format!("{role:?} ended at once"))?.parse()?;
        Ok(Self { pid, address: ([127, 0, 0, 1], port).into(), _child: child, _input: input })
    }
}

/// Adjutant, running on a data folder that is removed with this value.
pub(crate) struct Server {
    /// Its process.
    pub(crate) pid: u32,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its data folder.
    pub(crate) data: Folder,
    child: Child,
}

/// A folder that is removed with this value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    fn create(path: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&path).with_context(|| format!("could not make `{}`", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays is a nuisance and nothing more.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Server {
    /// Starts the server in a role and waits until it listens.
    pub(crate) async fn start(options: &Options, role: &str, upstream: SocketAddr) -> Result<Self> {
        let program = match &options.server {
            Some(program) => program.clone(),
            None => std::env::current_exe()?.with_file_name("adjutant"),
        };
        ensure!(program.exists(), "`{}` is not there; `make bench` builds it", program.display());
        let data = Folder::create(options.data.join(format!("data-{role}-{}", std::process::id())))?;
        let log = options.data.join(format!("{role}.log"));
        let mut child = command(&program, options, role, upstream, data.path())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("could not start `{}`", program.display()))?;
        let (Some(output), Some(pid)) = (child.stdout.take(), child.id()) else {
            bail!("the server ended at once");
        };
        let mut lines = BufReader::new(output).lines();
        let Ok(Some(address)) = timeout(START_LIMIT, listening(&mut lines)).await? else {
            bail!("the server did not start:\n{}", std::fs::read_to_string(&log).unwrap_or_default());
        };
        // Read on, or the server would block once the pipe is full.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { pid, address, data, child })
    }

    /// Asks the server to end, and waits for it.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid =
            i32::try_from(self.pid).ok().and_then(Pid::from_raw).context("the server has no process")?;
        rustix::process::kill_process(pid, Signal::TERM)
            .map_err(|error| anyhow!("could not end the server: {error}"))?;
        timeout(STOP_LIMIT, self.child.wait())
            .await
            .context("the server did not end within 10 s of SIGTERM")??;
        Ok(())
    }
}

fn command(program: &PathBuf, options: &Options, role: &str, upstream: SocketAddr, data: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["serve", "--role", role, "--listen", "127.0.0.1:0", "--upstream"]);
    command.arg(format!("http://{upstream}/v1")).arg("--data").arg(data);
    if let Some(url) = &options.database_url {
        command.args(["--database-url", url]);
    }
    command.args(&options.server_arguments).env("ADJUTANT_API_KEYS", KEY);
    // Open streams are waited for until they have heard that the server is alive. Opening thousands may take longer than
    // a model may be silent.
    command.env("ADJUTANT_RUNS_KEEPALIVE_SECONDS", KEEPALIVE_SECONDS.to_string());
    // Its packages would be installed meanwhile.
    command.env("ADJUTANT_CODE_INTERPRETER_ENGINE", "off");
    command.env("ADJUTANT_RUNS_EXPIRES_SECONDS", "3600").env("ADJUTANT_UPSTREAM_IDLE_SECONDS", "3600");
    command
}

/// Where the server says that it listens; `None` when it ended without saying so.
async fn listening(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<Option<SocketAddr>> {
    while let Some(line) = lines.next_line().await? {
        if let Some((_, address)) = line.split_once("listening on http://") {
            let address = address.split(['/', ' ']).next().unwrap_or_default();
            return Ok(Some(address.parse().with_context(|| format!("`{address}` is no address"))?));
        }
    }
    Ok(None)
}

/// Processor time that a process has used, all its threads together.
pub(crate) fn processor_time(pid: u32) -> Result<Duration> {
    let stat = read(pid, "stat")?;
    // The second field is the name in brackets and may hold anything; the times are the 14th and 15th.
    let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat has no name")?;
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>())
        .sum::<Result<u64, _>>()?;
    Ok(Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second())?)
}

/// How long the threads of a process have waited for a processor, all together; zero where the kernel does
/// not say.
pub(crate) fn queueing_time(pid: u32) -> Result<Duration> {
    let mut waited = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end while we look.
        let stat = std::fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        waited += stat.split_whitespace().nth(1).map_or(Ok(0), str::parse::<u64>)?;
    }
    Ok(Duration::from_nanos(waited))
}

/// Bytes of memory that a process holds.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64> {
    Ok(number_after(&read(pid, "status")?, "VmRSS:")? << 10)
}

/// Bytes that a process has sent towards the disk.
pub(crate) fn written_bytes(pid: u32) -> Result<u64> {
    number_after(&read(pid, "io")?, "\nwrite_bytes:")
}

fn read(pid: u32, name: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{name}");
    std::fs::read_to_string(&path).with_context(|| format!("could not read {path}; did the process end?"))
}

fn number_after(text: &str, name: &str) -> Result<u64> {
    let (_, rest) = text.split_once(name).with_context(|| format!("no `{name}`"))?;
    Ok(rest.split_whitespace().next().unwrap_or_default().parse()?)
}
