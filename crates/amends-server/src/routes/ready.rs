//! `/ready`: whether the server takes work.

use amends_api::{ErrorKind, Health, HealthStatus};
use amends_engine::Engine;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};

use crate::problem::Problem;

/// The route.
pub fn router(engine: Engine) -> Router {
    Router::new().route("/ready", get(ready)).with_state(engine)
}

/// A server that recovers takes work as well; one that stops does not.
async fn ready(State(engine): State<Engine>) -> Result<Json<Health>, Problem> {
    if engine.is_stopping() {
        return Err(Problem::new(ErrorKind::Stopping, "the server is stopping: send work elsewhere"));
    }
    Ok(Json(Health { status: HealthStatus::Ok, recovered: engine.is_recovered() }))
}
