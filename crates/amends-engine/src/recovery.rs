//! What happens to live sagas when an engine starts.
//!
//! Owns the one pass over the journal's live sagas. Promises that the first go on at once and the others while the rest is
//! still being read, that an unreadable one is parked and stops no other, and that none is left out: what the store cannot
//! read as of now is tried again. One whose very id is damaged cannot be parked; it is told. It is no special path: load,
//! apply, ask what is owed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use amends_core::{Partition, Partitions, TransactionId};
use amends_journal::{Cursor, JournalError, Page, Stored};
use tokio::sync::oneshot;
use tracing::{error, info};

use crate::limits::{READ_RETRY, RECOVERY_FIRST, RECOVERY_PAGE};
use crate::loader;
use crate::shard::input::Input;
use crate::shell::{Mailbox, Message, Shared, Ticket};

/// Reads every live saga and hands it to its shard, page by page.
pub(crate) async fn run(shared: Arc<Shared>, mailboxes: Vec<Mailbox>, done: Arc<AtomicBool>) {
    let Some(count) = take_up_all(&shared, &mailboxes).await else { return };
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

/// Sagas as their shards take them in.
type Inputs = Vec<Input<Ticket>>;

/// How many were taken up; `None` if the engine has stopped.
async fn take_up_all(shared: &Arc<Shared>, mailboxes: &[Mailbox]) -> Option<usize> {
    // Few at first: they go on while the rest gets ready to be read.
    let first = page(shared, None, RECOVERY_FIRST).await;
    let page = |cursor| page(shared, cursor, RECOVERY_PAGE);
    let (mut inputs, mut next) = first;
    let mut count = 0;
    // While the shards take one page in the next is read: what is read is bounded, not what there is.
    while next.is_some() {
        let (taken, read) = tokio::join!(hand_over(mailboxes, inputs), page(next));
        count += taken?;
        (inputs, next) = read;
    }
    count += hand_over(mailboxes, inputs).await?;
    Some(count)
}

/// A page of sagas that are under way.
async fn page(shared: &Arc<Shared>, cursor: Option<Cursor>, limit: usize) -> Read {
    let read_page = move |shared: &Shared| {
        let Page { items, next } = shared.journal.recoverable(&Partitions::ALL, cursor, limit)?;
        Ok((items.iter().map(|stored| recovered(shared, stored)).collect(), next))
    };
    read(shared, read_page).await
}

fn recovered(shared: &Shared, stored: &Stored) -> Input<Ticket> {
    Input::Recovered { saga: stored.id, found: loader::found(&shared.registry, stored) }
}

/// What was read, and where to go on.
type Read = (Inputs, Option<Cursor>);

/// What the journal tells, as long as it takes until it does.
async fn read(
    shared: &Arc<Shared>,
    read: impl Fn(&Shared) -> Result<Read, JournalError> + Clone + Send + 'static,
) -> Read {
    loop {
        let (shared, read) = (shared.clone(), read.clone());
        let inputs = tokio::task::spawn_blocking(move || read(&shared));
        let why = match inputs.await {
            Ok(Ok(inputs)) => return inputs,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        error!(%why, "live sagas cannot be read; trying again");
        tokio::time::sleep(READ_RETRY).await;
    }
}

fn saga_of(input: &Input<Ticket>) -> TransactionId {
    let Input::Recovered { saga, .. } = input else { unreachable!("recovery reads sagas") };
    *saga
}

/// How many were not in memory already: those that were started meanwhile are in the journal too, and were not under way
/// before. `None` if the engine has stopped.
async fn hand_over(mailboxes: &[Mailbox], inputs: Inputs) -> Option<usize> {
    let mut per_shard: Vec<Inputs> = mailboxes.iter().map(|_| Vec::new()).collect();
    for input in inputs {
        per_shard[Partition::of(saga_of(&input)).share(mailboxes.len())].push(input);
    }
    let mut all_taken = Vec::new();
    for (mailbox, inputs) in mailboxes.iter().zip(per_shard) {
        let (taken, is_taken) = oneshot::channel();
        mailbox.send(Message::Recovered(inputs, taken)).ok()?;
        all_taken.push(is_taken);
    }
    let mut count = 0;
    for is_taken in all_taken {
        count += is_taken.await.ok()?;
    }
    Some(count)
}
