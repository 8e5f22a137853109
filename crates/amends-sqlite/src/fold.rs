//! What another program left when it was the last to close a database.
//!
//! Owns the one lawful way in which pages come to be without a checksum: the owner is killed, somebody looks into the
//! database with a shell, and the shell, being the last to close it, folds the log into the file as SQLite does. Promises
//! that such a file is taken back only after SQLite found it whole, indexes held against their tables. Does not apply while a
//! log holds anything: then nobody folded it, and every page in the file has its checksum or is in the log.

use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::header::{self, Header};
use crate::{FileError, beside, describe, is_damage, pages};

/// Takes a database back whose owner died, in case somebody else folded its log.
pub(crate) fn take_back(database: &Path) -> Result<(), FileError> {
    // A layout that was cut off: SQLite takes it back by itself.
    let undo = beside(database, "-journal");
    if undo.try_exists().map_err(FileError::io(&undo))? {
        return Ok(());
    }
    let Some(header) = header::read(database)? else {
        // Not laid out yet, or not what was written: whoever opens it will see.
        return Ok(());
    };
    if has_only_sound_pages(database, header)? {
        return Ok(());
    }
    check_whole(database)?;
    seal_all(database, header)
}

fn has_only_sound_pages(database: &Path, header: Header) -> Result<bool, FileError> {
    let mut all = true;
    each_page(database, header, |page| {
        all &= pages::is_sound(page);
        false
    })?;
    Ok(all)
}

fn check_whole(database: &Path) -> Result<(), FileError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let findings: rusqlite::Result<Vec<String>> =
        Connection::open_with_flags(database, flags).and_then(|connection| {
            let mut check = connection.prepare("PRAGMA integrity_check(3)")?;
            check.query_map([], |row| row.get(0))?.collect()
        });
    match findings {
        Ok(findings) if findings == ["ok"] => Ok(()),
        Ok(findings) => Err(FileError::damaged(database, findings.join("; "))),
        Err(error) if is_damage(&error) => Err(FileError::damaged(database, describe(&error))),
        Err(error) => Err(FileError::Io { path: database.to_owned(), source: io::Error::other(error) }),
    }
}

fn seal_all(database: &Path, header: Header) -> Result<(), FileError> {
    each_page(database, header, |page| {
        let is_unsound = !pages::is_sound(page);
        if is_unsound {
            pages::seal(page);
        }
        is_unsound
    })
}

/// Shows every page, and writes back those that `visit` says it changed; then flushes.
fn each_page(
    database: &Path,
    header: Header,
    mut visit: impl FnMut(&mut [u8]) -> bool,
) -> Result<(), FileError> {
    let failed = FileError::io(database);
    let mut file = OpenOptions::new().read(true).write(true).open(database).map_err(&failed)?;
    let pages = file.metadata().map_err(&failed)?.len() / header.page_bytes as u64;
    let mut page = vec![0; header.page_bytes];
    let mut changed = false;
    for number in 0..pages {
        let place = SeekFrom::Start(number * header.page_bytes as u64);
        file.seek(place).and_then(|_| file.read_exact(&mut page)).map_err(&failed)?;
        if visit(&mut page) {
            changed = true;
            file.seek(place).and_then(|_| file.write_all(&page)).map_err(&failed)?;
        }
    }
    if changed { file.sync_all().map_err(&failed) } else { Ok(()) }
}
