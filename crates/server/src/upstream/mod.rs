//! Models' servers: which one answers for which name, and asking it. The only place that calls models.

mod answer;
pub mod chat;
mod discovery;
pub mod embeddings;
mod emulated;
mod fault;
mod local;
mod place;
mod routing;
mod server;

use std::sync::Arc;
use std::time::Duration;

use adjutant_wire as wire;
use adjutant_wire::models::{Model, Models};
use bytes::Bytes;

pub use discovery::open;
pub use embeddings::{ClientEmbeddings, EmbeddingModel, TextKind};
pub use fault::UpstreamFault;
use fault::unavailable;
pub use local::Progress;
pub use routing::Upstreams;
pub use server::Patience;

use crate::config::ToolProtocol;
use answer::AnswerBody;
use chat::{ChatDelta, ChatRequest};
use place::{Place, Reached, Upstream};
use routing::Route;

/// An answer of a model that is arriving.
pub struct Answer {
    body: AnswerBody,
    _reached: Reached,
    /// Reads calls out of what a model wrote that cannot make them itself.
    emulated: Option<emulated::Parser>,
}

impl Answer {
    /// The next deltas, as many as have arrived; `None` when the answer is over. An answer that ends well
    /// has had a [`ChatDelta::Finish`].
    ///
    /// # Errors
    /// Where the upstream falls silent, breaks off, or sends what cannot be read.
    pub async fn next(&mut self) -> Result<Option<Vec<ChatDelta>>, UpstreamFault> {
        let Some(deltas) = self.body.next().await? else { return Ok(None) };
        let Some(parser) = &mut self.emulated else { return Ok(Some(deltas)) };
        let mut read = Vec::with_capacity(deltas.len());
        for delta in deltas {
            read.extend(parser.take(delta).map_err(|broken| self.body.garbled(&broken.to_string()))?);
        }
        Ok(Some(read))
    }
}

/// A request to a model's server, as it will be sent.
pub struct Outgoing {
    upstream: Arc<Upstream>,
    model: String,
    reached: Reached,
    body: Bytes,
    emulated: Option<emulated::Parser>,
    patience: Patience,
}

impl Outgoing {
    /// The server's name in the configuration.
    pub fn upstream(&self) -> &str {
        &self.upstream.name
    }

    /// The model, as that server calls it.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// What is sent. Keys are in headers, never in here.
    ///
    /// # Errors
    /// None that is known of: it was written here.
    pub fn json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::from_slice(&self.body)
    }

    /// Sends it, and waits until the answer begins.
    ///
    /// # Errors
    /// Where the server does not answer, after the configured number of tries.
    pub async fn send(self) -> Result<Answer, UpstreamFault> {
        let Self { upstream, reached, body, emulated, patience, .. } = self;
        let body = server::ask(&upstream.client, &reached.endpoint, body, patience).await?;
        Ok(Answer { body, _reached: reached, emulated })
    }
}

impl Upstreams {
    /// Asks the model of this name, `request.model`, as clients know it.
    ///
    /// # Errors
    /// As [`Self::outgoing`] and [`Outgoing::send`].
    pub async fn ask(&self, request: ChatRequest) -> Result<Answer, UpstreamFault> {
        self.outgoing(request).await?.send().await
    }

    /// Writes a request for the server that answers for its model's name. The built-in model is started, and
    /// waits for it.
    ///
    /// # Errors
    /// Where no upstream answers for the name, or the built-in model does not start.
    pub async fn outgoing(&self, mut request: ChatRequest) -> Result<Outgoing, UpstreamFault> {
        let Route { upstream, model } = self.route(&request.model).await.ok_or_else(|| {
            UpstreamFault::lasting(format!("No model answers for the name `{}`.", request.model))
        })?;
        request.model = model;
        if matches!(upstream.place, Place::Local(_)) {
            local::help_with_code(&mut request);
        }
        let (request, emulated) = match upstream.tools {
            ToolProtocol::Native => (request, None),
            ToolProtocol::Emulated => {
                let emulation = emulated::emulate(request);
                (emulation.request, Some(emulation.parser))
            }
        };
        let reached = upstream.reach().await?;
        let body = server::body_for(&reached.endpoint, &request)?;
        Ok(Outgoing { model: request.model, upstream, reached, body, emulated, patience: self.patience })
    }

    /// All models by name, in the API's form. They say what they are for if `uses`.
    pub async fn models(&self, uses: bool) -> Models {
        let all = self.all_models().await.into_iter();
        let data = all.map(|model| Model { serves: model.serves.filter(|_| uses), ..model }).collect();
        Models { object: "list".to_owned(), data }
    }

    /// The model of this name.
    ///
    /// # Errors
    /// 404 where none is listed.
    pub async fn model(&self, name: &str) -> wire::Result<Model> {
        let found = self.all_models().await.into_iter().find(|model| model.id == name);
        let found = found.map(|model| Model { serves: None, ..model });
        found.ok_or_else(|| wire::Error::unknown_model(name))
    }

    /// Hands a request of another endpoint (`/chat/completions`, `/embeddings`) to the upstream that answers
    /// for its model, with the model's name as that upstream knows it, and the answer back as it comes.
    ///
    /// # Errors
    /// Where no upstream answers for the name, or it cannot be reached.
    pub async fn pass_on(&self, path: &str, mut body: serde_json::Value) -> Result<Passed, wire::Error> {
        let name = body.get("model").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let Some(Route { upstream, model }) = self.route(&name).await else {
            return Err(wire::Error::unknown_model(&name));
        };
        if let Some(object) = body.as_object_mut() {
            object.insert("model".to_owned(), model.into());
        }
        let body = Bytes::from(body.to_string());
        let fault = match upstream.reach().await {
            Err(fault) => fault,
            Ok(reached) => {
                match server::pass(&upstream.client, &reached.endpoint, path, body, self.patience.idle).await
                {
                    Ok(response) => return Ok(Passed { response, _reached: reached }),
                    Err(fault) => fault,
                }
            }
        };
        Err(unavailable(fault))
    }
}

/// An upstream's answer as it comes, whatever its status.
pub struct Passed {
    response: reqwest::Response,
    _reached: Reached,
}

impl Passed {
    /// The status.
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.response.headers().get(name).map(reqwest::header::HeaderValue::as_bytes)
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// Where the connection is lost.
    pub async fn next(&mut self) -> Result<Option<Bytes>, std::io::Error> {
        self.response.chunk().await.map_err(std::io::Error::other)
    }

    /// The rest of the body, which must be short.
    ///
    /// # Errors
    /// Where the connection is lost.
    pub async fn whole(&mut self) -> Result<Vec<u8>, std::io::Error> {
        let mut body = Vec::new();
        while let Some(piece) = self.next().await? {
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }
}

/// How long a server may take to say which models it has.
const LISTING: Duration = Duration::from_secs(5);
