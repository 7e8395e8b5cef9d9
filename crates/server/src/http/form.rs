//! Forms with one file in them, which is received as it comes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use adjutant_wire as wire;
use adjutant_wire::shape::Request as Checked;
use axum::body::BodyDataStream;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use multer::{Field, Multipart};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::filename;
use crate::fault::{Fault, Result};
use crate::files::{Files, Received};

/// The longest value of a field that is not the file.
const FIELD_BYTES: usize = 64 << 10;

/// What a form may have beside its file: names, values, and what stands between them.
const FRAME_BYTES: usize = 1 << 20;

/// A form that was read to its end.
pub(super) struct Form<T> {
    pub(super) fields: T,
    pub(super) file: Received,
    /// What tells it from other forms, where that was asked for: a hash of all that it says, whatever stands
    /// between its fields.
    pub(super) digest: Option<Vec<u8>>,
}

/// Which form is read.
pub(super) struct Wanted {
    /// The field that is the file. The form's shape has the file's name in its place.
    pub(super) file: &'static str,
    /// The longest file.
    pub(super) most_bytes: i64,
    /// Whether a digest is wanted.
    pub(super) digest: bool,
}

/// Reads a form to its end.
///
/// # Errors
/// 400 where it is no form, or not of that shape; 413 where the file is too long. Then nothing is left of it.
pub(super) async fn receive<T: Checked>(files: &Files, request: Request, wanted: Wanted) -> Result<Form<T>> {
    let (mut form, unread) = open(request, wanted.file, wanted.most_bytes)?;
    let mut digest = wanted.digest.then(Sha256::new);
    let mut fields = Map::new();
    let mut received = None;
    let mut left = FRAME_BYTES;
    while let Some(field) = form.next_field().await.map_err(unreadable)? {
        unread.store(0, Ordering::Relaxed);
        let name = field.name().unwrap_or_default().to_owned();
        take(&mut left, name.len())?;
        if fields.contains_key(&name) {
            return Err(wire::Error::parameter(
                name.clone(),
                "invalid_value",
                format!("Invalid '{name}': it is there twice."),
            )
            .into());
        }
        if name == wanted.file {
            fields.insert(name, Value::String(filename::of(&field)));
            received = Some(receive_file(files, field, &unread, wanted.most_bytes, digest.as_mut()).await?);
        } else {
            let value = text(field, &unread).await?;
            take(&mut left, value.len())?;
            T::SHAPE.enter_text(&mut fields, &name, value);
        }
    }
    if let Some(digest) = &mut digest {
        digest.update(serde_json::to_vec(&fields)?);
    }
    let fields = T::read(Value::Object(fields))?;
    let file =
        received.ok_or_else(|| anyhow::anyhow!("a form without a file has the shape of one with it"))?;
    Ok(Form { fields, file, digest: digest.map(|digest| digest.finalize().to_vec()) })
}

/// Takes bytes from what is left for fields. Each field counts for more than it says, since keeping it does.
fn take(left: &mut usize, bytes: usize) -> Result<()> {
    const EACH: usize = 64;
    *left = left.checked_sub(bytes + EACH).ok_or_else(|| {
        let message =
            format!("The fields of the form are too long. Expected at most {FRAME_BYTES} bytes together.");
        wire::Error { status: 413, ..wire::Error::invalid(message) }
    })?;
    Ok(())
}

fn open(request: Request, file: &str, most_bytes: i64) -> Result<(Multipart<'static>, Arc<AtomicUsize>)> {
    let text = |headers: &HeaderMap, name| {
        headers.get(name).and_then(|value| value.to_str().ok().map(str::to_owned))
    };
    let boundary = text(request.headers(), CONTENT_TYPE).and_then(|kind| multer::parse_boundary(kind).ok());
    let boundary = boundary.ok_or_else(|| {
        wire::Error::invalid("Expected a form with a file, as multipart/form-data with a boundary.")
    })?;
    let announced = text(request.headers(), CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    let most = usize::try_from(most_bytes).unwrap_or_default().saturating_add(FRAME_BYTES);
    if announced.is_some_and(|length| length > most) {
        return Err(too_long(file, most_bytes).into());
    }
    let unread = Arc::<AtomicUsize>::default();
    let body =
        Paced { body: request.into_body().into_data_stream(), gave: false, unread: Arc::clone(&unread) };
    Ok((Multipart::new(body, boundary), unread))
}

async fn receive_file(
    files: &Files,
    mut field: Field<'static>,
    unread: &AtomicUsize,
    most_bytes: i64,
    mut digest: Option<&mut Sha256>,
) -> Result<Received> {
    let name = field.name().unwrap_or_default().to_owned();
    let mut incoming = files.receive().await?;
    while let Some(piece) = field.chunk().await.map_err(unreadable)? {
        unread.store(0, Ordering::Relaxed);
        if let Some(digest) = &mut digest {
            digest.update(&piece);
        }
        incoming.write(piece).await?;
        if incoming.bytes() > most_bytes {
            return Err(too_long(&name, most_bytes).into());
        }
    }
    incoming.finish().await
}

async fn text(mut field: Field<'static>, unread: &AtomicUsize) -> Result<String> {
    let name = field.name().unwrap_or_default().to_owned();
    let mut value = BytesMut::new();
    while let Some(piece) = field.chunk().await.map_err(unreadable)? {
        unread.store(0, Ordering::Relaxed);
        value.extend_from_slice(&piece);
        if value.len() > FIELD_BYTES {
            let message = format!("Invalid '{name}': at most {FIELD_BYTES} bytes are accepted.");
            return Err(wire::Error::parameter(name, "string_above_max_length", message).into());
        }
    }
    String::from_utf8(value.to_vec()).map_err(|_| {
        let message = format!("Invalid '{name}': expected text in UTF-8.");
        wire::Error::parameter(name, "invalid_value", message).into()
    })
}

fn too_long(file: &str, most_bytes: i64) -> wire::Error {
    let message = format!("Invalid '{file}': file too large. Expected at most {most_bytes} bytes.");
    wire::Error { status: 413, ..wire::Error::parameter(file, "file_too_large", message) }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is multer's, and may grow")]
fn unreadable(error: multer::Error) -> Fault {
    let reason = match error {
        multer::Error::StreamReadFailed(reason) => reason.to_string(),
        error => error.to_string(),
    };
    wire::Error::invalid(format!("We could not read the form in your request: {reason}.")).into()
}

/// A body that is given on one piece a turn. The form's reader takes whatever is ready into memory, and a fast
/// client always has more: so it is told to come again after each piece, and no further than to `LONGEST_HEAD`
/// while it finds neither a field nor content.
struct Paced {
    body: BodyDataStream,
    gave: bool,
    /// Bytes given since the reader last found something.
    unread: Arc<AtomicUsize>,
}

/// More than twice what hyper gives in one piece.
const LONGEST_HEAD: usize = 1 << 20;

impl Stream for Paced {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.gave) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.unread.load(Ordering::Relaxed) > LONGEST_HEAD {
            return Poll::Ready(Some(Err(io::Error::other("the head of a part is too long"))));
        }
        let Poll::Ready(piece) = self.body.poll_next_unpin(context) else { return Poll::Pending };
        self.gave = true;
        let piece = piece.map(|piece| piece.map_err(io::Error::other));
        if let Some(Ok(piece)) = &piece {
            self.unread.fetch_add(piece.len(), Ordering::Relaxed);
        }
        Poll::Ready(piece)
    }
}
