//! What is read off at both ends of the measured window.
//!
//! Owns the meters: the clock, the process's processor time and the cores of the machine. Promises that what is told of the
//! window was divided by the time that really passed between the two readings, for the thread that reads may wake late.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::cores::Cores;

/// One reading of all meters.
#[derive(Debug)]
pub(super) struct Reading {
    at: Instant,
    processor_time: Duration,
    cores: Option<Cores>,
}

/// What two readings tell.
#[derive(Debug)]
pub(super) struct Spent {
    /// Processors that this process kept busy, on average.
    pub(super) cpus_used: f64,
    /// Which share of the time each core was busy, with all programs of the machine.
    pub(super) cores: Option<Vec<f64>>,
}

impl Reading {
    pub(super) fn now() -> Self {
        Self { at: Instant::now(), processor_time: processor_time(), cores: Cores::now() }
    }

    pub(super) fn since(&self, before: &Self) -> Spent {
        let seconds = (self.at - before.at).as_secs_f64();
        let cpu = self.processor_time.saturating_sub(before.processor_time).as_secs_f64();
        let cores = self.cores.as_ref().zip(before.cores.as_ref());
        Spent { cpus_used: cpu / seconds, cores: cores.and_then(|(now, then)| now.busy_since(then)) }
    }
}

/// User and system time of all threads of this process, the load's own included.
fn processor_time() -> Duration {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(spent).expect("processor time is not negative")
}
