//! What holds over random definitions and schedules.
//!
//! A tape of random bytes makes every choice; when it runs out, participants complete whatever they are
//! asked, so that every run must come to an end. Shrinking the tape shrinks the story.

mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use amends_core::{
    CallSpec, CallStep, Cause, Command, CompensationSpec, DefinitionName, Direction, EachSpec, Event,
    OnTimeout, Outcome, OwedCall, ParkReason, RetryPolicy, Role, SagaDefinition, SagaSpec, SizeLimits,
    Status, StepId, StepIndex, StepKind, StepSpec, Time, Verb, WaitStep,
};
use proptest::prelude::*;
use run::{Run, Scripted, completed};

/// Choices, from random bytes; zero for ever once they are used up.
struct Tape {
    bytes: Vec<u8>,
    at: usize,
}

impl Tape {
    fn byte(&mut self) -> u8 {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        byte
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    fn is_over(&self) -> bool {
        self.at >= self.bytes.len()
    }
}

fn policy(tape: &mut Tape) -> RetryPolicy {
    RetryPolicy {
        attempts: Some(1 + tape.below(4) as u32),
        first: Duration::from_millis(100),
        factor: 2,
        cap: Duration::from_secs(1),
        not_retryable: vec!["hopeless".to_owned()],
    }
}

/// A call most often; what the step's place to the pivot forbids is not chosen.
fn kind(tape: &mut Tape, at: usize, pivot: Option<usize>) -> StepKind {
    let is_pivot = pivot == Some(at);
    let is_after = pivot.is_some_and(|pivot| at > pivot);
    match tape.below(6) {
        0 if !is_pivot => StepKind::Sleep { length: Duration::from_millis(500 * tape.below(4) as u64) },
        1 if !is_pivot => {
            let go_on = is_after || tape.below(2) == 0;
            let on_timeout = if go_on { OnTimeout::GoOn } else { OnTimeout::TurnBack };
            let (signal, limit) = ("go".to_owned(), Duration::from_secs(3));
            StepKind::Wait(WaitStep { signal, limit, on_timeout, refused_by: None })
        }
        _ => {
            let call = |operation: String, retry| CallSpec {
                retry: Some(retry),
                ..CallSpec::new("participant", operation)
            };
            let action = call(format!("s{at}"), policy(tape));
            let compensation = if is_after || is_pivot && tape.below(2) == 0 {
                CompensationSpec::None
            } else {
                let needs_output = tape.below(3) == 0;
                CompensationSpec::Call { call: call(format!("undo{at}"), policy(tape)), needs_output }
            };
            StepKind::Call(CallStep { action, limit: None, compensation, refuse_on: Vec::new() })
        }
    }
}

/// A random DAG of up to six steps; those that a pivot forbids are mended rather than thrown away.
fn definition(tape: &mut Tape) -> SagaDefinition {
    let count = 1 + tape.below(6);
    let pivot = (tape.below(2) == 1).then(|| tape.below(count));
    let linear = tape.below(2) == 1;
    let mut steps = Vec::new();
    let mut scripted = Scripted::default();
    for (at, name) in NAMES.into_iter().enumerate().take(count) {
        let mut step = StepSpec::of(name, kind(tape, at, pivot));
        if pivot != Some(at) {
            scripted = modified(tape, scripted, &mut step, name);
        }
        if !linear {
            let mut after: Vec<String> =
                (0..at).filter(|_| tape.below(3) == 0).map(|n| format!("s{n}")).collect();
            if let Some(pivot) = pivot {
                // Everything stands before or after the pivot.
                if at == pivot {
                    after = (0..at).map(|n| format!("s{n}")).collect();
                } else if at > pivot {
                    after.push(format!("s{pivot}"));
                }
            }
            step.after = Some(after);
        }
        steps.push(step);
    }
    let definition = SagaDefinition::from_spec(SagaSpec {
        name: DefinitionName::new("Random"),
        version: 1,
        limit: Duration::from_secs(30),
        pivot: pivot.map(|at| format!("s{at}")),
        steps,
    })
    .expect("the generator makes valid definitions");
    let returned = match tape.below(12) {
        0 => Err("no such field"),
        _ => Ok("[1]"),
    };
    scripted.returns(returned).for_definition(definition)
}

const NAMES: [&str; 6] = ["s0", "s1", "s2", "s3", "s4", "s5"];

/// Gives a step a guard, or has it run once for each element, now and then.
fn modified(tape: &mut Tape, scripted: Scripted, step: &mut StepSpec, name: &'static str) -> Scripted {
    match (tape.below(8), &step.kind) {
        (0, _) => {
            step.when = true;
            let guards = [Ok(true), Ok(false), Err("no such field")];
            scripted.guard(name, guards[tape.below(3)])
        }
        (1 | 2, StepKind::Call(_)) => {
            step.each = Some(EachSpec { concurrency: 1 + tape.below(3) as u32 });
            scripted.runs(name, tape.below(5))
        }
        _ => scripted,
    }
}

fn outcome(tape: &mut Tape) -> Outcome {
    match tape.below(10) {
        0..=4 => completed(),
        5 | 6 => Outcome::refused("no", "not today"),
        7 => Outcome::Working { ask_again_after: (tape.below(2) == 0).then_some(Duration::from_millis(300)) },
        8 => Outcome::unknown("reset", "connection reset"),
        _ => match tape.below(4) {
            0 => Outcome::unknown("hopeless", "never works"),
            1 => Outcome::Conflict { message: "another payload".to_owned() },
            _ => Outcome::unknown("timed_out", "no answer"),
        },
    }
}

fn verb(tape: &mut Tape, steps: usize) -> Verb {
    let step = StepId {
        step: StepIndex(tape.below(steps) as u16),
        occurrence: tape.below(5).checked_sub(2).map(|n| n as u32),
    };
    match tape.below(8) {
        0 | 1 => Verb::Cancel,
        2 if tape.below(2) == 0 => Verb::RETRY,
        2 => Verb::Retry { step: Some(step), payload: Some(bytes::Bytes::from_static(b"[1]")) },
        3 => Verb::Skip { step, output: bytes::Bytes::from_static(b"null") },
        4 => Verb::Resolve { step },
        5 => Verb::Pause,
        6 => Verb::Resume,
        _ => Verb::Reverse,
    }
}

/// What the operator did so far decides what may turn.
struct Story {
    run: Run,
    /// Answers that came once and may come again, or late.
    past: Vec<(OwedCall, Outcome)>,
    operated: bool,
}

impl Story {
    fn turn(&mut self, tape: &mut Tape) {
        let steps = self.run.definition.spec().steps.len();
        let calls: Vec<OwedCall> = self.run.under_way.values().copied().collect();
        match tape.below(16) {
            12 => {
                let key = tape.below(3).to_string();
                // Rejected or not: it must not harm.
                let _ = self.run.signal("go", &key, b"true");
            }
            13 if !calls.is_empty() => {
                let attempt = calls[tape.below(calls.len())].attempt;
                self.run.under_way.remove(&attempt);
                let why = "no such field".to_owned();
                self.run.give(Command::Unmade { attempt, why }, 5).expect("answers are never rejected");
            }
            14 => {
                self.run.now = self.run.now.before(Duration::from_millis(u64::from(tape.byte()) * 100));
                self.run.crash();
            }
            15 => {
                // From a tight limit to the usual one.
                self.run.sizes.payload_bytes_max = 5 + 1_000 * tape.below(2) as u64;
                self.run.sizes.saga_bytes_max = 1_000 + 1_000_000 * tape.below(2) as u64;
            }
            11 if !self.past.is_empty() => {
                // Whoever was called reports, or repeats what it said.
                let (call, outcome) = self.past[tape.below(self.past.len())].clone();
                let call = call.attempt.call;
                let _ = self.run.give(Command::Callback { call, outcome }, 5);
            }
            0..=5 if !calls.is_empty() => {
                let call = calls[tape.below(calls.len())];
                let outcome = outcome(tape);
                self.past.push((call, outcome.clone()));
                self.run.answer(call, outcome, u64::from(tape.byte()));
            }
            6 if !self.past.is_empty() => {
                let (call, outcome) = self.past[tape.below(self.past.len())].clone();
                self.run.answer(call, outcome, 5);
            }
            7 if !calls.is_empty() => {
                // Its attempt times out; the true answer comes later, perhaps.
                let call = calls[tape.below(calls.len())];
                self.past.push((call, completed()));
                self.run.answer(call, Outcome::unknown("timed_out", "no answer"), u64::from(tape.byte()));
            }
            8 => self.run.crash(),
            9 => {
                let verb = verb(tape, steps);
                self.operated |= self.run.operate(verb).is_ok();
            }
            10 => {
                self.run.now = self.run.now.after(Duration::from_millis(u64::from(tape.byte()) * 100));
                self.run.give(Command::Wake, 9).expect("waking is never rejected");
            }
            _ => self.wake_when_due(),
        }
    }

    fn wake_when_due(&mut self) {
        let wake_at = self.run.saga.wake_at();
        if wake_at < Time::NEVER {
            self.run.now = self.run.now.max(wake_at);
        }
        self.run.give(Command::Wake, 2).expect("waking is never rejected");
    }

    /// Faults have stopped: every call is answered *completed*.
    fn finish(&mut self) {
        const TURNS_MAX: usize = 1_000;
        self.run.sizes = SizeLimits::default();
        for _ in 0..TURNS_MAX {
            if self.run.saga.standing().is_at_rest() {
                return;
            }
            if self.run.saga.is_paused() {
                self.run.operate(Verb::Resume).expect("a paused saga resumes");
            } else if let Some(call) = self.run.under_way.values().next().copied() {
                self.run.answer(call, completed(), 1);
            } else {
                self.wake_when_due();
            }
        }
        panic!("the saga neither ended nor parked: {:#?}", self.run.saga);
    }
}

fn check_story(run: &Run, operated: bool) {
    let definition = &run.definition;
    let mut started = BTreeSet::new();
    let mut undone = BTreeMap::<StepId, u32>::new();
    let mut clear = BTreeSet::new();
    let mut turned_back = false;
    for event in run.events() {
        match event {
            Event::StepStarted { step } => {
                assert!(!turned_back, "nothing starts on the way back");
                started.insert(*step);
            }
            Event::TurnedBack { cause } => {
                assert!(!turned_back, "a saga turns back once");
                turned_back = true;
                let pivot_started = definition.pivot().is_some_and(|pivot| started.contains(&pivot.into()));
                if pivot_started && !operated {
                    let is_its_own = |pivot: StepIndex| {
                        [Cause::Refused(pivot.into()), Cause::Unmade(pivot.into())].contains(cause)
                    };
                    assert!(
                        definition.pivot().is_some_and(is_its_own),
                        "after the pivot was sent only its own certain refusal turns the saga back"
                    );
                }
            }
            Event::SagaCompleted { .. } => assert!(!turned_back, "a saga that turned back does not complete"),
            Event::CompensationStarted { step } | Event::OutputSought { step } => {
                assert!(turned_back, "nothing is undone on the way forward");
                assert!(started.contains(step), "nothing without a durable start is undone");
                let is_before = |next: &&StepId| {
                    let is_later_leg = next.step == step.step && next.occurrence > step.occurrence;
                    is_later_leg || definition.step(step.step).successors.contains(&next.step)
                };
                for next in started.iter().filter(is_before) {
                    assert!(
                        !definition.has_undo(next.step) || clear.contains(next),
                        "undo runs in reverse: {step:?} before its successor {next:?} was clear"
                    );
                }
            }
            Event::CompensationCompleted { step } | Event::CompensationResolved { step, .. } => {
                *undone.entry(*step).or_default() += 1;
                clear.insert(*step);
            }
            Event::CompensationFailed { step, .. } | Event::NothingToUndo { step } => {
                clear.insert(*step);
            }
            Event::StepRefused { step, .. } | Event::StepUnmade { step, .. } => {
                clear.insert(*step);
            }
            Event::StepGivenUp { step, .. }
            | Event::StepConflicted { step, .. }
            | Event::OutputTooLarge { step, .. } => {
                // In doubt: what was clear by a refusal before an operator's retry is not clear any more.
                clear.remove(step);
            }
            Event::StepCompleted { step, .. } => {
                clear.remove(step);
            }
            _ => {}
        }
    }
    assert!(undone.values().all(|times| *times == 1), "nothing is undone twice: {undone:?}");
}

/// A refusal after an attempt whose outcome is unknown leaves the step in doubt, so it must be undone.
fn check_end(run: &Run) {
    let saga = &run.saga;
    match saga.status() {
        Status::Compensated => {
            for (at, step) in saga.steps().iter().enumerate() {
                let index = StepIndex(at as u16);
                let effect_known = run.events().any(
                    |event| matches!(event, Event::StepCompleted { step, .. } | Event::OutputFound { step, .. } if step.step == index),
                );
                if effect_known && run.definition.has_undo(index) {
                    assert_eq!(step.state.status().as_str(), "compensated", "an effect was left standing");
                }
            }
        }
        Status::Completed => {
            assert!(
                saga.steps()
                    .iter()
                    .all(|step| matches!(step.state.status().as_str(), "completed" | "skipped"))
            );
        }
        Status::Parked => assert!(saga.parked().is_some(), "a parked saga says why"),
        Status::Abandoned | Status::Pending | Status::InProgress | Status::Compensating => {
            panic!("a run ends or parks, this one is {}", saga.status())
        }
    }
}

fn tell(bytes: Vec<u8>, with_operator: bool) -> Story {
    let mut tape = Tape { bytes, at: 0 };
    let definition = definition(&mut tape);
    let mut story = Story { run: Run::start(definition), past: Vec::new(), operated: false };
    while !tape.is_over() {
        let verbs_off = !with_operator && tape.bytes.get(tape.at).is_some_and(|byte| byte % 16 == 9);
        if verbs_off {
            tape.at += 1;
            continue;
        }
        story.turn(&mut tape);
        assert_eq!(story.run.replayed(), story.run.saga, "replaying the events gives the same state");
    }
    story.finish();
    story
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn every_run_undoes_in_reverse_and_ends_or_parks(bytes in prop::collection::vec(any::<u8>(), 0..160)) {
        let story = tell(bytes, false);
        check_story(&story.run, false);
        check_end(&story.run);
    }

    #[test]
    fn with_an_operators_verbs_too(bytes in prop::collection::vec(any::<u8>(), 0..160)) {
        let story = tell(bytes, true);
        check_story(&story.run, story.operated);
        check_end(&story.run);
    }

    #[test]
    fn a_parked_saga_can_always_be_helped_on(bytes in prop::collection::vec(any::<u8>(), 0..160)) {
        let mut story = tell(bytes, true);
        // Retrying while participants complete everything must lead out of every parking place.
        for _ in 0..20 {
            if story.run.saga.status() != Status::Parked {
                break;
            }
            story.run.operate(Verb::RETRY).expect("a parked saga can be retried");
            story.finish();
        }
        let is_stuck_for_good = story.run.saga.parked().is_some_and(|parked| match &parked.because {
            // An expression that fails, fails each time.
            ParkReason::OutputUnmade => true,
            ParkReason::Unmade(step) => story.run.step(*step).attempts == 0,
            _ => false,
        });
        prop_assert!(story.run.saga.status().is_ended() || is_stuck_for_good, "{:#?}", story.run.saga);
        check_story(&story.run, true);
    }
}

#[test]
fn the_generator_reaches_every_ending_and_role() {
    let mut seen = BTreeSet::new();
    let mut roles = BTreeSet::new();
    let mut seed = 1_u64;
    for _ in 0..2_000 {
        let bytes = (0..120)
            .map(|_| {
                seed = amends_core::retry::splitmix64(seed);
                (seed >> 32) as u8
            })
            .collect();
        let story = tell(bytes, true);
        seen.insert(story.run.saga.status());
        for event in story.run.events() {
            let mut note = |what| {
                roles.insert(what);
            };
            match event {
                Event::OutputSought { .. } => note("sought"),
                Event::NothingToUndo { .. } => note("nothing to undo"),
                Event::AttemptWorking { .. } => note("working"),
                Event::CompensationFailed { .. } => note("compensation failed"),
                Event::SagaReversed { .. } => note("reversed"),
                Event::StepSkipped { .. } => note("skipped"),
                Event::AttemptStarted { attempt } if attempt.direction() == Direction::Compensation => {
                    note("undo again");
                }
                Event::SleepEnded { .. } => note("slept"),
                Event::SignalTaken { .. } => note("signalled"),
                Event::WaitTimedOut { .. } => note("waited in vain"),
                Event::OutputTooLarge { .. } => note("output too large"),
                Event::StepUnmade { .. } => note("unmade"),
                Event::ClockSetBack { .. } => note("clock set back"),
                Event::StepPassedOver { .. } => note("passed over"),
                Event::StepUnjudged { .. } => note("unjudged"),
                Event::StepSplit { .. } => note("split"),
                Event::CompensationStarted { step } if step.occurrence.is_some() => note("run undone"),
                Event::CallCorrected { .. } => note("corrected"),
                Event::LateEffect { .. } => note("late effect"),
                Event::RefusalReported { .. } => note("refused by callback"),
                Event::OutputUnmade { .. } => note("output unmade"),
                Event::SagaParked { because: ParkReason::SagaTooLarge { .. } } => note("saga too large"),
                _ => {}
            }
        }
        for step in story.run.definition.order() {
            roles.insert(match story.run.definition.step(*step).role {
                Role::BeforePivot => "before",
                Role::Pivot => "pivot",
                Role::AfterPivot => "after",
            });
        }
    }
    assert!(
        seen.contains(&Status::Completed)
            && seen.contains(&Status::Compensated)
            && seen.contains(&Status::Parked)
    );
    assert_eq!(roles.len(), 25, "{roles:?}");
}
