//! `/v1/sagas/{id}/signals/{name}`: what is said to a saga that waits.

use amends_api::{ErrorKind, SignalAccepted};
use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;

use super::Api;
use super::call::{Answer, Asked, BARE, Body, Call, Content, Method, json, no_saga, route};
use super::given::bad;
use super::headers::Ours;
use super::sagas::ID;
use super::shape::{required, text};
use crate::problem::Problem;

const SIGNAL: Call = Call {
    method: Method::Post,
    path: "/v1/sagas/{id}/signals/{name}",
    name: "send_signal",
    about: "Tells a saga something that a step of it waits for; it is delivered once",
    path_fields: &[ID, required("name", text(128), "what the step waits for")],
    headers: &[Ours::IdempotencyKeyRequired],
    body: Body::OwnObject,
    answers: &[Answer {
        status: 202,
        about: "it is recorded, and the step that waits for it has it, or will have",
        content: Content::Json("SignalAccepted"),
        headers: &[],
    }],
    problems: &[
        ErrorKind::NotFound,
        ErrorKind::KeyReused,
        ErrorKind::StateConflict,
        ErrorKind::SagaRemoved,
        ErrorKind::TooManySignals,
        ErrorKind::SagaUnreadable,
    ],
    ..BARE
};

/// The calls of this file.
pub(super) const CALLS: &[&Call] = &[&SIGNAL];

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    route(router, &SIGNAL, send)
}

async fn send(api: Api, asked: Asked) -> Result<Response, Problem> {
    let id = asked.saga()?;
    let name = asked.part("name");
    let key = asked.said.key.as_deref().expect("the call asks for it");
    let body = match asked.bytes.trim_ascii() {
        b"" => Bytes::from_static(b"{}"),
        [b'{', ..] => asked.bytes.clone(),
        _ => return Err(bad("", "a signal's body is an object, or nothing")),
    };
    let view = api.engine.signal(id, name, key, body).await?;
    let sequence = view.saga().ok_or_else(|| no_saga(id))?.sequence();
    let accepted = SignalAccepted { saga: id.to_string(), signal: name.to_owned(), sequence };
    Ok(json(StatusCode::ACCEPTED, &accepted))
}
