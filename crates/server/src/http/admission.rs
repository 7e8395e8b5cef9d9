//! How many requests are let in at once, and how much memory their bodies take together. Whoever is beyond waits for a
//! moment and is then told to come again, so that those who were let in are answered as fast as ever.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use adjutant_wire as wire;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::app::App;
use crate::config::ConnectionsConfig;
use crate::fault::Fault;

/// So long a request waits for a place, or for memory: as long as a person hardly notices.
const WAIT: Duration = Duration::from_millis(500);

/// A request that waits for somebody else keeps its place for so long.
const KEPT: Duration = Duration::from_millis(100);

/// Memory is counted in pieces of so many bytes.
const UNIT_BYTES: usize = 1 << 10;

/// What requests share.
pub(super) struct Admission {
    places: Arc<Semaphore>,
    /// Those who wait for a place, as many as there are places. More would wait in vain.
    line: Semaphore,
    memory: Arc<Semaphore>,
}

impl Admission {
    pub(super) fn new(limits: &ConnectionsConfig) -> Self {
        let places = usize::try_from(limits.requests_at_once).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(places)),
            line: Semaphore::new(places),
            memory: Arc::new(Semaphore::new(
                (limits.body_bytes_at_once / UNIT_BYTES).min(Semaphore::MAX_PERMITS),
            )),
        }
    }

    /// A place, for as long as the request is handled.
    ///
    /// # Errors
    /// 503 where none is free in time.
    pub(super) async fn place(&self) -> wire::Result<Place> {
        let places = Arc::clone(&self.places);
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            return Ok(Place::new(places, place));
        }
        let crowded =
            || wire::Error::overloaded("Too many requests are being served. Try again in a moment.");
        let _in_line = self.line.try_acquire().map_err(|_| crowded())?;
        match timeout(WAIT, Arc::clone(&places).acquire_owned()).await {
            Ok(Ok(place)) => Ok(Place::new(places, place)),
            Ok(Err(_)) | Err(_) => Err(crowded()),
        }
    }

    /// Memory for one request, none of it taken yet.
    pub(super) fn memory(&self) -> Memory {
        Memory { all: Arc::clone(&self.memory), taken: None }
    }
}

/// The right to be handled. Clones are of the same one.
#[derive(Clone)]
pub(super) struct Place {
    places: Arc<Semaphore>,
    taken: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Place {
    fn new(places: Arc<Semaphore>, taken: OwnedSemaphorePermit) -> Self {
        Self { places, taken: Arc::new(Mutex::new(Some(taken))) }
    }

    /// Gives it up.
    pub(super) fn leave(&self) {
        self.put(None);
    }

    /// Waits for what others do, a model or a run: whoever does so for long gives up the place meanwhile, and takes
    /// the next one afterwards.
    pub(super) async fn beside<T>(&self, others: impl Future<Output = T>) -> T {
        let mut others = pin!(others);
        if let Ok(done) = timeout(KEPT, others.as_mut()).await {
            return done;
        }
        self.leave();
        let done = others.await;
        // What was waited for so long is not given up for a crowd.
        self.put(Arc::clone(&self.places).acquire_owned().await.ok());
        done
    }

    fn put(&self, place: Option<OwnedSemaphorePermit>) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }
}

impl FromRequestParts<App> for Place {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Fault> {
        let place = parts.extensions.get().cloned();
        place.ok_or_else(|| Fault::Broken(anyhow::anyhow!("a request is handled that was not let in")))
    }
}

/// What one request has taken of the memory for bodies.
pub(super) struct Memory {
    all: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
}

impl Memory {
    /// Takes more. What is taken is given back with this value.
    ///
    /// # Errors
    /// 503 where there is not so much in time.
    pub(super) async fn take(&mut self, bytes: usize) -> wire::Result<()> {
        let short =
            || wire::Error::overloaded("Too many long requests are being served. Try again in a moment.");
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).map_err(|_| short())?;
        match timeout(WAIT, Arc::clone(&self.all).acquire_many_owned(units)).await {
            Ok(Ok(more)) => match &mut self.taken {
                Some(taken) => taken.merge(more),
                none => *none = Some(more),
            },
            Ok(Err(_)) | Err(_) => return Err(short()),
        }
        Ok(())
    }

    /// Adds to a body that may have `most` bytes, and takes what it needs more.
    ///
    /// # Errors
    /// As [`Self::take`]; 413 where it is too long.
    pub(super) async fn extend(&mut self, body: &mut Vec<u8>, piece: &[u8], most: usize) -> wire::Result<()> {
        let needed = body.len() + piece.len();
        if needed > most {
            return Err(wire::Error::too_large(most));
        }
        if needed > body.capacity() {
            let room = needed.max(2 * body.capacity()).min(most);
            self.take(room - body.capacity()).await?;
            body.reserve_exact(room - body.len());
        }
        body.extend_from_slice(piece);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(requests_at_once: u32, body_bytes_at_once: usize) -> Admission {
        let limits = ConnectionsConfig {
            at_once: 1,
            head_seconds: 1,
            head_bytes: 1024,
            head_fields: 16,
            idle_seconds: 1,
            requests_at_once,
            body_bytes_at_once,
            body_seconds: 1,
            unread_seconds: 1,
        };
        Admission::new(&limits)
    }

    #[tokio::test]
    async fn a_place_is_for_one_at_a_time() {
        let admission = admission(1, 1024);
        let first = admission.place().await.unwrap();
        let refused = admission.place().await.err().unwrap();
        assert_eq!((refused.status, refused.retry_after), (503, Some(1)));
        drop(first);
        assert!(admission.place().await.is_ok());
    }

    #[tokio::test]
    async fn who_waits_for_others_gives_up_the_place() {
        let admission = admission(1, 1024);
        let first = admission.place().await.unwrap();
        let others = async {
            let second = admission.place().await;
            assert!(second.is_ok());
        };
        first.beside(others).await;
        assert!(admission.place().await.is_err());
    }

    #[tokio::test]
    async fn no_more_waits_than_there_are_places() {
        let admission = admission(1, 1024);
        let first = admission.place().await.unwrap();
        let (one, other) = tokio::join!(admission.place(), async {
            let refused_at_once = timeout(WAIT / 2, admission.place()).await;
            drop(first);
            refused_at_once
        });
        assert!(one.is_ok());
        assert!(matches!(other, Ok(Err(_))));
    }

    #[tokio::test]
    async fn bodies_share_memory() {
        let admission = admission(1, 4096);
        let (mut one, mut other) = (admission.memory(), admission.memory());
        let mut body = Vec::new();
        one.extend(&mut body, &[0; 2000], 4096).await.unwrap();
        one.extend(&mut body, &[0; 1000], 4096).await.unwrap();
        assert_eq!(body.len(), 3000);
        assert!(other.take(1).await.is_err());
        drop(one);
        other.take(4096).await.unwrap();
    }
}
