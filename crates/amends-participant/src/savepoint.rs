//! A part of a transaction that can be taken back alone.
//!
//! Owns one `SAVEPOINT` from its begin to its end. Promises that it is rolled back unless it was released,
//! also when the code inside panics. Does not open transactions: outside of one, SQLite makes the outermost
//! savepoint the transaction.

use std::cell::Cell;
use std::ops::Deref;

use rusqlite::{Connection, Error};

/// A part of a transaction, open until its end. It is used as the connection it is a part on.
pub struct Savepoint<'c> {
    connection: &'c Connection,
    open: bool,
    is_used: Cell<bool>,
}

impl<'c> Savepoint<'c> {
    pub(crate) fn begin(connection: &'c Connection) -> Result<Savepoint<'c>, Error> {
        run(connection, "SAVEPOINT amends")?;
        Ok(Savepoint { connection, open: true, is_used: Cell::new(false) })
    }

    /// Keeps what was done inside. If that fails, it is taken back when this is dropped.
    pub(crate) fn release(mut self) -> Result<(), Error> {
        run(self.connection, "RELEASE amends")?;
        self.open = false;
        Ok(())
    }

    /// Takes back what was done inside, and ends.
    pub(crate) fn roll_back(mut self) -> Result<(), Error> {
        self.open = false;
        self.undo_and_end()
    }

    /// Takes back what was done inside, and stays open: the write lock is kept, so nothing comes between.
    pub(crate) fn start_over(&self) -> Result<(), Error> {
        run(self.connection, "ROLLBACK TO amends")
    }

    /// Notes that this savepoint stands for one call, and says whether it is the first.
    pub(crate) fn use_up(&self) -> bool {
        !self.is_used.replace(true)
    }

    fn undo_and_end(&self) -> Result<(), Error> {
        // After some errors SQLite rolls back the whole transaction by itself, and the savepoint is gone with
        // it.
        if self.connection.is_autocommit() {
            return Ok(());
        }
        run(self.connection, "ROLLBACK TO amends")?;
        run(self.connection, "RELEASE amends")
    }
}

impl Deref for Savepoint<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Drop for Savepoint<'_> {
    fn drop(&mut self) {
        if self.open {
            // An error on the way is already under way to the caller. If even this fails, the savepoint stays
            // open and with it the transaction: nothing of it can become durable by itself.
            let _ = self.undo_and_end();
        }
    }
}

fn run(connection: &Connection, sql: &'static str) -> Result<(), Error> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}
