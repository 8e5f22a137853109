//! The memory: what is kept of every saga, and where.
//!
//! Owns the stored shapes ([`record`]), the [`Journal`] trait, the suite that its backends pass (feature
//! `conformance`), and the backend in memory. Promises that every append is conditional and answered. Does not
//! decide anything, and never turns unreadable data into a default. Start reading at [`journal`].

#[cfg(feature = "conformance")]
pub mod conformance;
mod id_hash;
pub mod journal;
pub mod memory;
pub mod record;

pub use id_hash::IdHash;
pub use journal::{
    Append, AppendAnswer, Conflict, Cursor, Expected, Filter, Fingerprint, Journal, JournalError, KeyEntry,
    NewSaga, OnAnswers, Page, PutDefinition, SagaSummary, StartKey, Stats, StoredSaga, Sweep, Timer, Wake,
};
pub use memory::MemoryJournal;
pub use record::{Record, Unreadable};
