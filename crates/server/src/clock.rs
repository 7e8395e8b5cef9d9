//! Time, as the one place that reads the system's clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use adjutant_wire::UnixSeconds;

/// The clock. Positions that it gives never repeat and never go back within a process, whatever the
/// system's clock does.
#[derive(Debug, Default)]
pub struct Clock {
    last_position: AtomicI64,
}

impl Clock {
    /// Whole seconds since 1970, as the API shows them.
    pub fn seconds(&self) -> UnixSeconds {
        self.milliseconds() / 1_000
    }

    /// Milliseconds since 1970, as leases count them.
    pub fn milliseconds(&self) -> i64 {
        microseconds() / 1_000
    }

    /// A place in the order of creation: microseconds since 1970, or one more than the last where that is
    /// not more.
    pub fn position(&self) -> i64 {
        let now = microseconds();
        let next = |last: i64| Some(now.max(last + 1));
        match self.last_position.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            Ok(last) | Err(last) => now.max(last + 1),
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "this is the place that others are sent to")]
fn microseconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_only_grow() {
        let clock = Clock::default();
        let positions: Vec<i64> = (0..10_000).map(|_| clock.position()).collect();
        assert!(positions.is_sorted_by(|earlier, later| earlier < later));
    }
}
