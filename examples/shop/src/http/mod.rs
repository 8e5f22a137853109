//! The shop's HTTP calls.
//!
//! Owns the routes of the contract, a file for each noun. Promises that every answer follows from durable
//! facts, so that a repeat with the same key gives the same answer. Does not check orders (that is
//! [`crate::order_request`]) or decide anything about sagas. Start reading at [`router`].

mod inventory;
mod ledger;
mod orders;
mod placed;
mod problems;
mod read;
pub mod service;

use amends_engine::Engine;
use amends_server::routes;
use axum::Router;
use axum::response::Html;
use axum::routing::get;
pub(crate) use read::Records;

/// What the routes need.
#[derive(Clone)]
pub struct Shop {
    /// Runs the sagas.
    pub engine: Engine,
    /// What the services recorded.
    pub(crate) records: Records,
}

/// The shop's routes, and those that every engine has.
pub fn router(shop: Shop) -> Router {
    let of_engine = routes::of_engine(&shop.engine);
    let of_shop = Router::new()
        .route("/", get(index))
        .merge(orders::router())
        .merge(inventory::router())
        .merge(ledger::router())
        .with_state(shop);
    of_shop.merge(of_engine).merge(routes::errors::of_application(problems::PAGES))
}

async fn index() -> Html<&'static str> {
    Html(include_str!("index.html"))
}
