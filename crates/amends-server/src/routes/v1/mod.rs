//! `/v1`: the API.
//!
//! Owns the table of calls and who answers each. Promises that what a call does not know is refused with the
//! nearest name, and that `/openapi.json`, made of the same table, tells all of it. Start reading at [`CALLS`].

mod call;
mod callbacks;
mod definitions;
mod filter;
mod given;
mod headers;
mod journal;
mod nearest;
pub mod openapi;
mod sagas;
mod schemas;
mod shape;
mod signals;
mod started;
mod verbs;

use amends_engine::Engine;
use axum::Router;

use call::Call;

/// What the calls need.
#[derive(Clone)]
pub(super) struct Api {
    engine: Engine,
}

/// Every call, in the order of the document.
const CALLS: &[&[&Call]] =
    &[definitions::CALLS, sagas::CALLS, journal::CALLS, verbs::CALLS, signals::CALLS, callbacks::CALLS];

/// The routes.
pub fn router(engine: Engine) -> Router {
    let router = Router::new();
    let router = definitions::routes(router);
    let router = sagas::routes(router);
    let router = journal::routes(router);
    let router = verbs::routes(router);
    let router = signals::routes(router);
    let router = callbacks::routes(router);
    router.with_state(Api { engine }).merge(openapi::router())
}
