//! The server that orders are posted to, in a process of its own.
//!
//! Owns what it serves: the shop as `amends demo` does, or in its place a handler that does nothing on the
//! same server. Promises that the two differ in their handler alone: threads, limits, layers and the answer's
//! size are the same. Ends in good order when it is asked to, and immediately with its parent.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use amends_server::process::{asked_to_stop, raise_file_limit};
use amends_server::serve::Server;
use amends_server::{Problem, body};
use amends_shop::setup::{self, Flushes, Setup};
use amends_shop::stock::Stock;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use super::error::BenchError;
use super::stderr::end_fatally;
use super::worker;

/// Said with the address, once it takes connections.
pub(super) const LISTENING: &str = "listening";

/// Said at the end, with how often the journal and the services flushed.
pub(super) const FLUSHES: &str = "flushes";

/// What the handler that does nothing answers: an order's answer, to the byte.
const NOTHING_DONE: &str = concat!(
    r#"{"saga_id":"01a2066e-8130-7bef-b7a6-7555567910b7","#,
    r#""order_id":"ord_1k836t09h60jke9vahg8bbq6pdhhg6d0dq2","status":"completed"}"#
);

/// More of each product than any measurement can order.
const STOCK_PER_PRODUCT: i64 = 1_000_000_000_000;

/// What is served.
pub(super) enum Served<'a> {
    /// The shop of this directory.
    Shop(&'a Path),
    /// The handler that does nothing.
    Floor,
}

/// The worker that serves.
pub(super) fn serve(served: &Served<'_>) -> Result<(), BenchError> {
    raise_file_limit();
    let runtime = setup::runtime().map_err(|source| BenchError::Threads { what: "the runtime", source })?;
    runtime.block_on(async {
        let server = Server::bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)).await?;
        let stop =
            asked_to_stop().map_err(|source| BenchError::Threads { what: "the wait for signals", source })?;
        let listening = format!("{LISTENING} {}", server.address());
        let flushes = match served {
            Served::Shop(data) => {
                let stock = plenty();
                let shop = Setup::new(data, &stock, |message| end_fatally(message)).open()?;
                worker::tell(&listening)?;
                shop.serve(server, stop).await
            }
            Served::Floor => {
                worker::tell(&listening)?;
                server.run(doing_nothing(), stop, async {}).await;
                Flushes::default()
            }
        };
        worker::tell(&format!("{FLUSHES} {} {}", flushes.journal, flushes.services))
    })
}

/// The usual products, so many of each that none runs out.
pub(super) fn plenty() -> Stock {
    let usual = Stock::usual();
    let products = usual.products().iter().map(|(product, _)| (product.clone(), STOCK_PER_PRODUCT));
    Stock::new(products.collect()).expect("the usual products differ, and there are more than none of each")
}

/// The floor: a request is read to its end, and answered.
pub(super) fn doing_nothing() -> Router {
    async fn answer(headers: HeaderMap, body: Body) -> Result<Response, Problem> {
        body::read(&headers, body).await?;
        let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        Ok((StatusCode::CREATED, json, NOTHING_DONE).into_response())
    }
    Router::new().route("/orders", post(answer))
}
