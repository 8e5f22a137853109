//! What the saga of an order makes of the answer to `POST /orders`.
//!
//! Owns the mapping from a saga's status to an answer. Promises the same answer for the same durable state,
//! and so for every repeat.

use amends_api::{ErrorKind, SagaStatus};
use amends_core::{Saga, Status};
use amends_server::{Problem, wire};
use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::saga::order_id;

#[derive(Serialize)]
struct Accepted {
    saga_id: String,
    status: SagaStatus,
}

#[derive(Serialize)]
struct Placed {
    saga_id: String,
    order_id: Option<String>,
    status: SagaStatus,
}

/// The answer to a caller who does not wait for the end.
pub(super) fn accepted(saga: &Saga) -> Response {
    let saga_id = saga.id().to_string();
    let location = HeaderValue::from_str(&format!("/sagas/{saga_id}")).expect("an id is visible ASCII");
    let applied = HeaderValue::from_static("respond-async");
    let body = Json(Accepted { saga_id, status: wire::status(saga.status()) });
    let headers = [(header::LOCATION, location), (HeaderName::from_static("preference-applied"), applied)];
    (StatusCode::ACCEPTED, headers, body).into_response()
}

/// The answer that an ended or parked saga makes.
pub(super) fn placed(saga: &Saga) -> Result<Response, Problem> {
    match saga.status() {
        Status::Completed => {
            let body = Placed {
                saga_id: saga.id().to_string(),
                order_id: order_id(saga),
                status: wire::status(saga.status()),
            };
            Ok((StatusCode::CREATED, Json(body)).into_response())
        }
        Status::Compensated => Err(compensated(saga)),
        Status::Parked => {
            let because = saga
                .parked()
                .map_or_else(String::new, |parked| wire::because(saga.definition(), &parked.because));
            let detail = format!("the saga waits for an operator: {because}; see /sagas/{}", saga.id());
            Err(about(Problem::new(ErrorKind::SagaParked, detail), saga))
        }
        Status::Abandoned => {
            let detail = "an operator stopped the saga without undo";
            Err(about(Problem::new(ErrorKind::SagaAbandoned, detail), saga))
        }
        Status::Pending | Status::InProgress | Status::Compensating => {
            let detail = format!("the saga has not ended yet; see /sagas/{}", saga.id());
            Err(about(Problem::new(ErrorKind::Internal, detail), saga))
        }
    }
}

fn compensated(saga: &Saga) -> Problem {
    let (step, reason) = wire::failure(saga).expect("a saga that went back had a reason");
    let detail = format!("the order was not placed, and everything is undone: {}", reason.message);
    about(Problem::new(ErrorKind::SagaCompensated, detail), saga)
        .coded(reason.code)
        .with("failed_step", step)
        .with("reason", reason.message)
}

fn about(problem: Problem, saga: &Saga) -> Problem {
    problem
        .with("saga_id", saga.id().to_string())
        .with("order_id", order_id(saga))
        .with("status", wire::status(saga.status()).as_str())
}
