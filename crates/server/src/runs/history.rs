//! Which part of a thread the model reads: all of it where it fits, else its first message and the newest
//! ones. What is in between is dropped, a call never without its answer.

use std::cmp::Reverse;

use adjutant_wire::messages::{Content, Message};
use adjutant_wire::runs::{Run, TruncationKind};
use adjutant_wire::steps::{CalledTool, Step, StepDetails};

use super::tokens;
use crate::fault::Result;
use crate::store::Reading;

/// Messages read from the store at first; each further page is twice as long.
const FIRST_PAGE: i64 = 64;
const LONGEST_PAGE: i64 = 1_024;

/// What a message costs beside its text.
const FRAME_TOKENS: u64 = 8;

/// What an image costs, about.
const IMAGE_TOKENS: u64 = 1_000;

/// Something that was said or called, and where it stands in the thread.
pub(super) enum Entry {
    /// A message.
    Message(i64, Message),
    /// A step of calls.
    Calls(i64, Step),
}

/// What the model reads of a thread.
pub(super) enum History {
    /// These, oldest first.
    Fits(Vec<Entry>),
    /// Not even the newest fits.
    TooLong,
}

impl Entry {
    fn position(&self) -> i64 {
        match self {
            Self::Message(position, _) | Self::Calls(position, _) => *position,
        }
    }

    fn texts(&self) -> Vec<&str> {
        match self {
            Self::Message(_, message) => message.content.iter().filter_map(text_of).collect(),
            Self::Calls(_, step) => match &step.step_details {
                StepDetails::ToolCalls { tool_calls } => {
                    tool_calls.iter().flat_map(|call| texts_of_call(&call.tool)).collect()
                }
                StepDetails::MessageCreation { .. } => Vec::new(),
            },
        }
    }

    /// What it costs whatever its texts say.
    fn frame_tokens(&self) -> u64 {
        let images = match self {
            Self::Message(_, message) => message.content.iter().filter(|part| is_image(part)).count(),
            Self::Calls(..) => 0,
        };
        FRAME_TOKENS + IMAGE_TOKENS * u64::try_from(images).unwrap_or_default()
    }
}

fn text_of(part: &Content) -> Option<&str> {
    match part {
        Content::Text { text } => Some(&text.value),
        Content::Refusal { refusal } => Some(refusal),
        Content::ImageFile { .. } | Content::ImageUrl { .. } => None,
    }
}

fn is_image(part: &Content) -> bool {
    match part {
        Content::ImageFile { .. } | Content::ImageUrl { .. } => true,
        Content::Text { .. } | Content::Refusal { .. } => false,
    }
}

fn texts_of_call(tool: &CalledTool) -> Vec<&str> {
    match tool {
        CalledTool::Function { function } => {
            vec![&function.name, &function.arguments, function.output.as_deref().unwrap_or_default()]
        }
        CalledTool::CodeInterpreter { .. } | CalledTool::FileSearch { .. } => Vec::new(),
    }
}

/// The entries of a thread that fit beside `fixed` texts into so many tokens. Reads no more of the thread
/// than that.
pub(super) async fn newest(store: &mut Reading, run: &Run, fixed: &[&str], tokens: u64) -> Result<History> {
    let mut chosen = Chosen::new(fixed, tokens);
    let mut pages = Pages::new(run);
    while let Some(page) = pages.next(store).await? {
        for entry in page {
            if !chosen.take(entry) {
                return finish_cut(store, run, chosen).await;
            }
        }
    }
    Ok(History::Fits(chosen.oldest_first()))
}

/// The thread is longer than what fits: its first message says what it is about, so it stays if it is short.
async fn finish_cut(store: &mut Reading, run: &Run, mut chosen: Chosen<'_>) -> Result<History> {
    if chosen.entries.is_empty() {
        return Ok(History::TooLong);
    }
    if run.truncation_strategy.kind == TruncationKind::Auto
        && let Some((position, message)) = store.first_message(&run.thread_id).await?
    {
        chosen.take_first(Entry::Message(position, message));
    }
    tracing::info!(run.id = %run.id, "the thread is longer than the model can read: its middle was left out");
    Ok(History::Fits(chosen.oldest_first()))
}

/// What was chosen so far, newest first, and what it costs.
struct Chosen<'f> {
    fixed: &'f [&'f str],
    limit: u64,
    spent: u64,
    /// Texts are counted by their bytes, which is never too little, until that no longer fits.
    exact: bool,
    entries: Vec<Entry>,
}

impl<'f> Chosen<'f> {
    fn new(fixed: &'f [&'f str], limit: u64) -> Self {
        let mut chosen = Self { fixed, limit, spent: 0, exact: false, entries: Vec::new() };
        chosen.spent = chosen.fixed_cost();
        chosen
    }

    /// Takes an entry if it fits.
    fn take(&mut self, entry: Entry) -> bool {
        if !self.exact && self.spent.saturating_add(self.cost(&entry)) > self.limit {
            self.exact = true;
            self.spent = self.fixed_cost() + self.entries.iter().map(|entry| self.cost(entry)).sum::<u64>();
        }
        let cost = self.cost(&entry);
        if self.spent.saturating_add(cost) > self.limit {
            return false;
        }
        self.spent += cost;
        self.entries.push(entry);
        true
    }

    /// Makes room for the thread's first message, unless that would take more than a quarter.
    fn take_first(&mut self, first: Entry) {
        let cost = self.cost(&first);
        let is_there = self.entries.last().is_some_and(|oldest| oldest.position() <= first.position());
        if is_there || cost > self.limit / 4 {
            return;
        }
        while self.spent + cost > self.limit && self.entries.len() > 1 {
            if let Some(dropped) = self.entries.pop() {
                self.spent -= self.cost(&dropped);
            }
        }
        if self.spent + cost <= self.limit {
            self.spent += cost;
            self.entries.push(first);
        }
    }

    fn oldest_first(mut self) -> Vec<Entry> {
        self.entries.reverse();
        self.entries
    }

    fn fixed_cost(&self) -> u64 {
        self.fixed.iter().map(|text| self.tokens(text)).sum::<u64>() + FRAME_TOKENS
    }

    fn cost(&self, entry: &Entry) -> u64 {
        entry.texts().into_iter().map(|text| self.tokens(text)).sum::<u64>() + entry.frame_tokens()
    }

    fn tokens(&self, text: &str) -> u64 {
        if self.exact { tokens::count(text) } else { tokens::at_most(text) }
    }
}

/// Walks a thread from its end to its beginning.
struct Pages<'r> {
    run: &'r Run,
    before: i64,
    size: i64,
    /// How many more messages are wanted.
    messages: i64,
    over: bool,
}

impl<'r> Pages<'r> {
    fn new(run: &'r Run) -> Self {
        let messages = match (run.truncation_strategy.kind, run.truncation_strategy.last_messages) {
            (TruncationKind::LastMessages, Some(number)) => i64::try_from(number).unwrap_or(i64::MAX),
            (TruncationKind::Auto | TruncationKind::LastMessages, _) => i64::MAX,
        };
        Self { run, before: i64::MAX, size: FIRST_PAGE, messages, over: false }
    }

    /// The next entries, newest first: messages, and the calls that stand between and after them.
    async fn next(&mut self, store: &mut Reading) -> Result<Option<Vec<Entry>>> {
        if self.over {
            return Ok(None);
        }
        let wanted = self.size.min(self.messages);
        let thread = &self.run.thread_id;
        let messages = store.messages_before(thread, self.before, wanted).await?;
        let found = i64::try_from(messages.len()).unwrap_or(i64::MAX);
        self.messages -= found;
        self.over = found < wanted || self.messages == 0;
        // Calls before the thread's first message belong to it; calls before the last wanted message do not.
        let from = match messages.last() {
            Some((oldest, _)) if found == wanted => *oldest,
            Some(_) | None => 0,
        };
        let calls = store.tool_steps_between(thread, from, self.before).await?;
        let mut entries: Vec<Entry> =
            messages.into_iter().map(|(position, message)| Entry::Message(position, message)).collect();
        entries.extend(calls.into_iter().map(|(position, step)| Entry::Calls(position, step)));
        entries.sort_by_key(|entry| Reverse(entry.position()));
        self.before = from;
        self.size = (self.size * 2).min(LONGEST_PAGE);
        Ok(Some(entries))
    }
}
