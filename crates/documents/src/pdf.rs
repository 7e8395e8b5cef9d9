//! PDF. A file says where letters stand on a page; words, lines, columns and paragraphs are made of that here.
//!
//! - [`letters`]: what a page draws, as letters with places
//! - [`runs`]: letters that follow one another, with the blanks between words
//! - [`columns`]: runs in reading order, as lines
//! - [`paragraphs`]: lines of all pages as blocks
//! - [`words`]: whether a line ends within a word

mod columns;
mod letters;
mod paragraphs;
mod runs;
mod words;

use hayro_interpret::hayro_syntax::{LoadPdfError, Pdf};

use crate::draft::Draft;
use crate::{LOCKED, Unreadable};

/// Where lines follow one another as they are read: a column, or a page without columns.
type Flow = Vec<Line>;

/// A line of text and where it stands, in the unit of the page, from its upper left corner.
#[derive(Clone, Debug)]
struct Line {
    text: String,
    left: f32,
    right: f32,
    /// Where the letters stand on.
    base: f32,
    /// The height of its letters.
    size: f32,
    /// A blank is written after the last letter, so that the next line begins another word.
    blank_after: bool,
}

/// Reads a document page by page.
pub(crate) fn read(bytes: &[u8], draft: &mut Draft) -> Result<(), Unreadable> {
    let pdf = Pdf::new(bytes.to_vec()).map_err(|error| match error {
        LoadPdfError::Decryption(_) => Unreadable::invalid(LOCKED),
        LoadPdfError::Invalid => Unreadable::invalid("The file is damaged: no pages are found in it."),
    })?;
    let mut pages: Vec<Vec<Flow>> = Vec::new();
    let mut taken = 0;
    letters::each_page(&pdf, |letters| {
        let flows: Vec<Flow> = runs::by_direction(letters).into_iter().flat_map(columns::flows).collect();
        taken += flows.iter().flatten().map(|line| line.text.len()).sum::<usize>();
        draft.allow(taken)?;
        pages.push(flows);
        Ok(())
    })?;
    if taken == 0 {
        return Err(Unreadable::invalid(
            "The file has no text: its pages are pictures, or its fonts do not say which letters they show.",
        ));
    }
    paragraphs::write(pages, draft)
}
