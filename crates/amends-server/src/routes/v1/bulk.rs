//! `/v1/bulk`: one verb for every saga that matches.

use amends_api::{ErrorKind, VerbName};
use amends_engine::fingerprint;
use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Api;
use super::call::{Answer, Asked, BARE, Body, Call, Content, Method, json, ok, route};
use super::filter::{self, BY_TAG, DEFINITION, PARENT, SINCE, STATUS, UNTIL, VERSION};
use super::headers::Ours;
use super::shape::{Kind, Shape, optional, required, text};
use crate::jobs::Order;
use crate::limits::{BULK_SAGAS_MAX, PAGE_MAX};
use crate::problem::Problem;

const FILTER: Shape =
    Shape { name: "BulkFilter", fields: &[DEFINITION, VERSION, STATUS, BY_TAG, PARENT, SINCE, UNTIL] };

const BODY: Shape = Shape {
    name: "BulkRequest",
    fields: &[
        required("filter", Kind::Object(&FILTER), "which sagas: at least one field"),
        required("verb", Kind::Word(&["cancel", "retry", "pause", "resume", "reverse"]), "what to do"),
        required("reason", text(1_024), "why; kept in the journal of each"),
        optional("by", text(128), "who; kept in the journal of each"),
    ],
};

const START: Call = Call {
    method: Method::Post,
    path: "/v1/bulk",
    name: "start_bulk",
    about: "Gives a verb to every saga that matches now; goes on after a restart",
    headers: &[Ours::IdempotencyKey],
    body: Body::Object(&BODY),
    answers: &[Answer {
        status: 202,
        about: "it is accepted, and goes on",
        content: Content::Json("Bulk"),
        headers: &[("Location", "where the job is")],
    }],
    problems: &[ErrorKind::EmptyFilter, ErrorKind::Invalid, ErrorKind::KeyReused],
    ..BARE
};

const SHOW: Call = Call {
    path: "/v1/bulk/{id}",
    name: "show_bulk",
    about: "How far a bulk job is",
    path_fields: &[required("id", Kind::Id, "the job's id")],
    answers: &[ok("Bulk", "the job")],
    problems: &[ErrorKind::NotFound],
    ..BARE
};

/// The calls of this file.
pub(super) const CALLS: &[&Call] = &[&START, &SHOW];

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    let router = route(router, &START, start);
    route(router, &SHOW, show)
}

async fn start(api: Api, asked: Asked) -> Result<Response, Problem> {
    let fields = &asked.fields;
    let print = fingerprint::of("bulk", &asked.bytes)
        .map_err(|flaw| Problem::new(ErrorKind::BadRequest, format!("the body cannot be read: {flaw}")))?;
    let print = print.0;
    if let Some(key) = &asked.said.key {
        match api.jobs.by_key(key, &print) {
            Some(Ok(job)) => return Ok(accepted(&job)),
            Some(Err(job)) => {
                let detail = format!(
                    "this key was used before, for the bulk job {job} with another body: use a new one"
                );
                return Err(Problem::new(ErrorKind::KeyReused, detail).with("bulk_id", job));
            }
            None => {}
        }
    }
    let filter = fields.object("filter").filter(|filter| !filter.is_empty());
    let filter = filter.ok_or_else(|| {
        let detail =
            "the filter names nothing, and so would mean every saga there is: name at least one field";
        Problem::new(ErrorKind::EmptyFilter, detail).with("pointer", "/filter")
    })?;
    let filter = filter::of(filter)?;
    let (mut sagas, mut cursor) = (Vec::new(), None);
    loop {
        let page = api.engine.list(filter.clone(), cursor, PAGE_MAX).await?;
        sagas.extend(page.items.iter().map(|saga| saga.id.to_string()));
        if sagas.len() > BULK_SAGAS_MAX {
            let detail =
                format!("more than {BULK_SAGAS_MAX} sagas match: narrow the filter, by time for example");
            return Err(Problem::new(ErrorKind::Invalid, detail).with("pointer", "/filter"));
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let word = fields.text("verb").unwrap_or_default();
    let order = Order {
        id: api.engine.clock().new_id().to_string(),
        key: asked.said.key.clone(),
        fingerprint: print,
        verb: word
            .parse::<VerbName>()
            .map_err(|error| Problem::new(ErrorKind::BadRequest, error.to_string()))?,
        reason: fields.text("reason").unwrap_or_default().to_owned(),
        by: fields.text("by").unwrap_or("api").to_owned(),
        sagas,
    };
    let job =
        api.jobs.accept(order).await.map_err(|error| Problem::new(ErrorKind::Internal, error.to_string()))?;
    Ok(accepted(&job))
}

fn accepted(job: &amends_api::Bulk) -> Response {
    let place = HeaderValue::from_str(&format!("/v1/bulk/{}", job.id)).expect("an id is visible ASCII");
    ([(header::LOCATION, place)], json(StatusCode::ACCEPTED, job)).into_response()
}

async fn show(api: Api, asked: Asked) -> Result<Response, Problem> {
    let id = asked.part("id");
    let job = api.jobs.find(id);
    let job =
        job.ok_or_else(|| Problem::new(ErrorKind::NotFound, format!("no bulk job has the id {id:?}")))?;
    Ok(json(StatusCode::OK, &job))
}
