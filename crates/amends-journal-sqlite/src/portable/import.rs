//! From a file to a journal.
//!
//! Owns the laying out of a directory from an exported file. Promises all or nothing: the directory gets its
//! name when everything is in it, durable, and the file was read to its end. Numbers stay as they were, so
//! that places in lists stay good; the feed begins anew. Does not decode records: whoever loads them does.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use amends_core::TransactionId;
use rusqlite::{Connection, params};

use super::{Definition, End, FramesOf, ReadFrameError, Reservation, Transaction, What};
use crate::SqliteOptions;
use crate::labels;
use crate::late_index::BUCKET_PAIRS_FILLED;
use crate::limits::IMPORT_ROWS_TOGETHER;
use crate::names::{Name, Named, Tag, Tags};
use crate::open::{self, OpenError, Opened};
use crate::schema::Nonsense;
use crate::spans::SpanChanges;
use crate::{archive, late_index};

/// Why a file was not imported. The directory is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The directory has something in it.
    #[error("{} is not empty: import into a directory that is empty or not there", .0.display())]
    NotEmpty(PathBuf),
    /// The file is not what was exported.
    #[error("{} cannot be imported: {details}. Nothing was changed: use another copy of it", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        details: String,
    },
    /// A file cannot be read or written.
    #[error("cannot use {}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The new journal cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The new journal cannot be written.
    #[error("the new journal could not be written: {0}")]
    Store(#[from] rusqlite::Error),
}

impl From<Nonsense> for ImportErrorIn {
    fn from(Nonsense(details): Nonsense) -> Self {
        Self::Damaged(details)
    }
}

/// The same, before paths are added.
#[derive(Debug)]
enum ImportErrorIn {
    Damaged(String),
    Io(io::Error),
    Open(OpenError),
    Store(rusqlite::Error),
}

impl From<ReadFrameError> for ImportErrorIn {
    fn from(error: ReadFrameError) -> Self {
        match error {
            ReadFrameError::Io(error) => Self::Io(error),
            ReadFrameError::Damaged(details) => Self::Damaged(details.to_owned()),
        }
    }
}

impl From<rusqlite::Error> for ImportErrorIn {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            // Two of one number, or a standing that nobody knows: the file says what no journal says.
            Some(rusqlite::ErrorCode::ConstraintViolation) => Self::Damaged(error.to_string()),
            Some(_) | None => Self::Store(error),
        }
    }
}

impl From<OpenError> for ImportErrorIn {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

/// What was imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// Transactions, live and ended.
    pub transactions: u64,
}

/// Makes a journal of an exported file, in a directory that is empty or not there.
///
/// # Errors
/// When the file is not whole, or the directory cannot be written; it is as it was then.
pub fn import(from: &Path, directory: &Path) -> Result<Imported, ImportError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ImportError::Io { path, source }
    };
    match fs::read_dir(directory) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(ImportError::NotEmpty(directory.to_owned()));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(io(directory)(source)),
    }
    let file = File::open(from).map_err(io(from))?;
    let mut name = directory.file_name().unwrap_or_default().to_owned();
    name.push(".importing");
    let partial = directory.with_file_name(name);
    // Of an import that was stopped: nobody ever opened it.
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(io(&partial))?;
    }
    let done = fill(BufReader::with_capacity(1 << 20, file), &partial);
    let imported = match done {
        Ok(imported) => imported,
        Err(error) => {
            // What cannot be removed is in nobody's way but the next import's, which tries again.
            let _ = fs::remove_dir_all(&partial);
            return Err(match error {
                ImportErrorIn::Damaged(details) => ImportError::Damaged { path: from.to_owned(), details },
                ImportErrorIn::Io(source) => io(from)(source),
                ImportErrorIn::Open(error) => ImportError::Open(error),
                ImportErrorIn::Store(error) => ImportError::Store(error),
            });
        }
    };
    fs::rename(&partial, directory).map_err(io(directory))?;
    let above = directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(above).and_then(|above| above.sync_all()).map_err(io(above))?;
    Ok(imported)
}

fn fill(from: impl io::Read, directory: &Path) -> Result<Imported, ImportErrorIn> {
    let mut frames = FramesOf::begin(from)?;
    let Opened { connection, path, lock, log, salt } = open::open(directory, &SqliteOptions::default())?;
    let mut filling = Filling {
        connection: &connection,
        tags: Tags::new(salt),
        names: Vec::new(),
        tally: BTreeMap::new(),
        spans: SpanChanges::default(),
        rows: 0,
        transactions: 0,
    };
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let end = loop {
        match frames.take()? {
            What::Definition(definition) => filling.definition(&definition)?,
            What::Transaction(transaction) => filling.transaction(&transaction)?,
            What::Reservation(reservation) => filling.reservation(&reservation)?,
            What::Secret(secret) => {
                let sql = "INSERT INTO secret (name, value) VALUES (?1, ?2)";
                connection.prepare_cached(sql)?.execute(params![secret.name, secret.value])?;
            }
            What::End(end) => break end,
        }
        filling.commit_some()?;
    };
    let transactions = filling.transactions;
    filling.finish(&end)?;
    let emptied: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if emptied == 0 {
        amends_sqlite::about_to_close(&path);
    }
    drop(log);
    drop(connection);
    amends_sqlite::closed(&path);
    drop(lock);
    Ok(Imported { transactions })
}

struct Filling<'c> {
    connection: &'c Connection,
    tags: Tags,
    names: Vec<Named>,
    tally: BTreeMap<(i64, i64), i64>,
    spans: SpanChanges,
    rows: u64,
    transactions: u64,
}

impl Filling<'_> {
    fn definition(&mut self, definition: &Definition) -> Result<(), ImportErrorIn> {
        let Definition { no, mode, name, version, body, registered_at, retired_at } = definition;
        self.connection
            .prepare_cached(
                "INSERT INTO definition (no, mode, name, version, body, registered_at, retired_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![no, mode, name, version, body, registered_at, retired_at])?;
        Ok(())
    }

    fn transaction(&mut self, it: &Transaction) -> Result<(), ImportErrorIn> {
        match it.ended_at {
            Some(ended_at) => {
                let mut records = Vec::new();
                it.records.iter().for_each(|record| archive::push(&mut records, record));
                self.connection
                    .prepare_cached(
                        "INSERT INTO ended (no, id, definition, standing, started_at, ended_at, id_given, key,
                                            fingerprint, tags, parent, erased_at, records)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
                    )?
                    .execute(params![
                        it.no,
                        it.id,
                        it.definition,
                        it.standing,
                        it.started_at,
                        ended_at,
                        it.id_given,
                        it.key,
                        it.fingerprint,
                        it.tags,
                        it.parent,
                        it.erased_at,
                        records
                    ])?;
                self.name(it.no, &it.id, it.id_given, it.key.as_deref())?;
            }
            None => {
                self.connection
                    .prepare_cached(
                        "INSERT INTO live (no, id, definition, standing, started_at, id_given, key, fingerprint,
                                           tags, parent, wake_at, unreadable)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                    )?
                    .execute(params![
                        it.no,
                        it.id,
                        it.definition,
                        it.standing,
                        it.started_at,
                        it.id_given,
                        it.key,
                        it.fingerprint,
                        it.tags,
                        it.parent,
                        it.wake_at,
                        it.unreadable
                    ])?;
                for (seq, record) in (1i64..).zip(&it.records).filter(|(_, record)| !record.is_empty()) {
                    self.connection
                        .prepare_cached("INSERT INTO record (no, seq, body) VALUES (?1, ?2, ?3)")?
                        .execute(params![it.no, seq, record.as_ref()])?;
                }
            }
        }
        for (key, value) in labels::decode(it.tags.as_deref())? {
            self.connection
                .prepare_cached("INSERT INTO tagged (tag, no) VALUES (?1, ?2)")?
                .execute(params![labels::tag(&key, &value), it.no])?;
        }
        if let Some(parent) = &it.parent {
            self.connection
                .prepare_cached("INSERT INTO child (parent, no) VALUES (?1, ?2)")?
                .execute(params![parent, it.no])?;
        }
        *self.tally.entry((it.definition, it.standing)).or_insert(0) += 1;
        self.spans.widen(it.no, it.started_at);
        self.transactions += 1;
        Ok(())
    }

    fn reservation(&mut self, it: &Reservation) -> Result<(), ImportErrorIn> {
        self.connection
            .prepare_cached(
                "INSERT INTO reserved (no, id, id_given, key, fingerprint, removed_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![it.no, it.id, it.id_given, it.key, it.fingerprint, it.removed_at])?;
        self.name(it.no, &it.id, it.id_given, it.key.as_deref())
    }

    /// What the index is to have of an id and a key.
    fn name(&mut self, no: i64, id: &[u8], id_given: bool, key: Option<&str>) -> Result<(), ImportErrorIn> {
        let id: TransactionId = crate::schema::id_of(id)?;
        let names = id_given.then_some(Name::Id(id)).into_iter().chain(key.map(Name::Key));
        self.names.extend(names.map(|name| (self.tags.of(name), no)));
        Ok(())
    }

    fn commit_some(&mut self) -> Result<(), ImportErrorIn> {
        self.rows += 1;
        if self.rows.is_multiple_of(IMPORT_ROWS_TOGETHER) {
            self.connection.execute_batch("COMMIT")?;
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
        }
        Ok(())
    }

    /// What belongs to all together.
    fn finish(mut self, end: &End) -> Result<(), ImportErrorIn> {
        for ((definition, standing), count) in &self.tally {
            self.connection
                .prepare_cached("INSERT INTO tally (definition, standing, transactions) VALUES (?1, ?2, ?3)")?
                .execute([definition, standing, count])?;
        }
        for (block, first_at, last_at) in self.spans.take() {
            self.connection
                .prepare_cached("INSERT INTO span (block, first_at, last_at) VALUES (?1, ?2, ?3)")?
                .execute([block, first_at, last_at])?;
        }
        self.names.sort_unstable();
        let mut rest = self.names.as_slice();
        let mut first = i64::MIN;
        while !rest.is_empty() {
            // All pairs of a tag lie together.
            let last = rest[BUCKET_PAIRS_FILLED.min(rest.len()) - 1].0;
            let (bucket, after) = rest.split_at(rest.partition_point(|(tag, _)| *tag <= last));
            self.connection
                .prepare_cached("INSERT INTO named (first, pairs) VALUES (?1, ?2)")?
                .execute(params![first, late_index::bytes_of(bucket.iter().copied())])?;
            rest = after;
            first = rest.first().map_or(first, |(Tag(tag), _)| *tag);
        }
        let orphans: i64 = self.connection.query_row(
            "SELECT count(*) FROM tally WHERE definition NOT IN (SELECT no FROM definition)",
            [],
            |row| row.get(0),
        )?;
        if orphans > 0 {
            return Err(ImportErrorIn::Damaged("transactions of it run what is not in it".to_owned()));
        }
        self.connection.execute(
            "UPDATE settled SET last_no = ?1, newest_at = ?2",
            params![end.last_no, end.newest_at],
        )?;
        self.connection.execute_batch("COMMIT")?;
        Ok(())
    }
}
