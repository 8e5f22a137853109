//! Processes that the bench starts to be measured from outside, or to be alone in their memory.
//!
//! Owns what all of them share: how they are started, and their engines.
//! Promises the product's defaults, but for the number of live sagas where a measurement is about many of them. What each
//! does is in `recovery.rs` and `memory.rs`.

mod memory;
mod recovery;

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use amends_engine::{EngineBuilder, Options};
use amends_journal::Journal;
use clap::ValueEnum;

use super::args::{ChildArguments, Role};
use super::error::BenchError;
use super::place::Place;
use super::sagas;
use super::starters::STARTERS;
use super::worker::{self, Worker};

pub(super) use memory::{RESIDENT, UNKNOWN};
pub(super) use recovery::{DURABLE, ENDED_ALL, ENDED_FIRST};

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

/// Carries out the hidden command that the bench starts for one process of a measurement.
pub fn run(args: &ChildArguments) -> ExitCode {
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
fn usual(args: &ChildArguments) -> Result<EngineBuilder, BenchError> {
    let journal: Arc<dyn Journal> = Arc::new(sagas::open(&args.data)?);
    Ok(EngineBuilder::new(journal))
}

/// An engine that holds all sagas in memory at once.
fn roomy(args: &ChildArguments) -> Result<EngineBuilder, BenchError> {
    let live_sagas_max =
        (args.sagas as usize).saturating_add(STARTERS as usize).max(Options::default().live_sagas_max);
    Ok(usual(args)?.options(Options { live_sagas_max, ..Options::default() }))
}
