//! `/v1/callbacks/{token}`: what a participant that answered 202 reports.
//!
//! Owns how a report is read. Promises that the token is all it takes, and that a field which says nothing with its
//! outcome is refused. Does not decide what follows: the saga does.

use amends_api::{CallbackOutcome, ErrorKind};
use amends_core::limits::CODE_BYTES_MAX;
use amends_core::{Outcome, Refusal};
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::Api;
use super::call::{Answer, Asked, BARE, Body, Call, Content, Method, route};
use super::given::{Given, bad};
use super::shape::{Field, Kind, Shape, optional, required, text};
use crate::limits::CALLBACK_BYTES_MAX;
use crate::problem::Problem;

const OUTCOMES: &[&str] = &["completed", "refused", "working"];

const REPORT: Shape = Shape {
    name: "Callback",
    fields: &[
        required("outcome", Kind::Word(OUTCOMES), "what became of the call"),
        optional("output", Kind::Json, "with `completed`: what it returned; null unless given"),
        optional("code", text(CODE_BYTES_MAX), "with `refused`, required: why, for programs"),
        optional("detail", Kind::Text { min: 0, max: DETAIL_MAX }, "with `refused`: why, for people"),
        optional("progress", Kind::Json, "with `working`: how far it is"),
    ],
};

/// Characters of a refusal's words; the journal keeps as many of them as of an answer's.
const DETAIL_MAX: usize = 64 << 10;

/// Which fields say something with which outcome.
const BELONGS: &[(&str, &str)] =
    &[("output", "completed"), ("code", "refused"), ("detail", "refused"), ("progress", "working")];

const TOKEN: Field = required("token", text(256), "as it came with Amends-Callback");

const CALL_BACK: Call = Call {
    method: Method::Post,
    path: "/v1/callbacks/{token}",
    name: "call_back",
    about: "A participant that answered 202 reports what became of its call; the token is all it takes",
    path_fields: &[TOKEN],
    body: Body::Object(&REPORT),
    body_bytes_max: CALLBACK_BYTES_MAX,
    answers: &[Answer {
        status: 200,
        about: "it is recorded, or was already",
        content: Content::None,
        headers: &[],
    }],
    problems: &[
        ErrorKind::NotFound,
        ErrorKind::CallbackConflict,
        ErrorKind::SagaRemoved,
        ErrorKind::SagaUnreadable,
    ],
    ..BARE
};

/// The calls of this file.
pub(super) const CALLS: &[&Call] = &[&CALL_BACK];

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    route(router, &CALL_BACK, call_back)
}

async fn call_back(api: Api, asked: Asked) -> Result<Response, Problem> {
    let outcome = outcome(&asked.fields)?;
    api.engine.call_back(asked.part("token"), outcome).await?;
    Ok(StatusCode::OK.into_response())
}

fn outcome(report: &Given) -> Result<Outcome, Problem> {
    let word = report.text("outcome").expect("it is required");
    for (field, belongs) in BELONGS {
        if report.has(field) && *belongs != word {
            let detail = format!("{field} says nothing with the outcome {word}: it belongs to {belongs}");
            return Err(bad(&format!("/{field}"), &detail));
        }
    }
    let outcome = word.parse::<CallbackOutcome>().expect("it is one of its words");
    match outcome {
        CallbackOutcome::Completed => {
            let output = report.json("output").map_or("null", |output| output.as_json());
            Ok(Outcome::Completed { output: Bytes::copy_from_slice(output.as_bytes()) })
        }
        CallbackOutcome::Refused => {
            let Some(code) = report.text("code") else {
                return Err(bad("/code", "a refusal needs a code: whoever started the saga is told it"));
            };
            let message = report.text("detail").unwrap_or_default().to_owned();
            Ok(Outcome::Refused(Refusal { code: code.to_owned(), message, details: None }))
        }
        CallbackOutcome::Working => Ok(Outcome::Working { ask_again_after: None }),
    }
}
