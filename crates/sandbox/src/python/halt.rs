//! Halting a session's Python between two calls. Threads that a program has left running, and a program that says it
//! has ended and has not, would otherwise use the processor for as long as the session is kept.

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The Python behind a session's walls, as this machine sees it. Held by a descriptor, since numbers of processes are
/// given again.
pub(super) struct Halting(OwnedFd);

impl Halting {
    /// A process that this server has started itself.
    #[cfg(feature = "wasm")]
    pub(super) fn of(process: u32) -> Option<Self> {
        let process = Pid::from_raw(i32::try_from(process).ok()?)?;
        pidfd_open(process, PidfdFlags::empty()).ok().map(Self)
    }

    /// Finds Python: the last of those that have started one another, beginning with the process that this server has
    /// started. Before it come those of bubblewrap.
    pub(super) fn last_of(first: u32) -> Option<Self> {
        let first = i32::try_from(first).ok()?;
        let children = children();
        let (mut parent, mut last) = (first, *children.get(&first)?);
        while let Some(child) = children.get(&last) {
            (parent, last) = (last, *child);
        }
        let held = pidfd_open(Pid::from_raw(last)?, PidfdFlags::empty()).ok()?;
        // What is held is what was found.
        (parent_of(last)? == parent).then_some(Self(held))
    }

    /// Halts it, with all its threads. False where this server may not.
    pub(super) fn halt(&self) -> bool {
        pidfd_send_signal(&self.0, Signal::STOP).is_ok()
    }

    /// Lets it go on.
    pub(super) fn go_on(&self) {
        // Where it has ended, whoever asks it for something learns of it.
        let _ = pidfd_send_signal(&self.0, Signal::CONT);
    }
}

/// Processes by those that have started them; none of those that matter here has started two.
fn children() -> HashMap<i32, i32> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return HashMap::new() };
    let numbers = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(|number: i32| Some((parent_of(number)?, number))).collect()
}

fn parent_of(process: i32) -> Option<i32> {
    let about = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Its name may have blanks and brackets.
    let (_, rest) = about.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}
