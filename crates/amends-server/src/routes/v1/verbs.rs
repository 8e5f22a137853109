//! `/v1/sagas/{id}/{verb}`: what operators do.

use amends_api::ErrorKind;
use amends_core::{By, Saga, StepId, StepIndex, Verb, VerbKey};
use amends_engine::fingerprint;
use axum::Router;
use axum::response::Response;
use bytes::Bytes;

use super::Api;
use super::call::{Answer, Asked, BARE, Body, Call, Content, Method, no_saga, route};
use super::headers::Ours;
use super::nearest::hint;
use super::sagas::{ID, shown};
use super::shape::{Field, Kind, Shape, optional, required, text};
use crate::problem::Problem;

const REASON: Field = required("reason", text(1_024), "why; kept in the journal");
const BY: Field = optional("by", text(128), "who; kept in the journal");
const STEP: Field = required("step", text(140), "the step's name; of a leg with its number: Leg[3]");
const OUTPUT: Field = optional("output", Kind::Json, "what following steps see; null unless given");
const STEP_MAYBE: Field = optional("step", text(140), "only this step; of a leg with its number: Leg[3]");
const PAYLOAD: Field = optional(
    "payload",
    Kind::Json,
    "the corrected body of the step; later attempts keep it, under a key of its own",
);
const CONFIRM: Field = required("confirm", Kind::Id, "the saga's id once more");

const PLAIN: Shape = Shape { name: "Verb", fields: &[REASON, BY] };
const SKIP_BODY: Shape = Shape { name: "VerbSkip", fields: &[REASON, BY, STEP, OUTPUT] };
const RETRY_BODY: Shape = Shape { name: "VerbRetry", fields: &[REASON, BY, STEP_MAYBE, PAYLOAD] };
const RESOLVE_BODY: Shape = Shape { name: "VerbResolve", fields: &[REASON, BY, STEP] };
const ABANDON_BODY: Shape = Shape { name: "VerbAbandon", fields: &[REASON, BY, CONFIRM] };

const VERB: Call = Call {
    method: Method::Post,
    path_fields: &[ID],
    headers: &[Ours::IdempotencyKey, Ours::IfMatch],
    body: Body::Object(&PLAIN),
    answers: &[Answer {
        status: 200,
        about: "it is recorded; the saga after it",
        content: Content::Json("Saga"),
        headers: &[("ETag", "its sequence")],
    }],
    problems: &[
        ErrorKind::NotFound,
        ErrorKind::StateConflict,
        ErrorKind::KeyReused,
        ErrorKind::SagaRemoved,
        ErrorKind::PreconditionFailed,
        ErrorKind::Invalid,
        ErrorKind::SagaUnreadable,
    ],
    ..BARE
};

const CANCEL: Call = Call {
    path: "/v1/sagas/{id}/cancel",
    name: "cancel_saga",
    about: "Turns a saga back: nothing further is started, what is under way is waited for, then all is undone",
    ..VERB
};
const RETRY: Call = Call {
    path: "/v1/sagas/{id}/retry",
    name: "retry_saga",
    about: "Asks what a saga waits with again, with fresh patience; with a payload, one refused step with a corrected body",
    body: Body::Object(&RETRY_BODY),
    ..VERB
};
const SKIP: Call = Call {
    path: "/v1/sagas/{id}/skip",
    name: "skip_step",
    about: "Goes on without a step, with an output supplied by hand",
    body: Body::Object(&SKIP_BODY),
    ..VERB
};
const RESOLVE: Call = Call {
    path: "/v1/sagas/{id}/resolve",
    name: "resolve_step",
    about: "Notes that a step's undo was done by hand",
    body: Body::Object(&RESOLVE_BODY),
    ..VERB
};
const PAUSE: Call = Call {
    path: "/v1/sagas/{id}/pause",
    name: "pause_saga",
    about: "Records answers, sends nothing, lets limits stand still",
    ..VERB
};
const RESUME: Call =
    Call { path: "/v1/sagas/{id}/resume", name: "resume_saga", about: "Goes on after a pause", ..VERB };
const REVERSE: Call = Call {
    path: "/v1/sagas/{id}/reverse",
    name: "reverse_saga",
    about: "Undoes a saga that completed",
    ..VERB
};
const ABANDON: Call = Call {
    path: "/v1/sagas/{id}/abandon",
    name: "abandon_saga",
    about: "Stops a saga without undo",
    body: Body::Object(&ABANDON_BODY),
    ..VERB
};

/// The calls of this file.
pub(super) const CALLS: &[&Call] = &[&CANCEL, &RETRY, &SKIP, &RESOLVE, &PAUSE, &RESUME, &REVERSE, &ABANDON];

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    let plain = |verb: Verb| move |api: Api, asked: Asked| operate(api, asked, verb.clone());
    let router = route(router, &CANCEL, plain(Verb::Cancel));
    let router = route(router, &RETRY, retry);
    let router = route(router, &SKIP, skip);
    let router = route(router, &RESOLVE, resolve);
    let router = route(router, &PAUSE, plain(Verb::Pause));
    let router = route(router, &RESUME, plain(Verb::Resume));
    let router = route(router, &REVERSE, plain(Verb::Reverse));
    route(router, &ABANDON, abandon)
}

async fn retry(api: Api, asked: Asked) -> Result<Response, Problem> {
    let payload =
        asked.fields.json("payload").map(|payload| Bytes::copy_from_slice(payload.as_json().as_bytes()));
    if payload.is_some() && !asked.fields.has("step") {
        let detail = "a payload corrects one step: name it in step";
        return Err(Problem::new(ErrorKind::BadRequest, detail).with("pointer", "/step"));
    }
    let step = if asked.fields.has("step") { Some(step(&api, &asked).await?) } else { None };
    operate(api, asked, Verb::Retry { step, payload }).await
}

async fn skip(api: Api, asked: Asked) -> Result<Response, Problem> {
    let step = step(&api, &asked).await?;
    let output = asked.fields.json("output").map_or("null", |output| output.as_json());
    let output = Bytes::copy_from_slice(output.as_bytes());
    operate(api, asked, Verb::Skip { step, output }).await
}

async fn resolve(api: Api, asked: Asked) -> Result<Response, Problem> {
    let step = step(&api, &asked).await?;
    operate(api, asked, Verb::Resolve { step }).await
}

async fn abandon(api: Api, asked: Asked) -> Result<Response, Problem> {
    if asked.fields.id("confirm") != Some(asked.saga()?) {
        let detail = "confirm is not the saga's id: repeat it, for nothing is undone";
        return Err(Problem::new(ErrorKind::Invalid, detail).with("pointer", "/confirm"));
    }
    operate(api, asked, Verb::Abandon).await
}

async fn operate(api: Api, asked: Asked, verb: Verb) -> Result<Response, Problem> {
    let id = asked.saga()?;
    let by = by(&asked, verb.as_str())?;
    let view = api.engine.operate_expecting(id, verb, by, asked.said.expected).await?;
    shown(&api, &view)
}

/// Who, why, and by which key a repeat is known.
fn by(asked: &Asked, verb: &str) -> Result<By, Problem> {
    let text = |name| asked.fields.text(name);
    let who = text("by").unwrap_or(NOBODY_NAMED);
    let by = By::new(who, text("reason").expect("the shape asks for it"));
    let Some(key) = asked.said.key.clone() else { return Ok(by) };
    let fingerprint = fingerprint::of(verb, &asked.bytes)
        .map_err(|flaw| Problem::new(ErrorKind::BadRequest, format!("the body cannot be read: {flaw}")))?;
    Ok(By { key: Some(VerbKey { key, fingerprint: fingerprint.0 }), ..by })
}

/// Who, where nobody says so.
const NOBODY_NAMED: &str = "api";

/// The step that the body names.
async fn step(api: &Api, asked: &Asked) -> Result<StepId, Problem> {
    let id = asked.saga()?;
    let view = api.engine.look(id).await?.ok_or_else(|| no_saga(id))?;
    let saga = view.saga().ok_or_else(|| no_saga(id))?;
    step_named(saga, asked.fields.text("step").unwrap_or_default())
}

/// The step of this name, or the run of it: `Leg[3]`.
fn step_named(saga: &Saga, text: &str) -> Result<StepId, Problem> {
    let leg = text.strip_suffix(']').and_then(|text| text.split_once('['));
    let (name, occurrence) = match leg {
        Some((name, number)) => match number.parse() {
            Ok(number) => (name, Some(number)),
            Err(_) => (text, None),
        },
        None => (text, None),
    };
    let steps = &saga.definition().spec().steps;
    let at = steps.iter().position(|step| step.name == name);
    match at.and_then(|at| u16::try_from(at).ok()) {
        Some(at) => Ok(StepId { step: StepIndex(at), occurrence }),
        None => {
            let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
            let detail = format!("the saga has no step {name:?}: {}", hint(name, &names));
            Err(Problem::new(ErrorKind::Invalid, detail).with("pointer", "/step"))
        }
    }
}
