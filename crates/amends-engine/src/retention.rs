//! Removes transactions that ended long ago.
//!
//! Owns the sweep: small steps with pauses between them, so that those under way hardly notice. Promises to
//! touch no live transaction; ids and keys stay reserved for longer. Where something is damaged it stops and
//! says what: a backup is then to be restored, and nothing is removed meanwhile. Runs only where
//! `Options::retention` is set.

use std::sync::Arc;
use std::time::{Duration, Instant};

use amends_core::Partitions;
use amends_journal::{Cursor, Journal, JournalError, Sweep};
use tracing::error;

use crate::limits::RETENTION_PAGE;
use crate::shell::Shared;

/// Between two sweeps: what has to go goes within the hour.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);

/// After each step it rests so many times as long as that took. Measured with 512 clients: without a rest, a
/// sweep takes a third of the throughput. A sweep that is not done within the hour goes on without: what
/// comes must not come faster than it goes.
const REST_FACTOR: u32 = 4;

/// How long ids and keys stay reserved after their transaction is gone.
const RESERVED_FOR: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Runs for ever.
pub(crate) async fn run(shared: Arc<Shared>, partitions: Partitions, keep: Duration) {
    loop {
        if let Err(why) = sweep(&shared, partitions, keep).await {
            error!(%why, "retention stopped half-way; it goes on in an hour");
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

async fn sweep(shared: &Arc<Shared>, partitions: Partitions, keep: Duration) -> Result<(), String> {
    let began = Instant::now();
    let mut cursor: Option<Cursor> = None;
    loop {
        // A clock that was set forward by mistake must not make everything old: removed is what this program
        // has seen grow old, or found old when it started.
        let now = shared.clock.steady();
        let removed = step(shared, began, move |journal| {
            journal.remove_ended(&partitions, now.before(keep), now, cursor, RETENTION_PAGE)
        });
        let Sweep { next, .. } = removed.await?;
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    loop {
        let before = shared.clock.steady().before(RESERVED_FOR);
        let forget =
            move |journal: &dyn Journal| journal.forget_reservations(&partitions, before, RETENTION_PAGE);
        if step(shared, began, forget).await? == 0 {
            return Ok(());
        }
    }
}

/// One step, and the rest after it.
async fn step<R: Send + 'static>(
    shared: &Arc<Shared>,
    sweep_began: Instant,
    step: impl FnOnce(&dyn Journal) -> Result<R, JournalError> + Send + 'static,
) -> Result<R, String> {
    let (began, journal) = (Instant::now(), shared.journal.clone());
    let done = shared.blocking.spawn(move || step(&*journal)).await;
    if sweep_began.elapsed() < SWEEP_EVERY {
        tokio::time::sleep(began.elapsed() * REST_FACTOR).await;
    }
    done.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}
