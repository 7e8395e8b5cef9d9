//! The pipes to an interpreter, and back. What comes back is from code that nobody has read.

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::time::{Instant, timeout_at};

use super::session::{Lost, Refused};
use super::text::harmless;
use super::wire::{Answer, Command, line};
use super::{Interpreter, Life};

/// An interpreter's line is longer than this only if it is no longer `kernel.py` that writes it.
const LONGEST_LINE: usize = 4 << 20;

/// Beyond what is wanted of a file or an image, more than this is not even read.
const MOST_SKIPPED: u64 = 1 << 30;

pub(super) struct Link {
    commands: Box<dyn tokio::io::AsyncWrite + Send + Unpin>,
    answers: BufReader<Box<dyn AsyncRead + Send + Sync + Unpin>>,
    life: Box<dyn Life>,
    /// The line that is being read: whoever stops waiting in the middle of it loses nothing.
    line: Vec<u8>,
    /// Whether an answer is on its way. Where nobody waited for it, the next one would be taken for another's.
    owed: bool,
    /// Whether it was halted after the last answer.
    is_halted: bool,
}

impl Link {
    pub(super) fn new(interpreter: Interpreter) -> Self {
        let Interpreter { commands, answers, life } = interpreter;
        Self {
            commands,
            answers: BufReader::new(answers),
            life,
            line: Vec::new(),
            owed: false,
            is_halted: false,
        }
    }

    /// Sends a command that will be answered.
    pub(super) async fn ask(&mut self, command: &Command<'_>, deadline: Instant) -> Result<(), Lost> {
        if self.owed {
            return Err(self.end("nobody waited for what was run in it last").await);
        }
        self.owed = true;
        self.life.go_on();
        self.send(command, deadline).await
    }

    /// Asks the code to stop.
    pub(super) async fn interrupt(&mut self, deadline: Instant) -> Result<(), Lost> {
        self.send(&Command::Interrupt, deadline).await
    }

    async fn send(&mut self, command: &Command<'_>, deadline: Instant) -> Result<(), Lost> {
        self.send_bytes(&line(command), deadline).await
    }

    /// Sends bytes that a command has announced.
    pub(super) async fn send_bytes(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), Lost> {
        let written = timeout_at(deadline, async {
            self.commands.write_all(bytes).await?;
            self.commands.flush().await
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(self.end("").await),
            Err(_) => Err(self.end("it listens no more").await),
        }
    }

    /// The next answer, which must come in time.
    pub(super) async fn answer(&mut self, deadline: Instant) -> Result<Answer, Lost> {
        match self.answer_until(deadline).await? {
            Some(answer) => Ok(answer),
            None => Err(self.end("it did not answer in time").await),
        }
    }

    /// The next answer, or `None` where there is none in time. Can be cancelled and called again.
    pub(super) async fn answer_until(&mut self, deadline: Instant) -> Result<Option<Answer>, Lost> {
        let room = LONGEST_LINE.saturating_sub(self.line.len());
        let mut limited = (&mut self.answers).take(u64::try_from(room).unwrap_or(u64::MAX));
        match timeout_at(deadline, limited.read_until(b'\n', &mut self.line)).await {
            Err(_) => return Ok(None),
            Ok(Ok(0)) if self.line.is_empty() => return Err(self.end("").await),
            Ok(_) => {}
        }
        let answer = serde_json::from_slice(&self.line);
        self.line.clear();
        let Ok(answer) = answer else { return Err(self.confused().await) };
        self.owed = match &answer {
            Answer::Text { .. } | Answer::Image { .. } | Answer::File { .. } => true,
            Answer::Ready { .. } | Answer::Done { .. } | Answer::Refused { .. } => false,
            Answer::Stored | Answer::Removed => false,
        };
        if !self.owed {
            self.is_halted = self.life.halt();
        }
        Ok(Some(answer))
    }

    /// Whether the interpreter waits without using the processor.
    pub(super) fn is_halted(&self) -> bool {
        self.is_halted
    }

    /// The bytes that follow an answer, or `None` where they are more than `most`. Then they are passed over.
    pub(super) async fn bytes(
        &mut self,
        size: u64,
        most: u64,
        deadline: Instant,
    ) -> Result<Option<Vec<u8>>, Lost> {
        if size > MOST_SKIPPED {
            return Err(self.end("it sent far more than it may").await);
        }
        let mut bytes = Vec::new();
        let mut source = (&mut self.answers).take(size);
        let read = timeout_at(deadline, async {
            if size > most {
                tokio::io::copy(&mut source, &mut tokio::io::sink()).await
            } else {
                source.read_to_end(&mut bytes).await.map(|read| u64::try_from(read).unwrap_or_default())
            }
        });
        match read.await {
            Ok(Ok(read)) if read == size => {}
            Ok(_) => return Err(self.end("").await),
            Err(_) => return Err(self.end("it did not send in time what it had announced").await),
        }
        Ok((size <= most).then_some(bytes))
    }

    /// Nothing more is owed once a file's bytes have come.
    pub(super) fn settle(&mut self) {
        self.owed = false;
        self.is_halted = self.life.halt();
    }

    /// Why a file was refused, as this answer says.
    pub(super) async fn refusal(&mut self, answer: Answer) -> Refused {
        /// Reasons of the system are short; whoever writes more is not `kernel.py`.
        const LONGEST_REASON: usize = 200;
        if let Answer::Refused { reason } = answer {
            let reason: String = reason.chars().take(LONGEST_REASON).collect();
            return Refused::File(harmless(&reason));
        }
        Refused::Lost(self.confused().await)
    }

    /// Ends an interpreter that said what `kernel.py` never says.
    pub(super) async fn confused(&mut self) -> Lost {
        self.end("it said what could not be understood").await
    }

    /// Ends the interpreter. `why` is empty where that is not known, or it has ended by itself.
    pub(super) async fn end(&mut self, why: &str) -> Lost {
        let how = self.life.end().await;
        Lost(if why.is_empty() { how } else { why.to_owned() })
    }
}
