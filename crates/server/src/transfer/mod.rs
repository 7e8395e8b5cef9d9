//! Everything of a project as JSON lines, and back: one object of the API a line, `object` saying its kind.
//!
//! An export has the assistants, then each thread followed by its messages, and its runs each followed by its
//! steps. Each line has one key more than the API's object, `position`: objects are not ordered by time alone,
//! and with it an import puts each where it was. Lines without it are put where `created_at` says.
//!
//! Where files are exported too, they come first, each followed by its bytes ([`part`]), and then the vector stores, each
//! followed by its files, with the passages and vectors that were made of them, and its batches. So the other side
//! neither reads nor embeds anything again, whatever its embedding model is, and finds the same. The vectors that
//! are kept by their texts are left behind: they last a month, and a store needs its own.
//!
//! What has not ended is left out of an export: a run at work, its steps, a message half written. A later
//! export has them, and importing that one adds them.

pub mod command;
mod export;
mod import;
mod line;
mod part;

pub use export::{Shelf, export, export_everything, export_projects};
pub use import::{Counts, Importer, LineError, Owner, Report};

/// What a line of bytes or passages may take, and more.
const LEAST_LINE_BYTES: usize = 8 << 20;

/// The longest line that is read: a run may hold what came in two requests, its own and its assistant's.
pub fn line_bytes(request_bytes: usize) -> usize {
    request_bytes.saturating_mul(2)
}

/// The same where files are among the lines.
pub fn line_bytes_with_files(request_bytes: usize) -> usize {
    line_bytes(request_bytes).max(LEAST_LINE_BYTES)
}
