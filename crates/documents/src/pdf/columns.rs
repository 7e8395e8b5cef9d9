//! Runs in reading order, as lines.
//!
//! A page of one column is read line by line; so is a table. Columns of prose are read one after the other.
//! What crosses the gutter between two columns, such as a title, divides a page into bands that are read from
//! above to below.

use super::paragraphs::is_item;
use super::runs::{Run, level};
use super::{Flow, Line};

/// Columns within columns.
const DEPTH: usize = 4;
/// A page with more runs has no columns: it is a drawing.
const RUNS: usize = 20_000;
/// Where so many runs begin at the same place, a column may begin.
const COLUMN_RUNS: usize = 4;
/// So many of the places where most runs begin are looked at.
const GUTTERS: usize = 8;

/// The lines of a page or a column, flow by flow.
pub(super) fn flows(runs: Vec<Run>) -> Vec<Flow> {
    let mut flows = Vec::new();
    read(runs, 0, &mut flows);
    flows.retain(|flow| !flow.is_empty());
    flows
}

fn read(mut runs: Vec<Run>, depth: usize, flows: &mut Vec<Flow>) {
    runs.sort_by(|a, b| a.base.total_cmp(&b.base).then(a.left.total_cmp(&b.left)));
    let gutter = if depth < DEPTH && runs.len() <= RUNS { best_gutter(&runs) } else { None };
    let Some(gutter) = gutter else {
        return flows.push(lines(runs));
    };
    let mut rest = Vec::new();
    for band in bands(&runs, gutter) {
        match band {
            Band::Across(runs) => rest.extend(runs),
            Band::Columns(left, right) => {
                flows.push(lines(std::mem::take(&mut rest)));
                read(left, depth + 1, flows);
                read(right, depth + 1, flows);
            }
        }
    }
    flows.push(lines(rest));
}

enum Band {
    /// Read line by line.
    Across(Vec<Run>),
    Columns(Vec<Run>, Vec<Run>),
}

/// Divides runs that are sorted from above to below.
fn bands(runs: &[Run], gutter: f32) -> Vec<Band> {
    let mut bands = Vec::new();
    let mut left = Vec::new();
    let mut right = Vec::new();
    for run in runs {
        if run.left < gutter && run.right > gutter {
            bands.push(band(std::mem::take(&mut left), std::mem::take(&mut right)));
            bands.push(Band::Across(vec![run.clone()]));
        } else if run.right <= gutter {
            left.push(run.clone());
        } else {
            right.push(run.clone());
        }
    }
    bands.push(band(left, right));
    bands
}

fn band(left: Vec<Run>, right: Vec<Run>) -> Band {
    if is_prose(&left) && is_prose(&right) && beside(&left, &right) {
        return Band::Columns(left, right);
    }
    Band::Across(left.into_iter().chain(right).collect())
}

/// Whether these runs fill a column with lines of words.
fn is_prose(runs: &[Run]) -> bool {
    let rows = rows(runs.to_vec());
    let left = runs.iter().map(|run| run.left).fold(f32::INFINITY, f32::min);
    let right = runs.iter().map(|run| run.right).fold(f32::NEG_INFINITY, f32::max);
    let width = |row: &Vec<Run>| row.iter().map(|run| run.right - run.left).sum::<f32>();
    let letters = |row: &Vec<Run>| row.iter().map(|run| breadth(&run.text)).sum::<usize>();
    let count = rows.len().max(1);
    rows.len() >= 3
        && rows.iter().map(width).sum::<f32>() / count as f32 > (right - left) * 0.5
        && rows.iter().map(letters).sum::<usize>() / count >= 16
}

/// How much room letters take, roughly: those of East Asia take twice that of the others.
fn breadth(text: &str) -> usize {
    text.chars().map(|c| if c >= '\u{1100}' { 2 } else { 1 }).sum()
}

/// Whether two columns stand side by side for the greater part of the shorter one.
fn beside(left: &[Run], right: &[Run]) -> bool {
    let span = |runs: &[Run]| {
        let top = runs.first().map_or(0.0, |run| run.base - run.size);
        (top, runs.last().map_or(0.0, |run| run.base))
    };
    let ((left_top, left_end), (right_top, right_end)) = (span(left), span(right));
    let common = left_end.min(right_end) - left_top.max(right_top);
    common > (left_end - left_top).min(right_end - right_top) * 0.5
}

/// The place that leaves the most runs in columns, if any does.
fn best_gutter(runs: &[Run]) -> Option<f32> {
    let in_columns = |gutter: f32| {
        let columns = bands(runs, gutter).into_iter().map(|band| match band {
            Band::Columns(left, right) => left.len() + right.len(),
            Band::Across(_) => 0,
        });
        columns.sum::<usize>()
    };
    let scored = starts(runs).into_iter().map(|gutter| (in_columns(gutter), gutter));
    scored.filter(|(count, _)| *count > 0).max_by_key(|(count, _)| *count).map(|(_, gutter)| gutter)
}

/// The places where most runs begin, but for the leftmost: there the page begins.
fn starts(runs: &[Run]) -> Vec<f32> {
    let mut lefts: Vec<f32> = runs.iter().map(|run| run.left).collect();
    lefts.sort_by(f32::total_cmp);
    let margin = lefts.first().copied().unwrap_or_default();
    let mut groups: Vec<(usize, f32)> = Vec::new();
    for left in lefts {
        match groups.last_mut() {
            Some((count, start)) if left - *start < 3.0 => *count += 1,
            _ => groups.push((1, left)),
        }
    }
    groups.retain(|(count, start)| *count >= COLUMN_RUNS && *start > margin + 3.0);
    groups.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    groups.into_iter().take(GUTTERS).map(|(_, start)| start - 0.5).collect()
}

/// Runs that stand on one line, line by line.
fn rows(mut runs: Vec<Run>) -> Vec<Vec<Run>> {
    runs.sort_by(|a, b| a.base.total_cmp(&b.base).then(a.left.total_cmp(&b.left)));
    let mut rows: Vec<Vec<Run>> = Vec::new();
    for run in runs {
        match rows.last_mut() {
            Some(row) if row.iter().any(|other| level((other.base, other.size), (run.base, run.size))) => {
                row.push(run);
            }
            _ => rows.push(vec![run]),
        }
    }
    for row in &mut rows {
        row.sort_by(|a, b| a.left.total_cmp(&b.left));
    }
    rows
}

fn lines(runs: Vec<Run>) -> Flow {
    let mut lines: Flow = rows(runs).into_iter().filter_map(line).collect();
    // A table has several rows; a single wide gap comes from spreading a line.
    let is_row: Vec<bool> = lines.iter().map(|line| line.text.contains('\t')).collect();
    for (index, line) in lines.iter_mut().enumerate() {
        let above = index.checked_sub(1).is_some_and(|above| is_row[above]);
        if !above && !is_row.get(index + 1).is_some_and(|below| *below) {
            line.text = line.text.replace('\t', " ");
        }
    }
    lines
}

/// Runs side by side as one line. What stands apart are cells of a table, with a tab between.
fn line(row: Vec<Run>) -> Option<Line> {
    let mut row = row.into_iter();
    let first = row.next()?;
    let (left, mut right) = (first.left, first.right);
    let (mut text, mut base, mut size) = (first.text, first.base, first.size);
    for run in row {
        text.truncate(text.trim_end().len());
        text.push(if is_item(&format!("{text} ")) { ' ' } else { '\t' });
        text.push_str(run.text.trim_start());
        right = right.max(run.right);
        if run.size > size {
            (base, size) = (run.base, run.size);
        }
    }
    let blank_after = text.ends_with(' ');
    let text = without_leaders(text.trim());
    (!text.is_empty()).then_some(Line { text, left, right, base, size, blank_after })
}

/// A table of contents leads to its page numbers by dots.
fn without_leaders(text: &str) -> String {
    let dots = |rest: &str| rest.len() - rest.trim_start_matches(['.', ' ', '…', '·']).len();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['.', '…', '·']) {
        let length = dots(&rest[at..]);
        let leader = &rest[at..at + length];
        if leader.chars().filter(|c| *c != ' ').count() > 4 || leader.matches('…').count() > 1 {
            out.push_str(rest[..at].trim_end());
            out.push('\t');
        } else {
            out.push_str(&rest[..at + length]);
        }
        rest = &rest[at + length..];
    }
    out.push_str(rest);
    out.trim().to_owned()
}
