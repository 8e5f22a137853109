//! The log's flushes, and the disk's.
//!
//! Owns the comparison of what a log asked for with what the kernel counted in the same time. Promises not to
//! suspect a disk wrongly: a log waits for one flush before it asks for the next, so no two of its flushes
//! can be merged into one on their way, and flushes of others only add to the disk's count. So a disk that
//! carried out fewer than it reported to the log did not do them, or something between the two kept them.
//! More prove nothing: others may have asked for them.

use crate::block_device::BlockDevice;

/// What a log has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogCounts {
    pub(crate) appends: u64,
    /// Flushes that have come back.
    pub(crate) flushes: u64,
}

/// The counts at one end of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    log: LogCounts,
    disk: Option<u64>,
}

/// What happened in the window.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Flushed {
    pub(crate) log_per_second: f64,
    /// Of the whole disk, whichever program asked; `None` if the kernel does not say.
    pub(crate) kernel_per_second: Option<f64>,
    pub(crate) appends_per_flush: Option<f64>,
    /// Whether the disk carried out as many as the log asked for; `None` if that is not known.
    pub(crate) reached_the_disk: Option<bool>,
}

/// A flush that was on its way when a window began or ended, and what the counters of several processors are
/// late by.
const FEW: u64 = 5;

/// One in so many may be missing: the two counts are not taken at the same moment.
const TOLERATED: u64 = 50;

impl Counts {
    /// At the beginning the disk first, so that its count is of no later a moment than the log's.
    pub(super) fn at_the_beginning(disk: Option<&BlockDevice>, log: impl FnOnce() -> LogCounts) -> Self {
        let disk = disk.and_then(BlockDevice::flushes);
        Self { log: log(), disk }
    }

    /// At the end the log first.
    pub(super) fn at_the_end(disk: Option<&BlockDevice>, log: impl FnOnce() -> LogCounts) -> Self {
        let log = log();
        Self { log, disk: disk.and_then(BlockDevice::flushes) }
    }

    /// `has_cache`: whether the kernel sends the disk flushes at all.
    pub(super) fn since(&self, before: &Self, seconds: f64, has_cache: Option<bool>) -> Flushed {
        let log = self.log.flushes - before.log.flushes;
        let appends = self.log.appends - before.log.appends;
        let disk = self.disk.zip(before.disk).and_then(|(now, then)| now.checked_sub(then));
        Flushed {
            log_per_second: log as f64 / seconds,
            kernel_per_second: disk.map(|flushes| flushes as f64 / seconds),
            appends_per_flush: (log > 0).then(|| appends as f64 / log as f64),
            reached_the_disk: match has_cache {
                Some(true) => disk.map(|disk| disk + FEW + log / TOLERATED >= log),
                // It says that everything written is durable, and that cannot be checked from here.
                Some(false) | None => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flushed(log: u64, disk: Option<u64>, has_cache: Option<bool>) -> Flushed {
        let before = Counts { log: LogCounts { appends: 100, flushes: 10 }, disk: Some(7_000) };
        let after = Counts {
            log: LogCounts { appends: 100 + 4 * log, flushes: 10 + log },
            disk: disk.map(|disk| 7_000 + disk),
        };
        after.since(&before, 2.0, has_cache)
    }

    #[test]
    fn a_disk_that_was_sent_fewer_flushes_than_the_log_asked_for_is_found_out() {
        let reached = |log, disk| flushed(log, Some(disk), Some(true)).reached_the_disk;
        for (log, disk, expected) in [
            (10_000, 10_000, true),
            (10_000, 30_000, true),
            (10_000, 9_795, true),
            (10_000, 9_794, false),
            (10_000, 0, false),
            (5, 0, true),
            (6, 0, false),
            (0, 0, true),
        ] {
            assert_eq!(reached(log, disk), Some(expected), "{log} and {disk}");
        }
    }

    #[test]
    fn what_is_not_counted_is_not_judged() {
        assert_eq!(flushed(10_000, None, Some(true)).reached_the_disk, None);
        assert_eq!(flushed(10_000, Some(0), Some(false)).reached_the_disk, None, "it has no cache");
        assert_eq!(flushed(10_000, Some(0), None).reached_the_disk, None);
    }

    #[test]
    fn rates_are_of_the_window_alone() {
        let expected = Flushed {
            log_per_second: 500.0,
            kernel_per_second: Some(600.0),
            appends_per_flush: Some(4.0),
            reached_the_disk: Some(true),
        };
        assert_eq!(flushed(1_000, Some(1_200), Some(true)), expected);
        assert_eq!(flushed(0, Some(0), Some(true)).appends_per_flush, None);
    }
}
