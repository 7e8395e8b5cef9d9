//! Lines of all pages as blocks.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::words::{Seam, Words};
use super::{Flow, Line};
use crate::draft::Draft;
use crate::{BlockKind, Unreadable};

/// A heading's letters are larger than the text's by this factor.
const HEADING_SIZE: f32 = 1.15;
/// A heading is no longer than that.
const HEADING_BYTES: usize = 300;

/// Writes the pages' blocks. A paragraph that goes on in the next column or on the next page stays one, on the
/// page on which it begins.
pub(super) fn write(mut pages: Vec<Vec<Flow>>, draft: &mut Draft) -> Result<(), Unreadable> {
    drop_running_lines(&mut pages);
    let document = Document::of(&pages);
    let mut unfinished: Option<(Paragraph<'_>, u32)> = None;
    for (page, flow) in (1..).zip(&pages).flat_map(|(page, flows)| flows.iter().map(move |flow| (page, flow)))
    {
        for paragraph in document.paragraphs(flow) {
            match &mut unfinished {
                Some((begun, _)) if begun.is_cut_off && paragraph.may_go_on(begun) => {
                    document.go_on(begun, paragraph);
                }
                _ => {
                    if let Some((done, page)) = unfinished.replace((paragraph, page)) {
                        document.push(&done, page, draft)?;
                    }
                }
            }
        }
    }
    unfinished.map_or(Ok(()), |(done, page)| document.push(&done, page, draft))
}

/// Takes away lines above and below the text that stand on most pages, such as a title and the number of the
/// page: between the halves of a sentence they are in the way.
fn drop_running_lines(pages: &mut [Vec<Flow>]) {
    let largest = text_size(pages) * HEADING_SIZE;
    let mut seen: HashMap<String, usize> = HashMap::new();
    for page in pages.iter() {
        let margins: HashSet<String> = margins(page).into_iter().map(|line| pattern(&line.text)).collect();
        for line in margins {
            *seen.entry(line).or_default() += 1;
        }
    }
    // Left and right pages have lines of their own.
    let often = (pages.len() * 2 / 5).max(3);
    for page in pages.iter_mut() {
        let running: Vec<(String, f32)> = margins(page)
            .into_iter()
            .filter(|line| {
                line.size <= largest && seen.get(&pattern(&line.text)).is_some_and(|count| *count >= often)
            })
            .map(|line| (line.text.clone(), line.base))
            .collect();
        for flow in page.iter_mut() {
            flow.retain(|line| !running.iter().any(|(text, base)| *base == line.base && *text == line.text));
        }
    }
}

/// One or two lines that stand apart above the text of a page, and the same below it.
fn margins(page: &[Flow]) -> Vec<&Line> {
    let mut lines: Vec<&Line> = page.iter().flatten().collect();
    lines.sort_by(|a, b| a.base.total_cmp(&b.base));
    let is_apart = |a: &Line, b: &Line| (a.base - b.base).abs() > a.size.max(b.size) * 1.8;
    let above = (1..lines.len().min(3)).find(|index| is_apart(lines[index - 1], lines[*index])).unwrap_or(0);
    let end = lines.len();
    let below = (1..(end - above).min(3)).find(|index| is_apart(lines[end - index], lines[end - index - 1]));
    lines.drain(above..end - below.unwrap_or(0));
    lines
}

/// A line with its numbers taken out.
fn pattern(text: &str) -> String {
    let mut pattern = String::new();
    for character in text.chars().filter(|c| !c.is_whitespace()) {
        if !character.is_numeric() {
            pattern.push(character);
        } else if !pattern.ends_with('#') {
            pattern.push('#');
        }
    }
    pattern
}

/// What can only be told from the whole document.
struct Document {
    /// The size of most letters.
    text_size: f32,
    /// The sizes of headings in tenths, the largest first.
    heading_sizes: Vec<i32>,
    words: Words,
}

impl Document {
    fn of(pages: &[Vec<Flow>]) -> Self {
        let text_size = text_size(pages);
        let sizes: BTreeSet<i32> = pages.iter().flatten().flatten().map(|line| tenths(line.size)).collect();
        let heading_sizes =
            sizes.into_iter().rev().filter(|size| *size as f32 / 10.0 > text_size * HEADING_SIZE);
        Self { text_size, heading_sizes: heading_sizes.collect(), words: Words::of(pages) }
    }

    fn push(&self, paragraph: &Paragraph<'_>, page: u32, draft: &mut Draft) -> Result<(), Unreadable> {
        if paragraph.is_table() && paragraph.text.lines().all(|line| line.contains('\t')) {
            return draft.push(BlockKind::Table, &paragraph.text.replace('\t', " | "), Some(page));
        }
        draft.push(self.kind(paragraph), &paragraph.text, Some(page))
    }

    fn kind(&self, paragraph: &Paragraph<'_>) -> BlockKind {
        let is_short = paragraph.text.len() <= HEADING_BYTES && !paragraph.text.contains('\n');
        let has_words = paragraph.text.chars().any(char::is_alphabetic);
        if paragraph.size <= self.text_size * HEADING_SIZE || !is_short || !has_words {
            return BlockKind::Paragraph;
        }
        let rank = self.heading_sizes.iter().position(|size| *size <= tenths(paragraph.size));
        BlockKind::Heading(rank.map_or(6, |rank| rank.min(5) as u8 + 1))
    }

    fn paragraphs<'a>(&self, flow: &'a Flow) -> Vec<Paragraph<'a>> {
        let shape = Shape::of(flow);
        let mut paragraphs: Vec<Paragraph<'a>> = Vec::new();
        for line in flow {
            match paragraphs.last_mut() {
                Some(paragraph) if shape.goes_on(paragraph.last, line) => {
                    self.join(&mut paragraph.text, paragraph.last, line);
                    paragraph.last = line;
                }
                _ => paragraphs.push(Paragraph::of(line)),
            }
        }
        if let Some(last) = paragraphs.last_mut() {
            last.is_cut_off = shape.is_full(last.last) && !ends_a_sentence(&last.text) && !last.is_table();
        }
        paragraphs
    }

    fn go_on<'a>(&self, begun: &mut Paragraph<'a>, rest: Paragraph<'a>) {
        let first = Line { text: rest.text, ..rest.first.clone() };
        self.join(&mut begun.text, begun.last, &first);
        (begun.last, begun.is_cut_off) = (rest.last, rest.is_cut_off);
    }

    /// Adds a line to the text that ends with the line above it.
    fn join(&self, text: &mut String, above: &Line, line: &Line) {
        if is_item(&line.text) || above.text.contains('\t') || line.text.contains('\t') {
            text.push('\n');
        } else {
            match self.words.between(above, line) {
                Seam::Blank => text.push(' '),
                Seam::None => {}
                Seam::NoHyphen => {
                    text.pop();
                }
            }
        }
        text.push_str(&line.text);
    }
}

/// The size of most letters.
fn text_size(pages: &[Vec<Flow>]) -> f32 {
    let mut sizes: BTreeMap<i32, usize> = BTreeMap::new();
    for line in pages.iter().flatten().flatten() {
        *sizes.entry(tenths(line.size)).or_default() += line.text.len();
    }
    sizes.iter().max_by_key(|(_, bytes)| **bytes).map_or(10.0, |(size, _)| *size as f32 / 10.0)
}

struct Paragraph<'a> {
    text: String,
    size: f32,
    first: &'a Line,
    last: &'a Line,
    /// Its column ends within a sentence.
    is_cut_off: bool,
}

impl<'a> Paragraph<'a> {
    fn of(line: &'a Line) -> Self {
        Self { text: line.text.clone(), size: line.size, first: line, last: line, is_cut_off: false }
    }

    fn is_table(&self) -> bool {
        self.text.contains('\t')
    }

    /// Whether this may be the rest of the other.
    fn may_go_on(&self, begun: &Self) -> bool {
        let same_size = (self.size - begun.size).abs() < self.size * 0.1;
        same_size && !self.is_table() && !is_item(&self.text)
    }
}

fn tenths(size: f32) -> i32 {
    (size * 10.0).round() as i32
}

/// How the lines of a flow stand.
struct Shape {
    left: f32,
    right: f32,
    /// From line to line.
    leading: f32,
}

impl Shape {
    fn of(flow: &Flow) -> Self {
        let mut leadings: Vec<f32> = flow.windows(2).map(|pair| pair[1].base - pair[0].base).collect();
        leadings.retain(|leading| *leading > 0.0);
        leadings.sort_by(f32::total_cmp);
        let mut lefts: Vec<f32> = flow.iter().map(|line| line.left).collect();
        lefts.sort_by(f32::total_cmp);
        Self {
            // A few lines may hang out on the left.
            left: lefts.get(lefts.len() / 10).copied().unwrap_or_default(),
            right: flow.iter().map(|line| line.right).fold(0.0, f32::max),
            // Not the middle one: between paragraphs of one line each, most distances are wide.
            leading: leadings.get(leadings.len() / 4).copied().unwrap_or_default(),
        }
    }

    /// Whether a line reaches to the right end of its column.
    fn is_full(&self, line: &Line) -> bool {
        line.right > self.right - line.size * 3.0
    }

    /// Whether a line goes on with the paragraph of the line above it.
    fn goes_on(&self, above: &Line, line: &Line) -> bool {
        let size = above.size.max(line.size);
        let down = line.base - above.base;
        let same_size = (above.size - line.size).abs() < size * 0.1;
        let is_rows = above.text.contains('\t') && line.text.contains('\t');
        let leading = if is_rows { size * 2.2 } else { (self.leading * 1.35).max(size * 1.15) };
        let is_near = down > 0.0 && down < leading.min(size * 3.0);
        let is_indented = line.left > above.left + size * 0.8 && above.left < self.left + size * 0.8;
        let ended = above.right < self.right - size * 2.0 && ends_a_sentence(&above.text);
        let is_new_line = is_rows || is_item(&line.text);
        same_size && is_near && (is_new_line || !(ended || (is_indented && ends_a_sentence(&above.text))))
    }
}

fn ends_a_sentence(text: &str) -> bool {
    let text = text.trim_end_matches(['"', '\'', ')', ']', '”', '’', '」', '』']);
    text.ends_with(['.', '!', '?', ':', '。', '！', '？'])
}

/// Whether a line begins an item of a list: with a sign, or with a short number and what follows one.
pub(super) fn is_item(text: &str) -> bool {
    let mut characters = text.chars();
    match characters.next() {
        Some('•' | '◦' | '▪' | '■' | '□' | '○' | '●' | '‣' | '※' | '\u{f0b7}' | '\u{f0a7}') => {
            true
        }
        Some('-' | '–' | '·' | '*') => characters.next() == Some(' '),
        Some(first) if first.is_ascii_digit() || ('가'..='하').contains(&first) => {
            let rest = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == first);
            text.len() - rest.len() <= 3 && rest.starts_with(['.', ')']) && rest[1..].starts_with(' ')
        }
        Some('①'..='⑳') => true,
        Some(_) | None => false,
    }
}
