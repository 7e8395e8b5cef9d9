//! Citations: each passage that a run has found has a mark, `[1]`. Where the model writes one, its message gets
//! OpenAI's marker, `【4:0†file name】`, and an annotation with the marker's place. Pure.
//!
//! `[1]` is what models of any size copy rightly; `mark` says which other forms are understood. What is no mark of
//! a passage that was found stays as it is, but for markers in OpenAI's form that the model made up: they would
//! point nowhere, so they are taken away.

mod code;
mod mark;
mod quote;

use adjutant_wire::CallId;
use adjutant_wire::messages::{Annotation, FileCitation, Text};
use adjutant_wire::steps::{CalledTool, FileSearchResult, Step, StepDetails};

use code::Code;
use mark::{Cited, Look};

/// OpenAI numbered the messages that its model read. Instructions, tools, question and call came before the first
/// results, which so had the number 4 (recorded); every further turn is a call and its results.
const FIRST_TURN: usize = 4;
const MESSAGES_A_TURN: usize = 2;

/// As much of a message as can tell what a mark stands for.
const CLAIM_BYTES: usize = 600;

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

/// Reads what the model writes, as it comes, and puts markers in the place of marks. Holds back the few characters
/// that may be the beginning of one.
#[derive(Debug, Default)]
pub(super) struct Reader {
    sources: Sources,
    held: String,
    /// Characters (code points) that were given so far.
    given: usize,
    /// The end of the plain text that was given.
    claim: String,
    code: Code,
    at_line_start: bool,
    /// The character before, unless it belongs to a mark.
    before: Option<char>,
}

impl Reader {
    /// A reader of a new text that may cite these.
    pub(super) fn new(sources: Sources) -> Self {
        Self { sources, at_line_start: true, ..Self::default() }
    }

    /// Takes the next text of the model, and gives what it amounts to.
    pub(super) fn read(&mut self, text: &str) -> Vec<Piece> {
        if self.sources.all.is_empty() {
            return plain(text).into_iter().collect();
        }
        self.held.push_str(text);
        self.advance(false)
    }

    /// Gives what was held back: the text is over. What comes after is a new text.
    pub(super) fn finish(&mut self) -> Vec<Piece> {
        let pieces = self.advance(true);
        *self = Self::new(std::mem::take(&mut self.sources));
        pieces
    }

    fn advance(&mut self, over: bool) -> Vec<Piece> {
        let text = std::mem::take(&mut self.held);
        let mut pieces = Vec::new();
        let (mut from, mut at) = (0, 0);
        while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
            match self.look(c, text.get(at..).unwrap_or_default(), over) {
                Look::Unsure => break,
                Look::Text => {
                    self.pass(c);
                    at += c.len_utf8();
                }
                Look::Mark { bytes, cited, labelled } => {
                    let Some(found) = self.resolve(&cited, labelled) else {
                        self.pass(c);
                        at += c.len_utf8();
                        continue;
                    };
                    self.give(text.get(from..at).unwrap_or_default(), &mut pieces);
                    pieces.extend(found.into_iter().filter_map(|index| self.cite(index)));
                    at += bytes;
                    from = at;
                    (self.before, self.at_line_start) = (None, false);
                }
            }
        }
        self.give(text.get(from..at).unwrap_or_default(), &mut pieces);
        self.held = text.get(at..).unwrap_or_default().to_owned();
        pieces
    }

    fn look(&mut self, c: char, rest: &str, over: bool) -> Look {
        self.code.before(c);
        // `\[` is a bracket, `[text][1]` a link.
        let is_text = self.code.is_open() || matches!(self.before, Some('\\' | ']'));
        if is_text { Look::Text } else { mark::look(rest, self.at_line_start, over) }
    }

    /// Goes past a character of plain text.
    fn pass(&mut self, c: char) {
        self.code.see(c, self.at_line_start);
        self.at_line_start = c == '\n' || (self.at_line_start && c == ' ');
        self.before = Some(c);
    }

    /// What a mark cites. `None` where it is none, but text.
    fn resolve(&self, cited: &[Cited], labelled: bool) -> Option<Vec<usize>> {
        let mut found = Vec::new();
        for cited in cited {
            match self.sources.find(*cited) {
                Some(index) if found.contains(&index) => {}
                Some(index) => found.push(index),
                None if labelled => {}
                None => return None,
            }
        }
        Some(found)
    }

    fn give(&mut self, text: &str, pieces: &mut Vec<Piece>) {
        self.given += text.chars().count();
        self.claim.push_str(text);
        if self.claim.len() > 2 * CLAIM_BYTES {
            let cut = self.claim.ceil_char_boundary(self.claim.len() - CLAIM_BYTES);
            self.claim.drain(..cut);
        }
        pieces.extend(plain(text));
    }

    fn cite(&mut self, index: usize) -> Option<Piece> {
        let source = self.sources.all.get(index)?;
        let start_index = self.given;
        self.given += source.marker.chars().count();
        let annotation = Annotation::FileCitation {
            text: source.marker.clone(),
            start_index,
            end_index: self.given,
            file_citation: FileCitation {
                file_id: source.file_id.clone(),
                quote: Some(quote::best(&source.text, &self.claim).to_owned()),
            },
        };
        Some(Piece { text: source.marker.clone(), annotation: Some(annotation) })
    }
}

fn plain(text: &str) -> Option<Piece> {
    (!text.is_empty()).then(|| Piece { text: text.to_owned(), annotation: None })
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
