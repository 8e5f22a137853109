//! Operators' verbs.

use amends_api::{Saga, SagaStatus, StepStatus};
use amends_core::Outcome;
use axum::Router;

use super::{post, refused, started};
use crate::place::{call, done, engine, json, router};

const WHY: &str = r#"{"reason": "she asked for it", "by": "ann"}"#;

async fn saga(router: &Router, id: &str) -> Saga {
    json(call(router, "GET", &format!("/v1/sagas/{id}")).await).await
}

/// Parks at `c`, which is refused after the pivot, until it is skipped.
fn stuck(operation: &str) -> Outcome {
    match operation {
        "c" => Outcome::refused("no", "not today"),
        _ => done(operation),
    }
}

#[tokio::test]
async fn a_verb_needs_a_reason_and_what_it_takes_and_nothing_else() {
    let router = router(&engine(done));
    let id = started(&router, "Waiting").await.id;
    for (verb, body, pointer) in [
        ("cancel", "{}", "/reason"),
        ("cancel", r#"{"reason": ""}"#, "/reason"),
        ("cancel", r#"{"reason": "r", "step": "w"}"#, "/step"),
        ("cancel", r#"{"reason": "r", "confirm": "x"}"#, "/confirm"),
        ("skip", r#"{"reason": "r"}"#, "/step"),
        ("skip", r#"{"reason": "r", "step": "w", "ouput": 1}"#, "/ouput"),
        ("resolve", r#"{"reason": "r"}"#, "/step"),
        ("abandon", r#"{"reason": "r"}"#, "/confirm"),
    ] {
        let (status, problem) =
            refused(post(&router, &format!("/v1/sagas/{id}/{verb}"), &[], body).await).await;
        assert_eq!((status, &problem.members["pointer"]), (400, &pointer.into()), "{verb} {body}");
    }
    let other = format!(r#"{{"reason": "r", "confirm": "{}"}}"#, id.replace('0', "1"));
    let (status, _) = refused(post(&router, &format!("/v1/sagas/{id}/abandon"), &[], &other).await).await;
    assert_eq!(status, 422);
    let (status, problem) = refused(
        post(&router, &format!("/v1/sagas/{id}/skip"), &[], r#"{"reason": "r", "step": "W1"}"#).await,
    )
    .await;
    assert_eq!(status, 422);
    assert!(problem.detail.contains("did you mean \"w\"?"), "{}", problem.detail);
    assert_eq!(saga(&router, &id).await.sequence, 2, "nothing was done");
}

#[tokio::test]
async fn each_verb_does_what_it_says() {
    let router = router(&engine(stuck));
    let verb = async |id: &str, verb: &str, more: &str| -> Saga {
        let body = format!(r#"{{"reason": "r"{more}}}"#);
        let response = post(&router, &format!("/v1/sagas/{id}/{verb}"), &[], &body).await;
        assert_eq!(response.status(), 200, "{verb}");
        json(response).await
    };
    let id = started(&router, "Waiting").await.id;
    assert!(verb(&id, "pause", "").await.paused);
    assert!(!verb(&id, "resume", "").await.paused);
    assert_eq!(verb(&id, "cancel", "").await.status, SagaStatus::Compensated);

    let body = r#"{"definition": "Three", "input": 1}"#;
    let (_, problem) = refused(post(&router, "/v1/sagas", &[], body).await).await;
    let id = problem.members["saga_id"].as_str().unwrap().to_owned();
    verb(&id, "retry", "").await;
    let rest = async |id: &str| loop {
        let saga = saga(&router, id).await;
        if saga.status == SagaStatus::Parked || saga.finished_at.is_some() {
            break saga;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(rest(&id).await.status, SagaStatus::Parked);
    let skipped = verb(&id, "skip", r#", "step": "c", "output": {"by": "hand"}"#).await;
    assert_eq!((skipped.status, skipped.steps[2].status), (SagaStatus::Completed, StepStatus::Skipped));
    assert_eq!(skipped.output.as_json(), r#"{"by": "hand"}"#);
    verb(&id, "reverse", "").await;
    assert_eq!(rest(&id).await.status, SagaStatus::Compensated);

    let id = started(&router, "Waiting").await.id;
    let gone = verb(&id, "abandon", &format!(r#", "confirm": "{id}""#)).await;
    assert_eq!(gone.status, SagaStatus::Abandoned);
}

#[tokio::test]
async fn a_verb_that_the_state_forbids_names_the_state() {
    let router = router(&engine(done));
    let body = r#"{"definition": "Three", "input": 1}"#;
    let id = json::<Saga>(post(&router, "/v1/sagas", &[], body).await).await.id;
    for verb in ["cancel", "retry", "pause", "resume"] {
        let (status, problem) =
            refused(post(&router, &format!("/v1/sagas/{id}/{verb}"), &[], WHY).await).await;
        assert_eq!((status, problem.code.as_str()), (409, "state_conflict"), "{verb}");
        assert!(problem.detail.contains("completed"), "{}", problem.detail);
    }
}

#[tokio::test]
async fn a_verb_repeated_with_its_key_acts_once() {
    let router = router(&engine(done));
    let id = started(&router, "Waiting").await.id;
    let path = |verb: &str| format!("/v1/sagas/{id}/{verb}");
    let key = &[("idempotency-key", "k1")];
    let first: Saga = json(post(&router, &path("pause"), key, WHY).await).await;
    let again: Saga = json(post(&router, &path("pause"), key, WHY).await).await;
    assert_eq!(first.sequence, again.sequence);
    for (verb, body) in [("resume", WHY), ("pause", r#"{"reason": "another"}"#)] {
        let (status, problem) = refused(post(&router, &path(verb), key, body).await).await;
        assert_eq!((status, problem.code.as_str()), (409, "key_reused"), "{verb} {body}");
    }
}

#[tokio::test]
async fn a_verb_decided_by_a_state_that_is_no_more_is_refused() {
    let router = router(&engine(done));
    let first = started(&router, "Waiting").await;
    let path = |verb: &str| format!("/v1/sagas/{}/{verb}", first.id);
    let tag = format!("\"{}\"", first.sequence);
    let stale: &[_] = &[("if-match", tag.as_str())];
    assert_eq!(post(&router, &path("pause"), stale, WHY).await.status(), 200);
    let (status, problem) = refused(post(&router, &path("resume"), stale, WHY).await).await;
    assert_eq!((status, problem.code.as_str()), (412, "precondition_failed"));
    assert_eq!(problem.members["sequence"], first.sequence + 1);
}
