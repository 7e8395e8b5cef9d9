//! An answer of a model, read as it arrives: server-sent events of `/chat/completions`, or one whole body
//! from a server that does not stream.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde::Deserialize;
use serde_json::Value;

use super::chat::{ChatDelta, ChatFinish, ChatUsage};
use super::fault::UpstreamFault;
use crate::crash_point;

/// The longest line or body that a model's server may send.
const LONGEST_BYTES: usize = 16 << 20;

/// How long the end of an answer may take to come after its last word.
const LAST_BYTES: Duration = Duration::from_secs(1);

/// A body without its head, which would keep alive all that was read together with it.
type Pieces = BoxStream<'static, reqwest::Result<Bytes>>;

/// The body of an answer that is arriving.
pub(super) struct AnswerBody {
    upstream: String,
    /// Gone once the answer is over.
    pieces: Option<Pieces>,
    idle: Duration,
    streams: bool,
    unread: Vec<u8>,
    calls: CallIndices,
    ready: VecDeque<ChatDelta>,
    finished: bool,
    over: bool,
}

impl AnswerBody {
    pub(super) fn new(upstream: &str, response: reqwest::Response, idle: Duration) -> Self {
        let content_type = response.headers().get(reqwest::header::CONTENT_TYPE);
        let whole =
            content_type.and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains("json"));
        Self {
            upstream: upstream.to_owned(),
            pieces: Some(response.bytes_stream().boxed()),
            idle,
            streams: !whole,
            unread: Vec::new(),
            calls: CallIndices::default(),
            ready: VecDeque::new(),
            finished: false,
            over: false,
        }
    }

    /// Waits until something of the answer was heard. Until then it is harmless to ask again.
    pub(super) async fn begin(&mut self) -> Result<(), UpstreamFault> {
        while self.ready.is_empty() && !self.over {
            self.read_more().await?;
        }
        Ok(())
    }

    /// The next deltas, as many as have arrived; `None` when the answer is over.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<ChatDelta>>, UpstreamFault> {
        self.begin().await?;
        crash_point::reach("after a piece of a model's answer");
        let most = if crash_point::are_counted() { 1 } else { self.ready.len() };
        Ok((!self.ready.is_empty()).then(|| self.ready.drain(..most).collect()))
    }

    async fn read_more(&mut self) -> Result<(), UpstreamFault> {
        let Some(pieces) = &mut self.pieces else { return self.end() };
        let bytes = match tokio::time::timeout(self.idle, pieces.next()).await {
            Err(_) => return Err(UpstreamFault::silent(&self.upstream, self.idle)),
            Ok(Some(Err(_))) => return Err(UpstreamFault::cut_off(&self.upstream)),
            Ok(Some(Ok(bytes))) => bytes,
            Ok(None) => {
                self.pieces = None;
                return self.end();
            }
        };
        self.unread.extend_from_slice(&bytes);
        if self.streams {
            self.read_lines()?;
        }
        if self.unread.len() > LONGEST_BYTES {
            return Err(self.garbled("it is too long"));
        }
        if self.over
            && let Some(pieces) = self.pieces.take()
        {
            tokio::spawn(read_to_end(pieces));
        }
        Ok(())
    }

    fn read_lines(&mut self) -> Result<(), UpstreamFault> {
        let unread = std::mem::take(&mut self.unread);
        let mut rest = unread.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            self.read_line(line.strip_suffix(b"\r").unwrap_or(line))?;
        }
        self.unread = rest.to_vec();
        Ok(())
    }

    fn read_line(&mut self, line: &[u8]) -> Result<(), UpstreamFault> {
        // Other fields, comments and the blank lines between events say nothing that we need.
        let Some(data) = line.strip_prefix(b"data:").map(<[u8]>::trim_ascii) else { return Ok(()) };
        if self.over || data.is_empty() {
            return Ok(());
        }
        if data == b"[DONE]" {
            self.over = true;
            if !self.finished {
                self.finish(ChatFinish::Stop);
            }
            return Ok(());
        }
        self.read_json(data)
    }

    fn read_json(&mut self, data: &[u8]) -> Result<(), UpstreamFault> {
        let Ok(chunk) = serde_json::from_slice::<Chunk>(data) else {
            return Err(self.garbled("part of it is not the JSON of a chat completion"));
        };
        if let Some(error) = chunk.error {
            let reason = reason_in(&error).unwrap_or_else(|| "an error without a message".to_owned());
            return Err(UpstreamFault::refused(&self.upstream, 500, &reason, None));
        }
        if chunk.choices.is_none() && chunk.usage.is_none() {
            return Err(self.garbled("part of it is not a chat completion"));
        }
        for choice in chunk.choices.into_iter().flatten().filter(|choice| choice.index == 0) {
            self.read_choice(choice)?;
        }
        if let Some(usage) = chunk.usage {
            self.ready.push_back(ChatDelta::Usage(usage.into()));
        }
        Ok(())
    }

    fn read_choice(&mut self, choice: Choice) -> Result<(), UpstreamFault> {
        let Delta { content, refusal, tool_calls } = choice.delta;
        if let Some(text) = content.filter(|text| !text.is_empty()) {
            self.ready.push_back(ChatDelta::Text(text));
        }
        if let Some(text) = refusal.filter(|text| !text.is_empty()) {
            self.ready.push_back(ChatDelta::Refusal(text));
        }
        for call in tool_calls.unwrap_or_default() {
            let index = self.calls.of(&call);
            let function = call.function.unwrap_or_default();
            let arguments = match function.arguments {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text,
                Some(object) => object.to_string(),
            };
            let name = function.name.filter(|name| !name.is_empty());
            self.ready.push_back(ChatDelta::ToolCall { index, id: call.id, name, arguments });
        }
        if let Some(reason) = choice.finish_reason {
            self.finish(match reason.as_str() {
                "length" | "max_tokens" => ChatFinish::Length,
                "tool_calls" | "function_call" => ChatFinish::ToolCalls,
                "content_filter" => ChatFinish::ContentFilter,
                _ => ChatFinish::Stop,
            });
        }
        Ok(())
    }

    fn finish(&mut self, reason: ChatFinish) {
        if !self.finished {
            self.finished = true;
            self.ready.push_back(ChatDelta::Finish(reason));
        }
    }

    fn end(&mut self) -> Result<(), UpstreamFault> {
        if !self.streams {
            let body = std::mem::take(&mut self.unread);
            self.read_json(&body)?;
        } else if !self.unread.is_empty() {
            // A last line without a line break.
            let line = std::mem::take(&mut self.unread);
            self.read_line(&line)?;
        }
        self.over = true;
        if self.finished { Ok(()) } else { Err(UpstreamFault::cut_off(&self.upstream)) }
    }

    pub(super) fn garbled(&self, what: &str) -> UpstreamFault {
        UpstreamFault::garbled(&self.upstream, what)
    }
}

/// Reads what a server may send after its last word: only a connection that was read to the end of its answer
/// serves another question.
async fn read_to_end(mut pieces: Pieces) {
    let reading = async { while let Some(Ok(_)) = pieces.next().await {} };
    let _ = tokio::time::timeout(LAST_BYTES, reading).await;
}

/// The message of an OpenAI error body, or of the shapes that others use.
pub(super) fn reason_in(error: &Value) -> Option<String> {
    let inner = error.get("error").unwrap_or(error);
    let text = inner
        .as_str()
        .or_else(|| inner.get("message")?.as_str())
        .or_else(|| error.get("detail")?.as_str())?;
    let shortened: String = text.trim().trim_end_matches('.').chars().take(1_000).collect();
    Some(shortened)
}

/// Numbers a turn's calls from 0. Some servers leave the index out, or count otherwise.
#[derive(Default)]
struct CallIndices {
    seen: Vec<(Option<usize>, Option<String>)>,
}

impl CallIndices {
    fn of(&mut self, call: &CallChunk) -> usize {
        let known = |(index, id): &(Option<usize>, Option<String>)| match (call.index, &call.id) {
            (Some(number), _) => *index == Some(number),
            (None, Some(name)) => id.as_ref() == Some(name),
            (None, None) => false,
        };
        if let Some(position) = self.seen.iter().position(known) {
            return position;
        }
        if call.index.is_none() && call.id.is_none() && !self.seen.is_empty() {
            return self.seen.len() - 1;
        }
        self.seen.push((call.index, call.id.clone()));
        self.seen.len() - 1
    }
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<RawUsage>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: usize,
    #[serde(default, alias = "message")]
    delta: Delta,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<CallChunk>>,
}

#[derive(Deserialize)]
struct CallChunk {
    #[serde(default)]
    index: Option<usize>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<FunctionChunk>,
}

#[derive(Default, Deserialize)]
struct FunctionChunk {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<Value>,
}

#[derive(Deserialize)]
struct RawUsage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<RawDetails>,
    #[serde(default)]
    completion_tokens_details: Option<RawDetails>,
}

#[derive(Deserialize)]
struct RawDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

impl From<RawUsage> for ChatUsage {
    fn from(raw: RawUsage) -> Self {
        Self {
            prompt_tokens: raw.prompt_tokens.unwrap_or_default(),
            completion_tokens: raw.completion_tokens.unwrap_or_default(),
            cached_tokens: raw
                .prompt_tokens_details
                .and_then(|details| details.cached_tokens)
                .unwrap_or_default(),
            reasoning_tokens: raw
                .completion_tokens_details
                .and_then(|details| details.reasoning_tokens)
                .unwrap_or_default(),
        }
    }
}
