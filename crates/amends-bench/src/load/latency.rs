//! How long things took.
//!
//! Owns the histogram (three significant digits) and the way into it. Promises that recording costs a client
//! next to nothing: it gathers a few and takes the lock once for all of them. Does not read clocks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

/// Significant digits: a thousandth is finer than any two runs agree.
const DIGITS: u8 = 3;

/// What takes longer counts as this long: an hour, the longest measurement.
const MICROSECONDS_MAX: u64 = 3_600_000_000;

/// Gathered by one client before it takes the lock.
const GATHERED_MAX: usize = 32;

/// Everybody's latencies.
#[derive(Debug, Clone)]
pub(super) struct Latencies {
    histogram: Arc<Mutex<Histogram<u64>>>,
}

/// One client's latencies, on their way.
#[derive(Debug)]
pub(super) struct Recorder {
    latencies: Latencies,
    gathered: Vec<u64>,
}

impl Latencies {
    pub(super) fn new() -> Self {
        let histogram =
            Histogram::new_with_bounds(1, MICROSECONDS_MAX, DIGITS).expect("the bounds are constants");
        Self { histogram: Arc::new(Mutex::new(histogram)) }
    }

    pub(super) fn recorder(&self) -> Recorder {
        Recorder { latencies: self.clone(), gathered: Vec::with_capacity(GATHERED_MAX) }
    }

    /// How many were recorded; a client's last few arrive when its recorder is dropped.
    pub(super) fn count(&self) -> u64 {
        self.with(|histogram| histogram.len())
    }

    /// The latency that `percent` of all do not exceed, in microseconds.
    pub(super) fn percentile_us(&self, percent: f64) -> u64 {
        self.with(|histogram| histogram.value_at_percentile(percent))
    }

    fn with<R>(&self, work: impl FnOnce(&mut Histogram<u64>) -> R) -> R {
        // A histogram is whole between any two calls.
        work(&mut self.histogram.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Recorder {
    pub(super) fn record(&mut self, latency: Duration) {
        self.gathered.push(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        if self.gathered.len() == GATHERED_MAX {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let Self { latencies, gathered } = self;
        latencies.with(|histogram| {
            for microseconds in gathered.drain(..) {
                histogram.saturating_record(microseconds);
            }
        });
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.hand_over();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_recorded_to_a_thousandth() {
        let latencies = Latencies::new();
        let (mut one, mut other) = (latencies.recorder(), latencies.recorder());
        for microseconds in 1..=10_000 {
            let recorder = if microseconds % 2 == 0 { &mut one } else { &mut other };
            recorder.record(Duration::from_micros(microseconds));
        }
        drop((one, other));
        assert_eq!(latencies.count(), 10_000);
        for (percent, exact) in [(50.0, 5_000), (99.0, 9_900), (100.0, 10_000)] {
            let found = latencies.percentile_us(percent);
            assert!(found.abs_diff(exact) <= exact / 1_000, "{percent}: {found} for {exact}");
        }
    }

    #[test]
    fn nothing_is_lost_at_either_end() {
        let latencies = Latencies::new();
        let mut recorder = latencies.recorder();
        recorder.record(Duration::from_nanos(10));
        recorder.record(Duration::MAX);
        drop(recorder);
        assert_eq!(latencies.count(), 2);
        assert!(latencies.percentile_us(100.0) >= MICROSECONDS_MAX);
    }
}
