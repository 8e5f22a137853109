//! Why a journal could not be asked.

use crate::record::Unreadable;

/// Why the journal could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A definition cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The data is not what was written.
    #[error("{what} is damaged: {details}")]
    Damaged {
        /// Which part of the store.
        what: String,
        /// What was seen.
        details: String,
    },
    /// The disk is full; nothing was written.
    #[error("no space left on the disk of {0}: free some; nothing was lost")]
    NoSpace(String),
    /// Another program holds a lock on the store; nothing was written. It goes on by itself once that lets
    /// go.
    #[error("another program holds a lock on {0}: it goes on by itself once that lets go")]
    Locked(String),
    /// The store failed.
    #[error("the journal {what} cannot be used: {source}")]
    Store {
        /// Which one.
        what: String,
        /// What the store said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
