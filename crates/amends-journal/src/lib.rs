//! The memory: what is kept of every transaction, and where.
//!
//! Owns the stored shapes ([`record`]), the [`Journal`] trait, the suite that its backends pass (feature
//! `conformance`), and the backend in memory. Promises that every append is conditional and answered. Does
//! not decide anything, and never turns unreadable data into a default. Start reading at [`journal`].

pub mod appends;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod error;
pub mod feed;
mod id_hash;
pub mod journal;
pub mod limits;
pub mod memory;
pub mod meters;
pub mod ownership;
pub mod reads;
pub mod record;
pub mod tags;
pub mod upkeep;

pub use appends::{
    Append, AppendAnswer, Appends, Conflict, Expected, Fingerprint, KeyEntry, NewTransaction, OnAnswers,
    Presence, StartKey,
};
pub use error::JournalError;
pub use feed::{Feed, FeedEntry, FeedPosition, OnFeed};
pub use id_hash::IdHash;
pub use journal::Journal;
pub use memory::MemoryJournal;
pub use meters::{Distribution, Histogram, Meters};
pub use ownership::{Epoch, Lease, Ownership};
pub use reads::{
    Count, Cursor, Filter, Loaded, Page, Reads, Stats, Stored, StoredDefinition, Summary, Timer,
};
pub use record::{Record, Unreadable};
pub use tags::{TagFlaw, Tags, judge_tags};
pub use upkeep::{Backup, Erase, PutDefinition, Quarantined, RetireDefinition, Sweep, Upkeep};
