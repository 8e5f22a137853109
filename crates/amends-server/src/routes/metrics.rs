//! `/metrics`: what Prometheus reads.
//!
//! Owns the route. Does not know any metric: [`crate::metrics`] does.

use amends_engine::Engine;
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::metrics;

/// The route.
pub fn router(engine: Engine) -> Router {
    Router::new().route("/metrics", get(read)).with_state(engine)
}

async fn read(State(engine): State<Engine>) -> Response {
    ([(header::CONTENT_TYPE, metrics::MEDIA_TYPE)], metrics::of_engine(&engine).await).into_response()
}
