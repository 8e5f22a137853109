//! Connections that only look, beside the one that writes.
//!
//! Owns a few of them, opened when first needed. Promises that what one look sees is of one moment, and that
//! a look never waits for the writer. Does not queue: whoever finds all of them in use waits. Does not know
//! the queries.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

/// What each connection is opened with.
#[derive(Debug, Clone, Copy)]
pub struct ReaderSettings {
    /// How many there are at most.
    pub connections_max: usize,
    /// Page cache of each, in KiB.
    pub cache_kib: u32,
    /// Prepared statements that each keeps.
    pub statements_kept: usize,
    /// How long a lock of another program is waited for: a look has somebody who waits for its answer.
    pub lock_wait_max: Duration,
}

/// The pool.
#[derive(Debug)]
pub struct Readers {
    path: PathBuf,
    settings: ReaderSettings,
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct Pool {
    idle: Vec<Connection>,
    /// Idle ones and those in use.
    opened: usize,
}

impl Readers {
    /// None is opened yet.
    pub fn new(database: &Path, settings: ReaderSettings) -> Readers {
        Readers { path: database.to_owned(), settings, pool: Mutex::default(), returned: Condvar::new() }
    }

    /// Looks at what is committed, as of one moment. Waits while all connections are in use.
    ///
    /// # Errors
    /// Those of `look`, and of SQLite.
    pub fn read<T, E: From<rusqlite::Error>>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.borrow()?.look(look)
    }

    /// The same, unless all connections are in use: waiting for one may take as long as a long list.
    ///
    /// # Errors
    /// Those of `look`, and of SQLite.
    pub fn read_if_free<T, E: From<rusqlite::Error>>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Option<Result<T, E>> {
        match self.borrow_from(self.lock()) {
            Ok(Ok(borrowed)) => Some(borrowed.look(look)),
            Ok(Err(_all_in_use)) => None,
            Err(error) => Some(Err(error.into())),
        }
    }

    /// Closes what is idle: whoever closes the database last tidies up, and that is to be the writer.
    pub fn close(&self) {
        let mut pool = self.lock();
        pool.opened -= pool.idle.len();
        pool.idle.clear();
    }

    fn borrow(&self) -> rusqlite::Result<Borrowed<'_>> {
        let mut pool = self.lock();
        loop {
            match self.borrow_from(pool)? {
                Ok(borrowed) => return Ok(borrowed),
                Err(in_use) => pool = self.returned.wait(in_use).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// One that is free, or may be opened; otherwise the lock is given back.
    fn borrow_from<'r>(
        &'r self,
        mut pool: MutexGuard<'r, Pool>,
    ) -> rusqlite::Result<Result<Borrowed<'r>, MutexGuard<'r, Pool>>> {
        if let Some(connection) = pool.idle.pop() {
            return Ok(Ok(Borrowed { readers: self, connection: Some(connection) }));
        }
        if pool.opened >= self.settings.connections_max {
            return Ok(Err(pool));
        }
        pool.opened += 1;
        drop(pool);
        // Its place is given back if opening fails.
        let mut place = Borrowed { readers: self, connection: None };
        place.connection = Some(open_reader(&self.path, &self.settings)?);
        Ok(Ok(place))
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        // Nothing inside the lock can panic half-way through a change.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens one reading connection, for whoever keeps it.
///
/// # Errors
/// When SQLite cannot open it.
pub fn open_reader(database: &Path, settings: &ReaderSettings) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = crate::open(database, flags, None)?;
    connection.set_prepared_statement_cache_capacity(settings.statements_kept);
    connection.busy_timeout(settings.lock_wait_max)?;
    connection.pragma_update(None, "cache_size", -i64::from(settings.cache_kib))?;
    // What a query sorts would otherwise spill into temporary files.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

/// A connection in use; it goes back when dropped, also when the look panics.
struct Borrowed<'r> {
    readers: &'r Readers,
    connection: Option<Connection>,
}

impl Borrowed<'_> {
    fn look<T, E: From<rusqlite::Error>>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let connection =
            self.connection.as_ref().expect("a borrowed reader holds its connection until it is dropped");
        // One read transaction, so that several statements see the same state.
        let moment = connection.unchecked_transaction()?;
        let seen = look(&moment)?;
        moment.commit()?;
        Ok(seen)
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        let mut pool = self.readers.lock();
        match self.connection.take() {
            Some(connection) => pool.idle.push(connection),
            None => pool.opened -= 1,
        }
        drop(pool);
        self.readers.returned.notify_one();
    }
}
