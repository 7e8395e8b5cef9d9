//! Links to files that code wrote: `sandbox:/mnt/data/…` in what a model says. Pure.

use adjutant_wire::messages::{Annotation, FileReference};

/// A link in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// As it stands there.
    text: String,
    /// Where it stands, in characters.
    start: usize,
    /// The file's path below `/mnt/data`.
    pub(super) path: String,
}

const BEGINS: &str = "sandbox:/mnt/data/";

impl Link {
    /// What marks it, once its file has an id.
    pub(super) fn annotation(self, file_id: String) -> Annotation {
        let end_index = self.start + self.text.chars().count();
        Annotation::FilePath {
            text: self.text,
            start_index: self.start,
            end_index,
            file_path: FileReference { file_id },
        }
    }
}

/// All links in a text, in order.
pub(super) fn links(text: &str) -> Vec<Link> {
    let beginnings = text.match_indices(BEGINS);
    let link = |(at, _): (usize, &str)| {
        let (before, rest) = text.split_at_checked(at)?;
        let link = rest.get(..end(before, rest))?;
        let path = plain(&decoded(link.strip_prefix(BEGINS)?))?;
        Some(Link { text: link.to_owned(), start: before.chars().count(), path })
    };
    beginnings.filter_map(link).collect()
}

/// How long a link is: up to what closes the bracket or the quotation that it stands in, else to the next blank.
fn end(before: &str, rest: &str) -> usize {
    let is_blank = |c: char| c.is_whitespace();
    match before.chars().next_back() {
        Some('(') => closing(rest),
        Some('<') => rest.find(['>', '\n']),
        Some('"') => rest.find(['"', '\n']),
        Some('`') => rest.find(['`', '\n']),
        Some(_) | None => {
            let whole = rest.find(is_blank).unwrap_or(rest.len());
            let bare =
                rest.get(..whole).map(|link| link.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '*']));
            bare.map(str::len)
        }
    }
    .or_else(|| rest.find(is_blank))
    .unwrap_or(rest.len())
}

/// Where the bracket closes that a link stands in; brackets in it belong to it.
fn closing(rest: &str) -> Option<usize> {
    let mut open = 0_usize;
    for (at, c) in rest.char_indices() {
        match c {
            '(' => open += 1,
            ')' if open == 0 => return Some(at),
            ')' => open -= 1,
            '\n' => return None,
            _ => {}
        }
    }
    None
}

/// A path in the one way to write it, so that a file has one; `None` where it names none below the folder.
fn plain(path: &str) -> Option<String> {
    if path.contains(char::is_control) {
        return None;
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// A path as it is, where the model wrote it as in an address.
fn decoded(path: &str) -> String {
    if !path.contains('%') {
        return path.to_owned();
    }
    let read = |piece: &str| piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, from)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        match read(from) {
            Some(byte) => {
                bytes.push(byte);
                rest = from.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(b'%');
                rest = from;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_where_they_stand() {
        for (text, expected) in [
            ("[a](sandbox:/mnt/data/a.csv).", vec![("sandbox:/mnt/data/a.csv", 4, "a.csv")]),
            ("표: [표](sandbox:/mnt/data/표.csv)", vec![("sandbox:/mnt/data/표.csv", 7, "표.csv")]),
            ("(sandbox:/mnt/data/a (1).csv)", vec![("sandbox:/mnt/data/a (1).csv", 1, "a (1).csv")]),
            ("(sandbox:/mnt/data/a%20b.csv)", vec![("sandbox:/mnt/data/a%20b.csv", 1, "a b.csv")]),
            ("see sandbox:/mnt/data/x/a.csv.", vec![("sandbox:/mnt/data/x/a.csv", 4, "x/a.csv")]),
            ("`sandbox:/mnt/data/a.csv`", vec![("sandbox:/mnt/data/a.csv", 1, "a.csv")]),
            (
                "(sandbox:/mnt/data/a) (sandbox:/mnt/data/b)",
                vec![("sandbox:/mnt/data/a", 1, "a"), ("sandbox:/mnt/data/b", 23, "b")],
            ),
            ("(sandbox:/mnt/data/unclosed and more", vec![("sandbox:/mnt/data/unclosed", 1, "unclosed")]),
            ("`sandbox:/mnt/data/./x//../a`", vec![("sandbox:/mnt/data/./x//../a", 1, "a")]),
            ("(sandbox:/mnt/data/a%00b) (sandbox:/mnt/data/../tmp/a) (sandbox:/mnt/data/.)", vec![]),
            ("sandbox:/mnt/data/ and /mnt/data/a.csv", vec![]),
        ] {
            let found = links(text);
            let found: Vec<(&str, usize, &str)> =
                found.iter().map(|link| (link.text.as_str(), link.start, link.path.as_str())).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
