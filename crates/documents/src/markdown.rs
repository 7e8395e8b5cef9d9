//! Markdown.

use std::mem;
use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::draft::Draft;
use crate::table::{Form, Table};
use crate::{BlockKind, Unreadable, html};

/// Reads Markdown. Paragraphs and lists stay as their author wrote them, with their links and emphasis: it is a
/// form that people and models read.
pub(crate) fn read(text: &str, draft: &mut Draft) -> Result<(), Unreadable> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut reader = Reader { source: text, depth: 0, text: String::new(), table: None, row: Vec::new() };
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        match event {
            Event::Start(tag) => reader.start(&tag),
            Event::End(tag) => reader.end(tag, range, draft)?,
            Event::Text(text) | Event::Code(text) | Event::Html(text) => reader.text.push_str(&text),
            Event::SoftBreak | Event::HardBreak => reader.text.push(' '),
            Event::Rule
            | Event::InlineHtml(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::FootnoteReference(_)
            | Event::TaskListMarker(_) => {}
        }
    }
    Ok(())
}

struct Reader<'a> {
    source: &'a str,
    /// How many elements are open.
    depth: usize,
    /// The text of the block or cell being read.
    text: String,
    /// A table that stands by itself; one within a list stays as it was written.
    table: Option<Table>,
    row: Vec<String>,
}

impl Reader<'_> {
    fn start(&mut self, tag: &Tag<'_>) {
        if self.depth == 0 {
            self.text.clear();
            self.table = matches!(tag, Tag::Table(_)).then(|| Table::new(Form::Grid, None));
        }
        if matches!(tag, Tag::TableCell) {
            self.text.clear();
        }
        self.depth += 1;
    }

    fn end(&mut self, tag: TagEnd, source: Range<usize>, draft: &mut Draft) -> Result<(), Unreadable> {
        self.depth = self.depth.saturating_sub(1);
        if let Some(table) = &mut self.table {
            if tag == TagEnd::TableCell {
                self.row.push(mem::take(&mut self.text));
            } else if matches!(tag, TagEnd::TableRow | TagEnd::TableHead) {
                table.row(mem::take(&mut self.row), draft)?;
            }
        }
        if self.depth > 0 {
            return Ok(());
        }
        if let Some(table) = self.table.take() {
            table.end(draft)
        } else if let TagEnd::Heading(level) = tag {
            draft.push(BlockKind::Heading(level as u8), &self.text, None)
        } else if tag == TagEnd::HtmlBlock {
            html::fragment(&self.text, draft)
        } else if tag == TagEnd::CodeBlock {
            draft.push(BlockKind::Code, &self.text, None)
        } else if matches!(tag, TagEnd::MetadataBlock(_)) {
            draft.push(BlockKind::Paragraph, &self.text, None)
        } else {
            draft.push(BlockKind::Paragraph, self.source.get(source).unwrap_or_default(), None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    #[test]
    fn blocks_of_markdown() {
        let text = "---\ntitle: x\n---\n# 환불 `규정` {#r}\n\nSee [the *list*](a.md)\nbelow.\n\n- one\n  - two\n\n\
                    ```rust\nfn a() {}\n\nfn b() {}\n```\n\n| a | b |\n|---|---|\n| 1 | `2` |\n\n\
                    <div align=\"center\"><b>Bold</b> words</div>\n\n***\n\nEnd\n===\n";
        let mut draft = Draft::new(&Limits::default());
        read(text, &mut draft).expect("it is short");
        let blocks = draft.finish().blocks;
        let blocks: Vec<_> = blocks.iter().map(|block| (block.kind, block.text.as_str())).collect();
        assert_eq!(
            blocks,
            [
                (BlockKind::Paragraph, "title: x"),
                (BlockKind::Heading(1), "환불 규정"),
                (BlockKind::Paragraph, "See [the *list*](a.md)\nbelow."),
                (BlockKind::Paragraph, "- one\n  - two"),
                (BlockKind::Code, "fn a() {}\n\nfn b() {}"),
                (BlockKind::Table, "a | b\n1 | 2"),
                (BlockKind::Paragraph, "Bold words"),
                (BlockKind::Heading(1), "End"),
            ]
        );
    }
}
