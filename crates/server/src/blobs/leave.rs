//! Leave to delete blobs of a folder: nobody has it while a copy of the folder is being made, so that all that the
//! copied database names is still there when its turn comes.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Leave to delete, or the certainty that nobody else has it. It ends when this is dropped, or the process is.
#[derive(Debug)]
pub struct Leave {
    _file: Option<File>,
}

impl Leave {
    pub(super) fn always() -> Self {
        Self { _file: None }
    }

    /// Leave to delete; several processes may have it.
    pub(super) fn ask(folder: &Path) -> anyhow::Result<Option<Self>> {
        let file = open(folder)?;
        match file.try_lock_shared() {
            Ok(()) => Ok(Some(Self { _file: Some(file) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).context("could not lock the files' folder"),
        }
    }

    /// Waits until nobody deletes from this folder of blobs, and keeps everybody from it.
    ///
    /// # Errors
    /// Where the folder cannot be locked.
    pub fn withhold(folder: &Path) -> anyhow::Result<Self> {
        let file = open(folder)?;
        file.lock().context("could not lock the files' folder")?;
        Ok(Self { _file: Some(file) })
    }
}

/// Beside the folder: within it there are blobs alone. Opened for reading where it is there, since it may be another
/// user's who took a backup first.
fn open(folder: &Path) -> anyhow::Result<File> {
    let path: PathBuf = folder.with_extension("lock");
    let opened = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            OpenOptions::new().write(true).create(true).truncate(false).open(&path)
        }
        opened => opened,
    };
    opened.with_context(|| format!("could not use `{}`", path.display()))
}
