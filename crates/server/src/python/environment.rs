//! A Python environment: a folder with exactly the packages of a lock file.
//!
//! Made with Python's own `venv` and `pip`, by hash. A faster installer is one more thing to fetch, and saves a
//! quarter of a minute once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::fs;
use tokio::process::Command;

use super::command::{Output, run};
use super::progress::{Listener, step};

/// A Python environment in a folder of ours.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The folder, which is removed and made anew where it is of another version.
    pub folder: PathBuf,
    /// The packages with their hashes, as pip reads them.
    pub lock: &'static str,
    /// A requirements file of the operator's: packages that come on top, with what they need, by their names alone.
    pub more: Option<PathBuf>,
    /// What it is for.
    pub purpose: Purpose,
}

/// What an environment is for, in words.
#[derive(Clone, Copy, Debug)]
pub struct Purpose {
    /// Such as "the built-in model's engine".
    pub name: &'static str,
    /// What is installed, with its licence and size.
    pub contents: &'static str,
    /// What to do without it: "configure an upstream instead".
    pub otherwise: &'static str,
    /// The oldest Python that its packages support.
    pub python: (u32, u32),
}

const INSTALLING: Duration = Duration::from_secs(30 * 60);
const MAKING: Duration = Duration::from_secs(5 * 60);

impl Environment {
    /// Its Python.
    pub fn python(&self) -> PathBuf {
        self.folder.join("bin/python")
    }

    /// The folder of its packages, if it has been made.
    pub fn packages(&self) -> Option<PathBuf> {
        let versions = std::fs::read_dir(self.folder.join("lib")).ok()?.flatten();
        versions.map(|version| version.path().join("site-packages")).find(|packages| packages.is_dir())
    }

    fn marker(&self) -> PathBuf {
        self.folder.join("installed.lock")
    }

    /// What is to be installed: it is written down once it is.
    fn contents(&self) -> std::io::Result<String> {
        let more = self.more.as_ref().map(std::fs::read_to_string).transpose()?;
        Ok(format!("{}{}", self.lock, more.unwrap_or_default()))
    }

    /// Whether it is there with the packages of this version of Adjutant.
    pub fn is_ready(&self) -> bool {
        let contents = self.contents().ok();
        let installed = std::fs::read_to_string(self.marker()).ok();
        contents.is_some() && installed == contents && self.python().exists()
    }

    /// Makes it, anew where it is of another version or was left half made.
    ///
    /// # Errors
    /// Where Python, the network or the disk do not serve, in words and with the remedy.
    pub async fn prepare(&self, listener: Listener<'_>) -> anyhow::Result<()> {
        if self.is_ready() {
            return Ok(());
        }
        if self.folder.exists() {
            let old = fs::remove_dir_all(&self.folder).await;
            old.with_context(|| format!("could not remove the old folder {}", self.folder.display()))?;
        }
        let contents = self.contents().context("could not read the file of further packages")?;
        step(listener, format!("Making a Python environment for {}.", self.purpose.name));
        self.check_python().await?;
        self.make().await?;
        step(listener, format!("Installing {}.", self.purpose.contents));
        self.install().await?;
        let marked = fs::write(self.marker(), contents).await;
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
        fs::write(&list, self.lock).await.with_context(|| format!("could not write {}", list.display()))?;
        let mut pip = self.pip("install");
        pip.args(["--no-deps", "--only-binary=:all:", "--require-hashes", "-r"]).arg(&list);
        let installed = run(&mut pip, INSTALLING).await?;
        self.pip_must_succeed(&installed, &format!("could not install {}", self.purpose.name))?;
        let Some(more) = &self.more else { return Ok(()) };
        let mut pip = self.pip("install");
        pip.args(["--only-binary=:all:", "-r"]).arg(more);
        let installed = run(&mut pip, INSTALLING).await?;
        self.pip_must_succeed(&installed, &format!("could not install what {} lists", more.display()))
    }

    /// Fetches one package by hash into a folder. It is not installed.
    ///
    /// # Errors
    /// Where it cannot be had, in words.
    pub async fn download(&self, requirement: &str, to: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(to).await.with_context(|| format!("could not make {}", to.display()))?;
        let list = to.join("requirements.lock");
        fs::write(&list, requirement).await.with_context(|| format!("could not write {}", list.display()))?;
        let mut pip = self.pip("download");
        pip.args(["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--require-hashes", "-r"]).arg(&list);
        // It is read as data, so the build for any machine will do.
        pip.args(["--platform", "manylinux_2_17_x86_64"]).arg("--dest").arg(to);
        let downloaded = run(&mut pip, INSTALLING).await?;
        self.pip_must_succeed(&downloaded, "could not fetch a part of the model")
    }

    fn pip(&self, what: &str) -> Command {
        let mut command = Command::new(self.python());
        command.args(["-m", "pip", what, "--quiet", "--no-input", "--disable-pip-version-check"]);
        command.args(["--progress-bar", "off"]);
        command
    }

    async fn check_python(&self) -> anyhow::Result<()> {
        let Purpose { name, otherwise, python: (major, minor), .. } = self.purpose;
        let remedy = format!(
            "Python {major}.{minor} or newer is needed for {name}. On Debian and Ubuntu: apt-get install python3 \
             python3-venv. Then start again, or {otherwise}."
        );
        let check = format!("import sys; sys.exit(sys.version_info < ({major}, {minor}))");
        let checked = run(Command::new("python3").args(["-c", &check]), MAKING).await;
        let checked = checked.with_context(|| remedy.clone())?;
        ensure!(checked.succeeded, remedy);
        Ok(())
    }

    fn pip_must_succeed(&self, ran: &Output, what: &str) -> anyhow::Result<()> {
        if ran.succeeded {
            return Ok(());
        }
        let text = &ran.text;
        if text.contains("No space left") {
            bail!("{what}: the disk is full. Make room and start again.");
        }
        if text.contains("No matching distribution") {
            bail!(
                "{what}: there is no build of it for this machine, or the package registry cannot be reached. Or \
                 {}. pip says:\n{text}",
                self.purpose.otherwise
            );
        }
        bail!("{what}. Is the package registry reachable? pip says:\n{text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_ready_for_exactly_what_is_asked_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let more = folder.path().join("more.txt");
        let purpose =
            Purpose { name: "tests", contents: "nothing", otherwise: "do without", python: (3, 10) };
        let environment =
            |lock, more| Environment { folder: folder.path().join("python"), lock, more, purpose };
        let mut made = environment("a==1\n", Some(more.clone()));
        assert!(!made.is_ready());
        std::fs::create_dir_all(folder.path().join("python/bin")).unwrap();
        std::fs::write(made.python(), "").unwrap();
        std::fs::write(&more, "b\n").unwrap();
        std::fs::write(made.marker(), "a==1\nb\n").unwrap();
        assert!(made.is_ready());
        assert!(!environment("a==2\n", Some(more.clone())).is_ready(), "another version");
        assert!(!environment("a==1\n", None).is_ready(), "no longer on top");
        std::fs::write(&more, "b\nc\n").unwrap();
        assert!(!made.is_ready(), "more on top");
        made.more = Some(folder.path().join("missing.txt"));
        assert!(!made.is_ready());
    }
}
