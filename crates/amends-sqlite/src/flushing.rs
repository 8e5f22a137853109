//! That each commit is on the disk when it is answered.
//!
//! Owns the settings that hangs on. Promises that they were taken: SQLite does not complain about one that it
//! ignores.

use rusqlite::Connection;

/// What keeps a commit through a power cut, in SQLite's words.
pub const DURABILITY: &str = "journal_mode=WAL, synchronous=FULL";

/// A setting that SQLite did not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTaken {
    /// SQLite's name for it.
    pub setting: &'static str,
    /// What was asked for.
    pub wanted: &'static str,
    /// What it is.
    pub found: String,
}

/// Has each commit flushed to a WAL, and reads back whether it will be.
///
/// # Errors
/// Those of SQLite; inside, the setting that it did not take.
pub fn flush_each_commit(connection: &Connection) -> rusqlite::Result<Result<(), NotTaken>> {
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Ok(Err(NotTaken { setting: "journal_mode", wanted: "wal", found: mode }));
    }
    /// What SQLite answers for FULL.
    const FULL: i64 = 2;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    if synchronous != FULL {
        let found = synchronous.to_string();
        return Ok(Err(NotTaken { setting: "synchronous", wanted: "2 (FULL)", found }));
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_is_not_taken_is_named() {
        let memory = Connection::open_in_memory().unwrap();
        let NotTaken { setting, wanted, found } = flush_each_commit(&memory).unwrap().unwrap_err();
        assert_eq!((setting, wanted, found.as_str()), ("journal_mode", "wal", "memory"));
        let directory = tempfile::tempdir().unwrap();
        let file = Connection::open(directory.path().join("x.db")).unwrap();
        assert_eq!(flush_each_commit(&file), Ok(Ok(())));
    }
}
