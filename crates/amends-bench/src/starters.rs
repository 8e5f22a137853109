//! Many sagas, as quickly as they can be started.
//!
//! Owns what brings an engine or a directory into a state that is then measured. Promises to return when
//! every start has been answered. Measures nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use amends_engine::{Engine, EngineBuilder, Options, StartError, StartRequest};
use amends_journal::Journal;
use bytes::Bytes;
use tokio::task::JoinSet;

use super::error::BenchError;
use super::sagas::{self, Ids};

/// How many start sagas concurrently: enough to fill a group commit, few enough to be gentle with memory.
const STARTERS: u32 = 512;

/// How long a full engine is left alone: the time of a flush or two.
const FULL_PAUSE: Duration = Duration::from_millis(1);

/// An engine as the product's, on the journal of a directory.
pub(super) fn engine(directory: &Path) -> Result<EngineBuilder, BenchError> {
    let journal: Arc<dyn Journal> = Arc::new(sagas::open(directory)?);
    Ok(EngineBuilder::new(journal))
}

/// The same with room for so many live sagas.
pub(super) fn roomy_engine(directory: &Path, sagas: u32) -> Result<EngineBuilder, BenchError> {
    let live_max = (sagas as usize).saturating_add(STARTERS as usize).max(Options::default().live_max);
    Ok(engine(directory)?.options(Options { live_max, ..Options::default() }))
}

/// Starts so many sagas.
pub(super) async fn start_all(
    engine: &Engine,
    sagas: u64,
    ids: Ids,
    request: &StartRequest,
) -> Result<(), BenchError> {
    let left = Arc::new(AtomicU64::new(sagas));
    let mut starters = JoinSet::new();
    for _ in 0..u64::from(STARTERS).min(sagas) {
        starters.spawn(start_some(engine.clone(), request.clone(), ids, left.clone()));
    }
    while let Some(ended) = starters.join_next().await {
        ended.map_err(|_| BenchError::Panicked)??;
    }
    Ok(())
}

async fn start_some(
    engine: Engine,
    request: StartRequest,
    ids: Ids,
    left: Arc<AtomicU64>,
) -> Result<(), BenchError> {
    let take_one = |left: u64| left.checked_sub(1);
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one).is_ok() {
        // As they come from outside: each with an input of its own.
        let input = Bytes::copy_from_slice(&request.input);
        start(&engine, StartRequest { input, ..ids.next(&request) }).await?;
    }
    Ok(())
}

/// Where sagas fall asleep while others start, a full engine is one to come back to.
async fn start(engine: &Engine, request: StartRequest) -> Result<(), BenchError> {
    loop {
        match engine.start(request.clone()).await {
            Ok(_) => return Ok(()),
            Err(StartError::Full(_)) => tokio::time::sleep(FULL_PAUSE).await,
            Err(error) => return Err(error.into()),
        }
    }
}
