//! A page of recovery that comes late.
//!
//! Owns the one story that the simulation is too unlikely to tell: the page was read while the saga was paused, and is
//! handed over when an operator has long sent the saga on. Taken at its word it would stay paused in memory for ever.

use std::sync::Arc;
use std::time::Duration;

use amends_core::{
    By, Command, Definition, DefinitionName, DefinitionSpec, Direction, Entropy, Moment, Outcome, Saga,
    Standing, Status, StepIndex, StepSpec, Time, TransactionId, Verb, Way,
};
use amends_journal::{AppendAnswer, Epoch};
use bytes::Bytes;

use crate::leases::Leases;
use crate::registry::Plan;
use crate::shard::Shard;
use crate::shard::gate::{Gate, ParticipantIndex};
use crate::shard::input::{Found, Input, Output, Reply, Until};

const NOW: Moment = Moment { now: Time::from_milliseconds(1_000), entropy: Entropy(1) };

fn by() -> By {
    By { who: "ann".to_owned(), why: "test".to_owned() }
}

fn done() -> Outcome {
    Outcome::Completed { output: Bytes::from_static(b"{}") }
}

fn plan() -> Arc<Plan> {
    let definition = Definition::check(DefinitionSpec {
        name: DefinitionName::new("Two"),
        version: 1,
        limit: Duration::from_secs(20),
        pivot: None,
        steps: vec![
            StepSpec::new("a", "p", "a").undone_by("undo_a"),
            StepSpec::new("b", "p", "b").undone_by("undo_b"),
        ],
    });
    let definition = Arc::new(definition.expect("the plan is sound"));
    Arc::new(Plan { definition, participants: vec![ParticipantIndex(0); 2] })
}

fn give(shard: &mut Shard<u64>, input: Input<u64>) -> Output<u64> {
    shard.handle(input, NOW);
    shard.take_output()
}

/// Everything is committed at once and answered *completed*, until nothing more is asked for.
fn run(shard: &mut Shard<u64>, mut output: Output<u64>) {
    loop {
        let calls = std::mem::take(&mut output.calls);
        let answers: Vec<AppendAnswer> = output.appends.iter().map(|_| AppendAnswer::Committed).collect();
        if calls.is_empty() && answers.is_empty() {
            return;
        }
        if !answers.is_empty() {
            shard.handle(Input::Appended(answers), NOW);
        }
        for (_, call) in calls {
            let (saga, step, direction, attempt) = (call.saga, call.step, call.direction, call.attempt);
            shard.handle(Input::Answered { saga, step, direction, attempt, outcome: done() }, NOW);
        }
        output = shard.take_output();
    }
}

#[test]
fn a_page_that_is_older_than_memory_is_not_believed() {
    let (id, plan) = (TransactionId::from_parts(1, 1), plan());
    let (mut paused, _) = Saga::start(id, plan.definition.clone(), Bytes::from_static(b"{}"), NOW);
    let first =
        Command::Answer { step: StepIndex(0), direction: Direction::Action, attempt: 1, outcome: done() };
    for command in [Command::Operate { verb: Verb::Pause, by: by() }, first] {
        paused.decide(command, NOW).unwrap();
    }
    let standing = Standing::Active(Way::Forward);
    let stored = || Found::Saga { saga: Box::new(paused.clone()), sequence: 3, plan: plan.clone(), standing };

    let mut shard = Shard::new(vec![Gate::new(1)], Arc::new(Leases::all(Epoch(1))));
    let resume = Input::Operate { ticket: 1, saga: id, verb: Verb::Resume, by: by() };
    assert_eq!(give(&mut shard, resume).loads, [id]);
    let output = give(&mut shard, Input::Loaded { saga: id, found: stored() });
    run(&mut shard, output);
    assert_eq!(shard.population(), 0, "the saga has ended");

    let output = give(&mut shard, Input::Recovered { saga: id, found: stored() });
    assert_eq!(shard.population(), 0, "what the page says is no longer so");
    assert_eq!(output.loads, [id], "it is read again");
    let mut ended = paused.clone();
    ended.decide(Command::Operate { verb: Verb::Abandon, by: by() }, NOW).unwrap();
    give(&mut shard, Input::Ask { ticket: 2, saga: id, until: Until::Rest });
    let standing = ended.status().standing();
    let found = Found::Saga { saga: Box::new(ended), sequence: 4, plan, standing };
    let replies = give(&mut shard, Input::Loaded { saga: id, found }).replies;
    let [(2, Reply::State { saga, .. })] = &replies[..] else { panic!("one answer: {replies:?}") };
    assert_eq!(saga.status(), Status::Abandoned);
}
