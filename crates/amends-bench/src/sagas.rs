//! What the engine does on this machine.
//!
//! Owns the measurement of sagas: a fresh journal on the disk, the product's engine over it, clients that
//! each start a saga and wait for its end. Promises the product's defaults, and that every saga ended as it
//! should.

use std::future::{Future, ready};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use amends_core::TransactionId;
use amends_engine::{Engine, EngineBuilder, Options, StartRequest, Wait};
use amends_journal::{Reads, Stats};
use amends_journal_sqlite::{SqliteJournal, SqliteOptions};
use clap::ValueEnum;

use super::conditions::Conditions;
use super::disk::{Appends, DiskRun};
use super::error::BenchError;
use super::load::{self, Client, Load, LogCounts, Measured, Meters};
use super::place::size_of;
use super::row::Row;
use super::runs::Runs;
use super::stderr::end_fatally;
use super::workload::ended_as;
use super::workload::{self, Workload};

/// How long the sagas under way at the end may take: they are waited for, so there are none.
const GRACE: Duration = Duration::from_secs(10);

/// What callers choose to tell their sagas by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Ids {
    /// Nothing: the engine makes ids that grow with time.
    Made,
    /// Random ids.
    Given,
    /// Random idempotency keys; the engine makes the ids.
    Keyed,
}

impl Ids {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Given => "given",
            Self::Keyed => "keyed",
        }
    }

    /// What to ask for with the next start.
    pub(super) fn next(self, request: &StartRequest) -> StartRequest {
        let request = request.clone();
        match self {
            Self::Made => request,
            Self::Given => StartRequest { id: Some(random_id()), ..request },
            Self::Keyed => StartRequest { key: Some(random_id().to_string()), ..request },
        }
    }
}

fn random_id() -> TransactionId {
    let mut random = [0; 16];
    getrandom::fill(&mut random).expect("the system gives random bytes");
    TransactionId::from_bytes(random)
}

/// What is run, and where.
pub(super) struct Program<'d> {
    pub(super) directory: &'d Path,
    pub(super) workload: Workload,
    pub(super) ids: Ids,
    pub(super) options: Options,
}

struct Starting {
    engine: Engine,
    request: StartRequest,
    workload: Workload,
    ids: Ids,
}

impl Client for Starting {
    async fn turn(&mut self) -> Result<(), BenchError> {
        let view = self.engine.start(self.ids.next(&self.request)).await?;
        let (found, expected) = (ended_as(&view), self.workload.end());
        if found == expected { Ok(()) } else { Err(BenchError::WrongEnd { found, expected }) }
    }
}

/// What one run showed.
#[derive(Debug)]
pub(super) struct SagaRun {
    pub(super) measured: Measured,
    pub(super) appends: Appends,
    /// By how many bytes the journal's files grew.
    pub(super) grown: u64,
    /// How much of the disk's own limit the sagas reached, if that was measured beside them.
    pub(super) share_of_disk: Option<f64>,
}

impl SagaRun {
    fn bytes_per_saga(&self) -> f64 {
        self.grown as f64 / self.measured.turns.max(1) as f64
    }

    /// The row of several runs.
    pub(super) fn row(workload: Workload, load: Load, clients: u32, runs: &Runs<Self>) -> Row {
        load::row(workload.name(), load, clients, &runs.each(|run| &run.measured))
            .figure("share_of_disk", 4, runs.median_if_known(|run| run.share_of_disk))
            .figure("bytes_per_saga", 0, runs.median(Self::bytes_per_saga))
    }

    /// Puts the run beside the disk's of the same round.
    pub(super) fn compare_with(&mut self, disk: &DiskRun) {
        let appends_per_second = self.measured.per_second * self.appends.per_saga();
        self.share_of_disk = Some(appends_per_second / disk.better().per_second);
    }
}

/// One run.
pub(super) fn measure(
    conditions: &Conditions,
    workload: Workload,
    load: Load,
    clients: u32,
) -> Result<SagaRun, BenchError> {
    let directory = conditions.place.fresh("journal")?;
    // What an empty journal takes is not the sagas': it is laid out first, and closed.
    drop(open(directory.path())?);
    let before = size_of(directory.path())?;
    let (ids, options) = (Ids::Made, Options::default());
    let program = Program { directory: directory.path(), workload, ids, options };
    let (measured, stats) = run(conditions, &program, load, clients, |_| ready(()))?;
    let grown = size_of(directory.path())?.saturating_sub(before);
    let appends = Appends { appends: stats.appends, bytes: stats.record_bytes, sagas: measured.turns };
    Ok(SagaRun { measured, appends, grown, share_of_disk: None })
}

/// Ends with the journal closed: everything is in its place on the disk. What is done beside it ends with it.
pub(super) fn run<B: Future<Output = ()> + Send + 'static>(
    conditions: &Conditions,
    program: &Program<'_>,
    load: Load,
    clients: u32,
    beside: impl FnOnce(Engine) -> B,
) -> Result<(Measured, Stats), BenchError> {
    let Program { directory, workload, ids, options } = program;
    let journal = Arc::new(open(directory)?);
    let runtime = load::runtime()?;
    let engine = {
        let _entered = runtime.enter();
        let builder = EngineBuilder::new(journal.clone()).options(options.clone());
        workload.set_up(builder).open()?
    };
    let request = workload::request(Wait::Rest);
    let clients = (0..clients).map(|_| Starting {
        engine: engine.clone(),
        request: request.clone(),
        workload: *workload,
        ids: *ids,
    });
    let beside = runtime.spawn(beside(engine.clone()));
    let meters = Meters { disk: conditions.place.disk(), log: &|| log_counts(journal.stats()) };
    let measured = load::measure(&runtime, load, clients, &meters, conditions.window, &conditions.progress);
    beside.abort();
    runtime.block_on(engine.stop(GRACE));
    drop((engine, runtime));
    let journal = Arc::into_inner(journal).ok_or(BenchError::StillOpen)?;
    let stats = journal.stats();
    drop(journal);
    Ok((measured?, stats))
}

fn log_counts(stats: Stats) -> LogCounts {
    LogCounts { appends: stats.appends, flushes: stats.flushes }
}

/// The product's journal. A failed write ends the process: nobody knows what is on the disk.
pub(super) fn open(directory: &Path) -> Result<SqliteJournal, BenchError> {
    let on_fatal = Box::new(|message: String| end_fatally(&message));
    Ok(SqliteJournal::open(directory, SqliteOptions::default(), on_fatal)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appends_of(workload: Workload) -> Appends {
        let parent = tempfile::tempdir().unwrap();
        let run = measure(&Conditions::brief(parent.path()), workload, Load::Closed, 2).unwrap();
        assert!(run.measured.per_second > 0.0 && run.bytes_per_saga() > 0.0, "{run:?}");
        assert_eq!(run.share_of_disk, None, "nothing to compare with was measured");
        run.appends
    }

    #[test]
    fn a_saga_that_completes_makes_five_appends_of_the_size_we_say() {
        let appends = appends_of(Workload::Ok);
        assert_eq!(appends.per_saga(), 5.0);
        assert_eq!(appends.mean_bytes(), Appends::WITHOUT_SAGAS.mean_bytes());
    }

    #[test]
    fn an_open_loop_makes_the_same_sagas() {
        let parent = tempfile::tempdir().unwrap();
        let load = Load::Open { rate: 100.0 };
        let run = measure(&Conditions::brief(parent.path()), Workload::Ok, load, 2).unwrap();
        assert_eq!(run.appends.per_saga(), 5.0);
        assert!(run.measured.turns <= 40, "about 22 come in 220 ms: {run:?}");
        assert!(run.measured.offered.is_some(), "{run:?}");
    }

    #[test]
    fn a_saga_that_turns_back_at_its_third_step_makes_six_appends() {
        assert_eq!(appends_of(Workload::Undo).per_saga(), 6.0);
    }
}
