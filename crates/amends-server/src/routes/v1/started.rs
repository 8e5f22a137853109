//! What the answer to a start says.
//!
//! Owns the mapping from a saga's state to an answer of `POST /v1/sagas`. Promises the same answer for the same
//! durable state, and so for every repeat; and that a saga that waits for an operator is never a 4xx: a caller
//! that is a saga itself must read that as unknown.

use amends_api::ErrorKind;
use amends_core::{Saga, Status};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::call::{etag, json};
use super::headers::Patience;
use crate::problem::Problem;
use crate::wire;

/// The answer for a saga that was waited for so long.
pub(super) fn answer(saga: &Saga, shown: &amends_api::Saga, patience: Patience) -> Response {
    let mut response = match (patience, saga.status()) {
        (Patience::None, _)
        | (Patience::For(_), Status::Pending | Status::InProgress | Status::Compensating) => {
            json(StatusCode::ACCEPTED, shown)
        }
        (Patience::For(_), Status::Completed) => json(StatusCode::CREATED, shown),
        (Patience::For(_), Status::Compensated) => compensated(saga).into_response(),
        (Patience::For(_), Status::Parked) => parked(saga).into_response(),
        (Patience::For(_), Status::Abandoned) => {
            let detail = format!("an operator stopped the saga without undo; see /v1/sagas/{}", saga.id());
            about(Problem::new(ErrorKind::SagaAbandoned, detail), saga).into_response()
        }
    };
    let headers = response.headers_mut();
    let place = format!("/v1/sagas/{}", saga.id());
    headers.insert(header::LOCATION, HeaderValue::from_str(&place).expect("an id is visible ASCII"));
    let (name, tag) = etag(saga.sequence());
    headers.insert(name, tag);
    let applied = match patience {
        Patience::None => "respond-async".to_owned(),
        Patience::For(wait) => format!("wait={}", wait.as_secs()),
    };
    let applied = HeaderValue::from_str(&applied).expect("a preference is visible ASCII");
    headers.insert("preference-applied", applied);
    response
}

fn compensated(saga: &Saga) -> Problem {
    let Some((step, reason)) = wire::failure(saga) else {
        let detail = "the saga went back, and everything is undone";
        return about(Problem::new(ErrorKind::SagaCompensated, detail), saga);
    };
    let what = step.as_deref().unwrap_or("the saga");
    let detail = format!("{what} could not be done, and everything is undone: {}", reason.message);
    let document = serde_json::json!({"code": reason.code, "message": reason.message});
    about(Problem::new(ErrorKind::SagaCompensated, detail), saga)
        .coded(reason.code)
        .with("failed_step", step)
        .with("reason", document)
}

fn parked(saga: &Saga) -> Problem {
    let because = saga.parked().map(|parked| wire::because(saga.definition(), &parked.because));
    let because = because.unwrap_or_default();
    let detail = format!("the saga waits for an operator: {because}; see /v1/sagas/{}", saga.id());
    about(Problem::new(ErrorKind::SagaParked, detail), saga)
}

fn about(problem: Problem, saga: &Saga) -> Problem {
    problem.with("saga_id", saga.id().to_string()).with("saga_status", wire::status(saga.status()).as_str())
}
