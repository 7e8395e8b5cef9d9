//! Reads documents, each in a process of its own: whatever a file does to its reader, it does to that alone.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Once};
use std::time::Duration;

use adjutant_documents::{Document, Limits, Unreadable, extension};
use anyhow::{Context, anyhow};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::Semaphore;
use tracing::warn;

use super::enclosed::{Answer, WALLS};

/// How long the child may take from the document's last byte on. Twice its processor time, for it may wait.
const PATIENCE: Duration = Duration::from_secs(2 * WALLS.cpu_seconds);

/// How much of the child's complaints is kept.
const COMPLAINT_BYTES: u64 = 4096;

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum NoDocument {
    /// The file is at fault: it would fail every time.
    #[error("{0:?}")]
    Unreadable(Unreadable),
    /// The machine or the file's storage is: another time it may be read.
    #[error("{0:#}")]
    Broken(anyhow::Error),
}

/// Reads documents. Cheap to clone.
#[derive(Clone)]
pub struct Reader {
    program: PathBuf,
    places: Arc<Semaphore>,
}

impl Reader {
    /// Reads so many documents at once; others wait. Each may take 2 GiB of memory in the worst case.
    pub fn new(at_once: usize) -> Self {
        // The file that this process runs, even if another has taken its name since.
        Self::running("/proc/self/exe", at_once)
    }

    /// Lets this program read, which has to be an `adjutant`.
    pub fn running(program: impl Into<PathBuf>, at_once: usize) -> Self {
        Self { program: program.into(), places: Arc::new(Semaphore::new(at_once)) }
    }

    /// Reads a document of any size up to 512 MB. It ends when the caller stops waiting.
    ///
    /// # Errors
    /// [`NoDocument::Unreadable`] if the file cannot be read or breaks its reader; [`NoDocument::Broken`] if
    /// `bytes` fail or no reader can be started.
    pub async fn read(
        &self,
        name: &str,
        bytes: impl Stream<Item = io::Result<Bytes>>,
    ) -> Result<Document, NoDocument> {
        let _place = self.places.acquire().await.map_err(|closed| NoDocument::Broken(closed.into()))?;
        let ended = self.run(name, bytes).await.map_err(NoDocument::Broken)?;
        let Some(answer) = ended.answer() else {
            let (extension, end) = (extension(name), ended.describe());
            warn!(extension, end, "the process that read a document came to a bad end");
            return Err(ended.reason());
        };
        if let Some(gaps) = answer.gaps {
            warn_once(&gaps);
        }
        answer.outcome.map_err(NoDocument::Unreadable)
    }

    async fn run(&self, name: &str, bytes: impl Stream<Item = io::Result<Bytes>>) -> anyhow::Result<Ended> {
        let mut child = self.start(name).context("could not start a reader of documents")?;
        let input = child.stdin.take().context("the reader has no input")?;
        feed(input, bytes).await?;
        match tokio::time::timeout(PATIENCE, Ended::of(&mut child)).await {
            Ok(ended) => ended,
            Err(_) => Ok(Ended { end: End::OutOfTime, output: Vec::new(), complaint: String::new() }),
        }
    }

    fn start(&self, name: &str) -> io::Result<Child> {
        Command::new(&self.program)
            .arg0("adjutant")
            .arg("read-document")
            // Everyone on the machine can read a process's arguments, so the name stays here.
            .arg(format!("--name=document.{}", extension(name).replace('\0', "")))
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }
}

/// Hands over the document. The child takes all of it before it looks at it; one that ends earlier, or takes no
/// more, has its reasons, and its end says them.
async fn feed(mut input: ChildStdin, bytes: impl Stream<Item = io::Result<Bytes>>) -> anyhow::Result<()> {
    let mut bytes = pin!(bytes);
    while let Some(chunk) = bytes.next().await {
        let chunk = chunk.context("could not read the stored file")?;
        let taken = tokio::time::timeout(PATIENCE, input.write_all(&chunk)).await;
        if !matches!(taken, Ok(Ok(()))) {
            break;
        }
    }
    Ok(())
}

/// How a child ended, and what it said.
struct Ended {
    end: End,
    output: Vec<u8>,
    complaint: String,
}

enum End {
    Exit(ExitStatus),
    OutOfTime,
    TooTalkative,
}

impl Ended {
    async fn of(child: &mut Child) -> anyhow::Result<Self> {
        // Text hardly grows in JSON: what would, control characters, is not in it.
        let limit = 2 * Limits::default().text_bytes as u64;
        let (output, complaint) = (child.stdout.take(), child.stderr.take());
        let output = async {
            let output = take(output, limit).await?;
            if output.len() as u64 == limit {
                child.start_kill()?;
            }
            Ok(output)
        };
        let (output, complaint) = tokio::try_join!(output, take(complaint, COMPLAINT_BYTES))?;
        let complaint = String::from_utf8_lossy(&complaint).trim().to_owned();
        let status = child.wait().await?;
        let end = if output.len() as u64 == limit { End::TooTalkative } else { End::Exit(status) };
        Ok(Self { end, output, complaint })
    }

    /// What the child said of the document, if it came to say anything.
    fn answer(&self) -> Option<Answer> {
        match self.end {
            End::Exit(status) if status.success() => serde_json::from_slice(&self.output).ok(),
            End::Exit(_) | End::OutOfTime | End::TooTalkative => None,
        }
    }

    /// A bad end in words for the file's owner.
    fn reason(&self) -> NoDocument {
        const SIGABRT: i32 = 6;
        const SIGKILL: i32 = 9;
        const SIGXCPU: i32 = 24;
        let status = match self.end {
            End::Exit(status) => status,
            End::OutOfTime => return invalid(format!("It took more than {} seconds.", PATIENCE.as_secs())),
            End::TooTalkative => return invalid("It has too much text."),
        };
        match (status.code(), status.signal()) {
            // It says so itself: it has no walls or no parent.
            (Some(1), _) => NoDocument::Broken(anyhow!("a document could not be read: {}", self.complaint)),
            (_, Some(SIGXCPU)) => {
                invalid(format!("It took more than {} seconds of processor time.", WALLS.cpu_seconds))
            }
            (_, Some(SIGABRT)) if self.complaint.contains("memory allocation") => {
                invalid(format!("It needs more than {} GB of memory.", WALLS.memory_bytes >> 30))
            }
            (_, Some(SIGKILL)) => invalid("The system stopped its reader, perhaps for want of memory."),
            _ => invalid("It is damaged, or not what its name says."),
        }
    }

    /// For the log.
    fn describe(&self) -> String {
        let end = match self.end {
            End::Exit(status) => status.to_string(),
            End::OutOfTime => "out of time".to_owned(),
            End::TooTalkative => "too much output".to_owned(),
        };
        if self.complaint.is_empty() { end } else { format!("{end}: {}", self.complaint) }
    }
}

fn invalid(reason: impl AsRef<str>) -> NoDocument {
    NoDocument::Unreadable(Unreadable::Invalid(format!("The file could not be parsed. {}", reason.as_ref())))
}

fn warn_once(gaps: &str) {
    static SAID: Once = Once::new();
    SAID.call_once(|| warn!("documents are read behind fewer walls than this machine could have: no {gaps}"));
}

async fn take(from: Option<impl AsyncRead + Unpin>, limit: u64) -> io::Result<Vec<u8>> {
    let mut taken = Vec::new();
    if let Some(from) = from {
        from.take(limit).read_to_end(&mut taken).await?;
    }
    Ok(taken)
}
