//! What a session and its interpreter say to each other. `kernel.py` is the other end.

use serde::{Deserialize, Serialize};

/// The first line, before any command.
#[derive(Serialize)]
pub(super) struct Start<'a> {
    pub(super) limits: StartLimits,
    pub(super) modules: &'a [String],
}

/// A message as it is sent.
pub(super) fn line(message: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}

/// The first line as the host of a session reads it.
#[cfg(feature = "wasm")]
#[derive(Deserialize)]
pub(super) struct Started {
    pub(super) limits: StartLimits,
}

#[derive(Serialize)]
#[cfg_attr(feature = "wasm", derive(Deserialize))]
pub(super) struct StartLimits {
    pub(super) memory_bytes: u64,
    pub(super) disk_bytes: u64,
    pub(super) cpu_seconds: u64,
    pub(super) open_files: u64,
    pub(super) threads: u64,
}

#[derive(Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum Command<'a> {
    Run {
        code: &'a str,
        /// More than so many are not sent.
        output_characters: usize,
    },
    Interrupt,
    /// So many bytes follow.
    Put {
        name: &'a str,
        /// Another name for it.
        link: Option<&'a str>,
        size: u64,
    },
    Remove {
        name: &'a str,
    },
    Fetch {
        name: &'a str,
        /// More bytes than these are refused.
        most: u64,
    },
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Answer {
    Ready {
        /// What could not be imported ahead.
        faults: Vec<String>,
    },
    Text {
        text: String,
    },
    /// So many bytes follow.
    Image {
        size: u64,
    },
    Done {
        succeeded: bool,
    },
    Stored,
    Removed,
    /// So many bytes follow.
    File {
        size: u64,
    },
    Refused {
        reason: String,
    },
}
