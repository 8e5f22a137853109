//! Staying awake for the next job.
//!
//! Owns the judgement whether it pays to look for another moment before going to sleep, and that look. Where
//! a client waits for each step, the next append comes some 30 µs after the last answer: sooner than a
//! sleeping thread is called, put on a processor and has its caches again. Promises that whoever looks in
//! vain does so less and less often.

use std::thread;
use std::time::Instant;

use crate::limits::{LINGER_FOR, LINGERS_PASSED_OVER_MAX};

/// What earlier looks were good for.
#[derive(Debug, Default)]
pub(super) struct Linger {
    /// How many chances are passed over after the next look in vain.
    price: u32,
    /// How many are still to be passed over.
    passes: u32,
}

impl Linger {
    /// Whether to look this time.
    pub(super) fn is_worth_it(&mut self) -> bool {
        let is_worth_it = self.passes == 0;
        self.passes = self.passes.saturating_sub(1);
        is_worth_it
    }

    /// Takes note of what came of a look.
    pub(super) fn learn(&mut self, has_come: bool) {
        self.price = if has_come { 0 } else { (2 * self.price + 1).min(LINGERS_PASSED_OVER_MAX) };
        self.passes = self.price;
    }
}

/// Looks for a moment whether something has come. Gives the processor away in between: whoever is to bring it
/// may have been put on this very one.
pub(super) fn linger(has_come: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    loop {
        if has_come() {
            return true;
        }
        if began.elapsed() >= LINGER_FOR {
            return false;
        }
        thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(linger: &mut Linger, chances: u32, has_come: bool) -> u32 {
        let mut looks = 0;
        for _ in 0..chances {
            if linger.is_worth_it() {
                looks += 1;
                linger.learn(has_come);
            }
        }
        looks
    }

    #[test]
    fn who_looks_in_vain_looks_less_and_less_often() {
        let mut linger = Linger::default();
        assert_eq!(looks(&mut linger, 1_000, true), 1_000);
        // After 1, 3, 7, 15, 31 and 63 chances that were passed over, and then after every 63.
        assert_eq!(looks(&mut linger, 6 + 120, false), 6);
        assert_eq!(looks(&mut linger, 64 * 10, false), 10);
    }

    #[test]
    fn one_look_that_paid_brings_the_next_ones_back() {
        let mut linger = Linger::default();
        looks(&mut linger, 1_000, false);
        while !linger.is_worth_it() {}
        linger.learn(true);
        assert_eq!(looks(&mut linger, 100, true), 100);
    }

    #[test]
    fn a_look_ends_when_something_has_come_and_otherwise_in_time() {
        assert!(linger(|| true));
        assert!(!linger(|| false));
    }
}
