//! What every error of the engine becomes, and every kind as an answer.

use amends_api::{ErrorKind, Retry};
use amends_core::{By, DefinitionName, TransactionId, Verb};
use amends_engine::{OperateError, ReadError, StartError};
use amends_server::Problem;
use axum::response::IntoResponse;
use serde_json::json;

use crate::place::{done, engine, problem, run};

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
    let by = || By { who: "ann".to_owned(), why: "she wants to".to_owned() };
    let ended = run(&engine).await.parse().unwrap();
    let problem = Problem::from(engine.operate(ended, Verb::Cancel, by()).await.unwrap_err());
    assert_eq!(problem.kind(), ErrorKind::StateConflict);
    assert_eq!(problem.document().members["status"], json!("completed"));
    let problem = Problem::from(engine.operate(saga(), Verb::Cancel, by()).await.unwrap_err());
    assert_eq!(problem.kind(), ErrorKind::NotFound);
    let problem = Problem::from(OperateError::Read(ReadError::Full));
    assert_eq!(problem.kind(), ErrorKind::EngineFull);
}

#[test]
fn an_error_about_a_saga_names_it() {
    let members = |error: StartError| Problem::from(error).document().members.clone();
    let id = json!(saga().to_string());
    assert_eq!(members(StartError::KeyReused { id: saga() })["saga_id"], id);
    let unreadable = members(StartError::Unreadable { id: saga(), why: "why".to_owned() });
    assert_eq!((&unreadable["saga_id"], &unreadable["status"]), (&id, &json!("failed")));
}
