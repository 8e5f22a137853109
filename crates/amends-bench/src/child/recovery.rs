//! The two processes of the recovery measurement.
//!
//! Owns what they do: start sagas that go no further and wait to be killed; take them up and carry them to their end.
//! Promises to say `durable` only when every start is, and an end only when its record is. Talks to the bench's
//! `recovery.rs` in lines.

use std::time::Duration;

use amends_core::{Status, TransactionId};
use amends_engine::{Engine, Wait, local};
use amends_journal::Filter;
use tokio::sync::mpsc;

use crate::args::ChildArguments;
use crate::error::BenchError;
use crate::sagas::Ids;
use crate::starters::start_all;
use crate::worker::tell;
use crate::{load, workload};

use super::{LOOK_EVERY, roomy};

/// Every saga is started and durable.
pub(crate) const DURABLE: &str = "durable";
/// The first saga has ended.
pub(crate) const ENDED_FIRST: &str = "first";
/// All sagas have ended.
pub(crate) const ENDED_ALL: &str = "all";

pub(super) fn fill(args: &ChildArguments) -> Result<(), BenchError> {
    let silent = local(|_| std::future::pending());
    let builder = workload::set_up_patient(roomy(args)?, silent.clone(), silent);
    load::runtime()?.block_on(async {
        let engine = builder.open()?;
        start_all(&engine, args.sagas.into(), Ids::Made, &workload::request(Wait::Accepted)).await?;
        tell(DURABLE)?;
        // Until it is killed.
        std::future::pending::<Result<(), BenchError>>().await
    })
}

pub(super) fn recover(args: &ChildArguments) -> Result<(), BenchError> {
    let (last_steps, seen) = mpsc::unbounded_channel();
    let first = local(|_| async { workload::completed() });
    let last = local(move |call| {
        // Nobody listens any more once all have ended.
        let _ = last_steps.send(call.saga);
        async { workload::completed() }
    });
    let builder = workload::set_up_patient(roomy(args)?, first, last);
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
    let completed = Filter { status: Some(Status::Completed), definition: None };
    while engine.count(completed.clone()).await? < u64::from(in_flight) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    tell(ENDED_ALL)
}

async fn has_completed(engine: &Engine, saga: TransactionId) -> Result<(), BenchError> {
    let expected = Status::Completed;
    let found = engine.rest(saga).await?.map_or(Status::Pending, |view| view.saga.status());
    if found == expected { Ok(()) } else { Err(BenchError::WrongEnd { found, expected }) }
}
