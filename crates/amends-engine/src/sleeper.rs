//! Wakes the transactions that sleep.
//!
//! Owns the one wait for the earliest timer. Promises that a transaction whose timer is due is loaded; what
//! follows is its shard's business. Holds no timer in memory but the earliest, and asks the journal only when
//! that one is due. A due transaction that cannot be loaded is skipped for a minute so that it does not block
//! others.

use std::sync::Arc;
use std::time::Duration;

use amends_core::{Partition, Partitions, Time, TransactionId};
use amends_journal::{Journal, JournalError, Timer};
use tokio::sync::oneshot;
use tracing::error;

use crate::limits::TIMERS_PAGE;
use crate::mailbox::{Mailbox, Message};
use crate::shell::Shared;

/// The least time between two looks: transactions fall asleep for longer, and each look costs the journal a
/// round.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// How long a transaction that was to be loaded, and still sleeps, is passed over.
const TELL_AGAIN_EVERY: Duration = Duration::from_secs(60);

/// How often it is looked whether there is room for more transactions: about the time in which a page of them
/// is read.
const ROOM_LOOK_EVERY: Duration = Duration::from_millis(2);

/// What wakes them.
pub(crate) struct Sleeper {
    pub(crate) shared: Arc<Shared>,
    pub(crate) mailboxes: Vec<Mailbox>,
    /// Whose transactions it wakes.
    pub(crate) partitions: Partitions,
    /// Transactions in memory beyond which more are loaded slowly.
    pub(crate) live_max: usize,
    /// Whether the clock lies before the newest record: all that sleep are then loaded, for what they wait
    /// for would come too late by it.
    pub(crate) is_set_back: bool,
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

/// The engine has stopped.
struct Stopped;

impl Sleeper {
    /// Runs for ever.
    pub(crate) async fn run(self) {
        // The timers of the last run are not known yet.
        let mut next = Time::default();
        // Those that were due before this have been told of.
        let mut told = Time::default();
        let mut tell_again = Time::NEVER;
        if self.is_set_back && self.load_all().await.is_err() {
            return;
        }
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

    /// Has every transaction that sleeps loaded.
    async fn load_all(&self) -> Result<(), Stopped> {
        loop {
            match self.look(Time::default(), BEFORE_NEVER).await {
                Ok(_) => return Ok(()),
                Err(NoLook::Stopped) => return Err(Stopped),
                Err(NoLook::Unread(why)) => {
                    error!(%why, "timers cannot be read; trying again");
                    tokio::time::sleep(LOOK_AT_MOST_EVERY).await;
                }
            }
        }
    }

    /// Until then, or until the alarm is set to an earlier moment.
    async fn wait_until(&self, moment: Time) {
        match self.shared.clock.instant(moment) {
            Some(instant) => tokio::select! {
                () = self.shared.alarm.changed() => {}
                () = tokio::time::sleep_until(instant.into()) => {}
            },
            None => self.shared.alarm.changed().await,
        }
    }

    /// Has every transaction loaded that is due in between.
    async fn look(&self, from: Time, now: Time) -> Result<Looked, NoLook> {
        let mut place = Timer::before(from);
        let mut any = false;
        loop {
            let partitions = self.partitions;
            let read = move |journal: &dyn Journal| journal.timers_due(&partitions, place, now, TIMERS_PAGE);
            let due = self.read(read).await?;
            let Some((last, _)) = due.last() else { break };
            (place, any) = (*last, true);
            let is_all = due.len() < TIMERS_PAGE;
            self.awaken(due.into_iter().map(|(_, id)| id)).await?;
            if is_all {
                break;
            }
            self.wait_for_room().await;
        }
        let later = Timer::before(after(now));
        let partitions = self.partitions;
        let read = move |journal: &dyn Journal| journal.timers_due(&partitions, later, Time::NEVER, 1);
        let next = self.read(read).await?;
        Ok(Looked { any, next: next.first().map_or(Time::NEVER, |(timer, _)| timer.at) })
    }

    async fn awaken(&self, ids: impl Iterator<Item = TransactionId>) -> Result<(), NoLook> {
        let mut shares = vec![Vec::new(); self.mailboxes.len()];
        for id in ids {
            shares[Partition::of(id).share(self.mailboxes.len())].push(id);
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

    /// A million that are due together must not be in memory together. Where there is no room for long, they
    /// come in pages all the same: what sleeps would otherwise wait for as long as others keep starting.
    async fn wait_for_room(&self) {
        let has_room = async {
            let populations = &self.shared.populations;
            while populations.reading() >= TIMERS_PAGE || populations.live() >= self.live_max {
                tokio::time::sleep(ROOM_LOOK_EVERY).await;
            }
        };
        // In the end it is the same.
        let _ = tokio::time::timeout(LOOK_AT_MOST_EVERY, has_room).await;
    }

    async fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Journal) -> Result<R, JournalError> + Send + 'static,
    ) -> Result<R, NoLook> {
        let shared = self.shared.clone();
        let done = self.shared.blocking.spawn(move || read(&*shared.journal)).await;
        done.map_err(|error| NoLook::Unread(error.to_string()))?
            .map_err(|error| NoLook::Unread(error.to_string()))
    }
}

/// The first moment that is later.
fn after(now: Time) -> Time {
    now.after(Duration::from_millis(1))
}

/// Later than any timer that is ever due.
const BEFORE_NEVER: Time = Time::from_milliseconds(i64::MAX as u64);
