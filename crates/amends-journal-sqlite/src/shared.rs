//! What the handle, the committer and the settler share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use amends_journal::meters::{MICROSECONDS, SIZES};
use amends_journal::{Epoch, Histogram, Meters, Stats};
use amends_sqlite::limits::LOCK_REPORTED_AFTER;

use super::absence::Forgotten;
use super::feed::FeedEnd;
use super::names::Names;
use super::queue::Queue;
use super::space::Space;

/// Called once, with what to tell the operator, when the process must stop.
pub(super) type OnFatal = Box<dyn Fn(String) + Send + Sync>;

pub(super) struct Shared {
    /// The database's file.
    pub(super) path: PathBuf,
    pub(super) space: Space,
    pub(super) queue: Queue,
    pub(super) counters: Counters,
    pub(super) names: Names,
    pub(super) forgotten: Forgotten,
    /// `None`: opened without one.
    pub(super) feed: Option<FeedEnd>,
    /// Under which everything is held.
    pub(super) epoch: Epoch,
    /// How often the database was written, durably.
    pub(super) changes: AtomicU64,
    on_fatal: OnFatal,
    has_died: AtomicBool,
    /// Whether the log has what the database does not.
    is_ahead: AtomicBool,
    /// Whether the settler is at work.
    is_settling: AtomicBool,
    /// Whether it waits for a lock of another program.
    is_locked: AtomicBool,
}

impl Shared {
    pub(super) fn new(
        path: PathBuf,
        space: Space,
        names: Names,
        feed: Option<FeedEnd>,
        epoch: Epoch,
        on_fatal: OnFatal,
    ) -> Self {
        Self {
            path,
            space,
            queue: Queue::default(),
            counters: Counters::default(),
            names,
            forgotten: Forgotten::default(),
            feed,
            epoch,
            changes: AtomicU64::new(0),
            on_fatal,
            has_died: AtomicBool::new(false),
            is_ahead: AtomicBool::new(false),
            is_settling: AtomicBool::new(false),
            is_locked: AtomicBool::new(false),
        }
    }

    /// Tells, once, that nothing is written any more.
    pub(super) fn die(&self, message: String) {
        if !self.has_died.swap(true, Ordering::Relaxed) {
            // Whoever is told may panic; everybody who waits for the thread that tells it is still to be
            // answered.
            let _ = catch_unwind(AssertUnwindSafe(|| (self.on_fatal)(message)));
        }
    }

    /// Whether a look at the database alone may miss what was answered.
    pub(super) fn is_ahead(&self) -> bool {
        self.is_ahead.load(Ordering::Acquire)
    }

    /// To be set before an answer leaves that the database does not bear out, and taken back only when it
    /// does.
    pub(super) fn set_ahead(&self, ahead: bool) {
        self.is_ahead.store(ahead, Ordering::Release);
    }

    /// The settler has waited so long for a lock of another program. Says whether that is enough: when nobody
    /// is to come any more, what is not settled is found in the log by the next start.
    pub(super) fn waits_for_a_lock(&self, waited: Duration) -> bool {
        if waited < LOCK_REPORTED_AFTER {
            return false;
        }
        if !self.is_locked.swap(true, Ordering::Relaxed) {
            self.queue.poke();
        }
        self.queue.is_closed()
    }

    pub(super) fn has_the_lock(&self) {
        self.is_locked.store(false, Ordering::Relaxed);
    }

    /// Whether waiting for the database is of no use for now.
    pub(super) fn is_locked(&self) -> bool {
        self.is_locked.load(Ordering::Relaxed)
    }

    /// Whether the settler may be using a processor: a guess, for whoever would let others have theirs.
    pub(super) fn is_settling(&self) -> bool {
        self.is_settling.load(Ordering::Relaxed)
    }

    pub(super) fn set_settling(&self, settling: bool) {
        self.is_settling.store(settling, Ordering::Relaxed);
    }
}

/// [`Stats`] and [`Meters`], as they grow.
#[derive(Debug)]
pub(super) struct Counters {
    appends: AtomicU64,
    record_bytes: AtomicU64,
    commits: AtomicU64,
    flushes: AtomicU64,
    started: AtomicU64,
    completed: AtomicU64,
    compensated: AtomicU64,
    abandoned: AtomicU64,
    parked: AtomicU64,
    append_micros: Histogram<{ MICROSECONDS.len() }>,
    group_appends: Histogram<{ SIZES.len() }>,
}

impl Default for Counters {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            appends: zero(),
            record_bytes: zero(),
            commits: zero(),
            flushes: zero(),
            started: zero(),
            completed: zero(),
            compensated: zero(),
            abandoned: zero(),
            parked: zero(),
            append_micros: Histogram::new(MICROSECONDS),
            group_appends: Histogram::new(SIZES),
        }
    }
}

impl Counters {
    pub(super) fn add(&self, written: Stats) {
        self.appends.fetch_add(written.appends, Ordering::Relaxed);
        self.record_bytes.fetch_add(written.record_bytes, Ordering::Relaxed);
        self.commits.fetch_add(written.commits, Ordering::Relaxed);
    }

    /// What became of transactions in one group.
    pub(super) fn add_turns(&self, turns: &Meters) {
        for (counter, count) in [
            (&self.started, turns.started),
            (&self.completed, turns.completed),
            (&self.compensated, turns.compensated),
            (&self.abandoned, turns.abandoned),
            (&self.parked, turns.parked),
        ] {
            if count > 0 {
                counter.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    /// A group was answered whose batches were submitted then.
    pub(super) fn add_group(&self, appends: usize, submitted: impl Iterator<Item = Instant>) {
        let now = Instant::now();
        self.group_appends.record(appends as u64);
        for submitted in submitted {
            let took = now.saturating_duration_since(submitted).as_micros();
            self.append_micros.record(u64::try_from(took).unwrap_or(u64::MAX));
        }
    }

    pub(super) fn meters(&self) -> Meters {
        Meters {
            started: self.started.load(Ordering::Relaxed),
            completed: self.completed.load(Ordering::Relaxed),
            compensated: self.compensated.load(Ordering::Relaxed),
            abandoned: self.abandoned.load(Ordering::Relaxed),
            parked: self.parked.load(Ordering::Relaxed),
            append_seconds: self.append_micros.read(1e6),
            group_appends: self.group_appends.read(1.0),
        }
    }

    /// Of the log since it was opened.
    pub(super) fn set_flushes(&self, flushes: u64) {
        self.flushes.store(flushes, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            appends: self.appends.load(Ordering::Relaxed),
            record_bytes: self.record_bytes.load(Ordering::Relaxed),
            commits: self.commits.load(Ordering::Relaxed),
            flushes: self.flushes.load(Ordering::Relaxed),
        }
    }
}
