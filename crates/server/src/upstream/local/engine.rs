//! The engine's process: started, watched and stopped.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use rand::RngExt;
use serde::Deserialize;
use serde_json::json;
use tokio::fs::{self, File};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::recipe::Recipe;

/// What the engine is to serve, and with what.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) recipe: &'static Recipe,
    pub(super) python: PathBuf,
    /// Where the scripts and the log lie.
    pub(super) folder: PathBuf,
    pub(super) weights: PathBuf,
    pub(super) model_name: String,
    pub(super) context_tokens: u32,
    pub(super) threads: u32,
}

/// A running engine. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) base_url: String,
    pub(super) key: String,
    log: Log,
    ended: watch::Receiver<bool>,
    /// Dropped or sent, the keeper stops the process.
    _stop: oneshot::Sender<()>,
}

/// A cold disk may have to read gigabytes.
const STARTING: Duration = Duration::from_secs(180);
const STOPPING: Duration = Duration::from_secs(3);

#[derive(Deserialize)]
struct Ready {
    url: String,
}

impl Engine {
    /// Starts it and waits until it answers. It does not survive a caller who stops waiting.
    pub(super) async fn start(plan: &Plan) -> anyhow::Result<Self> {
        let title = plan.recipe.title;
        let mut child = spawn(plan).await?;
        let (stdin, stdout, stderr) = pipes(&mut child)?;
        let log = Log::new(plan.folder.join("engine.log"));
        let filling = tokio::spawn(log.clone().fill(stderr));
        let key = random_key();
        let begin = async {
            let stdin = hand_over(stdin, plan, &key).await?;
            anyhow::Ok((stdin, ready(stdout).await?))
        };
        let (stdin, url) = match tokio::time::timeout(STARTING, begin).await {
            Ok(Ok(begun)) => begun,
            Ok(Err(_)) => {
                let how = failure(&mut child, filling).await;
                bail!("The {title}'s engine did not start: {how}.{}", log.tail());
            }
            Err(_) => {
                bail!("The {title} did not load within {} seconds.{}", STARTING.as_secs(), log.tail())
            }
        };
        let (stop, stopped) = oneshot::channel();
        let (say_ended, ended) = watch::channel(false);
        tokio::spawn(keep(title, child, stdin, stopped, say_ended));
        Ok(Self { base_url: format!("{url}/v1"), key, log, ended, _stop: stop })
    }

    pub(super) fn is_alive(&self) -> bool {
        !*self.ended.borrow()
    }

    pub(super) fn log_tail(&self) -> String {
        self.log.tail()
    }

    /// Stops it and waits until its memory is given back.
    pub(super) async fn stop(self) {
        let Self { mut ended, _stop, .. } = self;
        drop(_stop);
        // An error means that the keeper is gone, and so is the process.
        let _ = ended.wait_for(|ended| *ended).await;
    }
}

async fn spawn(plan: &Plan) -> anyhow::Result<Child> {
    let scripts = plan.folder.join("scripts");
    lay_down(plan.recipe, &scripts).await?;
    Command::new(&plan.python)
        .arg("-I")
        .arg(&scripts)
        // The server's environment holds keys, of which a model's engine needs none.
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| {
            format!("could not start the {}'s engine with {}", plan.recipe.title, plan.python.display())
        })
}

/// Writes what is not there or of another version: what another process is starting from is left as it is.
async fn lay_down(recipe: &Recipe, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).await.with_context(|| format!("could not make {}", folder.display()))?;
    for script in recipe.scripts {
        let path = folder.join(script.name);
        if fs::read(&path).await.is_ok_and(|there| there == script.text.as_bytes()) {
            continue;
        }
        fs::write(&path, script.text).await.with_context(|| format!("could not write {}", path.display()))?;
    }
    Ok(())
}

fn pipes(child: &mut Child) -> anyhow::Result<(ChildStdin, ChildStdout, ChildStderr)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    stdin.zip(stdout).zip(stderr).map(|((i, o), e)| (i, o, e)).context("the engine has no pipes")
}

/// Settings and key go through the pipe: arguments and environment can be read by others.
async fn hand_over(mut stdin: ChildStdin, plan: &Plan, key: &str) -> anyhow::Result<ChildStdin> {
    let settings = json!({
        "model": plan.weights, "alias": plan.model_name, "key": key,
        "context_tokens": plan.context_tokens, "threads": plan.threads,
    });
    stdin.write_all(format!("{settings}\n").as_bytes()).await.context("the engine ended at once")?;
    stdin.flush().await.context("the engine ended at once")?;
    Ok(stdin)
}

async fn ready(stdout: impl AsyncRead + Unpin) -> anyhow::Result<String> {
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).await?;
    Ok(serde_json::from_str::<Ready>(&line)?.url)
}

/// The process runs on while its standard input is open, so the pipe is held here.
async fn keep(
    title: &str,
    mut child: Child,
    stdin: ChildStdin,
    stopped: oneshot::Receiver<()>,
    ended: watch::Sender<bool>,
) {
    tokio::select! {
        status = child.wait() => {
            let how = status.map_or_else(|error| error.to_string(), explain);
            tracing::warn!("the {title}'s engine ended by itself: {how}");
        }
        _ = stopped => {
            drop(stdin);
            if tokio::time::timeout(STOPPING, child.wait()).await.is_err() {
                let _ = child.kill().await;
            }
        }
    }
    ended.send_replace(true);
}

/// How the process ended. The last words of its log have arrived by then.
async fn failure(child: &mut Child, filling: JoinHandle<()>) -> String {
    let ended = async {
        let status = child.wait().await?;
        filling.await?;
        anyhow::Ok(status)
    };
    match tokio::time::timeout(STOPPING, ended).await {
        Ok(Ok(status)) => explain(status),
        Ok(Err(_)) | Err(_) => "it said nothing that was expected".to_owned(),
    }
}

fn explain(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status.signal() {
        Some(9) => "it was killed, perhaps because the machine's memory is short".to_owned(),
        Some(4) => "this machine's processor lacks instructions that it needs".to_owned(),
        Some(_) | None => status.to_string(),
    }
}

fn random_key() -> String {
    let bytes: [u8; 32] = rand::rng().random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The engine's log: a file of bounded size, and its end in memory for error messages.
#[derive(Clone, Debug)]
struct Log {
    path: PathBuf,
    tail: Arc<Mutex<VecDeque<String>>>,
}

const TAIL_LINES: usize = 12;
const LONGEST_LINE: usize = 2_000;
/// Then a new file begins, and the last one is kept beside it.
const LOG_BYTES: usize = 1 << 20;

impl Log {
    fn new(path: PathBuf) -> Self {
        Self { path, tail: Arc::default() }
    }

    fn tail(&self) -> String {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.is_empty() {
            return String::new();
        }
        let lines: Vec<&str> = tail.iter().map(String::as_str).collect();
        format!(" The end of its log, {}:\n{}", self.path.display(), lines.join("\n"))
    }

    /// Reads what the engine writes until it ends. A log that cannot be written is no reason to stop reading:
    /// the engine would hang.
    async fn fill(self, stderr: ChildStderr) {
        let mut lines = BufReader::new(stderr);
        let mut file = begin(&self.path).await;
        let (mut line, mut written) = (Vec::new(), 0);
        while lines.read_until(b'\n', &mut line).await.is_ok_and(|count| count > 0) {
            if written > LOG_BYTES {
                (file, written) = (begin(&self.path).await, 0);
            }
            line.truncate(LONGEST_LINE);
            written += line.len();
            if let Some(file) = &mut file {
                let _ = file.write_all(&line).await;
                let _ = file.flush().await;
            }
            self.remember(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
    }

    fn remember(&self, line: &str) {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(line.to_owned());
    }
}

async fn begin(path: &Path) -> Option<File> {
    let _ = fs::rename(path, path.with_extension("log.old")).await;
    let file = File::create(path).await;
    file.inspect_err(|error| tracing::warn!("could not write {}: {error}", path.display())).ok()
}
