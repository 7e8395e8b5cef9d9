//! Time, and waiting.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Call, Done};
use crate::python::wasm::errno::Errno;

const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;
/// Of the process, and of its one thread.
const PROCESSOR: [u32; 2] = [2, 3];

/// What a subscription waits for.
const CLOCK: u8 = 0;
const READING: u8 = 1;
const WRITING: u8 = 2;

const SUBSCRIPTION_BYTES: u32 = 48;
const EVENT_BYTES: usize = 32;
const MOST_SUBSCRIPTIONS: u32 = 1024;

impl Call<'_> {
    pub(super) fn clock_res_get(&mut self, clock: u32, resolution: u32) -> Done {
        self.time(clock)?;
        self.write(resolution, &1_u64.to_le_bytes())
    }

    pub(super) fn clock_time_get(&mut self, clock: u32, _precision: u64, time: u32) -> Done {
        let now = self.time(clock)?;
        self.write(time, &now.to_le_bytes())
    }

    pub(super) fn sched_yield(&mut self) -> Done {
        Ok(())
    }

    /// Waits until the earliest of its clocks has come, or an interruption: that is seen at once when the guest goes on,
    /// and its library knows no wait that was cut short. Files and the conversation are always ready.
    pub(super) fn poll_oneoff(
        &mut self,
        subscriptions: u32,
        events: u32,
        number: u32,
        happened: u32,
    ) -> Done {
        if number == 0 || number > MOST_SUBSCRIPTIONS {
            return Err(Errno::INVAL);
        }
        let wanted = (0..number).map(|index| self.subscription(subscriptions, index));
        let wanted = wanted.collect::<Result<Vec<_>, _>>()?;
        let first = wanted.iter().map(|subscription| subscription.wait).min().unwrap_or_default();
        if !first.is_zero() {
            self.host.talk.sleep(first);
        }
        let due = wanted.into_iter().filter(|subscription| subscription.wait <= first);
        let mut written = 0;
        for (at, subscription) in (events..).step_by(EVENT_BYTES).zip(due) {
            let mut event = [0; EVENT_BYTES];
            let (data, rest) = event.split_at_mut(8);
            data.copy_from_slice(&subscription.data.to_le_bytes());
            if let [_, _, kind, ..] = rest {
                *kind = subscription.kind;
            }
            self.write(at, &event)?;
            written += 1;
        }
        self.write_u32(happened, written)
    }

    fn subscription(&self, list: u32, index: u32) -> Result<Subscription, Errno> {
        let at = list.checked_add(index * SUBSCRIPTION_BYTES).ok_or(Errno::FAULT)?;
        let field = |offset: u32| at.checked_add(offset).ok_or(Errno::FAULT);
        let data = self.u64(at)?;
        let [kind] = self.number(field(8)?)?;
        let wait = match kind {
            CLOCK => {
                let clock = self.u32(field(16)?)?;
                let timeout = self.u64(field(24)?)?;
                let [flags, _] = self.number(field(40)?)?;
                let is_absolute = flags & 1 == 1;
                let now = self.time(clock)?;
                Duration::from_nanos(if is_absolute { timeout.saturating_sub(now) } else { timeout })
            }
            READING | WRITING => Duration::ZERO,
            _ => return Err(Errno::INVAL),
        };
        Ok(Subscription { data, kind, wait })
    }

    /// Nanoseconds of a clock.
    fn time(&self, clock: u32) -> Result<u64, Errno> {
        let time = match clock {
            REALTIME => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            MONOTONIC => self.host.began.elapsed(),
            clock if PROCESSOR.contains(&clock) => processor_time(),
            _ => return Err(Errno::INVAL),
        };
        Ok(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Nanoseconds since 1970.
    pub(super) fn now(&self) -> u64 {
        self.time(REALTIME).unwrap_or_default()
    }
}

struct Subscription {
    data: u64,
    kind: u8,
    wait: Duration,
}

/// What this process has used.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}
