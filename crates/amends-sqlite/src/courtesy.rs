//! Giving the processor away, as long as that is cheap.
//!
//! Owns the judgement whether the one thread that writes to a database may let others go first, who may be about to bring it
//! more. That saves flushes. But `sched_yield` is a request without a measure: beside a thread that computes, the caller may be
//! away for a whole tick of the scheduler (4 ms), even if another processor is idle. Promises that such losses stay below a
//! small share of the time.

use std::time::{Duration, Instant};

use crate::limits::{AWAY_MAX, COURTESY_AFTER};

/// Whether others may go first.
#[derive(Debug, Default)]
pub struct Courtesy {
    /// Until then the last loss is not made up for.
    withheld_until: Option<Instant>,
}

impl Courtesy {
    /// Whether to give the processor away now. [`Courtesy::took`] is to be told what came of it.
    pub fn is_affordable(&mut self) -> bool {
        self.is_affordable_at(Instant::now())
    }

    /// Takes note of how long the processor was given away for.
    pub fn took(&mut self, away: Duration) {
        self.took_at(Instant::now(), away);
    }

    fn is_affordable_at(&mut self, now: Instant) -> bool {
        if self.withheld_until.is_some_and(|until| until <= now) {
            self.withheld_until = None;
        }
        self.withheld_until.is_none()
    }

    fn took_at(&mut self, now: Instant, away: Duration) {
        if away > AWAY_MAX {
            self.withheld_until = now.checked_add(away.saturating_mul(COURTESY_AFTER));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_made_up_for_before_the_next_one_is_risked() {
        let (mut courtesy, now) = (Courtesy::default(), Instant::now());
        courtesy.took_at(now, AWAY_MAX);
        assert!(courtesy.is_affordable_at(now), "that much is cheap");
        let loss = Duration::from_millis(4);
        courtesy.took_at(now, loss);
        let made_up = now + loss * COURTESY_AFTER;
        assert!(!courtesy.is_affordable_at(now));
        assert!(!courtesy.is_affordable_at(made_up.checked_sub(Duration::from_nanos(1)).unwrap()));
        assert!(courtesy.is_affordable_at(made_up));
        assert!(courtesy.is_affordable_at(now), "it is over once it was seen to be");
    }

    #[test]
    fn a_loss_beyond_all_clocks_is_no_reason_to_panic() {
        let mut courtesy = Courtesy::default();
        courtesy.took(Duration::MAX);
        courtesy.is_affordable();
    }
}
