//! Images in files, on their way to the model: read whole, told by their bytes, and written into the request. What
//! cannot be shown is replaced by a note in words, so that the model knows that something was there.

use std::collections::HashMap;

use adjutant_wire::FileId;
use adjutant_wire::id::Id;
use adjutant_wire::messages::{Content, ImageFile, Role};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::TryStreamExt;

use super::history::Entry;
use crate::fault::{Fault, Result};
use crate::files::Files;
use crate::store::Project;
use crate::upstream::chat::{ChatImage, ChatPart};

/// What the images of one request may have together, in bytes, as at OpenAI. The newest come first.
const TOGETHER_BYTES: i64 = 50 << 20;

/// The images that a conversation names.
#[derive(Debug, Default)]
pub(super) struct Images {
    /// By the file's id.
    shown: HashMap<String, Shown>,
}

#[derive(Debug)]
enum Shown {
    /// As a data URL.
    Url(String),
    /// What the model reads in its place.
    Note(String),
}

impl Images {
    /// Reads the images that users name in these entries, each at most so many bytes long.
    pub(super) async fn load(
        files: &Files,
        project: &Project,
        entries: &[Entry],
        most_bytes: i64,
    ) -> Result<Self> {
        let mut images = Self::default();
        let mut left = TOGETHER_BYTES;
        for id in entries.iter().rev().flat_map(named) {
            if !images.shown.contains_key(id) {
                let shown = look(files, project, id, most_bytes, &mut left).await?;
                images.shown.insert(id.to_owned(), shown);
            }
        }
        Ok(images)
    }

    /// What the model reads of an image.
    pub(super) fn part(&self, image: &ImageFile) -> ChatPart {
        match self.shown.get(&image.file_id) {
            Some(Shown::Url(url)) => ChatPart::ImageUrl {
                image_url: ChatImage { url: url.clone(), detail: Some(image.detail.as_str().to_owned()) },
            },
            Some(Shown::Note(note)) => ChatPart::Text { text: note.clone() },
            // Models write images in files, but are not asked to look at their own.
            None => ChatPart::Text { text: format!("[Image {}]", image.file_id) },
        }
    }
}

/// The files of the images that a user shows.
fn named(entry: &Entry) -> Vec<&str> {
    match entry {
        Entry::Message(_, message) if message.role == Role::User => {
            message.content.iter().filter_map(file_of).collect()
        }
        Entry::Message(..) | Entry::Calls(..) => Vec::new(),
    }
}

fn file_of(content: &Content) -> Option<&str> {
    match content {
        Content::ImageFile { image_file } => Some(&image_file.file_id),
        Content::Text { .. } | Content::ImageUrl { .. } | Content::Refusal { .. } => None,
    }
}

async fn look(files: &Files, project: &Project, id: &str, most_bytes: i64, left: &mut i64) -> Result<Shown> {
    let note = |why: &str| Ok(Shown::Note(format!("[The image {id} {why}.]")));
    let opened = match FileId::parse(id) {
        Ok(id) => files.open(project, &id).await,
        Err(error) => Err(error.into()),
    };
    let (file, content) = match opened {
        Ok(opened) => opened,
        Err(Fault::Refused(_)) => return note("is no longer there"),
        Err(fault @ (Fault::Answered(_) | Fault::Broken(_) | Fault::Unavailable(_))) => return Err(fault),
    };
    if file.bytes > most_bytes {
        return note(&format!("cannot be shown: it has {} bytes, and {most_bytes} are the most", file.bytes));
    }
    if file.bytes > *left {
        return note("cannot be shown: together with later ones it is too much");
    }
    let bytes: Vec<bytes::Bytes> = content.try_collect().await?;
    let bytes = bytes.concat();
    let Some(kind) = kind(&bytes) else {
        return note("cannot be shown: it is no PNG, JPEG, GIF or WebP");
    };
    *left -= file.bytes;
    let mut url = format!("data:{kind};base64,");
    STANDARD.encode_string(bytes, &mut url);
    Ok(Shown::Url(url))
}

/// The media type of an image that models can look at (contract §8), by how it begins.
fn kind(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_told_by_its_bytes() {
        assert_eq!(kind(b"\x89PNG\r\n\x1a\n...."), Some("image/png"));
        assert_eq!(kind(b"\xff\xd8\xff\xe0...."), Some("image/jpeg"));
        assert_eq!(kind(b"GIF89a..."), Some("image/gif"));
        assert_eq!(kind(b"RIFF\x10\x00\x00\x00WEBPVP8 "), Some("image/webp"));
        assert_eq!(kind(b"RIFF\x10\x00\x00\x00WAVEfmt "), None);
        assert_eq!(kind(b"<svg/>"), None);
        assert_eq!(kind(b""), None);
    }
}
