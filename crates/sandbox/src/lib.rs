//! Walls that a process puts around itself before it reads what it does not trust.
//!
//! [`enclose`] is for a process of one thread that has opened everything it needs: afterwards it can compute,
//! and read and write what is open, until its time or memory is used up. It can open no file, reach no network,
//! start no process or thread, and signal nobody. None of it can be undone.
//!
//! [`python`] runs code that nobody has read, in processes behind walls of their own.

pub mod python;
#[cfg(target_os = "linux")]
mod walls;

#[cfg(test)]
mod tests;

use std::fmt;

/// How much a process may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Seconds of processor time, from the process's start; the kernel then ends it with SIGXCPU.
    pub cpu_seconds: u64,
    /// Bytes of address space, the program's own among them; what would go beyond is not allocated.
    pub memory_bytes: u64,
}

/// One of the walls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wall {
    /// Limits on processor time, memory, open files, file sizes and processes (setrlimit).
    Resources,
    /// No program that is started gives more rights than the process has (no_new_privs).
    Privileges,
    /// No access to files by name, to TCP ports, to other processes' signals and sockets (Landlock, from Linux
    /// 5.13; ports from 6.7, signals from 6.12).
    Files,
    /// No system calls but those that computing takes (seccomp).
    Calls,
}

/// The walls that the kernel does not have, each with what it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps(pub Vec<(Wall, String)>);

/// The process is not enclosed, and has to end.
#[derive(Debug, thiserror::Error)]
pub enum Unenclosed {
    /// A wall that there is no doing without, or both of two of which one is needed.
    #[error("this system lacks what encloses a process: {0}")]
    Lacking(Gaps),
    /// The threads that it needs.
    #[error("a thread could not be started: {0}")]
    Threads(std::io::Error),
    /// Only Linux's walls are built.
    #[error("processes are enclosed on Linux only")]
    System,
}

/// Encloses this process for good.
///
/// [`Wall::Resources`] and [`Wall::Privileges`] have to stand, and one of [`Wall::Files`] and [`Wall::Calls`]:
/// each of the two alone keeps files closed, and old kernels and containers lack one or the other.
///
/// # Errors
/// Where fewer walls stand. Those that do remain.
pub fn enclose(limits: &Limits) -> Result<Gaps, Unenclosed> {
    enclose_with(limits, || Ok(()))
}

/// As [`enclose`], for a process that needs more threads: `start` starts them, when files are out of reach already and
/// system calls are not limited yet. Threads that ran before keep their files, and lose their system calls.
///
/// # Errors
/// As [`enclose`], or where the threads cannot be started.
pub fn enclose_with(
    limits: &Limits,
    start: impl FnOnce() -> std::io::Result<()>,
) -> Result<Gaps, Unenclosed> {
    #[cfg(target_os = "linux")]
    return walls::enclose(limits, start);
    #[cfg(not(target_os = "linux"))]
    return start().map_err(Unenclosed::Threads).and(Err(Unenclosed::System));
}

impl fmt::Display for Gaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (wall, reason)) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{wall} ({reason})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resources => "resource limits",
            Self::Privileges => "no_new_privs",
            Self::Files => "Landlock",
            Self::Calls => "seccomp",
        })
    }
}
