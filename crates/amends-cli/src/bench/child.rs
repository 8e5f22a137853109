//! The two processes of the recovery measurement.
//!
//! Owns what they do: start sagas that go no further and wait to be killed; take them up and carry them to their end.
//! Promises to say `durable` only when every start is, and an end only when its record is; and to end with its parent.
//! The product's defaults hold, but for the number of live sagas. Talks to `recovery.rs` in lines.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use amends_core::{SagaId, Status};
use amends_engine::{Engine, EngineBuilder, Options, Wait, local};
use amends_journal::{Filter, Journal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::args::{BenchChildArgs, Half};
use super::error::BenchError;
use super::{load, sagas, workload};

/// Every saga is started and durable.
pub(super) const DURABLE: &str = "durable";
/// The first saga has ended.
pub(super) const ENDED_FIRST: &str = "first";
/// All sagas have ended.
pub(super) const ENDED_ALL: &str = "all";

/// Clients that start sagas: enough to fill a group commit, few enough to be gentle with memory.
const STARTERS: u32 = 512;

/// How long between two looks whether the last appends are through. Only the end of the measurement hangs on it.
const LOOK_EVERY: Duration = Duration::from_millis(1);

pub(crate) fn run(args: &BenchChildArgs) -> ExitCode {
    end_with_parent();
    super::end(match args.half {
        Half::Fill => fill(args),
        Half::Recover => recover(args),
    })
}

/// The parent holds the other end of our standard input for as long as it lives.
fn end_with_parent() {
    std::thread::spawn(|| {
        // Whether it ends or fails, the parent is gone.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
}

fn say(line: &str) -> Result<(), BenchError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(BenchError::Print)
}

fn builder(args: &BenchChildArgs) -> Result<EngineBuilder, BenchError> {
    let live_sagas_max =
        (args.in_flight as usize).saturating_add(STARTERS as usize).max(Options::default().live_sagas_max);
    let journal: Arc<dyn Journal> = Arc::new(sagas::open(&args.data)?);
    Ok(EngineBuilder::new(journal).options(Options { live_sagas_max, ..Options::default() }))
}

fn fill(args: &BenchChildArgs) -> Result<(), BenchError> {
    let silent = local(|_| std::future::pending());
    let builder = workload::set_up_patient(builder(args)?, silent.clone(), silent);
    load::runtime()?.block_on(async {
        let engine = builder.open()?;
        let left = Arc::new(AtomicU32::new(args.in_flight));
        let mut starters = JoinSet::new();
        for _ in 0..STARTERS.min(args.in_flight) {
            starters.spawn(start_sagas(engine.clone(), left.clone()));
        }
        while let Some(ended) = starters.join_next().await {
            ended.map_err(|_| BenchError::Panicked)??;
        }
        say(DURABLE)?;
        // Until it is killed.
        std::future::pending::<Result<(), BenchError>>().await
    })
}

async fn start_sagas(engine: Engine, left: Arc<AtomicU32>) -> Result<(), BenchError> {
    let request = workload::request(Wait::Accepted);
    let take_one = |left: u32| left.checked_sub(1);
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one).is_ok() {
        engine.start(request.clone()).await?;
    }
    Ok(())
}

fn recover(args: &BenchChildArgs) -> Result<(), BenchError> {
    let (last_steps, seen) = mpsc::unbounded_channel();
    let first = local(|_| async { workload::completed() });
    let last = local(move |call| {
        // Nobody listens any more once all have ended.
        let _ = last_steps.send(call.saga);
        async { workload::completed() }
    });
    let builder = workload::set_up_patient(builder(args)?, first, last);
    load::runtime()?.block_on(async {
        let engine = builder.open()?;
        watch(&engine, seen, args.in_flight).await?;
        engine.stop(Duration::ZERO).await;
        Ok(())
    })
}

/// The last step's call tells that an end is near; the engine, when it is durable.
async fn watch(
    engine: &Engine,
    mut last_steps: mpsc::UnboundedReceiver<SagaId>,
    in_flight: u32,
) -> Result<(), BenchError> {
    let mut called = 0;
    while called < in_flight {
        let saga = last_steps.recv().await.expect("the engine holds the participant");
        called += 1;
        if called == 1 {
            has_completed(engine, saga).await?;
            say(ENDED_FIRST)?;
        }
        if called == in_flight {
            has_completed(engine, saga).await?;
        }
    }
    let completed = Filter { status: Some(Status::Completed), definition: None };
    while engine.count(completed.clone()).await? < u64::from(in_flight) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    say(ENDED_ALL)
}

async fn has_completed(engine: &Engine, saga: SagaId) -> Result<(), BenchError> {
    let expected = Status::Completed;
    let found = engine.rest(saga).await?.map_or(Status::Pending, |view| view.saga.status());
    if found == expected { Ok(()) } else { Err(BenchError::WrongEnd { found, expected }) }
}
