//! HTML, as it comes: never quite valid.
//!
//! Only the tokens are read, no tree is built. So elements that nobody closes and elements nested a million
//! deep cost nothing, and every block-level tag, opening or closing, is a border between blocks.

use std::cell::RefCell;
use std::mem;

use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use crate::draft::Draft;
use crate::table::{Form, Table};
use crate::{BlockKind, Unreadable};

/// Reads a page; its title is its first heading.
pub(crate) fn read(text: &str, draft: &mut Draft) -> Result<(), Unreadable> {
    tokens(text, Page::new(draft, true))
}

/// Reads a part of a page, or a page whose title says nothing.
pub(crate) fn fragment(text: &str, draft: &mut Draft) -> Result<(), Unreadable> {
    tokens(text, Page::new(draft, false))
}

fn tokens(text: &str, page: Page<'_>) -> Result<(), Unreadable> {
    let tokenizer = Tokenizer::new(Sink(RefCell::new(page)), TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(text.into());
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    let mut page = tokenizer.sink.0.into_inner();
    page.close_table();
    page.flush();
    page.result
}

/// The tokenizer hands tokens to a shared reference.
struct Sink<'a>(RefCell<Page<'a>>);

impl TokenSink for Sink<'_> {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut page = self.0.borrow_mut();
        match token {
            // After a failure the rest is looked through and thrown away, which is quick.
            _ if page.result.is_err() => {}
            Token::CharacterTokens(text) => page.characters(&text),
            Token::TagToken(tag) => return page.tag(&tag),
            Token::DoctypeToken(_)
            | Token::CommentToken(_)
            | Token::NullCharacterToken
            | Token::EOFToken
            | Token::ParseError(_) => {}
        }
        TokenSinkResult::Continue
    }
}

struct Page<'a> {
    draft: &'a mut Draft,
    with_title: bool,
    result: Result<(), Unreadable>,
    /// The block or table cell being read.
    text: String,
    kind: BlockKind,
    /// Set within elements whose text nobody sees, until they close.
    hidden: bool,
    /// The open lists: the number of the next item, or a bullet.
    lists: Vec<Option<u32>>,
    tables: usize,
    table: Option<Table>,
    row: Vec<String>,
}

impl<'a> Page<'a> {
    fn new(draft: &'a mut Draft, with_title: bool) -> Self {
        Self {
            draft,
            with_title,
            result: Ok(()),
            text: String::new(),
            kind: BlockKind::Paragraph,
            hidden: false,
            lists: Vec::new(),
            tables: 0,
            table: None,
            row: Vec::new(),
        }
    }

    fn characters(&mut self, text: &str) {
        if self.hidden {
            return;
        }
        if let Err(refused) = self.draft.allow(self.text.len() + text.len()) {
            self.result = Err(refused);
        } else if self.kind == BlockKind::Code {
            self.text.push_str(text);
        } else {
            for character in text.chars() {
                self.character(character);
            }
        }
    }

    fn character(&mut self, character: char) {
        if !character.is_whitespace() {
            self.text.push(character);
        } else if !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
            self.text.push(' ');
        }
    }

    fn tag(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let opens = tag.kind == TagKind::StartTag;
        match &*tag.name {
            "script" => return self.unseen(tag, RawKind::ScriptData),
            "style" | "xmp" | "iframe" | "noembed" | "noframes" => return self.unseen(tag, RawKind::Rawtext),
            "title" if !self.with_title => return self.unseen(tag, RawKind::Rcdata),
            "title" => {
                self.heading(opens.then_some(1));
                if opens && !tag.self_closing {
                    return TokenSinkResult::RawData(RawKind::Rcdata);
                }
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                let level = tag.name.as_bytes().get(1).map(|digit| digit - b'0');
                self.heading(level.filter(|_| opens));
            }
            "pre" => self.preformatted(opens),
            "br" => self.line_break(),
            "img" => self.picture(tag),
            "ul" | "ol" | "menu" => self.list(opens.then(|| (&*tag.name == "ol").then_some(1))),
            "li" if opens => self.item(),
            "table" => self.table(opens),
            "tr" if self.tables == 1 => self.end_row(),
            "td" | "th" if self.tables == 1 => self.end_cell(opens),
            name if BLOCKS.contains(&name) => self.border(),
            _ => {}
        }
        TokenSinkResult::Continue
    }

    fn unseen(&mut self, tag: &Tag, kind: RawKind) -> TokenSinkResult<()> {
        self.hidden = tag.kind == TagKind::StartTag && !tag.self_closing;
        if self.hidden { TokenSinkResult::RawData(kind) } else { TokenSinkResult::Continue }
    }

    fn heading(&mut self, level: Option<u8>) {
        self.border();
        if self.tables == 0 {
            self.flush();
            self.kind = level.map_or(BlockKind::Paragraph, BlockKind::Heading);
        }
    }

    fn preformatted(&mut self, opens: bool) {
        self.border();
        if self.tables == 0 {
            self.flush();
            self.kind = if opens { BlockKind::Code } else { BlockKind::Paragraph };
        }
    }

    fn line_break(&mut self) {
        self.text.truncate(self.text.trim_end_matches(' ').len());
        self.text.push('\n');
    }

    fn picture(&mut self, tag: &Tag) {
        if let Some(alternative) = tag.attrs.iter().find(|attribute| &*attribute.name.local == "alt") {
            self.character(' ');
            self.characters(&alternative.value);
            self.character(' ');
        }
    }

    fn list(&mut self, opened: Option<Option<u32>>) {
        self.border();
        match opened {
            Some(first) => self.lists.push(first),
            None => {
                self.lists.pop();
            }
        }
        self.border();
    }

    fn item(&mut self) {
        self.border();
        // Deeper than that nobody sees a difference, and blanks would outgrow the words.
        let indent = self.lists.len().saturating_sub(1).min(8);
        self.text.push_str(&"  ".repeat(indent));
        match self.lists.last_mut() {
            Some(Some(number)) => {
                self.text.push_str(&format!("{number}. "));
                *number = number.saturating_add(1);
            }
            Some(None) | None => self.text.push_str("- "),
        }
    }

    /// The end of a block, or of a line within a list or a cell. A list is one block.
    fn border(&mut self) {
        if self.lists.is_empty() && self.tables == 0 && self.kind != BlockKind::Code {
            return self.flush();
        }
        // The bullet waits for its words.
        let line = self.text.rsplit('\n').next().unwrap_or_default().trim();
        let is_number = line.strip_suffix('.').is_some_and(|digits| digits.parse::<u32>().is_ok());
        if !line.is_empty() && line != "-" && !is_number {
            self.line_break();
        }
    }

    fn table(&mut self, opens: bool) {
        self.border();
        if opens {
            if self.tables == 0 {
                self.flush();
                self.table = Some(Table::new(Form::Grid, None));
            }
            self.tables += 1;
        } else if self.tables == 1 {
            self.close_table();
        } else {
            self.tables = self.tables.saturating_sub(1);
        }
    }

    fn end_cell(&mut self, opens: bool) {
        // Between the cells stands nothing but blanks, unless the closing tag was left out.
        let text = mem::take(&mut self.text);
        if !opens || !text.trim().is_empty() {
            self.row.push(text);
        }
    }

    fn end_row(&mut self) {
        if !self.text.trim().is_empty() {
            self.row.push(mem::take(&mut self.text));
        }
        let row = mem::take(&mut self.row);
        if let (Some(table), Ok(())) = (&mut self.table, &self.result) {
            self.result = table.row(row, self.draft);
        }
    }

    fn close_table(&mut self) {
        if self.tables > 0 {
            self.end_row();
        }
        self.tables = 0;
        if let (Some(table), Ok(())) = (self.table.take(), &self.result) {
            self.result = table.end(self.draft);
        }
    }

    fn flush(&mut self) {
        let text = mem::take(&mut self.text);
        let said = self.draft.blocks().last().is_some_and(|last| {
            self.kind == BlockKind::Heading(1) && last.kind == self.kind && last.text == text.trim()
        });
        if self.result.is_ok() && !said {
            self.result = self.draft.push(self.kind, text.trim_start_matches('\n'), None);
        }
    }
}

/// Elements that begin a new line.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "center",
    "dd",
    "details",
    "dialog",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "head",
    "header",
    "hr",
    "html",
    "legend",
    "li",
    "main",
    "nav",
    "option",
    "p",
    "section",
    "select",
    "summary",
    "tbody",
    "tfoot",
    "thead",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn blocks(text: &str) -> Vec<(BlockKind, String)> {
        let mut draft = Draft::new(&Limits::default());
        read(text, &mut draft).expect("the page is short");
        draft.finish().blocks.into_iter().map(|block| (block.kind, block.text)).collect()
    }

    #[test]
    fn blocks_of_a_page() {
        let page = "<!doctype html><title>A &amp; B</title><style>p{}</style><h1>A & B</h1>\
                    <p>One <b>bold</b>\n word&nbsp;here<p>Two<br>lines<script>if (a<b) {}</script>\
                    <pre>fn a() {\n    b();\n}</pre><img alt='A cat'>";
        assert_eq!(
            blocks(page),
            [
                (BlockKind::Heading(1), "A & B".to_owned()),
                (BlockKind::Paragraph, "One bold word here".to_owned()),
                (BlockKind::Paragraph, "Two\nlines".to_owned()),
                (BlockKind::Code, "fn a() {\n    b();\n}".to_owned()),
                (BlockKind::Paragraph, "A cat".to_owned()),
            ]
        );
    }

    #[test]
    fn a_list_is_one_block() {
        let page = "<ul>\n<li>one\n<li><p>two</p><ol><li>first</li><li>second</li></ol></ul><p>after";
        let texts: Vec<String> = blocks(page).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["- one\n- two\n  1. first\n  2. second", "after"]);
    }

    #[test]
    fn tables_are_rows_with_or_without_closing_tags() {
        let closed = "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td></td><td>3</td></tr></table>";
        let open = "<table><tr><th>a<th>b<tr><td>1<td><table><tr><td>2<td>3</table></table>x";
        assert_eq!(blocks(closed), [(BlockKind::Table, "a | b\n1 |  | 3".to_owned())]);
        assert_eq!(blocks(open)[0], (BlockKind::Table, "a | b\n1 | 23".to_owned()));
    }

    #[test]
    fn what_is_never_closed_costs_nothing() {
        let page = "<div><ul><li><table><tr><td>".repeat(100_000) + "deep";
        assert!(blocks(&page).iter().any(|(_, text)| text.contains("deep")));
    }
}
