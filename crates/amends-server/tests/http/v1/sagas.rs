//! Starts, lists, counts, and one saga.

use std::time::Duration;

use amends_api::{Count, ErrorKind, Saga, SagaList, SagaStatus};
use amends_core::Outcome;
use axum::http::header;
use serde_json::json;

use super::{post, refused, started};
use crate::place::{call, done, engine, json, router};

const THREE: &str = r#"{"definition": "Three", "input": {"n":  1.50}}"#;

#[tokio::test]
async fn a_start_waits_for_the_end_and_gives_the_saga() {
    let router = router(&engine(done));
    let response = post(&router, "/v1/sagas", &[("prefer", "wait=60")], THREE).await;
    assert_eq!(response.status(), 201);
    let headers = response.headers().clone();
    let saga: Saga = json(response).await;
    assert_eq!((saga.status, saga.input.as_json()), (SagaStatus::Completed, r#"{"n":  1.50}"#));
    assert_eq!(headers[header::LOCATION], format!("/v1/sagas/{}", saga.id));
    assert_eq!(headers[header::ETAG], format!("\"{}\"", saga.sequence));
    assert_eq!(headers["preference-applied"], "wait=60");
    let response = call(&router, "GET", &format!("/v1/sagas/{}", saga.id)).await;
    assert_eq!(response.headers()[header::ETAG], format!("\"{}\"", saga.sequence));
    assert_eq!(json::<Saga>(response).await, saga);
}

#[tokio::test]
async fn a_start_that_need_not_wait_is_accepted() {
    let router = router(&engine(done));
    let response = post(&router, "/v1/sagas", &[("prefer", "respond-async")], THREE).await;
    assert_eq!(response.status(), 202);
    assert_eq!(response.headers()["preference-applied"], "respond-async");
    assert!(response.headers()[header::LOCATION].to_str().unwrap().starts_with("/v1/sagas/"));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_does_not_end_in_time_is_accepted() {
    let router = router(&engine(done));
    let body = r#"{"definition": "Waiting", "input": {}}"#;
    let began = tokio::time::Instant::now();
    let response = post(&router, "/v1/sagas", &[("prefer", "wait=2")], body).await;
    assert_eq!((response.status().as_u16(), began.elapsed().as_secs()), (202, 2));
    assert_eq!(json::<Saga>(response).await.status, SagaStatus::InProgress);
    let began = tokio::time::Instant::now();
    assert_eq!(post(&router, "/v1/sagas", &[], body).await.status(), 202);
    assert!(began.elapsed() >= Duration::from_secs(10), "without a preference it waits for ten seconds");
}

#[tokio::test]
async fn a_saga_that_went_back_is_told_with_the_participants_own_words() {
    let router = router(&engine(|operation| match operation {
        "b" => Outcome::refused("sold_out", "none left"),
        _ => done(operation),
    }));
    let (status, problem) = refused(post(&router, "/v1/sagas", &[], THREE).await).await;
    assert_eq!((status, problem.status, problem.kind()), (409, Some(409), Some(ErrorKind::SagaCompensated)));
    assert_eq!(problem.code.as_str(), "sold_out");
    assert!(problem.detail.contains("none left"), "{}", problem.detail);
    let members = &problem.members;
    assert_eq!((&members["failed_step"], &members["saga_status"]), (&json!("b"), &json!("compensated")));
    assert_eq!(members["reason"], json!({"code": "sold_out", "message": "none left"}));
}

#[tokio::test]
async fn a_saga_that_parks_while_waited_for_is_never_a_4xx() {
    let router = router(&engine(|operation| match operation {
        "c" => Outcome::refused("no", "not today"),
        _ => done(operation),
    }));
    let (status, problem) = refused(post(&router, "/v1/sagas", &[], THREE).await).await;
    assert_eq!((status, problem.code.as_str()), (500, "saga_parked"));
    assert_eq!(problem.members["saga_status"], "failed");
}

#[tokio::test]
async fn a_repeat_by_key_or_id_finds_the_same_saga_and_another_request_does_not() {
    let router = router(&engine(done));
    let first: Saga = json(post(&router, "/v1/sagas", &[("idempotency-key", "k")], THREE).await).await;
    let again = r#"{"input": {"n": 15e-1}, "definition": "Three", "tags": {"a": "b"}}"#;
    let response = post(&router, "/v1/sagas", &[("idempotency-key", "k")], again).await;
    assert_eq!(response.status(), 201);
    assert_eq!(json::<Saga>(response).await.id, first.id);
    let other = r#"{"definition": "Three", "input": {"n": 2}}"#;
    let (status, problem) =
        refused(post(&router, "/v1/sagas", &[("idempotency-key", "k")], other).await).await;
    assert_eq!((status, problem.code.as_str()), (409, "key_reused"));
    assert_eq!(problem.members["saga_id"], json!(first.id));

    let id = "0193e0a5-7b2c-7d11-8f00-0242ac120002";
    let named = format!(r#"{{"definition": "Three", "id": "{id}", "input": 1}}"#);
    for _ in 0..2 {
        assert_eq!(json::<Saga>(post(&router, "/v1/sagas", &[], &named).await).await.id, id);
    }
    let other = format!(r#"{{"definition": "Three", "id": "{id}", "input": 2}}"#);
    let (status, problem) = refused(post(&router, "/v1/sagas", &[], &other).await).await;
    assert_eq!((status, problem.code.as_str()), (409, "key_reused"));
}

#[tokio::test]
async fn a_start_of_what_is_not_there_is_not_found() {
    let router = router(&engine(done));
    let (status, problem) =
        refused(post(&router, "/v1/sagas", &[], r#"{"definition": "Tree", "input": {}}"#).await).await;
    assert_eq!((status, problem.code.as_str()), (404, "not_found"));
    let old = r#"{"definition": "Three", "version": 1, "input": {}}"#;
    assert_eq!(refused(post(&router, "/v1/sagas", &[], old).await).await.0, 404);
}

#[tokio::test]
async fn pages_lose_and_repeat_nothing() {
    let router = router(&engine(done));
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(started(&router, "Waiting").await.id);
    }
    started(&router, "Three").await;
    let mut found = Vec::new();
    let mut query = "definition=Waiting&limit=3".to_owned();
    loop {
        let page: SagaList = json(call(&router, "GET", &format!("/v1/sagas?{query}")).await).await;
        assert!(page.sagas.len() <= 3);
        found.extend(page.sagas.into_iter().map(|saga| saga.id));
        // One that comes meanwhile is not on a later page.
        started(&router, "Waiting").await;
        let Some(cursor) = page.next_cursor else { break };
        assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{cursor}");
        query = format!("definition=Waiting&limit=3&cursor={cursor}");
    }
    ids.reverse();
    assert_eq!(found, ids);
}

#[tokio::test]
async fn a_count_says_whether_it_is_exact() {
    let router = router(&engine(done));
    started(&router, "Waiting").await;
    let count = async |query: &str| -> Count {
        json(call(&router, "GET", &format!("/v1/sagas/count?{query}")).await).await
    };
    assert_eq!(count("definition=Waiting&status=in_progress").await, Count { count: 1, exact: true });
    assert_eq!(count("definition=Waiting&status=failed").await, Count { count: 0, exact: true });
}

#[tokio::test]
async fn what_is_no_sagas_id_is_not_found() {
    let router = router(&engine(done));
    for text in ["x", "%ff", "00000000-0000-0000-0000-000000000000"] {
        for (method, path) in [("GET", ""), ("POST", "/cancel"), ("POST", "/signals/go")] {
            let headers: &[_] = &[("idempotency-key", "k")];
            let headers = if method == "POST" { headers } else { &[] };
            let body = if method == "POST" && path == "/cancel" { r#"{"reason": "r"}"# } else { "" };
            let path = format!("/v1/sagas/{text}{path}");
            let (status, _) = refused(super::send(&router, method, &path, headers, body).await).await;
            assert_eq!(status, 404, "{method} {path}");
        }
    }
}
