//! How much memory sagas take.
//!
//! Owns both sides: for each state a worker, so that the memory is its alone, which says how much of it is in
//! memory. Promises that the sagas are where they should be when that is read, all in memory or none; that
//! the bytes of a saga are without those of the idle program; and no figure where the kernel gives none.

use std::time::{Duration, Instant};

use amends_core::Outcome;
use amends_engine::{Engine, Wait, local};
use amends_journal::Filter;

use super::error::BenchError;
use super::place::Place;
use super::row::Row;
use super::runs::Runs;
use super::sagas::Ids;
use super::starters::{engine, roomy_engine, start_all};
use super::worker::{Role, Worker, WorkerArguments, tell};
use super::{load, workload};

/// Said with the bytes of the process that are in memory.
const RESIDENT: &str = "resident";
/// In place of the bytes.
const UNKNOWN: &str = "unknown";

/// How long between two looks whether all sagas sleep.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// An engine that has nothing to do has done what it does at its start.
const IDLE_AFTER: Duration = Duration::from_secs(2);

/// Longer than the journal takes to bring its database up to its log, and to forget sagas that do nothing
/// (two seconds after that).
const SETTLED_AFTER: Duration = Duration::from_secs(5);

/// How long sagas may take to fall asleep once all are started: far longer than a full engine needs.
const ASLEEP_WITHIN: Duration = Duration::from_secs(60);

/// Far longer than any measurement.
const A_DAY: Duration = Duration::from_secs(24 * 3_600);

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

impl MemoryRun {
    /// One row for each state.
    pub(super) fn rows(held: Held, runs: &Runs<Self>) -> [Row; 3] {
        [
            Self::row("idle", 0, runs, |run| run.idle),
            Self::row("live", held.live, runs, |run| run.live),
            Self::row("waiting", held.waiting, runs, |run| run.waiting),
        ]
    }

    fn row(state: &str, sagas: u32, runs: &Runs<Self>, resident: impl Fn(&Self) -> Option<u64>) -> Row {
        let bytes = |run: &Self| Some(resident(run)? as f64);
        // A process with few sagas may happen to be smaller than the idle one.
        let each =
            |run: &Self| (sagas > 0).then_some((bytes(run)? - run.idle? as f64).max(0.0) / f64::from(sagas));
        Row::default()
            .put("state", state)
            .put("sagas", sagas)
            .put("runs", runs.count())
            .spread("resident_bytes", 0, runs.spread_if_known(bytes))
            .figure("bytes_per_saga", 1, runs.median_if_known(each))
    }
}

/// One run.
pub(super) fn measure(place: &Place, held: Held) -> Result<MemoryRun, BenchError> {
    let resident = |role, sagas| {
        let directory = place.fresh("memory")?;
        let mut worker = Worker::start(place, role, directory.path(), sagas)?;
        let told = worker.told(RESIDENT)?;
        let bytes = if told == UNKNOWN { None } else { Some(worker.parse(&told)?) };
        worker.kill()?;
        Ok::<_, BenchError>(bytes)
    };
    Ok(MemoryRun {
        idle: resident(Role::Idle, 0)?,
        live: resident(Role::Live, held.live)?,
        waiting: resident(Role::Waiting, held.waiting)?,
    })
}

/// The worker of the idle state.
pub(super) fn idle(args: &WorkerArguments) -> Result<(), BenchError> {
    let silent = local(|_| std::future::pending());
    let builder = workload::set_up_patient(engine(&args.data)?, silent.clone(), silent);
    load::runtime()?.block_on(async {
        let engine = builder.open()?;
        tokio::time::sleep(IDLE_AFTER).await;
        tell_resident(&engine, 0, 0).await
    })
}

/// The worker of the live sagas.
pub(super) fn live(args: &WorkerArguments) -> Result<(), BenchError> {
    let silent = local(|_| std::future::pending());
    let builder = workload::set_up_patient(roomy_engine(&args.data, args.sagas)?, silent.clone(), silent);
    load::runtime()?.block_on(async {
        let engine = builder.open()?;
        start_all(&engine, args.sagas.into(), Ids::Made, &workload::request(Wait::Accepted)).await?;
        tokio::time::sleep(SETTLED_AFTER).await;
        tell_resident(&engine, args.sagas, args.sagas).await
    })
}

/// The worker of those that wait.
pub(super) fn waiting(args: &WorkerArguments) -> Result<(), BenchError> {
    let later = local(|_| async { Outcome::Working { ask_again_after: Some(A_DAY) } });
    let builder = workload::set_up_patient(engine(&args.data)?, later.clone(), later);
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
    check("in the journal", engine.count(Filter::default()).await?.count, stored)?;
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

    fn rows(idle: Option<u64>) -> Vec<String> {
        let held = Held { live: 1_000, waiting: 2_000 };
        let run = MemoryRun { idle, live: Some(11_000_000), waiting: Some(9_000_000) };
        let told = |row: &Row| {
            format!("{} {} {}", row.get("state"), row.get("resident_bytes"), row.get("bytes_per_saga"))
        };
        MemoryRun::rows(held, &Runs::of(vec![run]).unwrap()).iter().map(told).collect()
    }

    #[test]
    fn what_a_saga_takes_is_what_the_process_takes_beyond_the_idle_one() {
        let expected = [r#""idle" 10000000 null"#, r#""live" 11000000 1000.0"#, r#""waiting" 9000000 0.0"#];
        assert_eq!(rows(Some(10_000_000)), expected);
    }

    #[test]
    fn without_the_kernel_nothing_is_known() {
        let expected = [r#""idle" null null"#, r#""live" 11000000 null"#, r#""waiting" 9000000 null"#];
        assert_eq!(rows(None), expected);
    }

    #[test]
    fn memory_is_read_as_linux_writes_it() {
        let status = "Name:\tamends\nVmPeak:\t  999 kB\nVmRSS:\t    5120 kB\nThreads:\t9\n";
        assert_eq!(of_status(status), Some(5 << 20));
        assert_eq!(of_status("Name:\tamends\n"), None);
        assert_eq!(of_status("VmRSS:\tmuch"), None);
        assert!(resident_bytes().unwrap() > 1 << 20, "this very process");
    }
}
