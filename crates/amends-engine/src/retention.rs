//! Removes sagas that ended long ago.
//!
//! Owns the sweep: small steps, with those under way going on between them. Promises to touch no live saga; ids and
//! keys stay reserved for longer. Runs only where `Options::retention` is set.

use std::sync::Arc;
use std::time::Duration;

use amends_core::Time;
use tracing::error;

use crate::limits::RETENTION_PAGE;
use crate::shell::Shared;

/// Between two sweeps: what has to go goes within the hour.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);

/// How long ids and keys stay reserved after their saga is gone.
const RESERVED_FOR: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Runs for ever.
pub(crate) async fn run(shared: Arc<Shared>, keep: Duration) {
    loop {
        let shared = shared.clone();
        let swept = tokio::task::spawn_blocking(move || sweep(&shared, keep)).await;
        match swept {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!(%error, "retention stopped half-way; it goes on in an hour"),
            Err(error) => error!(%error, "retention broke off"),
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

fn sweep(shared: &Shared, keep: Duration) -> Result<(), amends_journal::JournalError> {
    let before = |age: Duration| {
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Time::from_milliseconds(shared.clock.now().milliseconds().saturating_sub(age))
    };
    let mut cursor = None;
    loop {
        let step = shared.journal.remove_ended(before(keep), shared.clock.now(), cursor, RETENTION_PAGE)?;
        if step.next.is_none() {
            break;
        }
        cursor = step.next;
    }
    while shared.journal.forget_reservations(before(RESERVED_FOR), RETENTION_PAGE)? > 0 {}
    Ok(())
}
