//! Tools that this server runs itself: what the model knows them by, and what a call of one is.

use adjutant_wire::runs::{NamedTool, ToolChoice};
use adjutant_wire::steps::CalledTool;
use adjutant_wire::tools::Tool;

use super::code_interpreter::{self, InputFile};
use super::{file_search, functions};
use crate::upstream::chat::{ChatMessage, ChatTool, ChatToolChoice};

/// A tool that this server runs itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostedTool {
    /// Search over vector stores.
    FileSearch,
    /// Python in a session of the thread's.
    CodeInterpreter,
}

impl HostedTool {
    const ALL: [Self; 2] = [Self::FileSearch, Self::CodeInterpreter];

    /// The hosted tool of this name, if a run with these tools has it.
    pub fn named(tools: &[Tool], name: &str) -> Option<Self> {
        let called = |tool: &Self| tool.is_among(tools) && tool.name(tools) == name;
        Self::ALL.into_iter().find(called)
    }

    /// Whether a run has it.
    pub fn is_among(self, tools: &[Tool]) -> bool {
        tools.iter().any(|tool| match (self, tool) {
            (Self::FileSearch, Tool::FileSearch { .. })
            | (Self::CodeInterpreter, Tool::CodeInterpreter {}) => true,
            (_, Tool::FileSearch { .. } | Tool::CodeInterpreter {} | Tool::Function { .. }) => false,
        })
    }

    /// The function that the model knows it as. A name that the client has given to a function of its own is
    /// that function's.
    pub fn name(self, tools: &[Tool]) -> String {
        let name = match self {
            Self::FileSearch => "file_search",
            Self::CodeInterpreter => "code_interpreter",
        };
        let taken = |name: &str| functions::has(tools, name);
        let others = (2..).map(|number| format!("{name}_{number}"));
        std::iter::once(name.to_owned()).chain(others).find(|name| !taken(name)).unwrap_or_default()
    }

    /// What the model is told of it. `files` are those that code can read.
    pub fn describe(self, tools: &[Tool], files: &[InputFile]) -> ChatTool {
        match self {
            Self::FileSearch => file_search::describe(self.name(tools)),
            Self::CodeInterpreter => code_interpreter::describe(self.name(tools), files),
        }
    }

    /// Turns in which it is used, for models that learn from examples.
    pub fn demonstrate(self, tools: &[Tool]) -> Vec<ChatMessage> {
        match self {
            Self::FileSearch => file_search::demonstrate(&self.name(tools)),
            Self::CodeInterpreter => Vec::new(),
        }
    }

    /// A call of it, as it stands in a step before the model has said with what.
    pub fn begin(self, tools: &[Tool]) -> CalledTool {
        match self {
            Self::FileSearch => CalledTool::FileSearch { file_search: file_search::begin(tools) },
            Self::CodeInterpreter => {
                CalledTool::CodeInterpreter { code_interpreter: code_interpreter::begin() }
            }
        }
    }
}

/// Whether this server has yet to run a call.
pub fn is_pending(call: &CalledTool) -> bool {
    match call {
        CalledTool::FileSearch { file_search } => file_search.pending,
        CalledTool::CodeInterpreter { code_interpreter } => code_interpreter.pending,
        CalledTool::Function { .. } => false,
    }
}

/// Whether it is this server that runs a call.
pub fn is_hosted(call: &CalledTool) -> bool {
    match call {
        CalledTool::FileSearch { .. } | CalledTool::CodeInterpreter { .. } => true,
        CalledTool::Function { .. } => false,
    }
}

/// What the model is told to call, if it is offered these hosted tools. `None` leaves it to the upstream's
/// default, which is `auto`.
pub fn choice(choice: &ToolChoice, tools: &[Tool], offered: &[HostedTool]) -> Option<ChatToolChoice> {
    match choice {
        ToolChoice::None => Some(ChatToolChoice::None),
        ToolChoice::Auto => None,
        ToolChoice::Required => Some(ChatToolChoice::Required),
        ToolChoice::Tool(NamedTool::Function { function }) => {
            Some(ChatToolChoice::Function(function.name.clone()))
        }
        ToolChoice::Tool(NamedTool::FileSearch {}) => forced(HostedTool::FileSearch, tools, offered),
        ToolChoice::Tool(NamedTool::CodeInterpreter {}) => {
            forced(HostedTool::CodeInterpreter, tools, offered)
        }
    }
}

fn forced(tool: HostedTool, tools: &[Tool], offered: &[HostedTool]) -> Option<ChatToolChoice> {
    offered.contains(&tool).then(|| ChatToolChoice::Function(tool.name(tools)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tools(value: serde_json::Value) -> Vec<Tool> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_name_of_the_clients_stays_the_clients() {
        let search = json!({"type": "file_search"});
        let function = |name: &str| json!({"type": "function", "function": {"name": name}});
        let all = tools(json!([search, function("file_search"), function("file_search_2")]));
        assert_eq!(HostedTool::FileSearch.name(&all), "file_search_3");
        assert_eq!(HostedTool::named(&all, "file_search"), None);
        assert_eq!(HostedTool::named(&all, "file_search_3"), Some(HostedTool::FileSearch));
        let none = tools(json!([function("look")]));
        assert_eq!(HostedTool::named(&none, "file_search"), None, "the run does not have it");
    }

    #[test]
    fn a_choice_is_told_by_the_name_that_the_model_knows() {
        let all = tools(
            json!([{"type": "file_search"}, {"type": "function", "function": {"name": "file_search"}}]),
        );
        let forced = ToolChoice::Tool(NamedTool::FileSearch {});
        let offered = [HostedTool::FileSearch];
        assert_eq!(choice(&forced, &all, &offered), Some(ChatToolChoice::Function("file_search_2".into())));
        assert_eq!(choice(&forced, &all, &[]), None, "there is nothing to search");
    }
}
