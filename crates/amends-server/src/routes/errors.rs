//! `/errors/{code}`: what an error means, and what to do about it.
//!
//! Owns the way from a code to its page, in Markdown. Does not write pages: those of our kinds are
//! [`ErrorKind::page`].

use amends_api::ErrorKind;
use axum::Router;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::problem::Problem;
use crate::request::last_segment;

/// The pages of our own kinds.
pub(crate) fn router() -> Router {
    Router::new().route("/errors/{code}", get(page))
}

/// The pages of an application's own codes, each with its text.
pub fn of_application(pages: &[(&str, &'static str)]) -> Router {
    pages.iter().fold(Router::new(), |router, (code, page)| {
        router.route(&format!("/errors/{code}"), get(async || markdown(page)))
    })
}

async fn page(uri: Uri) -> Response {
    let code = last_segment(&uri);
    match ErrorKind::of_code(code) {
        Some(kind) => markdown(kind.page()),
        None => Problem::new(ErrorKind::NotFound, format!("there is no error {code:?}")).into_response(),
    }
}

fn markdown(page: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], page).into_response()
}
