//! When to ask again.
//!
//! Owns the arithmetic of retries: exponential growth with a cap and full jitter (Marc Brooker, "Exponential
//! Backoff And Jitter", AWS Architecture Blog, 2015). Promises a delay between nothing and the cap for every
//! input. Does not draw random numbers: they come in with the [`Moment`](crate::Moment).

use std::time::Duration;

/// How often one call is repeated, and how long it rests in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Calls that may fail before the step is given up; `None` asks for ever.
    pub attempts: Option<u32>,
    /// The longest rest after the first failure.
    pub first: Duration,
    /// By how much the longest rest grows with each failure.
    pub factor: u32,
    /// The longest rest ever.
    pub cap: Duration,
    /// Codes of unknown outcomes after which asking again is known to be useless.
    pub not_retryable: Vec<String>,
}

impl RetryPolicy {
    /// The default of an action: one call and three retries.
    #[must_use]
    pub fn action() -> Self {
        Self {
            attempts: Some(4),
            first: Duration::from_millis(200),
            factor: 2,
            cap: Duration::from_secs(30),
            not_retryable: Vec::new(),
        }
    }

    /// The default of a compensation and of the pivot: far more patient, since giving up calls for a person.
    #[must_use]
    pub fn patient() -> Self {
        Self { attempts: Some(100), cap: Duration::from_secs(300), ..Self::action() }
    }

    /// The default after the pivot: until it succeeds.
    #[must_use]
    pub fn endless() -> Self {
        Self { attempts: None, ..Self::patient() }
    }

    /// Whether `failures` failed calls are as many as this policy allows.
    #[must_use]
    pub fn exhausted_by(&self, failures: u32) -> bool {
        self.attempts.is_some_and(|attempts| failures >= attempts)
    }

    /// The longest rest after the `failures`-th failure (counted from one).
    #[must_use]
    pub fn longest_delay(&self, failures: u32) -> Duration {
        let growth = self.factor.checked_pow(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(growth).min(self.cap)
    }

    /// The longest time that all rests between all attempts can take; `None` if there is no last attempt.
    #[must_use]
    pub fn longest_rests(&self) -> Option<Duration> {
        /// Growth by a factor of two or more has left 32 bits by then; smaller factors do not grow.
        const GROWN_UP: u32 = 33;
        let rests = self.attempts?.saturating_sub(1);
        let growing = (1..=rests.min(GROWN_UP)).map(|failures| self.longest_delay(failures));
        let grown = self.longest_delay(GROWN_UP).saturating_mul(rests.saturating_sub(GROWN_UP));
        Some(growing.fold(grown, Duration::saturating_add))
    }

    /// The rest after the `failures`-th failure: anything between nothing and the longest ("full jitter").
    #[must_use]
    pub fn delay(&self, failures: u32, random: u64) -> Duration {
        let longest = u64::try_from(self.longest_delay(failures).as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(match longest.checked_add(1) {
            Some(choices) => random % choices,
            None => random,
        })
    }
}

/// One round of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA
/// 2014).
#[must_use]
pub const fn splitmix64(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_delay_never_passes_the_cap(first in 0u64..100_000, factor in 0u32..10, cap in 0u64..1_000_000, failures: u32, random: u64) {
            let policy = RetryPolicy {
                first: Duration::from_millis(first), factor, cap: Duration::from_millis(cap), ..RetryPolicy::action()
            };
            prop_assert!(policy.delay(failures, random) <= policy.cap);
            prop_assert!(policy.delay(failures, random) <= policy.longest_delay(failures));
        }
    }

    #[test]
    fn the_longest_delay_grows_by_the_factor_up_to_the_cap() {
        let policy = RetryPolicy::action();
        let longest: Vec<u128> = [1, 2, 3, 8, 9, 40].map(|n| policy.longest_delay(n).as_millis()).to_vec();
        assert_eq!(longest, [200, 400, 800, 25_600, 30_000, 30_000]);
    }

    #[test]
    fn jitter_is_full() {
        let policy = RetryPolicy::action();
        let delays: std::collections::BTreeSet<u128> =
            (0..201).map(|random| policy.delay(1, random).as_millis()).collect();
        assert_eq!(delays.len(), 201, "every millisecond from 0 to 200 can be drawn");
    }

    #[test]
    fn an_action_is_asked_four_times_and_an_endless_one_for_ever() {
        assert!(!RetryPolicy::action().exhausted_by(3));
        assert!(RetryPolicy::action().exhausted_by(4));
        assert!(!RetryPolicy::endless().exhausted_by(u32::MAX));
    }
}
