//! A session: code runs one piece after the other in one interpreter, which keeps variables and files.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::link::Link;
use super::text::harmless;
use super::wire::{Answer, Command};
use super::{Engine, Unstarted};

/// How much one piece of code may take.
#[derive(Clone, Copy, Debug)]
pub struct RunLimits {
    /// Then the code is interrupted, and a little later the session is ended.
    pub time: Duration,
    /// Characters of what it prints; the rest is left out.
    pub output_characters: usize,
    /// Bytes of an image; larger ones are left out.
    pub image_bytes: u64,
    /// The most images; further ones are left out.
    pub images: usize,
}

/// What a piece of code gave, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// What it printed, the value of its last expression, or a traceback. Free of control characters.
    Text(String),
    /// A figure, as PNG.
    Image(Vec<u8>),
}

/// How a piece of code ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It ran to its end.
    Succeeded,
    /// An exception ended it; its traceback is in the output.
    Failed,
    /// It took longer than it may, and was interrupted. The session goes on.
    OutOfTime,
    /// Somebody wished it to stop. The session goes on.
    Interrupted,
}

/// The session is over, with its variables and files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Lost(pub String);

/// A request about a file was not served; the session goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Such as a file that is not there, or no room for it.
    #[error("{0}")]
    File(String),
    /// There is no session any more.
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// Stops the code that a session runs, from elsewhere.
#[derive(Clone, Debug)]
pub struct Interrupter(Arc<Notify>);

impl Interrupter {
    /// Interrupts the piece of code that runs. Where none does, nothing happens.
    pub fn interrupt(&self) {
        self.0.notify_one();
    }
}

/// How long an interrupted program may take to clean up.
const GRACE: Duration = Duration::from_secs(2);
/// Imports on a slow disk take their time.
const STARTING: Duration = Duration::from_secs(60);
/// How long anything takes that is not code.
const SERVING: Duration = Duration::from_secs(30);
/// Bytes a second of a file on its way out; a pipe has a thousand times as many.
const SLOWEST_BYTES: u64 = 5 << 20;
/// What is taken of a file at once.
const PIECE_BYTES: u64 = 256 << 10;
/// An interpreter that sends so many times what it may is ended: it is no longer `kernel.py` that sends.
const FLOOD: usize = 16;

/// An interpreter, which is halted while nothing is asked of it. Dropping it ends it.
pub struct Session {
    link: Link,
    interrupt: Arc<Notify>,
    faults: Vec<String>,
}

impl Session {
    /// Starts an interpreter that has imported these modules.
    ///
    /// # Errors
    /// Where the engine's walls cannot be built, or Python does not start behind them.
    pub async fn open(engine: &dyn Engine, modules: &[String]) -> Result<Self, Unstarted> {
        let mut link = Link::new(engine.start(modules).await?);
        match link.answer(Instant::now() + STARTING).await {
            Ok(Answer::Ready { mut faults }) => {
                if !link.is_halted() {
                    faults.push("a way to halt it between programs".to_owned());
                }
                Ok(Self { link, interrupt: Arc::default(), faults })
            }
            Ok(_) => Err(Unstarted("Python answered what was not asked".to_owned())),
            Err(lost) => Err(Unstarted(lost.0)),
        }
    }

    /// What it lacks: what could not be imported ahead, and why; a way to halt it between programs.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// Stops code that runs.
    pub fn interrupter(&self) -> Interrupter {
        Interrupter(Arc::clone(&self.interrupt))
    }

    /// Runs a piece of code and gives what comes of it as it comes. A caller who stops waiting loses the session.
    ///
    /// # Errors
    /// Where the interpreter ended, did not stop when asked to, or said what `kernel.py` never says.
    pub async fn run(
        &mut self,
        code: &str,
        limits: &RunLimits,
        output: &mut (dyn FnMut(Output) + Send),
    ) -> Result<Ended, Lost> {
        let interrupt = Arc::clone(&self.interrupt);
        forget(&interrupt).await;
        let deadline = Instant::now() + limits.time;
        let command = Command::Run { code, output_characters: limits.output_characters };
        self.link.ask(&command, deadline).await?;
        let mut run = Run { limits, output, characters: 0, images: 0 };
        let reason = match run.follow(&mut self.link, deadline, Some(&interrupt)).await? {
            Followed::Done { succeeded: true } => return Ok(Ended::Succeeded),
            Followed::Done { succeeded: false } => return Ok(Ended::Failed),
            Followed::OutOfTime => Ended::OutOfTime,
            Followed::Interrupted => Ended::Interrupted,
        };
        let grace = Instant::now() + GRACE;
        self.link.interrupt(grace).await?;
        match run.follow(&mut self.link, grace, None).await? {
            Followed::Done { .. } => Ok(reason),
            Followed::OutOfTime | Followed::Interrupted => {
                Err(self.link.end("the code did not stop when it was asked to").await)
            }
        }
    }

    /// Begins to write a file of so many bytes into the session's folder, in the place of one of the same name. `link`
    /// is a second name for it, which it takes from whatever file has it.
    ///
    /// # Errors
    /// Where there is no session any more.
    pub async fn put(&mut self, name: &str, link: Option<&str>, size: u64) -> Result<Putting<'_>, Lost> {
        self.link.ask(&Command::Put { name, link, size }, Instant::now() + SERVING).await?;
        Ok(Putting { link: &mut self.link, left: size })
    }

    /// Takes a file away that was [put](Self::put) there under this name, with its link. Names that other files have by
    /// now stay.
    ///
    /// # Errors
    /// Where the code keeps it from being taken away, or there is no session any more.
    pub async fn remove(&mut self, name: &str) -> Result<(), Refused> {
        let deadline = Instant::now() + SERVING;
        self.link.ask(&Command::Remove { name }, deadline).await?;
        let answer = self.link.answer(deadline).await?;
        if matches!(answer, Answer::Removed) {
            return Ok(());
        }
        Err(self.link.refusal(answer).await)
    }

    /// Begins to read a file of the session's folder that has at most so many bytes.
    ///
    /// # Errors
    /// Where it is not there or longer, or there is no session.
    pub async fn fetch(&mut self, name: &str, most: u64) -> Result<Fetching<'_>, Refused> {
        let deadline = Instant::now() + SERVING;
        self.link.ask(&Command::Fetch { name, most }, deadline).await?;
        let answer = self.link.answer(deadline).await?;
        if let Answer::File { size } = answer
            && size <= most
        {
            let deadline = Instant::now() + SERVING + Duration::from_secs(size / SLOWEST_BYTES);
            return Ok(Fetching { link: &mut self.link, size, left: size, deadline });
        }
        Err(self.link.refusal(answer).await)
    }

    /// Ends the session and waits until its memory is given back.
    pub async fn close(mut self) {
        self.link.end("").await;
    }
}

/// A file on its way into a session. Dropping it half-way loses the session.
pub struct Putting<'s> {
    link: &'s mut Link,
    left: u64,
}

impl Putting<'_> {
    /// Sends the next bytes; what exceeds the announced size is left out.
    ///
    /// # Errors
    /// Where there is no session any more.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let bytes = bytes.get(..most).unwrap_or(bytes);
        self.left -= u64::try_from(bytes.len()).unwrap_or_default();
        self.link.send_bytes(bytes, Instant::now() + SERVING).await
    }

    /// Waits until the file is there.
    ///
    /// # Errors
    /// Where there is no room for it, or no session; or it has not come whole, which loses the session.
    pub async fn finish(self) -> Result<(), Refused> {
        if self.left > 0 {
            return Err(self.link.end("a file that was to be put into it broke off").await.into());
        }
        let answer = self.link.answer(Instant::now() + SERVING).await?;
        if matches!(answer, Answer::Stored) {
            return Ok(());
        }
        Err(self.link.refusal(answer).await)
    }
}

/// A file on its way out of a session. Dropping it half-way loses the session.
pub struct Fetching<'s> {
    link: &'s mut Link,
    size: u64,
    left: u64,
    /// For all of it, so that nobody is held by one byte at a time.
    deadline: Instant,
}

impl Fetching<'_> {
    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The next bytes; `None` behind the last.
    ///
    /// # Errors
    /// Where there is no session any more.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Lost> {
        if self.left == 0 {
            self.link.settle();
            return Ok(None);
        }
        let piece = self.left.min(PIECE_BYTES);
        let bytes = self.link.bytes(piece, PIECE_BYTES, self.deadline).await?;
        self.left -= piece;
        Ok(bytes)
    }
}

/// An interrupt that came too late for the code before is none for the next.
async fn forget(interrupt: &Notify) {
    tokio::select! {
        biased;
        () = interrupt.notified() => {}
        () = std::future::ready(()) => {}
    }
}

async fn interrupted(interrupt: Option<&Notify>) {
    match interrupt {
        Some(interrupt) => interrupt.notified().await,
        None => std::future::pending().await,
    }
}

enum Followed {
    Done { succeeded: bool },
    OutOfTime,
    Interrupted,
}

/// A piece of code that runs.
struct Run<'r> {
    limits: &'r RunLimits,
    output: &'r mut (dyn FnMut(Output) + Send),
    characters: usize,
    images: usize,
}

impl Run<'_> {
    /// Takes what comes until the code has ended, the time is up or somebody interrupts.
    async fn follow(
        &mut self,
        link: &mut Link,
        until: Instant,
        interrupt: Option<&Notify>,
    ) -> Result<Followed, Lost> {
        loop {
            let answer = tokio::select! {
                answer = link.answer_until(until) => answer?,
                () = interrupted(interrupt) => return Ok(Followed::Interrupted),
            };
            match answer {
                None => return Ok(Followed::OutOfTime),
                Some(Answer::Done { succeeded }) => return Ok(Followed::Done { succeeded }),
                Some(Answer::Text { text }) => {
                    if !self.take_text(&text) {
                        return Err(link.end("it printed far more than it may").await);
                    }
                }
                Some(Answer::Image { size }) => {
                    let bytes = link.bytes(size, self.limits.image_bytes, until).await?;
                    self.take_image(bytes);
                    if self.images > self.limits.images.saturating_mul(FLOOD) {
                        return Err(link.end("it drew far more than it may").await);
                    }
                }
                Some(_) => return Err(link.confused().await),
            }
        }
    }

    /// False where it is far too much.
    fn take_text(&mut self, text: &str) -> bool {
        let most = self.limits.output_characters;
        let left = most.saturating_sub(self.characters);
        let length = text.chars().count();
        // Messages without a text cost time, too.
        self.characters += length.max(1);
        let shown: String = text.chars().take(left).collect();
        if !shown.is_empty() {
            (self.output)(Output::Text(harmless(&shown)));
        }
        if left > 0 && length >= left {
            let note = format!("\n[Only the first {most} characters are shown.]\n");
            (self.output)(Output::Text(note));
        }
        self.characters <= most.saturating_mul(FLOOD)
    }

    fn take_image(&mut self, bytes: Option<Vec<u8>>) {
        self.images += 1;
        match bytes {
            _ if self.images == self.limits.images + 1 => {
                let note = format!("[Only the first {} figures are shown.]\n", self.limits.images);
                (self.output)(Output::Text(note));
            }
            _ if self.images > self.limits.images => {}
            Some(bytes) if bytes.starts_with(PNG) => (self.output)(Output::Image(bytes)),
            Some(_) => (self.output)(Output::Text("[A figure is left out: it is no PNG.]\n".to_owned())),
            None => (self.output)(Output::Text("[A figure is left out: it is too large.]\n".to_owned())),
        }
    }
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
