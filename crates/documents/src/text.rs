//! Plain text, LaTeX and program text.

use crate::draft::Draft;
use crate::{BlockKind, Unreadable};

/// Prose: a paragraph ends at an empty line.
pub(crate) fn prose(text: &str, draft: &mut Draft) -> Result<(), Unreadable> {
    paragraphs(text, |paragraph| draft.push(BlockKind::Paragraph, paragraph, None))
}

/// Prose with commands. They stay as they are, since formulas are made of them; only headings are found.
pub(crate) fn latex(text: &str, draft: &mut Draft) -> Result<(), Unreadable> {
    paragraphs(text, |paragraph| {
        let mut rest = paragraph;
        while let Some((before, level, title, after)) = first_heading(rest) {
            draft.push(BlockKind::Paragraph, before, None)?;
            draft.push(BlockKind::Heading(level), title, None)?;
            rest = after;
        }
        draft.push(BlockKind::Paragraph, rest, None)
    })
}

/// Program text, cut where a line without indentation follows an empty one.
pub(crate) fn code(text: &str, draft: &mut Draft) -> Result<(), Unreadable> {
    let mut start = 0;
    let mut at = 0;
    let mut after_empty = false;
    for line in text.split_inclusive('\n') {
        let indented = line.starts_with([' ', '\t', '}', ')', ']']);
        let empty = line.trim().is_empty();
        if after_empty && !empty && !indented {
            draft.push(BlockKind::Code, &text[start..at], None)?;
            start = at;
        }
        after_empty = empty;
        at += line.len();
    }
    draft.push(BlockKind::Code, &text[start..], None)
}

fn paragraphs(text: &str, mut each: impl FnMut(&str) -> Result<(), Unreadable>) -> Result<(), Unreadable> {
    let mut start = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim().is_empty() {
            each(&text[start..at])?;
            start = at + line.len();
        }
        at += line.len();
    }
    each(&text[start.min(text.len())..])
}

const LATEX_HEADINGS: &[(&str, u8)] = &[
    ("\\title", 1),
    ("\\part", 1),
    ("\\chapter", 1),
    ("\\section", 2),
    ("\\subsection", 3),
    ("\\subsubsection", 4),
];

/// What stands before a heading at the start of a line, its level, its title, and what stands after it.
fn first_heading(text: &str) -> Option<(&str, u8, &str, &str)> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let found = LATEX_HEADINGS.iter().find_map(|(command, level)| {
            let argument =
                line.trim_start().strip_prefix(command)?.trim_start_matches('*').strip_prefix('{')?;
            let title = &argument[..closing_brace(argument)?];
            Some((*level, title, &argument[title.len() + 1..]))
        });
        if let Some((level, title, rest_of_line)) = found {
            let after = at + line.len() - rest_of_line.len();
            return Some((&text[..at], level, title, &text[after..]));
        }
        at += line.len();
    }
    None
}

fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn blocks(read: fn(&str, &mut Draft) -> Result<(), Unreadable>, text: &str) -> Vec<(BlockKind, String)> {
        let mut draft = Draft::new(&Limits::default());
        read(text, &mut draft).expect("the text is small");
        draft.finish().blocks.into_iter().map(|block| (block.kind, block.text)).collect()
    }

    #[test]
    fn paragraphs_end_at_empty_lines() {
        let found = blocks(prose, "One\ntwo.\n \n\nThree.");
        let paragraph = |text: &str| (BlockKind::Paragraph, text.to_owned());
        assert_eq!(found, [paragraph("One\ntwo."), paragraph("Three.")]);
    }

    #[test]
    fn code_is_cut_between_functions() {
        let found = blocks(code, "use a;\n\nfn b() {\n    c();\n\n    d();\n\n}\n\n\nfn e() {}\n");
        let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["use a;", "fn b() {\n    c();\n\n    d();\n\n}", "fn e() {}"]);
    }

    #[test]
    fn headings_of_latex_are_found() {
        let found = blocks(latex, "\\section*{On \\emph{x}}\\label{x}\nLet $x$ be.\n\\subsection{Unclosed");
        assert_eq!(found[0], (BlockKind::Heading(2), "On \\emph{x}".to_owned()));
        assert_eq!(found[1].1, "\\label{x}\nLet $x$ be.\n\\subsection{Unclosed");
    }
}
