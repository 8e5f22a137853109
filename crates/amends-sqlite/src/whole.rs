//! Whether a database's file is all there is of it.
//!
//! Owns what a file says of itself, inside: that it was open, so that its newest commits are in the WAL
//! beside it; and its generation, which an owner of several files counts up in all of them together. Promises
//! that a file which was copied without its WAL is not taken for an old one that is whole. What lies beside a
//! file can be left behind with it, so it is only asked whether it is there. Does not judge generations:
//! their owner does.
//!
//! [`install`] the table with the others, [look around](Beside::of) before the database is opened and
//! [check](Beside::check) it then, [note the first change](note_change) and [the end](note_end) of each
//! opening.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::{beside, mark};

const TABLE: &str = "
    CREATE TABLE amends_file (
        number INTEGER PRIMARY KEY CHECK (number = 1),
        is_open INTEGER NOT NULL,     -- 1: what is newest is in the write-ahead log
        generation INTEGER NOT NULL   -- the same in all files that belong together
    );
    INSERT INTO amends_file VALUES (1, 0, 0)";

/// A file that was copied without its WAL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{path} is damaged: it is an incomplete copy. It was open when it was copied, and its newest commits are \
     in {missing}, which is not there. Copy the whole directory of a program that was stopped. (If SQLite \
     itself made the copy, with `.backup`, then it is complete: say so with an empty file {mark})",
    path = path.display(), missing = missing.display(), mark = mark.display()
)]
pub struct Incomplete {
    /// The database's file.
    pub path: PathBuf,
    /// What is not there.
    pub missing: PathBuf,
    /// What would say that nothing is missing.
    pub mark: PathBuf,
}

/// What lies beside a database that nobody has open.
#[derive(Debug, Clone, Copy)]
pub struct Beside {
    has_wal: bool,
    /// Its owner was killed, and somebody else may have copied the WAL into the file and removed it.
    is_marked: bool,
}

/// Creates the table, in a new file.
///
/// # Errors
/// Those of SQLite.
pub fn install(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(TABLE)
}

impl Beside {
    /// To be called before the database is opened: SQLite tidies up.
    pub fn of(database: &Path) -> Beside {
        let has_wal = fs::metadata(beside(database, "-wal")).is_ok_and(|wal| wal.len() > 0);
        Beside { has_wal, is_marked: mark(database).exists() }
    }

    /// Refuses a file whose newest commits were left behind.
    ///
    /// # Errors
    /// Those of SQLite; inside, what is missing.
    pub fn check(self, connection: &Connection, database: &Path) -> rusqlite::Result<Result<(), Incomplete>> {
        let is_open: bool =
            connection.query_row("SELECT is_open FROM amends_file WHERE number = 1", [], |row| row.get(0))?;
        if !is_open || self.has_wal || self.is_marked {
            return Ok(Ok(()));
        }
        let missing = beside(database, "-wal");
        Ok(Err(Incomplete { path: database.to_owned(), missing, mark: mark(database) }))
    }
}

/// To be called in the first transaction of an opening that changes anything. It has to be
/// [copied](crate::Wal::copy) into the file soon: only there a copy without the WAL has it.
///
/// # Errors
/// Those of SQLite.
pub fn note_change(connection: &Connection) -> rusqlite::Result<()> {
    one_row(connection.execute("UPDATE amends_file SET is_open = 1 WHERE number = 1", [])?)
}

/// To be called last, before the WAL is copied into the file and removed, also by an opening that changed
/// nothing: an earlier one may have been killed.
///
/// # Errors
/// Those of SQLite.
pub fn note_end(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("UPDATE amends_file SET is_open = 0 WHERE number = 1 AND is_open = 1", [])?;
    Ok(())
}

/// The generation of the file, from 0.
///
/// # Errors
/// Those of SQLite.
pub fn generation(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT generation FROM amends_file WHERE number = 1", [], |row| row.get(0))
}

/// Gives the file its generation.
///
/// # Errors
/// Those of SQLite.
pub fn set_generation(connection: &Connection, generation: i64) -> rusqlite::Result<()> {
    one_row(connection.execute("UPDATE amends_file SET generation = ?1 WHERE number = 1", [generation])?)
}

fn one_row(changed: usize) -> rusqlite::Result<()> {
    if changed == 1 { Ok(()) } else { Err(rusqlite::Error::StatementChangedRows(changed)) }
}
