//! Function calls for models whose own do not work: small ones, and old servers.
//!
//! The functions' schemas become one schema of all that the model may write, by which the server constrains
//! its output:
//!
//! ```json
//! {"reply": "words"}
//! {"calls": [
//!   {"name": "get_weather", "arguments": {"city": "Oslo"}}
//! ]}
//! ```
//!
//! The shape was chosen by measurement with Qwen2.5-Coder-0.5B. Keys (`reply`, `calls`) are chosen rightly more
//! often than between an object and a list. A call stands on a line of its own because small models lose count
//! of brackets: on one line they end the list after the first call, on lines they go on to the second. Of 31
//! questions in English and Korean it answers 28 or 29 rightly, on one line 26; the eight other wordings of the
//! prompt that were tried came to 19 to 27.

mod call;
mod parse;
mod prompt;
mod scan;
mod schema;
#[cfg(test)]
mod tests;

pub(super) use parse::Parser;

use super::chat::{ChatFunction, ChatMessage, ChatRequest, ChatTool, ChatToolChoice};
use parse::Expected;
use schema::Words;

/// A request that a model without function calls understands, and the reader of its answer.
#[derive(Debug)]
pub(super) struct Emulation {
    /// The request, without tools.
    pub(super) request: ChatRequest,
    /// Takes each delta of the answer.
    pub(super) parser: Parser,
}

/// What the model may do in this turn.
#[derive(Debug)]
struct Protocol {
    functions: Vec<ChatFunction>,
    /// Turns that show how functions are used.
    demonstrations: Vec<ChatMessage>,
    words: Words,
    must_call: bool,
    most_calls: usize,
}

/// More calls than this in one turn are a model that repeats itself.
const MOST_CALLS: usize = 16;

/// Rewrites a request for a model whose own function calls do not work. With functions, the answer is drawn
/// without chance whatever temperature was asked for. A request without functions only has its earlier calls
/// and their results rewritten.
pub(super) fn emulate(mut request: ChatRequest) -> Emulation {
    let choice = request.tool_choice.take().unwrap_or(ChatToolChoice::Auto);
    let functions = offered(std::mem::take(&mut request.tools), &choice);
    let parallel = request.parallel_tool_calls.take() != Some(false);
    let demonstrations = std::mem::take(&mut request.demonstrations);
    if functions.is_empty() {
        request.messages = prompt::plain(request.messages);
        return Emulation { request, parser: Parser::new(Expected::default()) };
    }
    let protocol = Protocol {
        functions,
        demonstrations,
        words: Words::from_response_format(request.response_format.take()),
        must_call: matches!(choice, ChatToolChoice::Required | ChatToolChoice::Function(_)),
        most_calls: if parallel && !matches!(choice, ChatToolChoice::Function(_)) { MOST_CALLS } else { 1 },
    };
    // The choice of a function would be drawn by lot too: at 1, the API's default, a third of them is wrong.
    request.temperature = Some(0.0);
    request.top_p = None;
    request.messages = prompt::with_protocol(request.messages, &protocol);
    request.response_format = Some(schema::response_format(&protocol));
    Emulation { request, parser: Parser::new(expected(&protocol)) }
}

/// The functions that may be called in this turn.
fn offered(tools: Vec<ChatTool>, choice: &ChatToolChoice) -> Vec<ChatFunction> {
    let functions = tools.into_iter().map(|ChatTool::Function { function }| function);
    match choice {
        ChatToolChoice::None => Vec::new(),
        ChatToolChoice::Auto | ChatToolChoice::Required => functions.collect(),
        ChatToolChoice::Function(name) => functions.filter(|function| function.name == *name).collect(),
    }
}

fn expected(protocol: &Protocol) -> Expected {
    Expected {
        functions: protocol.functions.iter().map(|function| function.name.clone()).collect(),
        json_words: matches!(protocol.words, Words::Json(_)),
        most_calls: protocol.most_calls,
    }
}
