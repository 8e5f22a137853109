//! The routes that every application has.
//!
//! Owns their composition, and the answers for everything else. Promises that every path, method and
//! panic has an answer, and that the `type` of every problem resolves. Does not know what an application
//! adds.

pub mod errors;
pub mod health;
pub mod metrics;
pub mod ready;
pub mod sagas;
pub mod v1;

use amends_api::ErrorKind;
use amends_engine::Engine;
use axum::Router;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;

use crate::problem::Problem;

/// The routes about an engine: its health, the API, and sagas by the path of the shop's contract.
pub fn of_engine(engine: &Engine) -> Router {
    general(engine).merge(v1::router(engine.clone()))
}

/// What an engine says of itself, besides the API.
fn general(engine: &Engine) -> Router {
    health::router(engine.clone())
        .merge(ready::router(engine.clone()))
        .merge(metrics::router(engine.clone()))
        .merge(sagas::router(engine.clone()))
}

/// As [`of_engine`], with an API that is set so.
///
/// # Errors
/// When the jobs of the API cannot be read.
pub fn of_engine_with(engine: &Engine, settings: v1::Settings) -> Result<Router, v1::JobsError> {
    Ok(general(engine).merge(v1::router_with(engine.clone(), settings)?))
}

/// An application's routes with what every server adds: the pages of errors, and problems for unknown paths,
/// for methods that a path does not take and for panics.
pub fn complete(router: Router) -> Router {
    router
        .merge(errors::router())
        .method_not_allowed_fallback(|uri: Uri| async move {
            let detail = format!("{} takes other methods; see the header Allow", uri.path());
            Problem::new(ErrorKind::MethodNotAllowed, detail)
        })
        .fallback(|uri: Uri| async move {
            Problem::new(ErrorKind::NotFound, format!("{} is not here; / lists what is", uri.path()))
        })
        .layer(CatchPanicLayer::custom(|_| -> Response {
            Problem::new(ErrorKind::Internal, "this is a bug; the server's log says more").into_response()
        }))
}
