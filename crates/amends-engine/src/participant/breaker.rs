//! Whether a participant is left alone.
//!
//! Owns [`Breaker`], a state machine on the engine's clock: closed; open, with probes ever more slowly; and recovering,
//! where the calls under way together double from one. Promises one probe at a time, and never a herd: after a probe
//! that was answered, each further answer lets one more call through. Does not count calls under way.

use std::time::Duration;

use amends_core::{Outcome, Time};
use amends_definition::BreakerSettings;

/// What the end of a call says about its participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It answers, whatever it says.
    Answers,
    /// Nobody knows.
    Unknown,
    /// The call was given up on our side.
    Nothing,
}

impl Verdict {
    pub(crate) const fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Completed { .. }
            | Outcome::CompletedTooLarge { .. }
            | Outcome::Refused(_)
            | Outcome::Working { .. }
            | Outcome::Conflict { .. } => Self::Answers,
            Outcome::Unknown { .. } => Self::Unknown,
        }
    }
}

/// When one more call may begin, as far as the breaker goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// While fewer than so many are under way.
    Places(usize),
    /// One, as a probe, from this time on.
    ProbeAt(Time),
    /// When the probe that is under way has ended.
    AfterProbe,
}

/// A participant's breaker.
#[derive(Debug, Clone)]
pub(crate) struct Breaker {
    settings: BreakerSettings,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed {
        unknown_in_a_row: u32,
    },
    Open {
        since: Time,
        /// The rest that ends with the next probe.
        rest: Duration,
        next_probe: Time,
    },
    Probing {
        since: Time,
        rest: Duration,
    },
    Recovering {
        /// Calls that may be under way together.
        window: usize,
        /// The rest that preceded the probe: should it fail again, the next is longer.
        rest: Duration,
    },
}

/// What people see of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerView {
    /// All calls go through.
    Closed,
    /// None goes through.
    Open {
        /// Since when.
        since: Time,
        /// When one is tried.
        next_probe: Time,
    },
    /// One is tried, or few after one that was answered.
    HalfOpen {
        /// Since when calls were held back, if one is tried; `None` once it was answered.
        since: Option<Time>,
        /// Calls that may be under way together.
        window: usize,
    },
}

impl Breaker {
    pub(crate) const fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: State::Closed { unknown_in_a_row: 0 } }
    }

    pub(crate) const fn set(&mut self, settings: BreakerSettings) {
        self.settings = settings;
    }

    pub(crate) const fn opening(&self) -> Opening {
        match self.state {
            State::Closed { .. } => Opening::Places(usize::MAX),
            State::Open { next_probe, .. } => Opening::ProbeAt(next_probe),
            State::Probing { .. } => Opening::AfterProbe,
            State::Recovering { window, .. } => Opening::Places(window),
        }
    }

    /// A call begins. Whether it is a probe.
    pub(crate) const fn begun(&mut self) -> bool {
        match self.state {
            State::Open { since, rest, .. } => {
                self.state = State::Probing { since, rest };
                true
            }
            State::Closed { .. } | State::Probing { .. } | State::Recovering { .. } => false,
        }
    }

    /// A call has ended. `places`: how many may be under way when all is well.
    pub(crate) fn ended(&mut self, verdict: Verdict, is_probe: bool, places: usize, now: Time) {
        self.state = match (self.state, verdict) {
            // Whoever answers is there, though it be a call from before the breaker opened.
            (State::Open { rest, .. } | State::Probing { rest, .. }, Verdict::Answers) => {
                State::Recovering { window: 1, rest }
            }
            (State::Probing { since, rest }, Verdict::Unknown) if is_probe => {
                self.open(since, rest.saturating_mul(2), now)
            }
            // Nothing was learnt: another one may try immediately.
            (State::Probing { since, rest }, Verdict::Nothing) if is_probe => {
                State::Open { since, rest, next_probe: now }
            }
            (state @ (State::Open { .. } | State::Probing { .. }), Verdict::Unknown | Verdict::Nothing) => {
                state
            }
            (State::Closed { .. }, Verdict::Answers) => State::Closed { unknown_in_a_row: 0 },
            (State::Closed { unknown_in_a_row }, Verdict::Unknown) => {
                let unknown_in_a_row = unknown_in_a_row.saturating_add(1);
                if unknown_in_a_row >= self.settings.after {
                    self.open(now, self.settings.first, now)
                } else {
                    State::Closed { unknown_in_a_row }
                }
            }
            (State::Recovering { window, .. }, Verdict::Answers) if window >= places => {
                State::Closed { unknown_in_a_row: 0 }
            }
            (State::Recovering { window, rest }, Verdict::Answers) => {
                State::Recovering { window: window + 1, rest }
            }
            (State::Recovering { window: 1, rest }, Verdict::Unknown) => {
                self.open(now, rest.saturating_mul(2), now)
            }
            (State::Recovering { window, rest }, Verdict::Unknown) => {
                State::Recovering { window: window / 2, rest }
            }
            (state @ (State::Closed { .. } | State::Recovering { .. }), Verdict::Nothing) => state,
        };
    }

    /// A person says that the participant is there again.
    pub(crate) fn reset(&mut self) {
        self.state = match self.state {
            State::Closed { .. } => State::Closed { unknown_in_a_row: 0 },
            State::Open { .. } | State::Probing { .. } => {
                State::Recovering { window: 1, rest: self.settings.first }
            }
            State::Recovering { window, .. } => State::Recovering { window, rest: self.settings.first },
        };
    }

    pub(crate) const fn view(&self) -> BreakerView {
        match self.state {
            State::Closed { .. } => BreakerView::Closed,
            State::Open { since, next_probe, .. } => BreakerView::Open { since, next_probe },
            State::Probing { since, .. } => BreakerView::HalfOpen { since: Some(since), window: 1 },
            State::Recovering { window, .. } => BreakerView::HalfOpen { since: None, window },
        }
    }

    fn open(&self, since: Time, rest: Duration, now: Time) -> State {
        let rest = rest.clamp(self.settings.first, self.settings.max.max(self.settings.first));
        State::Open { since, rest, next_probe: now.after(rest) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const START: Time = Time::from_milliseconds(1_000_000);

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(BreakerSettings::default());
        for _ in 0..20 {
            assert_eq!(breaker.opening(), Opening::Places(usize::MAX));
            breaker.ended(Verdict::Unknown, false, 64, START);
        }
        breaker
    }

    #[test]
    fn it_opens_after_so_many_unknown_answers_in_a_row_and_not_before() {
        assert_eq!(opened().opening(), Opening::ProbeAt(START.after(SECOND)));
        let mut breaker = Breaker::new(BreakerSettings::default());
        for _ in 0..1_000 {
            for _ in 0..19 {
                breaker.ended(Verdict::Unknown, false, 64, START);
            }
            breaker.ended(Verdict::Nothing, false, 64, START);
            breaker.ended(Verdict::Answers, false, 64, START);
            assert_eq!(breaker.opening(), Opening::Places(usize::MAX));
        }
    }

    #[test]
    fn it_probes_ever_more_slowly_and_at_most_every_thirty_seconds() {
        let mut breaker = opened();
        let mut now = START;
        let mut rests = Vec::new();
        for _ in 0..8 {
            let Opening::ProbeAt(at) = breaker.opening() else { panic!("{breaker:?}") };
            rests.push(at.since(now).as_secs());
            now = at;
            assert!(breaker.begun());
            assert_eq!(breaker.opening(), Opening::AfterProbe);
            // Calls from before say nothing new.
            breaker.ended(Verdict::Unknown, false, 64, now);
            assert_eq!(breaker.opening(), Opening::AfterProbe);
            breaker.ended(Verdict::Unknown, true, 64, now);
        }
        assert_eq!(rests, [1, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn after_a_probe_that_was_answered_calls_double_from_one() {
        let mut breaker = opened();
        assert!(breaker.begun());
        breaker.ended(Verdict::Answers, true, 8, START);
        let mut windows = Vec::new();
        while let Opening::Places(window) = breaker.opening()
            && window != usize::MAX
        {
            windows.push(window);
            for _ in 0..window {
                breaker.ended(Verdict::Answers, false, 8, START);
            }
        }
        assert_eq!(windows, [1, 2, 4, 8]);
        assert_eq!(breaker.view(), BreakerView::Closed);
    }

    #[test]
    fn a_participant_that_fails_again_while_it_recovers_is_asked_less_and_then_left_alone_for_longer() {
        let mut breaker = opened();
        assert!(breaker.begun());
        breaker.ended(Verdict::Answers, true, 64, START);
        for _ in 0..4 {
            breaker.ended(Verdict::Answers, false, 64, START);
        }
        let mut windows = Vec::new();
        while let Opening::Places(window) = breaker.opening() {
            windows.push(window);
            breaker.ended(Verdict::Unknown, false, 64, START);
        }
        assert_eq!(windows, [5, 2, 1]);
        assert_eq!(breaker.opening(), Opening::ProbeAt(START.after(SECOND * 2)));
    }

    #[test]
    fn a_probe_that_was_given_up_is_made_by_another() {
        let mut breaker = opened();
        assert!(breaker.begun());
        let later = START.after(SECOND * 5);
        breaker.ended(Verdict::Nothing, true, 64, later);
        assert_eq!(breaker.opening(), Opening::ProbeAt(later));
        breaker.reset();
        assert_eq!(breaker.opening(), Opening::Places(1));
    }
}
