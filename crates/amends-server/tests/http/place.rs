//! An engine in memory behind a router, and one request at a time.

use std::sync::Arc;
use std::time::Duration;

use amends_api::Problem;
use amends_core::{DefinitionName, Outcome, RetryPolicy, SagaDefinition, SagaSpec, StepSpec};
use amends_engine::{Engine, EngineBuilder, StartRequest, Wait, local};
use amends_journal::{Journal, MemoryJournal};
use amends_server::routes;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use tower::ServiceExt;

/// What the participant says to each operation.
pub(crate) type Says = fn(&str) -> Outcome;

/// An engine over a journal that nothing else needs.
pub(crate) fn engine(says: Says) -> Engine {
    engine_over(Arc::new(MemoryJournal::default()), says)
}

/// Steps `a`, `b` and `c`, the first two undone by `undo_…`; `b` is the pivot. And a saga that begins with a
/// wait for *go*.
pub(crate) fn engine_over(journal: Arc<dyn Journal>, says: Says) -> Engine {
    let once = RetryPolicy { attempts: Some(1), ..RetryPolicy::action() };
    let step = |name: &str| StepSpec::new(name, "p", name).retry(once.clone());
    let waiting = SagaDefinition::from_spec(SagaSpec {
        name: DefinitionName::new("Waiting"),
        version: 1,
        limit: Duration::from_secs(60),
        pivot: None,
        steps: vec![StepSpec::wait("w", "go", Duration::from_secs(30)), step("a").undone_by("undo_a")],
    })
    .unwrap();
    let three = SagaDefinition::from_spec(SagaSpec {
        name: DefinitionName::new("Three"),
        version: 2,
        limit: Duration::from_secs(60),
        pivot: Some("b".to_owned()),
        steps: vec![
            step("a").undone_by("undo_a"),
            step("b").undone_by("undo_b"),
            StepSpec::new("c", "p", "c").without_undo(),
        ],
    })
    .unwrap();
    let participant = local(move |call| std::future::ready(says(call.operation())));
    EngineBuilder::new(journal)
        .definition(three)
        .definition(waiting)
        .participant("p", participant)
        .open()
        .unwrap()
}

/// Output `"<operation> was here"`.
pub(crate) fn done(operation: &str) -> Outcome {
    Outcome::Completed { output: format!("\"{operation} was here\"").into() }
}

/// A start of the saga of this name.
pub(crate) fn request(name: &str, key: Option<&str>, wait: Wait) -> StartRequest {
    let input = r#"{"n":  1.50}"#;
    StartRequest { key: key.map(str::to_owned), wait, ..StartRequest::new(DefinitionName::new(name), input) }
}

/// Runs the saga to its rest and gives its id.
pub(crate) async fn run(engine: &Engine) -> String {
    engine.start(request("Three", None, Wait::Rest)).await.unwrap().transaction.id().to_string()
}

/// The router as it is served.
pub(crate) fn router(engine: &Engine) -> Router {
    routes::complete(routes::of_engine(engine))
}

pub(crate) async fn call(router: &Router, method: &str, path: &str) -> Response {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    router.clone().oneshot(request).await.unwrap()
}

pub(crate) async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

pub(crate) async fn json<T: DeserializeOwned>(response: Response) -> T {
    serde_json::from_str(&text(response).await).unwrap()
}

/// The problem that an answer is, and its `Retry-After`.
pub(crate) async fn problem(response: Response) -> (StatusCode, Problem, Option<String>) {
    let status = response.status();
    assert_eq!(response.headers()[header::CONTENT_TYPE], Problem::MEDIA_TYPE);
    let retry_after =
        response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
    (status, json(response).await, retry_after)
}
