//! Which part of a thread the model reads: all of it where it fits, else its first message and the newest
//! ones. What is in between is dropped, a call never without its answer. What a run has found, and what its programs
//! printed, gives way to the question that it is to answer.

use std::cmp::Reverse;

use adjutant_wire::messages::{Content, Message};
use adjutant_wire::runs::{Run, TruncationKind};
use adjutant_wire::steps::{CalledTool, CodeInterpreterOutput, Step, StepDetails};

use super::{logs, tokens};
use crate::fault::Result;
use crate::store::Reading;
use crate::tools::file_search::PASSAGE_TOKENS;

/// Messages read from the store at first. Each further page is twice as long, until something was chosen: then as
/// long as there is room for.
const FIRST_PAGE: i64 = 64;
const SHORTEST_PAGE: i64 = 16;
const LONGEST_PAGE: i64 = 1_024;

/// What a message costs beside its text.
const FRAME_TOKENS: u64 = 8;

/// What an image costs, about.
pub(super) const IMAGE_TOKENS: u64 = 1_000;

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

    /// Whether the run itself said or called it.
    fn is_of(&self, run: &Run) -> bool {
        match self {
            Self::Message(_, message) => message.run_id.as_ref() == Some(&run.id),
            Self::Calls(_, step) => step.run_id == run.id,
        }
    }

    /// The same with the least of what its tools gave, if there is less: without the passages that its searches
    /// found, and of what its programs printed only the ends.
    fn bare(&self) -> Option<Self> {
        let without_found = self.without_found();
        let ends = without_found.as_ref().unwrap_or(self).with_logs(0, tokens::at_most);
        ends.or(without_found)
    }

    /// The same without the passages that its searches found, if there are any.
    fn without_found(&self) -> Option<Self> {
        let Self::Calls(position, step) = self else { return None };
        let mut step = step.clone();
        let StepDetails::ToolCalls { tool_calls } = &mut step.step_details else { return None };
        let mut any = false;
        for call in tool_calls {
            if let CalledTool::FileSearch { file_search } = &mut call.tool {
                any |= !file_search.results.is_empty();
                file_search.results.iter_mut().for_each(|result| result.content = None);
            }
        }
        any.then_some(Self::Calls(*position, step))
    }

    /// The same with so many tokens of what its programs printed, if that is less.
    fn with_logs(&self, tokens: u64, count: impl Fn(&str) -> u64) -> Option<Self> {
        let Self::Calls(position, step) = self else { return None };
        logs::cut(step, tokens, count).map(|step| Self::Calls(*position, step))
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
        let inner = match self {
            Self::Message(_, message) => {
                let images = message.content.iter().filter(|part| is_image(part)).count();
                IMAGE_TOKENS * u64::try_from(images).unwrap_or_default()
            }
            Self::Calls(_, step) => PASSAGE_TOKENS * u64::try_from(passages(step)).unwrap_or_default(),
        };
        FRAME_TOKENS + inner
    }
}

/// How many passages the model reads in a step.
fn passages(step: &Step) -> usize {
    let StepDetails::ToolCalls { tool_calls } = &step.step_details else { return 0 };
    let shown = tool_calls.iter().map(|call| match &call.tool {
        CalledTool::FileSearch { file_search } => {
            file_search.results.iter().filter(|result| result.content.is_some()).count()
        }
        CalledTool::Function { .. } | CalledTool::CodeInterpreter { .. } => 0,
    });
    shown.sum()
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
        CalledTool::FileSearch { file_search } => {
            let queries = file_search.queries.iter().map(String::as_str);
            queries.chain(file_search.results.iter().map(|result| result.text())).collect()
        }
        CalledTool::CodeInterpreter { code_interpreter } => {
            let outputs = code_interpreter.outputs.iter().filter_map(|output| match output {
                CodeInterpreterOutput::Logs { logs } => Some(logs.as_str()),
                CodeInterpreterOutput::Image { .. } => None,
            });
            std::iter::once(code_interpreter.input.as_str()).chain(outputs).collect()
        }
    }
}

/// The entries of a thread that fit beside `fixed` texts into so many tokens. Reads no more of the thread
/// than that.
pub(super) async fn newest(store: &mut Reading, run: &Run, fixed: &[String], tokens: u64) -> Result<History> {
    let mut chosen = Chosen::new(fixed, tokens);
    let mut pages = Pages::new(run);
    let Turn { done, question, rest: mut page } = pages.turn(store).await?;
    if !chosen.take_turn(done, question) {
        return finish_cut(store, run, chosen).await;
    }
    loop {
        for entry in page {
            if !chosen.take(entry) {
                return finish_cut(store, run, chosen).await;
            }
        }
        pages.size = chosen.room();
        let Some(next) = pages.next(store).await? else { return Ok(History::Fits(chosen.oldest_first())) };
        page = next;
    }
}

/// How many tokens are left beside `fixed` texts, the question that a run is to answer, and what the run has done
/// since, without what gives way.
pub(super) async fn room_beside_turn(
    store: &mut Reading,
    run: &Run,
    fixed: &[String],
    tokens: u64,
) -> Result<u64> {
    let mut chosen = Chosen::new(fixed, tokens);
    let Turn { done, question, .. } = Pages::new(run).turn(store).await?;
    for entry in done.into_iter().chain(question) {
        if !chosen.take(entry.bare().unwrap_or(entry)) {
            return Ok(0);
        }
    }
    Ok(chosen.left())
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
    fixed: &'f [String],
    limit: u64,
    spent: u64,
    /// Texts are counted by their bytes, which is never too little, until that no longer fits.
    exact: bool,
    entries: Vec<Entry>,
    /// How many of them stay whatever else is wanted.
    kept: usize,
}

impl<'f> Chosen<'f> {
    fn new(fixed: &'f [String], limit: u64) -> Self {
        let mut chosen = Self { fixed, limit, spent: 0, exact: false, entries: Vec::new(), kept: 1 };
        chosen.spent = chosen.fixed_cost();
        chosen
    }

    /// Takes the question that a run is to answer, then what the run has done, newest first. Of what its tools gave, the
    /// newest that fits beside that comes back. False where not all of it fits; nothing is taken where not even the
    /// newest does.
    fn take_turn(&mut self, done: Vec<Entry>, question: Option<Entry>) -> bool {
        let asked = question.is_some();
        if question.is_some_and(|question| !self.take(question)) {
            return false;
        }
        let before = self.entries.len();
        let mut set_aside = Vec::new();
        let all = done.len();
        for entry in done {
            let taken = match entry.bare() {
                Some(bare) => {
                    set_aside.push((self.entries.len(), entry));
                    self.take(bare)
                }
                None => self.take(entry),
            };
            if !taken {
                break;
            }
        }
        let taken = self.entries.len() - before;
        if taken == 0 && all > 0 {
            self.entries.clear();
            return false;
        }
        for (at, whole) in set_aside {
            self.put_back(at, whole);
        }
        // It was taken first, and is the oldest.
        self.entries.rotate_left(usize::from(asked));
        self.kept = self.entries.len().max(1);
        taken == all
    }

    /// Puts an entry in the place of its bare self, as far as it fits. What programs printed may take half of the room,
    /// since earlier ones, and the conversation before, want some too.
    fn put_back(&mut self, at: usize, whole: Entry) {
        if self.more(at, &whole) > self.left() || self.with_half_logs(&whole).is_some() {
            self.count_exactly();
        }
        let without_found = whole.without_found();
        for entry in std::iter::once(whole).chain(without_found) {
            let entry = self.with_half_logs(&entry).unwrap_or(entry);
            let more = self.more(at, &entry);
            if more <= self.left()
                && let Some(bare) = self.entries.get_mut(at)
            {
                *bare = entry;
                self.spent += more;
                return;
            }
        }
    }

    /// How much more an entry costs than the one in whose place it would be.
    fn more(&self, at: usize, entry: &Entry) -> u64 {
        let bare = self.entries.get(at).map_or(0, |bare| self.cost(bare));
        self.cost(entry).saturating_sub(bare)
    }

    /// An entry with what its programs printed cut to half of the room, if that is less.
    fn with_half_logs(&self, entry: &Entry) -> Option<Entry> {
        entry.with_logs(self.left() / 2, |text| self.tokens(text))
    }

    /// Takes an entry if it fits, with what its programs printed cut to half of the room where that is too long.
    fn take(&mut self, mut entry: Entry) -> bool {
        if self.cost(&entry) > self.left() {
            self.count_exactly();
        }
        if self.cost(&entry) > self.left() {
            let Some(cut) = self.with_half_logs(&entry) else { return false };
            entry = cut;
        }
        let cost = self.cost(&entry);
        if cost > self.left() {
            return false;
        }
        self.spent += cost;
        self.entries.push(entry);
        true
    }

    fn left(&self) -> u64 {
        self.limit.saturating_sub(self.spent)
    }

    /// Counts tokens and no longer bytes. False where it did so before.
    fn count_exactly(&mut self) -> bool {
        if self.exact {
            return false;
        }
        self.exact = true;
        self.spent = self.fixed_cost() + self.entries.iter().map(|entry| self.cost(entry)).sum::<u64>();
        true
    }

    /// Makes room for the thread's first message, unless that would take more than a quarter.
    fn take_first(&mut self, first: Entry) {
        let cost = self.cost(&first);
        let is_there = self.entries.last().is_some_and(|oldest| oldest.position() <= first.position());
        if is_there || cost > self.limit / 4 {
            return;
        }
        while self.spent + cost > self.limit && self.entries.len() > self.kept {
            if let Some(dropped) = self.entries.pop() {
                self.spent -= self.cost(&dropped);
            }
        }
        if self.spent + cost <= self.limit {
            self.spent += cost;
            self.entries.push(first);
        }
    }

    /// How many more entries there is room for, if they are like those so far. Should they be shorter, each page
    /// still adds a quarter, so that pages stay few.
    fn room(&self) -> i64 {
        let count = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        let more = self.limit.saturating_sub(self.spent).saturating_mul(count) / self.spent.max(1);
        i64::try_from(more.max(count / 4)).unwrap_or(i64::MAX).clamp(SHORTEST_PAGE, LONGEST_PAGE)
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

/// The end of a thread, newest first.
struct Turn {
    /// What the run has done.
    done: Vec<Entry>,
    /// What stands before it.
    question: Option<Entry>,
    /// What was read beside them.
    rest: Vec<Entry>,
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

    /// What the run has done, and the question before it.
    async fn turn(&mut self, store: &mut Reading) -> Result<Turn> {
        let mut done = Vec::new();
        while let Some(mut page) = self.next(store).await? {
            let question = page.iter().position(|entry| !entry.is_of(self.run));
            let mut rest = page.split_off(question.unwrap_or(page.len())).into_iter();
            done.append(&mut page);
            if let Some(question) = rest.next() {
                return Ok(Turn { done, question: Some(question), rest: rest.collect() });
            }
        }
        Ok(Turn { done, question: None, rest: Vec::new() })
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
        let calls = calls.into_iter().filter_map(|(position, step)| self.shown(position, step));
        entries.extend(calls);
        entries.sort_by_key(|entry| Reverse(entry.position()));
        self.before = from;
        self.size = (self.size * 2).min(LONGEST_PAGE);
        Ok(Some(entries))
    }

    /// A step's calls as far as the model reads them: searches of another run are left out.
    fn shown(&self, position: i64, mut step: Step) -> Option<Entry> {
        let StepDetails::ToolCalls { tool_calls } = &mut step.step_details else { return None };
        if step.run_id != self.run.id {
            tool_calls.retain(|call| !matches!(call.tool, CalledTool::FileSearch { .. }));
        }
        (!tool_calls.is_empty()).then_some(Entry::Calls(position, step))
    }
}
