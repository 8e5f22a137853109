//! What a journal has done since it was opened.
//!
//! Owns [`Meters`], which whoever watches a server reads, and [`Histogram`], which is written while it works.
//! Promises that writing costs a few atomic additions and no lock. Does not name or print anything: the
//! server's metrics do.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a journal has done since it was opened.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Meters {
    /// Transactions started.
    pub started: u64,
    /// Transactions that ended, everything done.
    pub completed: u64,
    /// Transactions that ended undone.
    pub compensated: u64,
    /// Transactions that an operator stopped without undo.
    pub abandoned: u64,
    /// How often a transaction parked.
    pub parked: u64,
    /// From an append's submission until it was durable and answered, in seconds.
    pub append_seconds: Distribution,
    /// Appends that shared one flush.
    pub group_appends: Distribution,
}

/// How often values of which size occurred.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Distribution {
    /// The upper bound of each bucket, ascending, with how many values were in it; values above the last bound
    /// are in `count` only.
    pub buckets: Vec<(f64, u64)>,
    /// How many values there were.
    pub count: u64,
    /// All values together.
    pub sum: f64,
}

/// A distribution that is being written. Values are whole numbers of a unit, of which a reader makes another.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    bounds: [u64; N],
    buckets: [AtomicU64; N],
    count: AtomicU64,
    sum: AtomicU64,
}

/// Microseconds that times are sorted by: from what a flush of a fast disk takes to what nobody should wait for.
pub const MICROSECONDS: [u64; 12] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_500_000];

/// Sizes that groups are sorted by.
pub const SIZES: [u64; 12] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 4_096];

impl<const N: usize> Histogram<N> {
    /// One with these upper bounds, ascending.
    #[must_use]
    pub const fn new(bounds: [u64; N]) -> Self {
        Self {
            bounds,
            buckets: [const { AtomicU64::new(0) }; N],
            count: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    /// Counts a value.
    pub fn record(&self, value: u64) {
        if let Some(bucket) = self.bounds.iter().position(|bound| value <= *bound) {
            self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// What was counted so far, each value divided by `unit`: so many of its own make one of the reader's.
    #[must_use]
    pub fn read(&self, unit: f64) -> Distribution {
        #[expect(clippy::cast_precision_loss, reason = "what is drawn needs no more digits")]
        let scaled = |value: u64| value as f64 / unit;
        let buckets = self.bounds.iter().zip(&self.buckets);
        Distribution {
            buckets: buckets.map(|(bound, count)| (scaled(*bound), count.load(Ordering::Relaxed))).collect(),
            count: self.count.load(Ordering::Relaxed),
            sum: scaled(self.sum.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::new([1, 10]);
        for value in [0, 1, 2, 10, 11] {
            histogram.record(value);
        }
        let expected = Distribution { buckets: vec![(0.5, 2), (5.0, 2)], count: 5, sum: 12.0 };
        assert_eq!(histogram.read(2.0), expected);
        let bounds = Histogram::new(MICROSECONDS).read(1e6).buckets;
        assert_eq!(bounds[0].0.to_string(), "0.0001");
    }
}
