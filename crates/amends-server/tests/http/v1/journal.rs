//! What happened: facts, events, diagrams.

use std::time::Duration;

use amends_api::{Fact, Journal, Saga};
use amends_core::Outcome;
use axum::Router;
use axum::http::header;
use axum::response::Response;
use http_body_util::BodyExt;

use super::{post, refused, send, started};
use crate::place::{call, done, engine, json, router, text};

fn sold_out(operation: &str) -> Outcome {
    match operation {
        "b" => Outcome::refused("sold_out", "none left"),
        _ => done(operation),
    }
}

/// The id of a saga that went back.
async fn went_back(router: &Router) -> String {
    let body = r#"{"definition": "Three", "input": {"n":  1}}"#;
    let (_, problem) = refused(post(router, "/v1/sagas", &[], body).await).await;
    problem.members["saga_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_journal_has_every_fact_in_pages() {
    let router = router(&engine(sold_out));
    let id = went_back(&router).await;
    let page: Journal = json(call(&router, "GET", &format!("/v1/sagas/{id}/journal")).await).await;
    let told: Vec<String> = page
        .facts
        .iter()
        .map(|fact| format!("{} {}", fact.fact, fact.step.as_deref().unwrap_or("-")))
        .collect();
    assert_eq!(
        told,
        [
            "saga_started -",
            "step_started a",
            "step_completed a",
            "step_started b",
            "step_refused b",
            "turned_back b",
            "compensation_started a",
            "compensation_completed a",
            "saga_compensated -",
        ]
    );
    assert_eq!(page.facts[0].input.as_ref().unwrap().as_json(), r#"{"n":  1}"#);
    assert_eq!(page.facts[4].reason.as_ref().unwrap().code, "sold_out");
    assert_eq!(page.facts[1].participant.as_deref(), Some("p"));
    let (mut found, mut query) = (Vec::new(), "limit=4".to_owned());
    loop {
        let part: Journal =
            json(call(&router, "GET", &format!("/v1/sagas/{id}/journal?{query}")).await).await;
        found.extend(part.facts);
        let Some(cursor) = part.next_cursor else { break };
        query = format!("limit=4&cursor={cursor}");
    }
    assert_eq!(found, page.facts);
}

/// The events of an answer, read to its end or until so many.
async fn events(response: Response, until: usize) -> Vec<(u64, Fact)> {
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let (mut body, mut text, mut events) = (response.into_body(), String::new(), Vec::new());
    while events.len() < until {
        let Some(frame) = body.frame().await else { break };
        text.push_str(std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap());
        while let Some((event, rest)) = text.split_once("\n\n") {
            let field =
                |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            if let Some(id) = field("id: ") {
                events.push((id.parse().unwrap(), serde_json::from_str(&field("data: ").unwrap()).unwrap()));
            } else {
                assert!(event.starts_with(':'), "what is no fact is a comment: {event}");
            }
            text = rest.to_owned();
        }
    }
    events
}

#[tokio::test]
async fn events_resume_without_gap_or_repeat_and_end_with_the_saga() {
    let router = router(&engine(done));
    let id = started(&router, "Waiting").await.id;
    let path = format!("/v1/sagas/{id}/events");
    let before = events(call(&router, "GET", &path).await, 2).await;
    assert_eq!(before.iter().map(|(id, fact)| (*id, fact.sequence)).collect::<Vec<_>>(), [(1, 1), (2, 2)]);
    post(&router, &format!("/v1/sagas/{id}/signals/go"), &[("idempotency-key", "k")], "").await;
    let after = events(send(&router, "GET", &path, &[("last-event-id", "2")], "").await, usize::MAX).await;
    let saga: Saga = json(call(&router, "GET", &format!("/v1/sagas/{id}")).await).await;
    assert_eq!(after.iter().map(|(id, _)| *id).collect::<Vec<_>>(), (3..=saga.sequence).collect::<Vec<_>>());
    assert_eq!(after.last().unwrap().1.fact, "saga_completed");
    let last = saga.sequence.to_string();
    assert_eq!(send(&router, "GET", &path, &[("last-event-id", &last)], "").await.status(), 204);
    for never in ["0", "x", "", "-1", &(saga.sequence + 1).to_string()] {
        let (status, _) = refused(send(&router, "GET", &path, &[("last-event-id", never)], "").await).await;
        assert_eq!(status, 400, "{never:?} was never given");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_a_saga_that_waits_says_that_it_lives() {
    let router = router(&engine(done));
    let id = started(&router, "Waiting").await.id;
    let response =
        send(&router, "GET", &format!("/v1/sagas/{id}/events"), &[("last-event-id", "2")], "").await;
    let mut body = response.into_body();
    let frame = tokio::time::timeout(Duration::from_secs(20), body.frame()).await.unwrap().unwrap().unwrap();
    assert!(frame.into_data().unwrap().starts_with(b": "));
}

#[tokio::test]
async fn what_really_happened_is_drawn() {
    let router = router(&engine(sold_out));
    let id = went_back(&router).await;
    let path = format!("/v1/sagas/{id}/diagram");
    let mermaid = text(call(&router, "GET", &path).await).await;
    assert!(
        mermaid.starts_with("sequenceDiagram\n") && mermaid.contains("L1--xL0: b: refused: sold_out"),
        "{mermaid}"
    );
    assert!(mermaid.contains("L0->>L1: undo a"), "{mermaid}");
    let response = call(&router, "GET", &format!("{path}?format=svg")).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "image/svg+xml");
    assert!(text(response).await.starts_with("<svg "));
    assert_eq!(refused(call(&router, "GET", &format!("{path}?format=png")).await).await.0, 400);
}
