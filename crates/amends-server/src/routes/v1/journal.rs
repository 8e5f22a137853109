//! `/v1/sagas/{id}/journal`, `…/events`, `…/diagram`: what happened to one saga.

use std::fmt::Write as _;

use amends_api::diagram::Sequence;
use amends_api::{ErrorKind, Fact, Journal};
use amends_core::TransactionId;
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::time::Instant;

use super::Api;
use super::call::{Answer, Asked, BARE, Call, Content, json, no_saga, ok, route};
use super::definitions::{DRAWN, FORMAT, drawing};
use super::filter::{self, CURSOR, LIMIT};
use super::headers::Ours;
use super::sagas::ID;
use crate::facts;
use crate::limits::{HEARTBEAT_EVERY, STREAM_LOOK_MAX, STREAM_LOOK_MIN, STREAM_PIECE_FACTS_MAX};
use crate::masks::Masks;
use crate::problem::Problem;
use crate::stream::{self, HEARTBEAT};

const JOURNAL: Call = Call {
    path: "/v1/sagas/{id}/journal",
    name: "show_journal",
    about: "Every fact about a saga, the oldest first",
    path_fields: &[ID],
    query: &[CURSOR, LIMIT],
    answers: &[ok("Journal", "a page of them")],
    problems: &[ErrorKind::NotFound, ErrorKind::SagaRemoved, ErrorKind::SagaUnreadable],
    ..BARE
};

const EVENTS: Call = Call {
    path: "/v1/sagas/{id}/events",
    name: "follow_saga",
    about: "The facts about a saga as they come; ends with the saga",
    path_fields: &[ID],
    headers: &[Ours::LastEventId],
    answers: &[
        Answer {
            status: 200,
            about: "the facts after Last-Event-ID",
            content: Content::Events("Fact"),
            headers: &[],
        },
        Answer {
            status: 204,
            about: "the saga has ended, and nothing came after Last-Event-ID",
            content: Content::None,
            headers: &[],
        },
    ],
    problems: &[ErrorKind::NotFound, ErrorKind::SagaRemoved, ErrorKind::SagaUnreadable],
    ..BARE
};

const DIAGRAM: Call = Call {
    path: "/v1/sagas/{id}/diagram",
    name: "draw_saga",
    about: "What really happened to a saga, as a sequence diagram",
    path_fields: &[ID],
    query: &[FORMAT],
    answers: &[DRAWN],
    problems: &[ErrorKind::NotFound, ErrorKind::SagaRemoved, ErrorKind::SagaUnreadable],
    ..BARE
};

/// The calls of this file.
pub(super) const CALLS: &[&Call] = &[&JOURNAL, &EVENTS, &DIAGRAM];

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    let router = route(router, &JOURNAL, journal);
    let router = route(router, &EVENTS, events);
    route(router, &DIAGRAM, diagram)
}

impl Api {
    /// Every fact about a saga, as people may see them.
    pub(super) async fn facts(&self, id: TransactionId) -> Result<Vec<Fact>, Problem> {
        Ok(self.numbered_facts(id).await?.into_iter().map(|(_, fact)| fact).collect())
    }

    /// Every fact about a saga, each with the number of its record.
    pub(super) async fn numbered_facts(&self, id: TransactionId) -> Result<Vec<(u64, Fact)>, Problem> {
        let history = self.engine.history(id).await?.ok_or_else(|| no_saga(id))?;
        let masks = match &history.definition {
            Some(definition) => Masks::of(&self.engine, definition.name().as_str(), definition.version()),
            None => Masks::default(),
        };
        let facts = facts::all(id, &history).into_iter();
        Ok(facts.map(|(record, fact)| (record, masks.fact(fact))).collect())
    }
}

async fn journal(api: Api, asked: Asked) -> Result<Response, Problem> {
    let id = asked.saga()?;
    let after = filter::cursor(&asked.query)?.map_or(0, |cursor| cursor.0);
    let limit = filter::limit(&asked.query);
    let mut facts = api.facts(id).await?;
    facts.retain(|fact| fact.sequence > after);
    let more = facts.len() > limit;
    facts.truncate(limit);
    let last = facts.last().filter(|_| more).map(|fact| amends_journal::Cursor(fact.sequence));
    let next_cursor = last.map(filter::cursor_text);
    Ok(json(StatusCode::OK, &Journal { saga: id.to_string(), facts, next_cursor }))
}

async fn diagram(api: Api, asked: Asked) -> Result<Response, Problem> {
    let facts = api.facts(asked.saga()?).await?;
    Ok(drawing(&asked, Sequence::of(&facts)))
}

async fn events(api: Api, asked: Asked) -> Result<Response, Problem> {
    let id = asked.saga()?;
    let view = api.engine.look(id).await?.ok_or_else(|| no_saga(id))?;
    let saga = view.saga().ok_or_else(|| no_saga(id))?;
    let after = match asked.said.last_event_id.as_deref() {
        None => 0,
        Some(text) => last_event_id(text, saga.sequence())?,
    };
    if saga.status().is_ended() && after == saga.sequence() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let follower = Follower { api, id, after, silent_since: Instant::now() };
    Ok(stream::events(follower, Follower::next))
}

/// The id of an event that was given.
pub(super) fn last_event_id(text: &str, newest: u64) -> Result<u64, Problem> {
    let id = plain_number(text);
    id.filter(|id| (1..=newest).contains(id)).ok_or_else(|| {
        let detail =
            format!("no event has the id {text:?}: leave Last-Event-ID out to begin at the beginning");
        Problem::new(ErrorKind::BadRequest, detail).with("header", "Last-Event-ID")
    })
}

/// A number, without sign or white space.
pub(super) fn plain_number(text: &str) -> Option<u64> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

/// Whoever follows one saga.
struct Follower {
    api: Api,
    id: TransactionId,
    /// The last fact that was sent.
    after: u64,
    silent_since: Instant,
}

impl Follower {
    /// The facts that came, or a sign of life; `None` when the saga has ended and all is said.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        let mut rest = STREAM_LOOK_MIN;
        loop {
            // A server that stops, or a saga that cannot be read any more, ends the stream: the client comes
            // again with the last id, and is told what is the matter.
            if self.api.engine.is_stopping() {
                return None;
            }
            let view = self.api.engine.look(self.id).await.ok()??;
            let saga = view.saga()?;
            if saga.sequence() > self.after {
                let piece = self.piece().await?;
                self.silent_since = Instant::now();
                return Some((piece, self));
            }
            if saga.status().is_ended() {
                return None;
            }
            if self.silent_since.elapsed() >= HEARTBEAT_EVERY {
                self.silent_since = Instant::now();
                return Some((HEARTBEAT, self));
            }
            tokio::time::sleep(rest).await;
            rest = (rest * 2).min(STREAM_LOOK_MAX);
        }
    }

    /// The next facts, as events.
    async fn piece(&mut self) -> Option<Bytes> {
        let facts = self.api.facts(self.id).await.ok()?;
        let after = self.after;
        let new = facts.into_iter().filter(|fact| fact.sequence > after).take(STREAM_PIECE_FACTS_MAX);
        let mut text = String::new();
        for fact in new {
            self.after = fact.sequence;
            event(&mut text, &fact.sequence.to_string(), &fact);
        }
        Some(Bytes::from(text))
    }
}

/// Writes one event.
pub(super) fn event(text: &mut String, id: &str, fact: &Fact) {
    // JSON has no line break but within texts, and there it is escaped. A payload keeps its own white space.
    let data = serde_json::to_string(fact).expect("a fact can be written as JSON");
    let data = data.replace('\r', " ");
    writeln!(text, "id: {id}").expect("a text takes whatever is written to it");
    for line in data.split('\n') {
        writeln!(text, "data: {line}").expect("a text takes whatever is written to it");
    }
    text.push('\n');
}

/// A rest between two looks is far shorter than a heartbeat.
const _: () = assert!(STREAM_LOOK_MAX.as_millis() < HEARTBEAT_EVERY.as_millis());
