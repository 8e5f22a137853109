//! What can be asked of the database, as of one moment.
//!
//! Owns the reading queries. Promises that lists of sagas, live and ended together, come in the order of their starts,
//! and that a saga whose records have a gap shows it as damage of its own. Does not decode records: whoever asked does.

use std::cell::RefCell;
use std::collections::BTreeMap;

use amends_core::{DefinitionName, DefinitionSpec, Status, Time, TransactionId};
use amends_journal::record;
use amends_journal::{Cursor, Filter, KeyEntry, Page, SagaSummary, StoredSaga, Timer, Wake};
use bytes::Bytes;
use rusqlite::{Row, Transaction, params};

use super::archive;
use super::reader::ReadError;
use super::schema::{
    self, NEVER, Nonsense, cursor_at, number_after, row_limit, status_code, status_of, time_code, time_of,
};

/// The database as of one moment.
pub(super) struct Look<'m> {
    moment: &'m Transaction<'m>,
    /// Those that came up already: most sagas of a list run the same few.
    definitions: RefCell<BTreeMap<i64, (DefinitionName, u32)>>,
}

/// A saga's number and id, if that can be read.
pub(super) type Named = (i64, Result<TransactionId, Nonsense>);

/// How many sagas of one definition have one status.
struct Pair {
    definition: i64,
    status: Status,
    sagas: u64,
}

/// Which table a saga is in.
#[derive(Clone, Copy)]
enum Table {
    Live,
    Ended,
}

impl<'m> Look<'m> {
    pub(super) fn at(moment: &'m Transaction<'m>) -> Self {
        Self { moment, definitions: RefCell::default() }
    }

    /// `given_number` is what [`super::given_ids::GivenIds`] says of the id, asked before this moment began.
    pub(super) fn load(
        &self,
        saga: TransactionId,
        given_number: Option<i64>,
    ) -> Result<Option<StoredSaga>, ReadError> {
        let live = self.first(
            "SELECT no, id, definition, status, unreadable, wake_at FROM saga WHERE id = ?1",
            [saga.to_bytes().as_slice()],
            |row| self.live_row(row),
        )?;
        match live {
            Some((no, live)) => Ok(Some(self.with_records(no, live)?)),
            None => self.load_ended(saga, given_number),
        }
    }

    /// Whether a saga has, or had, this id.
    pub(super) fn is_taken(&self, id: TransactionId) -> Result<bool, ReadError> {
        let taken = self.first(
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM given_id WHERE id = ?1) OR EXISTS (SELECT 1 FROM saga WHERE id = ?1)
                OR EXISTS (SELECT 1 FROM ended WHERE id = ?1 AND id_given = 0)",
            [id.to_bytes().as_slice()],
            |_| Ok(()),
        )?;
        Ok(taken.is_some())
    }

    fn load_ended(
        &self,
        saga: TransactionId,
        given_number: Option<i64>,
    ) -> Result<Option<StoredSaga>, ReadError> {
        let bytes = saga.to_bytes();
        self.first(
            "SELECT definition, status, records FROM ended
             WHERE no = (SELECT max(no) FROM (
                        SELECT ?2 AS no UNION ALL SELECT no FROM given_id WHERE id = ?1
                        UNION ALL SELECT no FROM ended WHERE id = ?1 AND id_given = 0)) AND id = ?1",
            params![bytes.as_slice(), given_number],
            |row| {
                let (definition, version) = self.definition(row.get(0)?)?;
                let records = archive::split(Bytes::copy_from_slice(row.get_ref(2)?.as_blob()?))
                    .map_err(|Nonsense(details)| Nonsense(format!("the ended saga {saga}: {details}")))?;
                let status = status_of(row.get(1)?)?;
                Ok(StoredSaga {
                    id: saga,
                    definition,
                    version,
                    status,
                    wake: Wake::Awake,
                    unreadable: None,
                    records,
                })
            },
        )
    }

    pub(super) fn recoverable(
        &self,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<StoredSaga>, ReadError> {
        let limit = limit.max(1);
        // Not "status is one of": a status that nobody wrote must come up, and be an error, not be passed over.
        let found = self.all(
            "SELECT no, id, definition, status, unreadable, wake_at FROM saga
             WHERE no > ?1 AND status <> ?2 AND wake_at IS NULL ORDER BY no LIMIT ?3",
            params![number_after(cursor), status_code(Status::Failed), row_limit(limit.saturating_add(1))],
            |row| self.live_row(row),
        )?;
        let Page { items: mut rows, next } = page(found, limit)?;
        self.read_records(&mut rows)?;
        Ok(Page { items: rows.into_iter().map(|(_, saga)| saga).collect(), next })
    }

    /// Which sagas [`Look::recoverable`] would give, one more than `limit` if there are.
    pub(super) fn awake(&self, after: i64, limit: usize) -> Result<Vec<Named>, ReadError> {
        let walked = self.all(
            "SELECT no, id FROM saga WHERE no > ?1 AND status <> ?2 AND wake_at IS NULL ORDER BY no LIMIT ?3",
            params![after, status_code(Status::Failed), row_limit(limit.saturating_add(1))],
            named,
        );
        match walked {
            Err(error) if error.is_damage() => self.awake_past_damage(after, limit),
            walked => walked,
        }
    }

    /// As [`Look::awake`], when the table cannot be walked: the index of its ids has the numbers too, in pages of its own.
    /// Whom the table does not tell of is named, to be found damaged by whoever reads it.
    fn awake_past_damage(&self, after: i64, limit: usize) -> Result<Vec<Named>, ReadError> {
        let mut statement = self.moment.prepare_cached(
            "SELECT no, id FROM saga INDEXED BY sqlite_autoindex_saga_1 WHERE no > ?1 ORDER BY no",
        )?;
        let mut rows = statement.query([after])?;
        let mut found = Vec::new();
        while found.len() <= limit
            && let Some(row) = rows.next()?
        {
            let (no, id) = named(row)?;
            let is_awake = self.first(
                "SELECT status <> ?2 AND wake_at IS NULL FROM saga WHERE no = ?1",
                [no, status_code(Status::Failed)],
                |row| Ok(row.get(0)?),
            );
            match is_awake {
                Ok(Some(false)) => {}
                Ok(Some(true) | None) => found.push((no, id)),
                Err(error) if error.is_damage() => found.push((no, id)),
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// The status of a saga, if it is here.
    pub(super) fn status(&self, no: i64) -> Result<Option<Status>, ReadError> {
        let sql = "SELECT status FROM saga WHERE no = ?1 UNION ALL SELECT status FROM ended WHERE no = ?1";
        self.first(sql, [no], |row| Ok(status_of(row.get(0)?)?))
    }

    /// The records of a page of recovery, in one go.
    fn read_records(&self, sagas: &mut [(i64, StoredSaga)]) -> Result<(), ReadError> {
        let (Some((first, _)), Some((last, _))) = (sagas.first(), sagas.last()) else { return Ok(()) };
        // By way of the sagas: those that sleep in between are not to be read.
        let mut statement = self.moment.prepare_cached(
            "SELECT record.no, seq, body FROM saga CROSS JOIN record ON record.no = saga.no
             WHERE saga.no BETWEEN ?1 AND ?2 AND status <> ?3 AND wake_at IS NULL ORDER BY record.no, seq",
        )?;
        let mut rows = statement.query(params![first, last, status_code(Status::Failed)])?;
        let mut place = 0;
        while let Some(row) = rows.next()? {
            let no: i64 = row.get(0)?;
            while sagas.get(place).is_some_and(|(other, _)| *other < no) {
                place += 1;
            }
            if let Some((other, saga)) = sagas.get_mut(place)
                && *other == no
            {
                push_record(saga, row.get(1)?, row.get_ref(2)?.as_blob()?)?;
            }
        }
        for (_, saga) in sagas {
            end_records(saga);
        }
        Ok(())
    }

    pub(super) fn list(
        &self,
        filter: &Filter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<SagaSummary>, ReadError> {
        let limit = limit.max(1);
        let before = cursor.map_or(i64::MAX, |cursor| number_after(Some(cursor)));
        let Page { items, next } = page(self.numbered(filter, before, limit)?, limit)?;
        Ok(Page { items: items.into_iter().map(|(_, saga)| saga).collect(), next })
    }

    /// The first sagas of a list, one more than `limit` if there are, with their numbers.
    pub(super) fn numbered(
        &self,
        filter: &Filter,
        before: i64,
        limit: usize,
    ) -> Result<Vec<(i64, SagaSummary)>, ReadError> {
        let rows = row_limit(limit.saturating_add(1));
        let mut found = Vec::new();
        if *filter == Filter::default() {
            for (table, sql) in [
                (Table::Live, "SELECT no FROM saga WHERE no < ?1 ORDER BY no DESC LIMIT ?2"),
                (Table::Ended, "SELECT no FROM ended WHERE no < ?1 ORDER BY no DESC LIMIT ?2"),
            ] {
                self.find(table, sql, params![before, rows], &mut found)?;
            }
        } else {
            // Only pairs that there are any sagas of: each is one short walk along its own stretch of an index.
            for pair in self.counts(filter)? {
                let (table, sql) = match pair.status.is_ended() {
                    false => (
                        Table::Live,
                        "SELECT no FROM saga WHERE definition = ?3 AND status = ?4 AND no < ?1
                         ORDER BY no DESC LIMIT ?2",
                    ),
                    true => (
                        Table::Ended,
                        "SELECT no FROM ended WHERE definition = ?3 AND status = ?4 AND no < ?1
                         ORDER BY no DESC LIMIT ?2",
                    ),
                };
                let parameters = params![before, rows, pair.definition, status_code(pair.status)];
                self.find(table, sql, parameters, &mut found)?;
            }
        }
        found.sort_unstable_by_key(|(no, _)| std::cmp::Reverse(*no));
        found.truncate(limit.saturating_add(1));
        found.into_iter().map(|(no, table)| Ok((no, self.summary(no, table)?))).collect()
    }

    fn find(
        &self,
        table: Table,
        sql: &str,
        parameters: impl rusqlite::Params,
        found: &mut Vec<(i64, Table)>,
    ) -> Result<(), ReadError> {
        found.extend(self.all(sql, parameters, |row| Ok((row.get(0)?, table)))?);
        Ok(())
    }

    fn summary(&self, no: i64, table: Table) -> Result<SagaSummary, ReadError> {
        let sql = match table {
            Table::Live => "SELECT id, definition, status, started_at, NULL FROM saga WHERE no = ?1",
            Table::Ended => "SELECT id, definition, status, started_at, ended_at FROM ended WHERE no = ?1",
        };
        let found = self.first(sql, [no], |row| {
            let (definition, version) = self.definition(row.get(1)?)?;
            let ended_at: Option<i64> = row.get(4)?;
            Ok(SagaSummary {
                id: schema::id_of(row.get_ref(0)?.as_blob()?)?,
                definition,
                version,
                status: status_of(row.get(2)?)?,
                started_at: time_of(row.get(3)?)?,
                ended_at: ended_at.map(time_of).transpose()?,
            })
        })?;
        found.ok_or_else(|| Nonsense(format!("saga number {no} is in an index, but not in its table")).into())
    }

    /// The last batch of the log whose every record is here.
    pub(super) fn settled(&self) -> Result<u64, ReadError> {
        Ok(schema::settled(self.moment)??)
    }

    pub(super) fn count(&self, filter: &Filter) -> Result<u64, ReadError> {
        Ok(self.counts(filter)?.iter().map(|pair| pair.sagas).sum())
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

    pub(super) fn timers_due(
        &self,
        after: Timer,
        until: Time,
        limit: usize,
    ) -> Result<Vec<(Timer, TransactionId)>, ReadError> {
        let number = number_after(Some(Cursor(after.number)));
        self.all(
            "SELECT wake_at, no, id FROM saga
             WHERE (wake_at, no) > (?1, ?2) AND wake_at <= ?3 AND wake_at < ?4 ORDER BY wake_at, no LIMIT ?5",
            params![time_code(after.at), number, time_code(until), NEVER, row_limit(limit)],
            |row| {
                let timer = Timer { at: time_of(row.get(0)?)?, number: schema::count_of(row.get(1)?)? };
                Ok((timer, schema::id_of(row.get_ref(2)?.as_blob()?)?))
            },
        )
    }

    pub(super) fn by_key(&self, key: &str) -> Result<Option<KeyEntry>, ReadError> {
        self.first("SELECT saga, fingerprint FROM start_key WHERE key = ?1", [key], |row| {
            let saga = schema::id_of(row.get_ref(0)?.as_blob()?)?;
            Ok(KeyEntry { saga, fingerprint: schema::fingerprint_of(row.get_ref(1)?.as_blob_or_null()?)? })
        })
    }

    pub(super) fn definitions(&self) -> Result<Vec<DefinitionSpec>, ReadError> {
        self.all(
            "SELECT name, version, body FROM definition WHERE body IS NOT NULL ORDER BY name, version",
            [],
            |row| {
                let (name, version): (String, u32) = (row.get(0)?, row.get(1)?);
                let what = format!("{name} version {version}");
                let spec =
                    record::decode_definition(&what, Bytes::copy_from_slice(row.get_ref(2)?.as_blob()?))?;
                if spec.name.as_str() == name && spec.version == version {
                    Ok(spec)
                } else {
                    Err(Nonsense(format!("{what} holds {} version {}", spec.name, spec.version)).into())
                }
            },
        )
    }

    /// A definition's name and version.
    fn definition(&self, no: i64) -> Result<(DefinitionName, u32), ReadError> {
        if let Some(known) = self.definitions.borrow().get(&no) {
            return Ok(known.clone());
        }
        let found = self.first("SELECT name, version FROM definition WHERE no = ?1", [no], |row| {
            Ok((DefinitionName::new(row.get::<_, String>(0)?), row.get(1)?))
        })?;
        let found = found.ok_or_else(|| Nonsense(format!("there is no definition number {no}")))?;
        self.definitions.borrow_mut().insert(no, found.clone());
        Ok(found)
    }

    fn live_row(&self, row: &Row<'_>) -> Result<(i64, StoredSaga), ReadError> {
        let (definition, version) = self.definition(row.get(2)?)?;
        let wake_at: Option<i64> = row.get(5)?;
        let saga = StoredSaga {
            id: schema::id_of(row.get_ref(1)?.as_blob()?)?,
            definition,
            version,
            status: status_of(row.get(3)?)?,
            wake: wake_at.map(time_of).transpose()?.map_or(Wake::Awake, Wake::At),
            unreadable: row.get(4)?,
            records: Vec::new(),
        };
        Ok((row.get(0)?, saga))
    }

    /// A gap in the records is filled with nothing, which no decoder takes for a record: the gap is this saga's damage.
    fn with_records(&self, no: i64, mut saga: StoredSaga) -> Result<StoredSaga, ReadError> {
        let mut statement =
            self.moment.prepare_cached("SELECT seq, body FROM record WHERE no = ?1 ORDER BY seq")?;
        let mut rows = statement.query([no])?;
        while let Some(row) = rows.next()? {
            push_record(&mut saga, row.get(0)?, row.get_ref(1)?.as_blob()?)?;
        }
        end_records(&mut saga);
        Ok(saga)
    }

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
}

fn named(row: &Row<'_>) -> Result<Named, ReadError> {
    let no = row.get(0)?;
    let id = schema::id_of(row.get_ref(1)?.as_blob()?);
    Ok((no, id.map_err(|Nonsense(why)| Nonsense(format!("live saga number {no}: {why}")))))
}

/// Adds a record; what is missing before it is filled with nothing.
fn push_record(saga: &mut StoredSaga, sequence: i64, body: &[u8]) -> Result<(), Nonsense> {
    let sequence = schema::count_of(sequence)?;
    let missing = sequence.saturating_sub(saga.records.len() as u64 + 1);
    if missing > GAP_MAX {
        return Err(Nonsense(format!("saga {} has a record number {sequence}", saga.id)));
    }
    saga.records.extend((0..missing).map(|_| Bytes::new()));
    saga.records.push(Bytes::copy_from_slice(body));
    Ok(())
}

/// A saga without a single record has at least a gap.
fn end_records(saga: &mut StoredSaga) {
    if saga.records.is_empty() {
        saga.records.push(Bytes::new());
    }
}

/// Missing records in a row beyond which a saga's damage is not spelled out any more: a number like that is damaged
/// itself, and must not make us fill memory.
const GAP_MAX: u64 = 1_000_000;

/// The first `limit` of rows that were asked for with one more, to know whether there is another page.
pub(super) fn page<T>(mut rows: Vec<(i64, T)>, limit: usize) -> Result<Page<(i64, T)>, Nonsense> {
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|(no, _)| cursor_at(*no)).transpose()?;
    Ok(Page { items: rows, next })
}
