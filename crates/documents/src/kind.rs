//! What a file is.

use std::io::Cursor;

use cfb::CompoundFile;

use crate::archive::Archive;
use crate::{LOCKED, Unreadable};

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Pdf,
    /// Word or PowerPoint, from 2007.
    PackedOffice,
    /// Word or PowerPoint, until 2003.
    OldOffice,
    /// Excel, from 2007.
    Sheets,
    /// Excel, until 2003.
    OldSheets,
    Epub,
    Rtf,
    Text,
    Latex,
    Code,
    Markdown,
    Html,
    /// Rows of values with this byte between them.
    Separated(u8),
}

/// The extension of a name, in lower case; empty where there is none.
pub fn extension(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
    match last.rsplit_once('.') {
        Some((_, extension)) if extension.len() <= 16 => extension.to_lowercase(),
        Some(_) | None => String::new(),
    }
}

/// What the bytes are, and where they are plain text, what their name says.
pub(crate) fn of(name: &str, bytes: &[u8]) -> Result<Kind, Unreadable> {
    if is_media(bytes) {
        return Err(Unreadable::Unsupported);
    }
    // A few bytes of something else may come first.
    if bytes[..bytes.len().min(1024)].windows(5).any(|window| window == b"%PDF-") {
        return Ok(Kind::Pdf);
    }
    match bytes {
        [b'P', b'K', 3, 4, ..] => packed(&extension(name), bytes),
        [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, ..] => compound(bytes),
        [b'{', b'\\', b'r', b't', b'f', ..] => Ok(Kind::Rtf),
        _ => Ok(of_text(&extension(name), bytes)),
    }
}

/// What a ZIP file holds.
fn packed(extension: &str, bytes: &[u8]) -> Result<Kind, Unreadable> {
    let names = match Archive::names(bytes) {
        Ok(names) => names,
        // Cut off, but it wanted to be one of ours.
        Err(damaged) if PACKED.contains(&extension) => return Err(damaged),
        Err(_) => return Err(Unreadable::Unsupported),
    };
    let has = |start: &str| names.iter().any(|name| name.starts_with(start));
    if has("word/") || has("ppt/") {
        Ok(Kind::PackedOffice)
    } else if has("xl/") {
        Ok(Kind::Sheets)
    } else if has("META-INF/container.xml") && !has("Contents/content.hpf") {
        Ok(Kind::Epub)
    } else if has("Contents/content.hpf") {
        Err(Unreadable::invalid(HWP))
    } else if has("content.xml") {
        Err(Unreadable::invalid("OpenDocument files are not read; save it as .docx, .xlsx or PDF."))
    } else {
        Err(Unreadable::Unsupported)
    }
}

const PACKED: &[&str] = &["docx", "docm", "dotx", "pptx", "pptm", "ppsx", "xlsx", "xlsm", "epub"];

const HWP: &str = "HWP documents are not read; save it as .docx or PDF.";

/// What a file holds that is made like a disk: Microsoft's until 2003, Hancom's, and today's when locked.
fn compound(bytes: &[u8]) -> Result<Kind, Unreadable> {
    let file = CompoundFile::open(Cursor::new(bytes))
        .map_err(|error| Unreadable::Invalid(format!("The file is damaged: {error}.")))?;
    let has = |name: &str| file.exists(name);
    if has("/EncryptedPackage") {
        Err(Unreadable::invalid(LOCKED))
    } else if has("/WordDocument") || has("/PowerPoint Document") {
        Ok(Kind::OldOffice)
    } else if has("/Workbook") || has("/Book") {
        Ok(Kind::OldSheets)
    } else if has("/FileHeader") && has("/DocInfo") {
        Err(Unreadable::invalid(HWP))
    } else {
        Err(Unreadable::Unsupported)
    }
}

fn of_text(extension: &str, bytes: &[u8]) -> Kind {
    match extension {
        "md" | "markdown" | "mdx" | "qmd" | "rmd" => Kind::Markdown,
        "csv" => Kind::Separated(b','),
        "tsv" | "tab" => Kind::Separated(b'\t'),
        "tex" | "ltx" | "sty" => Kind::Latex,
        "html" | "htm" | "xhtml" => Kind::Html,
        code if CODE.contains(&code) => Kind::Code,
        // Whatever it is called, a page from the web begins like one.
        _ if is_html(bytes) => Kind::Html,
        _ => Kind::Text,
    }
}

/// The extensions that OpenAI reads as code, and others of the same sort.
const CODE: &[&str] = &[
    "asm",
    "bash",
    "bat",
    "c",
    "cc",
    "clj",
    "cljs",
    "cmake",
    "conf",
    "cpp",
    "cs",
    "css",
    "cu",
    "cxx",
    "dart",
    "diff",
    "ex",
    "exs",
    "f90",
    "fs",
    "go",
    "gradle",
    "graphql",
    "groovy",
    "h",
    "hpp",
    "hs",
    "hxx",
    "ini",
    "java",
    "jl",
    "js",
    "json",
    "jsonl",
    "jsx",
    "kt",
    "kts",
    "less",
    "lisp",
    "lua",
    "m",
    "mjs",
    "ml",
    "mm",
    "nim",
    "nix",
    "pas",
    "patch",
    "php",
    "pl",
    "pm",
    "properties",
    "proto",
    "ps1",
    "py",
    "pyi",
    "r",
    "rb",
    "rs",
    "sass",
    "scala",
    "scss",
    "sh",
    "sol",
    "sql",
    "svelte",
    "swift",
    "tcl",
    "tf",
    "toml",
    "ts",
    "tsx",
    "v",
    "vb",
    "vhd",
    "vue",
    "xml",
    "xsd",
    "xsl",
    "yaml",
    "yml",
    "zig",
    "zsh",
];

fn is_html(bytes: &[u8]) -> bool {
    let head = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let head = head[..head.len().min(256)].trim_ascii_start().to_ascii_lowercase();
    head.starts_with(b"<!doctype html") || head.starts_with(b"<html")
}

/// How pictures, sound, film, fonts, programs and packed files begin, which have no text to search.
const MEDIA: &[&[u8]] = &[
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"RIFF",
    b"OggS",
    b"ID3",
    b"fLaC",
    b"\x1a\x45\xdf\xa3",
    b"\x7fELF",
    b"MZ\x90\0",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ",
    b"7z\xbc\xaf",
    b"Rar!",
    b"\x28\xb5\x2f\xfd",
    b"\0\x01\0\0\0",
    b"OTTO",
    b"wOFF",
    b"wOF2",
    b"SQLite format 3\0",
    b"\0asm",
];

fn is_media(bytes: &[u8]) -> bool {
    // "BM" and "RIFF" can begin a text; what follows in such a file cannot.
    let binary = |head: &&[u8]| head.len() > 4 || bytes[..bytes.len().min(64)].contains(&0);
    MEDIA.iter().any(|head| bytes.starts_with(head) && (!head.is_ascii() || binary(head)))
        || bytes.get(4..8) == Some(b"ftyp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_is_what_follows_the_last_dot() {
        assert_eq!(extension("Report.v2.PDF"), "pdf");
        assert_eq!(extension("../../etc/passwd"), "");
        assert_eq!(extension("C:\\x.y\\README"), "");
        assert_eq!(extension(".txt"), "txt");
    }

    #[test]
    fn what_is_in_a_file_decides_first() {
        assert_eq!(of("a.txt", b"\x89PNG\r\n\x1a\n\0\0"), Err(Unreadable::Unsupported));
        assert_eq!(of("a.txt", b"BM is short for bench mark"), Ok(Kind::Text));
        assert_eq!(of("a.txt", b"\xef\xbb\xbf<!DOCTYPE HTML><p>x"), Ok(Kind::Html));
        assert_eq!(of("main.rs", b"fn main() {}"), Ok(Kind::Code));
        assert_eq!(of("notes", b"some words"), Ok(Kind::Text));
    }
}
