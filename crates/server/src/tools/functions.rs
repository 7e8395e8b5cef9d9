//! Function tools: what the model is told of them, and what counts as a call of one.

use adjutant_wire::runs::{NamedTool, ToolChoice};
use adjutant_wire::tools::Tool;

use crate::upstream::chat::{ChatFunction, ChatTool, ChatToolChoice};

/// The functions among a run's tools, described for the model. `code_interpreter` and `file_search` are not
/// built yet: the model is told nothing of them.
pub fn describe(tools: &[Tool]) -> Vec<ChatTool> {
    let describe = |tool: &Tool| match tool {
        Tool::Function { function } => Some(ChatTool::Function {
            function: ChatFunction {
                name: function.name.clone(),
                description: function.description.clone(),
                parameters: function.parameters.clone(),
                strict: function.strict.then_some(true),
            },
        }),
        Tool::CodeInterpreter {} | Tool::FileSearch { .. } => None,
    };
    tools.iter().filter_map(describe).collect()
}

/// What the model is told to call. `None` leaves it to the upstream's default, which is `auto`.
pub fn choice(choice: &ToolChoice) -> Option<ChatToolChoice> {
    match choice {
        ToolChoice::None => Some(ChatToolChoice::None),
        ToolChoice::Auto => None,
        ToolChoice::Required => Some(ChatToolChoice::Required),
        ToolChoice::Tool(NamedTool::Function { function }) => {
            Some(ChatToolChoice::Function(function.name.clone()))
        }
        ToolChoice::Tool(NamedTool::CodeInterpreter {} | NamedTool::FileSearch {}) => None,
    }
}

/// Whether a run has a function of this name.
pub fn has(tools: &[Tool], name: &str) -> bool {
    tools.iter().any(|tool| matches!(tool, Tool::Function { function } if function.name == name))
}

/// Whether a call's arguments are what every client expects to parse: the text of a JSON object.
pub fn are_arguments(text: &str) -> bool {
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok()
}
