//! A session's process: it gets ready, encloses itself, and lets the guest run.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::exit;
use std::sync::{Arc, Barrier};
use std::thread;

use rustix::process::{Signal, set_parent_process_death_signal};
use wasmtime::Engine;

use super::guest::{self, Ended, Guest};
use super::host::Host;
use super::pack::{Pack, SERVE};
use super::talk::Talk;
use crate::python::wire::{StartLimits, Started};

/// Names of files that a session may make.
const NAMES: u64 = 10_000;

/// What the process itself may take beside the guest's memory, which wasmtime reserves whole, four gigabytes, and
/// limits by itself: the machine code, the shared files, the memory that sessions begin with, and stacks.
const RESERVED_BYTES: u64 = 12 << 30;

/// The server comes first.
const NICE: i32 = 5;

/// Is a session. Gives an error where none can begin; the end of one ends the process.
pub(super) fn serve(pack: Pack) -> Result<(), String> {
    // The main thread's stack is whatever the system gives, and the guest counts on its own.
    let guest = thread::Builder::new().stack_size(guest::THREAD_BYTES).spawn(move || run(&pack));
    guest.map_err(in_words)?.join().map_err(|_| "the host of a session failed".to_owned())?
}

fn run(pack: &Pack) -> Result<(), String> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(in_words)?;
    come_last();
    let input = std::io::stdin().as_fd().try_clone_to_owned().map_err(in_words)?;
    let mut commands = BufReader::new(File::from(input));
    let limits = read_limits(&mut commands)?;
    let engine = guest::engine().map_err(in_words)?;
    let talk = Talk::new(std::io::stdout());
    let mut guest = build(pack, &engine, &talk, &limits)?;
    let start = || start_threads(&engine, &talk, commands);
    let walls =
        crate::Limits { cpu_seconds: limits.cpu_seconds, memory_bytes: RESERVED_BYTES + limits.disk_bytes };
    crate::enclose_with(&walls, start).map_err(in_words)?;
    match guest.turn(SERVE) {
        Ok(()) => exit(0),
        Err(Ended::Exited(code)) => exit(i32::try_from(code).unwrap_or(1)),
        Err(ended) => Err(ended.to_string()),
    }
}

fn read_limits(commands: &mut impl BufRead) -> Result<StartLimits, String> {
    let mut line = String::new();
    commands.read_line(&mut line).map_err(in_words)?;
    let Started { limits } = serde_json::from_str(&line).map_err(in_words)?;
    Ok(limits)
}

fn build(pack: &Pack, engine: &Engine, talk: &Arc<Talk>, limits: &StartLimits) -> Result<Guest, String> {
    let (mut tree, folders) = pack.tree().map_err(in_words)?;
    tree.begin(limits.disk_bytes, NAMES);
    let mut host = Host::new(tree, folders, Arc::clone(talk));
    host.most_memory = usize::try_from(limits.memory_bytes).unwrap_or(usize::MAX);
    pack.guest(engine, host).map_err(in_words)
}

/// Starts the threads that serve the guest, and waits until they run: their beginning takes system calls that nothing
/// else does. The end of the guest's commands is the end of the process.
fn start_threads(engine: &Engine, talk: &Arc<Talk>, commands: BufReader<File>) -> std::io::Result<()> {
    let all_run = Arc::new(Barrier::new(3));
    let (listening, own, run) = (Arc::clone(talk), engine.clone(), Arc::clone(&all_run));
    thread::Builder::new().spawn(move || {
        run.wait();
        let _ = listening.listen(commands, || own.increment_epoch());
        exit(0)
    })?;
    let (sending, run) = (Arc::clone(talk), Arc::clone(&all_run));
    thread::Builder::new().spawn(move || {
        run.wait();
        sending.send_in_time();
    })?;
    all_run.wait();
    Ok(())
}

/// Where memory runs out, the kernel takes sessions first and the server last; and so with the processor.
fn come_last() {
    // Where the system does not let us, the session is only less polite.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let _ = rustix::process::nice(NICE);
}

fn in_words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
