//! What the guest hears and says: commands come in, text and answers go out, and an interruption reaches it at work.
//!
//! Two threads of the host's serve it, so that the guest itself needs none: one reads commands, one sends text that
//! has waited long enough.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read, Write};
use std::process::exit;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long printed text may wait for more.
const FLUSH: Duration = Duration::from_millis(50);
/// Text of so many bytes does not wait.
const FLUSH_BYTES: usize = 4096;
/// Commands that the guest has not taken yet; who sends more waits.
const MOST_WAITING: usize = 1 << 20;
/// What is read of a file at once.
const CHUNK: usize = 64 << 10;
/// A command is longer only if it is no command; a program has at most a megabyte.
const LONGEST_COMMAND: u64 = 16 << 20;

/// Both directions, shared by all threads.
pub(super) struct Talk {
    inbox: Mutex<VecDeque<u8>>,
    /// Something was put into the inbox, or taken out of it.
    moved: Condvar,
    outbox: Mutex<Outbox>,
    is_interrupted: AtomicBool,
    interruptions: AtomicU32,
    asleep: Mutex<()>,
    wake: Condvar,
}

struct Outbox {
    to: Box<dyn Write + Send>,
    /// Printed and not sent yet.
    text: Vec<u8>,
    /// Characters of it that the program may print still.
    left: usize,
}

/// What of a command concerns the host.
#[derive(Deserialize)]
struct Command {
    r#do: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    output_characters: usize,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Answer<'a> {
    Text { text: &'a str },
}

impl Talk {
    pub(super) fn new(to: impl Write + Send + 'static) -> Arc<Self> {
        Arc::new(Self {
            inbox: Mutex::default(),
            moved: Condvar::new(),
            outbox: Mutex::new(Outbox { to: Box::new(to), text: Vec::new(), left: 0 }),
            is_interrupted: AtomicBool::new(false),
            interruptions: AtomicU32::new(0),
            asleep: Mutex::default(),
            wake: Condvar::new(),
        })
    }

    /// Hands commands on until they end. `interrupt` is called when one asks for the program to stop, which reaches
    /// the guest by the inbox as well: so it can tell what an interruption was for.
    pub(super) fn listen(&self, mut commands: impl BufRead, interrupt: impl Fn()) -> io::Result<()> {
        loop {
            let mut line = Vec::new();
            (&mut commands).take(LONGEST_COMMAND).read_until(b'\n', &mut line)?;
            if line.is_empty() {
                return Ok(());
            }
            let command: Command = serde_json::from_slice(&line)?;
            match command.r#do.as_str() {
                "run" => self.let_print(command.output_characters),
                "interrupt" => {
                    self.interruptions.fetch_add(1, Ordering::SeqCst);
                    self.is_interrupted.store(true, Ordering::SeqCst);
                    // Locked, or whoever is about to sleep would not hear it.
                    drop(lock(&self.asleep));
                    self.wake.notify_all();
                    interrupt();
                }
                _ => {}
            }
            self.put(&line);
            let mut left = if command.r#do == "put" { command.size } else { 0 };
            while left > 0 {
                let chunk = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
                let mut bytes = vec![0; chunk];
                commands.read_exact(&mut bytes)?;
                self.put(&bytes);
                left -= u64::try_from(chunk).unwrap_or(left);
            }
        }
    }

    /// Lets the program print so many characters.
    pub(super) fn let_print(&self, characters: usize) {
        lock(&self.outbox).left = characters;
    }

    fn put(&self, bytes: &[u8]) {
        let inbox = lock(&self.inbox);
        let waiting = self.moved.wait_while(inbox, |inbox| inbox.len() > MOST_WAITING);
        waiting.unwrap_or_else(PoisonError::into_inner).extend(bytes);
        self.moved.notify_all();
    }

    /// Waits for commands and takes as many of their bytes as there is room for.
    pub(super) fn take(&self, into: &mut [u8]) -> usize {
        if into.is_empty() {
            return 0;
        }
        let inbox = lock(&self.inbox);
        let filled = self.moved.wait_while(inbox, |inbox| inbox.is_empty());
        // A deque is read without a fault.
        let taken = filled.unwrap_or_else(PoisonError::into_inner).read(into).unwrap_or(0);
        self.moved.notify_all();
        taken
    }

    /// Whether the program is to stop; said once.
    pub(super) fn take_interruption(&self) -> bool {
        self.is_interrupted.swap(false, Ordering::SeqCst)
    }

    /// How many interruptions there were.
    pub(super) fn interruptions(&self) -> u32 {
        self.interruptions.load(Ordering::SeqCst)
    }

    /// Sleeps so long, or until it is interrupted.
    pub(super) fn sleep(&self, duration: Duration) {
        let awake = lock(&self.asleep);
        let is_calm = |(): &mut ()| !self.is_interrupted.load(Ordering::SeqCst);
        drop(self.wake.wait_timeout_while(awake, duration, is_calm));
    }

    /// Takes what the program prints.
    pub(super) fn print(&self, bytes: &[u8]) {
        let mut outbox = lock(&self.outbox);
        // More than can be shown is not kept; a character has four bytes at most.
        let room = outbox.left.saturating_mul(4).saturating_sub(outbox.text.len());
        outbox.text.extend(bytes.iter().take(room));
        if outbox.text.len() >= FLUSH_BYTES {
            outbox.flush(false);
        }
    }

    /// Takes what `kernel.py` answers, behind what was printed before.
    pub(super) fn answer(&self, bytes: &[u8]) {
        let mut outbox = lock(&self.outbox);
        outbox.flush(true);
        outbox.send(bytes);
    }

    /// Sends printed text in time, for ever.
    pub(super) fn send_in_time(&self) {
        loop {
            std::thread::sleep(FLUSH);
            lock(&self.outbox).flush(false);
        }
    }
}

impl Outbox {
    /// Sends what is printed. `whole`: also the beginning of a character whose rest is missing.
    fn flush(&mut self, whole: bool) {
        if self.text.is_empty() {
            return;
        }
        let end = if whole { self.text.len() } else { end_of_characters(&self.text) };
        let bytes: Vec<u8> = self.text.drain(..end).collect();
        let text: String = String::from_utf8_lossy(&bytes).chars().take(self.left).collect();
        if text.is_empty() {
            return;
        }
        self.left -= text.chars().count();
        let mut line = serde_json::to_vec(&Answer::Text { text: &text }).unwrap_or_default();
        line.push(b'\n');
        self.send(&line);
    }

    fn send(&mut self, bytes: &[u8]) {
        // Nobody listens: the server is gone, however it went.
        if self.to.write_all(bytes).and_then(|()| self.to.flush()).is_err() {
            exit(0);
        }
    }
}

/// Where the last whole character ends.
fn end_of_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Ok(_) | Err(_) => bytes.len(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
