//! `/sagas`: what the engine runs.

use amends_api::{ErrorKind, Saga};
use amends_core::TransactionId;
use amends_engine::Engine;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use axum::{Json, Router};

use crate::masks::Masks;
use crate::problem::Problem;
use crate::request::last_segment;
use crate::wire;

/// The routes.
pub fn router(engine: Engine) -> Router {
    Router::new().route("/sagas/{id}", get(saga)).with_state(engine)
}

async fn saga(State(engine): State<Engine>, uri: Uri) -> Result<Json<Saga>, Problem> {
    let text = last_segment(&uri);
    let unknown = || Problem::new(ErrorKind::NotFound, format!("no saga has the id {text:?}"));
    // The path is read as it came, not decoded: what is not a saga's id is not found, decodable or not.
    let id: TransactionId = text.parse().map_err(|_| unknown())?;
    let view = engine.look(id).await?.ok_or_else(unknown)?;
    let saga = view.saga().ok_or_else(unknown)?;
    let masks = Masks::of(&engine, saga.definition().name().as_str(), saga.definition().version());
    let saga = masks.saga(wire::saga(saga));
    Ok(Json(Saga { saga_id: Some(saga.id.clone()), ..saga }))
}
