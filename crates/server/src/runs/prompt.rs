//! From a thread to what the model reads: instructions, then the conversation, each tool call together with
//! its answer. Searches are shown in their own run alone: what they gave is too much to be kept, and a later run can
//! search again.

use adjutant_wire::messages::{Content, Message, MessageStatus, Role};
use adjutant_wire::runs::{IncompleteRunReason, LastError, LastErrorCode, ResponseFormat, Run, ToolChoice};
use adjutant_wire::steps::{CalledTool, Step, StepDetails, ToolCall};
use serde_json::json;

use super::citations::{Sources, without_markers};
use super::code;
use super::history::{self, Entry, History};
use super::images::Images;
use super::machine::End;
use crate::fault::Result;
use crate::store::Reading;
use crate::tools::code_interpreter::InputFile;
use crate::tools::file_search::{self, Form};
use crate::tools::functions;
use crate::tools::hosted::{self, HostedTool};
use crate::upstream::chat::{
    ChatContent, ChatFunctionCall, ChatImage, ChatMessage, ChatPart, ChatRequest, ChatTool, ChatToolCall,
    ChatToolChoice, Code, question,
};

/// For a model that used tools without coming to an end.
const MUST_ANSWER: &str = "Answer now, from what you have found so far, without calling anything.";

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

/// On which terms a model is asked, beside what is said.
#[derive(Debug)]
pub(super) struct Terms {
    /// Whether this is the run's first turn.
    pub(super) first: bool,
    pub(super) room: Room,
    /// Hosted tools that the model may use.
    pub(super) hosted: Vec<HostedTool>,
    /// Files that its programs can read.
    pub(super) code_files: Vec<InputFile>,
    /// Whether the model has to answer without calling anything.
    pub(super) must_answer: bool,
    /// Whether the model makes its calls in a protocol of ours: then it is a weak one.
    pub(super) emulated: bool,
}

impl Terms {
    /// What the run's model is told that it may call.
    fn tools(&self, run: &Run) -> Vec<ChatTool> {
        let mut tools = functions::describe(&run.tools);
        tools.extend(self.hosted.iter().map(|tool| tool.describe(&run.tools, &self.code_files)));
        tools
    }

    /// Turns that show a weak model how hosted tools are used.
    fn demonstrations(&self, run: &Run) -> Vec<ChatMessage> {
        let shown = self.hosted.iter().filter(|_| self.emulated);
        shown.flat_map(|tool| tool.demonstrate(&run.tools)).collect()
    }

    /// All texts that the model reads beside the thread.
    fn fixed(&self, run: &Run) -> Result<Vec<String>> {
        let described = serde_json::to_string(&(self.tools(run), self.demonstrations(run)))?;
        Ok(vec![self.instructions(run), described])
    }

    fn choice(&self, run: &Run) -> Option<ChatToolChoice> {
        if self.must_answer {
            return Some(ChatToolChoice::None);
        }
        // Forced in the first turn only, or the model would call for ever (contract §5).
        let forced = hosted::choice(&run.tool_choice, &run.tools, &self.hosted);
        forced.or_else(|| self.must_search(run).then_some(ChatToolChoice::Required)).filter(|_| self.first)
    }

    /// Whether to search is not left to a weak model that can do nothing else: it would rather make an answer up.
    fn must_search(&self, run: &Run) -> bool {
        let can_only_search =
            self.hosted == [HostedTool::FileSearch] && functions::describe(&run.tools).is_empty();
        self.emulated && can_only_search && run.tool_choice == ToolChoice::Auto
    }

    fn code(&self, run: &Run) -> Code {
        let tool = HostedTool::CodeInterpreter;
        if !tool.is_among(&run.tools) {
            Code::Whatever
        } else if !self.hosted.contains(&tool) {
            Code::Lacking
        } else if self.first && run.tool_choice == ToolChoice::Auto {
            Code::Offered(tool.name(&run.tools))
        } else {
            Code::Whatever
        }
    }

    fn instructions(&self, run: &Run) -> String {
        let parts = [run.instructions.as_str(), if self.must_answer { MUST_ANSWER } else { "" }];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join("\n\n")
    }
}

/// What of the thread the model reads in a run's next turn, or how the run ends because nothing fits.
pub(super) async fn read(
    store: &mut Reading,
    run: &Run,
    terms: &Terms,
) -> Result<std::result::Result<Vec<Entry>, End>> {
    Ok(match history::newest(store, run, &terms.fixed(run)?, terms.room.for_prompt()).await? {
        History::Fits(entries) => Ok(entries),
        History::TooLong => Err(terms.room.too_long()),
    })
}

/// What the model is asked. `sources` are what the run has found so far.
pub(super) fn build(
    run: &Run,
    terms: &Terms,
    sources: &Sources,
    entries: &[Entry],
    images: &Images,
) -> ChatRequest {
    let tools = terms.tools(run);
    let instructions = terms.instructions(run);
    let mut messages = Vec::with_capacity(entries.len() + 1);
    if !instructions.is_empty() {
        messages.push(ChatMessage::System { content: instructions });
    }
    let reader = Reader { run, sources, images, emulated: terms.emulated };
    for entry in entries {
        reader.add(&mut messages, entry);
    }
    let calls_allowed = !tools.is_empty();
    ChatRequest {
        model: run.model.clone(),
        messages,
        tool_choice: terms.choice(run).filter(|_| calls_allowed),
        parallel_tool_calls: (calls_allowed && !run.parallel_tool_calls).then_some(false),
        demonstrations: terms.demonstrations(run),
        tools,
        response_format: match &run.response_format {
            ResponseFormat::Auto => None,
            ResponseFormat::Object(format) => Some(format.clone()),
        },
        // 1 is what the API fills in where the client has said nothing: then the model's own default is
        // better than a number, and reasoning models refuse any.
        temperature: Some(run.temperature).filter(|temperature| *temperature != 1.0),
        top_p: Some(run.top_p).filter(|top_p| *top_p != 1.0),
        max_completion_tokens: terms.room.completion_tokens,
        code: terms.code(run),
        reasoning_effort: run.reasoning_effort.map(|effort| effort.as_str().to_owned()),
    }
}

/// How many tokens the next search of a run may bring: half of what the model can read beside the question and
/// what the run has done since. The other half is for the conversation before.
pub(super) async fn room_for_found(store: &mut Reading, run: &Run, terms: &Terms) -> Result<u64> {
    Ok(history::room_beside_turn(store, run, &terms.fixed(run)?, terms.room.for_prompt()).await? / 2)
}

fn said(message: &Message, images: &Images) -> Option<ChatMessage> {
    let parts: Vec<ChatPart> = message.content.iter().map(|content| part(content, images)).collect();
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

fn part(content: &Content, images: &Images) -> ChatPart {
    match content {
        Content::Text { text } => ChatPart::Text { text: without_markers(text) },
        Content::Refusal { refusal } => ChatPart::Text { text: refusal.clone() },
        Content::ImageUrl { image_url } => ChatPart::ImageUrl {
            image_url: ChatImage {
                url: image_url.url.clone(),
                detail: Some(image_url.detail.as_str().to_owned()),
            },
        },
        Content::ImageFile { image_file } => images.part(image_file),
    }
}

/// Puts what was said and called into the model's terms.
struct Reader<'r> {
    run: &'r Run,
    sources: &'r Sources,
    images: &'r Images,
    emulated: bool,
}

/// A call and its answer, as the model reads them.
struct Answered {
    id: String,
    call: ChatFunctionCall,
    answer: String,
}

impl Reader<'_> {
    fn add(&self, messages: &mut Vec<ChatMessage>, entry: &Entry) {
        match entry {
            Entry::Message(_, message) => messages.extend(said(message, self.images)),
            Entry::Calls(_, step) => self.add_calls(messages, step),
        }
    }

    /// The calls of one turn and their answers. Where the model spoke before it called, both are one message of the
    /// model, as it wrote them. Calls that were never answered are left out: no model's server takes them.
    fn add_calls(&self, messages: &mut Vec<ChatMessage>, step: &Step) {
        let StepDetails::ToolCalls { tool_calls: calls } = &step.step_details else { return };
        let question = question(messages);
        let answered: Option<Vec<Answered>> =
            calls.iter().map(|call| self.answered(call, question)).collect();
        let Some(answered) = answered.filter(|calls| !calls.is_empty()) else { return };
        let made = answered
            .iter()
            .map(|made| ChatToolCall::Function { id: made.id.clone(), function: made.call.clone() });
        match messages.last_mut() {
            Some(ChatMessage::Assistant { tool_calls, .. }) if tool_calls.is_empty() => {
                tool_calls.extend(made);
            }
            _ => messages.push(ChatMessage::Assistant { content: None, tool_calls: made.collect() }),
        }
        let answers = answered
            .into_iter()
            .map(|Answered { id, answer, .. }| ChatMessage::Tool { tool_call_id: id, content: answer });
        messages.extend(answers);
    }

    fn answered(&self, ToolCall { id, tool }: &ToolCall, question: &str) -> Option<Answered> {
        let (name, arguments, answer) = match tool {
            CalledTool::Function { function } => {
                (function.name.clone(), function.arguments.clone(), function.output.clone()?)
            }
            CalledTool::FileSearch { file_search } if file_search.pending => return None,
            CalledTool::FileSearch { file_search } => {
                let arguments = json!({"queries": file_search.queries});
                let form = if self.emulated {
                    Form::Plain(question)
                } else {
                    Form::Marked(self.sources.first_mark(id))
                };
                let answer = file_search::answer(file_search, form);
                (HostedTool::FileSearch.name(&self.run.tools), arguments.to_string(), answer)
            }
            CalledTool::CodeInterpreter { code_interpreter } if code_interpreter.pending => return None,
            CalledTool::CodeInterpreter { code_interpreter } => {
                let arguments = json!({"code": code_interpreter.input});
                let name = HostedTool::CodeInterpreter.name(&self.run.tools);
                (name, arguments.to_string(), code::answer(code_interpreter))
            }
        };
        let call = ChatFunctionCall { name, arguments };
        Some(Answered { id: adjutant_wire::id::Id::as_str(id).to_owned(), call, answer })
    }
}
