//! Settings: `config.default.toml` under the operator's file, `ADJUTANT_*` variables and the command line.
//! The only place that reads the environment.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use toml::{Table, Value};

const DEFAULTS: &str = include_str!("../../../config.default.toml");

/// No process can have more files open than that on Linux unless somebody raised its limit of limits.
const MOST_CONNECTIONS: u32 = 1 << 20;

/// What one file takes that comes in, wherever it is kept, with room to spare.
const LEAST_BODY_BYTES: usize = 16 << 20;

/// All settings. What each means stands in `config.default.toml`, from which the defaults are read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml documents them")]
pub struct Config {
    pub role: Role,
    pub listen: SocketAddr,
    pub data: PathBuf,
    pub database_url: String,
    pub postgres: PostgresConfig,
    pub blobs: String,
    pub log: String,
    pub request_bytes: usize,
    pub file_bytes: i64,
    pub download_uploads: bool,
    pub require_beta_header: bool,
    pub playground: bool,
    pub thread_listing: bool,
    pub stop_delay_seconds: u64,
    pub stop_seconds: u64,
    pub strict_models: bool,
    pub default_model: String,
    pub context_tokens: u64,
    pub upstream_idle_seconds: u64,
    pub upstream_retries: u32,
    pub upstreams: Vec<UpstreamConfig>,
    pub keys: Vec<KeyConfig>,
    pub aliases: BTreeMap<String, String>,
    pub connections: ConnectionsConfig,
    pub local_model: LocalModelConfig,
    pub embeddings: EmbeddingsConfig,
    pub runs: RunsConfig,
    pub search: SearchConfig,
    pub code_interpreter: CodeInterpreterConfig,
}

/// How PostgreSQL is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml documents them")]
pub struct PostgresConfig {
    pub connections: u32,
    pub connect_seconds: u64,
    pub statement_seconds: u64,
    pub lock_seconds: u64,
    pub idle_transaction_seconds: u64,
}

/// What a process of several over one database does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It serves the API and works on runs.
    Both,
    /// It serves the API. Runs, files and cleaning are left to others.
    Api,
    /// It works on runs, reads files and cleans. It is asked for nothing but whether it lives.
    Worker,
}

impl Role {
    /// Whether it serves the API.
    pub fn serves(self) -> bool {
        match self {
            Self::Both | Self::Api => true,
            Self::Worker => false,
        }
    }

    /// Whether it works on runs, reads files and cleans.
    pub fn works(self) -> bool {
        match self {
            Self::Both | Self::Worker => true,
            Self::Api => false,
        }
    }
}

/// Connections of clients.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml documents them")]
pub struct ConnectionsConfig {
    pub at_once: u32,
    pub head_seconds: u64,
    pub head_bytes: usize,
    pub head_fields: usize,
    pub idle_seconds: u64,
    pub requests_at_once: u32,
    pub body_bytes_at_once: usize,
    pub body_seconds: u64,
    pub unread_seconds: u64,
}

/// The code interpreter.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml documents them")]
pub struct CodeInterpreterConfig {
    pub engine: CodeEngine,
    pub folder: String,
    pub requirements: String,
    pub idle_seconds: u64,
    pub sessions: usize,
    pub spare_sessions: usize,
    pub memory_mb: u64,
    pub disk_mb: u64,
    pub run_seconds: u64,
    pub cpu_seconds: u64,
    pub output_characters: usize,
}

/// What runs the programs of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CodeEngine {
    /// What can be run safely here, or nothing.
    Auto,
    /// This machine's Python behind walls; without them the server does not start.
    Native,
    /// Python compiled to WebAssembly; without it the server does not start.
    Wasm,
    /// Nothing.
    Off,
}

/// A model's server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml documents them")]
pub struct UpstreamConfig {
    pub name: String,
    pub base_url: String,
    pub key_env: Option<String>,
    pub key_file: Option<PathBuf>,
    #[serde(default)]
    pub models: Vec<String>,
    #[serde(default)]
    pub default: bool,
    pub context_tokens: Option<u64>,
    #[serde(default)]
    pub tools: ToolProtocol,
}

/// How an upstream's models call functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolProtocol {
    /// By themselves.
    #[default]
    Native,
    /// By a protocol of ours that constrains their output.
    Emulated,
}

/// What becomes of a message or a run for a thread on which a run is at work. Ours; OpenAI knew `reject`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Busy {
    /// It is refused, as OpenAI did.
    #[default]
    Reject,
    /// It waits its turn, behind those that waited before it.
    Queue,
    /// The run at work is cancelled for it.
    Interrupt,
}

/// An API key and its project.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    key: Option<String>,
    key_env: Option<String>,
    /// Whose objects the key opens.
    pub project: String,
}

impl std::fmt::Debug for KeyConfig {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "KeyConfig {{ project: {:?}, .. }}", self.project)
    }
}

impl KeyConfig {
    /// The key itself.
    ///
    /// # Errors
    /// Where the variable that should hold it is not set.
    pub fn secret(&self) -> anyhow::Result<String> {
        match (&self.key, &self.key_env) {
            (Some(key), None) => Ok(key.clone()),
            (None, Some(name)) => {
                variable(name).with_context(|| format!("the variable `{name}` of a key is not set"))
            }
            (None, None) | (Some(_), Some(_)) => {
                bail!("an entry of `keys` needs `key` or `key_env`, one of the two")
            }
        }
    }
}

/// The built-in model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml documents them")]
pub struct LocalModelConfig {
    pub weights: String,
    pub context_tokens: u32,
    pub threads: u32,
    pub idle_seconds: u64,
}

/// Vector stores.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml documents them")]
pub struct SearchConfig {
    pub read_at_once: usize,
    pub memory_bytes: usize,
    pub reembed: bool,
}

/// What texts are turned into, so that they are found by their meaning.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml documents them")]
pub struct EmbeddingsConfig {
    pub upstream: String,
    pub model: String,
    pub dimensions: usize,
    pub window_tokens: usize,
    pub batch_texts: usize,
    pub query_prefix: String,
    pub passage_prefix: String,
    pub threads: u32,
    pub idle_seconds: u64,
}

/// Runs and their streams.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml documents them")]
pub struct RunsConfig {
    pub at_once: u32,
    pub waiting: u32,
    pub expires_seconds: i64,
    pub busy_threads: Busy,
    pub image_bytes: i64,
    pub lease_seconds: u64,
    pub keepalive_seconds: u64,
}

impl RunsConfig {
    /// How long a claim lasts without being renewed.
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
    }
}

/// Settings that the command line gave; they win.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "config.default.toml documents them")]
pub struct Overrides {
    pub config: Option<PathBuf>,
    pub role: Option<String>,
    pub listen: Option<String>,
    pub data: Option<PathBuf>,
    pub database_url: Option<String>,
    pub blobs: Option<String>,
    /// The one upstream for every model name.
    pub upstream: Option<String>,
    pub upstream_key_env: Option<String>,
}

impl Config {
    /// Reads all sources.
    ///
    /// # Errors
    /// Where a file cannot be read, a setting is unknown or mistyped, or settings contradict each other.
    pub fn load(given: &Overrides) -> anyhow::Result<Self> {
        let mut settings: Table = DEFAULTS.parse().context("the built-in defaults cannot be read")?;
        if let Some(path) = &given.config {
            lay_over(&mut settings, file(path)?);
        }
        let environment = environment(&settings)?;
        lay_over(&mut settings, environment);
        lay_over(&mut settings, given.as_table());
        let config: Self = settings.try_into().map_err(|error| anyhow::anyhow!("{error}"))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(self.postgres.connections >= 2, "postgres.connections must be at least 2");
        ensure!(self.postgres.connect_seconds > 0, "postgres.connect_seconds must be more than 0");
        ensure!(self.runs.expires_seconds > 0, "runs.expires_seconds must be more than 0");
        ensure!(self.search.read_at_once > 0, "search.read_at_once must be more than 0");
        ensure!(self.runs.lease_seconds > 0, "runs.lease_seconds must be more than 0");
        ensure!(self.runs.keepalive_seconds > 0, "runs.keepalive_seconds must be more than 0");
        ensure!(self.code_interpreter.run_seconds > 0, "code_interpreter.run_seconds must be more than 0");
        ensure!(self.upstream_idle_seconds > 0, "upstream_idle_seconds must be more than 0");
        ensure!(self.file_bytes > 0, "file_bytes must be more than 0");
        ensure!(self.embeddings.window_tokens > 0, "embeddings.window_tokens must be more than 0");
        ensure!(self.embeddings.threads > 0, "embeddings.threads must be more than 0");
        ensure!(self.embeddings.batch_texts > 0, "embeddings.batch_texts must be more than 0");
        ensure!(
            self.blobs.is_empty() || self.blobs.starts_with("s3://"),
            "blobs must be empty or begin with s3://"
        );
        let postgres = ["postgres://", "postgresql://"];
        ensure!(
            self.database_url.is_empty()
                || postgres.iter().any(|scheme| self.database_url.starts_with(scheme)),
            "database_url must be empty or begin with postgres://"
        );
        ensure!(
            self.role == Role::Both || !self.database_url.is_empty(),
            "the role `api` or `worker` needs database_url: PostgreSQL is where one process leaves work for another"
        );
        ensure!(
            (1..=MOST_CONNECTIONS).contains(&self.connections.at_once),
            "connections.at_once must be 1 to {MOST_CONNECTIONS}"
        );
        ensure!(self.connections.head_seconds > 0, "connections.head_seconds must be more than 0");
        ensure!(self.connections.idle_seconds > 0, "connections.idle_seconds must be more than 0");
        ensure!(self.connections.head_bytes >= 1024, "connections.head_bytes must be at least 1024");
        ensure!(self.connections.head_fields >= 16, "connections.head_fields must be at least 16");
        ensure!(self.connections.requests_at_once > 0, "connections.requests_at_once must be more than 0");
        ensure!(self.connections.body_seconds > 0, "connections.body_seconds must be more than 0");
        ensure!(self.connections.unread_seconds > 0, "connections.unread_seconds must be more than 0");
        ensure!(
            self.connections.body_bytes_at_once >= self.request_bytes.max(LEAST_BODY_BYTES),
            "connections.body_bytes_at_once must be at least request_bytes, and {LEAST_BODY_BYTES}"
        );
        ensure!(self.runs.at_once > 0, "runs.at_once must be more than 0");
        Ok(())
    }

    /// The accepted keys, each with its project. None at all means that every key is accepted.
    ///
    /// # Errors
    /// Where the API would be served beyond loopback without any.
    pub fn accepted_keys(&self) -> anyhow::Result<Vec<(String, String)>> {
        let listed = variable("ADJUTANT_API_KEYS").unwrap_or_default();
        let listed = listed.split(',').map(str::trim).filter(|key| !key.is_empty());
        let mut keys: Vec<(String, String)> =
            listed.map(|key| (key.to_owned(), "default".to_owned())).collect();
        for entry in &self.keys {
            keys.push((entry.secret()?, entry.project.clone()));
        }
        ensure!(
            !keys.is_empty() || self.listen.ip().is_loopback() || !self.role.serves(),
            "the server would listen on {} for everyone: name the keys that it accepts in ADJUTANT_API_KEYS or \
             under [[keys]], or listen on 127.0.0.1",
            self.listen
        );
        Ok(keys)
    }
}

impl UpstreamConfig {
    /// The key that the upstream wants, if any.
    ///
    /// # Errors
    /// Where it is named and cannot be read.
    pub fn key(&self) -> anyhow::Result<Option<String>> {
        let name = &self.name;
        match (&self.key_env, &self.key_file) {
            (Some(variable_name), _) => variable(variable_name).map(Some).with_context(|| {
                format!("the variable `{variable_name}` with the key of upstream `{name}` is not set")
            }),
            (None, Some(path)) => {
                std::fs::read_to_string(path).map(|key| Some(key.trim().to_owned())).with_context(|| {
                    format!("could not read the key of upstream `{name}` from `{}`", path.display())
                })
            }
            (None, None) => Ok(None),
        }
    }
}

/// A variable of the environment, unless it is unset or empty.
#[expect(clippy::disallowed_methods, reason = "this is the place that others are sent to")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The variables that AWS's own tools know, which say how S3 is reached.
pub fn aws_variables() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, value)| name.starts_with("AWS_") && !value.is_empty())
        .collect()
}

impl Overrides {
    fn as_table(&self) -> Table {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let given = [
            ("role", self.role.clone()),
            ("listen", self.listen.clone()),
            ("data", path(&self.data)),
            ("database_url", self.database_url.clone()),
            ("blobs", self.blobs.clone()),
        ];
        let mut table: Table = given
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), Value::String(value?))))
            .collect();
        if let Some(base_url) = &self.upstream {
            let mut upstream = Table::new();
            upstream.insert("name".into(), "upstream".into());
            upstream.insert("base_url".into(), base_url.as_str().into());
            upstream.insert("models".into(), Value::Array(vec!["*".into()]));
            if let Some(name) = &self.upstream_key_env {
                upstream.insert("key_env".into(), name.as_str().into());
            }
            table.insert("upstreams".into(), Value::Array(vec![Value::Table(upstream)]));
        }
        table
    }
}

fn file(path: &Path) -> anyhow::Result<Table> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("could not read the configuration file `{}`", path.display()))?;
    text.parse().map_err(|error| anyhow::anyhow!("`{}`: {error}", path.display()))
}

/// Values of the upper table replace those of the lower; tables are merged key by key.
fn lay_over(lower: &mut Table, upper: Table) {
    for (key, value) in upper {
        match (lower.get_mut(&key), value) {
            (Some(Value::Table(lower)), Value::Table(upper)) => lay_over(lower, upper),
            (_, value) => {
                lower.insert(key, value);
            }
        }
    }
}

/// Variables of the environment that name a setting: `ADJUTANT_LISTEN`, `ADJUTANT_RUNS_EXPIRES_SECONDS`.
fn environment(settings: &Table) -> anyhow::Result<Table> {
    let mut found = Table::new();
    for (key, value) in settings {
        let Some(inner) = value.as_table() else {
            insert_variable(&mut found, key, key, value)?;
            continue;
        };
        let mut table = Table::new();
        for (inner_key, value) in inner {
            insert_variable(&mut table, inner_key, &format!("{key}_{inner_key}"), value)?;
        }
        found.insert(key.clone(), Value::Table(table));
    }
    Ok(found)
}

fn insert_variable(table: &mut Table, key: &str, name: &str, default: &Value) -> anyhow::Result<()> {
    let name = format!("ADJUTANT_{}", name.to_uppercase());
    let Some(text) = variable(&name) else { return Ok(()) };
    let value = match default {
        Value::String(_) => Value::String(text),
        Value::Integer(_) => {
            Value::Integer(text.parse().with_context(|| format!("{name} must be a whole number"))?)
        }
        Value::Boolean(_) => {
            Value::Boolean(text.parse().with_context(|| format!("{name} must be true or false"))?)
        }
        Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => return Ok(()),
    };
    table.insert(key.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_names_every_setting() {
        // Every field of `Config` must be in the file, since none has another default.
        let config = Config::load(&Overrides::default()).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    }

    #[test]
    fn the_examples_in_the_manual_are_accepted() {
        let example = |from: &str| -> String {
            let start = DEFAULTS.find(from).unwrap();
            let lines = DEFAULTS[start..].lines().take_while(|line| line.starts_with("# ") && line.len() > 2);
            lines.map(|line| format!("{}\n", &line[2..])).collect()
        };
        for from in ["# [[upstreams]]", "# [[keys]]", "# [aliases]"] {
            let mut settings: Table = DEFAULTS.parse().unwrap();
            let table: Table = example(from).parse().unwrap_or_else(|error| panic!("{from}: {error}"));
            assert!(!table.is_empty());
            lay_over(&mut settings, table);
            settings.try_into::<Config>().unwrap();
        }
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        let mut settings: Table = DEFAULTS.parse().unwrap();
        lay_over(&mut settings, "[runs]\nexpire_seconds = 5".parse().unwrap());
        let error = settings.try_into::<Config>().unwrap_err().to_string();
        assert!(error.contains("expire_seconds"), "{error}");
    }
}
