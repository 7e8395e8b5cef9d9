//! The client that listens to a run. Events are serialised once, here, and leave in as few pieces as they
//! can without waiting for each other.

use std::time::Duration;

use adjutant_wire::events::Event;
use adjutant_wire::steps::Include;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::crash_point;

/// Pieces on their way to one client. A client that reads more slowly holds the run back, and with it the
/// model's server, rather than filling the memory.
const PIECES_WAITING: usize = 64;

/// After so long without reading, a client counts as gone. The run goes on without it.
const READER_PATIENCE: Duration = Duration::from_secs(30);

/// Where a run's events go: to a client, or nowhere.
#[derive(Debug, Default)]
pub(super) struct Listener {
    to: Option<mpsc::Sender<Bytes>>,
    /// What the client asked to be shown of steps.
    include: Include,
    frames: Vec<u8>,
}

impl Listener {
    /// A listener, and the stream that its client reads if it asked for one.
    pub(super) fn of(streamed: bool, include: Include) -> (Self, Option<mpsc::Receiver<Bytes>>) {
        if !streamed {
            return (Self::default(), None);
        }
        let (to, stream) = mpsc::channel(PIECES_WAITING);
        (Self { to: Some(to), include, frames: Vec::new() }, Some(stream))
    }

    /// Takes an event to be sent with the next flush. Call it only for what is stored already, or will
    /// never be: deltas.
    pub(super) fn emit(&mut self, event: &Event<'_>) {
        if self.to.is_some() {
            event.write_to(&mut self.frames, self.include);
        }
    }

    /// Sends what was emitted.
    pub(super) async fn flush(&mut self) {
        let Some(to) = &self.to else { return };
        if self.frames.is_empty() {
            return;
        }
        crash_point::reach("before events are sent");
        let piece = Bytes::from(std::mem::take(&mut self.frames));
        if to.send_timeout(piece, READER_PATIENCE).await.is_err() {
            self.to = None;
        }
        crash_point::reach("after events were sent");
    }
}
