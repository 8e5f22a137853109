//! How long it takes to go on after a kill.
//!
//! Owns both sides: one worker fills a journal and is killed, a second one loads what it left and carries it
//! to its end. Promises times from just before the second process is started, so that its own start counts; a
//! real SIGKILL; and that `durable` is said only when every start is, an end only when its record is.

use std::time::{Duration, Instant};

use amends_core::{Status, TransactionId};
use amends_engine::{Engine, Wait, local};
use amends_journal::Filter;
use tokio::sync::mpsc;

use super::error::BenchError;
use super::place::Place;
use super::row::Row;
use super::runs::Runs;
use super::sagas::Ids;
use super::starters::{roomy_engine, start_all};
use super::worker::{Role, Worker, WorkerArguments, tell};
use super::workload::ended_as;
use super::{load, workload};

/// Said when every saga is started and durable.
const DURABLE: &str = "durable";
/// Said when the first saga has ended.
const ENDED_FIRST: &str = "first";
/// Said when all sagas have ended.
const ENDED_ALL: &str = "all";

/// How long between two looks whether all sagas have ended.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// How long one run took.
#[derive(Debug)]
pub(super) struct RecoveryRun {
    /// Until the first saga had ended.
    pub(super) first: Duration,
    /// Until all had.
    pub(super) all: Duration,
}

impl RecoveryRun {
    /// The row of several runs.
    pub(super) fn row(in_flight: u32, runs: &Runs<Self>) -> Row {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1_000.0;
        Row::default()
            .put("in_flight", in_flight)
            .put("runs", runs.count())
            .spread("first_ms", 1, runs.spread(|run| milliseconds(run.first)))
            .spread("all_ms", 1, runs.spread(|run| milliseconds(run.all)))
    }
}

/// One run.
pub(super) fn measure(place: &Place, in_flight: u32) -> Result<RecoveryRun, BenchError> {
    let directory = place.fresh("recovery")?;
    let mut filling = Worker::start(place, Role::Fill, directory.path(), in_flight)?;
    filling.told(DURABLE)?;
    filling.kill()?;
    let began = Instant::now();
    let mut worker = Worker::start(place, Role::Recover, directory.path(), in_flight)?;
    worker.told(ENDED_FIRST)?;
    let first = began.elapsed();
    worker.told(ENDED_ALL)?;
    let all = began.elapsed();
    worker.wait()?;
    Ok(RecoveryRun { first, all })
}

/// The first worker.
pub(super) fn fill(args: &WorkerArguments) -> Result<(), BenchError> {
    let silent = local(|_| std::future::pending());
    let builder = workload::set_up_patient(roomy_engine(&args.data, args.sagas)?, silent.clone(), silent);
    load::runtime()?.block_on(async {
        let engine = builder.open()?;
        start_all(&engine, args.sagas.into(), Ids::Made, &workload::request(Wait::Accepted)).await?;
        tell(DURABLE)?;
        // Until it is killed.
        std::future::pending::<Result<(), BenchError>>().await
    })
}

/// The second worker.
pub(super) fn recover(args: &WorkerArguments) -> Result<(), BenchError> {
    let (last_steps, seen) = mpsc::unbounded_channel();
    let first = local(|_| async { workload::completed() });
    let last = local(move |call| {
        // There is no receiver any more once all have ended.
        let _ = last_steps.send(call.transaction);
        async { workload::completed() }
    });
    let builder = workload::set_up_patient(roomy_engine(&args.data, args.sagas)?, first, last);
    load::runtime()?.block_on(async {
        let engine = builder.open()?;
        watch(&engine, seen, args.sagas).await?;
        engine.stop(Duration::ZERO).await;
        Ok(())
    })
}

/// The last step's call tells that an end is near; the engine, when it is durable.
async fn watch(
    engine: &Engine,
    mut last_steps: mpsc::UnboundedReceiver<TransactionId>,
    in_flight: u32,
) -> Result<(), BenchError> {
    let mut called = 0;
    while called < in_flight {
        let saga = last_steps.recv().await.expect("the engine holds the participant");
        called += 1;
        if called == 1 {
            has_completed(engine, saga).await?;
            tell(ENDED_FIRST)?;
        }
        if called == in_flight {
            has_completed(engine, saga).await?;
        }
    }
    let completed = Filter { standings: Status::Completed.standings(), ..Filter::default() };
    while engine.count(completed.clone()).await?.count < u64::from(in_flight) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    tell(ENDED_ALL)
}

async fn has_completed(engine: &Engine, saga: TransactionId) -> Result<(), BenchError> {
    let expected = Status::Completed;
    let found = engine.rest(saga).await?.map_or(Status::Pending, |view| ended_as(&view));
    if found == expected { Ok(()) } else { Err(BenchError::WrongEnd { found, expected }) }
}
