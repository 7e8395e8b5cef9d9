//! What preparing is doing, for whoever waits.

use std::fmt;

/// One piece of news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A step begins, or something worth knowing happened.
    Step(String),
    /// A download went on.
    Download {
        /// Bytes so far.
        done: u64,
        /// Bytes in all, where that is known.
        total: Option<u64>,
    },
}

/// Who hears the news; called often.
pub type Listener<'a> = &'a (dyn Fn(Progress) + Send + Sync);

impl fmt::Display for Progress {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(text) => to.write_str(text),
            Self::Download { done, total: Some(total) } => {
                let percent = (done * 100).checked_div(*total).unwrap_or(100);
                write!(to, "{} of {} MB ({percent}%)", done / MB, total / MB)
            }
            Self::Download { done, total: None } => write!(to, "{} MB", done / MB),
        }
    }
}

const MB: u64 = 1_000_000;

/// Tells of a step.
pub fn step(listener: Listener<'_>, text: impl Into<String>) {
    listener(Progress::Step(text.into()));
}
