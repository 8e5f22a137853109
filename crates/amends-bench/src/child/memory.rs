//! The processes of the memory measurement.
//!
//! Owns what they do: hold no sagas, live ones, or such that wait for a day; and say how much of them is in memory.
//! Promises that the sagas are where they should be when that is read: all in memory, or none. Says that it does not know
//! where the kernel does not tell. Talks to the bench's `memory.rs` in lines.

use std::time::{Duration, Instant};

use amends_core::Outcome;
use amends_engine::{Engine, Wait, local};
use amends_journal::Filter;

use crate::args::ChildArguments;
use crate::error::BenchError;
use crate::sagas::Ids;
use crate::starters::start_all;
use crate::worker::tell;
use crate::{load, workload};

use super::{LOOK_EVERY, roomy, usual};

/// How much of the process is in memory: this and the bytes.
pub(crate) const RESIDENT: &str = "resident";
/// In place of the bytes.
pub(crate) const UNKNOWN: &str = "unknown";

/// An engine that has nothing to do has done what it does at its start.
const IDLE_AFTER: Duration = Duration::from_secs(2);

/// Longer than the journal takes to bring its database up to its log, and to forget sagas that do nothing (two seconds
/// after that).
const SETTLED_AFTER: Duration = Duration::from_secs(5);

/// How long sagas may take to fall asleep once all are started: far longer than a full engine needs.
const ASLEEP_WITHIN: Duration = Duration::from_secs(60);

/// Far longer than any measurement.
const A_DAY: Duration = Duration::from_secs(24 * 3_600);

pub(super) fn idle(args: &ChildArguments) -> Result<(), BenchError> {
    let silent = local(|_| std::future::pending());
    let builder = workload::set_up_patient(usual(args)?, silent.clone(), silent);
    load::runtime()?.block_on(async {
        let engine = builder.open()?;
        tokio::time::sleep(IDLE_AFTER).await;
        tell_resident(&engine, 0, 0).await
    })
}

pub(super) fn live(args: &ChildArguments) -> Result<(), BenchError> {
    let silent = local(|_| std::future::pending());
    let builder = workload::set_up_patient(roomy(args)?, silent.clone(), silent);
    load::runtime()?.block_on(async {
        let engine = builder.open()?;
        start_all(&engine, args.sagas.into(), Ids::Made, &workload::request(Wait::Accepted)).await?;
        tokio::time::sleep(SETTLED_AFTER).await;
        tell_resident(&engine, args.sagas, args.sagas).await
    })
}

pub(super) fn waiting(args: &ChildArguments) -> Result<(), BenchError> {
    let later = local(|_| async { Outcome::Pending { ask_again_after: Some(A_DAY) } });
    let builder = workload::set_up_patient(usual(args)?, later.clone(), later);
    load::runtime()?.block_on(async {
        let engine = builder.open()?;
        start_all(&engine, args.sagas.into(), Ids::Made, &workload::request(Wait::Accepted)).await?;
        let began = Instant::now();
        while engine.live() > 0 && began.elapsed() < ASLEEP_WITHIN {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        tokio::time::sleep(SETTLED_AFTER).await;
        tell_resident(&engine, 0, args.sagas).await
    })
}

/// Says what is in memory once it is sure of what: so many sagas alive, so many in the journal.
async fn tell_resident(engine: &Engine, live: u32, stored: u32) -> Result<(), BenchError> {
    // Read first: counting takes memory too.
    let resident = resident_bytes().map_or_else(|| UNKNOWN.to_owned(), |bytes| bytes.to_string());
    check("in memory", u64::try_from(engine.live()).expect("a count fits"), live)?;
    check("in the journal", engine.count(Filter::default()).await?, stored)?;
    tell(&format!("{RESIDENT} {resident}"))?;
    // Until it is killed.
    std::future::pending().await
}

fn check(place: &'static str, found: u64, expected: u32) -> Result<(), BenchError> {
    let is_so = found == u64::from(expected);
    if is_so { Ok(()) } else { Err(BenchError::SagasElsewhere { place, found, expected }) }
}

/// Of this process, as Linux counts it; see proc(5).
fn resident_bytes() -> Option<u64> {
    of_status(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn of_status(text: &str) -> Option<u64> {
    let kibibytes = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(kibibytes.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_linux_writes_it() {
        let status = "Name:\tamends\nVmPeak:\t  999 kB\nVmRSS:\t    5120 kB\nThreads:\t9\n";
        assert_eq!(of_status(status), Some(5 << 20));
        assert_eq!(of_status("Name:\tamends\n"), None);
        assert_eq!(of_status("VmRSS:\tmuch"), None);
        assert!(resident_bytes().unwrap() > 1 << 20, "this very process");
    }
}
