//! Wakes the sagas that sleep.
//!
//! Owns the one wait for the earliest timer. Promises that a saga whose timer is due is taken into memory; what follows is its
//! shard's business. Holds no timer in memory but the earliest, and asks the journal only when that one is due.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use amends_core::Time;
use tokio::sync::Notify;
use tracing::error;

use crate::limits::TIMERS_PAGE;
use crate::shard::input::Input;
use crate::shell::{Mailbox, Message, Shared, is_never};

/// The least time between two looks: a timer that is due and does not go away at once must not spin.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// When the sleeper must look at the latest.
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
    /// A saga sleeps until then; its timer is in the journal.
    pub(crate) fn set(&self, time: Time) {
        let time = time.milliseconds();
        if self.earliest.fetch_min(time, Ordering::AcqRel) > time {
            self.changed.notify_one();
        }
    }

    /// The earliest moment it was set to since the last time it was taken.
    fn take(&self) -> Time {
        Time::from_milliseconds(self.earliest.swap(Time::NEVER.milliseconds(), Ordering::AcqRel))
    }
}

/// Runs for ever.
pub(crate) async fn run(shared: Arc<Shared>, mailboxes: Vec<Mailbox>) {
    // The timers of the last run are not known yet.
    let mut next = Time::default();
    loop {
        next = next.min(shared.alarm.take());
        let now = shared.clock.now();
        if next <= now {
            match look(shared.clone(), now).await {
                Ok((due, earliest)) => {
                    for (_, saga) in &due {
                        let mailbox = &mailboxes[saga.shard(mailboxes.len())];
                        if mailbox.send(Message::Input(Input::Awaken { saga: *saga })).is_err() {
                            return;
                        }
                    }
                    // A timer that was set meanwhile is in the alarm, whether or not this look saw it.
                    next = earliest.map_or(Time::NEVER, |time| time.max(now.after(LOOK_AT_MOST_EVERY)));
                }
                Err(why) => {
                    error!(%why, "timers cannot be read; trying again");
                    next = now.after(LOOK_AT_MOST_EVERY);
                }
            }
            continue;
        }
        let instant = if is_never(next) { None } else { shared.clock.instant(next) };
        match instant {
            Some(instant) => tokio::select! {
                () = shared.alarm.changed.notified() => {}
                () = tokio::time::sleep_until(instant.into()) => {}
            },
            None => shared.alarm.changed.notified().await,
        }
    }
}

type Due = Vec<(Time, amends_core::SagaId)>;

async fn look(shared: Arc<Shared>, now: Time) -> Result<(Due, Option<Time>), String> {
    tokio::task::spawn_blocking(move || {
        let due = shared.journal.timers_due(now, TIMERS_PAGE).map_err(|error| error.to_string())?;
        let next = shared.journal.next_timer().map_err(|error| error.to_string())?;
        Ok((due, next))
    })
    .await
    .map_err(|error| error.to_string())?
}
