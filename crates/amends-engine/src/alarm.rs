//! When the sleeper must look at the latest.
//!
//! Owns the earliest moment that any shard put a transaction to sleep until. Promises to wake whoever waits
//! when that becomes earlier.

use std::sync::atomic::{AtomicU64, Ordering};

use amends_core::Time;
use tokio::sync::Notify;

#[derive(Debug)]
pub(crate) struct Alarm {
    earliest: AtomicU64,
    changed: Notify,
}

impl Default for Alarm {
    fn default() -> Self {
        Self { earliest: AtomicU64::new(Time::NEVER.milliseconds()), changed: Notify::new() }
    }
}

impl Alarm {
    /// A transaction sleeps until then; its timer is in the journal.
    pub(crate) fn set(&self, time: Time) {
        let time = time.milliseconds();
        if self.earliest.fetch_min(time, Ordering::AcqRel) > time {
            self.changed.notify_one();
        }
    }

    /// The clock moved: what is waited for may be due.
    pub(crate) fn look_again(&self) {
        self.changed.notify_one();
    }

    /// The earliest moment it was set to since the last time it was taken.
    pub(crate) fn take(&self) -> Time {
        Time::from_milliseconds(self.earliest.swap(Time::NEVER.milliseconds(), Ordering::AcqRel))
    }

    /// Until it is set to an earlier moment, or is to be looked at again.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}
