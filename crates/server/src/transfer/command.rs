//! The commands `export` and `import`: from the database to a file and back, without a server.

use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Context, ensure};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Importer, Report, Shelf};
use crate::store::{Project, Store};

/// Progress is told after so many lines.
const TOLD_EVERY: u64 = 10_000;
const PIECE_BYTES: usize = 64 << 10;
/// Errors that are told one by one; the others are counted.
const ERRORS_TOLD: usize = 20;

/// Writes everything of a project, or of all where none is named, to a file, or for `-` to the standard output.
///
/// # Errors
/// Where the database, the blob store or the file cannot be used.
pub async fn export(store: Store, shelf: Shelf, project: Option<&str>, path: &Path) -> anyhow::Result<()> {
    let to = if is_standard(path) { same(std::io::stdout()) } else { File::create(path).await };
    let mut to = to.with_context(|| format!("could not write `{}`", path.display()))?;
    let mut pieces = match project {
        Some(name) => super::export_everything(store, shelf, Project::new(name)),
        None => {
            let projects = store.projects().await?;
            say(&format!("Exporting {} projects.", projects.len()))?;
            super::export_projects(store, shelf, projects)
        }
    };
    let mut lines = Progress::default();
    while let Some(piece) = pieces.recv().await {
        let piece = piece.map_err(|fault| anyhow::anyhow!("the export is not whole: {fault}"))?;
        to.write_all(&piece).await.context("the export is not whole")?;
        lines.have(lines.number + piece.iter().filter(|byte| **byte == b'\n').count() as u64)?;
    }
    to.flush().await.context("the export is not whole")?;
    if !is_standard(path) {
        to.sync_all().await.context("the export is not whole")?;
    }
    say(&format!("Exported {} lines.", lines.number))
}

/// Reads a file, or for `-` the standard input.
///
/// # Errors
/// Where the database or the file cannot be used, or a line was refused; the others are stored all the same.
pub async fn import(mut importer: Importer, path: &Path) -> anyhow::Result<()> {
    let from = if is_standard(path) { same(std::io::stdin()) } else { File::open(path).await };
    let mut from = from.with_context(|| format!("could not read `{}`", path.display()))?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut lines = Progress::default();
    loop {
        let length = from.read(&mut piece).await.context("could not read to the end")?;
        if length == 0 {
            break;
        }
        importer.feed(&piece[..length]).await?;
        lines.have(importer.lines())?;
    }
    let report = importer.finish().await?;
    tell(&report)
}

fn tell(report: &Report) -> anyhow::Result<()> {
    let new = &report.imported;
    say(&format!(
        "Imported {} files, {} vector stores with {} files, {} assistants, {} threads, {} messages, {} runs and {} steps; \
         {} objects were here already.",
        new.files,
        new.vector_stores,
        new.vector_store_files,
        new.assistants,
        new.threads,
        new.messages,
        new.runs,
        new.steps,
        report.skipped
    ))?;
    for error in report.errors.iter().take(ERRORS_TOLD) {
        say(&format!("  line {}: {}", error.line, error.message))?;
    }
    ensure!(report.failed == 0, "{} lines were not imported", report.failed);
    Ok(())
}

fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

fn same(stream: impl AsFd) -> std::io::Result<File> {
    let stream = stream.as_fd().try_clone_to_owned()?;
    Ok(File::from_std(std::fs::File::from(stream)))
}

#[derive(Default)]
struct Progress {
    number: u64,
}

impl Progress {
    fn have(&mut self, number: u64) -> anyhow::Result<()> {
        let told = self.number / TOLD_EVERY;
        self.number = number;
        if number / TOLD_EVERY == told {
            return Ok(());
        }
        say(&format!("  {number} lines"))
    }
}

/// To the person at the terminal: the standard output may be the export.
fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stderr(), "{line}")?)
}
