//! What happens to live transactions when an engine starts.
//!
//! Owns the one pass over those of the journal that owe something now. Promises that the first go on
//! immediately and the others while the rest is still being read, that an unreadable one is parked and stops
//! no other, and that none is left out: what the store cannot read as of now is tried again. It is no special
//! path: load, apply, ask what is owed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use amends_core::{Partition, Partitions, TransactionId};
use amends_journal::{Cursor, JournalError, Page};
use tokio::sync::oneshot;
use tracing::{error, info};

use crate::limits::{READ_RETRY, RECOVERY_FIRST, RECOVERY_PAGE};
use crate::loader;
use crate::mailbox::{Mailbox, Message, Ticket};
use crate::shard::input::Input;
use crate::shell::Shared;

/// The pass, and where it hands transactions to.
pub(crate) struct Recovery {
    pub(crate) shared: Arc<Shared>,
    pub(crate) mailboxes: Vec<Mailbox>,
    /// Whose transactions go on here.
    pub(crate) partitions: Partitions,
    pub(crate) done: Arc<AtomicBool>,
}

/// Transactions as their shards take them.
type Inputs = Vec<Input<Ticket>>;

/// The engine has stopped.
struct Stopped;

impl Recovery {
    /// Reads every live transaction and hands it to its shard, page by page.
    pub(crate) async fn run(self) {
        let began = Instant::now();
        let Ok(count) = self.load_all().await else { return };
        for mailbox in &self.mailboxes {
            if mailbox.send(Message::Input(Input::RecoveryDone)).is_err() {
                return;
            }
        }
        if count > 0 {
            info!(transactions = count, "went on with what was under way when the last run ended");
        }
        self.shared.counters.recovered(began.elapsed());
        self.done.store(true, Ordering::Release);
    }

    /// How many were loaded.
    async fn load_all(&self) -> Result<usize, Stopped> {
        let (mut inputs, mut next) = self.page(None, RECOVERY_FIRST).await;
        let mut count = 0;
        // While the shards take one page in the next is read: what is read is bounded, not what there is.
        while next.is_some() {
            let (taken, read) = tokio::join!(self.hand_over(inputs), self.page(next, RECOVERY_PAGE));
            count += taken?;
            (inputs, next) = read;
        }
        Ok(count + self.hand_over(inputs).await?)
    }

    /// A page, however long it takes until the journal gives it.
    async fn page(&self, cursor: Option<Cursor>, limit: usize) -> (Inputs, Option<Cursor>) {
        loop {
            let (shared, partitions) = (self.shared.clone(), self.partitions);
            let read = move || read(&shared, &partitions, cursor, limit);
            let why = match self.shared.blocking.spawn(read).await {
                Ok(Ok(page)) => return page,
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            error!(%why, "what was under way cannot be read; trying again");
            tokio::time::sleep(READ_RETRY).await;
        }
    }

    /// How many were not in memory already: those that were started meanwhile are in the journal too, and
    /// were not under way before.
    async fn hand_over(&self, inputs: Inputs) -> Result<usize, Stopped> {
        let mut per_shard: Vec<Inputs> = self.mailboxes.iter().map(|_| Vec::new()).collect();
        for input in inputs {
            per_shard[Partition::of(id_of(&input)).share(self.mailboxes.len())].push(input);
        }
        let mut all_taken = Vec::new();
        for (mailbox, inputs) in self.mailboxes.iter().zip(per_shard) {
            let (taken, is_taken) = oneshot::channel();
            mailbox.send(Message::Recovered(inputs, taken)).map_err(|_| Stopped)?;
            all_taken.push(is_taken);
        }
        let mut count = 0;
        for is_taken in all_taken {
            count += is_taken.await.map_err(|_| Stopped)?;
        }
        Ok(count)
    }
}

fn read(
    shared: &Shared,
    partitions: &Partitions,
    cursor: Option<Cursor>,
    limit: usize,
) -> Result<(Inputs, Option<Cursor>), JournalError> {
    let Page { items, next } = shared.journal.recoverable(partitions, cursor, limit)?;
    let recovered = |stored| {
        let found = loader::found(&shared.registry, stored);
        Input::Recovered { id: stored.id, found }
    };
    Ok((items.iter().map(recovered).collect(), next))
}

fn id_of(input: &Input<Ticket>) -> TransactionId {
    let Input::Recovered { id, .. } = input else { unreachable!("recovery reads transactions") };
    *id
}
