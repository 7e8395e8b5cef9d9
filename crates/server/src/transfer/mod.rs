//! Everything of a project as JSON lines, and back: one object of the API a line, `object` saying its kind.
//!
//! An export has the assistants, then each thread followed by its messages, and its runs each followed by its
//! steps. Each line has one key more than the API's object, `position`: objects are not ordered by time alone,
//! and with it an import puts each where it was. Lines without it are put where `created_at` says.
//!
//! What has not ended is left out of an export: a run at work, its steps, a message half written. A later
//! export has them, and importing that one adds them.

mod export;
pub mod files;
mod import;
mod line;

pub use export::export;
pub use import::{Counts, Importer, LineError, Report};

/// The longest line that is read: a run may hold what came in two requests, its own and its assistant's.
pub fn line_bytes(request_bytes: usize) -> usize {
    request_bytes.saturating_mul(2)
}
