//! Letters side by side, with the blanks between words.
//!
//! The order in which a page draws its letters says little: a line in two fonts is often drawn font by font,
//! and its blanks before both.

use std::collections::BTreeMap;

use hayro_interpret::kurbo::{Affine, Point};

use super::letters::Letter;

/// Letters on one line, without a wide gap.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) text: String,
    pub(super) left: f32,
    pub(super) right: f32,
    pub(super) base: f32,
    pub(super) size: f32,
}

/// A letter on a page that has been turned so that it is read from left to right.
struct Placed {
    text: String,
    left: f32,
    right: f32,
    base: f32,
    size: f32,
}

impl Placed {
    fn is_blank(&self) -> bool {
        self.text.chars().all(char::is_whitespace)
    }

    /// Whether it is the other letter drawn once more, which makes it look bold.
    fn is_shadow_of(&self, other: &Self) -> bool {
        let near = |a: f32, b: f32| (a - b).abs() < self.size * 0.2;
        self.text == other.text && near(self.left, other.left) && near(self.base, other.base)
    }
}

/// A gap of so much of a letter's height is a blank, if the page has no blanks of its own.
const WORD_GAP: f32 = 0.17;
/// The same if it has: then gaps come from spreading a line.
const WORD_GAP_BESIDE_BLANKS: f32 = 0.45;
/// A gap of so much divides runs.
const RUN_GAP: f32 = 0.9;
/// Letters are tilted by no less than so many degrees.
const STEP: f64 = 5.0;

/// The runs of a page, one list a direction of reading; the direction of most letters first.
pub(super) fn by_direction(letters: Vec<Letter>) -> Vec<Vec<Run>> {
    let mut directions: BTreeMap<i32, Vec<Placed>> = BTreeMap::new();
    for letter in letters.into_iter().filter(|letter| letter.size > 0.0 && letter.size.is_finite()) {
        let step = direction(&letter);
        directions.entry(step).or_default().push(placed(letter, step));
    }
    let mut directions: Vec<Vec<Placed>> = directions.into_values().collect();
    directions.sort_by_key(|letters| std::cmp::Reverse(letters.len()));
    directions.into_iter().map(runs).collect()
}

fn direction(letter: &Letter) -> i32 {
    let along = letter.end - letter.start;
    if along.hypot() == 0.0 {
        return 0;
    }
    ((along.y.atan2(along.x).to_degrees() / STEP).round() as i32).rem_euclid((360.0 / STEP) as i32)
}

fn placed(letter: Letter, direction: i32) -> Placed {
    let turn = Affine::rotate(-(f64::from(direction) * STEP).to_radians());
    let (start, end): (Point, Point) = (turn * letter.start, turn * letter.end);
    // Letters of vertical lines hang in their middle.
    let base = start.y as f32 + if letter.is_vertical { letter.size / 2.0 } else { 0.0 };
    Placed { text: letter.text, left: start.x as f32, right: end.x as f32, base, size: letter.size }
}

fn runs(letters: Vec<Placed>) -> Vec<Run> {
    let blanks = letters.iter().filter(|letter| letter.is_blank()).count();
    let word_gap = if blanks * 50 > letters.len() { WORD_GAP_BESIDE_BLANKS } else { WORD_GAP };
    let mut runs = Vec::new();
    for row in rows(letters) {
        let mut rest = row.as_slice();
        while let Some(end) = end_of_run(rest) {
            let (letters, after) = rest.split_at(end);
            runs.extend(run(letters, word_gap));
            rest = after;
        }
    }
    runs
}

/// Letters that stand on one line, from left to right.
fn rows(mut letters: Vec<Placed>) -> Vec<Vec<Placed>> {
    letters.sort_by(|a, b| a.base.total_cmp(&b.base));
    let mut rows: Vec<Vec<Placed>> = Vec::new();
    // The place and height of the largest letter of the row.
    let (mut base, mut size) = (0.0, 0.0);
    for letter in letters.into_iter().filter(|letter| !letter.text.is_empty()) {
        let row = rows.last_mut().filter(|_| level((base, size), (letter.base, letter.size)));
        if letter.size > size || row.is_none() {
            (base, size) = (letter.base, letter.size);
        }
        match row {
            Some(row) => row.push(letter),
            None => rows.push(vec![letter]),
        }
    }
    for row in &mut rows {
        row.sort_by(|a, b| a.left.total_cmp(&b.left));
        row.dedup_by(|second, first| second.is_shadow_of(first));
    }
    rows
}

/// Whether what stands here with this height is on one line with what stands there: the smaller is for its
/// greater part at the height of the larger.
pub(super) fn level((base, size): (f32, f32), (other_base, other_size): (f32, f32)) -> bool {
    let common = base.min(other_base) - (base - size).max(other_base - other_size);
    common > size.min(other_size) * 0.6
}

/// How many letters follow one another without a wide gap; none of none.
fn end_of_run(row: &[Placed]) -> Option<usize> {
    let mut right = row.first()?.right;
    for (index, letter) in row.iter().enumerate().skip(1) {
        if letter.left - right > RUN_GAP * letter.size {
            return Some(index);
        }
        right = right.max(letter.right);
    }
    Some(row.len())
}

fn run(letters: &[Placed], word_gap: f32) -> Option<Run> {
    let largest = letters.iter().max_by(|a, b| a.size.total_cmp(&b.size))?;
    let (mut left, mut right) = (f32::INFINITY, f32::NEG_INFINITY);
    let mut parts: Vec<&str> = Vec::new();
    for letter in letters {
        let is_gap = letter.left - right > word_gap * largest.size && !parts.is_empty();
        if (is_gap || letter.is_blank()) && parts.last() != Some(&" ") {
            parts.push(" ");
        }
        if !letter.is_blank() {
            parts.push(&letter.text);
            left = left.min(letter.left);
        }
        right = right.max(letter.right);
    }
    in_reading_order(&mut parts);
    let text: String = parts.concat();
    (!text.trim().is_empty()).then_some(Run { text, left, right, base: largest.base, size: largest.size })
}

/// Turns what stands from left to right and is read from right to left, which is Arabic and Hebrew without
/// their numbers.
fn in_reading_order(parts: &mut [&str]) {
    let turned = parts.iter().filter(|part| is_right_to_left(part)).count();
    if turned == 0 {
        return;
    }
    let straight = parts.iter().filter(|part| part.starts_with(char::is_alphanumeric)).count() - turned;
    let turns_all = turned > straight;
    if turns_all {
        parts.reverse();
    }
    let belongs = |part: &&str| {
        let is_letter = part.starts_with(char::is_alphanumeric);
        is_letter && is_right_to_left(part) != turns_all
    };
    for part in parts.chunk_by_mut(|a, b| belongs(a) == belongs(b)) {
        if part.first().is_some_and(belongs) {
            part.reverse();
        }
    }
}

fn is_right_to_left(text: &str) -> bool {
    text.starts_with(
        |c| matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'),
    ) && text.starts_with(char::is_alphabetic)
}
