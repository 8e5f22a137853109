//! Signals.

use amends_api::{Saga, SagaStatus, SignalAccepted};

use super::{post, refused, started};
use crate::place::{call, done, engine, json, router};

#[tokio::test]
async fn a_signal_is_delivered_once_and_is_the_output_of_the_step() {
    let router = router(&engine(done));
    let id = started(&router, "Waiting").await.id;
    let path = format!("/v1/sagas/{id}/signals/go");
    let key = &[("idempotency-key", "k")];
    let response = post(&router, &path, key, r#"{"by":  "eve"}"#).await;
    assert_eq!(response.status(), 202);
    let accepted: SignalAccepted = json(response).await;
    assert_eq!((accepted.saga.as_str(), accepted.signal.as_str()), (id.as_str(), "go"));
    let (status, problem) = refused(post(&router, &path, key, r#"{"by": "bob"}"#).await).await;
    assert_eq!((status, problem.code.as_str()), (409, "key_reused"));
    let saga = loop {
        let saga: Saga = json(call(&router, "GET", &format!("/v1/sagas/{id}")).await).await;
        if saga.status == SagaStatus::Completed {
            break saga;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(saga.steps[0].output.as_json(), r#"{"by":  "eve"}"#);
    let (status, _) = refused(post(&router, &path, &[("idempotency-key", "k2")], "").await).await;
    assert_eq!(status, 409, "it has ended");
}

#[tokio::test]
async fn a_signal_needs_a_key_an_object_and_a_step_that_waits_for_it() {
    let router = router(&engine(done));
    let id = started(&router, "Waiting").await.id;
    let key: &[_] = &[("idempotency-key", "k")];
    for (name, headers, body, status, code) in [
        ("go", &[] as &[_], "{}", 400, "idempotency_key_invalid"),
        ("go", key, "[]", 400, "bad_request"),
        ("go", key, "{", 400, "bad_request"),
        ("og", key, "{}", 404, "not_found"),
    ] {
        let (found, problem) =
            refused(post(&router, &format!("/v1/sagas/{id}/signals/{name}"), headers, body).await).await;
        assert_eq!((found, problem.code.as_str()), (status, code), "{name} {body}");
        if status == 404 {
            assert!(problem.detail.contains("go"), "{}", problem.detail);
        }
    }
    assert_eq!(post(&router, &format!("/v1/sagas/{id}/signals/go"), key, "").await.status(), 202);
}
