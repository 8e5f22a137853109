//! Erasing, the feed of all events, participants.

use amends_api::{Fact, ParticipantList, Saga, SagaStatus};
use http_body_util::BodyExt;

use super::{post, refused, send, started};
use crate::place::{call, done, engine, json, router};

#[tokio::test]
async fn what_is_erased_keeps_its_facts_and_is_not_reversed() {
    let router = router(&engine(done));
    let body = r#"{"definition": "Three", "input": {"card": "4111"}}"#;
    let saga: Saga = json(post(&router, "/v1/sagas", &[("idempotency-key", "k")], body).await).await;
    let path = |verb: &str| format!("/v1/sagas/{}/{verb}", saga.id);
    for _ in 0..2 {
        let left: Saga = json(post(&router, &path("erase"), &[], "").await).await;
        assert_eq!((left.status, left.sequence), (SagaStatus::Completed, saga.sequence));
        assert_eq!((left.input.as_json(), left.steps[0].output.as_json()), ("null", "null"));
    }
    let (status, problem) = refused(post(&router, &path("reverse"), &[], r#"{"reason": "r"}"#).await).await;
    assert_eq!((status, problem.code.as_str()), (409, "erased"));
    let again: Saga = json(post(&router, "/v1/sagas", &[("idempotency-key", "k")], body).await).await;
    assert_eq!(again.id, saga.id, "the fingerprint of its key is kept");
    let id = started(&router, "Waiting").await.id;
    let (status, problem) = refused(post(&router, &format!("/v1/sagas/{id}/erase"), &[], "").await).await;
    assert_eq!((status, problem.code.as_str()), (409, "state_conflict"));
}

/// The facts of the first pieces of a stream, until there are so many.
async fn facts(response: axum::response::Response, until: usize) -> Vec<(u64, Fact)> {
    assert_eq!(response.status(), 200);
    let (mut body, mut text, mut found) = (response.into_body(), String::new(), Vec::new());
    while found.len() < until {
        let frame = body.frame().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
        while let Some((event, rest)) = text.split_once("\n\n") {
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
            if let (Some(id), Some(data)) = (field("id: "), field("data: ")) {
                found.push((id.parse().unwrap(), serde_json::from_str(data).unwrap()));
            }
            text = rest.to_owned();
        }
    }
    found
}

#[tokio::test]
async fn the_feed_of_all_events_resumes_without_gap_or_repeat() {
    let router = router(&engine(done));
    let stream = call(&router, "GET", "/v1/events").await;
    let body = r#"{"definition": "Three", "input": {}}"#;
    let first: Saga = json(post(&router, "/v1/sagas", &[], body).await).await;
    let second: Saga = json(post(&router, "/v1/sagas", &[], body).await).await;
    let all = facts(stream, 16).await;
    let sagas: Vec<&str> = all.iter().map(|(_, fact)| fact.saga.as_str()).collect();
    assert_eq!((&sagas[..8], &sagas[8..]), (&[first.id.as_str(); 8][..], &[second.id.as_str(); 8][..]));
    assert!(all.iter().zip(&all[1..]).all(|((a, _), (b, _))| a + 1 == *b), "places grow by one");
    let third = all[2].0.to_string();
    let rest = facts(send(&router, "GET", "/v1/events", &[("last-event-id", &third)], "").await, 13).await;
    assert_eq!(rest, all[3..]);
    for never in ["x", "99999", ""] {
        let (status, _) =
            refused(send(&router, "GET", "/v1/events", &[("last-event-id", never)], "").await).await;
        assert_eq!(status, 400, "{never:?}");
    }
}

#[tokio::test]
async fn participants_outside_this_program_are_listed() {
    let router = router(&engine(done));
    let all: ParticipantList = json(call(&router, "GET", "/v1/participants").await).await;
    assert_eq!(all.participants, [], "the only one is in this process");
    assert_eq!(refused(call(&router, "GET", "/v1/participants/p").await).await.0, 404);
    assert_eq!(refused(post(&router, "/v1/participants/p/reset", &[], "").await).await.0, 404);
}
