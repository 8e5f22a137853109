//! What is read off at both ends of the measured window.
//!
//! Owns the meters: the clock, the process's processor time, the cores of the machine, the flushes. Promises
//! that what is reported of the window was divided by the time that really passed between the two readings,
//! for the thread that reads may wake late.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::block_device::BlockDevice;

use super::cores::Cores;
use super::flushes::{Counts, Flushed, LogCounts};

/// The meters that belong to what is measured.
pub(crate) struct Meters<'m> {
    /// The disk that the log lies on, if its flushes are counted.
    pub(crate) disk: Option<&'m BlockDevice>,
    /// The counters of the log at work.
    pub(crate) log: &'m dyn Fn() -> LogCounts,
}

/// One reading of all meters.
#[derive(Debug)]
pub(super) struct Reading {
    at: Instant,
    processor_time: Duration,
    cores: Option<Cores>,
    counts: Counts,
}

/// What two readings tell.
#[derive(Debug)]
pub(super) struct Spent {
    /// Processors that this process kept busy, on average.
    pub(super) cpus_used: f64,
    /// Which share of the time each core was busy, with all programs of the machine.
    pub(super) cores: Option<Vec<f64>>,
    pub(super) flushed: Flushed,
}

impl Meters<'_> {
    pub(super) fn at_the_beginning(&self) -> Reading {
        Reading::now(Counts::at_the_beginning(self.disk, self.log))
    }

    /// What was spent since.
    pub(super) fn at_the_end(&self, before: &Reading) -> Spent {
        let now = Reading::now(Counts::at_the_end(self.disk, self.log));
        let seconds = (now.at - before.at).as_secs_f64();
        let cpu = now.processor_time.saturating_sub(before.processor_time).as_secs_f64();
        let cores = now.cores.as_ref().zip(before.cores.as_ref());
        Spent {
            cpus_used: cpu / seconds,
            cores: cores.and_then(|(now, then)| now.busy_since(then)),
            flushed: now.counts.since(&before.counts, seconds, self.disk.and_then(BlockDevice::has_cache)),
        }
    }
}

impl Reading {
    fn now(counts: Counts) -> Self {
        Self { at: Instant::now(), processor_time: processor_time(), cores: Cores::now(), counts }
    }
}

/// User and system time of all threads of this process, the load's own included.
fn processor_time() -> Duration {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(spent).expect("processor time is not negative")
}
