//! Writing all assistants, threads, messages, runs and steps of a project, never more than a page of it in memory.

use adjutant_wire::ThreadId;
use adjutant_wire::messages::MessageStatus;
use adjutant_wire::runs::Run;
use anyhow::anyhow;
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::fault::Result;
use crate::store::{Mark, Project, Store};

/// Lines leave together, about so many bytes.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces that wait for a slow reader.
const WAITING: usize = 4;

/// Everything of a project in pieces, a whole number of lines each. Ends early with the fault that ended it.
pub fn export(store: Store, project: Project) -> mpsc::Receiver<Result<Bytes>> {
    let (send, receive) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let mut export = Export { store, project, piece: Vec::new(), send };
        if let Err(fault) = export.everything().await {
            tracing::error!("an export ended early: {fault}");
            let _ = export.send.send(Err(fault)).await;
        }
    });
    receive
}

struct Export {
    store: Store,
    project: Project,
    piece: Vec<u8>,
    send: mpsc::Sender<Result<Bytes>>,
}

#[derive(Serialize)]
struct Line<'a, T> {
    #[serde(flatten)]
    object: &'a T,
    position: i64,
}

impl Export {
    async fn everything(&mut self) -> Result<()> {
        self.assistants().await?;
        let mut mark = Mark::default();
        loop {
            let threads = self.store.read(&self.project).await?.next_threads(&mut mark).await?;
            if threads.is_empty() {
                return self.hand_over().await;
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
            let assistants = self.store.read(&self.project).await?.next_assistants(&mut mark).await?;
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
            let messages = self.store.read(&self.project).await?.next_messages(thread, &mut mark).await?;
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
            let runs = self.store.read(&self.project).await?.next_runs(thread, &mut mark).await?;
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
        let steps = self.store.read(&self.project).await?.all_steps(&run.id).await?;
        for (position, step) in steps {
            self.line(&step.exported(), position).await?;
        }
        Ok(())
    }

    async fn line<T: Serialize>(&mut self, object: &T, position: i64) -> Result<()> {
        serde_json::to_writer(&mut self.piece, &Line { object, position })?;
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
