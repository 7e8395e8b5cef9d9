//! The second engine: Python compiled to WebAssembly, where native walls cannot be built.

use std::path::PathBuf;

use adjutant_sandbox::python::SessionLimits;

#[cfg(feature = "wasm")]
pub(super) use built_in::{check, engine};
#[cfg(not(feature = "wasm"))]
pub(super) use left_out::{check, engine};

/// What it is made of.
#[cfg_attr(not(feature = "wasm"), expect(dead_code, reason = "nobody makes it then"))]
pub(super) struct Settings {
    /// The code interpreter's folder.
    pub(super) folder: PathBuf,
    /// The operator's list of further packages; those that are nothing but Python can be imported.
    pub(super) more: Option<PathBuf>,
    /// How much a session may use.
    pub(super) limits: SessionLimits,
}

#[cfg(not(feature = "wasm"))]
mod left_out {
    use std::sync::Arc;

    use adjutant_sandbox::python::Engine;
    use anyhow::bail;

    use super::Settings;
    use crate::python::Listener;

    const MISSING: &str = "this program was built without the engine \"wasm\"; `make run` builds it in";

    /// Says that there is none.
    ///
    /// # Errors
    /// Always.
    pub async fn check(_: &Settings) -> anyhow::Result<String> {
        bail!(MISSING)
    }

    /// Says that there is none.
    ///
    /// # Errors
    /// Always.
    pub async fn engine(_: &Settings, _: Listener<'_>) -> anyhow::Result<Arc<dyn Engine>> {
        bail!(MISSING)
    }
}

#[cfg(feature = "wasm")]
mod built_in {
    use std::sync::Arc;

    use adjutant_sandbox::python::{Engine, Wasm, WasmSettings, prove};
    use anyhow::{Context, anyhow};

    use super::Settings;
    use crate::python::{self, Environment, Listener, Purpose, step};

    impl Settings {
        fn environment(&self) -> Environment {
            Environment {
                folder: self.folder.join("wasm-python"),
                lock: include_str!("wasm.lock"),
                more: self.more.clone(),
                purpose: Purpose {
                    name: "the code interpreter",
                    contents: "Python with numpy, pandas, matplotlib, scipy, scikit-learn and others, for WebAssembly (120 MB, \
                               free licences)",
                    otherwise: "switch the code interpreter off with code_interpreter.engine = \"off\"",
                    python: (3, 9),
                },
            }
        }

        async fn wasm(&self, listener: Listener<'_>) -> anyhow::Result<Wasm> {
            let environment = self.environment();
            let packages = environment.packages().context("the packages of the code interpreter are gone")?;
            let settings = WasmSettings {
                // The file that this process runs, even if another has taken its name since.
                program: "/proc/self/exe".into(),
                arguments: vec!["python".into()],
                packages,
                folder: self.folder.join("wasm"),
                limits: self.limits,
            };
            let mut say = |what: &str| step(listener, what.to_owned());
            Wasm::new(settings, &mut say).await.map_err(|unstarted| anyhow!("{unstarted}"))
        }
    }

    /// Says in words what the engine is.
    ///
    /// # Errors
    /// Never, with this engine built in.
    pub async fn check(settings: &Settings) -> anyhow::Result<String> {
        let made = if settings.environment().is_ready() {
            "It is made."
        } else {
            "It is made with the first start, which takes two minutes on two idle cores."
        };
        Ok(format!("Python compiled to WebAssembly, in processes that enclose themselves. {made}"))
    }

    /// The engine, made where that was not done before, with walls that were attacked and held.
    ///
    /// # Errors
    /// Where it cannot be made here, in words.
    pub async fn engine(settings: &Settings, listener: Listener<'_>) -> anyhow::Result<Arc<dyn Engine>> {
        let _alone = python::lock(&settings.folder, "the packages of the code interpreter", listener).await?;
        settings.environment().prepare(listener).await?;
        let wasm = settings.wasm(listener).await?;
        prove(&wasm, &settings.limits).await.map_err(|unproven| anyhow!("{unproven}"))?;
        Ok(Arc::new(wasm))
    }
}
