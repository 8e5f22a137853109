//! From a journal to a file.
//!
//! Owns the order of the file: definitions, secrets, transactions, reservations, the end. Promises that the file
//! is of one moment, and there as a whole or not at all: it gets its name when it is durable. Does not decode
//! records.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use amends_journal::Backup;
use bytes::Bytes;

use super::{Definition, Frames, Reservation, Secret, Transaction, What};
use crate::archive;
use crate::failure::ReadError;
use crate::look::Look;

/// Writes everything that the database has at this moment to a file that is not there yet.
pub(crate) fn export(look: &Look<'_>, to: &Path) -> Result<io::Result<Backup>, ReadError> {
    let partial = partial(to);
    let written = write(look, to, &partial);
    if !matches!(written, Ok(Ok(_))) {
        // What is left over is nobody's.
        let _ = fs::remove_file(&partial);
    }
    written
}

fn partial(to: &Path) -> PathBuf {
    /// Two that are asked for the same file do not write into each other's.
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(format!(".partial-{}-{number}", std::process::id()));
    to.with_file_name(name)
}

fn write(look: &Look<'_>, to: &Path, partial: &Path) -> Result<io::Result<Backup>, ReadError> {
    if to.exists() {
        return Ok(Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is there already")));
    }
    let file = match File::create(partial) {
        Ok(file) => file,
        Err(error) => return Ok(Err(error)),
    };
    let mut out = BufWriter::with_capacity(1 << 20, &file);
    let transactions = match everything(look, &mut out)? {
        Ok(transactions) => transactions,
        Err(error) => return Ok(Err(error)),
    };
    drop(out);
    let durable = || {
        file.sync_all()?;
        // Not a renaming, which would replace what came there meanwhile.
        fs::hard_link(partial, to)?;
        fs::remove_file(partial)?;
        let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(Backup { transactions, bytes: fs::metadata(to)?.len() })
    };
    Ok(durable())
}

/// How many transactions there were.
fn everything(look: &Look<'_>, out: &mut impl Write) -> Result<io::Result<u64>, ReadError> {
    let mut frames = match Frames::begin(out) {
        Ok(frames) => frames,
        Err(error) => return Ok(Err(error)),
    };
    let mut transactions = 0;
    // An error of the file ends all; it is kept beside those of the database.
    macro_rules! put {
        ($what:expr) => {
            if let Err(error) = frames.put($what) {
                return Ok(Err(error));
            }
        };
    }
    let prepare = |sql| look.moment.prepare(sql);
    let mut all = prepare("SELECT no, mode, name, version, body, registered_at, retired_at FROM definition")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        put!(What::Definition(Definition {
            no: row.get(0)?,
            mode: row.get(1)?,
            name: row.get(2)?,
            version: row.get(3)?,
            body: row.get(4)?,
            registered_at: row.get(5)?,
            retired_at: row.get(6)?,
        }));
    }
    let mut all = prepare("SELECT name, value FROM secret")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        put!(What::Secret(Secret { name: row.get(0)?, value: row.get(1)? }));
    }
    let mut all = prepare(
        "SELECT no, id, definition, standing, started_at, ended_at, id_given, key, fingerprint, tags, parent,
                erased_at, records
         FROM ended ORDER BY no",
    )?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        transactions += 1;
        put!(What::Transaction(Transaction {
            no: row.get(0)?,
            id: row.get(1)?,
            definition: row.get(2)?,
            standing: row.get(3)?,
            started_at: row.get(4)?,
            ended_at: Some(row.get(5)?),
            id_given: row.get(6)?,
            key: row.get(7)?,
            fingerprint: row.get(8)?,
            wake_at: None,
            unreadable: None,
            tags: row.get(9)?,
            parent: row.get(10)?,
            erased_at: row.get(11)?,
            records: archive::split(Bytes::copy_from_slice(row.get_ref(12)?.as_blob()?))?,
        }));
    }
    let mut all = prepare(
        "SELECT no, id, definition, standing, started_at, id_given, key, fingerprint, wake_at, unreadable, tags,
                parent
         FROM live ORDER BY no",
    )?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        transactions += 1;
        let no = row.get(0)?;
        put!(What::Transaction(Transaction {
            no,
            id: row.get(1)?,
            definition: row.get(2)?,
            standing: row.get(3)?,
            started_at: row.get(4)?,
            ended_at: None,
            id_given: row.get(5)?,
            key: row.get(6)?,
            fingerprint: row.get(7)?,
            wake_at: row.get(8)?,
            unreadable: row.get(9)?,
            tags: row.get(10)?,
            parent: row.get(11)?,
            erased_at: None,
            records: look.records_of(no)?,
        }));
    }
    let mut all = prepare("SELECT no, id, id_given, key, fingerprint, removed_at FROM reserved ORDER BY no")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        put!(What::Reservation(Reservation {
            no: row.get(0)?,
            id: row.get(1)?,
            id_given: row.get(2)?,
            key: row.get(3)?,
            fingerprint: row.get(4)?,
            removed_at: row.get(5)?,
        }));
    }
    let (last_no, newest_at) =
        look.moment
            .query_row("SELECT last_no, newest_at FROM settled", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(frames.end(last_no, newest_at).map(|()| transactions))
}
