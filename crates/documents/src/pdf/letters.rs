//! What a page draws, as letters with places.

use encoding_rs::{BIG5, EUC_JP, EUC_KR, Encoding, GB18030, SHIFT_JIS, UTF_16BE};
use hayro_interpret::font::{Glyph, GlyphRun};
use hayro_interpret::hayro_cmap::{BfString, WritingMode};
use hayro_interpret::hayro_syntax::Pdf;
use hayro_interpret::hayro_syntax::object::{Dict, Name};
use hayro_interpret::hayro_syntax::page::Page;
use hayro_interpret::kurbo::{Affine, BezPath, Point, Rect};
use hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps, InterpreterCache,
    InterpreterSettings, SoftMask, TransformExt, interpret_page,
};

use crate::Unreadable;

/// A page has no more letters than that; the rest is a trick.
const LETTERS: usize = 500_000;

/// A letter, or several that the font draws as one.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) text: String,
    pub(super) start: Point,
    pub(super) end: Point,
    pub(super) size: f32,
    pub(super) is_vertical: bool,
}

/// Calls `each` with the letters of each page, in the order in which they are drawn.
pub(super) fn each_page(
    pdf: &Pdf,
    mut each: impl FnMut(Vec<Letter>) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    let cache = InterpreterCache::new();
    for page in pdf.pages().iter() {
        let mut pen = Pen { encoding: encoding(page), letters: Vec::new() };
        let size = page.render_dimensions();
        let area = Rect::new(0.0, 0.0, size.0.into(), size.1.into());
        let upright = page.initial_transform(true).to_kurbo();
        let settings = InterpreterSettings::default();
        let mut context = Context::new(upright, area, &cache, page.xref(), settings);
        interpret_page(page, &mut context, &mut pen);
        each(pen.letters)?;
    }
    Ok(())
}

/// Notes letters and draws nothing.
struct Pen {
    /// For fonts that do not say which letters they show.
    encoding: Option<&'static Encoding>,
    letters: Vec<Letter>,
}

impl<'a> Device<'a> for Pen {
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, _: &DrawMode) {
        let is_vertical = matches!(run.writing_mode(), WritingMode::Vertical);
        for glyph in run.glyphs().iter().take(LETTERS.saturating_sub(self.letters.len())) {
            let Some(text) = self.text(glyph) else { continue };
            self.letters.push(letter(text, glyph, props.transform * glyph.transform(), is_vertical));
        }
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {}
    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}
    fn draw_image(&mut self, _: Image<'a, '_>, _: ImageDrawProps<'a>) {}
    fn pop_clip(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}

impl Pen {
    fn text(&self, glyph: &Glyph<'_>) -> Option<String> {
        let text = match glyph.as_unicode() {
            Some(BfString::Char(character)) => character.to_string(),
            Some(BfString::String(text)) => text,
            None => decode(self.encoding?, glyph.char_code())?,
        };
        Some(text.chars().flat_map(unligated).filter(|c| !c.is_control()).collect())
    }
}

fn letter(text: String, glyph: &Glyph<'_>, place: Affine, is_vertical: bool) -> Letter {
    // The place is that of a square of 1000 units, in which the font draws its letter.
    let start = place * Point::ZERO;
    let size = (place * Point::new(0.0, 1000.0) - start).hypot();
    let width = match glyph {
        Glyph::Outline(outline) => outline.advance_width(),
        Glyph::Type3(drawing) => drawing.advance_width(),
    };
    let width = width.map_or_else(|| if text.is_ascii() { 500.0 } else { 1000.0 }, f64::from);
    let end = if is_vertical { Point::new(0.0, -1000.0) } else { Point::new(width, 0.0) };
    Letter { text, start, end: place * end, size: size as f32, is_vertical }
}

/// Letters that a font draws as one are several for whoever looks for the word.
fn unligated(character: char) -> impl Iterator<Item = char> {
    let letters = match character {
        '\u{fb00}' => "ff",
        '\u{fb01}' => "fi",
        '\u{fb02}' => "fl",
        '\u{fb03}' => "ffi",
        '\u{fb04}' => "ffl",
        '\u{fb05}' | '\u{fb06}' => "st",
        _ => "",
    };
    let same = letters.is_empty().then_some(character);
    same.into_iter().chain(letters.chars())
}

fn decode(encoding: &'static Encoding, code: u32) -> Option<String> {
    let bytes = code.to_be_bytes();
    let start = match code {
        0..=0xff if encoding != UTF_16BE => 3,
        0..=0xffff => 2,
        _ => 0,
    };
    Some(encoding.decode_without_bom_handling_and_without_replacement(&bytes[start..])?.into_owned())
}

/// How the codes of East Asian fonts are to be read that bring no letters with them: such fonts name an
/// encoding of their country, and a page has one country's.
fn encoding(page: &Page<'_>) -> Option<&'static Encoding> {
    let fonts = &page.resources().fonts;
    fonts.keys().filter_map(|name| fonts.get::<Dict<'_>>(name)).find_map(|font| {
        let name = font.get::<Name<'_>>(b"Encoding")?;
        if font.contains_key(b"ToUnicode") { None } else { named(&String::from_utf8_lossy(&name)) }
    })
}

/// The encoding of a predefined map (ISO 32000-1, table 118).
fn named(map: &str) -> Option<&'static Encoding> {
    let has = |part: &str| map.contains(part);
    if has("UCS2") || has("UTF16") {
        Some(UTF_16BE)
    } else if has("KSC") {
        Some(EUC_KR)
    } else if has("GB") {
        Some(GB18030)
    } else if has("B5") {
        Some(BIG5)
    } else if has("RKSJ") {
        Some(SHIFT_JIS)
    } else if map == "EUC-H" || map == "EUC-V" {
        Some(EUC_JP)
    } else {
        None
    }
}
