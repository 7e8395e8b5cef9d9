//! Clients' connections: accepting them, what they may take, and how they end.

use std::io::{Error, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;

use super::unread::Unread;
use crate::config::ConnectionsConfig;

/// Connections beyond those that may be open, to be told so. More than these wait to be accepted.
const TURNED_AWAY_AT_ONCE: usize = 64;

/// Once the process is about to stop, a first request that has begun to come may take so long.
const LAST_HEAD: Duration = Duration::from_secs(1);

/// The most of a request, and of an answer, that hyper keeps for a connection.
const BUFFER_BYTES: usize = 64 << 10;

/// After a failure that is not a client's, such as too many open files, there is no use in trying again at once.
const PAUSE: Duration = Duration::from_millis(200);

/// What answers requests.
#[derive(Clone)]
pub(super) struct Answers {
    /// On connections that may be open.
    pub(super) usual: Router,
    /// On those beyond.
    pub(super) crowded: Router,
}

/// All connections of this process.
pub(super) struct Connections {
    open: Arc<Semaphore>,
    most: u32,
    closing: watch::Sender<bool>,
    accepting: AbortHandle,
}

impl Connections {
    /// Accepts connections until [`Self::close`].
    pub(super) fn accept(listener: TcpListener, answers: Answers, limits: ConnectionsConfig) -> Self {
        let open = Arc::new(Semaphore::new(usize::try_from(limits.at_once).unwrap_or(usize::MAX)));
        let (closing, told) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, answers, limits, Arc::clone(&open), told));
        Self { open, most: limits.at_once, closing, accepting: accepting.abort_handle() }
    }

    /// What accepts them, which ends when it is told to.
    pub(super) fn accepting(&self) -> AbortHandle {
        self.accepting.clone()
    }

    /// Accepts no more, and closes those that wait for their next request. The others end with their answers.
    pub(super) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Waits until all are closed.
    pub(super) async fn closed(&self) {
        // Each holds a permit, so this waits for every one of them.
        let _ = self.open.acquire_many(self.most).await;
    }
}

async fn accept(
    listener: TcpListener,
    answers: Answers,
    limits: ConnectionsConfig,
    open: Arc<Semaphore>,
    mut closing: watch::Receiver<bool>,
) {
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY_AT_ONCE));
    loop {
        let stream = tokio::select! {
            stream = next(&listener) => stream,
            _ = closing.wait_for(|closing| *closing) => return,
        };
        // Events are small and must not wait for each other.
        let _ = stream.set_nodelay(true);
        let (router, permit) = match Arc::clone(&open).try_acquire_owned() {
            Ok(permit) => (answers.usual.clone(), permit),
            Err(_) => match Arc::clone(&turned_away).acquire_owned().await {
                Ok(permit) => (answers.crowded.clone(), permit),
                Err(_) => return,
            },
        };
        tokio::spawn(converse(stream, router, limits, closing.clone(), permit));
    }
}

/// The next connection, however often it takes.
async fn next(listener: &TcpListener) -> TcpStream {
    let mut failing = false;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_clients(&error) => {}
            Err(error) => {
                if !failing {
                    tracing::error!("no connection can be accepted for now: {error}");
                }
                failing = true;
                sleep(PAUSE).await;
            }
        }
    }
}

/// Whether the client was gone before it was accepted.
fn is_clients(error: &Error) -> bool {
    let gone = [ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset, ErrorKind::ConnectionRefused];
    gone.contains(&error.kind())
}

/// Answers the requests of one connection until it ends.
async fn converse(
    stream: TcpStream,
    router: Router,
    limits: ConnectionsConfig,
    mut closing: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
) {
    let asked = Arc::new(AtomicBool::new(false));
    let service = service_fn({
        let asked = Arc::clone(&asked);
        move |request: Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            router.clone().oneshot(request)
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        // It counts from the last answer's end on, so it is what an idle connection gets, too.
        .header_read_timeout(Duration::from_secs(limits.idle_seconds))
        // Up to twice the limits, our own answer says what is wrong; beyond, a bare 431 does.
        .max_headers(limits.head_fields.saturating_mul(2))
        .max_header_size(limits.head_bytes.saturating_mul(2))
        // What is read at once, and what waits to be written: a head must fit.
        .max_buf_size(BUFFER_BYTES.max(limits.head_bytes.saturating_mul(2)));
    let stream = Unread::new(stream, Duration::from_secs(limits.unread_seconds));
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let mut first_head = pin!(sleep(Duration::from_secs(limits.head_seconds)));
    let (mut waits_for_first, mut stays) = (true, true);
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!("a connection ended: {error}");
                }
                return;
            }
            () = first_head.as_mut(), if waits_for_first => {
                if !asked.load(Ordering::Relaxed) {
                    return;
                }
                waits_for_first = false;
            }
            _ = closing.wait_for(|closing| *closing), if stays => {
                connection.as_mut().graceful_shutdown();
                stays = false;
                if !asked.load(Ordering::Relaxed) {
                    first_head.as_mut().reset(Instant::now() + LAST_HEAD);
                    waits_for_first = true;
                }
            }
        }
    }
}
