//! `/health`: whether the server lives.

use amends_api::{Health, HealthStatus};
use amends_engine::Engine;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};

/// The route.
pub fn router(engine: Engine) -> Router {
    Router::new().route("/health", get(health)).with_state(engine)
}

async fn health(State(engine): State<Engine>) -> Json<Health> {
    Json(Health { status: HealthStatus::Ok, recovered: engine.is_recovered() })
}
