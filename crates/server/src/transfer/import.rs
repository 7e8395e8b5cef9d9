//! Reading objects line by line into a project. What is here already is skipped, so a file may be read again.

use adjutant_wire as wire;
use serde::Serialize;

use super::line;
use crate::fault::{Fault, Result};
use crate::store::{Brought, Kept, Project, Store};

/// Lines stored in one transaction. It is open only while they are stored, never while more are waited for.
const AT_ONCE: usize = 64;
/// And about so many bytes of them.
const BYTES_AT_ONCE: usize = 4 << 20;
/// So many errors are told; the others are counted.
const ERRORS_TOLD: usize = 1000;

/// What an import did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    object: &'static str,
    /// What is new.
    pub imported: Counts,
    /// Objects that were here already, the same.
    pub skipped: u64,
    /// Lines of which nothing was stored.
    pub failed: u64,
    /// Why, for the first thousand of them.
    pub errors: Vec<LineError>,
}

/// How many objects of each kind.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Counts {
    pub assistants: u64,
    pub threads: u64,
    pub messages: u64,
    pub runs: u64,
    pub steps: u64,
}

impl Counts {
    fn count(&mut self, kept: &Kept) {
        let count = match kept {
            Kept::Assistant(_) => &mut self.assistants,
            Kept::Thread(_) => &mut self.threads,
            Kept::Message(_) => &mut self.messages,
            Kept::Run(_) => &mut self.runs,
            Kept::Step(_) => &mut self.steps,
        };
        *count += 1;
    }
}

/// A line that was not stored.
#[derive(Clone, Debug, Serialize)]
pub struct LineError {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong.
    pub message: String,
}

/// Takes bytes as they come.
pub struct Importer {
    store: Store,
    project: Project,
    longest: usize,
    /// The line so far; of one that is too long, its beginning.
    line: Vec<u8>,
    /// The line's number.
    number: u64,
    batch: Vec<(u64, Kept, i64)>,
    batch_bytes: usize,
    report: Report,
}

impl Importer {
    /// An import into a project, of lines of up to `longest` bytes.
    pub fn new(store: Store, project: Project, longest: usize) -> Self {
        let report = Report {
            object: "import",
            imported: Counts::default(),
            skipped: 0,
            failed: 0,
            errors: Vec::new(),
        };
        Self {
            store,
            project,
            longest,
            line: Vec::new(),
            number: 1,
            batch: Vec::new(),
            batch_bytes: 0,
            report,
        }
    }

    /// How many lines were read.
    pub fn lines(&self) -> u64 {
        self.number - 1
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// Where the store fails. Lines at fault are in the report instead.
    pub async fn feed(&mut self, mut piece: &[u8]) -> Result<()> {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            self.keep(&piece[..end]);
            self.end_line().await?;
            piece = &piece[end + 1..];
        }
        self.keep(piece);
        Ok(())
    }

    /// Stores what is left, and says what became of all lines.
    ///
    /// # Errors
    /// As [`Importer::feed`].
    pub async fn finish(mut self) -> Result<Report> {
        if !self.line.is_empty() {
            self.end_line().await?;
        }
        self.store_batch().await?;
        Ok(self.report)
    }

    /// One byte more than is allowed is enough to know that a line is too long.
    fn keep(&mut self, bytes: &[u8]) {
        let room = (self.longest + 1).saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    async fn end_line(&mut self) -> Result<()> {
        let line = std::mem::take(&mut self.line);
        let number = self.number;
        self.number += 1;
        if line.len() > self.longest {
            self.fail(number, format!("The line is longer than {} bytes.", self.longest));
        } else if !line.trim_ascii().is_empty() {
            match line::read(&line) {
                Ok((kept, position)) => self.batch.push((number, kept, position)),
                Err(error) => self.fail(number, error.message),
            }
            self.batch_bytes += line.len();
        }
        if self.batch.len() >= AT_ONCE || self.batch_bytes >= BYTES_AT_ONCE {
            self.store_batch().await?;
        }
        Ok(())
    }

    async fn store_batch(&mut self) -> Result<()> {
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        let mut tx = self.store.write(&self.project).await?;
        let mut outcomes = Vec::with_capacity(batch.len());
        for (number, kept, position) in batch {
            let outcome = match tx.bring(&kept, position).await {
                Ok(brought) => Ok(brought),
                Err(Fault::Refused(error)) => Err(error),
                Err(fault @ (Fault::Broken(_) | Fault::Answered(_) | Fault::Unavailable(_))) => {
                    return Err(fault);
                }
            };
            outcomes.push((number, kept, outcome));
        }
        tx.commit().await?;
        for (number, kept, outcome) in outcomes {
            self.tell(number, &kept, outcome);
        }
        Ok(())
    }

    fn tell(&mut self, number: u64, kept: &Kept, outcome: wire::Result<Brought>) {
        match outcome {
            Ok(Brought::New) => self.report.imported.count(kept),
            Ok(Brought::Known) => self.report.skipped += 1,
            Ok(Brought::Other) => {
                self.fail(
                    number,
                    "The id stands for another object here, which was left as it is.".to_owned(),
                );
            }
            Err(error) => self.fail(number, error.message),
        }
    }

    fn fail(&mut self, line: u64, message: String) {
        self.report.failed += 1;
        if self.report.errors.len() < ERRORS_TOLD {
            self.report.errors.push(LineError { line, message });
        }
    }
}
