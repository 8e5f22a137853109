//! What SQLite leaves out, for a file whose every answer must be right: checksums of its pages, and a second look at its
//! write-ahead log. And what its one writer needs to write in groups: [`Courtesy`].
//!
//! Owns how a database file is opened. Promises that a page which is not what was written is never read as data, that a
//! log which lost commits is noticed before SQLite takes it for an old one, that what a kill left in it can be made to last,
//! and that a file another program tidied up after a kill is taken back only when it is whole. Does not know what a database
//! holds, and repairs nothing.
//!
//! A database has one owner at a time: [`prepare`] it, [`open`] it, look at it, [make what was found last](make_durable),
//! [`accept`] it, say when it is [about to be written](about_to_write) and when it is [`closed`]. Start reading at [`prepare`].

mod courtesy;
mod durable;
mod failure;
mod flushing;
mod fold;
mod header;
pub mod limits;
mod lock_wait;
mod log;
mod pages;
mod readers;
mod wal;
pub mod whole;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

pub use courtesy::Courtesy;
pub use durable::make_durable;
pub use failure::{is_locked, is_no_space, panic_text};
pub use flushing::{DURABILITY, NotTaken, flush_each_commit};
pub use lock_wait::wait_for_locks;
pub use log::Log;
pub use readers::{ReaderSettings, Readers, open_reader};
pub use wal::Wal;

/// Why a database file is not to be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system does not let it be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not what was written.
    #[error("{path} is damaged: {reason}", path = path.display())]
    Damaged {
        /// The database's file, or its log's.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It is a database without checksums: somebody else's, or its header is damaged.
    #[error("{path} is a database of something else, or its header is damaged", path = path.display())]
    Foreign {
        /// The database's file.
        path: PathBuf,
        /// The application id in its header.
        application_id: i32,
    },
}

impl FileError {
    fn io(path: &Path) -> impl Fn(io::Error) -> FileError + '_ {
        |source| FileError::Io { path: path.to_owned(), source }
    }

    fn damaged(path: &Path, reason: impl Into<String>) -> FileError {
        FileError::Damaged { path: path.to_owned(), reason: reason.into() }
    }
}

/// Looks at a database that nobody has open, before its owner opens it.
///
/// # Errors
/// When the files cannot be read, or are not what was written.
pub fn prepare(database: &Path) -> Result<Log, FileError> {
    header::check(database)?;
    let log = look_at_log(database)?;
    header::check_length(database, log)?;
    Ok(log)
}

fn look_at_log(database: &Path) -> Result<Log, FileError> {
    let mark = mark(database);
    let marked = match fs::read(&mark) {
        Ok(marked) => Some(marked),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(FileError::io(&mark)(error)),
    };
    if marked.as_deref() == Some(TIDY) {
        // Closed in good order. What is left of the log and its index is there because the machine stopped right after.
        return Ok(Log::Empty);
    }
    let log = log::check(database)?;
    // An empty log is one whose every frame is in the file, whoever put it there.
    if marked.is_some() && log == Log::Empty {
        fold::take_back(database)?;
    }
    Ok(log)
}

/// What the mark says once all is in the database's own file.
const TIDY: &[u8] = b"tidy\n";

/// Opens the database with checksums on its pages; a new one gets room for them. `page_bytes` is for a new one; SQLite's own
/// choice if there is none. Until the connection is [accepted](accept) its close leaves the files as they are.
///
/// # Errors
/// When SQLite cannot open it.
pub fn open(database: &Path, flags: OpenFlags, page_bytes: Option<u32>) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags_and_vfs(database, flags, pages::file_system()?)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    if let Some(bytes) = page_bytes {
        connection.pragma_update(None, "page_size", bytes)?;
    }
    pages::make_room(&connection)?;
    Ok(connection)
}

/// Takes the database over once it was found sound: from here on a close tidies up.
///
/// # Errors
/// When SQLite does not take it.
pub fn accept(writer: &Connection) -> rusqlite::Result<()> {
    writer.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(())
}

/// To be called before the first commit that changes anything: durably marks the database as written to. The mark says that
/// pages without checksums may be somebody else's doing, so what was refused, or was only read, must not have it.
///
/// # Errors
/// When the mark cannot be made; for want of space that is what SQLite calls a full disk.
pub fn about_to_write(database: &Path) -> rusqlite::Result<()> {
    let marked = File::create(mark(database))
        .and_then(|file| file.sync_all())
        .and_then(|()| File::open(directory_of(database))?.sync_all());
    marked.map_err(|error| from_io(&error, ffi::SQLITE_CANTOPEN))
}

/// Reads every page that is in use, and says what is wrong, if anything is. About 1 ms per MiB.
///
/// # Errors
/// When SQLite cannot do it.
pub fn quick_check(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut check = connection.prepare("PRAGMA quick_check(3)")?;
    let findings: Vec<String> = check.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(if findings == ["ok"] {
        None
    } else if findings.iter().any(|finding| finding.contains(&ffi::SQLITE_IOERR_DATA.to_string())) {
        Some(WRONG_CHECKSUM.to_owned())
    } else {
        Some(findings.join("; "))
    })
}

/// To be called when everything in the log was copied into the database and nothing more is going to be written: should the
/// machine stop before the log and its index are gone, they are not held against it.
pub fn about_to_close(database: &Path) {
    let mark = mark(database);
    if !mark.exists() {
        return;
    }
    let noted = File::create(mark).and_then(|mut file| {
        file.write_all(TIDY)?;
        file.sync_all()
    });
    // Without the note the next opening looks closer.
    drop(noted);
}

/// To be called when the last connection is closed: takes the mark away, if nothing is left in a log.
pub fn closed(database: &Path) {
    let is_tidy = matches!(beside(database, "-wal").try_exists(), Ok(false));
    if is_tidy {
        // A mark that stays makes the next opening look at everything; no answer changes.
        let _ = fs::remove_file(mark(database));
    }
}

/// Whether SQLite says that stored bytes, rather than circumstances, are at fault. A value of another type than its column
/// was not written by us either.
pub fn is_damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..) => true,
        other => {
            is_wrong_checksum(other)
                || matches!(
                    other.sqlite_error_code(),
                    Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
                )
        }
    }
}

/// What to tell of an error: SQLite calls a page with a wrong checksum just an I/O error.
pub fn describe(error: &rusqlite::Error) -> String {
    if is_wrong_checksum(error) { WRONG_CHECKSUM.to_owned() } else { error.to_string() }
}

const WRONG_CHECKSUM: &str = "the checksum of a page is wrong";

fn is_wrong_checksum(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_DATA)
}

/// The mark of a database whose owner has written to it, or had when it died.
fn mark(database: &Path) -> PathBuf {
    beside(database, "-open")
}

fn directory_of(database: &Path) -> &Path {
    database.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What SQLite would call it; `otherwise` is for what is not want of space.
fn from_io(error: &io::Error, otherwise: i32) -> rusqlite::Error {
    let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let code = if is_full { ffi::SQLITE_FULL } else { otherwise };
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(error.to_string()))
}

fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const ROWS: i64 = 400;

    /// A database of some dozen pages, with an index.
    struct Place {
        directory: TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self { directory: tempfile::tempdir().unwrap() }
        }

        fn filled() -> Self {
            let place = Self::new();
            let connection = place.open().unwrap();
            connection
                .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x TEXT UNIQUE, y INTEGER)")
                .unwrap();
            for row in 0..ROWS {
                connection
                    .execute("INSERT INTO t VALUES (?1, ?2)", (format!("row {row} of a table"), row))
                    .unwrap();
            }
            drop(connection);
            closed(&place.database());
            place
        }

        fn database(&self) -> PathBuf {
            self.directory.path().join("x.db")
        }

        fn open(&self) -> Result<Connection, String> {
            let connection = self.open_as(Size::Small)?;
            about_to_write(&self.database()).unwrap();
            Ok(connection)
        }

        /// An owner looks at all of a small database when it opens it, and at nothing of a large one.
        fn open_as(&self, size: Size) -> Result<Connection, String> {
            prepare(&self.database()).map_err(|error| error.to_string())?;
            let connection = open(&self.database(), OpenFlags::default(), None).unwrap();
            // As an owner that checkpoints itself.
            connection.execute_batch("PRAGMA wal_autocheckpoint = 0").map_err(|error| said(&error))?;
            if size == Size::Small
                && let Some(reason) = quick_check(&connection).map_err(|error| said(&error))?
            {
                return Err(format!("damaged: {reason}"));
            }
            accept(&connection).unwrap();
            Ok(connection)
        }

        /// What is left when the owner is killed after some more work.
        fn killed(work: impl FnOnce(&Connection)) -> Self {
            let live = Self::filled();
            let connection = live.open().unwrap();
            work(&connection);
            live.as_left_by_a_kill()
        }

        fn as_left_by_a_kill(&self) -> Self {
            let live = self;
            let dead = Self::new();
            for entry in fs::read_dir(live.directory.path()).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), dead.directory.path().join(entry.file_name())).unwrap();
            }
            dead
        }

        /// Somebody else looks into the file.
        fn look_with_a_shell(&self) -> i64 {
            let shell = Connection::open(self.database()).unwrap();
            shell.query_row("SELECT sum(y) FROM t", [], |row| row.get(0)).unwrap()
        }
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Size {
        Small,
        Large,
    }

    fn said(error: &rusqlite::Error) -> String {
        assert!(is_damage(error), "{error}");
        format!("damaged: {}", describe(error))
    }

    fn sum(connection: &Connection) -> Result<i64, String> {
        connection.query_row("SELECT sum(y) FROM t", [], |row| row.get(0)).map_err(|error| said(&error))
    }

    /// Every row, looked up through the index.
    fn found(connection: &Connection) -> Result<i64, String> {
        let mut count = 0;
        for row in 0..ROWS {
            let there: Option<i64> = connection
                .query_row("SELECT count(y) FROM t WHERE x = ?1", [format!("row {row} of a table")], |row| {
                    row.get(0)
                })
                .map_err(|error| said(&error))?;
            count += there.unwrap_or(0);
        }
        Ok(count)
    }

    fn change(connection: &Connection) {
        connection.execute("UPDATE t SET y = y + 1", []).unwrap();
    }

    const SUM: i64 = ROWS * (ROWS - 1) / 2;

    #[test]
    fn a_flipped_byte_anywhere_in_the_file_is_damage_or_changes_nothing() {
        let place = Place::filled();
        let whole = fs::read(place.database()).unwrap();
        assert!(whole.len() > 8 * 4096);
        for size in [Size::Small, Size::Large] {
            let mut noticed = 0;
            for at in (0..whole.len()).step_by(311).chain(0..100) {
                let mut broken = whole.clone();
                broken[at] ^= 1 << (at % 8);
                fs::write(place.database(), broken).unwrap();
                match place.open_as(size).and_then(|connection| Ok((sum(&connection)?, found(&connection)?)))
                {
                    Ok(answer) => panic!("flipped at {at}, and answered {answer:?}"),
                    Err(error) => {
                        assert!(error.contains("damaged"), "{error}");
                        noticed += 1;
                    }
                }
                for ending in ["-wal", "-shm", "-open"] {
                    let _ = fs::remove_file(beside(&place.database(), ending));
                }
            }
            assert!(noticed > 200, "{size:?}: {noticed}");
        }
    }

    #[test]
    fn a_zeroed_part_of_a_page_is_damage() {
        let place = Place::filled();
        let whole = fs::read(place.database()).unwrap();
        for (from, to) in
            [(4096 * 2 + 3000, 4096 * 3), (4096 * 3, 4096 * 3 + 512), (4096 * 3 - 700, 4096 * 3 + 700)]
        {
            let mut broken = whole.clone();
            broken[from..to].fill(0);
            fs::write(place.database(), broken).unwrap();
            let answer = place.open().and_then(|connection| Ok((sum(&connection)?, found(&connection)?)));
            assert!(
                answer.as_ref().is_err_and(|error| error.contains("damaged")),
                "{from}..{to}: {answer:?}"
            );
        }
    }

    #[test]
    fn a_shell_may_look_at_any_time() {
        let place = Place::filled();
        assert_eq!(place.look_with_a_shell(), SUM);
        let connection = place.open().unwrap();
        change(&connection);
        assert_eq!(place.look_with_a_shell(), SUM + ROWS);
        assert_eq!(sum(&connection).unwrap(), SUM + ROWS);
        drop(connection);
        closed(&place.database());
        assert_eq!(sum(&place.open().unwrap()).unwrap(), SUM + ROWS);
    }

    #[test]
    fn what_a_shell_folded_after_a_kill_is_taken_back() {
        let dead = Place::killed(change);
        assert_eq!(dead.look_with_a_shell(), SUM + ROWS);
        assert!(!beside(&dead.database(), "-wal").exists(), "the shell folded the log");
        for _ in 0..2 {
            let connection = dead.open().unwrap();
            assert_eq!((sum(&connection).unwrap(), found(&connection).unwrap()), (SUM + ROWS, ROWS));
            change(&connection);
            connection.execute("UPDATE t SET y = y - 1", []).unwrap();
            drop(connection);
            closed(&dead.database());
        }
        assert!(!mark(&dead.database()).exists());
    }

    #[test]
    fn what_a_shell_folded_and_is_not_whole_is_damage() {
        let dead = Place::killed(change);
        dead.look_with_a_shell();
        let whole = fs::read(dead.database()).unwrap();
        let mut noticed = 0;
        for page in 1..whole.len() / 4096 {
            let mut broken = whole.clone();
            // The page's kind and the number of its cells.
            broken[page * 4096 + 4] ^= 0x40;
            fs::write(dead.database(), broken).unwrap();
            let answer = dead.open().and_then(|connection| Ok((sum(&connection)?, found(&connection)?)));
            match answer {
                Ok(answer) => assert_eq!(answer, (SUM + ROWS, ROWS), "page {page}"),
                Err(error) => {
                    assert!(error.contains("damaged"), "{error}");
                    noticed += 1;
                }
            }
            for ending in ["-wal", "-shm"] {
                let _ = fs::remove_file(beside(&dead.database(), ending));
            }
        }
        assert!(noticed > 5, "{noticed}");
    }

    #[test]
    fn a_database_written_past_the_checksums_is_damage() {
        let place = Place::filled();
        let shell = Connection::open(place.database()).unwrap();
        change(&shell);
        drop(shell);
        let answer = place.open().and_then(|connection| sum(&connection));
        assert!(answer.as_ref().is_err_and(|error| error.contains("checksum")), "{answer:?}");
    }

    #[test]
    fn a_database_without_checksums_is_somebody_elses() {
        let place = Place::new();
        let theirs = Connection::open(place.database()).unwrap();
        theirs.execute_batch("PRAGMA application_id = 77; CREATE TABLE t (x)").unwrap();
        drop(theirs);
        let before = fs::read(place.database()).unwrap();
        let error = prepare(&place.database()).unwrap_err();
        assert!(matches!(error, FileError::Foreign { application_id: 77, .. }), "{error:?}");
        assert_eq!(fs::read(place.database()).unwrap(), before);
        assert!(!mark(&place.database()).exists());
    }

    #[test]
    fn an_empty_log_that_somebody_left_is_not_in_the_way() {
        let dead = Place::killed(change);
        dead.look_with_a_shell();
        fs::write(beside(&dead.database(), "-wal"), "").unwrap();
        assert_eq!(sum(&dead.open().unwrap()).unwrap(), SUM + ROWS);
    }

    #[test]
    fn what_a_power_cut_brings_back_after_a_tidy_close_is_no_damage() {
        let place = Place::filled();
        let connection = place.open().unwrap();
        change(&connection);
        let index = fs::read(beside(&place.database(), "-shm")).unwrap();
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        about_to_close(&place.database());
        drop(connection);
        // The mark's end, and that of the index, did not reach the disk.
        fs::write(beside(&place.database(), "-shm"), index).unwrap();
        assert!(mark(&place.database()).exists());
        assert_eq!(sum(&place.open().unwrap()).unwrap(), SUM + ROWS);
    }

    #[test]
    fn a_database_that_was_only_read_when_its_owner_was_killed_is_not_taken_back() {
        let place = Place::filled();
        let connection = place.open_as(Size::Small).unwrap();
        assert_eq!(sum(&connection).unwrap(), SUM);
        let dead = place.as_left_by_a_kill();
        drop(connection);
        let mut bytes = fs::read(dead.database()).unwrap();
        // In a value that no index knows: SQLite's own check finds nothing wrong with it.
        let row = b"row 300 of a table";
        let at = bytes.windows(row.len()).position(|window| window == row).unwrap();
        bytes[at + row.len() + 1] ^= 1;
        fs::write(dead.database(), bytes).unwrap();
        for _ in 0..2 {
            let answer = dead.open_as(Size::Large).and_then(|connection| sum(&connection));
            assert!(answer.as_ref().is_err_and(|error| error.contains("checksum")), "{answer:?}");
        }
    }

    #[test]
    fn what_was_refused_once_is_refused_again() {
        for place in [Place::filled(), Place::killed(change)] {
            let mut bytes = fs::read(place.database()).unwrap();
            // In the text of the schema: SQLite's own check finds nothing wrong with it.
            let at = bytes.windows(6).position(|window| window == b"UNIQUE").unwrap();
            bytes[at - 8] ^= 1;
            fs::write(place.database(), bytes).unwrap();
            for _ in 0..3 {
                let answer = place.open().and_then(|connection| sum(&connection));
                assert!(answer.as_ref().is_err_and(|error| error.contains("checksum")), "{answer:?}");
            }
        }
    }

    #[test]
    fn a_database_that_was_killed_can_be_opened_at_once() {
        let dead = Place::killed(change);
        let connection = dead.open().unwrap();
        assert_eq!(sum(&connection).unwrap(), SUM + ROWS);
        assert!(mark(&dead.database()).exists());
    }
}
