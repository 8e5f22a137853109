//! What happens to live sagas when an engine starts.
//!
//! Owns the one pass over the journal's live sagas. Promises that sagas go on while the rest is still being read, that
//! an unreadable one is parked and stops no other, and that none is left out: a page that cannot be read is tried again. It is no special path: load, apply, ask what is owed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use amends_journal::{Cursor, Page, StoredSaga};
use tokio::sync::oneshot;
use tracing::{error, info};

use crate::limits::{READ_RETRY, RECOVERY_PAGE};
use crate::loader;
use crate::shard::input::Input;
use crate::shell::{Mailbox, Message, Shared};

/// Reads every live saga and hands it to its shard, page by page.
pub(crate) async fn run(shared: Arc<Shared>, mailboxes: Vec<Mailbox>, done: Arc<AtomicBool>) {
    let mut cursor = None;
    let mut count = 0_usize;
    loop {
        let (page, next) = match read_page(shared.clone(), cursor).await {
            Ok(page) => page,
            Err(why) => {
                error!(%why, "live sagas cannot be read; trying again");
                tokio::time::sleep(READ_RETRY).await;
                continue;
            }
        };
        let mut per_shard: Vec<Vec<_>> = mailboxes.iter().map(|_| Vec::new()).collect();
        for input in page {
            let Input::Recovered { saga, .. } = &input else { unreachable!("recovery reads sagas") };
            per_shard[saga.shard(mailboxes.len())].push(input);
        }
        for (mailbox, inputs) in mailboxes.iter().zip(per_shard) {
            let (taken, is_taken) = oneshot::channel();
            if inputs.is_empty() {
                continue;
            }
            // One page at a time: what is read is bounded, not what there is.
            if mailbox.send(Message::Recovered(inputs, taken)).is_err() {
                return;
            }
            let Ok(taken) = is_taken.await else { return };
            // Those that were started meanwhile are in the journal too, and were not under way before.
            count += taken;
        }
        if next.is_none() {
            break;
        }
        cursor = next;
    }
    for mailbox in &mailboxes {
        if mailbox.send(Message::Input(Input::RecoveryDone)).is_err() {
            return;
        }
    }
    if count > 0 {
        info!(sagas = count, "took up the sagas that were under way");
    }
    done.store(true, Ordering::Release);
}

async fn read_page(
    shared: Arc<Shared>,
    cursor: Option<Cursor>,
) -> Result<(Vec<Input<crate::shell::Ticket>>, Option<Cursor>), String> {
    tokio::task::spawn_blocking(move || {
        let Page { items, next } =
            shared.journal.recoverable(cursor, RECOVERY_PAGE).map_err(|error| error.to_string())?;
        let recovered = |stored: StoredSaga| Input::Recovered {
            saga: stored.id,
            found: loader::found(&shared.registry, &stored),
        };
        Ok((items.into_iter().map(recovered).collect(), next))
    })
    .await
    .map_err(|error| error.to_string())?
}
