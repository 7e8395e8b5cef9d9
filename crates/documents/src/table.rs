//! Rows as lines that can be found and understood.

use std::mem;

use crate::draft::Draft;
use crate::{BlockKind, Unreadable};

/// How a row is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Data: `name: Kim | price: 300`, so that a row means something wherever it is cut from its table.
    Records,
    /// A table within a text: `Kim | 300`, under its first row.
    Grid,
}

/// A block of a table ends after so many bytes: a third of OpenAI's chunk of 800 tokens.
const BLOCK_BYTES: usize = 1000;
/// The names of the columns are looked for in so many rows; titles may stand above them.
const HEADER_WITHIN: usize = 5;
/// Whoever puts more than this into a cell uses the table to lay out a page.
const CELL_BYTES: usize = 1500;
/// A header that is longer is not repeated: it would push the rows out.
const HEADER_BYTES: usize = 600;

/// Takes rows and writes blocks.
pub(crate) struct Table {
    form: Form,
    page: Option<u32>,
    /// The first rows, while the header is being looked for.
    waiting: Vec<Vec<String>>,
    searching: bool,
    header: Vec<String>,
    /// The block being written, and whether it has more than the header.
    lines: String,
    has_rows: bool,
}

impl Table {
    pub(crate) fn new(form: Form, page: Option<u32>) -> Self {
        let (waiting, header, lines) = (Vec::new(), Vec::new(), String::new());
        Self { form, page, waiting, searching: true, header, lines, has_rows: false }
    }

    /// Adds a row. Empty cells keep their places; rows of nothing else are left out.
    pub(crate) fn row(&mut self, mut cells: Vec<String>, draft: &mut Draft) -> Result<(), Unreadable> {
        cells.truncate(cells.iter().rposition(|cell| !cell.trim().is_empty()).map_or(0, |last| last + 1));
        if cells.is_empty() {
            return Ok(());
        }
        if self.form == Form::Grid && cells.iter().any(|cell| cell.len() > CELL_BYTES) {
            return self.layout(&cells, draft);
        }
        let cells: Vec<String> = cells.iter().map(|cell| one_line(cell)).collect();
        if !self.searching {
            return self.write(&cells, draft);
        }
        self.waiting.push(cells);
        if self.waiting.len() < HEADER_WITHIN { Ok(()) } else { self.settle(draft) }
    }

    /// Writes what is left.
    pub(crate) fn end(mut self, draft: &mut Draft) -> Result<(), Unreadable> {
        self.settle(draft)?;
        self.flush(draft)
    }

    /// Finds the header in the rows that wait, and writes them.
    fn settle(&mut self, draft: &mut Draft) -> Result<(), Unreadable> {
        self.searching = false;
        let rows = mem::take(&mut self.waiting);
        let header = match self.form {
            Form::Records => header(&rows),
            Form::Grid => (rows.len() > 1).then_some(0),
        };
        for (index, row) in rows.into_iter().enumerate() {
            if Some(index) == header && row.iter().map(String::len).sum::<usize>() <= HEADER_BYTES {
                if self.form == Form::Grid {
                    self.lines = line(&row);
                }
                self.header = row;
            } else {
                self.write(&row, draft)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, row: &[String], draft: &mut Draft) -> Result<(), Unreadable> {
        let line = match self.form {
            Form::Records => record(&self.header, row),
            Form::Grid => line(row),
        };
        if self.has_rows && self.lines.len() + line.len() > BLOCK_BYTES {
            self.flush(draft)?;
        }
        self.lines.push_str(&line);
        self.has_rows = true;
        Ok(())
    }

    fn flush(&mut self, draft: &mut Draft) -> Result<(), Unreadable> {
        draft.push(BlockKind::Table, &self.lines, self.page)?;
        self.lines.clear();
        self.has_rows = false;
        if self.form == Form::Grid && !self.header.is_empty() {
            self.lines = line(&self.header);
        }
        Ok(())
    }

    /// Cells that are parts of a page.
    fn layout(&mut self, cells: &[String], draft: &mut Draft) -> Result<(), Unreadable> {
        self.settle(draft)?;
        if self.has_rows {
            self.flush(draft)?;
        }
        for paragraph in cells.iter().flat_map(|cell| cell.split('\n')) {
            draft.push(BlockKind::Paragraph, paragraph, self.page)?;
        }
        Ok(())
    }
}

/// The first row that is about as full as any, if it looks like names and rows follow it.
fn header(rows: &[Vec<String>]) -> Option<usize> {
    let filled = |row: &[String]| row.iter().filter(|cell| !cell.is_empty()).count();
    let most = rows.iter().map(|row| filled(row)).max()?;
    let index = rows.iter().position(|row| filled(row) * 2 > most)?;
    let names = rows[index].iter().all(|cell| cell.parse::<f64>().is_err());
    (most > 1 && names && index + 1 < rows.len()).then_some(index)
}

fn one_line(cell: &str) -> String {
    cell.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn line(cells: &[String]) -> String {
    cells.join(" | ") + "\n"
}

fn record(header: &[String], row: &[String]) -> String {
    let mut cells = Vec::new();
    for (index, cell) in row.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
        match header.get(index).filter(|name| !name.is_empty()) {
            Some(name) => cells.push(format!("{name}: {cell}")),
            None => cells.push(cell.clone()),
        }
    }
    line(&cells)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn blocks(form: Form, rows: &[&[&str]]) -> Vec<String> {
        let mut draft = Draft::new(&Limits::default());
        let mut table = Table::new(form, None);
        for row in rows {
            table.row(row.iter().map(|cell| (*cell).to_owned()).collect(), &mut draft).expect("small");
        }
        table.end(&mut draft).expect("small");
        draft.finish().blocks.into_iter().map(|block| block.text).collect()
    }

    #[test]
    fn a_row_of_data_names_its_columns() {
        let rows: &[&[&str]] = &[&["Stock"], &["Part", "", "Price"], &["AX-7", "", "300"], &["BX-9"]];
        assert_eq!(blocks(Form::Records, rows), ["Stock\nPart: AX-7 | Price: 300\nPart: BX-9"]);
    }

    #[test]
    fn numbers_are_no_names() {
        assert_eq!(blocks(Form::Records, &[&["1", "2"], &["3", "4"]]), ["1 | 2\n3 | 4"]);
    }

    #[test]
    fn a_long_table_repeats_its_first_row() {
        let mut rows: Vec<Vec<&str>> = vec![vec!["Name", "City"]];
        rows.resize(100, vec!["Kim Minji\nand others", "Seoul"]);
        let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
        let blocks = blocks(Form::Grid, &rows);
        assert!(blocks.len() > 2);
        for block in &blocks {
            assert!(block.starts_with("Name | City\nKim Minji and others | Seoul\n"));
        }
        assert_eq!(blocks.iter().map(|block| block.matches("Seoul").count()).sum::<usize>(), 99);
    }

    #[test]
    fn a_table_that_lays_out_a_page_is_prose() {
        let long = "word ".repeat(400);
        assert_eq!(blocks(Form::Grid, &[&["Menu", &long]]), ["Menu", long.trim()]);
    }
}
