//! What running code takes: walls that hold, and packages.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use adjutant_sandbox::python::{Engine, Native, NativeSettings, SessionLimits, prove};
use anyhow::{Context, anyhow, ensure};
use tokio::process::Command;

use crate::config::{CodeEngine, CodeInterpreterConfig};
use crate::python::{self, Environment, Listener, Purpose, step};

/// The settings, and the environment that they name.
pub struct Setup {
    pub(super) config: CodeInterpreterConfig,
    folder: PathBuf,
    environment: Environment,
}

impl Setup {
    /// Starts nothing. `data` is the data folder.
    pub fn new(config: &CodeInterpreterConfig, data: &Path) -> Self {
        let folder = match config.folder.as_str() {
            "" => data.join("code-interpreter"),
            folder => PathBuf::from(folder),
        };
        let more = Some(config.requirements.as_str()).filter(|path| !path.is_empty()).map(PathBuf::from);
        Self { config: config.clone(), environment: environment(&folder, more), folder }
    }

    /// Says in words whether code can be run here.
    pub async fn check(&self) -> String {
        if self.config.engine == CodeEngine::Off {
            return "Runs no code: code_interpreter.engine is \"off\".".to_owned();
        }
        // Nothing is left in the data folder, and nobody else can have put anything into this one.
        let folder = match tempfile::tempdir() {
            Ok(folder) => folder,
            Err(fault) => return format!("Runs no code: no folder could be made for trying: {fault}"),
        };
        match self.proven(folder.path().to_owned(), None).await {
            Ok(_) => {
                let packages = if self.environment.is_ready() {
                    "are installed"
                } else {
                    "are installed with the first start"
                };
                format!(
                    "Runs code with the engine \"native\": Python behind bubblewrap's walls, each of which was attacked and \
                     held. Its packages {packages}."
                )
            }
            Err(fault) => format!("Runs no code: {fault:#}"),
        }
    }

    /// Proves the walls, makes the environment where that was not done before, and gives the engine.
    pub(super) async fn engine(&self, listener: Listener<'_>) -> anyhow::Result<Arc<dyn Engine>> {
        if !self.environment.is_ready() {
            // Where there are no walls, no packages are needed.
            self.proven(self.folder.clone(), None).await?;
            let _alone = python::lock(&self.folder, "the packages of the code interpreter", listener).await?;
            self.environment.prepare(listener).await?;
            self.show_to_all().await?;
            step(listener, "The code interpreter is ready.");
        }
        let packages =
            self.environment.packages().context("the packages of the code interpreter are gone")?;
        Ok(Arc::new(self.proven(self.folder.clone(), Some(packages)).await?))
    }

    /// An engine whose walls were attacked and held.
    async fn proven(&self, folder: PathBuf, packages: Option<PathBuf>) -> anyhow::Result<Native> {
        let limits = SessionLimits {
            memory_bytes: self.config.memory_mb << 20,
            disk_bytes: self.config.disk_mb << 20,
            cpu_seconds: self.config.cpu_seconds,
        };
        let python = if packages.is_some() { self.environment.python() } else { "python3".into() };
        let native = Native::new(NativeSettings { python, packages, folder, limits }).await;
        let native = native.map_err(|unstarted| anyhow!("{unstarted}"))?;
        prove(&native, &limits).await.map_err(|unproven| anyhow!("{unproven}"))?;
        Ok(native)
    }

    /// Lets everybody read the packages: code runs as nobody, and the server's own umask may forbid that.
    async fn show_to_all(&self) -> anyhow::Result<()> {
        let folder = &self.environment.folder;
        let mut command = Command::new("chmod");
        let status =
            command.args(["-R", "a+rX"]).arg(folder).status().await.context("could not run `chmod`")?;
        ensure!(status.success(), "could not let everybody read {}", folder.display());
        Ok(())
    }
}

fn environment(folder: &Path, more: Option<PathBuf>) -> Environment {
    Environment {
        folder: folder.join("python"),
        lock: include_str!("requirements.lock"),
        more,
        purpose: Purpose {
            name: "the code interpreter",
            contents: "numpy, pandas, matplotlib, scipy, scikit-learn and others for the code interpreter (150 MB, free \
                       licences)",
            otherwise: "switch the code interpreter off with code_interpreter.engine = \"off\"",
            python: (3, 11),
        },
    }
}
