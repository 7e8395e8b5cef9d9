//! Word and PowerPoint documents, old and new.

use undoc::model::{Block as Part, HeadingLevel, ListType, Paragraph, RevisionType, Section};
use undoc::{Document as Office, Error, FormatType, Table as OfficeTable};

use crate::archive::Archive;
use crate::draft::Draft;
use crate::table::{Form, Table};
use crate::{BlockKind, LOCKED, Limits, Unreadable};

/// Reads a document that is a ZIP file.
pub(crate) fn read_packed(bytes: &[u8], limits: &Limits, draft: &mut Draft) -> Result<(), Unreadable> {
    Archive::open(bytes, limits)?;
    read(bytes, draft)
}

/// Reads a document.
pub(crate) fn read(bytes: &[u8], draft: &mut Draft) -> Result<(), Unreadable> {
    let document = undoc::parse_bytes(bytes).map_err(refused)?;
    for section in &document.sections {
        read_section(section, page(&document, section), draft)?;
    }
    Ok(())
}

fn refused(error: Error) -> Unreadable {
    if matches!(error, Error::Encrypted) {
        return Unreadable::invalid(LOCKED);
    }
    Unreadable::Invalid(format!("The file is damaged: {error}."))
}

/// Slides are counted; where a page of Word ends only Word knows.
fn page(document: &Office, section: &Section) -> Option<u32> {
    matches!(document.format, FormatType::Pptx | FormatType::Ppt)
        .then(|| u32::try_from(section.index).unwrap_or(u32::MAX).saturating_add(1))
}

/// A section of a text, without the headers and footers that every page repeats; or a slide with its notes.
fn read_section(section: &Section, page: Option<u32>, draft: &mut Draft) -> Result<(), Unreadable> {
    let mut text = Text { page, list: String::new() };
    for part in &section.content {
        match part {
            Part::Paragraph(paragraph) => text.paragraph(paragraph, draft)?,
            Part::Table(table) => text.table(table, draft)?,
            Part::Note { label, content } => text.note(label, content, draft)?,
            Part::Image { alt_text, .. } => {
                text.end_list(draft)?;
                draft.push(BlockKind::Paragraph, alt_text.as_deref().unwrap_or_default(), page)?;
            }
            Part::PageBreak | Part::SectionBreak => {}
        }
    }
    text.end_list(draft)?;
    for paragraph in section.notes.iter().flatten() {
        text.paragraph(paragraph, draft)?;
    }
    text.end_list(draft)
}

struct Text {
    page: Option<u32>,
    /// The list being read, an item a line.
    list: String,
}

impl Text {
    fn paragraph(&mut self, paragraph: &Paragraph, draft: &mut Draft) -> Result<(), Unreadable> {
        let text = plain(paragraph);
        if let Some(mark) = mark(paragraph) {
            let text = text.trim();
            if !text.is_empty() {
                draft.allow(self.list.len())?;
                self.list.push_str(&format!("{mark} {text}\n"));
            }
            return Ok(());
        }
        self.end_list(draft)?;
        let kind = match level(paragraph.heading) {
            Some(level) => BlockKind::Heading(level),
            None => BlockKind::Paragraph,
        };
        draft.push(kind, &text, self.page)
    }

    fn end_list(&mut self, draft: &mut Draft) -> Result<(), Unreadable> {
        draft.push(BlockKind::Paragraph, &std::mem::take(&mut self.list), self.page)
    }

    fn note(&mut self, label: &str, content: &[Paragraph], draft: &mut Draft) -> Result<(), Unreadable> {
        self.end_list(draft)?;
        let text: Vec<String> = content.iter().map(plain).collect();
        draft.push(BlockKind::Paragraph, &format!("[{label}] {}", text.join("\n")), self.page)
    }

    fn table(&mut self, table: &OfficeTable, draft: &mut Draft) -> Result<(), Unreadable> {
        self.end_list(draft)?;
        let mut rows = Table::new(Form::Grid, self.page);
        for row in &table.rows {
            rows.row(row.cells.iter().map(|cell| cell.plain_text()).collect(), draft)?;
        }
        rows.end(draft)?;
        for nested in table.rows.iter().flat_map(|row| &row.cells).flat_map(|cell| &cell.nested_tables) {
            self.table(nested, draft)?;
        }
        Ok(())
    }
}

/// What stands before an item of a list. A style makes a list too, and is not always numbered here.
fn mark(paragraph: &Paragraph) -> Option<String> {
    if let Some(list) = &paragraph.list_info {
        let indent = "  ".repeat(list.level.min(8).into());
        return Some(match (list.list_type, list.number) {
            (ListType::Numbered, Some(number)) => format!("{indent}{number}."),
            _ => format!("{indent}-"),
        });
    }
    let style = paragraph.style_name.as_deref()?;
    (style.starts_with("List Bullet") || style.starts_with("List Number")).then(|| "-".to_owned())
}

/// The words of a paragraph as it reads with all changes accepted.
fn plain(paragraph: &Paragraph) -> String {
    let mut text = String::new();
    for run in paragraph.runs.iter().filter(|run| run.revision != RevisionType::Deleted) {
        text.push_str(&run.text);
        if let Some(label) = &run.note {
            text.push_str(&format!(" [{label}]"));
        }
        if run.line_break || run.page_break {
            text.push('\n');
        }
    }
    text
}

fn level(heading: HeadingLevel) -> Option<u8> {
    match heading {
        HeadingLevel::None => None,
        HeadingLevel::H1 => Some(1),
        HeadingLevel::H2 => Some(2),
        HeadingLevel::H3 => Some(3),
        HeadingLevel::H4 => Some(4),
        HeadingLevel::H5 => Some(5),
        HeadingLevel::H6 => Some(6),
    }
}
