//! Many sagas, as quickly as they can be started.
//!
//! Owns what brings an engine or a directory into a state that is then measured. Promises to return when every start has
//! been answered. Measures nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use amends_engine::{Engine, StartError, StartRequest};
use bytes::Bytes;
use tokio::task::JoinSet;

use super::error::BenchError;
use super::sagas::Ids;

/// How many start sagas at once: enough to fill a group commit, few enough to be gentle with memory.
pub(super) const STARTERS: u32 = 512;

/// How long a full engine is left alone: the time of a flush or two.
const FULL_PAUSE: Duration = Duration::from_millis(1);

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
        start(&engine, StartRequest { input, id: ids.next(), ..request.clone() }).await?;
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
