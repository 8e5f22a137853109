//! `/shop/ledger`: what the records of the four services add up to, and the sagas that may still change it.

use amends_core::Status;
use amends_journal::Filter;
use amends_server::Problem;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::Shop;
use crate::views::Ledger;

#[derive(Serialize)]
struct LedgerAnswer {
    #[serde(flatten)]
    services: Ledger,
    live_sagas: u64,
    parked_sagas: u64,
}

pub(super) fn router() -> Router<Shop> {
    Router::new().route("/shop/ledger", get(ledger))
}

async fn ledger(State(shop): State<Shop>) -> Result<Json<LedgerAnswer>, Problem> {
    let count =
        |status: Status| shop.engine.count(Filter { standings: status.standings(), ..Filter::default() });
    let mut live_sagas = 0;
    for status in [Status::Pending, Status::InProgress, Status::Compensating] {
        live_sagas += count(status).await?.count;
    }
    let parked_sagas = count(Status::Parked).await?.count;
    let services = shop.records.ledger().await?;
    Ok(Json(LedgerAnswer { services, live_sagas, parked_sagas }))
}
