//! How much memory sagas take.
//!
//! Owns the parent's side: for each state a process of its own, so that the memory is its alone. Promises that what a saga
//! takes is told without what the idle program takes. The children's side is `child/memory.rs`.

use super::args::Role;
use super::child::{self, RESIDENT, UNKNOWN};
use super::error::BenchError;
use super::place::Place;

/// How many sagas there are in each state but idle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) live: u32,
    pub(super) waiting: u32,
}

/// Bytes in memory; `None` where the kernel does not tell.
#[derive(Debug)]
pub(super) struct MemoryRun {
    pub(super) idle: Option<u64>,
    pub(super) live: Option<u64>,
    pub(super) waiting: Option<u64>,
}

pub(super) fn measure(place: &Place, held: Held) -> Result<MemoryRun, BenchError> {
    Ok(MemoryRun {
        idle: resident_bytes(place, Role::Idle, 0)?,
        live: resident_bytes(place, Role::Live, held.live)?,
        waiting: resident_bytes(place, Role::Waiting, held.waiting)?,
    })
}

fn resident_bytes(place: &Place, role: Role, sagas: u32) -> Result<Option<u64>, BenchError> {
    let directory = place.fresh("memory")?;
    let mut worker = child::start(place, role, directory.path(), sagas)?;
    let told = worker.told(RESIDENT)?;
    worker.kill()?;
    if told == UNKNOWN {
        return Ok(None);
    }
    let how = || format!("nobody understands that it has {told:?} bytes in memory");
    told.parse().map(Some).map_err(|_| BenchError::Child { what: role.in_words(), how: how() })
}
