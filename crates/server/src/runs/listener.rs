//! The client that listens to a run. Events are serialised once, here, and leave in as few pieces as they
//! can without waiting for each other.

use std::time::Duration;

use adjutant_wire::events::Event;
use adjutant_wire::steps::Include;
use tokio::time::{Instant, timeout};

use super::pipe::{FULL_BYTES, Inlet, Stream, pipe};
use crate::crash_point;

/// So long a run waits for its client, all its waits together: for one that is slower than it for a moment. The run
/// and its model do not wait for one that reads slowly.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where a run's events go: to a client, or nowhere.
#[derive(Debug, Default)]
pub(super) struct Listener {
    to: Option<Inlet>,
    /// What the client asked to be shown of steps.
    include: Include,
    frames: Vec<u8>,
    waited: Duration,
}

impl Listener {
    /// A listener, and the stream that its client reads if it asked for one.
    pub(super) fn of(streamed: bool, include: Include) -> (Self, Option<Stream>) {
        if !streamed {
            return (Self::default(), None);
        }
        let (to, stream) = pipe();
        (Self { to: Some(to), include, ..Self::default() }, Some(stream))
    }

    /// Takes an event to be sent with the next flush. Call it only for what is stored already, or will
    /// never be: deltas.
    pub(super) fn emit(&mut self, event: &Event<'_>) {
        if self.to.is_some() {
            event.write_to(&mut self.frames, self.include);
        }
    }

    /// Whether so much was emitted that it should be sent before there is more.
    pub(super) fn has_much(&self) -> bool {
        self.frames.len() >= FULL_BYTES
    }

    /// Sends what was emitted. Where the client is behind, waits for it while there is patience left.
    pub(super) async fn flush(&mut self) {
        let Some(to) = &self.to else { return };
        if to.is_left() {
            *self = Self::default();
            return;
        }
        if self.frames.is_empty() {
            return;
        }
        crash_point::reach("before events are sent");
        to.push(std::mem::take(&mut self.frames));
        if to.is_full() && self.waited < PATIENCE {
            let began = Instant::now();
            let _ = timeout(PATIENCE.saturating_sub(self.waited), to.room()).await;
            self.waited += began.elapsed();
        }
        crash_point::reach("after events were sent");
    }

    /// Gives away a client that is too far behind, all that was emitted being flushed. From now on nobody listens.
    pub(super) fn give_away_slow(&mut self) -> Option<(Inlet, Include)> {
        let is_slow = |to: &mut Inlet| self.waited >= PATIENCE && to.is_full();
        let to = self.to.take_if(is_slow)?;
        Some((to, self.include))
    }
}
