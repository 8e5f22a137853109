//! Wakes the sagas that sleep.
//!
//! Owns the one wait for the earliest timer. Promises that a saga whose timer is due is taken into memory; what follows is its
//! shard's business. Holds no timer in memory but the earliest, and asks the journal only when that one is due. One that is
//! due and stays (a saga that this program cannot carry out) is in nobody's way: it is passed over until a minute later.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use amends_core::{Partition, Partitions, Time, TransactionId};
use amends_journal::{Journal, JournalError, Timer};
use tokio::sync::{Notify, oneshot};
use tracing::error;

use crate::limits::TIMERS_PAGE;
use crate::shell::{Mailbox, Message, Population, Shared, is_never};

/// The least time between two looks: sagas fall asleep for longer, and each look costs the journal a round.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// How long a saga that was told of, and still sleeps, is passed over.
const TELL_AGAIN_EVERY: Duration = Duration::from_secs(60);

/// How often it is looked whether there is room for more sagas: about the time in which a page of them is read.
const ROOM_LOOK_EVERY: Duration = Duration::from_millis(2);

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

/// What wakes them.
pub(crate) struct Sleeper {
    pub(crate) shared: Arc<Shared>,
    pub(crate) mailboxes: Vec<Mailbox>,
    pub(crate) populations: Vec<Arc<Population>>,
    /// Sagas in memory beyond which more are taken up slowly.
    pub(crate) live_sagas_max: usize,
}

/// What one look found.
struct Looked {
    /// Whether any timer was due.
    any: bool,
    /// The earliest one that is not.
    next: Time,
}

/// Why there was no look.
enum NoLook {
    /// The engine has stopped.
    Stopped,
    /// The journal could not be read.
    Unread(String),
}

impl Sleeper {
    /// Runs for ever.
    pub(crate) async fn run(self) {
        // The timers of the last run are not known yet.
        let mut next = Time::default();
        // Those that were due before this have been told of.
        let mut told = Time::default();
        let mut tell_again = Time::NEVER;
        loop {
            let set = self.shared.alarm.take();
            (next, told) = (next.min(set), told.min(set));
            let now = self.shared.clock.now();
            if tell_again <= now {
                (next, told, tell_again) = (now, Time::default(), Time::NEVER);
            }
            if next <= now {
                // A timer that is set meanwhile is in the alarm, whether or not this look sees it.
                match self.look(told, now).await {
                    Ok(looked) => {
                        told = after(now);
                        next = looked.next.max(now.after(LOOK_AT_MOST_EVERY));
                        if looked.any {
                            tell_again = tell_again.min(now.after(TELL_AGAIN_EVERY));
                        }
                    }
                    Err(NoLook::Unread(why)) => {
                        error!(%why, "timers cannot be read; trying again");
                        next = now.after(LOOK_AT_MOST_EVERY);
                    }
                    Err(NoLook::Stopped) => return,
                }
                continue;
            }
            self.wait_until(next.min(tell_again)).await;
        }
    }

    /// Until then, or until the alarm is set to an earlier moment.
    async fn wait_until(&self, moment: Time) {
        let instant = if is_never(moment) { None } else { self.shared.clock.instant(moment) };
        match instant {
            Some(instant) => tokio::select! {
                () = self.shared.alarm.changed.notified() => {}
                () = tokio::time::sleep_until(instant.into()) => {}
            },
            None => self.shared.alarm.changed.notified().await,
        }
    }

    /// Has every saga taken up that is due in between.
    async fn look(&self, from: Time, now: Time) -> Result<Looked, NoLook> {
        let mut place = Timer::before(from);
        let mut any = false;
        loop {
            let due = self
                .read(move |journal| journal.timers_due(&Partitions::ALL, place, now, TIMERS_PAGE))
                .await?;
            let Some((last, _)) = due.last() else { break };
            (place, any) = (*last, true);
            let is_all = due.len() < TIMERS_PAGE;
            self.awaken(due.into_iter().map(|(_, saga)| saga)).await?;
            if is_all {
                break;
            }
            self.wait_for_room().await;
        }
        let later = Timer::before(after(now));
        let next =
            self.read(move |journal| journal.timers_due(&Partitions::ALL, later, Time::NEVER, 1)).await?;
        Ok(Looked { any, next: next.first().map_or(Time::NEVER, |(timer, _)| timer.at) })
    }

    async fn awaken(&self, sagas: impl Iterator<Item = TransactionId>) -> Result<(), NoLook> {
        let mut shares = vec![Vec::new(); self.mailboxes.len()];
        for saga in sagas {
            shares[Partition::of(saga).share(self.mailboxes.len())].push(saga);
        }
        let mut taken = Vec::new();
        for (mailbox, share) in self.mailboxes.iter().zip(shares) {
            let (done, is_done) = oneshot::channel();
            mailbox.send(Message::Awaken(share, done)).map_err(|_| NoLook::Stopped)?;
            taken.push(is_done);
        }
        for is_done in taken {
            is_done.await.map_err(|_| NoLook::Stopped)?;
        }
        Ok(())
    }

    /// A million that are due at once must not be in memory at once. Where there is no room for long, they come in pages
    /// all the same: what sleeps would otherwise wait for as long as others keep starting.
    async fn wait_for_room(&self) {
        let has_room = async {
            while self.reading() >= TIMERS_PAGE || self.live() >= self.live_sagas_max {
                tokio::time::sleep(ROOM_LOOK_EVERY).await;
            }
        };
        // In the end it is the same.
        let _ = tokio::time::timeout(LOOK_AT_MOST_EVERY, has_room).await;
    }

    fn reading(&self) -> usize {
        self.populations.iter().map(|population| population.reading.load(Ordering::Relaxed)).sum()
    }

    fn live(&self) -> usize {
        self.populations.iter().map(|population| population.settled.load(Ordering::Relaxed)).sum()
    }

    async fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Journal) -> Result<R, JournalError> + Send + 'static,
    ) -> Result<R, NoLook> {
        let shared = self.shared.clone();
        let done = tokio::task::spawn_blocking(move || read(&*shared.journal)).await;
        done.map_err(|error| NoLook::Unread(error.to_string()))?
            .map_err(|error| NoLook::Unread(error.to_string()))
    }
}

/// The first moment that is later.
fn after(now: Time) -> Time {
    now.after(Duration::from_millis(1))
}
