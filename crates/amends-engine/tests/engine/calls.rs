//! What calls carry, and how large what comes back may be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amends_core::{
    By, DefinitionName, Mapping, Outcome, Payload, RetryPolicy, SagaDefinition, SagaSpec, Scope, SizeLimits,
    Status, StepSpec, Verb,
};
use amends_engine::{Call, Engine, EngineBuilder, Missing, Options, StartUpError, Wait, local};
use amends_journal::Journal;
use tokio::sync::Notify;

use crate::{done, memory, request, sqlite};

/// Payloads by the key they came under.
type Seen = Arc<Mutex<BTreeMap<String, Vec<Vec<u8>>>>>;

/// Everything that a step could see.
fn everything() -> Arc<dyn Mapping> {
    Arc::new(|scope: &Scope<'_>| {
        let outputs = ["a", "b", "c"].map(|name| scope.output_of(name).cloned());
        Ok(format!("{:?}", (scope.input, outputs, scope.output)).into())
    })
}

fn definition(steps: Vec<StepSpec>) -> SagaDefinition {
    let limit = Duration::from_secs(60);
    let spec = SagaSpec { name: DefinitionName::new("Two"), version: 1, limit, pivot: None, steps };
    SagaDefinition::from_spec(spec).expect("the definition is sound")
}

/// `a` and `b` beside each other, and `c` after both.
fn beside() -> SagaDefinition {
    let quick = RetryPolicy { first: Duration::from_millis(1), ..RetryPolicy::action() };
    let step = |name: &str| {
        let mapping = || Payload::Mapping("everything".to_owned());
        let step = StepSpec::new(name, "p", name).retry(quick.clone()).payload(mapping());
        step.undone_by(format!("undo_{name}")).undo_payload(mapping())
    };
    definition(vec![step("a").after([]), step("b").after([]), step("c").after(["a", "b"])])
}

#[tokio::test]
async fn every_attempt_carries_the_same_bytes_whatever_finished_beside_it() {
    let seen = Seen::default();
    let a_is_done = Arc::new(Notify::new());
    let (kept, may_go_on) = (seen.clone(), a_is_done.clone());
    let participant = local(move |call: Call| {
        let mut seen = kept.lock().unwrap();
        let attempts = seen.entry(call.idempotency_key()).or_default();
        attempts.push(call.payload.to_vec());
        let (attempt, may_go_on) = (attempts.len(), may_go_on.clone());
        async move {
            match (call.operation(), attempt) {
                ("a", _) => {
                    // Later than the first attempt of `b` was sent.
                    may_go_on.notify_one();
                    done()
                }
                ("b", 1) => {
                    may_go_on.notified().await;
                    Outcome::unknown("reset", "connection reset")
                }
                ("c", _) => Outcome::refused("no", "not today"),
                (operation, 1) if operation.starts_with("undo") => {
                    Outcome::unknown("reset", "connection reset")
                }
                (_, _) => done(),
            }
        }
    });
    let engine = EngineBuilder::new(memory())
        .definition(beside())
        .mapping("everything", everything())
        .participant("p", participant)
        .open()
        .unwrap();
    let view = engine.start(request(None, Wait::Rest)).await.unwrap();
    assert_eq!(view.saga().unwrap().status(), Status::Compensated);
    let seen = seen.lock().unwrap();
    let key = |call: &str| format!("{}/{call}", view.transaction.id());
    assert_eq!(seen[&key("b/action")].len(), 2, "b was asked again after a had ended");
    for (key, payloads) in &*seen {
        assert!(payloads.iter().all(|payload| *payload == payloads[0]), "{key}: {payloads:?}");
    }
    let text = |call: &str| String::from_utf8(seen[&key(call)][0].clone()).unwrap();
    assert!(
        text("b/action").contains("[None, None, None]"),
        "what runs beside it is not seen: {}",
        text("b/action")
    );
    assert!(text("c/action").contains("[Some(b\"{}\"), Some(b\"{}\"), None]"), "ancestors are seen");
    assert!(text("b/compensation").contains("Some(b\"{}\"))"), "an undo sees its own action's output");
}

#[tokio::test]
async fn a_payload_that_cannot_be_made_turns_back_and_sends_nothing() {
    let step = StepSpec::new("b", "p", "b").undone_by("undo").payload(Payload::Mapping("broken".to_owned()));
    let definition = definition(vec![StepSpec::new("a", "p", "a").undone_by("undo"), step]);
    let builder = || EngineBuilder::new(memory()).definition(definition.clone());
    let participant = || {
        local(|call: Call| async move {
            assert_ne!(call.operation(), "b", "nothing is sent");
            done()
        })
    };
    let missing = builder().participant("p", participant()).open();
    assert!(matches!(missing, Err(StartUpError::Missing(Missing::Mapping { .. }))));
    for broken in [
        Arc::new(|_: &Scope<'_>| Err("the field `sku` is missing".to_owned())) as Arc<dyn Mapping>,
        Arc::new(|_: &Scope<'_>| -> Result<bytes::Bytes, String> { panic!("the field `sku` is missing") }),
        Arc::new(|_: &Scope<'_>| Ok("x".repeat(2 << 20).into())),
    ] {
        let engine = builder().mapping("broken", broken).participant("p", participant()).open().unwrap();
        let view = engine.start(request(None, Wait::Rest)).await.unwrap();
        let saga = view.saga().unwrap();
        assert_eq!(saga.status(), Status::Compensated);
        let (step, reason) = saga.failure().unwrap();
        assert_eq!((step, reason.code.as_str()), (definition.find("b").map(Into::into), "expression_failed"));
    }
}

/// Outputs of so many bytes from every step.
fn large(journal: Arc<dyn Journal>, steps: usize, bytes: usize, sizes: SizeLimits) -> Engine {
    let steps = (0..steps).map(|at| StepSpec::new(format!("s{at}"), "p", "do").undone_by("undo")).collect();
    let participant = local(move |call: Call| async move {
        let large = call.operation() == "do";
        Outcome::Completed { output: format!("\"{}\"", "x".repeat(if large { bytes } else { 0 })).into() }
    });
    let options = Options { sizes, ..Options::default() };
    let engine = EngineBuilder::new(journal).definition(definition(steps)).participant("p", participant);
    engine.options(options).open().unwrap()
}

#[tokio::test]
async fn an_output_too_large_parks_its_saga_and_the_directory_opens() {
    let directory = tempfile::tempdir().unwrap();
    let by = || By::new("ann", "test");
    let engine = large(sqlite(directory.path()), 2, 20 << 20, SizeLimits::default());
    let view = engine.start(request(Some("k"), Wait::Rest)).await.unwrap();
    let saga = view.saga().unwrap();
    assert_eq!(saga.status(), Status::Parked);
    let because = format!("{:?}", saga.parked().unwrap().because);
    assert!(
        because.contains("OutputTooLarge") && because.contains("bytes: 20971522, limit: 1048576"),
        "{because}"
    );
    engine.stop(Duration::ZERO).await;
    drop(engine);

    let engine = large(sqlite(directory.path()), 2, 10, SizeLimits::default());
    let id = view.transaction.id();
    let output = bytes::Bytes::from_static(b"\"what the participant has\"");
    engine.operate(id, Verb::Skip { step: amends_core::StepIndex(0).into(), output }, by()).await.unwrap();
    let view = engine.rest(id).await.unwrap().unwrap();
    assert_eq!(view.saga().unwrap().status(), Status::Completed);
    engine.stop(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn the_records_of_one_saga_are_bounded_together() {
    let directory = tempfile::tempdir().unwrap();
    let sizes = SizeLimits { saga_bytes_max: 4 << 20, ..SizeLimits::default() };
    let engine = large(sqlite(directory.path()), 1_000, 1_000_000, sizes);
    let view = engine.start(request(Some("k"), Wait::Rest)).await.unwrap();
    let saga = view.saga().unwrap();
    assert_eq!(saga.status(), Status::Parked);
    let because = format!("{:?}", saga.parked().unwrap().because);
    assert!(because.contains("limit: 4194304"), "{because}");
    engine.stop(Duration::ZERO).await;
    drop(engine);

    // The verbs work, and what was accepted opens again.
    let engine = large(sqlite(directory.path()), 1_000, 10, sizes);
    let by = By::new("ann", "test");
    engine.operate(view.transaction.id(), Verb::Cancel, by).await.unwrap();
    let view = engine.rest(view.transaction.id()).await.unwrap().unwrap();
    assert_eq!(view.saga().unwrap().status(), Status::Compensated);
    engine.stop(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_certain_answer_that_comes_while_its_saga_is_parked_is_recorded() {
    let may_answer = Arc::new(Notify::new());
    let answer = may_answer.clone();
    let participant = local(move |call: Call| {
        let answer = answer.clone();
        async move {
            match call.operation() {
                "a" => Outcome::Conflict { message: "another payload".to_owned() },
                "b" => {
                    answer.notified().await;
                    done()
                }
                _ => done(),
            }
        }
    });
    let engine = EngineBuilder::new(memory())
        .definition(beside())
        .mapping("everything", everything())
        .participant("p", participant)
        .open()
        .unwrap();
    let view = engine.start(request(None, Wait::Rest)).await.unwrap();
    assert_eq!(view.saga().unwrap().status(), Status::Parked);
    may_answer.notify_one();
    let id = view.transaction.id();
    while engine.look(id).await.unwrap().unwrap().sequence == view.sequence {
        tokio::task::yield_now().await;
    }
    let view = engine.look(id).await.unwrap().unwrap();
    let saga = view.saga().unwrap();
    assert_eq!((saga.status(), saga.steps()[1].attempts), (Status::Parked, 1), "it is not asked again");
    assert_eq!(saga.steps()[1].state.status().as_str(), "completed");
}

#[tokio::test]
async fn a_limit_that_leaves_operators_no_room_stops_the_start() {
    let sizes = SizeLimits { saga_bytes_max: 65 << 20, ..SizeLimits::default() };
    let engine = EngineBuilder::new(memory()).options(Options { sizes, ..Options::default() }).open();
    assert!(matches!(engine, Err(StartUpError::SagaBytesMax { given: 68_157_440, limit: 67_108_864 })));
}
