//! Reading objects line by line into a project. What is here already is skipped, so a file may be read again.

mod coming;
mod file;
mod passages;

use adjutant_wire as wire;
use serde::Serialize;

use self::coming::{Coming, Outcome};
use super::Shelf;
use super::line::{self, Line, What};
use super::part::Part;
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
    #[serde(skip_serializing_if = "is_none")]
    pub files: u64,
    #[serde(skip_serializing_if = "is_none")]
    pub vector_stores: u64,
    #[serde(skip_serializing_if = "is_none")]
    pub vector_store_files: u64,
    #[serde(skip_serializing_if = "is_none")]
    pub file_batches: u64,
}

/// Over HTTP there are never any, and the report has no such keys.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_none(number: &u64) -> bool {
    *number == 0
}

impl Counts {
    fn count(&mut self, kind: Kind) {
        let count = match kind {
            Kind::Assistant => &mut self.assistants,
            Kind::Thread => &mut self.threads,
            Kind::Message => &mut self.messages,
            Kind::Run => &mut self.runs,
            Kind::Step => &mut self.steps,
            Kind::File => &mut self.files,
            Kind::VectorStore => &mut self.vector_stores,
            Kind::StoreFile => &mut self.vector_store_files,
            Kind::FileBatch => &mut self.file_batches,
        };
        *count += 1;
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Assistant,
    Thread,
    Message,
    Run,
    Step,
    File,
    VectorStore,
    StoreFile,
    FileBatch,
}

fn kind_of(kept: &Kept) -> Kind {
    match kept {
        Kept::Assistant(_) => Kind::Assistant,
        Kept::Thread(_) => Kind::Thread,
        Kept::Message(_) => Kind::Message,
        Kept::Run(_) => Kind::Run,
        Kept::Step(_) => Kind::Step,
        Kept::VectorStore(_) => Kind::VectorStore,
        Kept::FileBatch(_) => Kind::FileBatch,
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

/// Whose the lines are.
#[derive(Clone, Debug)]
pub enum Owner {
    /// One project's, which a line need not name.
    Project(Project),
    /// Those of the projects that they name.
    Named,
}

/// Takes bytes as they come.
pub struct Importer {
    store: Store,
    /// What files are put on; without it they are refused.
    shelf: Option<Shelf>,
    owner: Owner,
    longest: usize,
    /// The line so far; of one that is too long, its beginning.
    line: Vec<u8>,
    /// The line's number.
    number: u64,
    batch: Vec<(u64, Kept, i64)>,
    batch_bytes: usize,
    /// Whose the lines of the batch are.
    batch_project: Project,
    coming: Coming,
    /// The first line of what is coming.
    coming_since: u64,
    report: Report,
}

impl Importer {
    /// An import of assistants, threads, messages, runs and steps into a project, of lines of up to `longest` bytes.
    pub fn new(store: Store, project: Project, longest: usize) -> Self {
        Self::begin(store, None, Owner::Project(project), longest)
    }

    /// The same, and of files and vector stores.
    pub fn with_files(store: Store, shelf: Shelf, owner: Owner, longest: usize) -> Self {
        Self::begin(store, Some(shelf), owner, longest)
    }

    fn begin(store: Store, shelf: Option<Shelf>, owner: Owner, longest: usize) -> Self {
        let report = Report {
            object: "import",
            imported: Counts::default(),
            skipped: 0,
            failed: 0,
            errors: Vec::new(),
        };
        Self {
            store,
            shelf,
            owner,
            longest,
            line: Vec::new(),
            number: 1,
            batch: Vec::new(),
            batch_bytes: 0,
            batch_project: Project::new(""),
            coming: Coming::Nothing,
            coming_since: 0,
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
        self.break_off();
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
            let taken = match line::read(&line) {
                Ok(read) => self.take(number, read, line.len()).await,
                Err(error) => Err(error.into()),
            };
            match taken {
                Ok(()) => {}
                Err(Fault::Refused(error)) => self.fail(number, error.message),
                Err(fault @ (Fault::Broken(_) | Fault::Answered(_) | Fault::Unavailable(_))) => {
                    return Err(fault);
                }
            }
        }
        if self.batch.len() >= AT_ONCE || self.batch_bytes >= BYTES_AT_ONCE {
            self.store_batch().await?;
        }
        Ok(())
    }

    async fn take(&mut self, number: u64, line: Line, bytes: usize) -> Result<()> {
        let project = self.project_of(line.project)?;
        if project != self.batch_project {
            self.store_batch().await?;
            self.batch_project = project.clone();
        }
        match line.what {
            What::Object(Kept::VectorStore(_) | Kept::FileBatch(_), _) if self.shelf.is_none() => {
                Err(not_here().into())
            }
            What::Object(kept, position) => {
                self.break_off();
                self.batch.push((number, kept, position));
                self.batch_bytes += bytes;
                Ok(())
            }
            What::File(file, position) => {
                let (store, shelf) = self.begin_coming(number).await?;
                let outcome = self.coming.begin_file((&store, &shelf), project, file, position).await?;
                self.settle(number, Kind::File, &outcome);
                Ok(())
            }
            What::StoreFile(file, position) => {
                let (store, shelf) = self.begin_coming(number).await?;
                let outcome =
                    self.coming.begin_store_file((&store, &shelf), &project, file, position).await?;
                self.settle(number, Kind::StoreFile, &outcome);
                Ok(())
            }
            What::Part(part) => self.go_on(number, part).await,
        }
    }

    /// What is needed for an object of several lines, once all before it is stored.
    async fn begin_coming(&mut self, number: u64) -> Result<(Store, Shelf)> {
        self.break_off();
        self.store_batch().await?;
        self.coming_since = number;
        let shelf = self.shelf.clone().ok_or_else(not_here)?;
        Ok((self.store.clone(), shelf))
    }

    async fn go_on(&mut self, number: u64, part: Part) -> Result<()> {
        let Some(shelf) = self.shelf.clone() else { return Err(not_here().into()) };
        let whose = part.whose();
        if !self.coming.is_of(&whose) {
            self.break_off();
        }
        let kind = if whose.store.is_some() { Kind::StoreFile } else { Kind::File };
        let store = self.store.clone();
        let outcome = self.coming.go_on((&store, &shelf), part).await?;
        self.settle(number, kind, &outcome);
        Ok(())
    }

    /// Tells of an object that came to no end.
    fn break_off(&mut self) {
        if let Some(message) = self.coming.cut_off() {
            self.fail(self.coming_since, message);
        }
        self.coming = Coming::Nothing;
    }

    fn project_of(&self, named: Option<String>) -> wire::Result<Project> {
        match (&self.owner, named) {
            (Owner::Project(project), None) => Ok(project.clone()),
            (Owner::Project(project), Some(name)) if project.as_str() == name => Ok(project.clone()),
            (Owner::Project(_), Some(name)) => Err(wire::Error::invalid(format!(
                "The line belongs to the project '{name}': `adjutant import --all-projects` takes it there."
            ))),
            (Owner::Named, Some(name)) => Ok(Project::new(&name)),
            (Owner::Named, None) => {
                Err(wire::Error::invalid("The line names no project: import it with --project."))
            }
        }
    }

    async fn store_batch(&mut self) -> Result<()> {
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        let mut tx = self.store.write(&self.batch_project).await?;
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
            self.tell(number, kind_of(&kept), outcome);
        }
        Ok(())
    }

    fn settle(&mut self, number: u64, kind: Kind, outcome: &Outcome) {
        match outcome {
            Outcome::Done(brought) => self.tell(number, kind, Ok(*brought)),
            Outcome::Open | Outcome::Ignored => {}
        }
    }

    fn tell(&mut self, number: u64, kind: Kind, outcome: wire::Result<Brought>) {
        match outcome {
            Ok(Brought::New) => self.report.imported.count(kind),
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

fn not_here() -> wire::Error {
    wire::Error::invalid("Files and vector stores are imported by the command `adjutant import` alone.")
}
