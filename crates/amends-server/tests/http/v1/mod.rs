//! `/v1`: each row of the table against a real engine.

mod bulk;
mod definitions;
mod journal;
mod others;
mod sagas;
mod signals;
mod strictness;
mod verbs;

use amends_api::{Problem, Saga};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use tower::ServiceExt;

use crate::place::json;

/// Sends a body of JSON, with further headers.
pub(crate) async fn post(router: &Router, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    send(router, "POST", path, headers, body).await
}

pub(crate) async fn send(
    router: &Router,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) && !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap()
}

/// Status and problem of an answer.
pub(crate) async fn refused(response: Response) -> (u16, Problem) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()[header::CONTENT_TYPE], Problem::MEDIA_TYPE);
    (status, json(response).await)
}

/// Starts the saga of this name, and gives it as it was accepted.
pub(crate) async fn started(router: &Router, definition: &str) -> Saga {
    let body = format!(r#"{{"definition": "{definition}", "input": {{"n":  1.50}}}}"#);
    let response = post(router, "/v1/sagas", &[("prefer", "respond-async")], &body).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    json(response).await
}
