//! Function tools: what the model is told of them, and what counts as a call of one.

use adjutant_wire::tools::Tool;

use crate::upstream::chat::{ChatFunction, ChatTool};

/// The functions among a run's tools, described for the model.
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

/// Whether a run has a function of this name.
pub fn has(tools: &[Tool], name: &str) -> bool {
    tools.iter().any(|tool| matches!(tool, Tool::Function { function } if function.name == name))
}

/// Whether a call's arguments are what every client expects to parse: the text of a JSON object.
pub fn are_arguments(text: &str) -> bool {
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok()
}
