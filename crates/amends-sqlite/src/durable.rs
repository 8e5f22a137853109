//! What a kill left in the log, made to last.
//!
//! Owns the second flush. A process that is killed between SQLite's write and its flush leaves commits that every later
//! reader finds, and that a power cut still takes away; and a flush that failed leaves pages that no later flush tries again.
//! Promises that after [`make_durable`] all that can be read of the database is on the disk. The database's own file needs
//! nothing: SQLite flushes it before it writes over a log that has the same pages. Does not judge what the log says.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, ffi};

use crate::{beside, directory_of, from_io};

/// Bytes written back at a time.
const BUFFER_BYTES: usize = 1 << 18;

/// To be called by the owner before it builds on anything that it found: writes back what is in the log, and flushes it.
///
/// # Errors
/// When the log cannot be locked, read or written.
pub fn make_durable(writer: &mut Connection, database: &Path) -> rusqlite::Result<()> {
    let path = beside(database, "-wal");
    // Should there be another owner after all, it neither adds to the log nor begins it anew while this holds the lock.
    let lock = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let written = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(file) => write_back(&file, File::sync_data)
            // Whoever made the file may not have got as far as making its name last.
            .and_then(|()| File::open(directory_of(database))?.sync_all()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    written.map_err(|error| from_io(&error, ffi::SQLITE_IOERR))?;
    lock.rollback()
}

/// Writes what a file holds in its place once more, since a flush does nothing for pages that nobody touched.
fn write_back(file: &File, flush: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let bytes = file.metadata()?.len();
    if bytes == 0 {
        return Ok(());
    }
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut at = 0;
    while at < bytes {
        let some = usize::try_from(bytes - at).map_or(BUFFER_BYTES, |rest| rest.min(BUFFER_BYTES));
        let some = &mut buffer[..some];
        file.read_exact_at(some, at)?;
        file.write_all_at(some, at)?;
        at += some.len() as u64;
    }
    flush(file)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;
    use std::time::SystemTime;

    use rusqlite::OpenFlags;

    use super::*;

    const LONG_AGO: SystemTime = SystemTime::UNIX_EPOCH;

    fn changed_at(path: &Path) -> SystemTime {
        fs::metadata(path).unwrap().modified().unwrap()
    }

    #[test]
    fn a_file_is_written_back_as_it_was_and_then_flushed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        let content: Vec<u8> = (0..2 * BUFFER_BYTES + 77).map(|at| (at % 251) as u8).collect();
        fs::write(&path, &content).unwrap();
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        file.set_modified(LONG_AGO).unwrap();
        let flushes = Cell::new(0);
        write_back(&file, |_| {
            flushes.set(flushes.get() + 1);
            assert!(changed_at(&path) > LONG_AGO, "written before it is flushed");
            assert_eq!(fs::read(&path).unwrap(), content);
            Ok(())
        })
        .unwrap();
        assert_eq!(flushes.get(), 1);
    }

    #[test]
    fn a_flush_that_fails_is_told() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"x", 0).unwrap();
        assert!(write_back(&file, |_| Err(io::Error::other("no"))).is_err());
    }

    #[test]
    fn what_a_kill_left_in_the_log_is_written_back() {
        let live = tempfile::tempdir().unwrap();
        let connection = crate::open(&live.path().join("x.db"), OpenFlags::default(), None).unwrap();
        connection
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (7)")
            .unwrap();
        let dead = tempfile::tempdir().unwrap();
        for name in ["x.db", "x.db-wal", "x.db-shm"] {
            fs::copy(live.path().join(name), dead.path().join(name)).unwrap();
        }
        let (database, log) = (dead.path().join("x.db"), dead.path().join("x.db-wal"));
        File::options().write(true).open(&log).unwrap().set_modified(LONG_AGO).unwrap();
        let mut again = crate::open(&database, OpenFlags::default(), None).unwrap();
        let found: i64 = again.query_row("SELECT x FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!((found, changed_at(&log)), (7, LONG_AGO), "reading alone does nothing for it");
        let before = fs::read(&log).unwrap();
        make_durable(&mut again, &database).unwrap();
        assert!(changed_at(&log) > LONG_AGO);
        assert_eq!(fs::read(&log).unwrap(), before);
        again.execute("INSERT INTO t VALUES (8)", []).unwrap();
    }

    #[test]
    fn a_log_that_another_writes_to_is_not_touched() {
        let directory = tempfile::tempdir().unwrap();
        let (database, log) = (directory.path().join("x.db"), directory.path().join("x.db-wal"));
        let one = crate::open(&database, OpenFlags::default(), None).unwrap();
        one.execute_batch(
            "PRAGMA journal_mode = WAL; CREATE TABLE t (x); BEGIN IMMEDIATE; INSERT INTO t VALUES (7)",
        )
        .unwrap();
        File::options().write(true).open(&log).unwrap().set_modified(LONG_AGO).unwrap();
        let mut other = crate::open(&database, OpenFlags::default(), None).unwrap();
        other.busy_timeout(std::time::Duration::ZERO).unwrap();
        assert!(make_durable(&mut other, &database).is_err());
        assert_eq!(changed_at(&log), LONG_AGO);
    }
}
