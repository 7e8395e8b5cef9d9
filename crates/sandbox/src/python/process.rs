//! Interpreters that are processes of this machine: started, halted between two calls, ended.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, Command};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::halt::Halting;
use super::text::harmless;
use super::{Interpreter, Life, Unstarted};

/// What is particular about an engine's processes.
pub(super) struct Kind {
    /// Finds the process that computes, beginning with the one that was started.
    pub(super) interpreter: fn(u32) -> Option<Halting>,
    /// Puts an exit code into words.
    pub(super) explain: fn(i32) -> String,
}

/// Starts processes. They die with the thread that has started them, so that none outlives a server that is killed. The
/// runtime's threads come and go; this one stays as long as the engine and its sessions.
#[derive(Clone)]
pub(super) struct Spawner(mpsc::Sender<Order>);

struct Order {
    command: Command,
    runtime: Handle,
    answer: oneshot::Sender<std::io::Result<Child>>,
}

impl Spawner {
    pub(super) fn new() -> Self {
        let (sender, mut orders) = mpsc::channel::<Order>(1);
        std::thread::spawn(move || {
            while let Some(mut order) = orders.blocking_recv() {
                let _runtime = order.runtime.enter();
                // Whoever stopped waiting drops the child, which kills it.
                let _ = order.answer.send(order.command.spawn());
            }
        });
        Self(sender)
    }

    /// Starts an interpreter and sends it its first line.
    pub(super) async fn start(
        &self,
        mut command: Command,
        first_line: Vec<u8>,
        kind: &'static Kind,
    ) -> Result<Interpreter, Unstarted> {
        let missing = || Unstarted("the task that starts sessions has ended".to_owned());
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        let (answer, started) = oneshot::channel();
        let order = Order { command, runtime: Handle::current(), answer };
        self.0.send(order).await.map_err(|_| missing())?;
        let spawned = started.await.map_err(|_| missing())?;
        let mut child =
            spawned.map_err(|error| Unstarted(format!("could not start `{program}`: {error}")))?;
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Unstarted("a session has no pipes".to_owned()));
        };
        // Where the walls cannot be built, nobody reads this, and the answer says why.
        let _ = stdin.write_all(&first_line).await;
        Ok(Interpreter {
            commands: Box::new(stdin),
            answers: Box::new(stdout),
            life: Box::new(Process { child, stderr, kind, halting: None, _spawner: self.clone() }),
        })
    }
}

struct Process {
    child: Child,
    stderr: ChildStderr,
    kind: &'static Kind,
    /// Found once it has begun.
    halting: Option<Halting>,
    /// Keeps the thread that started it.
    _spawner: Spawner,
}

/// What a process says when it fails is a line.
const MOST_SAID: u64 = 4096;
/// A killed process is gone at once.
const ENDING: Duration = Duration::from_secs(10);

impl Life for Process {
    fn halt(&mut self) -> bool {
        if self.halting.is_none() {
            self.halting = self.child.id().and_then(self.kind.interpreter);
        }
        self.halting.as_ref().is_some_and(Halting::halt)
    }

    fn go_on(&mut self) {
        if let Some(halting) = &self.halting {
            halting.go_on();
        }
    }

    fn end(&mut self) -> Pin<Box<dyn Future<Output = String> + Send + '_>> {
        Box::pin(async {
            // An error means that it has ended already.
            let _ = self.child.start_kill();
            let mut said = Vec::new();
            let mut stderr = (&mut self.stderr).take(MOST_SAID);
            let read = stderr.read_to_end(&mut said);
            let ended = tokio::time::timeout(ENDING, async {
                // What cannot be read is only missing from the explanation.
                let _ = read.await;
                self.child.wait().await
            });
            match ended.await {
                Ok(Ok(_)) if !said.is_empty() => shown(&said),
                Ok(Ok(status)) => self.explain(status),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it does not end".to_owned(),
            }
        })
    }
}

impl Process {
    fn explain(&self, status: ExitStatus) -> String {
        use std::os::unix::process::ExitStatusExt;

        // As a shell numbers them.
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        code.map_or_else(|| "it was ended".to_owned(), self.kind.explain)
    }
}

/// What a process has said, for a log.
pub(super) fn shown(said: &[u8]) -> String {
    harmless(String::from_utf8_lossy(said).trim())
}

/// A path as sessions can use it, which begin elsewhere.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Unstarted> {
    std::path::absolute(path)
        .map_err(|error| Unstarted(format!("{} cannot be found: {error}", path.display())))
}
