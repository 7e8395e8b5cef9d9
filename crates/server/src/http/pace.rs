//! Bodies as they come, and for how long they may be waited for.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, Sleep, sleep};

/// What a body must bring to be waited for a second longer, in bytes. Slower than this is no line that anybody has.
const BYTES_A_SECOND: u32 = 16 << 10;

/// A body whose client may let us wait for so long in all, and earns back a second with each [`BYTES_A_SECOND`]. So a
/// long body may take long, and one that drips may not. How long we take ourselves does not count.
pub(super) struct Paced {
    body: BodyDataStream,
    most: Duration,
    left: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
    late: Late,
}

/// Whether a body was too slow. Its reader only hears that it ended early.
#[derive(Clone, Default)]
pub(super) struct Late(Arc<AtomicBool>);

impl Late {
    pub(super) fn is_true(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Paced {
    pub(super) fn new(body: Body, most: Duration) -> Self {
        let body = body.into_data_stream();
        Self { body, most, left: most, waiting: None, late: Late::default() }
    }

    pub(super) fn late(&self) -> Late {
        self.late.clone()
    }

    fn came(&mut self, bytes: usize) {
        if let Some((since, _)) = self.waiting.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let earned = Duration::from_secs_f64(f64::from(bytes) / f64::from(BYTES_A_SECOND));
        self.left = self.most.min(self.left + earned);
    }
}

impl Stream for Paced {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(piece) = self.body.poll_next_unpin(context) {
            self.came(piece.as_ref().and_then(|piece| piece.as_ref().ok()).map_or(0, Bytes::len));
            return Poll::Ready(piece.map(|piece| piece.map_err(io::Error::other)));
        }
        let left = self.left;
        let (_, end) = self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        if end.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.late.0.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, "the body came too slowly"))))
    }
}
