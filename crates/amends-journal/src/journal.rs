//! What every journal backend offers, and what it promises.
//!
//! Owns the [`Journal`] trait and the types at its border. Promises, for every backend and checked by the
//! `conformance` suite: an append is all or nothing, conditional, and answered once; answers come after the data is
//! durable; appends of one batch take effect in their order. Does not name any store.

use amends_core::{DefinitionName, DefinitionSpec, Status, Time, TransactionId};
use bytes::Bytes;

use crate::record::Unreadable;

/// Called once per submitted batch, with one answer per append, in the order of the appends. It must not ask the journal
/// anything: it may run on the thread that would answer.
pub type OnAnswers = Box<dyn FnOnce(Vec<AppendAnswer>) + Send>;

/// A store of sagas. All methods but [`Journal::submit`] block the calling thread.
pub trait Journal: Send + Sync {
    /// Queues a batch of appends; `on_answers` runs on the journal's own thread once all of them are decided and
    /// durable (in memory: on the caller's, before this returns). Does not wait for the disk to flush, but may read it: ids
    /// that callers gave are looked up on the calling thread. Blocks when the named queue limit is reached, except in the midst of
    /// an answer.
    fn submit(&self, batch: Vec<Append>, on_answers: OnAnswers);

    /// One saga with all its records, live or ended.
    ///
    /// # Errors
    /// When the store cannot be read. Records are returned unread: decoding them tells whether they are damaged.
    fn load(&self, saga: TransactionId) -> Result<Option<StoredSaga>, JournalError>;

    /// Some of the sagas that [`Journal::recoverable`] is going to tell of: those that can be told without waiting, at most
    /// `limit`. So that sagas go on at once after a stop.
    ///
    /// # Errors
    /// As [`Journal::load`].
    fn recoverable_at_once(&self, limit: usize) -> Result<Vec<StoredSaga>, JournalError>;

    /// Live sagas that owe something now: neither parked nor asleep until a timer. Ascending by start, from after
    /// `cursor`, at most `limit`.
    ///
    /// # Errors
    /// As [`Journal::load`].
    fn recoverable(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page<StoredSaga>, JournalError>;

    /// The same sagas by name, as far as damage lets them be told: for when [`Journal::recoverable`] fails of it. It may name
    /// some that are parked or asleep, where nobody can tell; an id that cannot be read is an error in its place.
    ///
    /// # Errors
    /// When the store cannot be read, or the names cannot.
    fn recoverable_ids(
        &self,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Result<TransactionId, JournalError>>, JournalError>;

    /// Sagas that match, newest start first, at most `limit`, from after `cursor`. In every list a limit of zero counts
    /// as one, so that whoever pages gets on.
    ///
    /// # Errors
    /// As [`Journal::load`].
    fn list(
        &self,
        filter: &Filter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<SagaSummary>, JournalError>;

    /// How many sagas match; exact, and independent of how many there are.
    ///
    /// # Errors
    /// As [`Journal::load`].
    fn count(&self, filter: &Filter) -> Result<u64, JournalError>;

    /// Sleeping sagas whose timer comes after that place and is due at `until` or before, the earliest first, at most
    /// `limit`.
    ///
    /// # Errors
    /// As [`Journal::load`].
    fn timers_due(
        &self,
        after: Timer,
        until: Time,
        limit: usize,
    ) -> Result<Vec<(Timer, TransactionId)>, JournalError>;

    /// The saga that was started with this idempotency key.
    ///
    /// # Errors
    /// As [`Journal::load`].
    fn by_key(&self, key: &str) -> Result<Option<KeyEntry>, JournalError>;

    /// Parks a live saga whose records cannot be read: status `failed`, no timer, the reason kept beside it until an
    /// append changes the status. Ended and unknown sagas are left alone.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn quarantine(&self, saga: TransactionId, why: &str) -> Result<(), JournalError>;

    /// Removes sagas that ended before `before`, looking at no more than `limit` from `cursor` on. Their ids (where
    /// a caller gave them) and keys stay reserved; `now` is noted with them.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn remove_ended(
        &self,
        before: Time,
        now: Time,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Sweep, JournalError>;

    /// Frees ids and keys whose saga was removed before `before`; at most `limit`. Ids go before keys, those that were removed first
    /// before others, and of one moment those of the saga that was started first.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn forget_reservations(&self, before: Time, limit: usize) -> Result<usize, JournalError>;

    /// Stores a definition, durably, unless this version is there already.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn put_definition(&self, spec: &DefinitionSpec) -> Result<PutDefinition, JournalError>;

    /// Every stored definition.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn definitions(&self) -> Result<Vec<DefinitionSpec>, JournalError>;

    /// Whether free space is below the named reserve: new sagas are then to be turned away, those under way finished.
    fn is_disk_low(&self) -> bool;

    /// Counters since the journal was opened.
    fn stats(&self) -> Stats;
}

/// One record to be added to one saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The saga.
    pub saga: TransactionId,
    /// What must be true for the append to take place.
    pub expected: Expected,
    /// The encoded record, as `record::encode` made it for this saga and sequence.
    pub record: Bytes,
    /// The record's time.
    pub at: Time,
    /// The saga's status after this record, if the record changes it. An ended saga goes to the archive.
    pub status: Option<Status>,
    /// What becomes of the saga's timer.
    pub wake: Wake,
}

/// The condition of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// The saga (and its key, if any) does not exist; the record becomes number 1.
    New(NewSaga),
    /// The saga has exactly this many records.
    Sequence(u64),
}

/// What the index needs to know of a new saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSaga {
    /// The definition it runs.
    pub definition: DefinitionName,
    /// The definition's version.
    pub version: u32,
    /// Whether the caller chose the id: it is then looked up among ended and removed sagas too, and stays reserved after
    /// retention. An id that the engine made must be one that never was before.
    pub id_given: bool,
    /// The idempotency key, if the caller gave one.
    pub key: Option<StartKey>,
    /// Tells whether a repeated start has the same input; present when the id or a key was given.
    pub fingerprint: Option<Fingerprint>,
}

/// The idempotency key of a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartKey(pub String);

/// A hash of what a saga was started with: equal for equal JSON values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// A saga's timer, and what an append makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// The saga is awake (in memory): it has no timer.
    Awake,
    /// The saga sleeps until then; until something from outside wakes it, if that is [`Time::NEVER`].
    At(Time),
}

/// A timer's place among all timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// When it is due.
    pub at: Time,
    /// The internal number of its saga.
    pub number: u64,
}

impl Timer {
    /// The place before all timers that are due at that moment or later.
    #[must_use]
    pub const fn before(at: Time) -> Self {
        // No saga has this number.
        Self { at, number: 0 }
    }
}

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendAnswer {
    /// It is durable.
    Committed,
    /// The condition did not hold; nothing was written.
    Conflict(Conflict),
    /// Another coordinator owns the saga now; nothing was written. Only shared stores answer this.
    Fenced,
    /// The disk is full; nothing was written. The same append may be submitted again.
    NoSpace,
    /// Nobody knows whether it was written. From SQLite this is fatal: the process must stop.
    Unknown,
}

/// Which condition did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// The saga has another number of records (`None`: it does not exist).
    Sequence(Option<u64>),
    /// A saga with this id or key exists already.
    Exists(KeyEntry),
}

/// The saga behind an id or key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyEntry {
    /// The saga.
    pub saga: TransactionId,
    /// What it was started with; `None` when neither id nor key was the caller's.
    pub fingerprint: Option<Fingerprint>,
}

/// A saga as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSaga {
    /// Its id.
    pub id: TransactionId,
    /// The definition it runs.
    pub definition: DefinitionName,
    /// The definition's version.
    pub version: u32,
    /// The status as indexed.
    pub status: Status,
    /// Its timer; an ended saga has none.
    pub wake: Wake,
    /// Why it was quarantined, if it was.
    pub unreadable: Option<String>,
    /// The encoded records; number n at place n - 1. One that is missing is empty, and does not decode.
    pub records: Vec<Bytes>,
}

/// A saga in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaSummary {
    /// Its id.
    pub id: TransactionId,
    /// The definition it runs.
    pub definition: DefinitionName,
    /// The definition's version.
    pub version: u32,
    /// Its status.
    pub status: Status,
    /// When it started.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
}

/// Which sagas a list or count is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of this status.
    pub status: Option<Status>,
    /// Only of this definition, any version.
    pub definition: Option<DefinitionName>,
}

/// A place in a list: the internal number of the last saga seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub u64);

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next part begins; `None`: there is none.
    pub next: Option<Cursor>,
}

/// What one step of retention did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    /// Sagas removed.
    pub removed: usize,
    /// Where to go on; `None`: all ended sagas have been looked at.
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

/// What the journal did since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Appends committed.
    pub appends: u64,
    /// Bytes of their records.
    pub record_bytes: u64,
    /// Group commits.
    pub commits: u64,
    /// Flushes of the log, of new files of it too: each had come back as done when it was counted, and none began before
    /// the one before it had. Those of the database behind the log are SQLite's own and not counted. None in memory.
    pub log_flushes: u64,
}

/// Why the journal could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A definition cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The data is not what was written.
    #[error("{what} is damaged: {details}")]
    Damaged {
        /// Which file or record.
        what: String,
        /// What was seen.
        details: String,
    },
    /// The disk is full; nothing was written.
    #[error("no space left on the disk of {0}: free some; nothing was lost")]
    NoSpace(String),
    /// The store failed.
    #[error("the journal {path} cannot be used: {source}")]
    Store {
        /// The file.
        path: String,
        /// What the store said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
