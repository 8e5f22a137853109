//! How much memory sagas take.
//!
//! Owns the parent's side: for each state a process of its own, so that the memory is its alone. Promises that what a saga
//! takes is told without what the idle program takes. The children's side is `child/memory.rs`.

use super::args::Role;
use super::child::{RESIDENT, UNKNOWN};
use super::child_process::ChildProcess;
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
    let mut child = ChildProcess::start(place, role, directory.path(), sagas)?;
    let bytes = child.hear(of_line)?;
    child.kill()?;
    Ok(bytes)
}

/// The inner `None` is of a child that does not know.
fn of_line(line: &str) -> Option<Option<u64>> {
    let said = line.strip_prefix(RESIDENT)?;
    if said == UNKNOWN { Some(None) } else { said.parse().ok().map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_child_does_not_know_is_no_number() {
        assert_eq!(of_line("resident 4096"), Some(Some(4_096)));
        assert_eq!(of_line("resident unknown"), Some(None));
        for line in ["", "resident", "resident much", "durable"] {
            assert_eq!(of_line(line), None, "{line}");
        }
    }
}
