//! Participants that are gone for a while.
//!
//! Owns a world of two shards before one participant, on a virtual clock: everything is durable immediately, and the
//! participant answers after a while, or not at all while it is down. Checks what it sees when it comes back: one
//! probe, then twice as many calls each time, never a herd; and that nothing is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use amends_core::{
    AttemptId, Definition, DefinitionName, End, Entropy, Moment, Outcome, RetryPolicy, SagaDefinition,
    SagaSpec, SizeLimits, Standing, StepKind, StepSpec, Time, TransactionId,
};
use amends_definition::{BreakerSettings, Rate};
use amends_journal::{AppendAnswer, Epoch};
use bytes::Bytes;

use crate::leases::Leases;
use crate::participant::connect::GateLimits;
use crate::participant::gate::Places;
use crate::participant::shared_gate::SharedGate;
use crate::participant::{BreakerView, Call};
use crate::registry::Runnable;
use crate::shard::Shard;
use crate::shard::input::{Input, Reply, Start, Until};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const PLACES: usize = 16;
const ATTEMPT_LIMIT: Duration = Duration::from_secs(2);
const ANSWERS_AFTER: Duration = Duration::from_millis(100);
const START: Time = Time::from_milliseconds(1_000_000);

struct World {
    now: Time,
    shards: Vec<Shard<u64>>,
    gate: Arc<SharedGate>,
    runnable: Arc<Runnable>,
    /// Calls that the participant has, by when it answers.
    under_way: Vec<(Time, usize, Call)>,
    /// When each call arrived.
    arrivals: Vec<(Time, AttemptId)>,
    /// Which keys took effect.
    effects: BTreeMap<String, u32>,
    down: std::ops::Range<Time>,
    ended: BTreeSet<TransactionId>,
    compensated: usize,
    started: u64,
    most_under_way: usize,
}

impl World {
    fn new(down: std::ops::Range<Time>, rate: Option<Rate>) -> Self {
        let retry = RetryPolicy {
            attempts: Some(20),
            first: Duration::from_millis(200),
            cap: 30 * SECOND,
            ..RetryPolicy::action()
        };
        let step = |name| {
            let mut spec = StepSpec::new(name, "p", name)
                .undone_by(format!("undo_{name}"))
                .retry(retry.clone())
                .attempt_limit(ATTEMPT_LIMIT);
            let StepKind::Call(call) = &mut spec.kind else { panic!("{spec:?} is a call") };
            call.limit = Some(HOUR);
            spec
        };
        let definition = SagaDefinition::from_spec(SagaSpec {
            name: DefinitionName::new("Two"),
            version: 1,
            limit: HOUR,
            pivot: None,
            steps: vec![step("a"), step("b")],
        });
        let definition = Definition::from(definition.expect("the definition is sound"));
        let runnable = Runnable::for_tests(definition, &["p"]);
        let limits = GateLimits { calls_max: PLACES, rate, breaker: BreakerSettings::default() };
        let gate = Arc::new(SharedGate::new(limits));
        let shard =
            |number| Shard::new(&[Places::Shared(gate.clone())], number, Arc::new(Leases::all(Epoch(1))));
        Self {
            now: START,
            shards: vec![shard(0), shard(1)],
            gate,
            runnable,
            under_way: Vec::new(),
            arrivals: Vec::new(),
            effects: BTreeMap::new(),
            down,
            ended: BTreeSet::new(),
            compensated: 0,
            started: 0,
            most_under_way: 0,
        }
    }

    fn moment(&self) -> Moment {
        Moment { now: self.now, entropy: Entropy(self.now.milliseconds()), sizes: SizeLimits::default() }
    }

    fn start(&mut self) {
        self.started += 1;
        let start = Start {
            ticket: Some(self.started),
            id: TransactionId::from_parts(1, u128::from(self.started)),
            id_given: false,
            key: None,
            fingerprint: None,
            runnable: self.runnable.clone(),
            input: Bytes::from_static(b"{}"),
            origin: None,
            order: None,
            until: Until::Rest,
        };
        let shard = usize::try_from(self.started % 2).expect("it is 0 or 1");
        self.give(shard, Input::Start(start));
    }

    /// Everything that follows from an input, here and now.
    fn give(&mut self, shard: usize, input: Input<u64>) {
        let moment = self.moment();
        let mut inputs = vec![(shard, input)];
        while let Some((shard, input)) = inputs.pop() {
            self.shards[shard].handle(input, moment);
            let output = self.shards[shard].take_output();
            for (_, call) in output.calls {
                self.call(shard, call);
            }
            let answers = vec![AppendAnswer::Committed; output.appends.len()];
            if !answers.is_empty() {
                inputs.push((shard, Input::Appended(answers)));
            }
            inputs.extend(output.wakes.into_iter().map(|(other, gate)| (other, Input::LookAtGate(gate))));
            for (_, reply) in output.replies {
                let Reply::State { transaction, .. } = reply else { panic!("{reply:?}") };
                let Standing::Ended(end) = transaction.standing() else { panic!("{transaction:?}") };
                assert!(self.ended.insert(transaction.id()), "it ends once");
                self.compensated += usize::from(end != End::Completed);
            }
        }
    }

    fn call(&mut self, shard: usize, call: Call) {
        self.arrivals.push((self.now, call.attempt));
        // Whoever is down says nothing: the attempt's limit passes, and the caller is gone.
        if !self.down.contains(&self.now) {
            self.under_way.push((self.now.after(ANSWERS_AFTER), shard, call));
            self.most_under_way = self.most_under_way.max(self.under_way.len());
        }
    }

    /// Lets time pass, and starts a saga every so often.
    fn run(&mut self, span: Duration, start_every: Option<Duration>) {
        let until = self.now.after(span);
        let mut next_start = start_every.map_or(Time::NEVER, |every| self.now.after(every));
        loop {
            let answer = self.under_way.iter().map(|(at, ..)| *at).min().unwrap_or(Time::NEVER);
            let wakes = self.shards.iter().map(Shard::wake_at).min().expect("there are two");
            let next = answer.min(wakes).min(next_start);
            if next > until {
                self.now = until;
                return;
            }
            self.now = self.now.max(next);
            if next_start <= self.now {
                self.start();
                next_start = self.now.after(start_every.expect("something is started"));
            }
            while let Some(at) = self.under_way.iter().position(|(at, ..)| *at <= self.now) {
                let (_, shard, call) = self.under_way.remove(at);
                *self.effects.entry(call.idempotency_key()).or_default() += 1;
                let outcome = Outcome::Completed { output: Bytes::from_static(b"{}") };
                let (id, attempt) = (call.transaction, call.attempt);
                self.give(shard, Input::Answered { id, attempt, outcome });
            }
            for shard in 0..self.shards.len() {
                if self.shards[shard].wake_at() <= self.now {
                    self.give(shard, Input::Tick);
                }
            }
        }
    }

    /// How many calls arrived in each span from a moment on.
    fn arrived(&self, from: Time, span: Duration, count: usize) -> Vec<usize> {
        let mut counts = vec![0; count];
        for (at, _) in self.arrivals.iter().filter(|(at, _)| *at >= from) {
            let place = usize::try_from(at.since(from).as_millis() / span.as_millis()).expect("it is few");
            if let Some(count) = counts.get_mut(place) {
                *count += 1;
            }
        }
        counts
    }

    fn assert_all_ended_well(&self) {
        assert_eq!(self.ended.len() as u64, self.started, "nothing is lost");
        assert_eq!(self.compensated, 0, "an hour was enough");
        assert!(self.effects.values().all(|times| *times == 1), "nothing took effect twice");
        assert_eq!(self.effects.len() as u64, 2 * self.started);
        let view = self.gate.view();
        assert_eq!((view.under_way, view.queued, view.breaker), (0, 0, BreakerView::Closed));
        for shard in &self.shards {
            assert_eq!(shard.population(), 0);
            assert!(shard.gates.iter().all(|gate| gate.is_empty() && gate.queue_length() == 0));
        }
    }
}

#[test]
fn a_participant_that_is_down_for_ten_minutes_is_drained_when_it_returns() {
    let down = START.after(10 * SECOND)..START.after(10 * SECOND + 10 * MINUTE);
    let mut world = World::new(down.clone(), None);
    world.run(10 * SECOND, Some(Duration::from_millis(50)));
    world.run(10 * MINUTE, Some(Duration::from_millis(500)));
    let probes: Vec<Time> = (world.arrivals.iter().map(|(at, _)| *at))
        .filter(|at| down.contains(at) && at.since(down.start) > 15 * SECOND)
        .collect();
    assert!(probes.len() < 30, "{} calls while it was down", probes.len());
    let rests: Vec<u64> = probes.windows(2).map(|pair| pair[1].since(pair[0]).as_secs()).collect();
    assert!(rests.iter().all(|rest| *rest <= 33), "a probe every 30 s and its own limit: {rests:?}");
    let view = world.gate.view();
    assert!(matches!(view.breaker, BreakerView::Open { .. } | BreakerView::HalfOpen { .. }), "{view:?}");
    assert!(view.queued > 1_000, "{view:?}");

    world.most_under_way = 0;
    world.run(40 * SECOND, None);
    let first = world.arrivals.iter().map(|(at, _)| *at).find(|at| *at >= down.end).expect("it is probed");
    assert_eq!(world.arrived(first, ANSWERS_AFTER, 8), [1, 1, 2, 4, 8, 16, 16, 16]);
    assert_eq!(world.most_under_way, PLACES);
    world.run(10 * MINUTE, None);
    world.assert_all_ended_well();
}

#[test]
fn a_participant_that_is_down_again_while_it_recovers_meets_no_herd() {
    let down = START..START.after(5 * MINUTE);
    let mut world = World::new(down, None);
    world.run(5 * MINUTE, Some(SECOND));
    world.run(30 * SECOND, None);
    let recovered = world.arrivals.len();
    world.down = world.now..world.now.after(MINUTE);
    for _ in 0..100 {
        world.start();
    }
    world.run(MINUTE, None);
    let asked = world.arrivals.len() - recovered;
    assert!(asked <= 2 * PLACES + 20, "{asked} calls while it was down again");
    world.run(10 * MINUTE, None);
    world.assert_all_ended_well();
}

#[test]
fn a_rate_is_kept_while_a_queue_is_drained() {
    let mut world = World::new(START..START, Some(Rate { calls: 10, per: SECOND }));
    for _ in 0..100 {
        world.start();
    }
    world.run(15 * SECOND, None);
    let counts = world.arrived(START, SECOND, 15);
    assert!(counts.iter().all(|count| (9..=11).contains(count)), "{counts:?}");
    world.run(MINUTE, None);
    world.assert_all_ended_well();
}

#[test]
fn what_was_given_up_while_a_participant_is_away_does_not_pile_up() {
    let down = START..START.after(10 * HOUR);
    let mut world = World::new(down, None);
    // Each saga passes its limit while it queues; its undo then queues as well.
    world.run(3 * HOUR, Some(10 * SECOND));
    let queued: usize = world.shards.iter().map(|shard| shard.gates[0].queue_length()).sum();
    let live: usize = world.shards.iter().map(Shard::population).sum();
    assert!(queued <= 2 * (live + 2 * 64), "{queued} queue, {live} are live");
    assert_eq!(world.gate.view().queued, queued);
    assert!(world.shards.iter().all(|shard| shard.wake_at() > world.now));
}
