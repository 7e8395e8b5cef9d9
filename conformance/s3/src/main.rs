//! An S3 server over a folder, on loopback, with one key: `s3-for-tests FOLDER KEY SECRET`. Says its address on
//! the first line. Ends with its standard input, so that it never outlives whoever started it.

use std::convert::Infallible;
use std::io::Write;

use anyhow::{Context, anyhow};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, key, secret] = arguments.as_slice() else {
        return Err(anyhow!("usage: s3-for-tests FOLDER KEY SECRET"));
    };
    let files = FileSystem::new(folder).map_err(|error| anyhow!("cannot serve `{folder}`: {error:?}"))?;
    let mut service = S3ServiceBuilder::new(files);
    service.set_auth(SimpleAuth::from_single(key, secret.as_str()));
    let listener = TcpListener::bind("127.0.0.1:0").await.context("could not listen")?;
    writeln!(std::io::stdout(), "http://{}", listener.local_addr()?)?;
    let mut ended = [0];
    tokio::select! {
        never = serve(listener, service.build()) => match never? {},
        _ = async { while tokio::io::stdin().read(&mut ended).await.is_ok_and(|read| read > 0) {} } => Ok(()),
    }
}

async fn serve(listener: TcpListener, service: S3Service) -> anyhow::Result<Infallible> {
    loop {
        let (connection, _) = listener.accept().await?;
        let service = service.clone();
        tokio::spawn(async move {
            // A client that breaks off is no concern of ours.
            let _ =
                Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(connection), service).await;
        });
    }
}
