//! What running code takes: an engine whose walls hold, and packages.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use adjutant_sandbox::python::{Engine, Native, NativeSettings, SessionLimits, prove};
use anyhow::{Context, anyhow, ensure};
use tokio::process::Command;

use super::wasm;
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
        Self { config: config.clone(), environment: environment(&folder, more(config)), folder }
    }

    /// Says in words whether code can be run here, by which engine, and why not by the other.
    pub async fn check(&self) -> String {
        match self.config.engine {
            CodeEngine::Off => "Runs no code: code_interpreter.engine is \"off\".".to_owned(),
            CodeEngine::Wasm => self.check_wasm("").await,
            CodeEngine::Native => match self.check_native().await {
                Ok(works) => works,
                Err(fault) => format!("Runs no code: {fault:#}"),
            },
            CodeEngine::Auto => match self.check_native().await {
                Ok(works) => works,
                Err(fault) => self.check_wasm(&format!(" Not natively: {fault:#}")).await,
            },
        }
    }

    async fn check_native(&self) -> anyhow::Result<String> {
        // Nothing is left in the data folder, and nobody else can have put anything into this one.
        let folder = tempfile::tempdir().context("no folder could be made for trying")?;
        self.proven(folder.path().to_owned(), None).await?;
        let packages =
            if self.environment.is_ready() { "are installed" } else { "are installed with the first start" };
        Ok(format!(
            "Runs code with the engine \"native\": Python behind bubblewrap's walls, each of which was attacked and held. \
             Its packages {packages}."
        ))
    }

    async fn check_wasm(&self, why: &str) -> String {
        match wasm::check(&self.wasm_settings()).await {
            Ok(works) => format!("Runs code with the engine \"wasm\": {works}{why}"),
            Err(fault) => format!("Runs no code: {fault:#}{why}"),
        }
    }

    /// Proves the walls, makes the environment where that was not done before, and gives the engine.
    pub(super) async fn engine(&self, listener: Listener<'_>) -> anyhow::Result<Arc<dyn Engine>> {
        match self.config.engine {
            CodeEngine::Off | CodeEngine::Native => self.native(listener).await,
            CodeEngine::Wasm => wasm::engine(&self.wasm_settings(), listener).await,
            CodeEngine::Auto => match self.native(listener).await {
                Ok(engine) => Ok(engine),
                Err(fault) => {
                    tracing::info!("code is run by WebAssembly, and not natively: {fault:#}");
                    let engine = wasm::engine(&self.wasm_settings(), listener).await;
                    engine.with_context(|| format!("not natively: {fault:#}"))
                }
            },
        }
    }

    async fn native(&self, listener: Listener<'_>) -> anyhow::Result<Arc<dyn Engine>> {
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
        let limits = self.limits();
        let python = if packages.is_some() { self.environment.python() } else { "python3".into() };
        let native = Native::new(NativeSettings { python, packages, folder, limits }).await;
        let native = native.map_err(|unstarted| anyhow!("{unstarted}"))?;
        prove(&native, &limits).await.map_err(|unproven| anyhow!("{unproven}"))?;
        Ok(native)
    }

    fn limits(&self) -> SessionLimits {
        SessionLimits {
            memory_bytes: self.config.memory_mb << 20,
            disk_bytes: self.config.disk_mb << 20,
            cpu_seconds: self.config.cpu_seconds,
        }
    }

    fn wasm_settings(&self) -> wasm::Settings {
        wasm::Settings { folder: self.folder.clone(), more: more(&self.config), limits: self.limits() }
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

/// The operator's list of further packages.
fn more(config: &CodeInterpreterConfig) -> Option<PathBuf> {
    Some(config.requirements.as_str()).filter(|path| !path.is_empty()).map(PathBuf::from)
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
