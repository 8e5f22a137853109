//! Everybody who only looks.
//!
//! Owns the reading connections. Promises to see what is committed and nothing else, each call as of one moment, and
//! never to wait for the writer. Does not know the queries: they are `look.rs`'s.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use amends_journal::JournalError;
use amends_journal::Unreadable;
use amends_sqlite::{describe, is_damage};
use rusqlite::types::FromSqlError;
use rusqlite::{Connection, OpenFlags};

use crate::limits::{BUSY_WAIT_MAX, READERS_MAX};

use super::look::Look;
use super::schema::Nonsense;

/// The pool of reading connections.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    cache_kib: i64,
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct Pool {
    idle: Vec<Connection>,
    open: usize,
}

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

impl Readers {
    pub(super) fn new(path: PathBuf, cache_kib: i64) -> Self {
        Self { path, cache_kib, pool: Mutex::default(), returned: Condvar::new() }
    }

    /// Closes what is idle: whoever closes the database last tidies up, and that is to be the writer.
    pub(super) fn close(&self) {
        self.pool().idle.clear();
    }

    /// Runs a query against one moment of the database.
    pub(super) fn read<T>(
        &self,
        query: impl FnOnce(&Look<'_>) -> Result<T, ReadError>,
    ) -> Result<T, JournalError> {
        let borrowed = self.borrow().map_err(|error| self.error(error.into()))?;
        self.read_with(borrowed, query)
    }

    /// The same, unless all connections are in use: waiting for one may take as long as a long list.
    pub(super) fn read_if_free<T>(
        &self,
        query: impl FnOnce(&Look<'_>) -> Result<T, ReadError>,
    ) -> Option<Result<T, JournalError>> {
        let borrowed = self.borrow_from(&mut self.pool());
        let borrowed = borrowed.map_err(|error| self.error(error.into())).transpose()?;
        Some(borrowed.and_then(|borrowed| self.read_with(borrowed, query)))
    }

    fn read_with<T>(
        &self,
        mut borrowed: Borrowed<'_>,
        query: impl FnOnce(&Look<'_>) -> Result<T, ReadError>,
    ) -> Result<T, JournalError> {
        let result = borrowed.connection().transaction().map_err(ReadError::from).and_then(|moment| {
            let found = query(&Look::at(&moment));
            moment.finish()?;
            found
        });
        drop(borrowed);
        result.map_err(|error| self.error(error))
    }

    fn borrow(&self) -> rusqlite::Result<Borrowed<'_>> {
        let mut pool = self.pool();
        loop {
            if let Some(borrowed) = self.borrow_from(&mut pool)? {
                return Ok(borrowed);
            }
            pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// One that is free, or may be opened.
    fn borrow_from(&self, pool: &mut Pool) -> rusqlite::Result<Option<Borrowed<'_>>> {
        if let Some(connection) = pool.idle.pop() {
            return Ok(Some(Borrowed { readers: self, connection: Some(connection) }));
        }
        if pool.open == READERS_MAX {
            return Ok(None);
        }
        // Under the lock: opening is rare and quick, and counts only when it worked.
        let connection = open(&self.path)?;
        connection.pragma_update(None, "cache_size", -self.cache_kib)?;
        pool.open += 1;
        Ok(Some(Borrowed { readers: self, connection: Some(connection) }))
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        // Two counters and a list: nothing half-done can be seen.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, error: ReadError) -> JournalError {
        let path = self.path.display().to_string();
        match error {
            ReadError::Unreadable(unreadable) => unreadable.into(),
            ReadError::Nonsense(nonsense) => {
                JournalError::Damaged { what: path, details: nonsense.to_string() }
            }
            ReadError::Sqlite(error) if is_damage(&error) => {
                JournalError::Damaged { what: path, details: describe(&error) }
            }
            ReadError::Sqlite(error) => JournalError::Store { what: path, source: error.into() },
        }
    }
}

/// A connection on loan; it goes back even when a query panics.
struct Borrowed<'r> {
    readers: &'r Readers,
    connection: Option<Connection>,
}

impl Borrowed<'_> {
    fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("it is given back only by dropping")
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        self.readers.pool().idle.extend(self.connection.take());
        self.readers.returned.notify_one();
    }
}

pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = amends_sqlite::open(path, flags, None)?;
    connection.busy_timeout(BUSY_WAIT_MAX)?;
    // More than there are queries: none is prepared twice.
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}
