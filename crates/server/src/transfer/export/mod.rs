//! Writing everything of a project, never more than a page of it in memory.

mod shelf;

use std::sync::Arc;

use adjutant_wire::ThreadId;
use adjutant_wire::messages::MessageStatus;
use adjutant_wire::runs::Run;
use anyhow::anyhow;
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;

use super::part::Part;
use crate::clock::Clock;
use crate::fault::Result;
use crate::files::Files;
use crate::store::{Mark, Project, Reading, Store};

/// Lines leave together, about so many bytes.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces that wait for a slow reader.
const WAITING: usize = 4;

/// What files are written from.
#[derive(Clone)]
pub struct Shelf {
    /// The files and their bytes.
    pub files: Arc<Files>,
    /// The clock.
    pub clock: Arc<Clock>,
}

/// All assistants, threads, messages, runs and steps of a project in pieces, a whole number of lines each. Ends early
/// with the fault that ended it.
pub fn export(store: Store, project: Project) -> mpsc::Receiver<Result<Bytes>> {
    begin(store, None, vec![(project, None)])
}

/// The same, and its files and vector stores before them.
pub fn export_everything(store: Store, shelf: Shelf, project: Project) -> mpsc::Receiver<Result<Bytes>> {
    begin(store, Some(shelf), vec![(project, None)])
}

/// The same of several projects, one after the other. Each line says whose it is.
pub fn export_projects(store: Store, shelf: Shelf, projects: Vec<Project>) -> mpsc::Receiver<Result<Bytes>> {
    let named = projects.into_iter().map(|project| (project.clone(), Some(project.as_str().to_owned())));
    begin(store, Some(shelf), named.collect())
}

fn begin(
    store: Store,
    shelf: Option<Shelf>,
    projects: Vec<(Project, Option<String>)>,
) -> mpsc::Receiver<Result<Bytes>> {
    let (send, receive) = mpsc::channel(WAITING);
    let began = shelf.as_ref().map_or(i64::MAX, |shelf| shelf.clock.position());
    tokio::spawn(async move {
        for (project, name) in projects {
            let (store, send) = (store.clone(), send.clone());
            let mut export = Export { store, project, name, began, piece: Vec::new(), send };
            if let Err(fault) = export.everything(shelf.as_ref()).await {
                tracing::error!("an export ended early: {fault}");
                let _ = export.send.send(Err(fault)).await;
                return;
            }
        }
    });
    receive
}

struct Export {
    store: Store,
    project: Project,
    /// The project's name, where each line is to say it.
    name: Option<String>,
    /// When it began, as a position.
    began: i64,
    piece: Vec<u8>,
    send: mpsc::Sender<Result<Bytes>>,
}

#[derive(Serialize)]
struct Line<'a, T> {
    #[serde(flatten)]
    object: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
}

impl Export {
    async fn everything(&mut self, shelf: Option<&Shelf>) -> Result<()> {
        if let Some(shelf) = shelf {
            self.files(shelf).await?;
            self.vector_stores(shelf).await?;
        }
        self.assistants().await?;
        self.threads().await?;
        self.hand_over().await
    }

    async fn read(&self) -> Result<Reading> {
        self.store.read(&self.project).await
    }

    async fn threads(&mut self) -> Result<()> {
        let mut mark = Mark::default();
        loop {
            let threads = self.read().await?.next_threads(&mut mark).await?;
            if threads.is_empty() {
                return Ok(());
            }
            for (position, thread) in threads {
                self.line(&thread, position).await?;
                self.messages(&thread.id).await?;
                self.runs(&thread.id).await?;
            }
        }
    }

    async fn assistants(&mut self) -> Result<()> {
        let mut mark = Mark::default();
        loop {
            let assistants = self.read().await?.next_assistants(&mut mark).await?;
            if assistants.is_empty() {
                return Ok(());
            }
            for (position, assistant) in assistants {
                self.line(&assistant, position).await?;
            }
        }
    }

    async fn messages(&mut self, thread: &ThreadId) -> Result<()> {
        let mut mark = Mark::default();
        loop {
            let messages = self.read().await?.next_messages(thread, &mut mark).await?;
            if messages.is_empty() {
                return Ok(());
            }
            let ended = messages.iter().filter(|(_, message)| message.status != MessageStatus::InProgress);
            for (position, message) in ended {
                self.line(message, *position).await?;
            }
        }
    }

    async fn runs(&mut self, thread: &ThreadId) -> Result<()> {
        let mut mark = Mark::default();
        loop {
            let runs = self.read().await?.next_runs(thread, &mut mark).await?;
            if runs.is_empty() {
                return Ok(());
            }
            for (position, run) in runs.iter().filter(|(_, run)| run.status.is_terminal()) {
                self.run(run, *position).await?;
            }
        }
    }

    async fn run(&mut self, run: &Run, position: i64) -> Result<()> {
        self.line(run, position).await?;
        let steps = self.read().await?.all_steps(&run.id).await?;
        for (position, step) in steps {
            self.line(&step.exported(), position).await?;
        }
        Ok(())
    }

    async fn line<T: Serialize>(&mut self, object: &T, position: i64) -> Result<()> {
        self.write(object, Some(position)).await
    }

    async fn part(&mut self, part: &Part) -> Result<()> {
        self.write(part, None).await
    }

    async fn write<T: Serialize>(&mut self, object: &T, position: Option<i64>) -> Result<()> {
        let project = self.name.as_deref();
        serde_json::to_writer(&mut self.piece, &Line { object, position, project })?;
        self.piece.push(b'\n');
        if self.piece.len() < PIECE_BYTES {
            return Ok(());
        }
        self.hand_over().await
    }

    async fn hand_over(&mut self) -> Result<()> {
        let piece = Bytes::from(std::mem::take(&mut self.piece));
        let sent = self.send.send(Ok(piece)).await;
        sent.map_err(|_| anyhow!("nobody reads the export any more").into())
    }
}
