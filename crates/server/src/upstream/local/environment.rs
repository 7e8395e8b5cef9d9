//! The engine's own Python environment: a folder with exactly the packages of its recipe.
//!
//! Made with Python's own `venv` and `pip`, by hash. There are one or two wheels to install, so a faster installer
//! would cost more to fetch than it saves.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::fs;
use tokio::process::Command;

use super::command::{Output, run};
use super::progress::{Listener, step};
use super::recipe::Recipe;

/// A Python environment in a folder of ours.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    folder: PathBuf,
    recipe: &'static Recipe,
}

const INSTALLING: Duration = Duration::from_secs(30 * 60);
const MAKING: Duration = Duration::from_secs(5 * 60);

/// Fails where Python is older than the oldest that the packages support.
const VERSION_CHECK: &str = "import sys; sys.exit(sys.version_info < (3, 10))";

impl Environment {
    pub(super) fn new(folder: PathBuf, recipe: &'static Recipe) -> Self {
        Self { folder, recipe }
    }

    pub(super) fn python(&self) -> PathBuf {
        self.folder.join("bin/python")
    }

    fn marker(&self) -> PathBuf {
        self.folder.join("installed.lock")
    }

    /// Whether it is there with the packages of this version of Adjutant.
    pub(super) fn is_ready(&self) -> bool {
        let packages = self.recipe.packages.as_bytes();
        let installed = std::fs::read(self.marker()).is_ok_and(|installed| installed == packages);
        installed && self.python().exists()
    }

    /// Makes it, anew where it is of another version or was left half made.
    pub(super) async fn prepare(&self, listener: Listener<'_>) -> anyhow::Result<()> {
        if self.is_ready() {
            return Ok(());
        }
        if self.folder.exists() {
            let old = fs::remove_dir_all(&self.folder).await;
            old.with_context(|| format!("could not remove the old folder {}", self.folder.display()))?;
        }
        let Recipe { title, engine, packages, .. } = self.recipe;
        step(listener, format!("Making a Python environment for the {title}'s engine."));
        check_python(title).await?;
        self.make().await?;
        step(listener, format!("Installing the engine, {engine}."));
        self.install().await?;
        let marked = fs::write(self.marker(), packages).await;
        marked.with_context(|| format!("could not write {}", self.marker().display()))
    }

    async fn make(&self) -> anyhow::Result<()> {
        let made = run(Command::new("python3").args(["-m", "venv"]).arg(&self.folder), MAKING).await?;
        if made.succeeded {
            return Ok(());
        }
        ensure!(
            !made.text.contains("ensurepip"),
            "Python cannot make environments here because its package `venv` is missing. On Debian and Ubuntu: \
             apt-get install python3-venv. Then start again."
        );
        bail!("`python3 -m venv {}` failed:\n{}", self.folder.display(), made.text)
    }

    async fn install(&self) -> anyhow::Result<()> {
        let list = self.folder.join("requirements.lock");
        fs::write(&list, self.recipe.packages)
            .await
            .with_context(|| format!("could not write {}", list.display()))?;
        let mut pip = self.pip("install");
        pip.args(["--no-deps", "--only-binary=:all:", "--require-hashes", "-r"]).arg(&list);
        let installed = run(&mut pip, INSTALLING).await?;
        pip_must_succeed(&installed, "could not install the engine")
    }

    /// Fetches one package by hash into a folder. It is not installed.
    pub(super) async fn download(&self, requirement: &str, to: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(to).await.with_context(|| format!("could not make {}", to.display()))?;
        let list = to.join("requirements.lock");
        fs::write(&list, requirement).await.with_context(|| format!("could not write {}", list.display()))?;
        let mut pip = self.pip("download");
        pip.args(["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--require-hashes", "-r"]).arg(&list);
        // It is read as data, so the build for any machine will do.
        pip.args(["--platform", "manylinux_2_17_x86_64"]).arg("--dest").arg(to);
        let downloaded = run(&mut pip, INSTALLING).await?;
        pip_must_succeed(&downloaded, "could not fetch a part of the model")
    }

    fn pip(&self, what: &str) -> Command {
        let mut command = Command::new(self.python());
        command.args(["-m", "pip", what, "--quiet", "--no-input", "--disable-pip-version-check"]);
        command.args(["--progress-bar", "off"]);
        command
    }
}

async fn check_python(title: &str) -> anyhow::Result<()> {
    let remedy = format!(
        "The {title} needs Python 3.10 or newer. On Debian and Ubuntu: apt-get install python3 python3-venv. Then \
         start again, or configure an upstream instead."
    );
    let checked = run(Command::new("python3").args(["-c", VERSION_CHECK]), MAKING).await;
    ensure!(checked.with_context(|| remedy.clone())?.succeeded, remedy);
    Ok(())
}

fn pip_must_succeed(ran: &Output, what: &str) -> anyhow::Result<()> {
    if ran.succeeded {
        return Ok(());
    }
    let text = &ran.text;
    if text.contains("No space left") {
        bail!("{what}: the disk is full. Make room and start again.");
    }
    if text.contains("No matching distribution") {
        bail!(
            "{what}: there is no build of it for this machine, or the package registry cannot be reached. \
             Configure an upstream instead. pip says:\n{text}"
        );
    }
    bail!("{what}. Is the package registry reachable? pip says:\n{text}")
}
