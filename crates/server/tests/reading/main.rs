//! Documents through the real program: what is read, and what becomes of files that attack their reader.
#![expect(clippy::panic, clippy::expect_used, reason = "a test ends where it cannot go on")]

mod attacks;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;

use adjutant::search::{NoDocument, Reader};
use adjutant_documents::{Document, Unreadable};
use bytes::Bytes;
use futures_util::stream;

fn reader() -> Reader {
    Reader::running(env!("CARGO_BIN_EXE_adjutant"), 2)
}

async fn read_with(reader: &Reader, name: &str, bytes: &[u8]) -> Result<Document, NoDocument> {
    let chunks: Vec<io::Result<Bytes>> =
        bytes.chunks(64 << 10).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    reader.read(name, stream::iter(chunks)).await
}

/// The reason why a file is refused.
async fn refusal(reader: &Reader, name: &str, bytes: &[u8]) -> String {
    match read_with(reader, name, bytes).await {
        Err(NoDocument::Unreadable(Unreadable::Invalid(reason))) => reason,
        Ok(document) => panic!("`{name}` should have been refused and has {} blocks", document.blocks.len()),
        Err(other) => panic!("`{name}` should have been refused in words: {other:?}"),
    }
}

#[tokio::test]
async fn a_document_comes_through() {
    let document = read_with(&reader(), "환불 규정.md", "# 환불\n\n7일 이내에.".as_bytes()).await;
    let texts: Vec<String> =
        document.expect("it is read").blocks.into_iter().map(|block| block.text).collect();
    assert_eq!(texts, ["환불", "7일 이내에."]);
}

#[tokio::test]
async fn names_are_data() {
    let long = format!("{}.txt", "x".repeat(300_000));
    for name in ["--help", "-", "a\0b.t\0xt", "../../etc/passwd", "a.txt; rm -rf /", &long, "", "é.한글"] {
        assert!(read_with(&reader(), name, b"words").await.is_ok(), "{name}");
    }
}

#[tokio::test]
async fn what_has_no_text_is_refused() {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    let refused = read_with(&reader(), "picture.txt", png).await;
    assert!(matches!(refused, Err(NoDocument::Unreadable(Unreadable::Unsupported))), "{refused:?}");
    assert_eq!(
        refusal(&reader(), "a.txt", b" \n").await,
        "The file could not be parsed because it is empty."
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_fetched_is_not_at_fault() {
    let bytes = [Ok(Bytes::from_static(b"half a ")), Err(io::Error::other("the disk is gone"))];
    let broken = reader().read("a.txt", stream::iter(bytes)).await;
    assert!(matches!(broken, Err(NoDocument::Broken(_))), "{broken:?}");
}

#[tokio::test]
async fn a_machine_without_a_reader_is_at_fault() {
    let broken = read_with(&Reader::running("/nothing/here", 1), "a.txt", b"x").await;
    assert!(matches!(broken, Err(NoDocument::Broken(_))), "{broken:?}");
}

/// Readers that die in each way that a file could bring about, and what the file's owner is told.
#[tokio::test]
async fn every_way_of_dying_has_its_words() {
    let folder = tempfile::tempdir().expect("a folder");
    for (index, (script, words)) in [
        ("kill -XCPU $$", "It took more than 60 seconds of processor time."),
        (
            "echo 'memory allocation of 9 bytes failed' >&2; kill -ABRT $$",
            "It needs more than 2 GB of memory.",
        ),
        ("kill -ABRT $$", "It is damaged, or not what its name says."),
        ("kill -SEGV $$", "It is damaged, or not what its name says."),
        ("kill -KILL $$", "The system stopped its reader, perhaps for want of memory."),
        ("exit 101", "It is damaged, or not what its name says."),
        ("cat >/dev/null; echo '{\"outcome\":'", "It is damaged, or not what its name says."),
        ("cat >/dev/null; exec cat /dev/zero", "It has too much text."),
    ]
    .into_iter()
    .enumerate()
    {
        let program = folder.path().join(index.to_string());
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("it is written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it can run");
        let reason = refusal(&Reader::running(program, 1), "a.txt", &[b'x'; 300_000]).await;
        assert_eq!(reason, format!("The file could not be parsed. {words}"), "{script}");
    }
}
