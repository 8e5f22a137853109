//! Sagas that slept when the engine was opened, from outside.
//!
//! Owns the stories of many timers at once: they are in the journal before there is an engine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use amends_core::{
    CallId, Command, Definition, DefinitionName, Direction, Entropy, Mode, Moment, Origin, Outcome,
    SagaDefinition, SagaSpec, SizeLimits, Standing, Status, StepIndex, StepSpec, Time, Transaction,
    TransactionId, Way,
};
use amends_engine::{EngineBuilder, local};
use amends_journal::conformance::{NOBODY, submit};
use amends_journal::{
    Append, AppendAnswer, Expected, Filter, Journal, MemoryJournal, NewTransaction, Record, Tags, record,
};

const A_DAY: Duration = Duration::from_secs(24 * 3_600);

/// Far longer than it takes.
const WITHIN: Duration = Duration::from_secs(20);

fn definition(name: &str, participant: &str) -> Definition {
    let step = StepSpec::new("a", participant, "do_a").undone_by("undo_a").attempt_limit(A_DAY);
    let (name, limit) = (DefinitionName::new(name), 100 * A_DAY);
    let spec = SagaSpec { name, version: 1, limit, pivot: None, steps: vec![step] };
    SagaDefinition::from_spec(spec).expect("the definition is sound").into()
}

/// A saga whose participant wanted to be asked again at a moment that is long over, as is its limit: it turns
/// back.
fn sleeping(journal: &dyn Journal, definition: &Definition, number: u64) -> TransactionId {
    let now = Time::from_milliseconds(1_000);
    let now = Moment { now, entropy: Entropy(1), sizes: SizeLimits::default() };
    let id = TransactionId::from_parts(number, 1);
    let (mut saga, started) = Transaction::start(id, definition.clone(), "{}".into(), Origin::default(), now);
    let outcome = Outcome::Working { ask_again_after: Some(Duration::from_secs(100)) };
    let attempt = CallId::first(StepIndex(0), Direction::Action).attempt(1);
    let working =
        saga.handle(Command::Answer { attempt, outcome }, now).expect("an answer is never rejected");
    let until = Time::from_milliseconds(100_000 + number);
    let asleep = Standing::Asleep { way: Way::Forward, until };
    let new = NewTransaction {
        mode: Mode::Saga,
        definition: definition.name().clone(),
        version: 1,
        id_given: false,
        key: None,
        fingerprint: None,
        tags: Tags::new(),
        parent: None,
    };
    let append = |expected, sequence, facts, standing| Append {
        id,
        epoch: NOBODY,
        expected,
        record: record::encode(id, sequence, &Record { at: now.now, facts }),
        at: now.now,
        standing,
    };
    let appends = vec![
        append(Expected::from(new), 1, started, Standing::Active(Way::Forward)),
        append(Expected::Sequence(1), 2, working, asleep),
    ];
    assert_eq!(submit(journal, appends), [AppendAnswer::Committed, AppendAnswer::Committed]);
    id
}

fn engine(journal: Arc<dyn Journal>, definition: Definition) -> EngineBuilder {
    let done = local(|_| async { Outcome::Completed { output: "{}".into() } });
    EngineBuilder::new(journal).definition(definition).participant("here", done)
}

#[tokio::test]
async fn thousands_that_are_due_at_once_are_all_awake_within_seconds() {
    const SAGAS: u64 = 10_000;
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
    let definition = definition("Mine", "here");
    for number in 1..=SAGAS {
        sleeping(&*journal, &definition, number);
    }
    let engine = engine(journal, definition).open().unwrap();
    let began = Instant::now();
    let ended = Filter { standings: Status::Compensated.standings(), ..Filter::default() };
    while engine.count(ended.clone()).await.unwrap().count < SAGAS {
        assert!(began.elapsed() < WITHIN / 4, "a page a second would take ten");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn those_that_nobody_here_can_carry_out_are_in_nobodys_way() {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
    // More than are looked at together, and all of them earlier.
    for number in 1..=2_500 {
        sleeping(&*journal, &definition("Theirs", "elsewhere"), number);
    }
    let mine = definition("Mine", "here");
    let last = sleeping(&*journal, &mine, 9_000);
    let engine = engine(journal, mine).open().unwrap();
    let view = tokio::time::timeout(WITHIN, engine.rest(last)).await.expect("it is awake").unwrap().unwrap();
    assert_eq!(view.saga().unwrap().status(), Status::Compensated);
}
