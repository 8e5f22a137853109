//! The memory: what is kept of every saga, and where.
//!
//! Owns the stored shapes ([`record`]), the [`Journal`] trait and its backends. Promises that every append is
//! conditional and answered, and that what was answered *committed* survives a power cut (SQLite backend).
//! Does not decide anything, and never turns unreadable data into a default. Start reading at [`journal`].

pub mod conformance;
mod id_hash;
pub mod journal;
pub mod limits;
pub mod memory;
pub mod record;
pub mod sqlite;

pub use id_hash::IdHash;
pub use journal::{
    Append, AppendAnswer, Conflict, Cursor, Expected, Filter, Fingerprint, Journal, JournalError, KeyEntry,
    NewSaga, OnAnswers, Page, PutDefinition, SagaSummary, StartKey, Stats, StoredSaga, Sweep, Timer, Wake,
};
pub use memory::MemoryJournal;
pub use record::{Record, Unreadable};
pub use sqlite::{OpenError, SqliteJournal, SqliteOptions};
