//! The least that Adjutant's libraries hold for a stream: hyper for its client, reqwest for its model, and nothing
//! between them. What Adjutant takes beyond this is its own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, anyhow};
use axum::body::{Body, Bytes, to_bytes};
use futures_util::{Stream, StreamExt as _, stream};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::process::KEEPALIVE_SECONDS;
use crate::upstream::{first_half, serve_with};

/// As Adjutant's, so that the same is waited for.
const KEEPALIVE: Duration = Duration::from_secs(KEEPALIVE_SECONDS);

const LONGEST_BYTES: usize = 1 << 20;

/// Prints the port and serves until standard input closes. Without an upstream it begins an answer itself, which never
/// ends: what a process holds whose runs are at work in another.
pub(crate) async fn serve(upstream: Option<SocketAddr>) -> Result<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow!("another cryptographic library was installed first"))?;
    let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?;
    serve_with(async |listener| accept(listener, &client, upstream).await).await
}

async fn accept(listener: TcpListener, client: &reqwest::Client, upstream: Option<SocketAddr>) -> Result<()> {
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(converse(socket, client.clone(), upstream));
    }
}

async fn converse(socket: TcpStream, client: reqwest::Client, upstream: Option<SocketAddr>) {
    let service = service_fn(move |request| answer(request, client.clone(), upstream));
    // A client that goes away is no concern of ours.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

async fn answer(
    request: Request<Incoming>,
    client: reqwest::Client,
    upstream: Option<SocketAddr>,
) -> Result<Response<Body>> {
    let Some(upstream) = upstream else {
        let pieces = stream::iter(first_half()).map(Bytes::from).chain(stream::pending());
        return Ok(Response::new(Body::from_stream(kept_alive(pieces))));
    };
    let url = format!("http://{upstream}{}", request.uri().path());
    let body = to_bytes(Body::new(request.into_body()), LONGEST_BYTES).await?;
    let response = client.post(url).body(body).send().await?;
    let pieces = response.bytes_stream().filter_map(async |piece| piece.ok()).boxed();
    Ok(Response::new(Body::from_stream(kept_alive(pieces))))
}

/// The pieces, and a comment where none comes for a while.
fn kept_alive(
    pieces: impl Stream<Item = Bytes> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    stream::unfold(Box::pin(pieces), async |mut pieces| {
        let piece = match timeout(KEEPALIVE, pieces.next()).await {
            Err(_) => Bytes::from_static(b": keep-alive\n"),
            Ok(piece) => piece?,
        };
        Some((Ok(piece), pieces))
    })
}
