//! How long it takes to go on after a kill.
//!
//! Owns the parent's side: one child process fills a journal and is killed, a second one takes up what it left.
//! Promises times from just before the second process is started, so that its own start counts; and a real SIGKILL.
//! The children's side is `child/recovery.rs`.

use std::path::Path;
use std::time::{Duration, Instant};

use super::args::Role;
use super::child::{self, DURABLE, ENDED_ALL, ENDED_FIRST};
use super::error::BenchError;
use super::place::Place;

/// How long one run took.
#[derive(Debug)]
pub(super) struct RecoveryRun {
    /// Until the first saga had ended.
    pub(super) first: Duration,
    /// Until all had.
    pub(super) all: Duration,
}

pub(super) fn measure(place: &Place, in_flight: u32) -> Result<RecoveryRun, BenchError> {
    let directory = place.fresh("recovery")?;
    fill(place, directory.path(), in_flight)?;
    let began = Instant::now();
    let mut worker = child::start(place, Role::Recover, directory.path(), in_flight)?;
    worker.told(ENDED_FIRST)?;
    let first = began.elapsed();
    worker.told(ENDED_ALL)?;
    let all = began.elapsed();
    worker.wait()?;
    Ok(RecoveryRun { first, all })
}

fn fill(place: &Place, directory: &Path, in_flight: u32) -> Result<(), BenchError> {
    let mut worker = child::start(place, Role::Fill, directory, in_flight)?;
    worker.told(DURABLE)?;
    worker.kill()
}
