//! The built-in models: OpenAI-compatible servers more, which we prepare, start, watch and stop ourselves.
//!
//! Each is a process of its own, so that its crash is not ours and its memory goes when it idles.

mod catalogue;
mod code;
mod engine;
mod fetch;
mod recipe;
#[cfg(test)]
mod tests;
mod weights;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

pub use crate::python::{Listener, Progress};
pub use catalogue::E5_SMALL;
pub use code::help_with_code;
pub use recipe::{CHAT, EMBEDDING, Recipe};
pub use weights::Weights;

use crate::python::{self, Environment};
use engine::{Engine, Plan};
use weights::Store;

/// How a built-in model is run.
#[derive(Clone, Debug)]
pub struct LocalModelSettings {
    /// What it is made of.
    pub recipe: &'static Recipe,
    /// The data folder.
    pub data: PathBuf,
    /// Which model.
    pub weights: Weights,
    /// How much the model reads and writes at once. A longer request is refused with 400.
    pub context_tokens: u32,
    /// On busy cores one is fastest for a model that talks.
    pub threads: u32,
    /// The engine stops after so long without a question.
    pub idle: Duration,
}

/// A built-in model. Clones are the same model.
#[derive(Clone, Debug)]
pub struct LocalModel {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    recipe: &'static Recipe,
    folder: PathBuf,
    environment: Environment,
    weights: Store,
    plan: Plan,
    idle: Duration,
    /// Locked while the engine starts or stops, so that all who need it wait for the one start.
    running: Mutex<Running>,
    sessions: watch::Sender<Sessions>,
}

#[derive(Clone, Copy, Debug)]
struct Sessions {
    open: usize,
    /// When one last opened or closed.
    changed: Instant,
}

#[derive(Debug, Default)]
struct Running {
    engine: Option<Engine>,
    /// When it ended without being told to, or failed to start.
    crashes: Vec<Instant>,
}

/// As long as it lives, the engine is not stopped for idleness.
#[derive(Debug)]
pub struct Session {
    inner: Arc<Inner>,
    base_url: String,
    key: String,
}

const CRASH_WINDOW: Duration = Duration::from_secs(60);
const MOST_CRASHES: usize = 3;

impl LocalModel {
    /// Starts nothing.
    pub fn new(settings: LocalModelSettings) -> Self {
        let recipe = settings.recipe;
        let folder = settings.data.join(recipe.folder);
        let environment = recipe.environment(folder.join("python"));
        let weights = Store { folder: folder.join("weights"), weights: settings.weights };
        let plan = Plan {
            recipe,
            python: environment.python(),
            folder: folder.join("engine"),
            weights: weights.path(),
            model_name: weights.model_name(),
            context_tokens: settings.context_tokens,
            threads: settings.threads.max(1),
        };
        let (sessions, _) = watch::channel(Sessions { open: 0, changed: Instant::now() });
        let running = Mutex::default();
        let idle = settings.idle;
        let inner = Inner { recipe, folder, environment, weights, plan, idle, running, sessions };
        Self { inner: Arc::new(inner) }
    }

    /// The model's name, as its server lists it.
    pub fn name(&self) -> &str {
        &self.inner.plan.model_name
    }

    /// How much the model reads and writes at once.
    pub fn context_tokens(&self) -> u32 {
        self.inner.plan.context_tokens
    }

    /// Whether everything is there and checked. Looks at a few files, no more.
    pub fn is_prepared(&self) -> bool {
        self.inner.environment.is_ready() && self.inner.weights.is_ready()
    }

    /// Makes the environment and fetches the weights where that was not done before. What was fetched before
    /// it was interrupted is kept.
    ///
    /// # Errors
    /// Where Python, the network or the disk do not serve, in words and with the remedy.
    pub async fn prepare(&self, listener: Listener<'_>) -> anyhow::Result<()> {
        if self.is_prepared() {
            return Ok(());
        }
        let title = format!("the {}", self.inner.recipe.title);
        let _alone = python::lock(&self.inner.folder, &title, listener).await?;
        self.inner.environment.prepare(listener).await?;
        self.inner.weights.prepare(&self.inner.environment, listener).await
    }

    /// The running engine, started if it is not.
    ///
    /// # Errors
    /// Where the model is not prepared, or its engine does not start or keeps crashing.
    pub async fn open(&self) -> anyhow::Result<Session> {
        let inner = &self.inner;
        let mut running = inner.running.lock().await;
        running.bury_the_dead(inner.recipe.title);
        if running.engine.is_none() {
            self.start(&mut running).await?;
        }
        let Some(engine) = &running.engine else {
            bail!("the {}'s engine is not running", inner.recipe.title)
        };
        // Counted under the lock, so that the idle watcher does not stop it in between.
        inner.sessions.send_modify(|sessions| sessions.change(sessions.open + 1));
        Ok(Session { inner: inner.clone(), base_url: engine.base_url.clone(), key: engine.key.clone() })
    }

    async fn start(&self, running: &mut Running) -> anyhow::Result<()> {
        let title = self.inner.recipe.title;
        running.refuse_crash_loop(title)?;
        if !self.is_prepared() {
            bail!("The {title} is not on this machine yet. Start `adjutant serve` once to fetch it.");
        }
        let began = Instant::now();
        let engine = Engine::start(&self.inner.plan).await.inspect_err(|_| running.crashes.push(began))?;
        tracing::info!(seconds = began.elapsed().as_secs_f32(), "started the {title}");
        running.engine = Some(engine);
        tokio::spawn(stop_when_idle(self.clone()));
        Ok(())
    }

    /// Stops the engine if it runs. The next [`LocalModel::open`] starts it again.
    pub async fn stop(&self) {
        let mut running = self.inner.running.lock().await;
        if let Some(engine) = running.engine.take() {
            engine.stop().await;
        }
    }
}

impl Running {
    fn bury_the_dead(&mut self, title: &str) {
        if self.engine.as_ref().is_some_and(|engine| !engine.is_alive()) {
            let tail = self.engine.take().map(|engine| engine.log_tail()).unwrap_or_default();
            tracing::warn!("the {title} is started again.{tail}");
            self.crashes.push(Instant::now());
        }
    }

    fn refuse_crash_loop(&mut self, title: &str) -> anyhow::Result<()> {
        self.crashes.retain(|crash| crash.elapsed() < CRASH_WINDOW);
        if self.crashes.len() < MOST_CRASHES {
            return Ok(());
        }
        bail!(
            "The {title}'s engine failed {MOST_CRASHES} times within a minute; the server's log says why. \
             It is tried again in a while."
        )
    }
}

/// Ends with the engine that it watches over.
async fn stop_when_idle(model: LocalModel) {
    let mut sessions = model.inner.sessions.subscribe();
    // The sender lives in `model`, so waiting cannot fail.
    while let Ok(unused) = sessions.wait_for(|sessions| sessions.open == 0).await.map(|now| *now) {
        tokio::time::sleep_until(unused.changed + model.inner.idle).await;
        if model.stop_if_unused().await {
            return;
        }
    }
}

impl Sessions {
    fn change(&mut self, open: usize) {
        *self = Self { open, changed: Instant::now() };
    }
}

impl LocalModel {
    /// Whether the engine is stopped now.
    async fn stop_if_unused(&self) -> bool {
        let mut running = self.inner.running.lock().await;
        let sessions = *self.inner.sessions.borrow();
        if sessions.open > 0 || sessions.changed.elapsed() < self.inner.idle {
            return false;
        }
        if let Some(engine) = running.engine.take() {
            engine.stop().await;
            let Inner { recipe, idle, .. } = &*self.inner;
            tracing::info!("stopped the {}, which nobody has asked for {idle:?}", recipe.title);
        }
        true
    }
}

impl Session {
    /// Up to and with `/v1`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The bearer token that the engine accepts.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.inner.sessions.send_modify(|sessions| sessions.change(sessions.open.saturating_sub(1)));
    }
}
