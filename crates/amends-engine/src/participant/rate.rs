//! How many calls may begin in a time.
//!
//! Owns [`Pace`], the generic cell rate algorithm. Promises even spacing: calls that were let through are never more
//! than the rate allows, and what a late look missed is caught up for no longer than [`CAUGHT_UP`]. Reads no clock.

use std::time::Duration;

use amends_core::Time;
use amends_definition::Rate;

use crate::limits::CAUGHT_UP;

/// The pace of one participant's calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    rate: Rate,
    /// When the next call is due, in nanoseconds.
    due: u128,
}

impl Pace {
    pub(crate) const fn new(rate: Rate) -> Self {
        Self { rate, due: 0 }
    }

    pub(crate) const fn rate(&self) -> Rate {
        self.rate
    }

    pub(crate) const fn set_rate(&mut self, rate: Rate) {
        self.rate = rate;
    }

    /// From when on a call may begin.
    pub(crate) fn opens_at(&self) -> Time {
        let milliseconds = self.due.saturating_sub(CAUGHT_UP.as_nanos()).div_ceil(NANOS_PER_MILLISECOND);
        Time::from_milliseconds(u64::try_from(milliseconds).unwrap_or(u64::MAX))
    }

    /// Counts a call that begins.
    pub(crate) fn take(&mut self, now: Time) {
        self.due = self.due.max(u128::from(now.milliseconds()) * NANOS_PER_MILLISECOND) + self.spacing();
    }

    /// Takes back a call that did not begin after all.
    pub(crate) fn give_back(&mut self) {
        self.due = self.due.saturating_sub(self.spacing());
    }

    fn spacing(&self) -> u128 {
        self.rate.per.as_nanos() / u128::from(self.rate.calls.max(1))
    }
}

const NANOS_PER_MILLISECOND: u128 = Duration::from_millis(1).as_nanos();

#[cfg(test)]
mod tests {
    use super::*;

    /// How many calls begin in ten seconds if somebody looks every so many milliseconds.
    fn begun(calls: u32, per: Duration, every: u64) -> u64 {
        let mut pace = Pace::new(Rate { calls, per });
        let mut begun = 0;
        for millisecond in (0..10_000).step_by(usize::try_from(every).unwrap()) {
            let now = Time::from_milliseconds(1_000_000 + millisecond);
            while pace.opens_at() <= now {
                pace.take(now);
                begun += 1;
            }
        }
        begun
    }

    #[test]
    fn no_more_begin_than_the_rate_allows_and_no_fewer() {
        for (calls, per, expected) in [
            (1, Duration::from_secs(1), 10),
            (500, Duration::from_secs(1), 5_000),
            (7_000, Duration::from_secs(1), 70_000),
            (60, Duration::from_secs(60), 10),
            (3_600, Duration::from_secs(3_600), 10),
        ] {
            for every in [1, 5, 10] {
                let begun = begun(calls, per, every);
                let surplus = expected / 100 + 1;
                assert!(
                    (expected * 98 / 100..=expected + surplus).contains(&begun),
                    "{calls} per {per:?}: {begun}"
                );
            }
        }
    }

    #[test]
    fn a_call_that_did_not_begin_is_not_counted() {
        let mut pace = Pace::new(Rate { calls: 1, per: Duration::from_secs(1) });
        let now = Time::from_milliseconds(1_000_000);
        pace.take(now);
        assert!(pace.opens_at() > now);
        pace.give_back();
        assert!(pace.opens_at() <= now);
    }
}
