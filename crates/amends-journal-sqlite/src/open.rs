//! From a directory to a database that can be trusted.
//!
//! Owns the checks and settings at opening. Promises that what is opened is ours, of a layout we know, not
//! damaged as far as can be seen in good time, and flushed at each commit: the settings that durability hangs
//! on are read back. What cannot be promised is refused, with the file and what to do. Does not write
//! transactions.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use amends_log::{LogDamage, NoRoom, OpenLogError};
use amends_sqlite::{FileError, NotTaken, describe, is_damage};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::limits::{PAGE_BYTES, QUICK_CHECK_BYTES_MAX, SETTLER_CACHE_KIB, WAL_KEPT_BYTES_MAX};

use super::SqliteOptions;
use super::lock::{DirectoryLock, LockError};
use super::schema::{self, APPLICATION_ID, FORMAT, Nonsense};

/// Why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another part of this one, uses the directory.
    #[error(
        "another amends is using the directory {}: stop it first, or choose another directory",
        .directory.display()
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// The data is not what was written.
    #[error(
        "{} is damaged: {details}. Nothing was changed. Keep a copy of the directory, then restore a backup, \
         or start with an empty directory", .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was seen.
        details: String,
    },
    /// Files are missing that had been written, or are of several copies.
    #[error(
        "{} is damaged or incomplete: {what}. It looks like a copy of some of its files, or of two moments. \
         Nothing was changed. Restore a copy of the whole directory that was made while no process used it",
        .directory.display()
    )]
    Incomplete {
        /// The directory.
        directory: PathBuf,
        /// What is missing, or does not belong to the rest.
        what: String,
    },
    /// The file is a database of something else.
    #[error(
        "{} is not a journal of Amends, or is damaged: its application id is {found:#x}. Choose \
         another directory",
        .path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The application id in it.
        found: i64,
    },
    /// A later version laid the data out.
    #[error(
        "{} was written by a newer version of Amends: its format is {found}, this version knows up to \
         {known}. Run that version, or a later one", .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The format this version writes.
        known: i64,
    },
    /// A version from before the first release laid the data out.
    #[error(
        "{} was written by a version of Amends from before its first release: its format is {found}, this \
         version reads {known}. Start with an empty directory", .path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The format this version writes.
        known: i64,
    },
    /// The database does not take a setting that durability hangs on.
    #[error(
        "{} cannot be made durable: {setting} is {found:?}, not {wanted:?}. Use a local disk",
        .path.display()
    )]
    NotDurable {
        /// The file.
        path: PathBuf,
        /// The setting.
        setting: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// The directory is on another machine.
    #[error(
        "{} lies on a network file system ({kind}), where a journal cannot be kept safely: use a local disk",
        .directory.display()
    )]
    NetworkFileSystem {
        /// The directory.
        directory: PathBuf,
        /// Its kind.
        kind: &'static str,
    },
    /// No space to lay out or open a journal.
    #[error("no space left on the disk of {}: free some and start again; nothing was lost", .path.display())]
    NoSpace {
        /// The file.
        path: PathBuf,
    },
    /// A file or directory cannot be used.
    #[error(
        "cannot use {}: {source}. Check that it is there and that this user may write it",
        .path.display()
    )]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database cannot be used.
    #[error("cannot open the journal {}: {source}", .path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The database's file in its directory.
const FILE: &str = "journal.db";

/// What the names of the log's files begin with.
const LOG: &str = "journal";

/// A journal ready for its threads.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    pub(super) lock: DirectoryLock,
    pub(super) log: amends_log::Found,
    /// The directory's own: in what it hashes.
    pub(super) salt: u64,
}

pub(super) fn open(directory: &Path, options: &SqliteOptions) -> Result<Opened, OpenError> {
    create_directory(directory)?;
    if let Some(kind) = super::space::network_file_system(directory) {
        return Err(OpenError::NetworkFileSystem { directory: directory.to_owned(), kind });
    }
    let mut lock = DirectoryLock::take(directory).map_err(|error| lock_error(directory, error))?;
    let path = directory.join(FILE);
    let log = directory.join(format!("{FILE}-wal"));

    let was_laid_out = lock.is_marked().map_err(|error| lock_error(directory, error))?;
    let (size, log_size) = (file_size(&path)?, file_size(&log)?);
    let place = amends_log::Place::new(directory, LOG);
    let was_used =
        was_laid_out || log_size > 0 || place.is_used().map_err(|error| from_log(directory, error))?;
    if size == 0 && was_used {
        return Err(incomplete(directory, format!("{FILE} is missing or empty")));
    }
    amends_sqlite::prepare(&path).map_err(from_file)?;

    let found = Found { size, log_size, was_laid_out };
    let connection = prepare(&path, &found, &place, options).map_err(|error| error.at(&path))?;
    let (log, salt) = open_log(&place, &path, &found, &connection, options)?;
    amends_sqlite::accept(&connection).map_err(|error| from_sqlite(path.clone(), error))?;
    // The files' names must survive a power cut as well as their content.
    sync_directory(directory)?;
    if !was_laid_out {
        lock.mark().map_err(|error| lock_error(directory, error))?;
    }
    Ok(Opened { connection, path, lock, log, salt })
}

fn open_log(
    place: &amends_log::Place,
    path: &Path,
    found: &Found,
    connection: &Connection,
    options: &SqliteOptions,
) -> Result<(amends_log::Found, u64), OpenError> {
    let directory = path.parent().unwrap_or(path);
    let read = |error| from_sqlite(path.to_owned(), error);
    let (changes, salt) = schema::changes_and_log(connection).map_err(read)?;
    let damaged = |Nonsense(details)| OpenError::Damaged { path: path.to_owned(), details };
    let changes = schema::count_of(changes).map_err(damaged)?;
    let settled = schema::settled(connection).map_err(read)?.map_err(damaged)?;
    // First: what follows is judged by the database.
    let identity = amends_log::identify(place).map_err(|error| from_log(directory, error))?;
    if identity.salt != salt {
        return Err(incomplete(directory, format!("its log belongs to another journal than {FILE}")));
    }
    if identity.note > changes {
        let missing = if found.log_size > 0 { "" } else { ", or its WAL is missing" };
        return Err(incomplete(directory, format!("{FILE} is older than the log beside it{missing}")));
    }
    let mut log = amends_log::open(place, settled, options.log_bytes_max)
        .map_err(|error| from_log(directory, error))?;
    match log.log.provide() {
        // Without space for another file what is there must do, until the first append that needs more is
        // told so.
        Ok(()) | Err(NoRoom::NoSpace | NoRoom::Full) => Ok((log, salt)),
        Err(NoRoom::Io(source)) => Err(OpenError::Io { path: directory.to_owned(), source }),
    }
}

fn from_log(directory: &Path, error: OpenLogError) -> OpenError {
    match error {
        OpenLogError::Io { path, source } => OpenError::Io { path, source },
        OpenLogError::Missing { path } => is_missing(directory, &path),
        OpenLogError::Damaged { what: LogDamage::Older { .. }, .. } => {
            incomplete(directory, format!("its log is older than {FILE}"))
        }
        OpenLogError::Damaged { path, what } => OpenError::Damaged { path, details: what.to_string() },
    }
}

fn is_missing(directory: &Path, path: &Path) -> OpenError {
    let name = path.file_name().unwrap_or(path.as_os_str());
    incomplete(directory, format!("{} is missing", name.display()))
}

fn incomplete(directory: &Path, what: String) -> OpenError {
    OpenError::Incomplete { directory: directory.to_owned(), what }
}

/// What can go wrong with the database, before its path is added.
enum Trouble {
    Sqlite(rusqlite::Error),
    Damaged(String),
    Foreign(i64),
    Newer(i64),
    Older(i64),
    NotDurable { setting: &'static str, found: String, wanted: &'static str },
    Io(io::Error),
    File(FileError),
    Log(OpenLogError),
}

impl From<FileError> for Trouble {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Trouble {
    fn at(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        match self {
            Self::Damaged(details) => OpenError::Damaged { path, details },
            Self::Foreign(found) => OpenError::Foreign { path, found },
            Self::Older(found) => OpenError::Older { path, found, known: FORMAT },
            Self::Newer(found) => OpenError::Newer { path, found, known: FORMAT },
            Self::NotDurable { setting, found, wanted } => {
                OpenError::NotDurable { path, setting, found, wanted }
            }
            Self::Io(source) => OpenError::Io { path, source },
            Self::File(error) => from_file(error),
            Self::Log(error) => from_log(path.parent().unwrap_or(&path), error),
            Self::Sqlite(error) => from_sqlite(path, error),
        }
    }
}

fn from_file(error: FileError) -> OpenError {
    match error {
        FileError::Io { path, source } => OpenError::Io { path, source },
        FileError::Damaged { path, reason } => OpenError::Damaged { path, details: reason },
        FileError::Foreign { path, application_id } if i64::from(application_id) == APPLICATION_ID => {
            OpenError::Damaged {
                path,
                details: "its header says that its pages have no checksums".to_owned(),
            }
        }
        FileError::Foreign { path, application_id } => {
            OpenError::Foreign { path, found: application_id.into() }
        }
    }
}

pub(super) fn from_sqlite(path: PathBuf, error: rusqlite::Error) -> OpenError {
    // All we say to the database is fixed and right: "cannot be understood" means that it is not what we laid
    // out.
    if is_damage(&error) || error.sqlite_error_code() == Some(ErrorCode::Unknown) {
        OpenError::Damaged { path, details: describe(&error) }
    } else if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
        OpenError::NoSpace { path }
    } else {
        OpenError::Store { path, source: error.into() }
    }
}

/// What is in the directory before the database is opened.
struct Found {
    size: u64,
    log_size: u64,
    /// Whether a journal was laid out here once.
    was_laid_out: bool,
}

fn prepare(
    path: &Path,
    found: &Found,
    place: &amends_log::Place,
    options: &SqliteOptions,
) -> Result<Connection, Trouble> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = amends_sqlite::open(path, flags, (found.size == 0).then_some(PAGE_BYTES))?;
    // The start waits with it.
    amends_sqlite::wait_for_locks(&mut connection, path, |_| false)?;
    let is_fresh = !found.was_laid_out && is_empty(&connection)?;
    if is_fresh {
        // Only before the first table: lets retention give space back in small steps.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    } else {
        check_identity(&connection)?;
        check_content(&connection, found)?;
        check_writable(path, &connection)?;
    }
    // Before the log is opened: it lets go of what the database says it has.
    amends_sqlite::make_durable(&mut connection, path)?;
    if let Err(NotTaken { setting, wanted, found }) = amends_sqlite::flush_each_commit(&connection)? {
        return Err(Trouble::NotDurable { setting, found, wanted });
    }
    connection.pragma_update(None, "cache_size", -i64::from(SETTLER_CACHE_KIB))?;
    connection.pragma_update(None, "journal_size_limit", WAL_KEPT_BYTES_MAX)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // The settler copies the WAL itself, so as to see what comes of it.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    if is_fresh {
        amends_sqlite::about_to_write(path)?;
        // The log first: once the database is laid out there must be one.
        let log = amends_log::create(place).map_err(Trouble::Log)?;
        schema::create(&connection, log.salt)?;
    }
    if let Some(bytes) = options.database_bytes_max {
        let pages = i64::try_from(bytes / u64::from(PAGE_BYTES)).unwrap_or(i64::MAX);
        connection.pragma_update(None, "max_page_count", pages.clamp(1, SQLITE_PAGES_MAX))?;
    }
    Ok(connection)
}

/// A database without a layout: a first start that was cut off.
fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(tables == 0 && number(connection, "application_id")? == 0 && number(connection, "user_version")? == 0)
}

fn check_identity(connection: &Connection) -> Result<(), Trouble> {
    let application = number(connection, "application_id")?;
    if application != APPLICATION_ID {
        return Err(Trouble::Foreign(application));
    }
    match number(connection, "user_version")? {
        FORMAT => Ok(()),
        older @ 1..FORMAT => Err(Trouble::Older(older)),
        newer if newer > FORMAT => Err(Trouble::Newer(newer)),
        other => Err(Trouble::Damaged(format!("format {other} was never written"))),
    }
}

fn check_content(connection: &Connection, found: &Found) -> Result<(), Trouble> {
    schema::check(connection)?.map_err(|nonsense| Trouble::Damaged(nonsense.to_string()))?;
    if found.size + found.log_size > QUICK_CHECK_BYTES_MAX {
        return Ok(());
    }
    amends_sqlite::quick_check(connection)?.map_or(Ok(()), |reason| Err(Trouble::Damaged(reason)))
}

/// SQLite opens what it may not write, or does not know how to, for reading only, and says so at the first
/// write.
fn check_writable(path: &Path, connection: &Connection) -> Result<(), Trouble> {
    if !connection.is_readonly(rusqlite::MAIN_DB)? {
        return Ok(());
    }
    match fs::OpenOptions::new().write(true).open(path) {
        Ok(_) => Err(Trouble::Damaged("its header says that it cannot be written".to_owned())),
        Err(source) => Err(Trouble::Io(source)),
    }
}

/// What keeps an answer through a power cut, in words. The database's part is what no opening goes without.
pub(super) fn durability() -> String {
    format!("log: {}; database: {}", amends_log::DURABILITY, amends_sqlite::DURABILITY)
}

/// More pages no SQLite database has; a larger limit would be ignored.
const SQLITE_PAGES_MAX: i64 = 4_294_967_294;

fn number(connection: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))
}

fn file_size(path: &Path) -> Result<u64, OpenError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(source) => Err(OpenError::Io { path: path.to_owned(), source }),
    }
}

/// Creates the directory and makes its name durable, and those of all that had to be created above it.
fn create_directory(directory: &Path) -> Result<(), OpenError> {
    let missing: Vec<&Path> =
        directory.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    fs::create_dir_all(directory).map_err(|source| OpenError::Io { path: directory.to_owned(), source })?;
    for created in missing {
        match created.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => sync_directory(parent)?,
            Some(_) => sync_directory(Path::new("."))?,
            None => {}
        }
    }
    Ok(())
}

fn sync_directory(directory: &Path) -> Result<(), OpenError> {
    let synced = File::open(directory).and_then(|handle| handle.sync_all());
    synced.map_err(|source| OpenError::Io { path: directory.to_owned(), source })
}

fn lock_error(directory: &Path, error: LockError) -> OpenError {
    match error {
        LockError::Held => OpenError::InUse { directory: directory.to_owned() },
        LockError::Io { path, source } => OpenError::Io { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_that_durability_hangs_on_are_in_force() {
        let directory = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let opened = open(directory.path(), &SqliteOptions::default()).unwrap();
            assert_eq!(number(&opened.connection, "synchronous").unwrap(), 2, "FULL");
            let mode: String =
                opened.connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
            assert_eq!(mode, "wal");
            assert_eq!(
                durability(),
                "log: pwrite and fdatasync before each answer; database: journal_mode=WAL, synchronous=FULL"
            );
            assert_eq!(number(&opened.connection, "page_size").unwrap(), i64::from(PAGE_BYTES));
            assert_eq!(number(&opened.connection, "auto_vacuum").unwrap(), 2, "incremental");
        }
    }
}
