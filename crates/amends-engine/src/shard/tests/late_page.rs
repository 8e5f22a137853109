//! A page of recovery that comes late.
//!
//! Owns the one story that the simulation is too unlikely to tell: the page was read while the saga was
//! paused, and is handed over when an operator has long sent the saga on. Taken at its word it would stay
//! paused in memory for ever.

use std::sync::Arc;
use std::time::Duration;

use amends_core::{
    By, CallId, Command, DefinitionName, Direction, End, Entropy, Moment, Origin, Outcome, SagaDefinition,
    SagaSpec, SizeLimits, Standing, StepIndex, StepSpec, Time, Transaction, TransactionId, Verb, Way,
};
use amends_journal::{AppendAnswer, Epoch};
use bytes::Bytes;

use crate::leases::Leases;
use crate::participant::gate::Places;
use crate::registry::Runnable;
use crate::shard::Shard;
use crate::shard::input::{Found, Input, Output, Reply, Until};

fn now() -> Moment {
    Moment { now: Time::from_milliseconds(1_000), entropy: Entropy(1), sizes: SizeLimits::default() }
}

fn by() -> By {
    By::new("ann", "test")
}

fn done() -> Outcome {
    Outcome::Completed { output: Bytes::from_static(b"{}") }
}

fn runnable() -> Arc<Runnable> {
    let definition = SagaDefinition::from_spec(SagaSpec {
        name: DefinitionName::new("Two"),
        version: 1,
        limit: Duration::from_secs(20),
        pivot: None,
        steps: vec![
            StepSpec::new("a", "p", "a").undone_by("undo_a"),
            StepSpec::new("b", "p", "b").undone_by("undo_b"),
        ],
    });
    Runnable::for_tests(definition.expect("the definition is sound"), &["p"])
}

fn give(shard: &mut Shard<u64>, input: Input<u64>) -> Output<u64> {
    shard.handle(input, now());
    shard.take_output()
}

/// Everything is committed immediately and answered *completed*, until nothing more is asked for.
fn run(shard: &mut Shard<u64>, mut output: Output<u64>) {
    loop {
        let calls = std::mem::take(&mut output.calls);
        let answers: Vec<AppendAnswer> = output.appends.iter().map(|_| AppendAnswer::Committed).collect();
        if calls.is_empty() && answers.is_empty() {
            return;
        }
        if !answers.is_empty() {
            shard.handle(Input::Appended(answers), now());
        }
        for (_, call) in calls {
            let (id, attempt) = (call.transaction, call.attempt);
            shard.handle(Input::Answered { id, attempt, outcome: done() }, now());
        }
        output = shard.take_output();
    }
}

#[test]
fn a_page_that_is_older_than_memory_is_not_believed() {
    let (id, runnable) = (TransactionId::from_parts(1, 1), runnable());
    let definition = runnable.definition.clone();
    let (mut paused, _) =
        Transaction::start(id, definition, Bytes::from_static(b"{}"), Origin::default(), now());
    let attempt = CallId::first(StepIndex(0), Direction::Action).attempt(1);
    let first = Command::Answer { attempt, outcome: done() };
    for command in [Command::Operate { verb: Verb::Pause, by: by(), expected: None }, first] {
        paused.handle(command, now()).unwrap();
    }
    let standing = Standing::Active(Way::Forward);
    let stored = || Found::Transaction {
        transaction: Box::new(paused.clone()),
        sequence: 3,
        runnable: runnable.clone(),
        standing,
    };

    let mut shard = Shard::new(&[Places::Own(1)], 0, Arc::new(Leases::all(Epoch(1))));
    let resume = Input::Command {
        ticket: 1,
        id,
        command: Command::Operate { verb: Verb::Resume, by: by(), expected: None },
    };
    assert_eq!(give(&mut shard, resume).loads, [id]);
    let output = give(&mut shard, Input::Loaded { id, found: stored() });
    run(&mut shard, output);
    assert_eq!(shard.population(), 0, "the saga has ended");

    let output = give(&mut shard, Input::Recovered { id, found: stored() });
    assert_eq!(shard.population(), 0, "what the page says is no longer so");
    assert_eq!(output.loads, [id], "it is read again");
    let mut ended = paused.clone();
    ended.handle(Command::Operate { verb: Verb::Abandon, by: by(), expected: None }, now()).unwrap();
    give(&mut shard, Input::Ask { ticket: 2, id, until: Until::Rest });
    let standing = ended.standing();
    let found = Found::Transaction { transaction: Box::new(ended), sequence: 4, runnable, standing };
    let replies = give(&mut shard, Input::Loaded { id, found }).replies;
    let [(2, Reply::State { transaction, .. })] = &replies[..] else { panic!("one answer: {replies:?}") };
    assert_eq!(transaction.standing(), Standing::Ended(End::Abandoned));
}
