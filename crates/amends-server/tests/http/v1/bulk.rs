//! Bulk jobs.

use std::sync::Arc;

use amends_api::{Bulk, BulkStatus, Journal};
use amends_engine::Engine;
use amends_journal::MemoryJournal;
use amends_server::routes::{self, v1::Settings};
use axum::Router;
use axum::http::header;

use super::{post, refused, started};
use crate::place::{call, done, engine, engine_over, json, router};

const PAUSE: &str = r#"{"filter": {"definition": "Waiting"}, "verb": "pause", "reason": "r", "by": "ann"}"#;

async fn finished(router: &Router, id: &str) -> Bulk {
    loop {
        let job: Bulk = json(call(router, "GET", &format!("/v1/bulk/{id}")).await).await;
        if job.status == BulkStatus::Finished {
            break job;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_job_gives_the_verb_to_what_matched_and_says_what_was_refused() {
    let router = router(&engine(done));
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(started(&router, "Waiting").await.id);
    }
    post(&router, &format!("/v1/sagas/{}/pause", ids[0]), &[], r#"{"reason": "before"}"#).await;
    let key = &[("idempotency-key", "k")];
    let response = post(&router, "/v1/bulk", key, PAUSE).await;
    assert_eq!(response.status(), 202);
    let place = response.headers()[header::LOCATION].to_str().unwrap().to_owned();
    let job: Bulk = json(response).await;
    assert_eq!((job.total, place), (3, format!("/v1/bulk/{}", job.id)));
    let job = finished(&router, &job.id).await;
    assert_eq!((job.done, job.refused), (2, 1));
    let journal: Journal = json(call(&router, "GET", &format!("/v1/sagas/{}/journal", ids[1])).await).await;
    let last = journal.facts.last().unwrap();
    assert_eq!(
        (last.fact.as_str(), last.by.as_deref(), last.why.as_deref()),
        ("saga_paused", Some("ann"), Some("r"))
    );

    let again: Bulk = json(post(&router, "/v1/bulk", key, PAUSE).await).await;
    assert_eq!(again.id, job.id, "a repeat is the same job");
    let other = PAUSE.replace("pause", "cancel");
    let (status, problem) = refused(post(&router, "/v1/bulk", key, &other).await).await;
    assert_eq!((status, problem.code.as_str()), (409, "key_reused"));
}

#[tokio::test]
async fn a_job_about_everything_or_of_another_verb_is_refused() {
    let router = router(&engine(done));
    for (body, expected, code) in [
        (PAUSE.replace(r#""definition": "Waiting""#, ""), 422, "empty_filter"),
        (PAUSE.replace("pause", "abandon"), 400, "bad_request"),
        (PAUSE.replace(r#""reason": "r", "#, ""), 400, "bad_request"),
        (PAUSE.replace("definition", "defintion"), 400, "unknown_field"),
    ] {
        let (status, problem) = refused(post(&router, "/v1/bulk", &[], &body).await).await;
        assert_eq!((status, problem.code.as_str()), (expected, code), "{body}");
    }
    let nothing = "/v1/bulk/00000000-0000-0000-0000-000000000000";
    assert_eq!(refused(call(&router, "GET", nothing).await).await.0, 404);
}

fn router_in(engine: &Engine, folder: &std::path::Path) -> Router {
    let settings = Settings { jobs: Some(folder.to_owned()) };
    routes::complete(routes::of_engine_with(engine, settings).unwrap())
}

#[tokio::test]
async fn a_job_that_was_accepted_goes_on_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine_over(Arc::new(MemoryJournal::default()), done);
    let router = router_in(&engine, folder.path());
    started(&router, "Waiting").await;
    let id = json::<Bulk>(post(&router, "/v1/bulk", &[("idempotency-key", "k")], PAUSE).await).await.id;
    // What was noted of how far it is may be lost: then everything is told once more, and changes nothing.
    finished(&router, &id).await;
    std::fs::remove_file(folder.path().join(&id).with_extension("progress")).unwrap();
    let router = router_in(&engine, folder.path());
    let job = finished(&router, &id).await;
    assert_eq!((job.done, job.refused), (1, 0));
    let again: Bulk = json(post(&router, "/v1/bulk", &[("idempotency-key", "k")], PAUSE).await).await;
    assert_eq!(again.id, id);

    let order = folder.path().join(&id).with_extension("order");
    let text = std::fs::read_to_string(&order).unwrap().replace("pause", "Pause");
    std::fs::write(&order, text).unwrap();
    let settings = Settings { jobs: Some(folder.path().to_owned()) };
    let error = routes::of_engine_with(&engine, settings).unwrap_err().to_string();
    assert!(error.contains("damaged"), "{error}");
}
