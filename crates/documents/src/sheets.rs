//! Excel workbooks.

use std::io::Cursor;

use calamine::{Data, DataRef, ExcelDateTime, Reader, Xls, XlsError, Xlsx};

use crate::archive::Archive;
use crate::draft::Draft;
use crate::table::{Form, Table};
use crate::{BlockKind, LOCKED, Limits, Unreadable};

/// A sheet has no more columns than that; cells beyond are a trick.
const COLUMNS: u32 = 16_384;

/// Reads a workbook, cell by cell: a sheet of two cells can span a hundred million.
pub(crate) fn read(bytes: &[u8], limits: &Limits, draft: &mut Draft) -> Result<(), Unreadable> {
    Archive::open(bytes, limits)?;
    let mut workbook = Xlsx::new(Cursor::new(bytes)).map_err(|error| broken(&error))?;
    for name in workbook.sheet_names() {
        // Sheets of charts have no cells.
        let Ok(mut cells) = workbook.worksheet_cells_reader(&name) else { continue };
        let mut sheet = Sheet::new(&name, draft)?;
        while let Some(cell) = cells.next_cell().map_err(|error| broken(&error))? {
            let (row, column) = cell.get_position();
            sheet.cell(row, column, value(cell.get_value()), draft)?;
        }
        sheet.end(draft)?;
    }
    Ok(())
}

/// Reads a workbook of Excel 97.
pub(crate) fn read_old(bytes: &[u8], draft: &mut Draft) -> Result<(), Unreadable> {
    let mut workbook: Xls<_> = Xls::new(Cursor::new(bytes)).map_err(|error| {
        if matches!(error, XlsError::Password) { Unreadable::invalid(LOCKED) } else { broken(&error) }
    })?;
    for name in workbook.sheet_names() {
        let Ok(range) = workbook.worksheet_range(&name) else { continue };
        let mut sheet = Sheet::new(&name, draft)?;
        for (row, column, cell) in range.used_cells() {
            let (row, column) = (u32::try_from(row), u32::try_from(column));
            let (Ok(row), Ok(column)) = (row, column) else { continue };
            sheet.cell(row, column, old_value(cell), draft)?;
        }
        sheet.end(draft)?;
    }
    Ok(())
}

fn broken(error: &dyn std::error::Error) -> Unreadable {
    Unreadable::Invalid(format!("The file is damaged: {error}."))
}

/// Makes rows of cells.
struct Sheet {
    table: Table,
    row: u32,
    cells: Vec<String>,
}

impl Sheet {
    fn new(name: &str, draft: &mut Draft) -> Result<Self, Unreadable> {
        draft.push(BlockKind::Heading(1), name, None)?;
        Ok(Self { table: Table::new(Form::Records, None), row: 0, cells: Vec::new() })
    }

    fn cell(&mut self, row: u32, column: u32, text: String, draft: &mut Draft) -> Result<(), Unreadable> {
        if text.is_empty() || column >= COLUMNS {
            return Ok(());
        }
        if row != self.row {
            self.table.row(std::mem::take(&mut self.cells), draft)?;
            self.row = row;
        }
        draft.allow(text.len())?;
        let column = column as usize;
        if self.cells.len() <= column {
            self.cells.resize(column + 1, String::new());
        }
        self.cells[column] = text;
        Ok(())
    }

    fn end(mut self, draft: &mut Draft) -> Result<(), Unreadable> {
        self.table.row(self.cells, draft)?;
        self.table.end(draft)
    }
}

fn value(value: &DataRef<'_>) -> String {
    match value {
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => number.to_string(),
        DataRef::Bool(truth) => truth.to_string(),
        DataRef::DateTime(time) => date(time),
        DataRef::Error(_) | DataRef::Empty => String::new(),
    }
}

fn old_value(value: &Data) -> String {
    match value {
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Int(number) => number.to_string(),
        Data::Float(number) => number.to_string(),
        Data::Bool(truth) => truth.to_string(),
        Data::DateTime(time) => date(time),
        Data::Error(_) | Data::Empty => String::new(),
    }
}

/// A time as a person and a search read it; whole days without their midnight.
fn date(time: &ExcelDateTime) -> String {
    if time.is_duration() {
        let minutes = (time.as_f64() * 24.0 * 60.0).round();
        return format!("{}:{:02}", (minutes / 60.0).trunc(), minutes % 60.0);
    }
    let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
    match (time.as_f64(), second) {
        (days, _) if days.fract() == 0.0 => format!("{year}-{month:02}-{day:02}"),
        (days, 0) if days < 1.0 => format!("{hour:02}:{minute:02}"),
        (_, 0) => format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}"),
        _ => format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
    }
}
