//! Files that attack their reader. Each fails alone, in words, and the next document is read.

use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use adjutant::search::{NoDocument, Reader};
use adjutant_documents::{Document, Unreadable};
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{read_with, reader, refusal};

/// Reads what is no proper document. Whatever comes of it, it has to be the file's fault.
async fn survive(reader: &Reader, name: &str, bytes: &[u8]) -> Result<Document, Unreadable> {
    match read_with(reader, name, bytes).await {
        Ok(document) => Ok(document),
        Err(NoDocument::Unreadable(reason)) => Err(reason),
        Err(NoDocument::Broken(error)) => panic!("`{name}` broke more than itself: {error:#}"),
    }
}

/// A reader of which the operator grants less than it would take.
fn limited(folder: &TempDir, limits: &str) -> Reader {
    let program = folder.path().join("adjutant");
    let script = format!("#!/bin/sh\n{limits}\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_adjutant"));
    fs::write(&program, script).expect("it is written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it can run");
    Reader::running(program, 1)
}

fn packed(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut packed = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        packed.start_file(*name, SimpleFileOptions::default()).expect("a part begins");
        packed.write_all(bytes).expect("a part is written");
    }
    packed.finish().expect("it ends").into_inner()
}

const PACKAGE_PARTS: &[u8] =
    br#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
    <Relationship Id="rId1" Target="xl/workbook.xml"
    Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/></Relationships>"#;
const WORKBOOK: &[u8] = br#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">
    <sheets><sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>"#;
const WORKBOOK_PARTS: &[u8] =
    br#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
    <Relationship Id="rId1" Target="worksheets/sheet1.xml"
    Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"/></Relationships>"#;

fn workbook(sheet: &str) -> Vec<u8> {
    packed(&[
        ("_rels/.rels", PACKAGE_PARTS),
        ("xl/workbook.xml", WORKBOOK),
        ("xl/_rels/workbook.xml.rels", WORKBOOK_PARTS),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
    ])
}

const WORD: &str = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";

fn letter(body: &str) -> Vec<u8> {
    let document = format!("<w:document xmlns:w=\"{WORD}\"><w:body>{body}</w:body></w:document>");
    packed(&[("word/document.xml", document.as_bytes())])
}

/// A ZIP file of a few megabytes with a part of 800 MB of zeros. The part is written by hand: a zero, and then
/// "the last byte, 258 times more" again and again, 13 bits each.
fn bomb() -> Vec<u8> {
    const NAME: &[u8] = b"word/document.xml";
    // Eight repetitions are 13 bytes; the first byte has the head of the block and the first zero.
    let mut bits: Vec<bool> = vec![true, true, false];
    bits.extend([false, false, true, true, false, false, false, false]);
    let repeat = [true, true, false, false, false, true, false, true, false, false, false, false, false];
    let period: Vec<bool> = (0..8).flat_map(|_| repeat).collect();
    let phase = 8 - bits.len() % 8;
    bits.extend(&period[..phase]);
    let rotated: Vec<bool> = [&period[phase..], &period[..phase]].concat();
    let bytes = |bits: &[bool]| -> Vec<u8> {
        bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |sum, bit| sum << 1 | u8::from(*bit))).collect()
    };
    let data = [bytes(&bits), bytes(&rotated).repeat(400_000)].concat();

    let mut fields = Vec::new();
    for number in [0, data.len() as u32, 8 * 258 * 400_000] {
        fields.extend(number.to_le_bytes());
    }
    fields.extend((NAME.len() as u16).to_le_bytes());
    fields.extend([0, 0]);
    let common = [&[20, 0, 0, 0, 8, 0, 0, 0, 0, 0][..], &fields].concat();
    let entry = [b"PK\x03\x04", &common[..], NAME, &data].concat();
    let listed = [b"PK\x01\x02\x14\0", &common[..], &[0; 14], NAME].concat();
    let mut end = b"PK\x05\x06\0\0\0\0\x01\0\x01\0".to_vec();
    end.extend((listed.len() as u32).to_le_bytes());
    end.extend((entry.len() as u32).to_le_bytes());
    end.extend([0, 0]);
    [entry, listed, end].concat()
}

#[tokio::test]
async fn a_zip_bomb_is_not_unpacked() {
    let bomb = bomb();
    assert!(bomb.len() < 6 << 20);
    assert_eq!(refusal(&reader(), "a.docx", &bomb).await, "The file unpacks to more than 512 MB.");
}

#[tokio::test]
async fn entities_of_entities_are_not_unfolded() {
    let mut entities = "<!ENTITY e0 \"lol\">".to_owned();
    for level in 1..40 {
        let inner = format!("&e{};", level - 1).repeat(10);
        entities += &format!("<!ENTITY e{level} \"{inner}\">");
    }
    let xml = format!(
        "<?xml version=\"1.0\"?><!DOCTYPE d [{entities}]><w:document xmlns:w=\"{WORD}\"><w:body><w:p><w:r>\
         <w:t>before &e39; after</w:t></w:r></w:p></w:body></w:document>"
    );
    let docx = packed(&[("word/document.xml", xml.as_bytes())]);
    let read = survive(&reader(), "a.docx", &docx).await;
    assert!(read.is_err() || read.is_ok_and(|document| document.blocks.iter().all(|b| b.text.len() < 100)));
}

#[tokio::test]
async fn a_sheet_is_as_large_as_its_cells() {
    let sheet = "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\">\
        <dimension ref=\"A1:XFD1048576\"/><sheetData><row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>first</t></is>\
        </c></row><row r=\"1048576\"><c r=\"XFD1048576\"><v>7</v></c></row></sheetData></worksheet>";
    let document = survive(&reader(), "a.xlsx", &workbook(sheet)).await.expect("it is a sheet");
    let text: String = document.blocks.into_iter().map(|block| block.text).collect();
    assert!(text.starts_with("Sfirst\n") && text.ends_with('7') && text.len() < 100_000, "{text}");
}

/// Rows without end, as far as 512 MB of them unpacked are that: their text is what ends first.
#[tokio::test]
async fn an_endless_sheet_is_refused() {
    let rows: String = (0..400_000).map(|n| format!("{n},{}\n", "a value,".repeat(12))).collect();
    let reason = refusal(&reader(), "a.csv", rows.as_bytes()).await;
    assert_eq!(reason, "The file has more than 32 MB of text.");
}

#[tokio::test]
async fn what_is_nested_without_end_ends() {
    const DEPTH: usize = 200_000;
    let nested = |open: &str, close: &str| format!("{}x{}", open.repeat(DEPTH), close.repeat(DEPTH));
    let table = letter(&nested("<w:tbl><w:tr><w:tc>", "</w:tc></w:tr></w:tbl>"));
    for (name, bytes) in [
        ("a.html", nested("<div><ul><li><table><tr><td>", "</td></tr></table></li></ul></div>").into_bytes()),
        ("a.md", nested("> ", "").into_bytes()),
        ("b.md", nested("[", "]()").into_bytes()),
        ("c.md", nested("- ", "").into_bytes()),
        ("a.rtf", format!("{{\\rtf1 {}}}", nested("{\\b ", "}")).into_bytes()),
        ("a.json", nested("[", "]").into_bytes()),
        ("a.docx", table),
        ("a.pdf", pdf(&[&nested("[", "]")], "BT ET")),
    ] {
        let _ = survive(&reader(), name, &bytes).await;
    }
}

/// A PDF of one page, which draws this, and these objects, numbered from 5.
fn pdf(objects: &[&str], page: &str) -> Vec<u8> {
    let names: String = (5..5 + objects.len()).map(|number| format!("/X{number} {number} 0 R ")).collect();
    let mut text = format!(
        "%PDF-1.7\n1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj\n2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1>> endobj\n\
         3 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</XObject<<{names}>>/Font\
         <</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>> endobj\n\
         4 0 obj <</Length {}>> stream\n{page}\nendstream endobj\n",
        page.len()
    );
    for (number, object) in (5..).zip(objects) {
        text += &format!("{number} 0 obj {object} endobj\n");
    }
    (text + "trailer <</Root 1 0 R>>").into_bytes()
}

/// Drawings that draw two others each, thirty deep: a thousand million drawings.
fn endless_pdf() -> Vec<u8> {
    let drawings: Vec<String> = (5..35)
        .map(|number| {
            let next = number + 1;
            let content = format!("/A Do /B Do BT /F 9 Tf ({number}) Tj ET");
            format!(
                "<</Type/XObject/Subtype/Form/BBox[0 0 600 800]/Resources<</XObject<</A {next} 0 R/B {next} 0 R>>>>\
                 /Length {}>> stream\n{content}\nendstream",
                content.len()
            )
        })
        .collect();
    let drawings: Vec<&str> = drawings.iter().map(String::as_str).collect();
    pdf(&drawings, "/X5 Do BT /F 9 Tf 50 50 Td (x) Tj ET")
}

#[tokio::test]
async fn a_pdf_that_draws_without_end_runs_out_of_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let reason = refusal(&limited(&folder, "ulimit -St 2"), "a.pdf", &endless_pdf()).await;
    assert_eq!(reason, "The file could not be parsed. It took more than 60 seconds of processor time.");
}

#[tokio::test]
async fn a_pdf_that_draws_itself_ends() {
    let itself = "<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</A 5 0 R>>>>/Length 5>> stream\n\
                  /A Do\nendstream";
    let bytes = pdf(&[itself], "/X5 Do BT /F 9 Tf 50 50 Td (words) Tj ET");
    let document = survive(&reader(), "a.pdf", &bytes).await.expect("its words are read");
    assert_eq!(document.blocks[0].text, "words");
}

#[tokio::test]
async fn a_file_that_needs_too_much_memory_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let reader = limited(&folder, "ulimit -v 150000");
    let reason = refusal(&reader, "a.txt", &b"some words\n\n".repeat(8 << 20)).await;
    assert_eq!(reason, "The file needs more memory than it may take.");
    assert!(read_with(&reader, "a.txt", b"few words").await.is_ok());
}

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../documents/tests/fixtures");
    let files =
        fs::read_dir(folder).expect("the folder is there").map(|file| file.expect("it is listed").path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|ext| ext != "py")).collect();
    files.sort();
    files
}

/// Numbers that look random and are the same every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

#[tokio::test]
async fn damaged_files_fail_alone() {
    let reader = reader();
    let mut chance = Chance(7);
    for path in fixtures() {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let whole = fs::read(&path).expect("it is there");
        for damage in 0..12 {
            let mut bytes = whole.clone();
            match damage {
                0 => bytes.truncate(bytes.len() / 2),
                1 => bytes.truncate(bytes.len() - 40),
                2 => bytes.drain(..bytes.len() / 3).for_each(drop),
                many => (0..1 << (many / 2)).for_each(|_| {
                    let at = chance.below(bytes.len());
                    bytes[at] = chance.below(256) as u8;
                }),
            }
            let _ = survive(&reader, &name, &bytes).await;
        }
        assert!(read_with(&reader, &name, &whole).await.is_ok(), "{name} is read afterwards");
    }
}

#[tokio::test]
async fn noise_is_no_document() {
    let mut chance = Chance(11);
    let noise: Vec<u8> = (0..20_000).map(|_| chance.below(256) as u8).collect();
    for extension in
        ["pdf", "docx", "xlsx", "pptx", "doc", "xls", "epub", "rtf", "html", "md", "csv", "txt", "py"]
    {
        let refused = survive(&reader(), &format!("noise.{extension}"), &noise).await;
        assert_eq!(refused, Err(Unreadable::Unsupported), "{extension}");
        for head in [&b"%PDF-1.7\n"[..], b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"{\\rtf1 "] {
            let _ = survive(&reader(), &format!("noise.{extension}"), &[head, &noise].concat()).await;
        }
    }
}
