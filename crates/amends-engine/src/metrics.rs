//! What an engine has done since it was opened.
//!
//! Owns what is counted beside the journal's own [`Meters`]: how long recovery took, how
//! long participants take. Promises that participants which answer immediately cost nothing here. Does not name or
//! print anything: the server's metrics do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use amends_journal::meters::MICROSECONDS;
use amends_journal::{Distribution, Histogram, Meters};

/// What an engine has done since it was opened.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineMeters {
    /// What its journal has done.
    pub journal: Meters,
    /// From the start until everything that was under way then went on; zero until then.
    pub recovery: Duration,
    /// From the moment a call leaves until its outcome is known, in seconds.
    pub attempt_seconds: Distribution,
}

/// [`EngineMeters`], as they grow.
#[derive(Debug)]
pub(crate) struct Counters {
    recovery_micros: AtomicU64,
    attempt_micros: Histogram<{ MICROSECONDS.len() }>,
}

impl Default for Counters {
    fn default() -> Self {
        Self { recovery_micros: AtomicU64::new(0), attempt_micros: Histogram::new(MICROSECONDS) }
    }
}

impl Counters {
    /// Everything that was under way goes on again.
    pub(crate) fn recovered(&self, took: Duration) {
        self.recovery_micros.store(micros(took), Ordering::Relaxed);
    }

    /// A participant has answered.
    pub(crate) fn answered(&self, took: Duration) {
        self.attempt_micros.record(micros(took));
    }

    pub(crate) fn read(&self, journal: Meters) -> EngineMeters {
        EngineMeters {
            journal,
            recovery: Duration::from_micros(self.recovery_micros.load(Ordering::Relaxed)),
            attempt_seconds: self.attempt_micros.read(1e6),
        }
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
