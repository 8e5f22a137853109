//! Everybody who only looks.
//!
//! Owns what a look at the database is for whoever asks the journal. Promises to see what is committed and
//! nothing else, each call as of one moment, and never to wait for the settler. Does not know the queries:
//! they are `look.rs`'s.

use std::path::{Path, PathBuf};

use amends_journal::JournalError;
use amends_sqlite::ReaderSettings;

use crate::limits::{BUSY_WAIT_MAX, READERS_MAX, STATEMENTS_KEPT};

use super::failure::ReadError;
use super::look::Look;

/// The pool of reading connections.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    pool: amends_sqlite::Readers,
}

/// What a reading connection is opened with.
pub(super) const fn settings(cache_kib: u32) -> ReaderSettings {
    ReaderSettings {
        connections_max: READERS_MAX,
        cache_kib,
        statements_kept: STATEMENTS_KEPT,
        lock_wait_max: BUSY_WAIT_MAX,
    }
}

impl Readers {
    pub(super) fn new(path: &Path, cache_kib: u32) -> Self {
        Self { path: path.to_owned(), pool: amends_sqlite::Readers::new(path, settings(cache_kib)) }
    }

    /// Closes what is idle: whoever closes the database last tidies up, and that is to be the settler.
    pub(super) fn close(&self) {
        self.pool.close();
    }

    /// Runs a query against one moment of the database.
    pub(super) fn read<T>(
        &self,
        query: impl FnOnce(&Look<'_>) -> Result<T, ReadError>,
    ) -> Result<T, JournalError> {
        self.pool.read(|moment| query(&Look::at(moment))).map_err(|error: ReadError| error.of(&self.path))
    }

    /// The same, unless all connections are in use: waiting for one may take as long as a long list.
    pub(super) fn read_if_free<T>(
        &self,
        query: impl FnOnce(&Look<'_>) -> Result<T, ReadError>,
    ) -> Option<Result<T, JournalError>> {
        let read = self.pool.read_if_free(|moment| query(&Look::at(moment)))?;
        Some(read.map_err(|error: ReadError| error.of(&self.path)))
    }
}
