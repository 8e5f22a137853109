//! A second look at SQLite's write-ahead log, before SQLite looks.
//!
//! Owns the check that SQLite leaves out. SQLite reads its log up to the first frame whose checksum fails and takes the
//! rest for the torn end of an interrupted write, and a log that is gone for none: one flipped byte, or one deleted file,
//! makes commits vanish that were answered. Promises to find
//!
//! - a broken frame with finished commits behind it: each was flushed before the next was written, so it was once whole;
//! - after a process died (not the machine): a log that ends before the last commit, be it deleted, cut or altered. The
//!   log's index in shared memory outlives a kill, and SQLite writes a commit into it only after the flush.
//!
//! After a power cut the index is what happened to reach the disk, so it is believed only where it can be right: damage
//! within the very last transaction then looks like an interrupted write and cannot be told from one, and neither can
//! damage that hides where the one before it ended: both then look like one. Does not repair, and is no replacement for
//! checksums of what the database holds. Start reading at [`check`].
//!
//! The formats: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log> and
//! <https://www.sqlite.org/walformat.html#the_wal_index_file_format>.

mod frames;
mod index;

use std::fs::File;
use std::io::{self, BufReader, ErrorKind};
use std::path::Path;

use frames::Frames;
use index::Wanted;

use crate::{FileError, beside};

/// What a log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// Nothing that SQLite would take over.
    Empty,
    /// At least one sound frame.
    Holds,
}

/// Bytes read at a time: some tens of frames.
const BUFFER_BYTES: usize = 1 << 18;

/// Checks the log of a database that nobody has open.
///
/// # Errors
/// When the log cannot be read, or is not what was written.
pub(crate) fn check(database: &Path) -> Result<Log, FileError> {
    let path = beside(database, "-wal");
    let io_error = |path: &Path, source| FileError::Io { path: path.to_owned(), source };
    let frames = match open(&path).map_err(|source| io_error(&path, source))? {
        Some(file) => {
            frames::scan(&mut BufReader::with_capacity(BUFFER_BYTES, file)).map_err(|error| match error {
                frames::ScanError::Io(source) => io_error(&path, source),
                frames::ScanError::Broken(reason) => FileError::Damaged { path: path.clone(), reason },
            })?
        }
        None => Frames::None,
    };
    let index = beside(database, "-shm");
    let wanted = match open(&index).map_err(|source| io_error(&index, source))? {
        Some(mut file) => index::read(&mut file).map_err(|source| io_error(&index, source))?,
        None => None,
    };
    if let Some(reason) = wanted.and_then(|wanted| what_is_missing(wanted, frames)) {
        return Err(FileError::Damaged { path, reason });
    }
    Ok(match frames {
        Frames::None | Frames::Sound { count: 0, .. } => Log::Empty,
        Frames::Sound { .. } => Log::Holds,
    })
}

/// Compares what the index says was flushed with what is there.
fn what_is_missing(wanted: Wanted, frames: Frames) -> Option<String> {
    let Wanted { salts, frames: flushed } = wanted;
    match frames {
        Frames::None => Some(format!("{flushed} frames were flushed to it, and it is gone or empty")),
        Frames::Sound { salts: there, count } if there == salts => (count < u64::from(flushed))
            .then(|| format!("{flushed} frames were flushed to it, and {count} of them are sound")),
        // Each new log counts the first salt up. A log that is later than the index: the index is what a power cut left.
        Frames::Sound { salts: there, .. } => {
            let ahead = first(there).wrapping_sub(first(salts));
            (ahead == 0 || ahead > u32::MAX / 2)
                .then(|| format!("{flushed} frames were flushed to it, and it is an earlier or another log"))
        }
    }
}

fn first(salts: [u8; 8]) -> u32 {
    u32::from_be_bytes([salts[0], salts[1], salts[2], salts[3]])
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use rusqlite::Connection;
    use tempfile::TempDir;

    use super::*;

    /// A database that was killed: its files, as they were while a connection had it open.
    struct Killed {
        directory: TempDir,
    }

    impl Killed {
        fn after(work: impl FnOnce(&Connection)) -> Self {
            let live = tempfile::tempdir().unwrap();
            let connection = Connection::open(live.path().join("x.db")).unwrap();
            connection
                .execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x)")
                .unwrap();
            work(&connection);
            let directory = tempfile::tempdir().unwrap();
            for name in ["x.db", "x.db-wal", "x.db-shm"] {
                fs::copy(live.path().join(name), directory.path().join(name)).unwrap();
            }
            Self { directory }
        }

        fn file(&self, name: &str) -> PathBuf {
            self.directory.path().join(name)
        }

        fn check(&self) -> Result<Log, FileError> {
            check(&self.file("x.db"))
        }

        fn is_damaged(&self) -> bool {
            matches!(self.check(), Err(FileError::Damaged { .. }))
        }
    }

    fn insert(connection: &Connection, rows: i64) {
        for row in 0..rows {
            connection.execute("INSERT INTO t VALUES (?1)", [row]).unwrap();
        }
    }

    #[test]
    fn a_log_that_a_kill_left_passes() {
        let killed = Killed::after(|connection| insert(connection, 5));
        assert_eq!(killed.check().unwrap(), Log::Holds);
    }

    #[test]
    fn a_log_that_is_gone_empty_or_cut_anywhere_after_a_kill_is_damaged() {
        let killed = Killed::after(|connection| insert(connection, 5));
        let whole = fs::read(killed.file("x.db-wal")).unwrap();
        for length in (0..whole.len()).step_by(97).chain([whole.len() - 1, 32, 31]) {
            fs::write(killed.file("x.db-wal"), &whole[..length]).unwrap();
            assert!(killed.is_damaged(), "cut to {length}");
        }
        fs::remove_file(killed.file("x.db-wal")).unwrap();
        assert!(killed.is_damaged());
    }

    #[test]
    fn a_flipped_byte_anywhere_in_what_was_flushed_is_damaged() {
        let killed = Killed::after(|connection| insert(connection, 3));
        let whole = fs::read(killed.file("x.db-wal")).unwrap();
        for at in (0..whole.len()).step_by(53) {
            let mut broken = whole.clone();
            broken[at] ^= 0x10;
            fs::write(killed.file("x.db-wal"), broken).unwrap();
            assert!(killed.is_damaged(), "flipped at {at}");
        }
    }

    #[test]
    fn a_log_whose_every_frame_is_in_the_database_may_go() {
        let killed = Killed::after(|connection| {
            insert(connection, 3);
            connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
        });
        fs::remove_file(killed.file("x.db-wal")).unwrap();
        assert_eq!(killed.check().unwrap(), Log::Empty);
    }

    #[test]
    fn an_index_older_than_its_log_is_what_a_power_cut_left() {
        let earlier = Killed::after(|connection| insert(connection, 3));
        let killed = Killed::after(|connection| {
            insert(connection, 3);
            connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
            insert(connection, 1);
        });
        assert_eq!(killed.check().unwrap(), Log::Holds);
        // The same log one generation before, as the index would remember it.
        let mut index = fs::read(earlier.file("x.db-shm")).unwrap();
        let log = fs::read(killed.file("x.db-wal")).unwrap();
        let before = first(log[16..24].try_into().unwrap()).wrapping_sub(1);
        index::tests::mark(&mut index, before);
        fs::write(killed.file("x.db-shm"), &index).unwrap();
        assert_eq!(killed.check().unwrap(), Log::Holds);
        index::tests::mark(&mut index, before.wrapping_add(2));
        fs::write(killed.file("x.db-shm"), index).unwrap();
        assert!(killed.is_damaged(), "a log older than its index");
    }

    #[test]
    fn without_an_index_a_torn_end_passes_and_a_broken_middle_does_not() {
        let killed = Killed::after(|connection| insert(connection, 5));
        fs::remove_file(killed.file("x.db-shm")).unwrap();
        let whole = fs::read(killed.file("x.db-wal")).unwrap();
        fs::write(killed.file("x.db-wal"), &whole[..whole.len() - 100]).unwrap();
        assert_eq!(killed.check().unwrap(), Log::Holds);
        let mut broken = whole;
        broken[100] ^= 1;
        fs::write(killed.file("x.db-wal"), broken).unwrap();
        assert!(killed.is_damaged());
    }

    #[test]
    fn a_blank_index_says_nothing() {
        let killed = Killed::after(|connection| insert(connection, 5));
        fs::write(killed.file("x.db-shm"), [0; 32_768]).unwrap();
        fs::remove_file(killed.file("x.db-wal")).unwrap();
        assert_eq!(killed.check().unwrap(), Log::Empty);
        fs::write(killed.file("x.db-shm"), b"").unwrap();
        assert_eq!(killed.check().unwrap(), Log::Empty);
    }
}
