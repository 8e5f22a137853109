//! Adding records to transactions.
//!
//! Owns [`Appends`] and what an append is. Promises, for every backend: an append is all or nothing,
//! conditional, and answered once; answers come after the data is durable; appends of one batch take effect
//! in their order.

use amends_core::{DefinitionName, Mode, Standing, Time, TransactionId};
use bytes::Bytes;

use crate::ownership::Epoch;
use crate::tags::Tags;

/// Called once per submitted batch, with one answer per append, in the order of the appends. It must not ask
/// the journal anything: it may run on the thread that would answer.
pub type OnAnswers = Box<dyn FnOnce(Vec<AppendAnswer>) + Send>;

/// The part of a journal that takes records in.
pub trait Appends: Send + Sync {
    /// Queues a batch of appends; `on_answers` runs on the journal's own thread once all of them are decided
    /// and durable (in memory: on the caller's, before this returns). Does not wait for the disk to flush,
    /// but may read it. Blocks when the named queue limit is reached, except in the midst of an answer.
    fn submit(&self, batch: Vec<Append>, on_answers: OnAnswers);

    /// Whether the store is so short of space that new transactions are to be turned away, and those under
    /// way finished.
    fn is_disk_low(&self) -> bool {
        false
    }
}

/// One record to be added to one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The transaction.
    pub id: TransactionId,
    /// The epoch under which the appender holds the transaction's partition.
    pub epoch: Epoch,
    /// What must be true for the append to take place.
    pub expected: Expected,
    /// The encoded record, as `record::encode` made it for this transaction and sequence.
    pub record: Bytes,
    /// The record's time.
    pub at: Time,
    /// Where the transaction stands after this record. An ended one goes to the archive.
    pub standing: Standing,
}

/// The condition of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// The transaction (and its key, if any) does not exist; the record becomes number 1.
    /// Apart: most appends are none.
    New(Box<NewTransaction>),
    /// The transaction has exactly this many records.
    Sequence(u64),
}

impl From<NewTransaction> for Expected {
    fn from(new: NewTransaction) -> Self {
        Self::New(Box::new(new))
    }
}

/// What the index needs to know of a new transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTransaction {
    /// Its kind.
    pub mode: Mode,
    /// The definition it runs.
    pub definition: DefinitionName,
    /// The definition's version.
    pub version: u32,
    /// Whether the caller chose the id: it is then looked up among ended and removed transactions too, and
    /// stays reserved after retention. An id that the engine made must be one that never was before.
    pub id_given: bool,
    /// The idempotency key, if the caller gave one.
    pub key: Option<StartKey>,
    /// Tells whether a repeated start has the same input; present when the id or a key was given.
    pub fingerprint: Option<Fingerprint>,
    /// Its labels, judged by [`crate::judge_tags`].
    pub tags: Tags,
    /// The transaction whose step it is, if it is one's: it is kept as long as that one is.
    pub parent: Option<TransactionId>,
}

/// The idempotency key of a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartKey(pub String);

/// A hash of what a transaction was started with: equal for equal JSON values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendAnswer {
    /// It is durable.
    Committed,
    /// The condition did not hold; nothing was written.
    Conflict(Conflict),
    /// The partition is not held under this epoch any more; nothing was written. Whoever has the transaction
    /// in memory is to forget it, and to send nothing more for it.
    Fenced,
    /// The transaction's records would have more than [`crate::limits::TRANSACTION_BYTES_MAX`]; nothing was
    /// written, and nothing will be if it is tried again.
    TooLarge {
        /// What they would have.
        bytes: u64,
    },
    /// The disk is full; nothing was written. The same append may be submitted again.
    NoSpace,
    /// Nobody knows whether it was written. From SQLite this is fatal: the process must stop.
    Unknown,
}

/// Which condition did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// The transaction has another number of records (`None`: it does not exist).
    Sequence(Option<u64>),
    /// A transaction with this id or key exists already, or did.
    Exists(KeyEntry),
}

/// The transaction behind an id or key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyEntry {
    /// The transaction.
    pub id: TransactionId,
    /// What it was started with; `None` when neither id nor key was the caller's.
    pub fingerprint: Option<Fingerprint>,
    /// Whether it is still there.
    pub presence: Presence,
}

/// Whether a transaction that has an id or key is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It can be loaded.
    Kept,
    /// Retention removed it: its id and key are taken for a while, and lead nowhere.
    Removed,
}
