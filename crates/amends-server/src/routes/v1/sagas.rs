//! `/v1/sagas`: starting sagas, finding them, and looking at one.

use amends_api::{Count, ErrorKind, Mode, SagaList, SagaSummary};
use amends_engine::{StartRequest, View, Wait};
use amends_journal::{Summary, judge_tags};
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::Api;
use super::call::{Answer, Asked, BARE, Body, Call, Content, Method, etag, json, no_saga, ok, route};
use super::filter::{self, BY_TAG, CURSOR, DEFINITION, KEY, LIMIT, PARENT, SINCE, STATUS, UNTIL, VERSION};
use super::headers::{Ours, Patience};
use super::shape::{Field, Kind, Shape, optional, required, text};
use super::started;
use crate::masks::Masks;
use crate::problem::Problem;
use crate::wire;

/// The saga that a path names.
pub(super) const ID: Field = required("id", Kind::Id, "the saga's id");

const START_BODY: Shape = Shape {
    name: "StartSaga",
    fields: &[
        required("definition", text(128), "the name of the definition"),
        optional(
            "version",
            Kind::Number { min: 1, max: u32::MAX as u64 },
            "its version; the newest that is not retired unless given",
        ),
        optional("id", Kind::Id, "the saga's id, if you choose it"),
        required("input", Kind::Json, "what to start it with"),
        optional("tags", Kind::Texts, "what it is to be found by"),
    ],
};

const PLACED: &[(&str, &str)] = &[
    ("Location", "where the saga is"),
    ("ETag", "its sequence"),
    ("Preference-Applied", "how long was waited"),
];

const START: Call = Call {
    method: Method::Post,
    path: "/v1/sagas",
    name: "start_saga",
    about: "Starts a saga, or finds the one that this id or key started before",
    headers: &[Ours::IdempotencyKey, Ours::Prefer],
    body: Body::Object(&START_BODY),
    answers: &[
        Answer { status: 201, about: "it ended well", content: Content::Json("Saga"), headers: PLACED },
        Answer {
            status: 202,
            about: "it is accepted, and goes on",
            content: Content::Json("Saga"),
            headers: PLACED,
        },
    ],
    problems: &[
        ErrorKind::NotFound,
        ErrorKind::InputInvalid,
        ErrorKind::Invalid,
        ErrorKind::KeyReused,
        ErrorKind::DefinitionRetired,
        ErrorKind::SagaCompensated,
        ErrorKind::SagaRemoved,
        ErrorKind::SagaParked,
        ErrorKind::SagaAbandoned,
        ErrorKind::DiskLow,
        ErrorKind::OutcomeUnknown,
    ],
    ..BARE
};

const LIST: Call = Call {
    path: "/v1/sagas",
    name: "list_sagas",
    about: "Sagas that match, the newest first",
    query: &[DEFINITION, VERSION, STATUS, BY_TAG, KEY, PARENT, SINCE, UNTIL, CURSOR, LIMIT],
    answers: &[ok("SagaList", "a page of them")],
    ..BARE
};

const COUNT: Call = Call {
    path: "/v1/sagas/count",
    name: "count_sagas",
    about: "How many sagas match",
    query: &[DEFINITION, VERSION, STATUS, BY_TAG, KEY, PARENT, SINCE, UNTIL],
    answers: &[ok("Count", "how many, and whether that is exact")],
    ..BARE
};

const SHOW: Call = Call {
    path: "/v1/sagas/{id}",
    name: "show_saga",
    about: "A saga with every step",
    path_fields: &[ID],
    answers: &[Answer {
        status: 200,
        about: "the saga",
        content: Content::Json("Saga"),
        headers: &[("ETag", "its sequence, for If-Match")],
    }],
    problems: &[ErrorKind::NotFound, ErrorKind::SagaRemoved, ErrorKind::SagaUnreadable],
    ..BARE
};

/// The calls of this file.
pub(super) const CALLS: &[&Call] = &[&START, &LIST, &COUNT, &SHOW];

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    let router = route(router, &START, start);
    let router = route(router, &LIST, list);
    let router = route(router, &COUNT, count);
    route(router, &SHOW, show)
}

async fn start(api: Api, asked: Asked) -> Result<Response, Problem> {
    let fields = &asked.fields;
    let tags = fields.texts("tags");
    judge_tags(&tags).map_err(|flaw| {
        Problem::new(ErrorKind::Invalid, format!("the tags cannot be kept: {flaw}")).with("pointer", "/tags")
    })?;
    let input = fields.json("input").expect("the shape asks for it");
    let request = StartRequest {
        version: fields.number("version").and_then(|version| u32::try_from(version).ok()),
        id: fields.id("id"),
        key: asked.said.key.clone(),
        tags,
        trace: trace(&asked),
        wait: Wait::Accepted,
        ..StartRequest::new(
            filter::definition(fields.text("definition").expect("the shape asks for it"))?,
            Bytes::copy_from_slice(input.as_json().as_bytes()),
        )
    };
    let accepted = api.engine.start(request).await?;
    let view = match asked.said.wait {
        Patience::None => accepted,
        Patience::For(_) if accepted.transaction.standing().is_at_rest() => accepted,
        Patience::For(wait) => {
            let rest = api.engine.rest(accepted.transaction.id());
            match tokio::time::timeout(wait, rest).await {
                Ok(rested) => rested?.unwrap_or(accepted),
                // What was accepted is old by now; nobody is told less than is known.
                Err(_) => api.engine.look(accepted.transaction.id()).await?.unwrap_or(accepted),
            }
        }
    };
    let saga = view.saga().ok_or_else(|| no_saga(view.transaction.id()))?;
    Ok(started::answer(saga, &api.shown(&view)?, asked.said.wait))
}

/// The caller's trace context, where it has one that can be read: W3C has others ignored.
fn trace(asked: &Asked) -> Option<String> {
    let text = asked.headers.get("traceparent")?.to_str().ok()?;
    let mut parts = text.split('-');
    let lengths = [2, 32, 16, 2];
    let is_hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_sound =
        lengths.iter().all(|length| parts.next().is_some_and(|part| part.len() == *length && is_hex(part)));
    (is_sound && parts.next().is_none() && !text.starts_with("ff")).then(|| text.to_owned())
}

async fn list(api: Api, asked: Asked) -> Result<Response, Problem> {
    let filter = filter::of(&asked.query)?;
    let page = api.engine.list(filter, filter::cursor(&asked.query)?, filter::limit(&asked.query)).await?;
    let sagas = page.items.iter().map(summary).collect();
    Ok(json(StatusCode::OK, &SagaList { sagas, next_cursor: page.next.map(filter::cursor_text) }))
}

async fn count(api: Api, asked: Asked) -> Result<Response, Problem> {
    let count = api.engine.count(filter::of(&asked.query)?).await?;
    Ok(json(StatusCode::OK, &Count { count: count.count, exact: count.exact }))
}

async fn show(api: Api, asked: Asked) -> Result<Response, Problem> {
    let id = asked.saga()?;
    let view = api.engine.look(id).await?.ok_or_else(|| no_saga(id))?;
    shown(&api, &view)
}

/// A saga as the answer.
pub(super) fn shown(api: &Api, view: &View) -> Result<Response, Problem> {
    let saga = api.shown(view)?;
    Ok(([etag(saga.sequence)], json(StatusCode::OK, &saga)).into_response())
}

impl Api {
    /// A saga as people may see it.
    pub(super) fn shown(&self, view: &View) -> Result<amends_api::Saga, Problem> {
        let saga = view.saga().ok_or_else(|| no_saga(view.transaction.id()))?;
        let definition = saga.definition();
        let masks = Masks::of(&self.engine, definition.name().as_str(), definition.version());
        Ok(masks.saga(wire::saga(saga)))
    }
}

fn summary(summary: &Summary) -> SagaSummary {
    SagaSummary {
        id: summary.id.to_string(),
        definition: summary.definition.to_string(),
        version: summary.version,
        mode: Mode::Saga,
        status: wire::standing(summary.standing),
        tags: summary.tags.clone(),
        parent: summary.parent.map(|parent| parent.to_string()),
        started_at: wire::rfc3339(summary.started_at),
        finished_at: summary.ended_at.map(wire::rfc3339),
    }
}
