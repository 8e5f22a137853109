//! What every error of the engine becomes, and every kind as an answer.

use std::sync::Arc;

use amends_api::{ErrorKind, Retry};
use amends_core::{By, DefinitionName, Partitions, Rejected, Time, TransactionId, Verb};
use amends_engine::{OperateError, ReadError, SignalError, StartError, StartRequest, Wait};
use amends_journal::{MemoryJournal, Upkeep};
use amends_server::Problem;
use axum::response::IntoResponse;
use serde_json::json;

use crate::place::{call, done, engine, engine_over, problem, request, router, run};

#[tokio::test]
async fn every_kind_is_answered_with_its_status_code_and_page() {
    for kind in ErrorKind::ALL {
        let (status, document, retry_after) =
            problem(Problem::new(*kind, "what to do").into_response()).await;
        assert_eq!(status.as_u16(), kind.status());
        assert_eq!(document, amends_api::Problem::new(*kind, "what to do"));
        assert_eq!((document.code.as_str(), document.kind()), (kind.code(), Some(*kind)));
        assert_eq!(document.page, format!("/errors/{}", kind.code()));
        let expected = match kind.retry() {
            Retry::AfterSeconds(seconds) => Some(seconds.to_string()),
            Retry::No | Retry::Yes => None,
        };
        assert_eq!(retry_after, expected, "{}", kind.code());
    }
}

#[tokio::test]
async fn a_member_may_take_the_place_of_the_status_and_of_nothing_else() {
    let about_a_saga =
        Problem::new(ErrorKind::SagaCompensated, "d").coded("sold_out").with("status", "compensated");
    let (status, document, _) = problem(about_a_saga.into_response()).await;
    assert_eq!((status.as_u16(), document.status), (409, None));
    assert_eq!(document.members["status"], json!("compensated"));
    assert_eq!((document.code.as_str(), document.kind()), ("sold_out", Some(ErrorKind::SagaCompensated)));
}

#[test]
#[should_panic(expected = "what every problem says is said once")]
fn a_member_that_every_problem_has_is_a_bug() {
    let _ = Problem::new(ErrorKind::Internal, "d").with("code", "another");
}

fn saga() -> TransactionId {
    TransactionId::from_parts(1, 1)
}

#[test]
fn every_error_of_a_start_has_its_kind() {
    let why = || "why".to_owned();
    for (error, kind) in [
        (StartError::UnknownDefinition(DefinitionName::new("D")), ErrorKind::NotFound),
        (StartError::InputNotJson, ErrorKind::BadRequest),
        (StartError::DuplicateName("a".to_owned()), ErrorKind::DuplicateField),
        (StartError::Removed { id: saga() }, ErrorKind::SagaRemoved),
        (StartError::NotOwner, ErrorKind::OwnedElsewhere),
        (StartError::InputTooLarge(2_000_000), ErrorKind::BodyTooLarge),
        (StartError::BadKey, ErrorKind::IdempotencyKeyInvalid),
        (StartError::KeyReused { id: saga() }, ErrorKind::KeyReused),
        (StartError::Full(7), ErrorKind::EngineFull),
        (StartError::DiskLow, ErrorKind::DiskLow),
        (StartError::Stopping, ErrorKind::Stopping),
        (StartError::Unreadable { id: saga(), why: why() }, ErrorKind::SagaUnreadable),
        (StartError::Unknown(why()), ErrorKind::OutcomeUnknown),
    ] {
        let detail = error.to_string();
        let problem = Problem::from(error);
        assert_eq!((problem.kind(), problem.document().detail.as_str()), (kind, detail.as_str()));
    }
}

#[test]
fn every_error_of_a_question_has_its_kind() {
    for (error, kind) in [
        (ReadError::Unreadable { id: saga(), why: "why".to_owned() }, ErrorKind::SagaUnreadable),
        (ReadError::Removed { id: saga() }, ErrorKind::SagaRemoved),
        (ReadError::NotOwner, ErrorKind::OwnedElsewhere),
        (ReadError::Full, ErrorKind::EngineFull),
        (ReadError::Stopping, ErrorKind::Stopping),
        (ReadError::Journal("why".to_owned()), ErrorKind::Internal),
    ] {
        let detail = error.to_string();
        let problem = Problem::from(error);
        assert_eq!((problem.kind(), problem.document().detail.as_str()), (kind, detail.as_str()));
    }
}

#[tokio::test]
async fn every_error_of_a_verb_has_its_kind() {
    let engine = engine(done);
    let by = || By::new("ann", "she wants to");
    let ended = run(&engine).await.parse().unwrap();
    let problem = Problem::from(engine.operate(ended, Verb::Cancel, by()).await.unwrap_err());
    assert_eq!(problem.kind(), ErrorKind::StateConflict);
    assert_eq!(problem.document().members["status"], json!("completed"));
    let duplicate = || "a".to_owned();
    for (error, kind) in [
        (engine.operate(saga(), Verb::Cancel, by()).await.unwrap_err(), ErrorKind::NotFound),
        (OperateError::OutputNotJson, ErrorKind::BadRequest),
        (OperateError::DuplicateName(duplicate()), ErrorKind::DuplicateField),
        (OperateError::Rejected(too_large()), ErrorKind::BodyTooLarge),
        (OperateError::Read(ReadError::Full), ErrorKind::EngineFull),
    ] {
        let detail = error.to_string();
        let problem = Problem::from(error);
        assert_eq!((problem.kind(), problem.document().detail.as_str()), (kind, detail.as_str()));
    }
}

fn too_large() -> Rejected {
    Rejected::TooLarge { what: "the output", bytes: 2, limit: 1 }
}

#[tokio::test]
async fn every_error_of_a_signal_has_its_kind() {
    let engine = engine(done);
    let waiting = engine.start(request("Waiting", None, Wait::Accepted)).await.unwrap().transaction.id();
    let signal = async |id, name, key, body: &'static str| {
        Problem::from(engine.signal(id, name, key, body.into()).await.unwrap_err())
    };
    assert_eq!(signal(saga(), "go", "k", "{}").await.kind(), ErrorKind::NotFound);
    let unknown = signal(waiting, "goo", "k", "{}").await;
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    assert!(unknown.document().detail.contains("go"), "{unknown:?}");
    assert_eq!(signal(waiting, "go", "k", "{").await.kind(), ErrorKind::BadRequest);
    assert_eq!(signal(waiting, "go", "k", r#"{"a":1,"a":2}"#).await.kind(), ErrorKind::DuplicateField);
    assert_eq!(signal(waiting, "go", "", "{}").await.kind(), ErrorKind::IdempotencyKeyInvalid);
    engine.signal(waiting, "go", "k", "{}".into()).await.unwrap();
    engine.rest(waiting).await.unwrap();
    let late = signal(waiting, "go", "k2", "{}").await;
    assert_eq!(
        (late.kind(), &late.document().members["status"]),
        (ErrorKind::StateConflict, &json!("completed"))
    );
    for (rejected, kind) in [
        (Rejected::SignalKeyReused { name: "go".to_owned(), key: "k".to_owned() }, ErrorKind::KeyReused),
        (Rejected::TooManySignals { kept: 100 }, ErrorKind::TooManySignals),
        (too_large(), ErrorKind::BodyTooLarge),
    ] {
        assert_eq!(Problem::from(SignalError::Rejected(rejected)).kind(), kind);
    }
    assert_eq!(Problem::from(SignalError::Read(ReadError::NotOwner)).kind(), ErrorKind::OwnedElsewhere);
}

/// What retention removed was carried out: a repeat is never told to try again, and gets no second effect.
#[tokio::test]
async fn a_saga_that_retention_removed_is_gone_for_every_call() {
    let journal = Arc::new(MemoryJournal::default());
    let engine = engine_over(journal.clone(), done);
    let id = TransactionId::from_parts(7, 7);
    let start = || StartRequest { id: Some(id), ..request("Three", Some("k"), Wait::Rest) };
    engine.start(start()).await.unwrap();
    let sweep = journal.remove_ended(&Partitions::ALL, Time::NEVER, Time::NEVER, None, 10).unwrap();
    assert_eq!(sweep.removed, 1);
    let by_key = StartRequest { id: None, ..start() };
    let by_id = StartRequest { key: None, ..start() };
    for repeat in [start(), by_key, by_id] {
        let problem = Problem::from(engine.start(repeat).await.unwrap_err());
        assert_eq!(problem.kind(), ErrorKind::SagaRemoved);
        assert_eq!(problem.document().members["saga_id"], json!(id.to_string()));
    }
    let seen = problem(call(&router(&engine), "GET", &format!("/sagas/{id}")).await).await;
    assert_eq!((seen.0.as_u16(), seen.1.kind(), seen.2), (410, Some(ErrorKind::SagaRemoved), None));
}

#[test]
fn an_error_about_a_saga_names_it() {
    let members = |error: StartError| Problem::from(error).document().members.clone();
    let id = json!(saga().to_string());
    assert_eq!(members(StartError::KeyReused { id: saga() })["saga_id"], id);
    let unreadable = members(StartError::Unreadable { id: saga(), why: "why".to_owned() });
    assert_eq!((&unreadable["saga_id"], &unreadable["status"]), (&id, &json!("failed")));
}
