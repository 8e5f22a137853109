//! Wakes the sagas that sleep.
//!
//! Owns the one wait for the earliest timer in the journal. Promises that a saga whose timer is due is taken into
//! memory; what follows is its shard's business. Holds no timer in memory but the earliest.

use std::sync::Arc;
use std::time::Duration;

use amends_core::Time;
use tracing::error;

use crate::limits::TIMERS_PAGE;
use crate::shard::input::Input;
use crate::shell::{Mailbox, Message, Shared, is_never};

/// The least time between two looks: a timer that is due and does not go away at once must not spin.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// Runs for ever.
pub(crate) async fn run(shared: Arc<Shared>, mailboxes: Vec<Mailbox>) {
    loop {
        let slept = shared.slept.notified();
        let now = shared.clock.now();
        match look(shared.clone(), now).await {
            Ok((due, next)) => {
                for (_, saga) in &due {
                    let mailbox = &mailboxes[saga.shard(mailboxes.len())];
                    if mailbox.send(Message::Input(Input::Awaken { saga: *saga })).is_err() {
                        return;
                    }
                }
                let earliest = now.after(LOOK_AT_MOST_EVERY);
                let next = next.filter(|time| !is_never(*time)).map(|time| time.max(earliest));
                match next.and_then(|time| shared.clock.instant(time)) {
                    Some(instant) => tokio::select! {
                        () = slept => {}
                        () = tokio::time::sleep_until(instant.into()) => {}
                    },
                    None => slept.await,
                }
            }
            Err(why) => {
                error!(%why, "timers cannot be read; trying again");
                tokio::time::sleep(LOOK_AT_MOST_EVERY).await;
            }
        }
    }
}

type Due = Vec<(Time, amends_core::SagaId)>;

async fn look(shared: Arc<Shared>, now: Time) -> Result<(Due, Option<Time>), String> {
    tokio::task::spawn_blocking(move || {
        let due = shared.journal.timers_due(now, TIMERS_PAGE).map_err(|error| error.to_string())?;
        let next = shared.journal.next_timer().map_err(|error| error.to_string())?;
        Ok((due, next))
    })
    .await
    .map_err(|error| error.to_string())?
}
