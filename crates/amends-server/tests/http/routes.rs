//! Health, error pages, and what is not a route.

use amends_api::{ErrorKind, Health, HealthStatus};
use amends_server::routes;
use axum::http::header;
use axum::routing::get;

use crate::place::{call, done, engine, json, problem, router, text};

#[tokio::test]
async fn a_server_that_answers_lives() {
    let engine = engine(done);
    let health: Health = json(call(&router(&engine), "GET", "/health").await).await;
    assert_eq!(health.status, HealthStatus::Ok);
}

#[tokio::test]
async fn what_is_no_route_is_a_problem_whose_page_can_be_read() {
    let bug = get(async || -> &'static str { panic!("a bug") });
    let router = routes::complete(routes::of_engine(&engine(done)).route("/bug", bug));
    for (method, path, kind) in [
        ("GET", "/nothing", ErrorKind::NotFound),
        ("GET", "/sagas", ErrorKind::NotFound),
        ("GET", "/errors/nothing", ErrorKind::NotFound),
        ("POST", "/health", ErrorKind::MethodNotAllowed),
        ("DELETE", "/sagas/x", ErrorKind::MethodNotAllowed),
        ("PUT", "/errors/not_found", ErrorKind::MethodNotAllowed),
        ("GET", "/bug", ErrorKind::Internal),
    ] {
        let (status, document, _) = problem(call(&router, method, path).await).await;
        assert_eq!((status.as_u16(), document.kind()), (kind.status(), Some(kind)), "{method} {path}");
        let page = call(&router, "GET", &document.page).await;
        assert_eq!(page.status().as_u16(), 200, "{method} {path}");
    }
}

#[tokio::test]
async fn every_kind_has_its_page_and_an_application_adds_its_own() {
    let of_application = routes::errors::of_application(&[("sold_out", "# sold_out\n")]);
    let router = routes::complete(of_application);
    let ours = ErrorKind::ALL.iter().map(|kind| (kind.code(), kind.page()));
    for (code, expected) in ours.chain([("sold_out", "# sold_out\n")]) {
        let page = call(&router, "GET", &format!("/errors/{code}")).await;
        assert_eq!(page.headers()[header::CONTENT_TYPE], "text/markdown; charset=utf-8");
        assert_eq!(text(page).await, expected);
    }
}
