//! `/v1/sagas/{id}/erase`: payloads are taken away, what happened stays.

use amends_api::ErrorKind;
use amends_engine::EraseError;
use axum::Router;
use axum::response::Response;

use super::Api;
use super::call::{Asked, BARE, Call, Method, no_saga, ok, route};
use super::sagas::{ID, shown};
use crate::problem::Problem;

const ERASE: Call = Call {
    method: Method::Post,
    path: "/v1/sagas/{id}/erase",
    name: "erase_saga",
    about: "Takes the payloads of a finished saga away, for good; what happened stays known",
    path_fields: &[ID],
    answers: &[ok("Saga", "what is left of it")],
    problems: &[
        ErrorKind::NotFound,
        ErrorKind::StateConflict,
        ErrorKind::SagaRemoved,
        ErrorKind::SagaUnreadable,
    ],
    ..BARE
};

/// The calls of this file.
pub(super) const CALLS: &[&Call] = &[&ERASE];

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    route(router, &ERASE, erase)
}

async fn erase(api: Api, asked: Asked) -> Result<Response, Problem> {
    let id = asked.saga()?;
    api.engine.erase(id).await.map_err(|error| {
        let detail = error.to_string();
        match error {
            EraseError::NotFound => Problem::new(ErrorKind::NotFound, detail),
            EraseError::Live | EraseError::ChildOfLive { .. } => {
                Problem::new(ErrorKind::StateConflict, detail)
            }
            EraseError::Read(error) => error.into(),
        }
    })?;
    let view = api.engine.look(id).await?.ok_or_else(|| no_saga(id))?;
    shown(&api, &view)
}
