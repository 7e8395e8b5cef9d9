//! The server's parts, put together.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use adjutant_wire as wire;
use sha2::{Digest, Sha256};

use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::config::{Busy, Config, ConnectionsConfig};
use crate::files::Files;
use crate::health::Health;
use crate::runs::Engine;
use crate::search::{Ingest, Reader, Search};
use crate::store::{Project, Store};
use crate::tools::code_interpreter::CodeInterpreter;
use crate::upstream::Upstreams;

/// Everything that serves requests. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The database.
    pub store: Store,
    /// The clock.
    pub clock: Arc<Clock>,
    /// Files, in rows and in the blob store.
    pub files: Arc<Files>,
    /// What finds passages in vector stores.
    pub search: Arc<Search>,
    /// What brings files into vector stores.
    pub ingest: Arc<Ingest>,
    /// What runs programs of models.
    pub code: Arc<CodeInterpreter>,
    /// Runs.
    pub engine: Arc<Engine>,
    /// Models.
    pub upstreams: Arc<Upstreams>,
    /// Whether this process lives and can serve.
    pub health: Arc<Health>,
    /// Who may come in.
    pub keys: Arc<Keys>,
    /// What connections may take.
    pub connections: ConnectionsConfig,
    /// The longest request body.
    pub request_bytes: usize,
    /// The longest file that comes in one request.
    pub file_bytes: i64,
    /// Whether files may be downloaded whose purpose OpenAI gave nothing back of.
    pub download_uploads: bool,
    /// Whether the header that asks for version 2 must be there.
    pub require_beta_header: bool,
    /// Whether the Playground is shown to browsers.
    pub playground: bool,
    /// Whether threads can be listed, exported and imported over HTTP, which OpenAI's could not.
    pub thread_listing: bool,
    /// What becomes of requests that would add to a busy thread, unless they say it themselves.
    pub busy_threads: Busy,
    /// After so long without an event a stream sends a comment.
    pub keepalive: Duration,
}

impl App {
    /// Puts the parts together.
    ///
    /// # Errors
    /// Where the keys cannot be read, or are missing beyond loopback.
    pub fn new(config: &Config, store: Store, blobs: Blobs, upstreams: Upstreams) -> anyhow::Result<Self> {
        let clock = Arc::new(Clock::default());
        let health = Health::new(store.clone(), blobs.clone());
        let files = Files::new(store.clone(), blobs, Arc::clone(&clock), config.runs.lease());
        let upstreams = Arc::new(upstreams);
        let ingest = Ingest::new(
            store.clone(),
            Arc::clone(&clock),
            Arc::clone(&upstreams),
            Arc::clone(&files),
            Reader::new(config.search.read_at_once),
            config.search,
        );
        let search = Search::new(store.clone(), Arc::clone(&upstreams), &ingest, config.search);
        let code =
            CodeInterpreter::new(&config.code_interpreter, &config.data, store.clone(), Arc::clone(&files));
        let engine = Engine::new(
            store.clone(),
            Arc::clone(&files),
            Arc::clone(&clock),
            Arc::clone(&upstreams),
            Arc::clone(&search),
            Arc::clone(&code),
            config.runs,
        );
        if !config.role.works() {
            engine.take_no_more();
        }
        Ok(Self {
            store,
            clock,
            files,
            search,
            ingest,
            code,
            engine,
            upstreams,
            health,
            keys: Arc::new(Keys::new(config.accepted_keys()?)),
            connections: config.connections,
            request_bytes: config.request_bytes,
            file_bytes: config.file_bytes,
            download_uploads: config.download_uploads,
            require_beta_header: config.require_beta_header,
            playground: config.playground,
            thread_listing: config.thread_listing,
            busy_threads: config.runs.busy_threads,
            keepalive: Duration::from_secs(config.runs.keepalive_seconds),
        })
    }
}

/// The accepted keys. Only their hashes are kept, which also makes the look-up's time say nothing of a key.
pub struct Keys {
    projects: HashMap<[u8; 32], Project>,
}

impl Keys {
    fn new(keys: Vec<(String, String)>) -> Self {
        Self { projects: keys.iter().map(|(key, project)| (hash(key), Project::new(project))).collect() }
    }

    /// Whether every key is accepted, which is so on loopback only.
    pub fn accept_all(&self) -> bool {
        self.projects.is_empty()
    }

    /// The project that a key opens. Where no keys are configured every key opens the default project.
    ///
    /// # Errors
    /// The recorded 401.
    pub fn project(&self, key: &str) -> wire::Result<Project> {
        if self.projects.is_empty() {
            return Ok(Project::new("default"));
        }
        self.projects.get(&hash(key)).cloned().ok_or_else(|| wire::Error::wrong_key(key))
    }
}

fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}
