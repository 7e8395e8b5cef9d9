//! Which models' servers there are: those that are configured, else what is found on this machine.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{Mutex, Semaphore};

use super::embeddings::Embeddings;
use super::local::{self, LocalModel, LocalModelSettings};
use super::place::{Place, Upstream};
use super::routing::Upstreams;
use super::server::{Endpoint, Patience, list_models};
use crate::config::{Config, ToolProtocol, UpstreamConfig, variable};

/// Servers that people run on their own machine, and where these listen unless told otherwise.
const NEIGHBOURS: [(&str, &str); 4] = [
    ("Ollama", "http://127.0.0.1:11434/v1"),
    ("LM Studio", "http://127.0.0.1:1234/v1"),
    ("llama.cpp", "http://127.0.0.1:8080/v1"),
    ("vLLM", "http://127.0.0.1:8000/v1"),
];

/// How long a neighbour may take to answer: one that is there answers at once.
const GLANCE: Duration = Duration::from_millis(500);

/// Opens the configured upstreams, or the first of: OpenAI if `OPENAI_API_KEY` is set, a neighbour that
/// answers, the built-in model.
///
/// # Errors
/// Where a configured upstream's key or address cannot be used.
pub async fn open(config: &Config) -> anyhow::Result<Upstreams> {
    let mut all = Vec::new();
    for upstream in &config.upstreams {
        all.push(Arc::new(configured(upstream)?));
    }
    if all.is_empty() {
        let found = found(config.listen.port()).await?;
        all.push(Arc::new(found.map_or_else(|| built_in(config), Ok)?));
    }
    let patience = Patience {
        idle: Duration::from_secs(config.upstream_idle_seconds),
        retries: config.upstream_retries,
    };
    Ok(Upstreams {
        embeddings: Embeddings::new(config, &all, patience)?,
        all,
        aliases: config.aliases.clone(),
        strict: config.strict_models,
        default_model: Some(config.default_model.clone()).filter(|name| !name.is_empty()),
        patience,
        context_tokens: config.context_tokens,
    })
}

fn configured(config: &UpstreamConfig) -> anyhow::Result<Upstream> {
    let base_url = config.base_url.trim_end_matches('/').to_owned();
    let endpoint = Endpoint { name: config.name.clone(), base_url, key: config.key()? };
    let upstream = upstream(endpoint, config.models.clone(), config.default, config.tools)?;
    Ok(Upstream { context_tokens: config.context_tokens, ..upstream })
}

async fn found(own_port: u16) -> anyhow::Result<Option<Upstream>> {
    if let Some(key) = variable("OPENAI_API_KEY") {
        let base_url = variable("OPENAI_BASE_URL").unwrap_or_else(|| "https://api.openai.com/v1".to_owned());
        let base_url = base_url.trim_end_matches('/').to_owned();
        let endpoint = Endpoint { name: "OpenAI".to_owned(), base_url, key: Some(key) };
        return upstream(endpoint, vec!["*".to_owned()], true, ToolProtocol::Native).map(Some);
    }
    // llama.cpp's port is our own default: whoever is to listen there is not asked.
    let own = format!(":{own_port}/");
    for (name, base_url) in NEIGHBOURS.into_iter().filter(|(_, base_url)| !base_url.contains(&own)) {
        let endpoint = Endpoint { name: name.to_owned(), base_url: base_url.to_owned(), key: None };
        let candidate = upstream(endpoint.clone(), Vec::new(), true, ToolProtocol::Native)?;
        if list_models(&candidate.client, &endpoint, GLANCE).await.is_ok_and(|models| !models.is_empty()) {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}

fn built_in(config: &Config) -> anyhow::Result<Upstream> {
    let settings = &config.local_model;
    let model = LocalModel::new(LocalModelSettings {
        recipe: &local::CHAT,
        data: config.data.clone(),
        weights: settings.weights.parse().context("the setting local_model.weights")?,
        context_tokens: settings.context_tokens,
        threads: settings.threads,
        idle: Duration::from_secs(settings.idle_seconds),
    });
    Ok(Upstream {
        name: "built-in".to_owned(),
        client: client("http://127.0.0.1")?,
        place: Place::Local(model),
        models: Vec::new(),
        default: true,
        // It writes the right calls, though not in the form that its engine waits for.
        tools: ToolProtocol::Emulated,
        turns: Arc::new(Semaphore::new(1)),
        context_tokens: None,
        listed: Mutex::default(),
    })
}

fn upstream(
    endpoint: Endpoint,
    models: Vec<String>,
    default: bool,
    tools: ToolProtocol,
) -> anyhow::Result<Upstream> {
    let client = client(&endpoint.base_url).with_context(|| format!("upstream `{}`", endpoint.name))?;
    let (name, place) = (endpoint.name.clone(), Place::Remote(endpoint));
    Ok(Upstream {
        name,
        place,
        client,
        models,
        default,
        tools,
        turns: Arc::new(Semaphore::new(1)),
        context_tokens: None,
        listed: Mutex::default(),
    })
}

/// A client that does not follow redirects, which would carry the key elsewhere, and that asks no proxy
/// about this machine's own servers.
pub(super) fn client(base_url: &str) -> anyhow::Result<reqwest::Client> {
    let url: reqwest::Url = base_url.parse().with_context(|| format!("`{base_url}` is not a URL"))?;
    let host = url.host_str().unwrap_or_default();
    let here = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let builder = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .user_agent(concat!("adjutant/", env!("CARGO_PKG_VERSION")));
    let builder = if here { builder.no_proxy() } else { builder };
    builder.build().context("could not make an HTTP client")
}
