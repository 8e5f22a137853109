//! The gate before one participant, for all shards.
//!
//! Owns the calls under way, the pace and the breaker of a participant, and how many calls queue at each shard.
//! Promises that places go round the shards that queue, one by one; that one probe is one probe, whoever makes it; and
//! that a shard is told when a place is its own, or when the moment at which it should look again came nearer. Holds
//! no call: shards do. Everything happens under one lock that is held for a few additions. Start reading at
//! [`SharedGate::ask`].

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use amends_core::{Outcome, Reason, Time};
use amends_definition::Rate;

use crate::participant::breaker::{Breaker, BreakerView, Opening, Verdict};
use crate::participant::connect::GateLimits;
use crate::participant::rate::Pace;

/// A place that a call has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pass {
    is_probe: bool,
}

impl Pass {
    /// One that says nothing, for gates of a shard's own.
    pub(crate) const PLAIN: Self = Self { is_probe: false };
}

/// Shards that have to look at the gate.
pub(crate) type Wakes = Vec<usize>;

/// The gate before one participant.
#[derive(Debug)]
pub struct SharedGate {
    state: Mutex<State>,
    /// When the next call may begin, in milliseconds, while some queue. Beside the lock: shards ask often.
    opens_at: AtomicU64,
}

#[derive(Debug)]
struct State {
    places: usize,
    under_way: usize,
    breaker: Breaker,
    pace: Option<Pace>,
    /// By shard.
    shards: Vec<AtShard>,
    /// The shard whose turn is next.
    turn: usize,
    outcomes: OutcomeCounts,
    last_error: Option<LastError>,
}

#[derive(Debug, Default)]
struct AtShard {
    /// Calls in its queue.
    queued: usize,
    /// Places that are its own and not used yet: never more than queue.
    granted: VecDeque<Pass>,
}

/// How often a participant gave each outcome since the program began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutcomeCounts {
    /// The effect took place.
    pub completed: u64,
    /// It said no.
    pub refused: u64,
    /// It is working on it.
    pub working: u64,
    /// Nobody knows.
    pub unknown: u64,
    /// It knew the key with another payload.
    pub conflict: u64,
}

/// The newest answer that was none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// When.
    pub at: Time,
    /// What it was.
    pub reason: Reason,
}

/// What people see of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GateView {
    pub(crate) breaker: BreakerView,
    pub(crate) under_way: usize,
    pub(crate) queued: usize,
    pub(crate) places: usize,
    pub(crate) rate: Option<Rate>,
    pub(crate) outcomes: OutcomeCounts,
    pub(crate) last_error: Option<LastError>,
}

impl SharedGate {
    /// A gate with these limits.
    #[must_use]
    pub fn new(limits: GateLimits) -> Self {
        let GateLimits { calls_max, rate, breaker } = limits;
        assert!(calls_max > 0, "a participant takes at least one call");
        let state = State {
            places: calls_max,
            under_way: 0,
            breaker: Breaker::new(breaker),
            pace: rate.map(Pace::new),
            shards: Vec::new(),
            turn: 0,
            outcomes: OutcomeCounts::default(),
            last_error: None,
        };
        Self { state: Mutex::new(state), opens_at: AtomicU64::new(Time::NEVER.milliseconds()) }
    }

    /// Changes the limits. Shards must look at it afterwards.
    pub(crate) fn set_limits(&self, limits: GateLimits) {
        let GateLimits { calls_max, rate, breaker } = limits;
        assert!(calls_max > 0, "a participant takes at least one call");
        let mut state = self.lock();
        state.places = calls_max;
        state.breaker.set(breaker);
        match (&mut state.pace, rate) {
            (Some(pace), Some(rate)) => pace.set_rate(rate),
            (pace, rate) => *pace = rate.map(Pace::new),
        }
    }

    /// A call wants to begin: it gets a place, or has to queue at its shard. Nobody is overtaken.
    pub(crate) fn ask(&self, shard: usize, now: Time) -> Option<Pass> {
        let mut state = self.lock();
        if state.queued() == 0 && state.opens_at() <= now {
            return Some(state.enter(now));
        }
        state.at(shard).queued += 1;
        let opens_at = state.opens_at();
        self.opens_at.store(opens_at.milliseconds(), Ordering::Release);
        None
    }

    /// A place that is the shard's own, if there is one.
    pub(crate) fn take_granted(&self, shard: usize) -> Option<Pass> {
        self.lock().at(shard).granted.pop_front()
    }

    /// So many calls have left the shard's queue: with a place, or because they became pointless.
    pub(crate) fn left_queue(&self, shard: usize, calls: usize) {
        let mut state = self.lock();
        let at = state.at(shard);
        assert!(at.queued >= calls, "only what was queued leaves the queue");
        at.queued -= calls;
    }

    /// A call that had a place has ended.
    pub(crate) fn leave(&self, shard: usize, pass: Pass, outcome: Option<&Outcome>, now: Time) -> Wakes {
        let mut state = self.lock();
        state.count(outcome, now);
        let verdict = outcome.map_or(Verdict::Nothing, Verdict::of);
        state.exit(pass, verdict, now);
        self.go_round(&mut state, shard, now)
    }

    /// Gives back a place for which the shard has no call.
    pub(crate) fn give_back(&self, shard: usize, pass: Pass, now: Time) -> Wakes {
        let mut state = self.lock();
        state.exit(pass, Verdict::Nothing, now);
        if let Some(pace) = &mut state.pace {
            pace.give_back();
        }
        self.go_round(&mut state, shard, now)
    }

    /// Hands out what there is to hand out by now.
    pub(crate) fn look(&self, shard: usize, now: Time) -> Wakes {
        self.go_round(&mut self.lock(), shard, now)
    }

    /// When somebody who queues has to look again, should nothing happen before.
    pub(crate) fn opens_at(&self) -> Time {
        Time::from_milliseconds(self.opens_at.load(Ordering::Acquire))
    }

    /// A person says that the participant is there again. All shards must look at it afterwards.
    pub(crate) fn reset(&self) {
        self.lock().breaker.reset();
    }

    pub(crate) fn view(&self) -> GateView {
        let state = self.lock();
        GateView {
            breaker: state.breaker.view(),
            under_way: state.under_way,
            queued: state.shards.iter().map(|at| at.queued).sum(),
            places: state.places,
            rate: state.pace.map(|pace| pace.rate()),
            outcomes: state.outcomes,
            last_error: state.last_error.clone(),
        }
    }

    /// Hands free places out to the shards that queue, in turns. Says which others have to look: because a place
    /// is theirs, or because the moment to look again came nearer than they know.
    fn go_round(&self, state: &mut State, shard: usize, now: Time) -> Wakes {
        let mut wakes = Wakes::new();
        while state.queued() > 0 && state.opens_at() <= now {
            let turn = state.next_in_turn();
            let pass = state.enter(now);
            state.shards[turn].granted.push_back(pass);
            if turn != shard && !wakes.contains(&turn) {
                wakes.push(turn);
            }
        }
        let opens_at = if state.queued() > 0 { state.opens_at() } else { Time::NEVER };
        let before = self.opens_at.swap(opens_at.milliseconds(), Ordering::AcqRel);
        if opens_at.milliseconds() < before {
            for (other, at) in state.shards.iter().enumerate() {
                if other != shard && at.queued > at.granted.len() && !wakes.contains(&other) {
                    wakes.push(other);
                }
            }
        }
        wakes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panics under it has an assertion of ours that failed; the counts are whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn at(&mut self, shard: usize) -> &mut AtShard {
        if self.shards.len() <= shard {
            self.shards.resize_with(shard + 1, AtShard::default);
        }
        &mut self.shards[shard]
    }

    /// Calls that queue and have no place yet.
    fn queued(&self) -> usize {
        self.shards.iter().map(|at| at.queued.saturating_sub(at.granted.len())).sum()
    }

    fn next_in_turn(&mut self) -> usize {
        let count = self.shards.len();
        let waits = |at: &AtShard| at.queued > at.granted.len();
        let turn = (0..count)
            .map(|step| (self.turn + step) % count)
            .find(|shard| waits(&self.shards[*shard]))
            .expect("whoever asks has seen that some queue");
        self.turn = (turn + 1) % count;
        turn
    }

    /// When one more call may begin: [`Time::NEVER`] if first another has to end.
    fn opens_at(&self) -> Time {
        if self.under_way >= self.places {
            return Time::NEVER;
        }
        let by_breaker = match self.breaker.opening() {
            Opening::Places(places) if self.under_way < places => Time::from_milliseconds(0),
            Opening::Places(_) | Opening::AfterProbe => Time::NEVER,
            Opening::ProbeAt(at) => at,
        };
        self.pace.map_or(by_breaker, |pace| by_breaker.max(pace.opens_at()))
    }

    fn enter(&mut self, now: Time) -> Pass {
        self.under_way += 1;
        if let Some(pace) = &mut self.pace {
            pace.take(now);
        }
        Pass { is_probe: self.breaker.begun() }
    }

    fn exit(&mut self, pass: Pass, verdict: Verdict, now: Time) {
        assert!(self.under_way > 0, "only a call that was let through leaves");
        self.under_way -= 1;
        self.breaker.ended(verdict, pass.is_probe, self.places, now);
    }

    fn count(&mut self, outcome: Option<&Outcome>, now: Time) {
        let counts = &mut self.outcomes;
        match outcome {
            None => {}
            Some(Outcome::Completed { .. } | Outcome::CompletedTooLarge { .. }) => counts.completed += 1,
            Some(Outcome::Refused(_)) => counts.refused += 1,
            Some(Outcome::Working { .. }) => counts.working += 1,
            Some(Outcome::Conflict { .. }) => counts.conflict += 1,
            Some(Outcome::Unknown { reason, .. }) => {
                counts.unknown += 1;
                self.last_error = Some(LastError { at: now, reason: reason.clone() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use amends_definition::BreakerSettings;

    use super::*;

    const NOW: Time = Time::from_milliseconds(1_000_000);

    fn gate(calls_max: usize) -> SharedGate {
        SharedGate::new(GateLimits { calls_max, rate: None, breaker: BreakerSettings::default() })
    }

    fn completed() -> Outcome {
        Outcome::Completed { output: "{}".into() }
    }

    fn unknown() -> Outcome {
        Outcome::unknown("reset", "reset")
    }

    #[test]
    fn places_go_round_the_shards_that_queue() {
        let gate = gate(1);
        let mut pass = gate.ask(0, NOW).unwrap();
        for shard in [0, 0, 0, 1, 1, 2] {
            assert_eq!(gate.ask(shard, NOW), None);
        }
        let mut order = Vec::new();
        for _ in 0..6 {
            let wakes = gate.leave(9, pass, Some(&completed()), NOW);
            assert_eq!(wakes.len(), 1, "one place is free, so one shard is told");
            order.push(wakes[0]);
            assert_eq!(gate.ask(0, NOW), None, "nobody overtakes those that queue");
            gate.left_queue(0, 1);
            pass = gate.take_granted(wakes[0]).unwrap();
            gate.left_queue(wakes[0], 1);
        }
        assert_eq!(order, [0, 1, 2, 0, 1, 0]);
        assert!(gate.leave(0, pass, Some(&completed()), NOW).is_empty());
        assert_eq!((gate.view().under_way, gate.view().queued), (0, 0));
    }

    #[test]
    fn a_place_that_is_given_back_goes_to_another_shard() {
        let gate = gate(1);
        let pass = gate.ask(0, NOW).unwrap();
        gate.ask(1, NOW);
        gate.ask(2, NOW);
        assert_eq!(gate.leave(0, pass, Some(&completed()), NOW), [1]);
        let pass = gate.take_granted(1).unwrap();
        gate.left_queue(1, 1);
        assert_eq!(gate.give_back(1, pass, NOW), [2]);
    }

    #[test]
    fn shards_learn_when_to_look_again() {
        let gate = gate(30);
        let passes: Vec<Pass> = (0..20).map(|_| gate.ask(0, NOW).unwrap()).collect();
        for pass in passes {
            gate.leave(0, pass, Some(&unknown()), NOW);
        }
        assert_eq!(gate.ask(1, NOW), None);
        assert_eq!(gate.ask(2, NOW), None);
        let probe_at = NOW.after(Duration::from_secs(1));
        assert_eq!(gate.opens_at(), probe_at);
        assert!(gate.look(1, NOW).is_empty());
        assert_eq!(gate.look(2, probe_at), [1], "the probe is the first one's");
        assert_eq!(gate.opens_at(), Time::NEVER);
        let probe = gate.take_granted(1).unwrap();
        gate.left_queue(1, 1);
        assert_eq!(gate.take_granted(2), None, "one probe is one probe");
        assert_eq!(
            gate.leave(1, probe, Some(&unknown()), probe_at),
            [2],
            "it has to know when the next one is"
        );
        assert_eq!(gate.opens_at(), probe_at.after(Duration::from_secs(2)));
        let view = gate.view();
        assert_eq!(view.outcomes.unknown, 21);
        assert_eq!(view.last_error.unwrap().at, probe_at);
    }

    #[test]
    fn a_rate_holds_across_shards() {
        let rate = Some(Rate { calls: 10, per: Duration::from_secs(1) });
        let gate =
            SharedGate::new(GateLimits { calls_max: 1_000, rate, breaker: BreakerSettings::default() });
        let mut begun = usize::from(gate.ask(0, NOW).is_some());
        for at in 0..100 {
            begun += usize::from(gate.ask(at % 3, NOW).is_some());
        }
        for millisecond in 0..2_000 {
            let now = NOW.after(Duration::from_millis(millisecond));
            if gate.opens_at() <= now {
                gate.look(0, now);
                for shard in 0..3 {
                    while gate.take_granted(shard).is_some() {
                        gate.left_queue(shard, 1);
                        begun += 1;
                    }
                }
            }
        }
        assert!((19..=21).contains(&begun), "{begun}");
    }
}
