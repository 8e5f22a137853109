//! What can go wrong between the journal and its files.
//!
//! Owns the errors of reading and of writing, and what they are for whoever asked. Promises that what is
//! damaged is called so. Does not decide what follows: the committer and the settler do.

use std::io;
use std::path::Path;

use amends_journal::{JournalError, Unreadable};
use amends_sqlite::{describe, is_damage, is_locked};
use rusqlite::types::FromSqlError;

use super::schema::Nonsense;

/// What can go wrong while reading.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Nonsense(#[from] Nonsense),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl From<FromSqlError> for ReadError {
    fn from(error: FromSqlError) -> Self {
        Self::Sqlite(error.into())
    }
}

impl ReadError {
    /// For whoever asked the journal.
    pub(super) fn of(self, path: &Path) -> JournalError {
        let what = path.display().to_string();
        match self {
            Self::Unreadable(unreadable) => unreadable.into(),
            Self::Nonsense(nonsense) => JournalError::Damaged { what, details: nonsense.to_string() },
            Self::Sqlite(error) if is_damage(&error) => {
                JournalError::Damaged { what, details: describe(&error) }
            }
            Self::Sqlite(error) if is_locked(&error) => JournalError::Locked(what),
            Self::Sqlite(error) => JournalError::Store { what, source: error.into() },
        }
    }
}

/// What can go wrong while writing.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Nonsense(#[from] Nonsense),
    #[error("the log: {0}")]
    Log(io::Error),
    #[error("a bug: {0}")]
    Panicked(String),
}

impl From<FromSqlError> for WriteError {
    fn from(error: FromSqlError) -> Self {
        Self::Sqlite(error.into())
    }
}

/// Who writes reads as well.
impl From<ReadError> for WriteError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Sqlite(error) => Self::Sqlite(error),
            ReadError::Nonsense(nonsense) => Self::Nonsense(nonsense),
            ReadError::Unreadable(unreadable) => Self::Nonsense(Nonsense(unreadable.to_string())),
        }
    }
}

impl WriteError {
    /// What is wrong with the stored bytes, if they are at fault.
    pub(super) fn damage(&self) -> Option<String> {
        match self {
            Self::Sqlite(error) => is_damage(error).then(|| describe(error)),
            Self::Nonsense(nonsense) => Some(nonsense.to_string()),
            Self::Panicked(_) | Self::Log(_) => None,
        }
    }

    /// What to tell whoever must start the process again.
    pub(super) fn fatal(&self, path: &Path) -> String {
        let what = match self.damage() {
            Some(details) => format!("is damaged: {details}"),
            None => format!("failed while writing: {self}"),
        };
        format!(
            "the journal {} {what}. What is on the disk is not known before it is read again: \
             this process must stop and be started again",
            path.display()
        )
    }
}

/// How a transaction of the database failed.
pub(super) enum Failure {
    /// For want of space; nothing was written.
    NoSpace,
    /// Another program held a lock for as long as there was anybody to wait; nothing was written.
    Locked,
    /// What it read is not what was written; nothing was written.
    Damage(WriteError),
    /// For good.
    Fatal,
}

/// An error of the store.
pub(super) fn store_error(path: &Path, source: Box<dyn std::error::Error + Send + Sync>) -> JournalError {
    JournalError::Store { what: path.display().to_string(), source }
}
