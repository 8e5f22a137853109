//! Everybody who only looks.
//!
//! Owns the reading connections and the queries. Promises to see what is committed and nothing else, each call as of one
//! moment, and never to wait for the writer. Does not decode records: whoever asked does, and learns what is damaged.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use amends_core::{DefinitionName, DefinitionSpec, SagaId, Status, Time};
use bytes::Bytes;
use rusqlite::types::FromSqlError;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, Transaction, params};

use crate::journal::{Cursor, Filter, JournalError, KeyEntry, Page, SagaSummary, StoredSaga};
use crate::limits::{BUSY_WAIT_MAX, READER_CACHE_KIB, READERS_MAX};
use crate::record;

use super::archive;
use super::schema::{
    self, NEVER, Nonsense, cursor_at, number_after, row_limit, status_code, status_of, time_code, time_of,
};

/// The pool of reading connections.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct Pool {
    idle: Vec<Connection>,
    open: usize,
}

/// What can go wrong while reading.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Nonsense(#[from] Nonsense),
    #[error(transparent)]
    Unreadable(#[from] record::Unreadable),
}

impl From<FromSqlError> for ReadError {
    fn from(error: FromSqlError) -> Self {
        Self::Sqlite(error.into())
    }
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, pool: Mutex::default(), returned: Condvar::new() }
    }

    /// Closes what is idle: whoever closes the database last tidies up, and that is to be the writer.
    pub(super) fn close(&self) {
        self.pool().idle.clear();
    }

    pub(super) fn load(&self, saga: SagaId) -> Result<Option<StoredSaga>, JournalError> {
        self.read(|look| match look.live_saga(saga)? {
            Some(live) => Ok(Some(live)),
            None => look.ended_saga(saga),
        })
    }

    pub(super) fn recoverable(
        &self,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<StoredSaga>, JournalError> {
        self.read(|look| look.recoverable(cursor, limit.max(1)))
    }

    pub(super) fn list(
        &self,
        filter: &Filter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<SagaSummary>, JournalError> {
        self.read(|look| look.list(filter, cursor, limit.max(1)))
    }

    pub(super) fn count(&self, filter: &Filter) -> Result<u64, JournalError> {
        self.read(|look| Ok(look.counts(filter)?.iter().map(|pair| pair.sagas).sum()))
    }

    pub(super) fn timers_due(&self, until: Time, limit: usize) -> Result<Vec<(Time, SagaId)>, JournalError> {
        self.read(|look| {
            look.all(
                "SELECT wake_at, id FROM saga WHERE wake_at <= ?1 AND wake_at < ?2 ORDER BY wake_at, no LIMIT ?3",
                params![time_code(until), NEVER, row_limit(limit)],
                |row| Ok((time_of(row.get(0)?)?, schema::id_of(row.get_ref(1)?.as_blob()?)?)),
            )
        })
    }

    pub(super) fn next_timer(&self) -> Result<Option<Time>, JournalError> {
        self.read(|look| {
            let sql = "SELECT wake_at FROM saga WHERE wake_at < ?1 ORDER BY wake_at LIMIT 1";
            look.first(sql, [NEVER], |row| Ok(time_of(row.get(0)?)?))
        })
    }

    pub(super) fn by_key(&self, key: &str) -> Result<Option<KeyEntry>, JournalError> {
        self.read(|look| {
            look.first("SELECT saga, fingerprint FROM start_key WHERE key = ?1", [key], |row| {
                let saga = schema::id_of(row.get_ref(0)?.as_blob()?)?;
                Ok(KeyEntry {
                    saga,
                    fingerprint: schema::fingerprint_of(row.get_ref(1)?.as_blob_or_null()?)?,
                })
            })
        })
    }

    pub(super) fn definitions(&self) -> Result<Vec<DefinitionSpec>, JournalError> {
        self.read(|look| {
            look.all(
                "SELECT name, version, body FROM definition WHERE body IS NOT NULL ORDER BY name, version",
                [],
                |row| {
                    let (name, version): (String, u32) = (row.get(0)?, row.get(1)?);
                    let frame = Bytes::copy_from_slice(row.get_ref(2)?.as_blob()?);
                    let spec = record::decode_definition(&format!("{name} version {version}"), frame)?;
                    if spec.name.as_str() == name && spec.version == version {
                        Ok(spec)
                    } else {
                        Err(Nonsense(format!(
                            "{name} version {version} holds {} version {}",
                            spec.name, spec.version
                        ))
                        .into())
                    }
                },
            )
        })
    }

    fn read<T>(&self, look: impl FnOnce(&Look<'_>) -> Result<T, ReadError>) -> Result<T, JournalError> {
        let mut borrowed = self.borrow().map_err(|error| self.error(error.into()))?;
        let result = borrowed.connection().transaction().map_err(ReadError::from).and_then(|moment| {
            let found = look(&Look { moment: &moment });
            moment.finish()?;
            found
        });
        drop(borrowed);
        result.map_err(|error| self.error(error))
    }

    fn borrow(&self) -> rusqlite::Result<Borrowed<'_>> {
        let mut pool = self.pool();
        loop {
            if let Some(connection) = pool.idle.pop() {
                return Ok(Borrowed { readers: self, connection: Some(connection) });
            }
            if pool.open < READERS_MAX {
                // Under the lock: opening is rare and quick, and counts only when it worked.
                let connection = open(&self.path)?;
                pool.open += 1;
                return Ok(Borrowed { readers: self, connection: Some(connection) });
            }
            pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        // Two counters and a list: nothing half-done can be seen.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, error: ReadError) -> JournalError {
        let path = self.path.display().to_string();
        match error {
            ReadError::Unreadable(unreadable) => unreadable.into(),
            ReadError::Nonsense(nonsense) => {
                JournalError::Damaged { what: path, details: nonsense.to_string() }
            }
            ReadError::Sqlite(error) if is_damage(&error) => {
                JournalError::Damaged { what: path, details: error.to_string() }
            }
            ReadError::Sqlite(error) => JournalError::Store { path, source: error.into() },
        }
    }
}

/// A connection on loan; it goes back even when a query panics.
struct Borrowed<'r> {
    readers: &'r Readers,
    connection: Option<Connection>,
}

impl Borrowed<'_> {
    fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("it is given back only by dropping")
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        self.readers.pool().idle.extend(self.connection.take());
        self.readers.returned.notify_one();
    }
}

/// Whether SQLite says that the file is not what was written. A value of another type than its column was not either.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        || matches!(
            error,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::Utf8Error(..)
        )
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT_MAX)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    Ok(connection)
}

/// The database as of one moment.
struct Look<'m> {
    moment: &'m Transaction<'m>,
}

/// How many sagas of one definition have one status.
struct Pair {
    definition: i64,
    status: Status,
    sagas: u64,
}

impl Look<'_> {
    fn all<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl Fn(&Row<'_>) -> Result<T, ReadError>,
    ) -> Result<Vec<T>, ReadError> {
        let mut statement = self.moment.prepare_cached(sql)?;
        let mut rows = statement.query(parameters)?;
        let mut items = Vec::new();
        while let Some(row) = rows.next()? {
            items.push(read(row)?);
        }
        Ok(items)
    }

    fn first<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl Fn(&Row<'_>) -> Result<T, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        let mut statement = self.moment.prepare_cached(sql)?;
        let mut rows = statement.query(parameters)?;
        rows.next()?.map(read).transpose()
    }

    fn live_saga(&self, saga: SagaId) -> Result<Option<StoredSaga>, ReadError> {
        let found = self.first(
            "SELECT saga.no, saga.id, definition.name, definition.version, saga.status, saga.unreadable
             FROM saga JOIN definition ON definition.no = saga.definition WHERE saga.id = ?1",
            [saga.to_bytes().as_slice()],
            live_row,
        )?;
        found.map(|(no, live)| self.with_records(no, live)).transpose()
    }

    fn ended_saga(&self, saga: SagaId) -> Result<Option<StoredSaga>, ReadError> {
        self.first(
            "SELECT definition.name, definition.version, ended.status, ended.records
             FROM ended JOIN definition ON definition.no = ended.definition WHERE ended.id = ?1",
            [saga.to_bytes().as_slice()],
            |row| {
                let records = Bytes::copy_from_slice(row.get_ref(3)?.as_blob()?);
                let records = archive::split(records)
                    .map_err(|Nonsense(details)| Nonsense(format!("the ended saga {saga}: {details}")))?;
                Ok(StoredSaga {
                    id: saga,
                    definition: DefinitionName::new(row.get::<_, String>(0)?),
                    version: row.get(1)?,
                    status: status_of(row.get(2)?)?,
                    unreadable: None,
                    records,
                })
            },
        )
    }

    fn recoverable(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page<StoredSaga>, ReadError> {
        // Not "status is one of": a status that nobody wrote must come up, and be an error, rather than be passed over.
        let found = self.all(
            "SELECT saga.no, saga.id, definition.name, definition.version, saga.status, saga.unreadable
             FROM saga JOIN definition ON definition.no = saga.definition
             WHERE saga.no > ?1 AND saga.status <> ?2 AND saga.wake_at IS NULL ORDER BY saga.no LIMIT ?3",
            params![number_after(cursor), status_code(Status::Failed), row_limit(limit.saturating_add(1))],
            live_row,
        )?;
        let Page { items, next } = page(found, limit)?;
        let items = items.into_iter().map(|(no, live)| self.with_records(no, live));
        Ok(Page { items: items.collect::<Result<_, _>>()?, next })
    }

    /// A gap in the records is filled with nothing, which no decoder takes for a record: the gap is this saga's damage.
    fn with_records(&self, no: i64, mut saga: StoredSaga) -> Result<StoredSaga, ReadError> {
        let mut statement =
            self.moment.prepare_cached("SELECT seq, body FROM record WHERE no = ?1 ORDER BY seq")?;
        let mut rows = statement.query([no])?;
        while let Some(row) = rows.next()? {
            let sequence = schema::count_of(row.get(0)?)?;
            let missing = sequence.saturating_sub(saga.records.len() as u64 + 1);
            if missing > GAP_MAX {
                return Err(Nonsense(format!("saga {} has a record number {sequence}", saga.id)).into());
            }
            saga.records.extend((0..missing).map(|_| Bytes::new()));
            saga.records.push(Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?));
        }
        if saga.records.is_empty() {
            saga.records.push(Bytes::new());
        }
        Ok(saga)
    }

    fn list(
        &self,
        filter: &Filter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<SagaSummary>, ReadError> {
        let before = cursor.map_or(i64::MAX, |cursor| number_after(Some(cursor)));
        let rows = row_limit(limit.saturating_add(1));
        let mut numbers = Vec::new();
        if filter == &Filter::default() {
            numbers.extend(self.numbers(
                "SELECT no FROM saga WHERE no < ?1 ORDER BY no DESC LIMIT ?2",
                params![before, rows],
            )?);
            numbers.extend(self.numbers(
                "SELECT no FROM ended WHERE no < ?1 ORDER BY no DESC LIMIT ?2",
                params![before, rows],
            )?);
        } else {
            // Only pairs that there are any sagas of: each is one short walk along its own stretch of an index.
            for pair in self.counts(filter)? {
                let sql = if pair.status.is_ended() {
                    "SELECT no FROM ended WHERE definition = ?3 AND status = ?4 AND no < ?1 ORDER BY no DESC LIMIT ?2"
                } else {
                    "SELECT no FROM saga WHERE definition = ?3 AND status = ?4 AND no < ?1 ORDER BY no DESC LIMIT ?2"
                };
                let parameters = params![before, rows, pair.definition, status_code(pair.status)];
                numbers.extend(self.numbers(sql, parameters)?);
            }
        }
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        let numbers = numbers.into_iter().map(|no| (no, no)).collect();
        let Page { items, next } = page(numbers, limit)?;
        let items = items.into_iter().map(|(no, _)| self.summary(no));
        Ok(Page { items: items.collect::<Result<_, _>>()?, next })
    }

    fn numbers(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<i64>, ReadError> {
        self.all(sql, parameters, |row| Ok(row.get(0)?))
    }

    fn summary(&self, no: i64) -> Result<SagaSummary, ReadError> {
        let found = self.first(
            "SELECT saga.id, definition.name, definition.version, saga.status, saga.started_at, NULL
             FROM saga JOIN definition ON definition.no = saga.definition WHERE saga.no = ?1
             UNION ALL
             SELECT ended.id, definition.name, definition.version, ended.status, ended.started_at, ended.ended_at
             FROM ended JOIN definition ON definition.no = ended.definition WHERE ended.no = ?1",
            [no],
            |row| {
                let ended_at: Option<i64> = row.get(5)?;
                Ok(SagaSummary {
                    id: schema::id_of(row.get_ref(0)?.as_blob()?)?,
                    definition: DefinitionName::new(row.get::<_, String>(1)?),
                    version: row.get(2)?,
                    status: status_of(row.get(3)?)?,
                    started_at: time_of(row.get(4)?)?,
                    ended_at: ended_at.map(time_of).transpose()?,
                })
            },
        )?;
        found.ok_or_else(|| Nonsense(format!("saga number {no} is in an index, but not in its table")).into())
    }

    /// The counts that match, without those of nothing.
    fn counts(&self, filter: &Filter) -> Result<Vec<Pair>, ReadError> {
        let name = filter.definition.as_ref().map(DefinitionName::as_str);
        self.all(
            "SELECT tally.definition, tally.status, tally.sagas
             FROM tally JOIN definition ON definition.no = tally.definition
             WHERE tally.sagas <> 0 AND (?1 IS NULL OR tally.status = ?1) AND (?2 IS NULL OR definition.name = ?2)",
            params![filter.status.map(status_code), name],
            |row| {
                let sagas = schema::count_of(row.get(2)?)?;
                Ok(Pair { definition: row.get(0)?, status: status_of(row.get(1)?)?, sagas })
            },
        )
    }
}

/// Missing records in a row beyond which a saga's damage is not spelled out any more: a number like that is damaged
/// itself, and must not make us fill memory.
const GAP_MAX: u64 = 1_000_000;

fn live_row(row: &Row<'_>) -> Result<(i64, StoredSaga), ReadError> {
    let saga = StoredSaga {
        id: schema::id_of(row.get_ref(1)?.as_blob()?)?,
        definition: DefinitionName::new(row.get::<_, String>(2)?),
        version: row.get(3)?,
        status: status_of(row.get(4)?)?,
        unreadable: row.get(5)?,
        records: Vec::new(),
    };
    Ok((row.get(0)?, saga))
}

/// The first `limit` of rows that were asked for with one more, to know whether there is another page.
fn page<T>(mut rows: Vec<(i64, T)>, limit: usize) -> Result<Page<(i64, T)>, Nonsense> {
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|(no, _)| cursor_at(*no)).transpose()?;
    Ok(Page { items: rows, next })
}
