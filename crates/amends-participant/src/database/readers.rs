//! The read-only connections beside the writer.
//!
//! Owns a few connections, opened when first needed. Promises that what one look sees is of one moment.
//! Does not queue: whoever finds all of them in use waits.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Error};

use super::open;
use crate::error::DataError;
use crate::limits::READERS_MAX;

pub(super) struct Readers {
    path: PathBuf,
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Connection>,
    /// Idle ones and those in use.
    opened: usize,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Readers {
        Readers { path: path.to_owned(), pool: Mutex::default(), returned: Condvar::new() }
    }

    pub(super) fn read<T>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        let borrowed = self.borrow()?;
        // One read transaction, so that several statements see the same state.
        let snapshot = borrowed.connection().unchecked_transaction()?;
        let seen = look(&snapshot)?;
        snapshot.commit()?;
        Ok(seen)
    }

    fn borrow(&self) -> Result<Borrowed<'_>, Error> {
        let mut pool = self.lock();
        loop {
            if let Some(connection) = pool.idle.pop() {
                return Ok(Borrowed { readers: self, connection: Some(connection) });
            }
            if pool.opened < READERS_MAX {
                pool.opened += 1;
                drop(pool);
                // Its place is given back if opening fails.
                let mut place = Borrowed { readers: self, connection: None };
                place.connection = Some(open::reader(&self.path)?);
                return Ok(place);
            }
            pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        // Nothing inside the lock can panic half-way through a change.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader in use; it goes back when dropped, also when the look panics.
struct Borrowed<'r> {
    readers: &'r Readers,
    connection: Option<Connection>,
}

impl Borrowed<'_> {
    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("a borrowed reader holds its connection until it is dropped")
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
