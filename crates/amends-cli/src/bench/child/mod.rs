//! Processes that the bench starts to be measured from outside, or to be alone in their memory.
//!
//! Owns what all of them share: how they are started, and that they start many sagas quickly.
//! Promises the product's defaults, but for the number of live sagas where a measurement is about many of them. What each
//! does is in `recovery.rs` and `memory.rs`.

mod memory;
mod recovery;

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use amends_engine::{Engine, EngineBuilder, Options, StartError, StartRequest};
use amends_journal::Journal;
use bytes::Bytes;
use clap::ValueEnum;
use tokio::task::JoinSet;

use super::args::{BenchChildArgs, Role};
use super::error::BenchError;
use super::place::Place;
use super::sagas;
use super::worker::{self, Worker};

pub(super) use memory::{RESIDENT, UNKNOWN};
pub(super) use recovery::{DURABLE, ENDED_ALL, ENDED_FIRST};

/// Clients that start sagas: enough to fill a group commit, few enough to be gentle with memory.
const STARTERS: u32 = 512;

/// How long between two looks whether something is through. Only the end of a measurement hangs on it.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Starts one of them.
pub(super) fn start<'a>(
    place: &'a Place,
    role: Role,
    directory: &Path,
    sagas: u32,
) -> Result<Worker<'a>, BenchError> {
    let name = role.to_possible_value().expect("no role is hidden");
    let sagas = sagas.to_string();
    let arguments = ["bench-child", name.get_name(), "--sagas", &sagas, "--data"].map(OsStr::new);
    Worker::start(place, role.in_words(), arguments.into_iter().chain([directory.as_os_str()]))
}

pub(crate) fn run(args: &BenchChildArgs) -> ExitCode {
    worker::end_with_parent();
    super::end(match args.role {
        Role::Fill => recovery::fill(args),
        Role::Recover => recovery::recover(args),
        Role::Idle => memory::idle(args),
        Role::Live => memory::live(args),
        Role::Waiting => memory::waiting(args),
    })
}

/// An engine as the product's.
fn usual(args: &BenchChildArgs) -> Result<EngineBuilder, BenchError> {
    let journal: Arc<dyn Journal> = Arc::new(sagas::open(&args.data)?);
    Ok(EngineBuilder::new(journal))
}

/// An engine that holds all sagas in memory at once.
fn roomy(args: &BenchChildArgs) -> Result<EngineBuilder, BenchError> {
    let live_sagas_max =
        (args.sagas as usize).saturating_add(STARTERS as usize).max(Options::default().live_sagas_max);
    Ok(usual(args)?.options(Options { live_sagas_max, ..Options::default() }))
}

/// Returns when every start is durable.
async fn start_all(engine: &Engine, sagas: u32, request: &StartRequest) -> Result<(), BenchError> {
    let left = Arc::new(AtomicU32::new(sagas));
    let mut starters = JoinSet::new();
    for _ in 0..STARTERS.min(sagas) {
        starters.spawn(start_sagas(engine.clone(), request.clone(), left.clone()));
    }
    while let Some(ended) = starters.join_next().await {
        ended.map_err(|_| BenchError::Panicked)??;
    }
    Ok(())
}

async fn start_sagas(engine: Engine, request: StartRequest, left: Arc<AtomicU32>) -> Result<(), BenchError> {
    let take_one = |left: u32| left.checked_sub(1);
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one).is_ok() {
        // As they come from outside: each with an input of its own.
        let input = Bytes::copy_from_slice(&request.input);
        start_one(&engine, StartRequest { input, ..request.clone() }).await?;
    }
    Ok(())
}

/// Where sagas fall asleep while others start, a full engine is one to come back to.
async fn start_one(engine: &Engine, request: StartRequest) -> Result<(), BenchError> {
    loop {
        match engine.start(request.clone()).await {
            Ok(_) => return Ok(()),
            Err(StartError::Full(_)) => tokio::time::sleep(LOOK_EVERY).await,
            Err(error) => return Err(error.into()),
        }
    }
}
