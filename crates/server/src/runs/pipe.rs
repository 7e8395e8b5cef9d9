//! What leads from a run to one client: frames of server-sent events, as many bytes as may wait for a client that
//! reads more slowly than they come. Those that wait leave together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

/// So many bytes may wait before the pipe counts as full: a hundred events.
pub(super) const FULL_BYTES: usize = 32 << 10;

/// The end into which events go. Dropped, it ends the stream after what waits.
#[derive(Debug)]
pub(super) struct Inlet(Arc<Pipe>);

/// What a client that asked for a stream gets in place of an object: frames of server-sent events.
#[derive(Debug)]
pub struct Stream(Arc<Pipe>);

#[derive(Debug, Default)]
struct Pipe {
    state: Mutex<State>,
    /// Wakes whoever reads: one.
    came: Notify,
    /// Wakes whoever writes: one.
    went: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// No more will come.
    ended: bool,
    /// Nobody reads any more.
    left: bool,
}

/// A pipe's two ends.
pub(super) fn pipe() -> (Inlet, Stream) {
    let pipe = Arc::<Pipe>::default();
    (Inlet(Arc::clone(&pipe)), Stream(pipe))
}

impl Pipe {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What waits, and whether that was all.
    fn take(&self) -> (Vec<u8>, bool) {
        let mut state = self.state();
        (std::mem::take(&mut state.waiting), state.ended)
    }
}

impl Inlet {
    /// Adds frames, however full it is: whoever has many [looks](Self::is_full) first.
    pub(super) fn push(&self, frames: Vec<u8>) {
        let mut state = self.0.state();
        if state.left || frames.is_empty() {
            return;
        }
        if state.waiting.is_empty() {
            state.waiting = frames;
        } else {
            state.waiting.extend_from_slice(&frames);
        }
        drop(state);
        self.0.came.notify_one();
    }

    /// Whether more waits than should.
    pub(super) fn is_full(&self) -> bool {
        self.0.state().waiting.len() >= FULL_BYTES
    }

    /// Whether nobody reads any more.
    pub(super) fn is_left(&self) -> bool {
        self.0.state().left
    }

    /// Waits until it is not full, or nobody reads any more.
    pub(super) async fn room(&self) {
        while self.is_full() {
            self.0.went.notified().await;
        }
    }

    /// Waits until nobody reads any more.
    pub(super) async fn left(&self) {
        while !self.is_left() {
            self.0.went.notified().await;
        }
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.0.state().ended = true;
        self.0.came.notify_one();
    }
}

impl Stream {
    /// All that waits, or else the next that comes; `None` at the end.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            let (waiting, ended) = self.0.take();
            if !waiting.is_empty() {
                self.0.went.notify_one();
                return Some(waiting.into());
            }
            if ended {
                return None;
            }
            self.0.came.notified().await;
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.left = true;
        state.waiting = Vec::new();
        drop(state);
        self.0.went.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_waits_leaves_together_and_the_end_comes_after_it() {
        let (inlet, mut stream) = pipe();
        inlet.push(b"one ".to_vec());
        inlet.push(b"two".to_vec());
        drop(inlet);
        assert_eq!(stream.next().await.unwrap(), "one two");
        assert_eq!(stream.next().await, None);
    }

    #[tokio::test]
    async fn there_is_room_again_once_it_was_read() {
        let (inlet, mut stream) = pipe();
        inlet.push(vec![b'x'; FULL_BYTES]);
        assert!(inlet.is_full());
        let (_, read) = tokio::join!(inlet.room(), stream.next());
        assert_eq!(read.unwrap().len(), FULL_BYTES);
        assert!(!inlet.is_full());
    }

    #[tokio::test]
    async fn nothing_waits_for_one_who_has_left() {
        let (inlet, stream) = pipe();
        inlet.push(vec![b'x'; FULL_BYTES]);
        drop(stream);
        inlet.room().await;
        inlet.left().await;
        inlet.push(vec![b'x'; FULL_BYTES]);
        assert!(!inlet.is_full());
    }
}
