//! What the engine asks of a model and what it hears back, in the terms of `POST /chat/completions`.

use serde::Serialize;
use serde_json::Value;

/// What a model may do with code, beyond what it is told: for models that need more than telling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Code {
    /// Nothing of interest.
    #[default]
    Whatever,
    /// Its assistant was given `code_interpreter`, and nothing can be run here.
    Lacking,
    /// It may call this function to run code, and has not yet answered or called anything.
    Offered(String),
}

/// One question to a model. Serialises to the body of `POST /chat/completions`, without the keys that
/// every request of ours carries (`stream`, `stream_options`): the sender adds them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ChatRequest {
    /// The model's name as the upstream knows it.
    pub model: String,
    /// The conversation, oldest first.
    pub messages: Vec<ChatMessage>,
    /// Functions that the model may call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ChatTool>,
    /// `none`, `auto`, `required` or one function by name; sent only beside `tools`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ChatToolChoice>,
    /// `false` limits a turn to one call; sent only beside `tools`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// `text`, `json_object` or `json_schema`, as the caller of the API gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<Value>,
    /// Sampling temperature, 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// The most tokens that the answer may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u64>,
    /// How long a reasoning model may think.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// Turns that show how the tools are used, for models whose calls are emulated: they learn more from these than
    /// from descriptions. Other models never see them.
    #[serde(skip)]
    pub demonstrations: Vec<ChatMessage>,
    /// What the model may do with code.
    #[serde(skip)]
    pub code: Code,
}

impl ChatRequest {
    /// Adds a sentence behind the instructions.
    pub(super) fn append_instructions(&mut self, sentence: &str) {
        match self.messages.first_mut() {
            Some(ChatMessage::System { content }) => {
                content.push('\n');
                content.push_str(sentence);
            }
            _ => self.messages.insert(0, ChatMessage::System { content: sentence.to_owned() }),
        }
    }
}

/// One message of the conversation that the model reads.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "role", rename_all = "lowercase")]
pub enum ChatMessage {
    /// Instructions.
    System {
        /// The instructions' text.
        content: String,
    },
    /// What a user said or showed.
    User {
        /// Text, or text and images.
        content: ChatContent,
    },
    /// What the model said or called before.
    Assistant {
        /// The text, absent in a turn that only called functions.
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<String>,
        /// The calls of that turn.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<ChatToolCall>,
    },
    /// What a function answered.
    Tool {
        /// The call that this answers.
        tool_call_id: String,
        /// The answer.
        content: String,
    },
}

/// The text that the user said last; empty where there is none.
pub fn question(messages: &[ChatMessage]) -> &str {
    let said = messages.iter().rev().find_map(|message| match message {
        ChatMessage::User { content: ChatContent::Text(text) } => Some(text.as_str()),
        ChatMessage::User { content: ChatContent::Parts(parts) } => {
            parts.iter().find_map(|part| match part {
                ChatPart::Text { text } => Some(text.as_str()),
                ChatPart::ImageUrl { .. } => None,
            })
        }
        ChatMessage::System { .. } | ChatMessage::Assistant { .. } | ChatMessage::Tool { .. } => None,
    });
    said.unwrap_or_default()
}

/// A user message's content: a plain string where it is only text, since the oldest servers know no other.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ChatContent {
    /// Text alone.
    Text(String),
    /// Text and images in order.
    Parts(Vec<ChatPart>),
}

/// One part of a user message.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ChatPart {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// An image by address or as a data URL.
    ImageUrl {
        /// Where it is and how closely to look.
        image_url: ChatImage,
    },
}

/// An image for the model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChatImage {
    /// `https:` or `data:` URL.
    pub url: String,
    /// `auto`, `low` or `high`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A function that the model may call.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ChatTool {
    /// The only kind that `/chat/completions` knows everywhere.
    Function {
        /// Its name, purpose and parameters.
        function: ChatFunction,
    },
}

/// A function's description for the model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChatFunction {
    /// Matches `^[a-zA-Z0-9_-]{1,64}$`.
    pub name: String,
    /// What it does and when to call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON schema of the arguments object.
    pub parameters: Value,
    /// Whether the arguments must follow the schema exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// Whether and what the model must call.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatToolChoice {
    /// No call.
    None,
    /// The model decides.
    Auto,
    /// Some call.
    Required,
    /// A call of this function.
    Function(String),
}

impl Serialize for ChatToolChoice {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => to.serialize_str("none"),
            Self::Auto => to.serialize_str("auto"),
            Self::Required => to.serialize_str("required"),
            Self::Function(name) => {
                serde_json::json!({"type": "function", "function": {"name": name}}).serialize(to)
            }
        }
    }
}

/// A call that the model made in an earlier turn.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ChatToolCall {
    /// A function call.
    Function {
        /// The call's id, repeated by the answer to it.
        id: String,
        /// What was called with what.
        function: ChatFunctionCall,
    },
}

/// A function's name and the arguments that the model wrote.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChatFunctionCall {
    /// The function's name.
    pub name: String,
    /// The arguments as JSON text, exactly as the model wrote them.
    pub arguments: String,
}

/// One piece of a model's answer, in the order in which it arrived.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatDelta {
    /// More text of the answer.
    Text(String),
    /// More text of a refusal.
    Refusal(String),
    /// A call begins or its arguments grow. The first delta at an index has the name.
    ToolCall {
        /// Which call of this turn, from 0.
        index: usize,
        /// The upstream's id of the call, on its first delta, where it gives one.
        id: Option<String>,
        /// The function's name, on the call's first delta.
        name: Option<String>,
        /// The next piece of the arguments' JSON text; may be empty.
        arguments: String,
    },
    /// The turn is over.
    Finish(ChatFinish),
    /// What the turn cost; at most once, last.
    Usage(ChatUsage),
}

/// Why a model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatFinish {
    /// It was done.
    Stop,
    /// It reached the token limit.
    Length,
    /// It wants its calls answered.
    ToolCalls,
    /// The upstream withheld the rest.
    ContentFilter,
}

/// Tokens that one model turn cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChatUsage {
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
    /// Those of the read ones that came from a cache.
    pub cached_tokens: u64,
    /// Those of the written ones that were reasoning.
    pub reasoning_tokens: u64,
}
