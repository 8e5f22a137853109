//! `/v1/participants`: how those who carry out steps are doing.

use amends_api::{
    Breaker, BreakerState, ErrorKind, Outcomes, Participant, ParticipantError, ParticipantList,
};
use amends_engine::{BreakerView, ParticipantView};
use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;

use super::Api;
use super::call::{Asked, BARE, Call, Method, json, ok, route};
use super::nearest::nearest;
use super::shape::{Field, required, text};
use crate::problem::Problem;
use crate::wire;

const NAME: Field = required("name", text(128), "the participant's name");

const LIST: Call = Call {
    path: "/v1/participants",
    name: "list_participants",
    about: "Every participant outside this program: breaker, queue, outcomes, last error",
    answers: &[ok("ParticipantList", "all of them, by name and origin")],
    ..BARE
};

const SHOW: Call = Call {
    path: "/v1/participants/{name}",
    name: "show_participant",
    about: "The participants of this name: one for each origin",
    path_fields: &[NAME],
    answers: &[ok("ParticipantList", "those of this name")],
    problems: &[ErrorKind::NotFound],
    ..BARE
};

const RESET: Call = Call {
    method: Method::Post,
    path: "/v1/participants/{name}/reset",
    name: "reset_participant",
    about: "Calls a participant again though its breaker is open: calls double from one",
    ..SHOW
};

/// The calls of this file.
pub(super) const CALLS: &[&Call] = &[&LIST, &SHOW, &RESET];

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    let router = route(router, &LIST, list);
    let router = route(router, &SHOW, show);
    route(router, &RESET, reset)
}

async fn list(api: Api, _: Asked) -> Result<Response, Problem> {
    Ok(answer(api.engine.participants()))
}

async fn show(api: Api, asked: Asked) -> Result<Response, Problem> {
    let mut views = api.engine.participants();
    let name = asked.part("name");
    if !views.iter().any(|view| view.name == name) {
        return Err(no_participant(name, &views));
    }
    views.retain(|view| view.name == name);
    Ok(answer(views))
}

async fn reset(api: Api, asked: Asked) -> Result<Response, Problem> {
    let name = asked.part("name");
    if api.engine.reset_participant(name) == 0 {
        return Err(no_participant(name, &api.engine.participants()));
    }
    show(api, asked).await
}

fn no_participant(name: &str, views: &[ParticipantView]) -> Problem {
    let hint = match nearest(name, views.iter().map(|view| view.name.as_str())) {
        Some(near) => format!("did you mean {near:?}?"),
        None => "/v1/participants lists those there are".to_owned(),
    };
    Problem::new(ErrorKind::NotFound, format!("no participant is named {name:?}: {hint}"))
}

fn answer(views: Vec<ParticipantView>) -> Response {
    let participants = views.iter().map(participant).collect();
    json(StatusCode::OK, &ParticipantList { participants, next_cursor: None })
}

fn participant(view: &ParticipantView) -> Participant {
    let (state, probe_at) = match view.breaker {
        BreakerView::Closed => (BreakerState::Closed, None),
        BreakerView::Open { next_probe, .. } => (BreakerState::Open, Some(wire::rfc3339(next_probe))),
        BreakerView::HalfOpen { .. } => (BreakerState::Probing, None),
    };
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let outcomes = view.outcomes;
    Participant {
        name: view.name.clone(),
        origin: view.origin.clone(),
        breaker: Breaker { state, open_since: view.open_since().map(wire::rfc3339), probe_at },
        queued: count(view.queued),
        calls: count(view.under_way),
        concurrency: count(view.limit),
        outcomes: Outcomes {
            completed: outcomes.completed,
            refused: outcomes.refused,
            working: outcomes.working,
            unknown: outcomes.unknown,
            conflict: outcomes.conflict,
        },
        last_error: view.last_error.as_ref().map(|error| ParticipantError {
            at: wire::rfc3339(error.at),
            code: error.reason.code.clone(),
            message: error.reason.message.clone(),
        }),
    }
}
