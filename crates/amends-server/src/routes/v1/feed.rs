//! `/v1/events`: the facts about all sagas as they come.

use amends_api::{ErrorKind, Fact};
use amends_journal::{Feed, FeedEntry, FeedPosition};
use axum::Router;
use axum::response::Response;
use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Api;
use super::call::{Answer, Asked, BARE, Call, Content, route};
use super::headers::Ours;
use super::journal::{event, plain_number};
use crate::limits::{FEED_PIECE_RECORDS_MAX, HEARTBEAT_EVERY, STREAM_LOOK_MAX};
use crate::problem::Problem;
use crate::stream::{self, HEARTBEAT};

const EVENTS: Call = Call {
    path: "/v1/events",
    name: "follow_all",
    about: "The facts about all sagas as they come; without Last-Event-ID those to come",
    headers: &[Ours::LastEventId],
    answers: &[Answer {
        status: 200,
        about: "the facts after Last-Event-ID; the id is the place in the store",
        content: Content::Events("Fact"),
        headers: &[],
    }],
    problems: &[ErrorKind::NotFound],
    ..BARE
};

/// The calls of this file.
pub(super) const CALLS: &[&Call] = &[&EVENTS];

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    route(router, &EVENTS, events)
}

async fn events(api: Api, asked: Asked) -> Result<Response, Problem> {
    let given = asked.said.last_event_id.as_deref();
    let after = given.map(|text| plain_number(text).ok_or_else(|| never(text))).transpose()?;
    let after = match api.engine.feed(after.map(FeedPosition), 1).await? {
        // Where it goes on from is where it was asked for; what is there already comes with the first look.
        Feed::Page { newest, .. } => after.map_or(newest, FeedPosition),
        Feed::Expired { oldest } => {
            let detail = format!(
                "events after this id are not kept any more: those after {} are; read the state anew (GET /v1/sagas), then leave Last-Event-ID out",
                oldest.0
            );
            return Err(Problem::new(ErrorKind::EventIdExpired, detail));
        }
        Feed::Unknown { .. } => return Err(never(given.unwrap_or_default())),
        Feed::Off => {
            let detail =
                "this server keeps no feed of all events: follow single sagas (/v1/sagas/{id}/events)";
            return Err(Problem::new(ErrorKind::NotFound, detail));
        }
    };
    let news = api.engine.fed_to();
    let follower = Follower { api, after, news, silent_since: Instant::now() };
    Ok(stream::events(follower, Follower::next))
}

fn never(text: &str) -> Problem {
    let detail = format!("no event has the id {text:?}: leave Last-Event-ID out to begin with those to come");
    Problem::new(ErrorKind::BadRequest, detail).with("header", "Last-Event-ID")
}

/// Whoever follows all sagas.
struct Follower {
    api: Api,
    /// The place of the last fact that was sent.
    after: FeedPosition,
    /// Changes when there is something new.
    news: watch::Receiver<FeedPosition>,
    silent_since: Instant,
}

impl Follower {
    /// The facts that came, or a sign of life.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        loop {
            // A server that stops, or an error, ends the stream: the client comes again with the last id, and is
            // told what is the matter.
            if self.api.engine.is_stopping() {
                return None;
            }
            self.news.mark_unchanged();
            match self.api.engine.feed(Some(self.after), FEED_PIECE_RECORDS_MAX).await.ok()? {
                Feed::Page { entries, next, .. } if next > self.after => {
                    let piece = self.piece(&entries).await?;
                    self.after = next;
                    // Those of removed sagas are left out.
                    if !piece.is_empty() {
                        self.silent_since = Instant::now();
                        return Some((piece, self));
                    }
                    continue;
                }
                Feed::Page { .. } => {}
                Feed::Expired { .. } | Feed::Unknown { .. } | Feed::Off => return None,
            }
            if self.silent_since.elapsed() >= HEARTBEAT_EVERY {
                self.silent_since = Instant::now();
                return Some((HEARTBEAT, self));
            }
            // Told or not, it looks again.
            let _ = tokio::time::timeout(STREAM_LOOK_MAX, self.news.changed()).await;
        }
    }

    async fn piece(&self, entries: &[FeedEntry]) -> Option<Bytes> {
        let mut text = String::new();
        for entry in entries {
            for (position, fact) in self.api.facts_of(entry).await.ok()? {
                if position > self.after.0 {
                    let position = position.to_string();
                    event(&mut text, &position, &Fact { position: Some(position.clone()), ..fact });
                }
            }
        }
        Some(Bytes::from(text))
    }
}

impl Api {
    /// The facts of one record, each with its place in the store; none if the saga was removed.
    pub(super) async fn facts_of(&self, entry: &FeedEntry) -> Result<Vec<(u64, Fact)>, Problem> {
        let facts = match self.numbered_facts(entry.id).await {
            Ok(facts) => facts,
            Err(problem) if matches!(problem.kind(), ErrorKind::NotFound | ErrorKind::SagaRemoved) => {
                return Ok(Vec::new());
            }
            Err(problem) => return Err(problem),
        };
        let of_record = facts.into_iter().filter(|(record, _)| *record == entry.record).map(|(_, fact)| fact);
        Ok((entry.first.0..).zip(of_record).collect())
    }
}
