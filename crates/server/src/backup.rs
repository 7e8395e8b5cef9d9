//! A copy of a data folder that a server may be using, to be used as a data folder itself.
//!
//! The database is copied first, by SQLite and as of one moment, then the bytes that the copy names. A blob is written
//! once, before the row that names it, so all of them are there by then; and as long as the copy is being made nobody
//! deletes any ([`Leave`]). What the server writes meanwhile is not waited for and not in the copy.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use crate::blobs::{Leave, shelf};
use crate::store::{BlobMark, DatabaseCopy, NamedBlob};

const DATABASE: &str = "adjutant.db";
const BLOBS: &str = "blobs";

/// What a backup has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Taken {
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Files and parts of uploads.
    pub blobs: u64,
    /// How long they are together.
    pub blob_bytes: u64,
}

/// Copies the data folder `from` to the folder `to`, and makes sure that the copy is whole. `with_blobs` says that the
/// bytes of files are in the data folder. Where anything fails, `to` is not there.
///
/// # Errors
/// Where `to` has something in it, or anything cannot be read or written; in words.
pub async fn take(from: &Path, to: &Path, with_blobs: bool) -> anyhow::Result<Taken> {
    let database = from.join(DATABASE);
    ensure!(database.exists(), "there is no database in the folder `{}`", from.display());
    refuse_used(to)?;
    let part = begin(from, to)?;
    let taken = copy(from, &part, with_blobs).await;
    if taken.is_err() {
        // It is ours: nobody else's files are in a folder that we have just made.
        let _ = fs::remove_dir_all(&part);
    }
    let taken = taken?;
    fs::rename(&part, to).with_context(|| format!("could not make the folder `{}`", to.display()))?;
    sync(parent(to)?)?;
    Ok(taken)
}

fn refuse_used(to: &Path) -> anyhow::Result<()> {
    match fs::read_dir(to) {
        Ok(mut entries) => {
            let empty = entries.next().is_none();
            ensure!(empty, "the folder `{}` is not empty: name one that does not exist", to.display());
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("`{}` cannot be used", to.display())),
    }
}

/// The folder in which the copy grows, beside the one that it will be: half a copy is never taken for a whole one.
fn begin(from: &Path, to: &Path) -> anyhow::Result<PathBuf> {
    let name = to.file_name().with_context(|| format!("`{}` names no folder", to.display()))?;
    let parent = parent(to)?;
    fs::create_dir_all(parent).with_context(|| format!("could not create `{}`", parent.display()))?;
    let mut part_name = name.to_owned();
    part_name.push(".part");
    let part = parent.join(part_name);
    match fs::create_dir(&part) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!(
            "`{}` is there, from a backup that is being taken or was cut off: delete it if none is",
            part.display()
        ),
        Err(error) => return Err(error).with_context(|| format!("could not create `{}`", part.display())),
    }
    // Who may not look into the folder may not look into its copy.
    fs::set_permissions(&part, fs::metadata(from)?.permissions())?;
    Ok(part)
}

fn parent(to: &Path) -> anyhow::Result<&Path> {
    let parent = to.parent().with_context(|| format!("`{}` names no folder", to.display()))?;
    Ok(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

async fn copy(from: &Path, part: &Path, with_blobs: bool) -> anyhow::Result<Taken> {
    let _nobody_deletes = if with_blobs {
        let folder = from.join(BLOBS);
        Some(tokio::task::spawn_blocking(move || Leave::withhold(&folder)).await??)
    } else {
        None
    };
    let target = part.join(DATABASE);
    let mut database = DatabaseCopy::make(&from.join(DATABASE), &target).await?;
    database.check().await?;
    let mut taken = Taken::default();
    if with_blobs {
        let (from, to) = (from.join(BLOBS), part.join(BLOBS));
        fs::create_dir(&to)?;
        let mut mark = BlobMark::default();
        loop {
            let blobs = database.next_blobs(&mut mark).await?;
            if blobs.is_empty() {
                break;
            }
            taken.blobs += u64::try_from(blobs.len()).unwrap_or_default();
            taken.blob_bytes += blobs.iter().map(|blob| blob.bytes).sum::<u64>();
            let (from, to) = (from.clone(), to.clone());
            let copied = move || blobs.iter().try_for_each(|blob| copy_blob(&from, &to, blob));
            tokio::task::spawn_blocking(copied).await??;
        }
        sync_below(&to)?;
    }
    database.close().await?;
    fs::set_permissions(&target, fs::metadata(from.join(DATABASE))?.permissions())?;
    sync(&target)?;
    sync(part)?;
    taken.database_bytes = fs::metadata(&target)?.len();
    Ok(taken)
}

/// Blobs never change, so on one disk the copy is another name of the same bytes.
fn copy_blob(from: &Path, to: &Path, blob: &NamedBlob) -> anyhow::Result<()> {
    let (source, target) = (shelf(from, &blob.key).join("bytes"), shelf(to, &blob.key).join("bytes"));
    let failed = || format!("could not copy `{}`", source.display());
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).with_context(failed)?;
    }
    match fs::hard_link(&source, &target) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(error).with_context(failed),
        Err(_) => {
            fs::copy(&source, &target).with_context(failed)?;
            sync(&target)?;
        }
    }
    let found = fs::metadata(&target)?.len();
    ensure!(
        found == blob.bytes,
        "`{}` has {found} bytes, and the database says {}: it is damaged",
        source.display(),
        blob.bytes
    );
    Ok(())
}

/// The folders of blobs, so that their names are on disk.
fn sync_below(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_below(&entry.path())?;
        }
    }
    sync(folder)
}

fn sync(path: &Path) -> anyhow::Result<()> {
    let synced = fs::File::open(path).and_then(|file| file.sync_all());
    synced.with_context(|| format!("could not write `{}` to the disk", path.display()))
}
