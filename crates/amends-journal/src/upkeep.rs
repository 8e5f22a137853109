//! Writing that is not appending.
//!
//! Owns [`Upkeep`]: quarantine, erasure, retention, the end of reservations, definitions. Promises that each call
//! states what it was judged by, and changes nothing when that is not so any more; the answer says which.
//! Blocks the calling thread.

use std::path::Path;

use amends_core::{DefinitionName, DefinitionSpec, Mode, Partitions, Time, TransactionId};

use crate::error::JournalError;
use crate::ownership::Epoch;
use crate::reads::Cursor;

/// The part of a journal that is kept in order. Each method fails when the store cannot be written.
#[expect(clippy::missing_errors_doc, reason = "all fail for the same reason, which is told once, above")]
pub trait Upkeep: Send + Sync {
    /// Parks a live transaction whose records cannot be read: standing *parked*, the reason kept beside it
    /// until the next append. Only if it still has as many `records` as it was judged by, and the partition
    /// is held under this epoch.
    fn quarantine(
        &self,
        id: TransactionId,
        records: u64,
        epoch: Epoch,
        why: &str,
    ) -> Result<Quarantined, JournalError>;

    /// Takes the payloads of an ended transaction out of its records, durably and for good: the facts stay, as
    /// [`crate::record::erase`] leaves them, and so do id, key, fingerprint and tags. It takes no more
    /// records: they are answered as for one that does not exist. Only if it still has as
    /// many `records` as it was judged by, the partition is held under this epoch, and no transaction above it
    /// is live. Fails when a record cannot be read.
    fn erase(&self, id: TransactionId, records: u64, epoch: Epoch, now: Time) -> Result<Erase, JournalError>;

    /// Removes transactions of these partitions that ended before `before`, looking at no more than `limit`
    /// from `cursor` on. A child stays as long as its parent is there. Their ids (where a caller gave them) and keys stay reserved; `now` is noted with
    /// them.
    fn remove_ended(
        &self,
        partitions: &Partitions,
        before: Time,
        now: Time,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Sweep, JournalError>;

    /// Frees the ids and keys of transactions of these partitions that were removed before `before`, of at
    /// most `limit` of them: those that were removed first, and of one moment those that were started first.
    /// Says of how many.
    fn forget_reservations(
        &self,
        partitions: &Partitions,
        before: Time,
        limit: usize,
    ) -> Result<usize, JournalError>;

    /// Stores a definition, durably, unless this version is there already; `now` is noted with it. Whoever
    /// wants the next version asks for one more than the newest, and again after *different*: another was
    /// faster.
    fn put_definition(&self, spec: &DefinitionSpec, now: Time) -> Result<PutDefinition, JournalError>;

    /// Notes, durably, that a stored definition is to start nothing more; `now` is noted with it the first
    /// time. Transactions that run it are not touched.
    fn retire_definition(
        &self,
        mode: Mode,
        name: &DefinitionName,
        version: u32,
        now: Time,
    ) -> Result<RetireDefinition, JournalError>;

    /// Writes everything that was answered to a new file, whole and as of one moment, while appends go on.
    /// Fails also when the file is there, or the store has no such file.
    fn backup(&self, to: &Path) -> Result<Backup, JournalError>;

    /// A secret of this journal, by name. The first time `fresh` becomes it, durably: it goes where the journal
    /// goes, so that what was proven with it yesterday is proven on another machine tomorrow.
    fn secret(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, JournalError>;
}

/// What became of a quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quarantined {
    /// It is parked.
    Parked,
    /// It has another number of records by now, and was left alone (`None`: it does not exist).
    MovedOn(Option<u64>),
    /// It has ended, and was left alone.
    Ended,
    /// The partition is not held under this epoch any more; nothing was written.
    Fenced,
}

/// What became of a transaction whose payloads were to be erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erase {
    /// Its payloads are gone.
    Erased,
    /// They were already.
    Unchanged,
    /// It has another number of records by now, and was left alone (`None`: it does not exist).
    MovedOn(Option<u64>),
    /// It has not ended, and was left alone.
    Live,
    /// It is the child of one that has not ended, and was left alone.
    ChildOfLive {
        /// The one above it.
        ancestor: TransactionId,
    },
    /// The partition is not held under this epoch any more; nothing was written.
    Fenced,
}

/// What a backup has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backup {
    /// Transactions, live and ended.
    pub transactions: u64,
    /// The size of its file.
    pub bytes: u64,
}

/// What one step of retention did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    /// Transactions removed.
    pub removed: usize,
    /// Where to go on; `None`: all ended transactions have been looked at.
    pub next: Option<Cursor>,
}

/// What became of a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutDefinition {
    /// It was not there.
    New,
    /// It was there, the same.
    Unchanged,
    /// This version is there with other content; nothing was written.
    Different,
}

/// What became of a definition that was to be retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetireDefinition {
    /// It is retired.
    Retired,
    /// It was already.
    Unchanged,
    /// There is none of this name and version.
    NotFound,
}
