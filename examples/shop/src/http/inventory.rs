//! `/inventory`: what is there of each product.

use amends_server::Problem;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};

use super::Shop;
use crate::views::InventoryView;

pub(super) fn router() -> Router<Shop> {
    Router::new().route("/inventory", get(inventory))
}

async fn inventory(State(shop): State<Shop>) -> Result<Json<InventoryView>, Problem> {
    Ok(Json(shop.records.inventory().await?))
}
