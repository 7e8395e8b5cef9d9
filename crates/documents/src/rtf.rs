//! Rich Text Format: text, with commands that begin with a backslash, in nested groups.

use std::collections::HashMap;
use std::mem;

use encoding_rs::{BIG5, EUC_KR, Encoding, GBK, SHIFT_JIS, UTF_8, WINDOWS_1252};

use crate::draft::Draft;
use crate::table::{Form, Table};
use crate::{BlockKind, Unreadable};

/// Reads a document.
pub(crate) fn read(bytes: &[u8], draft: &mut Draft) -> Result<(), Unreadable> {
    let mut reader = Reader::new(draft);
    let mut rest = bytes;
    while let Some((token, after)) = token(rest) {
        rest = after;
        match token {
            Token::Open => reader.outer.push(reader.group),
            Token::Close => reader.close(),
            Token::Byte(byte) => reader.byte(byte),
            Token::Ignorable => reader.group.unseen = true,
            Token::Command("bin", Some(length)) => {
                rest = rest.get(usize::try_from(length).unwrap_or(0)..).unwrap_or_default();
            }
            Token::Command(name, number) => reader.command(name, number)?,
        }
    }
    reader.paragraph()?;
    reader.end_table()
}

enum Token<'a> {
    Open,
    Close,
    Byte(u8),
    /// What follows in this group is for those who know it.
    Ignorable,
    Command(&'a str, Option<i64>),
}

fn token(text: &[u8]) -> Option<(Token<'_>, &[u8])> {
    let (first, rest) = text.split_first()?;
    match first {
        b'{' => Some((Token::Open, rest)),
        b'}' => Some((Token::Close, rest)),
        b'\r' | b'\n' | 0 => token_after_blanks(rest),
        b'\\' => Some(command(rest)),
        byte => Some((Token::Byte(*byte), rest)),
    }
}

/// Line ends mean nothing here.
fn token_after_blanks(text: &[u8]) -> Option<(Token<'_>, &[u8])> {
    let start = text.iter().position(|byte| !matches!(byte, b'\r' | b'\n' | 0))?;
    token(text.get(start..)?)
}

/// What follows a backslash.
fn command(text: &[u8]) -> (Token<'_>, &[u8]) {
    let length = |of: &[u8], is: fn(&u8) -> bool| of.iter().position(|byte| !is(byte)).unwrap_or(of.len());
    let (name, rest) = text.split_at(length(text, u8::is_ascii_alphabetic));
    if name.is_empty() {
        return symbol(text);
    }
    let (sign, digits) = match rest.strip_prefix(b"-") {
        Some(digits) => (-1, digits),
        None => (1, rest),
    };
    let (digits, after) = digits.split_at(length(digits, u8::is_ascii_digit));
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<i64>().ok());
    let after = if digits.is_empty() { rest } else { after };
    let name = std::str::from_utf8(name).unwrap_or_default();
    (Token::Command(name, number.map(|number| sign * number)), after.strip_prefix(b" ").unwrap_or(after))
}

/// A command of one character.
fn symbol(text: &[u8]) -> (Token<'_>, &[u8]) {
    let Some((first, rest)) = text.split_first() else { return (Token::Close, text) };
    match first {
        b'\'' => {
            let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
            match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                Some(byte) => (Token::Byte(byte), &rest[2..]),
                None => (Token::Byte(b'\''), rest),
            }
        }
        b'*' => (Token::Ignorable, rest),
        b'~' => (Token::Byte(b' '), rest),
        b'_' => (Token::Byte(b'-'), rest),
        b'\r' | b'\n' => (Token::Command("par", None), rest),
        b'-' | b':' | b'|' => (Token::Command("", None), rest),
        byte => (Token::Byte(*byte), rest),
    }
}

/// What holds until a group ends.
#[derive(Clone, Copy)]
struct Group {
    /// Its text is not for readers.
    unseen: bool,
    /// It is the table of fonts, or that of styles.
    fonts: bool,
    styles: bool,
    style: i64,
    font: i64,
    /// How many characters stand after a Unicode one, for readers that know none.
    stand_ins: i64,
}

struct Reader<'a> {
    draft: &'a mut Draft,
    outer: Vec<Group>,
    group: Group,
    /// The encoding of text whose font says nothing.
    encoding: &'static Encoding,
    fonts: HashMap<i64, &'static Encoding>,
    /// The levels of styles for headings, and the name of the style being read.
    levels: HashMap<i64, u8>,
    style_name: String,
    /// Bytes that wait for the rest of their character, and stand-ins that are still to come.
    bytes: Vec<u8>,
    skip: i64,
    /// The first half of a character beyond 65,536.
    half: Option<u16>,
    text: String,
    heading: Option<u8>,
    in_table: bool,
    row: Vec<String>,
    table: Option<Table>,
}

impl<'a> Reader<'a> {
    fn new(draft: &'a mut Draft) -> Self {
        Self {
            draft,
            outer: Vec::new(),
            group: Group { unseen: false, fonts: false, styles: false, style: 0, font: 0, stand_ins: 1 },
            encoding: WINDOWS_1252,
            fonts: HashMap::new(),
            levels: HashMap::new(),
            style_name: String::new(),
            bytes: Vec::new(),
            skip: 0,
            half: None,
            text: String::new(),
            heading: None,
            in_table: false,
            row: Vec::new(),
            table: None,
        }
    }

    fn close(&mut self) {
        self.decode();
        let style = mem::take(&mut self.style_name);
        let level = style.trim_end_matches(';').rsplit(' ').next().and_then(|level| level.parse().ok());
        if let (true, Some(level @ 1..=6)) = (style.to_lowercase().starts_with("heading "), level) {
            self.levels.insert(self.group.style, level);
        }
        if let Some(outer) = self.outer.pop() {
            self.group = outer;
        }
    }

    fn byte(&mut self, byte: u8) {
        if self.skip > 0 {
            self.skip -= 1;
        } else if self.group.styles {
            self.style_name.push(char::from(byte));
        } else if !self.group.unseen {
            self.bytes.push(byte);
        }
    }

    /// Turns the bytes that came into text.
    fn decode(&mut self) {
        let encoding = self.fonts.get(&self.group.font).unwrap_or(&self.encoding);
        self.text.push_str(&encoding.decode_without_bom_handling(&self.bytes).0);
        self.bytes.clear();
    }

    fn put(&mut self, text: &str) {
        self.decode();
        if !self.group.unseen {
            self.text.push_str(text);
        }
    }

    fn command(&mut self, name: &str, number: Option<i64>) -> Result<(), Unreadable> {
        self.decode();
        match name {
            "u" => self.unicode(number.unwrap_or_default()),
            "uc" => self.group.stand_ins = number.unwrap_or(1).clamp(0, 16),
            "f" => self.group.font = number.unwrap_or_default(),
            "fcharset" if self.group.fonts => {
                if let Some(encoding) = of_charset(number.unwrap_or_default()) {
                    self.fonts.insert(self.group.font, encoding);
                }
            }
            "ansicpg" => self.encoding = of_code_page(number.unwrap_or_default()).unwrap_or(self.encoding),
            "fonttbl" => (self.group.fonts, self.group.unseen) = (true, true),
            "stylesheet" => (self.group.styles, self.group.unseen) = (true, true),
            "s" if self.group.styles => self.group.style = number.unwrap_or_default(),
            "outlinelevel" if self.group.styles => {
                self.levels.extend(heading(number).map(|level| (self.group.style, level)));
            }
            "v" | "deleted" => self.group.unseen = number != Some(0),
            // The text in a drawing, which as a whole is not for readers.
            "shptxt" => self.group.unseen = false,
            unseen if UNSEEN.contains(&unseen) => self.group.unseen = true,
            _ if self.group.unseen => {}
            "pard" => (self.heading, self.in_table) = (None, false),
            "intbl" => self.in_table = true,
            "s" => self.heading = number.and_then(|style| self.levels.get(&style)).copied(),
            "outlinelevel" => self.heading = heading(number),
            "par" | "sect" | "page" if self.in_table => self.put("\n"),
            "par" | "sect" | "page" => self.paragraph()?,
            "line" => self.put("\n"),
            "cell" | "nestcell" => self.row.push(mem::take(&mut self.text)),
            "row" | "nestrow" => self.end_row()?,
            name => {
                if let Some((_, sign)) = SIGNS.iter().find(|(word, _)| *word == name) {
                    self.put(sign);
                }
            }
        }
        Ok(())
    }

    fn unicode(&mut self, number: i64) {
        self.skip = self.group.stand_ins;
        if self.group.unseen {
            return;
        }
        // Numbers beyond 32,767 are written as negative ones.
        let Ok(unit) = u16::try_from(number.rem_euclid(0x1_0000)) else { return };
        let units = self.half.take().into_iter().chain([unit]);
        if (0xd800..0xdc00).contains(&unit) {
            self.half = Some(unit);
        } else {
            self.text.extend(char::decode_utf16(units).filter_map(Result::ok));
        }
    }

    fn paragraph(&mut self) -> Result<(), Unreadable> {
        self.decode();
        if !self.in_table {
            self.end_table()?;
        }
        let kind = self.heading.map_or(BlockKind::Paragraph, BlockKind::Heading);
        let text = mem::take(&mut self.text);
        self.draft.push(kind, text.trim(), None)
    }

    fn end_row(&mut self) -> Result<(), Unreadable> {
        let row = mem::take(&mut self.row);
        let table = self.table.get_or_insert_with(|| Table::new(Form::Grid, None));
        table.row(row, self.draft)
    }

    fn end_table(&mut self) -> Result<(), Unreadable> {
        self.table.take().map_or(Ok(()), |table| table.end(self.draft))
    }
}

/// Levels are counted from 0; the tenth is no heading.
fn heading(number: Option<i64>) -> Option<u8> {
    let level = number.and_then(|level| u8::try_from(level).ok());
    level.filter(|level| *level < 6).map(|level| level + 1)
}

/// Groups with something else than the text of the page.
const UNSEEN: &[&str] = &[
    "annotation",
    "atnauthor",
    "atnid",
    "bkmkend",
    "bkmkstart",
    "colortbl",
    "datastore",
    "fldinst",
    "footer",
    "footerf",
    "footerl",
    "footerr",
    "generator",
    "header",
    "headerf",
    "headerl",
    "headerr",
    "info",
    "listoverridetable",
    "listtable",
    "nonshppict",
    "objdata",
    "pict",
    "pntext",
    "rsidtbl",
    "shprslt",
    "sn",
    "sp",
    "stylesheet",
    "sv",
    "themedata",
    "xe",
];

const SIGNS: &[(&str, &str)] = &[
    ("tab", "\t"),
    ("emdash", "—"),
    ("endash", "–"),
    ("lquote", "‘"),
    ("rquote", "’"),
    ("ldblquote", "“"),
    ("rdblquote", "”"),
    ("bullet", "•"),
    ("emspace", " "),
    ("enspace", " "),
    ("qmspace", " "),
];

/// Microsoft's numbers of fonts' character sets.
fn of_charset(number: i64) -> Option<&'static Encoding> {
    of_code_page(match number {
        128 => 932,
        129 => 949,
        134 => 936,
        136 => 950,
        161 => 1253,
        162 => 1254,
        163 => 1258,
        177 => 1255,
        178 => 1256,
        186 => 1257,
        204 => 1251,
        222 => 874,
        238 => 1250,
        _ => return None,
    })
}

/// Microsoft's numbers of encodings.
fn of_code_page(number: i64) -> Option<&'static Encoding> {
    match number {
        932 => Some(SHIFT_JIS),
        936 => Some(GBK),
        949 => Some(EUC_KR),
        950 => Some(BIG5),
        65001 => Some(UTF_8),
        other => Encoding::for_label(format!("windows-{other}").as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn blocks(text: &[u8]) -> Vec<(BlockKind, String)> {
        let mut draft = Draft::new(&Limits::default());
        read(text, &mut draft).expect("it is short");
        draft.finish().blocks.into_iter().map(|block| (block.kind, block.text)).collect()
    }

    #[test]
    fn text_in_fonts_of_other_countries() {
        let text = br"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Times;}{\f1\fcharset129 Batang;}}
{\stylesheet{\s7\b Heading 1;}}{\info{\title No}}\pard\s7 Caf\'e9\par\pard\f1\'c8\'af\'ba\'d2\f0  of \u-21916\'b0\'a1?\uc0\u44033 \emdash{\b b}old\par}";
        let found = blocks(text);
        assert_eq!(found[0], (BlockKind::Heading(1), "Café".to_owned()));
        assert_eq!(found[1].0, BlockKind::Paragraph);
        assert!(found[1].1.starts_with("환불 of \u{aa64}"), "{found:?}");
        assert!(found[1].1.ends_with("각—bold"), "{found:?}");
    }

    #[test]
    fn tables_are_rows() {
        let text =
            br"{\rtf1 \pard\intbl a\cell b\cell\row\pard\intbl 1\par x\cell 2\cell\row\pard after\par}";
        let expected = [(BlockKind::Table, "a | b\n1 x | 2"), (BlockKind::Paragraph, "after")];
        assert_eq!(blocks(text), expected.map(|(kind, text)| (kind, text.to_owned())));
    }

    #[test]
    fn broken_text_ends() {
        for text in
            [&br"{\rtf1 \bin99999999999999999999 x"[..], br"{\rtf1 \'", br"\", br"}}}}a\u", br"{\rtf1\'zz"]
        {
            blocks(text);
        }
        assert!(blocks(&b"{".repeat(1_000_000)).is_empty());
    }
}
