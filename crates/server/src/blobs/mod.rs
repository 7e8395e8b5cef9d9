//! Bytes under random keys: in a folder of the data folder, or in an S3 bucket. Streamed both ways, never whole in
//! memory, and never under a name that a client chose.
//!
//! A key is written once. What is under it is there whole or not at all; in the folder it is on disk by then.

mod incoming;
mod leave;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientOptions, GetResultPayload, ObjectStore, ObjectStoreExt, RetryConfig};
use tokio::io::AsyncReadExt;

pub use incoming::Incoming;
pub use leave::Leave;

use crate::config::{Config, aws_variables};
use crate::crash_point;

/// What is read from a file at once.
const PIECE_BYTES: usize = 256 << 10;

/// A request to S3 that is not answered is tried again so long.
const S3_PATIENCE: Duration = Duration::from_secs(60);

/// How long S3 may be silent within an answer.
const S3_SILENCE: Duration = Duration::from_secs(30);

/// The blob store. Cheap to clone.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Folder(PathBuf),
    /// The bucket's URL, and what its keys begin with.
    Bucket(String, Path),
}

/// What is under a key, piece by piece.
pub type Content = BoxStream<'static, anyhow::Result<Bytes>>;

impl Blobs {
    /// Opens the store that the settings name, without asking it anything; a folder is made.
    ///
    /// # Errors
    /// Where the folder cannot be made, or S3 cannot be reached by these settings.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        if config.blobs.is_empty() {
            open_folder(config.data.join("blobs"))
        } else {
            open_bucket(&config.blobs)
        }
    }

    /// Where the bytes are.
    pub fn in_words(&self) -> String {
        match &self.place {
            Place::Folder(folder) => format!("the folder `{}`", folder.display()),
            Place::Bucket(url, _) => format!("`{url}`"),
        }
    }

    /// Writes something under a new key, reads it and deletes it again, whatever came of the reading.
    ///
    /// # Errors
    /// Where one of these is refused or not answered.
    pub async fn check(&self, key: &str) -> anyhow::Result<()> {
        let refused = |what: &str| format!("could not {what} in {}", self.in_words());
        let mut incoming = self.write(key);
        incoming.write(Bytes::from_static(b"Adjutant was here.")).await?;
        incoming.finish().await.with_context(|| refused("write a file"))?;
        let read = self.read(key).await.with_context(|| refused("read a file"));
        self.delete(key).await.with_context(|| refused("delete a file"))?;
        ensure!(read?.is_some(), "what was written in {} is not there", self.in_words());
        Ok(())
    }

    /// Whether the store answers at all.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn answers(&self) -> anyhow::Result<()> {
        if let Place::Folder(folder) = &self.place {
            return tokio::fs::metadata(folder).await.map(drop).map_err(anyhow::Error::new);
        }
        // Nothing is under this key. To be told so is an answer.
        match self.store.head(&self.path("none")).await {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(told(&error)),
        }
    }

    /// Begins to write under a new key.
    pub fn write(&self, key: &str) -> Incoming {
        Incoming::new(Arc::clone(&self.store), self.path(key), self.chunk_bytes())
    }

    /// The most that is in memory of a blob that is being written, in bytes.
    pub fn incoming_bytes(&self) -> usize {
        2 * self.chunk_bytes()
    }

    fn chunk_bytes(&self) -> usize {
        match &self.place {
            Place::Folder(_) => 1 << 20,
            // The least that S3 takes as a part, of which it takes 10,000.
            Place::Bucket(..) => 5 << 20,
        }
    }

    /// What is under a key; `None` where nothing is.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn read(&self, key: &str) -> anyhow::Result<Option<Content>> {
        crash_point::reach("before a blob is read");
        let got = self.store.get(&self.path(key)).await;
        crash_point::reach("after a blob was found");
        let found = match got {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(told(&error).context(format!("could not read the blob `{key}`"))),
        };
        Ok(Some(match found.payload {
            GetResultPayload::File(file, _) => pieces(tokio::fs::File::from_std(file)),
            GetResultPayload::Stream(pieces) => pieces.map_err(|error| told(&error)).boxed(),
        }))
    }

    /// Leave to delete, which is to be kept as long as anything is deleted. None while a copy of the folder is made.
    ///
    /// # Errors
    /// Where the folder cannot be locked.
    pub fn leave_to_delete(&self) -> anyhow::Result<Option<Leave>> {
        match &self.place {
            Place::Folder(folder) => Leave::ask(folder),
            Place::Bucket(..) => Ok(Some(Leave::always())),
        }
    }

    /// Deletes what is under a key, half-written or whole, if anything is.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn delete(&self, key: &str) -> anyhow::Result<()> {
        crash_point::reach("before a blob is deleted");
        let deleted = match &self.place {
            // What a process left half-written when it died stands beside the file, in the key's own folder.
            Place::Folder(folder) => match tokio::fs::remove_dir_all(shelf(folder, key)).await {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                deleted => deleted.map_err(anyhow::Error::new),
            },
            Place::Bucket(..) => match self.store.delete(&self.path(key)).await {
                Err(object_store::Error::NotFound { .. }) => Ok(()),
                deleted => deleted.map_err(|error| told(&error)),
            },
        };
        crash_point::reach("after a blob was deleted");
        deleted.with_context(|| format!("could not delete the blob `{key}`"))
    }

    fn path(&self, key: &str) -> Path {
        match &self.place {
            Place::Folder(_) => Path::from_iter([shelf_name(key), key, "bytes"]),
            Place::Bucket(_, prefix) => prefix.clone().join(key),
        }
    }
}

/// An error of the store. It says in its own words what was behind it, so the chain is left out.
fn told(error: &object_store::Error) -> anyhow::Error {
    anyhow!("{error}")
}

/// Where in a folder of blobs the file `bytes` of a key is: in a folder of folders by their first two digits, so that
/// none grows too long.
pub fn shelf(folder: &std::path::Path, key: &str) -> PathBuf {
    folder.join(shelf_name(key)).join(key)
}

fn shelf_name(key: &str) -> &str {
    key.get(..2).unwrap_or(key)
}

fn open_folder(folder: PathBuf) -> anyhow::Result<Blobs> {
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("could not create the folder `{}`", folder.display()))?;
    let store = LocalFileSystem::new_with_prefix(&folder)
        .with_context(|| format!("could not open the folder `{}`", folder.display()))?
        .with_fsync(true);
    Ok(Blobs { store: Arc::new(store), place: Place::Folder(folder) })
}

fn open_bucket(url: &str) -> anyhow::Result<Blobs> {
    let (bucket, prefix) = bucket_and_prefix(url);
    ensure!(!bucket.is_empty(), "`blobs` names no bucket: write s3://bucket or s3://bucket/prefix");
    let prefix = Path::parse(prefix).with_context(|| format!("the prefix of `{url}` cannot be used"))?;
    let store =
        s3(bucket).with_context(|| format!("S3 cannot be used for `{url}` as AWS_* variables say"))?;
    Ok(Blobs { store: Arc::new(store), place: Place::Bucket(url.to_owned(), prefix) })
}

fn bucket_and_prefix(url: &str) -> (&str, &str) {
    let path = url.strip_prefix("s3://").unwrap_or(url).trim_end_matches('/');
    path.split_once('/').unwrap_or((path, ""))
}

/// S3 as the variables say that AWS's own tools know: keys, region, endpoint. Without keys, the machine's role.
fn s3(bucket: &str) -> object_store::Result<AmazonS3> {
    let mut without_tls = false;
    let mut builder = AmazonS3Builder::new();
    for (name, value) in aws_variables() {
        let Ok(key) = name.to_lowercase().parse::<AmazonS3ConfigKey>() else { continue };
        let is_endpoint = matches!(key, AmazonS3ConfigKey::Endpoint | AmazonS3ConfigKey::S3Endpoint);
        without_tls |= is_endpoint && value.starts_with("http://");
        builder = builder.with_config(key, value);
    }
    let client = ClientOptions::new()
        // An endpoint without TLS is taken only where the operator wrote it so.
        .with_allow_http(without_tls)
        .with_timeout_disabled()
        .with_read_timeout(S3_SILENCE);
    let retries = RetryConfig { max_retries: 5, retry_timeout: S3_PATIENCE, ..RetryConfig::default() };
    builder.with_bucket_name(bucket).with_client_options(client).with_retry(retries).build()
}

fn pieces(file: tokio::fs::File) -> Content {
    let next = |mut file: tokio::fs::File| async move {
        let mut piece = BytesMut::with_capacity(PIECE_BYTES);
        let read = file.read_buf(&mut piece).await.context("could not read a blob")?;
        Ok((read > 0).then(|| (piece.freeze(), file)))
    };
    stream::try_unfold(file, next).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::hex;

    async fn whole(blobs: &Blobs, key: &str) -> Option<Vec<u8>> {
        let content = blobs.read(key).await.unwrap()?;
        let pieces: Vec<Bytes> = content.try_collect().await.unwrap();
        Some(pieces.concat())
    }

    fn files_in(folder: &std::path::Path) -> usize {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| if path.is_dir() { files_in(&path) } else { 1 }).sum()
    }

    #[tokio::test]
    async fn what_was_written_is_read_whole_and_then_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = open_folder(folder.path().to_owned()).unwrap();
        for length in [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_000] {
            let bytes: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let key = hex();
            let mut incoming = blobs.write(&key);
            for piece in bytes.chunks(300_007) {
                incoming.write(Bytes::copy_from_slice(piece)).await.unwrap();
            }
            assert!(blobs.read(&key).await.unwrap().is_none(), "it is not there before it is whole");
            incoming.finish().await.unwrap();
            assert!(whole(&blobs, &key).await.unwrap() == bytes, "{length} bytes came back as others");
            blobs.delete(&key).await.unwrap();
            blobs.delete(&key).await.unwrap();
            assert!(blobs.read(&key).await.unwrap().is_none());
        }
        assert_eq!(files_in(folder.path()), 0);
    }

    #[tokio::test]
    async fn what_was_left_half_written_can_be_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = open_folder(folder.path().to_owned()).unwrap();
        let mut incoming = blobs.write("abcdef");
        incoming.write(Bytes::from(vec![0; 3 << 20])).await.unwrap();
        assert_eq!(files_in(folder.path()), 1);
        // As if the process had died: nothing of it runs any more.
        std::mem::forget(incoming);
        blobs.delete("abcdef").await.unwrap();
        assert_eq!(files_in(folder.path()), 0);
    }

    #[test]
    fn a_bucket_may_have_a_prefix() {
        assert_eq!(bucket_and_prefix("s3://bucket"), ("bucket", ""));
        assert_eq!(bucket_and_prefix("s3://bucket/"), ("bucket", ""));
        assert_eq!(bucket_and_prefix("s3://bucket/a/b/"), ("bucket", "a/b"));
    }
}
