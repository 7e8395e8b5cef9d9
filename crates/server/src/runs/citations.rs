//! Citations: each passage that a run has found has a mark, `[1]`. Where the model writes one, its message gets
//! OpenAI's marker, `【4:0†file name】`, and an annotation with the marker's place. Pure.
//!
//! `mark` says which forms are understood. What is no mark of a passage that was found stays as it is, but for markers
//! in OpenAI's form that the model made up: they would point nowhere, so they are taken away.
//!
//! The weakest models copy marks without regard to what they stand for. Of them none is asked; `sentences` finds the
//! passage from which a sentence was taken.

mod code;
mod mark;
mod marks;
mod origin;
mod quote;
mod sentences;

use adjutant_wire::CallId;
use adjutant_wire::messages::{Annotation, FileCitation, Text};
use adjutant_wire::steps::{CalledTool, FileSearchResult, Step, StepDetails};

use mark::Cited;
use marks::Marks;
use sentences::Sentences;

/// OpenAI numbered the messages that its model read. Instructions, tools, question and call came before the first
/// results, which so had the number 4 (recorded); every further turn is a call and its results.
const FIRST_TURN: usize = 4;
const MESSAGES_A_TURN: usize = 2;

/// All passages that a run has found; the mark of the first is 1.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    all: Vec<Source>,
    /// Of each search, the mark of its first passage.
    marks: Vec<(CallId, usize)>,
}

#[derive(Clone, Debug)]
struct Source {
    /// Which turn found it, and as which of its results.
    turn: usize,
    place: usize,
    file_id: String,
    marker: String,
    text: String,
}

impl Sources {
    /// What the searches in a run's steps have found.
    pub(super) fn of(steps: &[Step]) -> Self {
        let mut sources = Self::default();
        let turns = steps.iter().filter_map(|step| match &step.step_details {
            StepDetails::ToolCalls { tool_calls } => Some(tool_calls),
            StepDetails::MessageCreation { .. } => None,
        });
        for (number, calls) in turns.enumerate() {
            let turn = FIRST_TURN + MESSAGES_A_TURN * number;
            let mut place = 0;
            for call in calls {
                let CalledTool::FileSearch { file_search } = &call.tool else { continue };
                sources.marks.push((call.id.clone(), sources.all.len() + 1));
                for result in &file_search.results {
                    sources.all.push(Source::new(turn, place, result));
                    place += 1;
                }
            }
        }
        sources
    }

    /// The mark of the first passage that this search has found.
    pub(super) fn first_mark(&self, call: &CallId) -> usize {
        self.marks.iter().find(|(id, _)| id == call).map_or(1, |(_, mark)| *mark)
    }

    fn find(&self, cited: Cited) -> Option<usize> {
        match cited {
            Cited::Number(number) => number.checked_sub(1).filter(|index| *index < self.all.len()),
            Cited::Place { turn, place } => {
                self.all.iter().position(|source| source.turn == turn && source.place == place)
            }
        }
    }
}

impl Source {
    fn new(turn: usize, place: usize, result: &FileSearchResult) -> Self {
        // What would end the marker early.
        let name: String =
            result.file_name.chars().map(|c| if c == '】' || c.is_control() { ' ' } else { c }).collect();
        Self {
            turn,
            place,
            file_id: result.file_id.clone(),
            marker: format!("【{turn}:{place}†{name}】"),
            text: result.text().to_owned(),
        }
    }
}

/// A piece of a message: plain text, or a marker with its annotation.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) annotation: Option<Annotation>,
}

impl Piece {
    fn plain(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self { text: text.to_owned(), annotation: None })
    }
}

/// Reads what the model writes, as it comes, and cites. Holds back no more than the few characters that decide.
#[derive(Debug)]
pub(super) struct Reader(Way);

/// How a text gets its citations.
#[derive(Debug)]
enum Way {
    /// There is nothing to cite.
    None,
    /// The model cites by marks.
    Marks(Marks),
    /// The model does not cite: each sentence is traced to the passage that it was taken from.
    Sentences(Box<Sentences>),
}

impl Reader {
    /// A reader of a text that cites nothing.
    pub(super) fn plain() -> Self {
        Self(Way::None)
    }

    /// A reader of marks, for models that can be told to write them.
    pub(super) fn of_marks(sources: Sources) -> Self {
        Self(if sources.all.is_empty() { Way::None } else { Way::Marks(Marks::new(sources)) })
    }

    /// A reader of sentences that answer a question, for models that cannot.
    pub(super) fn of_sentences(sources: Sources, question: &str) -> Self {
        let is_empty = sources.all.is_empty();
        Self(if is_empty { Way::None } else { Way::Sentences(Box::new(Sentences::new(sources, question))) })
    }

    /// Takes the next text of the model, and gives what it amounts to.
    pub(super) fn read(&mut self, text: &str) -> Vec<Piece> {
        match &mut self.0 {
            Way::None => Piece::plain(text).into_iter().collect(),
            Way::Marks(marks) => marks.read(text),
            Way::Sentences(sentences) => sentences.read(text),
        }
    }

    /// Gives what was held back: the text is over. What comes after is a new text.
    pub(super) fn finish(&mut self) -> Vec<Piece> {
        match &mut self.0 {
            Way::None => Vec::new(),
            Way::Marks(marks) => marks.finish(),
            Way::Sentences(sentences) => sentences.finish(),
        }
    }
}

/// Writes a text with citations, and knows how far it is.
#[derive(Debug, Default)]
struct Writer {
    sources: Sources,
    pieces: Vec<Piece>,
    /// Characters (code points) that were written.
    written: usize,
}

impl Writer {
    fn new(sources: Sources) -> Self {
        Self { sources, ..Self::default() }
    }

    fn write(&mut self, text: &str) {
        self.written += text.chars().count();
        self.pieces.extend(Piece::plain(text));
    }

    /// Cites a source with these words of it.
    fn cite(&mut self, index: usize, quote: &str) {
        let Some(source) = self.sources.all.get(index) else { return };
        let start_index = self.written;
        self.written += source.marker.chars().count();
        let annotation = Annotation::FileCitation {
            text: source.marker.clone(),
            start_index,
            end_index: self.written,
            file_citation: FileCitation { file_id: source.file_id.clone(), quote: Some(quote.to_owned()) },
        };
        self.pieces.push(Piece { text: source.marker.clone(), annotation: Some(annotation) });
    }

    fn take(&mut self) -> Vec<Piece> {
        std::mem::take(&mut self.pieces)
    }
}

/// A text without its markers, for a model that was given other passages since, or none.
pub(super) fn without_markers(text: &Text) -> String {
    let mut markers = text.annotations.iter().filter_map(|annotation| match annotation {
        Annotation::FileCitation { start_index, end_index, .. } => Some(*start_index..*end_index),
        Annotation::FilePath { .. } => None,
    });
    let mut marker = markers.next();
    let kept = text.value.chars().enumerate().filter(|(at, _)| {
        if marker.as_ref().is_some_and(|marker| *at >= marker.end) {
            marker = markers.next();
        }
        !marker.as_ref().is_some_and(|marker| marker.contains(at))
    });
    kept.map(|(_, c)| c).collect()
}

#[cfg(test)]
mod tests;
