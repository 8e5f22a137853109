//! `/v1`: the API.
//!
//! Owns the table of calls and who answers each. Promises that what a call does not know is refused with the
//! nearest name, and that `/openapi.json`, made of the same table, tells all of it. Start reading at [`CALLS`].

mod backup;
mod bulk;
mod call;
mod callbacks;
mod definitions;
mod erase;
mod feed;
mod filter;
mod given;
mod headers;
mod journal;
mod nearest;
pub mod openapi;
mod participants;
mod sagas;
mod schemas;
mod shape;
mod signals;
mod started;
mod verbs;

use std::path::PathBuf;

use amends_engine::Engine;
use axum::Router;

use call::Call;

use crate::jobs::Jobs;
pub use crate::jobs::JobsError;

/// What the calls need.
#[derive(Clone)]
pub(super) struct Api {
    engine: Engine,
    jobs: Jobs,
}

/// What can be chosen about the API.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The folder of bulk jobs; `None`: they end with the process.
    pub jobs: Option<PathBuf>,
}

/// Every call, in the order of the document.
const CALLS: &[&[&Call]] = &[
    definitions::CALLS,
    sagas::CALLS,
    journal::CALLS,
    verbs::CALLS,
    erase::CALLS,
    signals::CALLS,
    bulk::CALLS,
    feed::CALLS,
    participants::CALLS,
    callbacks::CALLS,
    backup::CALLS,
];

/// The routes, with jobs that end with the process.
///
/// # Panics
/// Never: nothing is read.
pub fn router(engine: Engine) -> Router {
    router_with(engine, Settings::default()).expect("without a folder nothing is read")
}

/// The routes. Jobs that are not finished go on.
///
/// # Errors
/// When the jobs cannot be read.
pub fn router_with(engine: Engine, settings: Settings) -> Result<Router, JobsError> {
    let jobs = Jobs::open(engine.clone(), settings.jobs)?;
    let api = Api { engine, jobs };
    let add: [fn(Router<Api>) -> Router<Api>; 11] = [
        definitions::routes,
        sagas::routes,
        journal::routes,
        verbs::routes,
        erase::routes,
        signals::routes,
        bulk::routes,
        feed::routes,
        participants::routes,
        callbacks::routes,
        backup::routes,
    ];
    let router = add.into_iter().fold(Router::new(), |router, add| add(router));
    Ok(router.with_state(api).merge(openapi::router()))
}
