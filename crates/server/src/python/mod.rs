//! Python environments of this server's own, each in a folder, each with exactly the packages of a lock file.

mod command;
mod environment;
mod progress;

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

pub use environment::{Environment, Purpose};
pub use progress::{Listener, Progress, step};

/// A lock on a folder, as long as it is kept: two servers do not prepare in one folder at once. The kernel
/// releases the lock of a process that ends. `what` says in words what is prepared.
///
/// # Errors
/// Where the folder cannot be made or written.
pub async fn lock(folder: &Path, what: &str, listener: Listener<'_>) -> anyhow::Result<File> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("could not make the folder {}", folder.display()))?;
    let path = folder.join("preparing.lock");
    let file = File::create(&path).with_context(|| format!("could not write {}", path.display()))?;
    if file.try_lock().is_err() {
        step(listener, format!("Another Adjutant is fetching {what}; waiting for it."));
    }
    while file.try_lock().is_err() {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(file)
}
