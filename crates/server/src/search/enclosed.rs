//! The child's side of reading a document: one document, in a process that has walls around it and then ends.

use std::io::{BufWriter, ErrorKind, Read, Write, stdin, stdout};
use std::panic;

use adjutant_documents::{Document, Limits, Unreadable};
use adjutant_sandbox as sandbox;
use anyhow::Context;
use serde::{Deserialize, Serialize};

/// OpenAI's largest file.
const FILE_BYTES: u64 = 512 << 20;

/// What reading one document may take. The largest file fits twice, for some readers copy it, and leaves a
/// gigabyte to work in; a book of 5,000 pages needs a quarter of the time.
pub(super) const WALLS: sandbox::Limits = sandbox::Limits { cpu_seconds: 60, memory_bytes: 2 << 30 };

/// What the child tells its parent, as JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) outcome: Result<Document, Unreadable>,
    /// The walls that this machine does not have, in words.
    pub(super) gaps: Option<String>,
}

/// Reads a document from the standard input and writes an answer to the standard output, enclosed. For a
/// process of one thread that does nothing else.
///
/// # Errors
/// Where the process cannot be enclosed, in which case nothing is read, or its parent is gone.
pub fn read_document(name: &str) -> anyhow::Result<()> {
    // Requests come first.
    let _ = rustix::process::nice(10);
    let gaps = sandbox::enclose(&WALLS)?.to_string();
    // What a panic says may quote the document, and goes to a log.
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(std::io::stderr(), "panicked at {place}");
    }));
    let mut bytes = Vec::new();
    let taken = stdin().lock().take(FILE_BYTES + 1).read_to_end(&mut bytes);
    let outcome = match taken {
        Ok(taken) if taken as u64 > FILE_BYTES => {
            Err(Unreadable::Invalid(format!("The file is larger than {} MB.", FILE_BYTES >> 20)))
        }
        Ok(_) => adjutant_documents::read(name, &bytes, &Limits::default()),
        Err(error) if error.kind() == ErrorKind::OutOfMemory => {
            Err(Unreadable::Invalid("The file needs more memory than it may take.".to_owned()))
        }
        Err(error) => return Err(error).context("could not take the document"),
    };
    let answer = Answer { outcome, gaps: Some(gaps).filter(|gaps| !gaps.is_empty()) };
    let mut out = BufWriter::new(stdout().lock());
    serde_json::to_writer(&mut out, &answer)?;
    out.flush().context("nobody takes the answer")
}
