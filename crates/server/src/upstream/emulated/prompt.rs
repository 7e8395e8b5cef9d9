//! The functions and the protocol in words, and earlier calls as the model is to see them.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::Protocol;
use super::schema::Words;
use crate::upstream::chat::{ChatContent, ChatFunction, ChatMessage, ChatToolCall};

/// The conversation for a turn without functions: earlier results stay, as plain messages.
pub(super) fn plain(messages: Vec<ChatMessage>) -> Vec<ChatMessage> {
    rewritten(messages, |content, _calls| content.into_iter().collect())
}

/// The conversation in the protocol's terms, the protocol itself behind the instructions.
pub(super) fn with_protocol(messages: Vec<ChatMessage>, protocol: &Protocol) -> Vec<ChatMessage> {
    let json_words = matches!(protocol.words, Words::Json(_));
    let mut messages = messages;
    // They answer in words, so they would mislead a model that is to answer in JSON.
    if !json_words {
        let instructed = usize::from(matches!(messages.first(), Some(ChatMessage::System { .. })));
        messages.splice(instructed..instructed, protocol.demonstrations.iter().cloned());
    }
    let mut messages = rewritten(messages, |content, calls| {
        let words = content.filter(|text| !text.is_empty()).map(|text| reply(&text, json_words));
        let calls = (!calls.is_empty()).then(|| called(&calls));
        words.into_iter().chain(calls).collect()
    });
    let explained = explanation(protocol);
    if let Some(ChatMessage::System { content }) = messages.first_mut() {
        content.push_str("\n\n");
        content.push_str(&explained);
    } else {
        let content = format!("You are a helpful assistant.\n\n{explained}");
        messages.insert(0, ChatMessage::System { content });
    }
    messages
}

/// Rewrites the model's messages with `turn`, and puts the results of calls into its users' mouth.
fn rewritten(
    messages: Vec<ChatMessage>,
    turn: impl Fn(Option<String>, Vec<(String, String)>) -> Vec<String>,
) -> Vec<ChatMessage> {
    let mut made: HashMap<String, String> = HashMap::new();
    let mut after_result = false;
    let mut all = Vec::with_capacity(messages.len() + 1);
    for message in messages {
        let is_result = matches!(message, ChatMessage::Tool { .. });
        match message {
            ChatMessage::Assistant { content, tool_calls } => {
                let calls = remember(tool_calls, &mut made);
                all.extend(turn(content, calls).into_iter().map(said));
            }
            ChatMessage::Tool { tool_call_id, content } => {
                let call = made.get(&tool_call_id).map_or("an earlier call", String::as_str);
                add_result(&mut all, format!("Result of {call}: {content}"), after_result);
            }
            ChatMessage::System { .. } | ChatMessage::User { .. } => all.push(message),
        }
        after_result = is_result;
    }
    all
}

/// Names and arguments of calls, whose results will name only their ids.
fn remember(calls: Vec<ChatToolCall>, made: &mut HashMap<String, String>) -> Vec<(String, String)> {
    let mut all = Vec::with_capacity(calls.len());
    for ChatToolCall::Function { id, function } in calls {
        made.insert(id, format!("{}({})", function.name, function.arguments));
        all.push((function.name, function.arguments));
    }
    all
}

/// Results that follow each other are one message, since some models insist on turns.
fn add_result(all: &mut Vec<ChatMessage>, result: String, after_result: bool) {
    if let (true, Some(ChatMessage::User { content: ChatContent::Text(text) })) =
        (after_result, all.last_mut())
    {
        text.push('\n');
        text.push_str(&result);
    } else {
        all.push(ChatMessage::User { content: ChatContent::Text(result) });
    }
}

fn said(content: String) -> ChatMessage {
    ChatMessage::Assistant { content: Some(content), tool_calls: Vec::new() }
}

fn reply(text: &str, json_words: bool) -> String {
    let is_json = json_words && serde_json::from_str::<Value>(text).is_ok();
    let value = if is_json { text.to_owned() } else { Value::from(text).to_string() };
    format!("{{\"reply\": {value}}}")
}

fn called(calls: &[(String, String)]) -> String {
    let lines: Vec<String> = calls.iter().map(|(name, arguments)| one_call(name, arguments)).collect();
    format!("{{\"calls\": [\n{}\n]}}", lines.join(",\n"))
}

fn one_call(name: &str, arguments: &str) -> String {
    let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
    format!("  {{\"name\": \"{name}\", \"arguments\": {arguments}}}")
}

/// What the model is told. Each sentence was measured; see the module's head.
fn explanation(protocol: &Protocol) -> String {
    let functions: Vec<String> = protocol.functions.iter().map(signature).collect();
    let functions = functions.join("\n");
    let form = called(&[("function_name".to_owned(), "{\"parameter\": \"value\"}".to_owned())]);
    let head =
        format!("You are an assistant with functions. You write JSON only.\nFunctions:\n{functions}\n\n");
    if protocol.must_call {
        return format!("{head}Call a function for what the user asks for:\n{form}");
    }
    let words = match &protocol.words {
        Words::Text => {
            "Otherwise answer in words, in the user's language: {\"reply\": \"your answer\"}".to_owned()
        }
        Words::Json(schema) => {
            format!("Otherwise answer {{\"reply\": …}} with JSON of this schema: {schema}")
        }
    };
    let examples = match &protocol.words {
        Words::Text if !all_demonstrated(protocol) => EXAMPLES,
        Words::Text | Words::Json(_) => "",
    };
    format!(
        "{head}If the user asks for something that a function does, call it: {form}\n{words}\n\
         After a function's result, answer in words using the result.\n\
         If several calls are needed, put all in the list.{examples}"
    )
}

/// Whether every function is shown in use.
fn all_demonstrated(protocol: &Protocol) -> bool {
    let shown = |name: &str| {
        protocol.demonstrations.iter().any(|message| match message {
            ChatMessage::Assistant { tool_calls, .. } => {
                tool_calls.iter().any(|ChatToolCall::Function { function, .. }| function.name == name)
            }
            ChatMessage::System { .. } | ChatMessage::User { .. } | ChatMessage::Tool { .. } => false,
        })
    };
    protocol.functions.iter().all(|function| shown(&function.name))
}

/// With functions that nobody has, lest the examples be taken for the user's wishes.
const EXAMPLES: &str = r#"

Examples with other functions:
User: Hello → {"reply": "Hello! How can I help you?"}
User: Who wrote Hamlet? → {"reply": "William Shakespeare."}
User: Translate 'cat' and 'dog' to French → {"calls": [
  {"name": "translate", "arguments": {"word": "cat", "to": "fr"}},
  {"name": "translate", "arguments": {"word": "dog", "to": "fr"}}
]}"#;

/// `- get_weather(city: string, unit?: "c"|"f"): The weather in a city`
fn signature(function: &ChatFunction) -> String {
    let parameters = members(&function.parameters);
    let about = function.description.as_deref().unwrap_or_default();
    let separator = if about.is_empty() { "" } else { ": " };
    format!("- {}({parameters}){separator}{about}", function.name)
}

fn members(schema: &Value) -> String {
    let nothing = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&nothing);
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
    let each = properties.iter().map(|(name, schema)| {
        let mark = if is_required(name) { "" } else { "?" };
        format!("{name}{mark}: {}", kind(schema))
    });
    each.collect::<Vec<_>>().join(", ")
}

fn kind(schema: &Value) -> String {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values.iter().map(Value::to_string).collect::<Vec<_>>().join("|");
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("object") if schema.get("properties").is_some() => format!("{{{}}}", members(schema)),
        Some("array") => format!("{}[]", schema.get("items").map_or_else(|| "any".to_owned(), kind)),
        Some(name) => name.to_owned(),
        None => "any".to_owned(),
    }
}
