//! Where time and randomness come in.
//!
//! Owns the one reading of the system's clock per process and the one source of random bits. Promises that time does
//! not run backwards within a process, whatever the wall clock does. Nothing else in the engine reads a clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use amends_core::retry::splitmix64;
use amends_core::{Entropy, Moment, Time, TransactionId};

/// The wall clock at start, carried on by the monotonic clock.
#[derive(Debug)]
pub(crate) struct Clock {
    began: Instant,
    began_at: Time,
    counter: AtomicU64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let since_epoch =
            SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set to after 1970");
        let mut seed = [0; 8];
        fill(&mut seed);
        Self {
            began: Instant::now(),
            began_at: Time::from_milliseconds(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)),
            counter: AtomicU64::new(u64::from_le_bytes(seed)),
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.began_at.after(self.began.elapsed())
    }

    /// The time, with random bits for jitter: these need to be spread, not secret.
    pub(crate) fn moment(&self) -> Moment {
        let count = self.counter.fetch_add(1, Ordering::Relaxed);
        Moment { now: self.now(), entropy: Entropy(splitmix64(count)) }
    }

    /// The monotonic instant of a moment; `None` if that is too far away to wait for.
    pub(crate) fn instant(&self, time: Time) -> Option<Instant> {
        (time < Time::NEVER).then(|| self.began.checked_add(time.since(self.began_at))).flatten()
    }

    /// A new id. Its random part comes from the system: ids that repeat after a fork or restart would be a disaster.
    pub(crate) fn new_id(&self) -> TransactionId {
        let mut random = [0; 16];
        fill(&mut random);
        TransactionId::from_parts(self.now().milliseconds(), u128::from_le_bytes(random))
    }
}

fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system gives random bytes");
}
