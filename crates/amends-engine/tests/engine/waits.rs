//! Steps that sleep or wait, signals, and what a stop does to them.

use std::path::Path;
use std::time::Duration;

use amends_core::{DefinitionName, SagaDefinition, SagaSpec, Status, StepIndex, StepSpec};
use amends_engine::{Engine, EngineBuilder, SignalError, Wait, local};

use crate::{done, request, sqlite};

fn open(directory: &Path, steps: Vec<StepSpec>) -> Engine {
    let definition = SagaDefinition::from_spec(SagaSpec {
        name: DefinitionName::new("Two"),
        version: 1,
        limit: Duration::from_secs(100 * 24 * 3_600),
        pivot: None,
        steps,
    });
    EngineBuilder::new(sqlite(directory))
        .definition(definition.expect("the definition is sound"))
        .participant("p", local(|_| async { done() }))
        .open()
        .expect("the engine starts")
}

fn approval() -> Vec<StepSpec> {
    vec![
        StepSpec::new("a", "p", "a").undone_by("undo_a"),
        // Longer than a saga that waits stays in memory.
        StepSpec::wait("ok", "approved", Duration::from_secs(24 * 3_600)),
        StepSpec::wait("again", "approved", Duration::from_secs(24 * 3_600)),
    ]
}

#[tokio::test]
async fn a_signal_survives_a_stop_and_is_taken_once() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path(), approval());
    let begun = engine.start(request(Some("k"), Wait::Accepted)).await.unwrap();
    let id = begun.transaction.id();
    engine.signal(id, "approved", "1", "{\"by\": \"ann\"}".into()).await.unwrap();
    engine.stop(Duration::ZERO).await;
    drop(engine);

    let engine = open(directory.path(), approval());
    // The same value, written otherwise, is a repeat.
    engine.signal(id, "approved", "1", "{ \"by\":\"ann\" }".into()).await.unwrap();
    let other = engine.signal(id, "approved", "1", "{\"by\":\"eve\"}".into()).await;
    assert!(matches!(other, Err(SignalError::Rejected(_))), "{other:?}");
    let view = engine.signal(id, "approved", "2", "2".into()).await.unwrap();
    let saga = view.saga().unwrap();
    assert_eq!(saga.output(StepIndex(1)).unwrap(), "{\"by\": \"ann\"}");
    let view = engine.rest(id).await.unwrap().unwrap();
    assert_eq!(view.saga().unwrap().status(), Status::Completed);
    assert_eq!(view.saga().unwrap().output(StepIndex(2)).unwrap(), "2");
    // However late a repeat comes, it is answered as the first was.
    engine.signal(id, "approved", "2", "2".into()).await.unwrap();
    assert!(engine.signal(id, "approved", "3", "3".into()).await.is_err(), "nothing will wait for it");
    engine.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn bad_signals_are_refused_before_anything_happens() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path(), approval());
    let id = engine.start(request(None, Wait::Accepted)).await.unwrap().transaction.id();
    let signal =
        async |name: &str, key: &str, body: &'static str| engine.signal(id, name, key, body.into()).await;
    assert!(matches!(signal("approved", "", "1").await, Err(SignalError::BadKey)));
    assert!(matches!(signal("approved", &"k".repeat(256), "1").await, Err(SignalError::BadKey)));
    assert!(matches!(signal("approved", "1", "{").await, Err(SignalError::BodyNotJson)));
    let twice = signal("approved", "1", "{\"a\":1,\"a\":2}").await;
    assert!(matches!(twice, Err(SignalError::DuplicateName(name)) if name == "a"));
    let unknown = signal("aproved", "1", "1").await.unwrap_err().to_string();
    assert!(unknown.contains("its steps wait for approved"), "{unknown}");
    let nobody = amends_core::TransactionId::from_parts(1, 1);
    assert!(matches!(engine.signal(nobody, "approved", "1", "1".into()).await, Err(SignalError::NotFound)));
    engine.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_sleep_goes_on_where_it_was_after_a_stop() {
    let directory = tempfile::tempdir().unwrap();
    let steps = |length| vec![StepSpec::sleep("nap", length), StepSpec::new("a", "p", "a").undone_by("undo")];
    let short = Duration::from_millis(300);
    let engine = open(directory.path(), steps(short));
    let view = engine.start(request(Some("k"), Wait::Accepted)).await.unwrap();
    engine.stop(Duration::ZERO).await;
    drop(engine);
    let engine = open(directory.path(), steps(short));
    let view = engine.rest(view.transaction.id()).await.unwrap().unwrap();
    let saga = view.saga().unwrap();
    assert_eq!(saga.status(), Status::Completed);
    let nap = &saga.steps()[0];
    let slept = nap.finished_at.unwrap().since(nap.started_at.unwrap());
    assert!(slept >= short, "never early: {slept:?}");
    engine.stop(Duration::ZERO).await;
}
