//! What the model of a run was asked: ours, OpenAI showed it to nobody.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::shape::{Field, Path, Request, Shape};
use crate::steps::{INCLUDED, Include};
use crate::{RunId, ThreadId, UnixSeconds};

/// One request to a model's server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRequest {
    /// Always `thread.run.model_request`.
    pub object: String,
    /// When it was sent.
    pub created_at: UnixSeconds,
    /// The thread.
    pub thread_id: ThreadId,
    /// The run.
    pub run_id: RunId,
    /// The server, by its name in the configuration.
    pub upstream: String,
    /// The model, as that server calls it.
    pub model: String,
    /// What was sent to the server's `/chat/completions`, long texts shortened.
    pub body: Value,
}

/// The answer of `GET /threads/{thread_id}/runs/{run_id}/model_requests`, which has no pages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRequests {
    /// Always `list`.
    pub object: String,
    /// All that were kept, oldest first.
    pub data: Vec<ModelRequest>,
}

/// Query of the requests that create a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Words")]
pub struct IncludeInRun {
    /// What the run's stream shows of steps.
    pub shown: Include,
    /// Whether what the model is asked is kept.
    pub model_requests: bool,
}

const MODEL_REQUESTS: &str = "model_requests";

#[derive(Deserialize)]
struct Words {
    #[serde(default)]
    include: Vec<String>,
}

impl From<Words> for IncludeInRun {
    fn from(Words { include }: Words) -> Self {
        let model_requests = include.iter().any(|word| word == MODEL_REQUESTS);
        Self {
            shown: Include { found_text: include.iter().any(|word| word != MODEL_REQUESTS) },
            model_requests,
        }
    }
}

/// OpenAI's words, and ours, which a refusal does not name: it says what OpenAI's said.
const WORD: Shape = Shape::Where(&Shape::STRING, is_known);

fn is_known(word: &Value, path: &Path<'_>) -> Result<(), Error> {
    if word == MODEL_REQUESTS {
        return Ok(());
    }
    INCLUDED.check_at(&mut word.clone(), path)
}

impl Request for IncludeInRun {
    const SHAPE: Shape =
        Shape::Object(&[Field::optional("include", Shape::Array { items: &WORD, min: 0, max: 128 })]);
}
