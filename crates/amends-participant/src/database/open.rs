//! Opening a database file, or refusing to.
//!
//! Owns every setting of a connection and the judgement whether a file is what it should be. Promises that an
//! opened file flushes each commit (read back, not assumed), is of this format and passed its check. Does not
//! repair: a damaged file is left as it is. Start reading at `writer`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use amends_sqlite::whole::{self, Beside, Incomplete};
use amends_sqlite::{FileError, NotTaken, describe, is_damage};
use rusqlite::{Connection, Error, OpenFlags, TransactionBehavior};

use super::Format;
use crate::limits::{QUICK_CHECK_BYTES_MAX, STATEMENTS_KEPT, WAL_BYTES_KEPT, WRITER_CACHE_KIB};

/// Why a database file was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What is in the file cannot be what was written.
    #[error(
        "{path} is damaged: {reason}. Keep the file, restore its whole directory from a backup, \
         and do not delete single files",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file was copied without what belongs to it.
    #[error(transparent)]
    Incomplete(#[from] Incomplete),
    /// The file belongs to something else.
    #[error(
        "{path} is a database of something else, or its header is damaged \
         (application id {found}, expected {expected}): \
         choose another directory, or restore this one from a backup",
        path = path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its application id.
        found: i32,
        /// Ours.
        expected: i32,
    },
    /// Another release wrote the file.
    #[error(
        "{path} has format {found}, this release reads format {supported}: use the release that wrote it \
         (if that is this one, the header is damaged: restore the directory from a backup)",
        path = path.display()
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Its format version.
        found: i32,
        /// Ours.
        supported: i32,
    },
    /// The file system or the build does not keep a promise we build on.
    #[error(
        "{path}: the database does not accept {setting}={wanted}, it stays at {found}: \
         is this a network file system?",
        path = path.display()
    )]
    Setting {
        /// The file.
        path: PathBuf,
        /// SQLite's name for it.
        setting: &'static str,
        /// What was asked for.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// The file or its directory cannot be used.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database failed for another reason.
    #[error("{path} cannot be opened: {source}", path = path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What the database said.
        source: Error,
    },
}

impl OpenError {
    pub(super) fn database(path: &Path, error: Error) -> OpenError {
        if is_damage(&error) {
            return OpenError::damaged(path, describe(&error));
        }
        OpenError::Database { path: path.to_owned(), source: error }
    }

    pub(super) fn damaged(path: &Path, reason: impl Into<String>) -> OpenError {
        OpenError::Damaged { path: path.to_owned(), reason: reason.into() }
    }

    fn file(error: FileError, expected: i32) -> OpenError {
        match error {
            FileError::Io { path, source } => OpenError::Io { path, source },
            FileError::Damaged { path, reason } => OpenError::Damaged { path, reason },
            FileError::Foreign { path, application_id } if application_id == expected => {
                OpenError::damaged(&path, "its header says that its pages have no checksums")
            }
            FileError::Foreign { path, application_id } => {
                OpenError::Foreign { path, found: application_id, expected }
            }
        }
    }

    fn io(path: &Path, source: io::Error) -> OpenError {
        OpenError::Io { path: path.to_owned(), source }
    }
}

/// Opens or creates the file for writing.
pub(super) fn writer(path: &Path, format: Format) -> Result<Connection, OpenError> {
    let bytes = length(path)?;
    let expected = format.application_id;
    let beside = Beside::of(path);
    amends_sqlite::prepare(path).map_err(|error| OpenError::file(error, expected))?;
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| OpenError::database(path, error);
    let mut connection = amends_sqlite::open(path, flags, None).map_err(failed)?;
    if bytes == 0 {
        // Only possible before the first table; gives disk space back after retention.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(failed)?;
    }
    // For as long as it takes: whoever starts a service waits for it, and is told why it takes long.
    amends_sqlite::wait_for_locks(&mut connection, path, |_| false).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    connection.pragma_update(None, "cache_size", -i64::from(WRITER_CACHE_KIB)).map_err(failed)?;
    // What a savepoint keeps for its rollback would otherwise spill into temporary files.
    connection.pragma_update(None, "temp_store", "MEMORY").map_err(failed)?;
    if bytes <= QUICK_CHECK_BYTES_MAX {
        let damage = amends_sqlite::quick_check(&connection).map_err(failed)?;
        if let Some(reason) = damage {
            return Err(OpenError::damaged(path, reason));
        }
    }
    accept_format(&mut connection, path, format)?;
    beside.check(&connection, path).map_err(failed)??;
    // Before anybody is answered by what was found.
    amends_sqlite::make_durable(&mut connection, path).map_err(failed)?;
    amends_sqlite::accept(&connection).map_err(failed)?;
    if let Err(NotTaken { setting, wanted, found }) =
        amends_sqlite::flush_each_commit(&connection).map_err(failed)?
    {
        return Err(OpenError::Setting { path: path.to_owned(), setting, wanted, found });
    }
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT as i64).map_err(failed)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(failed)?;
    make_entry_durable(path)?;
    Ok(connection)
}

fn accept_format(connection: &mut Connection, path: &Path, format: Format) -> Result<(), OpenError> {
    let failed = |error| OpenError::database(path, error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let number = |sql| transaction.query_row(sql, [], |row| row.get::<_, i32>(0));
    let application_id = number("PRAGMA application_id").map_err(failed)?;
    let version = number("PRAGMA user_version").map_err(failed)?;
    let tables = number("SELECT count(*) FROM sqlite_schema").map_err(failed)?;
    if application_id == 0 && version == 0 && tables == 0 {
        whole::install(&transaction).map_err(failed)?;
        (format.create)(&transaction).map_err(failed)?;
        transaction.pragma_update(None, "application_id", format.application_id).map_err(failed)?;
        transaction.pragma_update(None, "user_version", format.version).map_err(failed)?;
        return transaction.commit().map_err(failed);
    }
    if application_id != format.application_id {
        let expected = format.application_id;
        return Err(OpenError::Foreign { path: path.to_owned(), found: application_id, expected });
    }
    if version != format.version {
        let supported = format.version;
        return Err(OpenError::OtherVersion { path: path.to_owned(), found: version, supported });
    }
    Ok(())
}

/// A new file is on disk only when its name is. Done at every open: an earlier one may have been killed right
/// before it.
fn make_entry_durable(path: &Path) -> Result<(), OpenError> {
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    };
    File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| OpenError::io(parent, error))
}

fn length(path: &Path) -> Result<u64, OpenError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(OpenError::io(path, error)),
    }
}
