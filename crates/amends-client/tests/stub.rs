//! The client against a server that says what a test wants.
//!
//! Owns what is promised about repeats, lost answers and streams that break. Promises that what the client
//! sent is looked at byte for byte. Does not test the server: its own tests do.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

use std::time::Duration;

use amends_api::{ErrorKind, Payload, StartSaga, VerbName, VerbRequest};
use amends_client::{Client, ClientError, Filter, Wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const SAGA: &str = r#"{"id": "s", "definition": "Trip", "version": 1, "mode": "saga", "status": "in_progress",
    "paused": false, "sequence": 3, "input": {"b": 1.0, "a": 2}, "output": null, "tags": {}, "parent": null,
    "failed_step": null, "reason": null, "parked": null, "started_at": "2026-11-30T10:00:00.000Z",
    "finished_at": null, "steps": [], "of_tomorrow": true}"#;

/// A server that gives these answers, each on a connection of its own; what it was asked comes back. An empty
/// answer closes the connection.
async fn stub(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            asked.push(request(&mut stream).await);
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
        asked
    });
    (address, asked)
}

async fn request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.unwrap();
        text.extend_from_slice(&piece[..read]);
        let so_far = String::from_utf8_lossy(&text).to_lowercase();
        let Some((head, body)) = so_far.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) || read == 0 {
            return String::from_utf8(text).unwrap();
        }
    }
}

fn answer(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

fn problem(status: u16, headers: &str, code: &str) -> String {
    let body = format!(
        r#"{{"type": "/errors/{code}", "title": "t", "status": {status}, "code": "{code}", "detail": "d", "saga_id": "s"}}"#
    );
    answer(status, &format!("content-type: application/problem+json\r\n{headers}"), &body)
}

fn trip() -> StartSaga {
    StartSaga {
        definition: "Trip".to_owned(),
        version: None,
        id: None,
        input: Payload::parse(r#"{"b": 1.0, "a": 2}"#).unwrap(),
        tags: [("who".to_owned(), "ann".to_owned())].into(),
    }
}

#[tokio::test]
async fn a_start_carries_key_token_preference_and_the_input_to_the_byte() {
    let (server, asked) = stub(vec![answer(202, "", SAGA)]).await;
    let client = Client::builder(&server).token("hush").build().unwrap();
    let saga = client.start(&trip(), Some("k"), Wait::Rest(Duration::from_secs(10))).await.unwrap();
    assert_eq!((saga.id.as_str(), saga.input.as_json()), ("s", r#"{"b": 1.0, "a": 2}"#));
    let asked = asked.await.unwrap().remove(0);
    let (head, body) = asked.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /v1/sagas HTTP/1.1\r\n"), "{head}");
    for header in [
        "idempotency-key: k",
        "authorization: Bearer hush",
        "prefer: wait=10",
        "content-type: application/json",
    ] {
        assert!(head.lines().any(|line| line == header), "{header} is not in {head}");
    }
    assert_eq!(body, r#"{"definition":"Trip","input":{"b": 1.0, "a": 2},"tags":{"who":"ann"}}"#);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_only_where_the_server_knows_the_call() {
    let (server, asked) = stub(vec![String::new(), answer(202, "", SAGA)]).await;
    let client = Client::new(&server).unwrap();
    client.start(&trip(), Some("k"), Wait::Accepted).await.unwrap();
    let asked = asked.await.unwrap();
    assert_eq!(asked[0], asked[1]);

    let (server, asked) = stub(vec![String::new()]).await;
    let error = Client::new(&server).unwrap().start(&trip(), None, Wait::Accepted).await.unwrap_err();
    assert!(matches!(error, ClientError::Unanswered { .. }), "{error:?}");
    assert_eq!(asked.await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_another_error_than_a_lost_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::builder(&server).sendings_max(2).build().unwrap();
    let error = client.start(&trip(), None, Wait::Accepted).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
    assert!(
        error.to_string().starts_with(&format!("no connection to {server}: Connection refused")),
        "{error}"
    );
}

#[tokio::test]
async fn what_passes_by_itself_is_waited_for_and_what_does_not_is_given_to_the_caller() {
    let full = problem(503, "retry-after: 0\r\n", "engine_full");
    let (server, asked) = stub(vec![full.clone(), answer(200, "", SAGA)]).await;
    Client::new(&server).unwrap().saga("s").await.unwrap();
    assert_eq!(asked.await.unwrap().len(), 2);

    for (status, headers, code, kind) in [
        (409, "", "state_conflict", Some(ErrorKind::StateConflict)),
        (503, "retry-after: 3600\r\n", "engine_full", Some(ErrorKind::EngineFull)),
        (418, "", "of_tomorrow", None),
    ] {
        let (server, asked) = stub(vec![problem(status, headers, code)]).await;
        let error = Client::new(&server).unwrap().saga("s").await.unwrap_err();
        assert_eq!((error.kind(), error.refused().unwrap().status), (kind, status));
        assert_eq!(error.refused().unwrap().saga(), Some("s"));
        assert_eq!(asked.await.unwrap().len(), 1, "{code}");
    }
}

#[tokio::test]
async fn what_is_not_our_server_is_said_with_what_it_answered() {
    for (answered, expected) in [
        (answer(502, "", "<html>Bad gateway"), "status 502 with \"<html>Bad gateway\""),
        (answer(200, "", "{}"), "status 200 with \"{}\" (missing field"),
    ] {
        let (server, _asked) = stub(vec![answered]).await;
        let error = Client::new(&server).unwrap().saga("s").await.unwrap_err();
        assert!(matches!(error, ClientError::NotAmends { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_verb_that_is_sent_again_has_the_same_key_and_another_verb_another() {
    let (server, asked) = stub(vec![String::new(), answer(200, "", SAGA), answer(200, "", SAGA)]).await;
    let client = Client::new(&server).unwrap();
    let request = VerbRequest {
        reason: "why".to_owned(),
        by: None,
        step: None,
        output: None,
        payload: None,
        confirm: None,
    };
    client.operate("a/b", VerbName::Cancel, &request, Some(7)).await.unwrap();
    client.operate("a/b", VerbName::Cancel, &request, None).await.unwrap();
    let asked = asked.await.unwrap();
    assert!(asked[0].starts_with("POST /v1/sagas/a%2Fb/cancel HTTP/1.1\r\n"), "{}", asked[0]);
    assert!(
        asked[0].contains("if-match: \"7\"\r\n") && asked[0].ends_with(r#"{"reason":"why"}"#),
        "{}",
        asked[0]
    );
    assert_eq!(asked[0], asked[1]);
    let key =
        |asked: &str| asked.lines().find(|line| line.starts_with("idempotency-key")).unwrap().to_owned();
    assert_ne!(key(&asked[0]), key(&asked[2]));
}

#[tokio::test]
async fn a_filter_is_a_query_that_arrives_as_it_was_meant() {
    let (server, asked) = stub(vec![answer(200, "", r#"{"sagas": [], "next_cursor": "c"}"#)]).await;
    let filter = Filter { tag: Some("a:b&c=d".to_owned()), version: Some(2), ..Filter::default() };
    let list = Client::new(&server).unwrap().sagas(&filter, Some("x"), 5).await.unwrap();
    assert_eq!(list.next_cursor.as_deref(), Some("c"));
    let asked = asked.await.unwrap().remove(0);
    assert!(asked.starts_with("GET /v1/sagas?version=2&tag=a%3Ab%26c%3Dd&cursor=x&limit=5 HTTP"), "{asked}");
}

fn frame(sequence: u64) -> String {
    format!(
        "id: {sequence}\ndata: {{\"saga\": \"s\", \"sequence\": {sequence}, \"fact\": \"step_started\", \"at\": \"t\"}}\n\n"
    )
}

fn stream(text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n{text}")
}

#[tokio::test]
async fn a_stream_that_breaks_goes_on_without_gap_or_repeat() {
    let half = &frame(3)[..20];
    let (server, asked) = stub(vec![
        stream(&format!(": hello\n\n{}{}{half}", frame(1), frame(2))),
        String::new(),
        stream(&frame(3)),
        answer(204, "", ""),
    ])
    .await;
    let mut events = Client::new(&server).unwrap().saga_events("s", None);
    let mut seen = Vec::new();
    while let Some(event) = events.next().await {
        seen.push(event.unwrap().sequence);
    }
    assert_eq!(seen, [1, 2, 3]);
    assert!(events.next().await.is_none());
    let asked = asked.await.unwrap();
    let last_id = |asked: &String| {
        asked.lines().find_map(|line| line.strip_prefix("last-event-id: ").map(str::to_owned))
    };
    let ids: Vec<_> = asked.iter().map(last_id).collect();
    assert_eq!(ids, [None, Some("2".to_owned()), Some("2".to_owned()), Some("3".to_owned())]);
}

#[tokio::test]
async fn a_stream_whose_id_has_expired_is_an_error_and_ends() {
    let (server, _asked) = stub(vec![problem(410, "", "event_id_expired")]).await;
    let mut events = Client::new(&server).unwrap().saga_events("s", Some("1"));
    let error = events.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::EventIdExpired));
    assert!(events.next().await.is_none());
}
