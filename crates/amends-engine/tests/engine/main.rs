//! The engine from outside: handle, shell, journal and participants together.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

mod calls;
mod children;
mod errand;
mod owners;
mod waits;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use amends_core::{
    By, DefinitionName, Outcome, RetryPolicy, SagaDefinition, SagaSpec, Status, StepSpec, Verb,
};
use amends_engine::{
    Call, Engine, EngineBuilder, Missing, Options, Participant, ReadError, StartError, StartRequest,
    StartUpError, Wait, local,
};
use amends_journal::{Journal, MemoryJournal};
use amends_journal_sqlite::{SqliteJournal, SqliteOptions};
use tokio::sync::Notify;

fn two_steps(limit: Duration) -> SagaDefinition {
    let quick = RetryPolicy { first: Duration::from_millis(1), ..RetryPolicy::action() };
    SagaDefinition::from_spec(SagaSpec {
        name: DefinitionName::new("Two"),
        version: 1,
        limit,
        pivot: None,
        steps: vec![
            StepSpec::new("a", "p", "do_a").undone_by("undo_a").retry(quick.clone()),
            StepSpec::new("b", "p", "do_b").undone_by("undo_b").retry(quick),
        ],
    })
    .expect("the definition is sound")
}

fn done() -> Outcome {
    Outcome::Completed { output: "{}".into() }
}

fn request(key: Option<&str>, wait: Wait) -> StartRequest {
    let request = StartRequest::new(DefinitionName::new("Two"), "{\"n\":1}");
    StartRequest { key: key.map(str::to_owned), wait, ..request }
}

fn open(journal: Arc<dyn Journal>, participant: Arc<dyn Participant>, options: Options) -> Engine {
    EngineBuilder::new(journal)
        .definition(two_steps(Duration::from_secs(60)))
        .participant("p", participant)
        .options(options)
        .open()
        .expect("the engine starts")
}

fn sqlite(directory: &Path) -> Arc<dyn Journal> {
    let fatal = Box::new(|message: String| panic!("{message}"));
    Arc::new(SqliteJournal::open(directory, SqliteOptions::default(), fatal).expect("it opens"))
}

fn memory() -> Arc<dyn Journal> {
    Arc::new(MemoryJournal::default())
}

#[tokio::test]
async fn a_saga_runs_to_its_end_and_a_repeat_finds_it() {
    let engine = open(memory(), local(|_| async { done() }), Options::default());
    let first = engine.start(request(Some("k"), Wait::Rest)).await.unwrap();
    assert_eq!(first.saga().unwrap().status(), Status::Completed);
    assert_eq!(first.sequence, 3, "two steps cost three appends");
    let second = engine.start(request(Some("k"), Wait::Rest)).await.unwrap();
    assert_eq!(second.saga().unwrap().id(), first.saga().unwrap().id());
    let other = StartRequest { input: "{\"n\":2}".into(), ..request(Some("k"), Wait::Rest) };
    assert!(matches!(engine.start(other).await, Err(StartError::KeyReused { .. })));
}

#[tokio::test]
async fn one_key_for_two_definitions_is_a_conflict_and_no_answer_from_the_wrong_saga() {
    let spec =
        SagaSpec { name: DefinitionName::new("Other"), ..two_steps(Duration::from_secs(60)).spec().clone() };
    let engine = EngineBuilder::new(memory())
        .definition(two_steps(Duration::from_secs(60)))
        .definition(SagaDefinition::from_spec(spec).unwrap())
        .participant("p", local(|_| async { done() }))
        .open()
        .unwrap();
    engine.start(request(Some("order-1"), Wait::Rest)).await.unwrap();
    let other =
        StartRequest { definition: DefinitionName::new("Other"), ..request(Some("order-1"), Wait::Rest) };
    assert!(matches!(engine.start(other).await, Err(StartError::KeyReused { .. })));
}

#[tokio::test]
async fn a_handler_that_panics_is_an_unknown_outcome_and_harms_nobody_else() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let participant = local(move |call: Call| {
        let count = counted.fetch_add(1, Ordering::Relaxed);
        assert!(call.operation() != "do_b" || count > 3, "panicking before there is a future");
        async move {
            assert!(count != 2, "panicking inside the future");
            done()
        }
    });
    let engine = open(memory(), participant, Options::default());
    let view = engine.start(request(None, Wait::Rest)).await.unwrap();
    assert_eq!(view.saga().unwrap().status(), Status::Completed);
    assert!(view.saga().unwrap().steps()[1].attempts > 1, "the panic cost an attempt");
}

#[tokio::test]
async fn a_full_engine_turns_new_sagas_away_but_answers_repeats() {
    let gate = Arc::new(Notify::new());
    let held = gate.clone();
    let participant = local(move |call: Call| {
        let held = held.clone();
        async move {
            if call.operation() == "do_a" {
                held.notified().await;
            }
            done()
        }
    });
    let engine = open(memory(), participant, Options { live_max: 1, ..Options::default() });
    let first = engine.start(request(Some("k"), Wait::Accepted)).await.unwrap();
    assert!(matches!(engine.start(request(None, Wait::Accepted)).await, Err(StartError::Full(1))));
    assert!(matches!(engine.start(request(Some("new"), Wait::Accepted)).await, Err(StartError::Full(1))));
    let repeat = engine.start(request(Some("k"), Wait::Accepted)).await.unwrap();
    assert_eq!(repeat.saga().unwrap().id(), first.saga().unwrap().id());
    let by_id = |input: &'static str| StartRequest {
        id: Some(first.saga().unwrap().id()),
        input: input.into(),
        ..request(None, Wait::Accepted)
    };
    assert_eq!(
        engine.start(by_id("{\"n\":1}")).await.unwrap().saga().unwrap().id(),
        first.saga().unwrap().id()
    );
    assert!(matches!(engine.start(by_id("{\"n\":2}")).await, Err(StartError::KeyReused { .. })));
    gate.notify_one();
    assert_eq!(
        engine.rest(first.saga().unwrap().id()).await.unwrap().unwrap().saga().unwrap().status(),
        Status::Completed
    );
    let view = {
        gate.notify_one();
        engine.start(request(None, Wait::Rest)).await.unwrap()
    };
    assert_eq!(view.saga().unwrap().status(), Status::Completed, "room again");
}

#[tokio::test]
async fn what_a_stop_interrupts_goes_on_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let journal = sqlite(directory.path());
    let engine = open(journal.clone(), local(|_| std::future::pending()), Options::default());
    let begun = engine.start(request(Some("k"), Wait::Accepted)).await.unwrap();
    assert_eq!(begun.saga().unwrap().status(), Status::InProgress);
    let waiting = tokio::spawn({
        let engine = engine.clone();
        async move { engine.start(request(Some("k"), Wait::Rest)).await }
    });
    engine.stop(Duration::from_millis(50)).await;
    assert!(matches!(waiting.await.unwrap(), Err(StartError::Stopping)));
    drop(engine);
    drop(journal);

    let engine = open(sqlite(directory.path()), local(|_| async { done() }), Options::default());
    let view = engine.start(request(Some("k"), Wait::Rest)).await.unwrap();
    assert_eq!(view.saga().unwrap().id(), begun.saga().unwrap().id());
    assert_eq!(view.saga().unwrap().status(), Status::Completed);
    assert_eq!(view.saga().unwrap().steps()[0].attempts, 2, "the interrupted attempt counts");
    engine.stop(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn an_operator_reverses_a_completed_saga() {
    let engine = open(memory(), local(|_| async { done() }), Options::default());
    let view = engine.start(request(None, Wait::Rest)).await.unwrap();
    let by = By::new("ann", "customer changed her mind");
    let id = view.saga().unwrap().id();
    engine.operate(id, Verb::Reverse, by.clone()).await.unwrap();
    let reversed = engine.rest(id).await.unwrap().unwrap();
    assert_eq!(reversed.saga().unwrap().status(), Status::Compensated);
    assert!(engine.operate(id, Verb::Reverse, by).await.is_err(), "what is undone is not undone again");
}

#[tokio::test]
async fn a_saga_keeps_its_own_version_and_waits_for_a_program_that_can_run_it() {
    let journal = memory();
    let engine = open(journal.clone(), local(|_| std::future::pending()), Options::default());
    let begun = engine.start(request(Some("k"), Wait::Accepted)).await.unwrap();
    engine.stop(Duration::ZERO).await;

    let other = || {
        let mut spec = two_steps(Duration::from_secs(60)).spec().clone();
        spec.version = 2;
        spec.steps = ["a", "b"].map(|name| StepSpec::new(name, "q", name).undone_by("undo")).into();
        EngineBuilder::new(journal.clone())
            .definition(SagaDefinition::from_spec(spec).unwrap())
            .participant("q", local(|_| async { done() }))
    };
    let without = other().open().unwrap();
    let refused = without.look(begun.saga().unwrap().id()).await;
    assert!(matches!(refused, Err(ReadError::Unreadable { .. })), "nobody here can run it: {refused:?}");
    without.stop(Duration::ZERO).await;

    let with = other().participant("p", local(|_| async { done() })).open().unwrap();
    let view = with.rest(begun.saga().unwrap().id()).await.unwrap().unwrap();
    assert_eq!(
        (view.saga().unwrap().status(), view.saga().unwrap().definition().version()),
        (Status::Completed, 1)
    );
    let new = with.start(request(None, Wait::Rest)).await.unwrap();
    assert_eq!(new.saga().unwrap().definition().version(), 2, "new sagas run the version that is registered");
}

#[tokio::test]
async fn a_changed_definition_and_a_missing_participant_stop_the_start() {
    let journal = memory();
    drop(open(journal.clone(), local(|_| async { done() }), Options::default()));
    let changed = EngineBuilder::new(journal.clone())
        .definition(two_steps(Duration::from_secs(61)))
        .participant("p", local(|_| async { done() }))
        .open();
    assert!(matches!(changed, Err(StartUpError::DefinitionChanged { version: 1, .. })));
    let missing = EngineBuilder::new(journal).definition(two_steps(Duration::from_secs(60))).open();
    assert!(matches!(missing, Err(StartUpError::Missing(Missing::Participant { .. }))));
}

#[tokio::test]
async fn bad_starts_are_refused_before_anything_happens() {
    let engine = open(memory(), local(|_| async { done() }), Options::default());
    let start = |change: fn(&mut StartRequest)| {
        let mut request = request(None, Wait::Rest);
        change(&mut request);
        engine.start(request)
    };
    assert!(matches!(start(|r| r.input = "{".into()).await, Err(StartError::InputNotJson)));
    let twice = start(|r| r.input = "{\"amount\":1,\"amount\":2}".into()).await;
    assert!(matches!(twice, Err(StartError::DuplicateName(name)) if name == "amount"));
    assert!(matches!(start(|r| r.key = Some(String::new())).await, Err(StartError::BadKey)));
    assert!(matches!(start(|r| r.key = Some("x".repeat(256))).await, Err(StartError::BadKey)));
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    assert!(matches!(
        engine.start(StartRequest { input: large.into(), ..request(None, Wait::Rest) }).await,
        Err(StartError::InputTooLarge(_))
    ));
    let unknown = |r: &mut StartRequest| r.definition = DefinitionName::new("Nobody");
    assert!(matches!(start(unknown).await, Err(StartError::UnknownDefinition(_))));
}

#[tokio::test]
async fn a_key_whose_transaction_was_removed_is_final_and_not_passing() {
    let directory = tempfile::tempdir().unwrap();
    let options = || Options { retention: Some(Duration::ZERO), ..Options::default() };
    let run = |options| open(sqlite(directory.path()), local(|_| async { done() }), options);
    let engine = run(Options::default());
    let id = engine.start(request(Some("k"), Wait::Rest)).await.unwrap().transaction.id();
    engine.stop(Duration::ZERO).await;
    drop(engine);
    // Retention looks when the engine starts.
    let engine = run(options());
    while engine.look(id).await.is_ok_and(|view| view.is_some()) {
        tokio::task::yield_now().await;
    }
    let removed = engine.start(request(Some("k"), Wait::Rest)).await;
    assert!(matches!(removed, Err(StartError::Removed { id: known }) if known == id), "{removed:?}");
    let other = StartRequest { input: "{\"n\":2}".into(), ..request(Some("k"), Wait::Rest) };
    assert!(matches!(engine.start(other).await, Err(StartError::KeyReused { .. })));
    engine.stop(Duration::ZERO).await;
}
