//! From a thread to what the model reads: instructions, then the conversation, each tool call together with
//! its answer.

use adjutant_wire::messages::{Content, Message, MessageStatus, Role};
use adjutant_wire::runs::{IncompleteRunReason, LastError, LastErrorCode, ResponseFormat, Run};
use adjutant_wire::steps::{CalledTool, Step, StepDetails};
use adjutant_wire::tools::Tool;

use super::history::{self, Entry, History};
use super::machine::End;
use crate::fault::Result;
use crate::store::Reading;
use crate::tools::functions;
use crate::upstream::chat::{
    ChatContent, ChatFunctionCall, ChatImage, ChatMessage, ChatPart, ChatRequest, ChatToolCall,
};

/// What a run may still read and write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// What its model can read and write at once.
    pub(super) context_tokens: u64,
    /// What is left of `max_prompt_tokens`, where the run has it.
    pub(super) prompt_tokens: Option<u64>,
    /// What is left of `max_completion_tokens`, where the run has it.
    pub(super) completion_tokens: Option<u64>,
}

impl Room {
    /// The longest prompt. Part of the window is left to the answer, and a twentieth to the difference between
    /// our count and the model's.
    fn for_prompt(&self) -> u64 {
        /// What an answer needs, unless the run says how long it may be.
        const ANSWER_TOKENS: u64 = 4_096;
        let context = self.context_tokens - self.context_tokens / 20;
        let answer = self.completion_tokens.unwrap_or(ANSWER_TOKENS).min(context / 4);
        self.prompt_tokens.unwrap_or(u64::MAX).min(context - answer)
    }

    /// How a run ends whose newest message alone does not fit.
    fn too_long(&self) -> End {
        if self.prompt_tokens.is_some_and(|tokens| tokens <= self.for_prompt()) {
            return End::Incomplete(IncompleteRunReason::MaxPromptTokens);
        }
        let message = format!(
            "The newest message and the instructions are longer than the model can read: it reads and writes {} tokens \
             at once.",
            self.context_tokens
        );
        End::Failed(LastError { code: LastErrorCode::InvalidPrompt, message })
    }
}

/// What the model is asked in a run's next turn, or how the run ends because nothing can be asked. `first` is
/// the run's first turn.
pub(super) async fn build(
    store: &mut Reading,
    run: &Run,
    first: bool,
    room: Room,
) -> Result<std::result::Result<ChatRequest, End>> {
    let tools = functions::describe(&run.tools);
    let described = serde_json::to_string(&tools)?;
    let entries =
        match history::newest(store, run, &[&run.instructions, &described], room.for_prompt()).await? {
            History::Fits(entries) => entries,
            History::TooLong => return Ok(Err(room.too_long())),
        };
    let mut messages = Vec::with_capacity(entries.len() + 1);
    if !run.instructions.is_empty() {
        messages.push(ChatMessage::System { content: run.instructions.clone() });
    }
    for entry in &entries {
        add(&mut messages, entry);
    }
    let calls_allowed = !tools.is_empty();
    // Forced in the first turn only, or the model would call for ever (contract §5).
    let choice = functions::choice(&run.tool_choice).filter(|_| calls_allowed && first);
    Ok(Ok(ChatRequest {
        model: run.model.clone(),
        messages,
        tool_choice: choice,
        parallel_tool_calls: (calls_allowed && !run.parallel_tool_calls).then_some(false),
        tools,
        response_format: match &run.response_format {
            ResponseFormat::Auto => None,
            ResponseFormat::Object(format) => Some(format.clone()),
        },
        // 1 is what the API fills in where the client has said nothing: then the model's own default is
        // better than a number, and reasoning models refuse any.
        temperature: Some(run.temperature).filter(|temperature| *temperature != 1.0),
        top_p: Some(run.top_p).filter(|top_p| *top_p != 1.0),
        max_completion_tokens: room.completion_tokens,
        wants_code: run.tools.contains(&Tool::CodeInterpreter {}),
        reasoning_effort: run.reasoning_effort.map(|effort| effort.as_str().to_owned()),
    }))
}

fn add(messages: &mut Vec<ChatMessage>, entry: &Entry) {
    match entry {
        Entry::Message(_, message) => messages.extend(said(message)),
        Entry::Calls(_, step) => add_calls(messages, step),
    }
}

fn said(message: &Message) -> Option<ChatMessage> {
    let parts: Vec<ChatPart> = message.content.iter().map(part).collect();
    let text = || {
        let texts = parts.iter().filter_map(|part| match part {
            ChatPart::Text { text } => Some(text.as_str()),
            ChatPart::ImageUrl { .. } => None,
        });
        texts.collect::<Vec<_>>().join("\n")
    };
    match message.role {
        Role::Assistant => {
            let content = text();
            // One that broke off before its first word says nothing to the model.
            let empty = content.is_empty() && message.status != MessageStatus::Completed;
            (!empty).then_some(ChatMessage::Assistant { content: Some(content), tool_calls: Vec::new() })
        }
        Role::User if parts.iter().all(|part| matches!(part, ChatPart::Text { .. })) => {
            Some(ChatMessage::User { content: ChatContent::Text(text()) })
        }
        Role::User => Some(ChatMessage::User { content: ChatContent::Parts(parts) }),
    }
}

fn part(content: &Content) -> ChatPart {
    match content {
        Content::Text { text } => ChatPart::Text { text: text.value.clone() },
        Content::Refusal { refusal } => ChatPart::Text { text: refusal.clone() },
        Content::ImageUrl { image_url } => ChatPart::ImageUrl {
            image_url: ChatImage {
                url: image_url.url.clone(),
                detail: Some(image_url.detail.as_str().to_owned()),
            },
        },
        // Files are not built yet; the model had better know that something was there.
        Content::ImageFile { image_file } => {
            ChatPart::Text { text: format!("[The image {} cannot be shown here.]", image_file.file_id) }
        }
    }
}

/// The calls of one turn and their outputs. Where the model spoke before it called, both are one message of
/// the model, as it wrote them. Calls that were never answered are left out: no model's server takes them.
fn add_calls(messages: &mut Vec<ChatMessage>, step: &Step) {
    let StepDetails::ToolCalls { tool_calls: calls } = &step.step_details else { return };
    let answered: Option<Vec<(&str, &str, &str, &str)>> = calls
        .iter()
        .map(|call| match &call.tool {
            CalledTool::Function { function } => {
                let output = function.output.as_deref()?;
                Some((
                    adjutant_wire::id::Id::as_str(&call.id),
                    function.name.as_str(),
                    function.arguments.as_str(),
                    output,
                ))
            }
            CalledTool::CodeInterpreter { .. } | CalledTool::FileSearch { .. } => None,
        })
        .collect();
    let Some(answered) = answered.filter(|calls| !calls.is_empty()) else { return };
    let made = answered.iter().map(|(id, name, arguments, _)| ChatToolCall::Function {
        id: (*id).to_owned(),
        function: ChatFunctionCall { name: (*name).to_owned(), arguments: (*arguments).to_owned() },
    });
    match messages.last_mut() {
        Some(ChatMessage::Assistant { tool_calls, .. }) if tool_calls.is_empty() => tool_calls.extend(made),
        _ => messages.push(ChatMessage::Assistant { content: None, tool_calls: made.collect() }),
    }
    messages.extend(answered.iter().map(|(id, _, _, output)| ChatMessage::Tool {
        tool_call_id: (*id).to_owned(),
        content: (*output).to_owned(),
    }));
}
