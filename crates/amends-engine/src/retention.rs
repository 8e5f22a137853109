//! Removes sagas that ended long ago.
//!
//! Owns the sweep: small steps with pauses between them, so that those under way hardly notice. Promises to touch no live
//! saga; ids and keys stay reserved for longer. Runs only where `Options::retention` is set.

use std::sync::Arc;
use std::time::{Duration, Instant};

use amends_core::{Partitions, Time};
use amends_journal::{Journal, JournalError};
use tracing::error;

use crate::limits::RETENTION_PAGE;
use crate::shell::Shared;

/// Between two sweeps: what has to go goes within the hour.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);

/// After each step it rests so many times as long as that took. Measured with 512 clients: without a rest, a sweep takes a third
/// of the throughput. A sweep that is not done within
/// the hour goes on without: what comes must not come faster than it goes.
const REST_FACTOR: u32 = 4;

/// How long ids and keys stay reserved after their saga is gone.
const RESERVED_FOR: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Runs for ever.
pub(crate) async fn run(shared: Arc<Shared>, keep: Duration) {
    loop {
        if let Err(why) = sweep(&shared, keep).await {
            error!(%why, "retention stopped half-way; it goes on in an hour");
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

async fn sweep(shared: &Arc<Shared>, keep: Duration) -> Result<(), String> {
    let began = Instant::now();
    let mut cursor = None;
    loop {
        let now = shared.clock.now();
        let before = age_ago(now, keep);
        let removed = step(shared, began, move |journal| {
            journal.remove_ended(&Partitions::ALL, before, now, cursor, RETENTION_PAGE)
        });
        cursor = removed.await?.map_err(|error| error.to_string())?.next;
        if cursor.is_none() {
            break;
        }
    }
    loop {
        let before = age_ago(shared.clock.now(), RESERVED_FOR);
        let forgotten = step(shared, began, move |journal| {
            journal.forget_reservations(&Partitions::ALL, before, RETENTION_PAGE)
        });
        if forgotten.await?.map_err(|error| error.to_string())? == 0 {
            return Ok(());
        }
    }
}

/// One step, and the rest after it.
async fn step<R: Send + 'static>(
    shared: &Arc<Shared>,
    sweep_began: Instant,
    step: impl FnOnce(&dyn Journal) -> Result<R, JournalError> + Send + 'static,
) -> Result<Result<R, JournalError>, String> {
    let (began, shared) = (Instant::now(), shared.clone());
    let done = tokio::task::spawn_blocking(move || step(&*shared.journal)).await;
    if sweep_began.elapsed() < SWEEP_EVERY {
        tokio::time::sleep(began.elapsed() * REST_FACTOR).await;
    }
    done.map_err(|error| error.to_string())
}

fn age_ago(now: Time, age: Duration) -> Time {
    let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    Time::from_milliseconds(now.milliseconds().saturating_sub(age))
}
