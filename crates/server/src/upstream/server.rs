//! One model's server: how it is reached, what it is asked, and how often.

use std::time::Duration;

use adjutant_wire::models::{Model, ModelUse};
use bytes::Bytes;
use rand::RngExt;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Serialize;
use serde_json::Value;

use super::answer::{AnswerBody, reason_in};
use super::chat::ChatRequest;
use super::fault::{Retry, UpstreamFault};
use crate::crash_point;

/// The longest pause before trying again that an upstream may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How calls are made.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The longest silence before or within an answer.
    pub idle: Duration,
    /// How often a call is tried again.
    pub retries: u32,
}

/// Where a server is and what it wants to see.
#[derive(Clone)]
pub(super) struct Endpoint {
    /// The name in the log and in error messages.
    pub(super) name: String,
    /// Up to and with `/v1`, without a slash at the end.
    pub(super) base_url: String,
    /// Sent as a bearer token.
    pub(super) key: Option<String>,
}

impl Endpoint {
    /// Whether this is OpenAI itself, which refuses keys of other servers' making.
    pub(super) fn is_openai(&self) -> bool {
        self.base_url.starts_with("https://api.openai.com")
    }

    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let bearer = self.key.as_ref().and_then(|key| HeaderValue::from_str(&format!("Bearer {key}")).ok());
        if let Some(mut bearer) = bearer {
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        headers
    }
}

#[derive(Serialize)]
struct StreamedRequest<'a> {
    #[serde(flatten)]
    request: &'a ChatRequest,
    /// The older name of `max_completion_tokens`, the only one that many servers know.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    stream: bool,
    stream_options: StreamOptions,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// A request as this server is sent it.
pub(super) fn body_for(endpoint: &Endpoint, request: &ChatRequest) -> Result<Bytes, UpstreamFault> {
    let body = StreamedRequest {
        request,
        max_tokens: if endpoint.is_openai() { None } else { request.max_completion_tokens },
        stream: true,
        stream_options: StreamOptions { include_usage: true },
    };
    let body = serde_json::to_vec(&body).map_err(|error| UpstreamFault::lasting(error.to_string()))?;
    Ok(Bytes::from(body))
}

/// Asks a model and waits until its answer begins, trying again where that may help.
pub(super) async fn ask(
    client: &reqwest::Client,
    endpoint: &Endpoint,
    body: Bytes,
    patience: Patience,
) -> Result<AnswerBody, UpstreamFault> {
    retrying(&endpoint.name, patience, || begin(client, endpoint, body.clone(), patience.idle)).await
}

/// Tries until it succeeds, trying again does not help, or it was tried often enough.
pub(super) async fn retrying<T, Attempt: Future<Output = Result<T, UpstreamFault>>>(
    upstream: &str,
    patience: Patience,
    attempt: impl Fn() -> Attempt,
) -> Result<T, UpstreamFault> {
    let mut attempts = 0;
    loop {
        let fault = match attempt().await {
            Ok(answer) => return Ok(answer),
            Err(fault) => fault,
        };
        let Some(pause) = pause(fault.retry, attempts).filter(|_| attempts < patience.retries) else {
            return Err(fault);
        };
        tracing::warn!(upstream, attempts, "{} Trying again in {pause:?}.", fault.message);
        tokio::time::sleep(pause).await;
        attempts += 1;
    }
}

async fn begin(
    client: &reqwest::Client,
    endpoint: &Endpoint,
    body: Bytes,
    idle: Duration,
) -> Result<AnswerBody, UpstreamFault> {
    let response = post(client, endpoint, "/chat/completions", body, idle).await?;
    let mut answer = AnswerBody::new(&endpoint.name, response, idle);
    answer.begin().await?;
    Ok(answer)
}

/// Half a second, doubled each time, and a quarter more or less so that runs do not knock in step.
fn pause(retry: Retry, attempt: u32) -> Option<Duration> {
    match retry {
        Retry::Never => None,
        Retry::After(wanted) => (wanted <= LONGEST_PAUSE).then_some(wanted),
        Retry::Soon => {
            let base = Duration::from_millis(500).saturating_mul(1 << attempt.min(4));
            Some(base.mul_f64(rand::rng().random_range(0.75..1.25)))
        }
    }
}

/// Sends a body and waits for an answer of any status.
pub(super) async fn pass(
    client: &reqwest::Client,
    endpoint: &Endpoint,
    path: &str,
    body: Bytes,
    idle: Duration,
) -> Result<reqwest::Response, UpstreamFault> {
    let url = format!("{}{path}", endpoint.base_url);
    let sending = client.post(url).headers(endpoint.headers()).body(body).send();
    match tokio::time::timeout(idle, sending).await {
        Err(_) => Err(UpstreamFault::silent(&endpoint.name, idle)),
        Ok(Err(error)) => Err(UpstreamFault::unreachable(&endpoint.name, &root_cause(&error))),
        Ok(Ok(response)) => Ok(response),
    }
}

/// Sends a body and waits for an answer of status 2xx.
pub(super) async fn post(
    client: &reqwest::Client,
    endpoint: &Endpoint,
    path: &str,
    body: Bytes,
    idle: Duration,
) -> Result<reqwest::Response, UpstreamFault> {
    crash_point::reach("before a model is asked");
    let response = pass(client, endpoint, path, body, idle).await?;
    crash_point::reach("after a model has begun to answer");
    if response.status().is_success() {
        return Ok(response);
    }
    Err(refusal(endpoint, response, idle).await)
}

async fn refusal(endpoint: &Endpoint, response: reqwest::Response, idle: Duration) -> UpstreamFault {
    let status = response.status();
    let retry_after = retry_after(response.headers());
    let body = tokio::time::timeout(idle, read_limited(response, 64 << 10)).await.unwrap_or_default();
    let reason = serde_json::from_slice::<Value>(&body).ok().and_then(|error| reason_in(&error));
    let reason = reason.unwrap_or_else(|| status.canonical_reason().unwrap_or("no reason given").to_owned());
    UpstreamFault::refused(&endpoint.name, status.as_u16(), &reason, retry_after)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms")
        .map(|milliseconds| milliseconds / 1_000.0)
        .or_else(|| number("retry-after"))?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// The body's first bytes; what comes after the limit is not read.
pub(super) async fn read_limited(mut response: reqwest::Response, limit: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= limit {
            body.truncate(limit);
            break;
        }
    }
    body
}

/// What a server lists at `/models`, or why it does not.
pub(super) async fn list_models(
    client: &reqwest::Client,
    endpoint: &Endpoint,
    limit: Duration,
) -> Result<Vec<Listed>, UpstreamFault> {
    let asking = client.get(format!("{}/models", endpoint.base_url)).headers(endpoint.headers()).send();
    let response = match tokio::time::timeout(limit, asking).await {
        Err(_) => return Err(UpstreamFault::silent(&endpoint.name, limit)),
        Ok(Err(error)) => return Err(UpstreamFault::unreachable(&endpoint.name, &root_cause(&error))),
        Ok(Ok(response)) => response,
    };
    if !response.status().is_success() {
        return Err(refusal(endpoint, response, limit).await);
    }
    let body = tokio::time::timeout(limit, read_limited(response, 4 << 20)).await.unwrap_or_default();
    let models: Value = serde_json::from_slice(&body).unwrap_or_default();
    let listed = models.get("data").and_then(Value::as_array);
    let listed =
        listed.ok_or_else(|| UpstreamFault::garbled(&endpoint.name, "its list of models is not one"))?;
    Ok(listed.iter().filter_map(|model| as_listed(model, &endpoint.name)).collect())
}

/// A model as its server lists it.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) model: Model,
    /// How many tokens it can read and write at once, where the server says so.
    pub(super) context_tokens: Option<u64>,
}

/// Where servers say how long a context may be: vLLM, LM Studio, llama.cpp, and routers of many models.
const CONTEXT_KEYS: [&str; 5] =
    ["/max_model_len", "/loaded_context_length", "/meta/n_ctx", "/max_context_length", "/context_length"];

/// What names of models that embed have in them. Few lists of models say what theirs are for.
const EMBEDDING_NAMES: [&str; 3] = ["embed", "bge-", "minilm"];

fn use_of(model: &Value, id: &str) -> ModelUse {
    let id = id.to_lowercase();
    // LM Studio's word is `embeddings`, routers of many models say `embedding`.
    let embeds = match model.get("type").and_then(Value::as_str) {
        Some(kind) => kind.starts_with("embedding"),
        None => EMBEDDING_NAMES.iter().any(|part| id.contains(part)),
    };
    if embeds { ModelUse::Embeddings } else { ModelUse::Chat }
}

fn as_listed(model: &Value, upstream: &str) -> Option<Listed> {
    let context_tokens = CONTEXT_KEYS.iter().find_map(|key| model.pointer(key)?.as_u64());
    let id = model.get("id")?.as_str()?;
    let model = Model {
        id: id.to_owned(),
        object: "model".to_owned(),
        created: model.get("created").and_then(Value::as_i64).unwrap_or_default(),
        owned_by: model.get("owned_by").and_then(Value::as_str).unwrap_or(upstream).to_owned(),
        serves: Some(use_of(model, id)),
    };
    Some(Listed { model, context_tokens })
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
