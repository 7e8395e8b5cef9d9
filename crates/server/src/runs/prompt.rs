//! From a thread to what the model reads: instructions, then as much of the newest conversation as fits,
//! each tool call together with its answer.

use adjutant_wire::messages::{Content, Message, MessageStatus, Role};
use adjutant_wire::runs::{ResponseFormat, Run, TruncationKind};
use adjutant_wire::steps::{CalledTool, Step, StepDetails};
use adjutant_wire::tools::Tool;

use crate::fault::Result;
use crate::store::Reading;
use crate::tools::functions;
use crate::upstream::chat::{
    ChatContent, ChatFunctionCall, ChatImage, ChatMessage, ChatPart, ChatRequest, ChatToolCall,
};

/// Messages read from the store at once.
const PAGE: i64 = 64;

/// Something that was said or called, and where it stands in the thread.
enum Entry {
    Message(i64, Message),
    Calls(i64, Step),
}

impl Entry {
    fn position(&self) -> i64 {
        match self {
            Self::Message(position, _) | Self::Calls(position, _) => *position,
        }
    }
}

/// What the model is asked in a run's next turn. `first` is the run's first turn; `window` is how many
/// tokens of conversation fit.
pub(super) async fn build(
    store: &mut Reading,
    run: &Run,
    first: bool,
    used: u64,
    window: u64,
) -> Result<ChatRequest> {
    let entries = entries(store, run, window).await?;
    let mut messages = Vec::with_capacity(entries.len() + 1);
    if !run.instructions.is_empty() {
        messages.push(ChatMessage::System { content: run.instructions.clone() });
    }
    for entry in &entries {
        add(&mut messages, entry);
    }
    let tools = functions::describe(&run.tools);
    let calls_allowed = !tools.is_empty();
    // Forced in the first turn only, or the model would call for ever (contract §5).
    let choice = functions::choice(&run.tool_choice).filter(|_| calls_allowed && first);
    Ok(ChatRequest {
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
        max_completion_tokens: run.max_completion_tokens.map(|most| most.saturating_sub(used).max(1)),
        wants_code: run.tools.contains(&Tool::CodeInterpreter {}),
        reasoning_effort: run.reasoning_effort.map(|effort| effort.as_str().to_owned()),
    })
}

/// The newest entries that fit, oldest first.
async fn entries(store: &mut Reading, run: &Run, window: u64) -> Result<Vec<Entry>> {
    let mut left = window.saturating_sub(fixed_cost(run));
    let mut wanted = match (run.truncation_strategy.kind, run.truncation_strategy.last_messages) {
        (TruncationKind::LastMessages, Some(number)) => i64::try_from(number).unwrap_or(i64::MAX),
        (TruncationKind::Auto | TruncationKind::LastMessages, _) => i64::MAX,
    };
    let mut entries = Vec::new();
    let mut before = i64::MAX;
    loop {
        let page = store.messages_before(&run.thread_id, before, PAGE.min(wanted)).await?;
        let whole = i64::try_from(page.len()).is_ok_and(|length| length == PAGE);
        let from = match page.last() {
            Some((position, _)) if wanted > PAGE && whole => *position,
            Some((position, _)) if wanted <= PAGE => *position,
            // The thread's beginning: calls may stand before its first message.
            Some(_) | None => 0,
        };
        let steps = store.tool_steps_between(&run.thread_id, from, before, PAGE).await?;
        wanted = wanted.saturating_sub(PAGE);
        let mut found: Vec<Entry> =
            page.into_iter().map(|(position, message)| Entry::Message(position, message)).collect();
        found.extend(steps.into_iter().map(|(position, step)| Entry::Calls(position, step)));
        found.sort_by_key(|entry| std::cmp::Reverse(entry.position()));
        for entry in found {
            let cost = cost(&entry);
            if cost > left && !entries.is_empty() {
                entries.reverse();
                return Ok(entries);
            }
            left = left.saturating_sub(cost);
            entries.push(entry);
        }
        if from == 0 || wanted <= 0 {
            entries.reverse();
            return Ok(entries);
        }
        before = from;
    }
}

fn fixed_cost(run: &Run) -> u64 {
    let tools = run.tools.iter().map(|tool| match tool {
        Tool::Function { function } => estimate_tokens(&function.parameters.to_string()) + 32,
        Tool::CodeInterpreter {} | Tool::FileSearch { .. } => 0,
    });
    estimate_tokens(&run.instructions) + tools.sum::<u64>()
}

fn cost(entry: &Entry) -> u64 {
    /// What a message costs beside its text.
    const FRAME: u64 = 8;
    /// What an image costs, about.
    const IMAGE: u64 = 1_000;
    let cost = match entry {
        Entry::Message(_, message) => message
            .content
            .iter()
            .map(|part| match part {
                Content::Text { text } => estimate_tokens(&text.value),
                Content::Refusal { refusal } => estimate_tokens(refusal),
                Content::ImageFile { .. } | Content::ImageUrl { .. } => IMAGE,
            })
            .sum(),
        Entry::Calls(_, step) => match &step.step_details {
            StepDetails::ToolCalls { tool_calls } => tool_calls
                .iter()
                .map(|call| match &call.tool {
                    CalledTool::Function { function } => {
                        estimate_tokens(&function.arguments)
                            + estimate_tokens(function.output.as_deref().unwrap_or(""))
                    }
                    CalledTool::CodeInterpreter { .. } | CalledTool::FileSearch { .. } => 0,
                })
                .sum(),
            StepDetails::MessageCreation { .. } => 0,
        },
    };
    FRAME + cost
}

/// About how many tokens a text has: four letters of ASCII to a token, one of any other script.
pub(super) fn estimate_tokens(text: &str) -> u64 {
    let ascii = text.bytes().filter(u8::is_ascii).count();
    let others = text.chars().count() - ascii;
    u64::try_from(ascii.div_ceil(4) + others).unwrap_or(u64::MAX)
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

#[cfg(test)]
mod tests {
    use super::estimate_tokens;

    #[test]
    fn every_script_is_counted() {
        assert_eq!(estimate_tokens(""), 0);
        assert_eq!(estimate_tokens("four"), 1);
        assert_eq!(estimate_tokens("한국의 수도"), 6);
    }
}
