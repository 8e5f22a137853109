//! What can be asked of the database, as of one moment.
//!
//! Owns the queries about single transactions, recovery, timers and definitions. Promises that a transaction
//! whose records have a gap shows it as damage of its own. Does not decode records: whoever asked does.
//! Lists and counts are `listing.rs`'s.

use std::cell::RefCell;
use std::collections::BTreeMap;

use amends_core::{DefinitionName, Mode, Partition, Partitions, StandingKind, Time, TransactionId};
use amends_journal::{Cursor, KeyEntry, Loaded, Page, Presence, Stored, StoredDefinition, Timer, record};
use bytes::Bytes;
use rusqlite::{Connection, Row, params};

use super::archive;
use super::failure::ReadError;
use super::late_index::numbers_of;
use super::names::{Hint, Name, Tag};
use super::schema::{
    self, NEVER, Nonsense, cursor_at, mode_of, number_after, standing_code, standing_of, time_code, time_of,
};

/// The database as of one moment.
pub(super) struct Look<'m> {
    pub(super) moment: &'m Connection,
    /// Those that came up already: most transactions of a list run the same few.
    definitions: RefCell<BTreeMap<i64, Runs>>,
}

/// What a definition's number stands for.
#[derive(Debug, Clone)]
pub(super) struct Runs {
    pub(super) mode: Mode,
    pub(super) definition: DefinitionName,
    pub(super) version: u32,
}

impl<'m> Look<'m> {
    pub(super) fn at(moment: &'m Connection) -> Self {
        Self { moment, definitions: RefCell::default() }
    }

    /// The hint is what memory said of the id before this moment began.
    pub(super) fn load(&self, id: TransactionId, hint: &Hint) -> Result<Loaded, ReadError> {
        let bytes = id.to_bytes();
        let live = self.first(
            "SELECT no, id, definition, standing, unreadable, wake_at FROM live WHERE id = ?1",
            [bytes.as_slice()],
            |row| self.live_row(row),
        )?;
        if let Some((no, live)) = live {
            return Ok(Loaded::Stored(self.with_records(no, live)?));
        }
        for no in self.numbers(hint)? {
            let given =
                "SELECT definition, standing, records, erased_at FROM ended WHERE no = ?1 AND id = ?2";
            if let Some(ended) =
                self.first(given, params![no, bytes.as_slice()], |row| self.ended_row(id, row))?
            {
                return Ok(Loaded::Stored(ended));
            }
            let reserved = "SELECT 1 FROM reserved WHERE no = ?1 AND id = ?2 AND id_given <> 0";
            if self.first(reserved, params![no, bytes.as_slice()], |_| Ok(()))?.is_some() {
                return Ok(Loaded::Removed);
            }
        }
        let made =
            "SELECT definition, standing, records, erased_at FROM ended WHERE id = ?1 AND id_given = 0";
        let made = self.first(made, [bytes.as_slice()], |row| self.ended_row(id, row))?;
        Ok(made.map_or(Loaded::Nothing, Loaded::Stored))
    }

    fn ended_row(&self, id: TransactionId, row: &Row<'_>) -> Result<Stored, ReadError> {
        let Runs { mode, definition, version } = self.definition(row.get(0)?)?;
        let records = archive::split(Bytes::copy_from_slice(row.get_ref(2)?.as_blob()?))
            .map_err(|Nonsense(details)| Nonsense(format!("the ended transaction {id}: {details}")))?;
        let standing = standing_of(row.get(1)?, None)?;
        let erased_at: Option<i64> = row.get(3)?;
        let erased_at = erased_at.map(time_of).transpose()?;
        Ok(Stored { id, mode, definition, version, standing, unreadable: None, erased_at, records })
    }

    /// Whoever has, or had, this name. The hint is what memory said of it before this moment began.
    pub(super) fn entry(&self, name: Name<'_>, hint: &Hint) -> Result<Option<KeyEntry>, ReadError> {
        if let Some(entry) = self.entry_beside_the_index(name)? {
            return Ok(Some(entry));
        }
        for no in self.numbers(hint)? {
            let entry = match name {
                Name::Id(id) => self.first(
                    "SELECT id, fingerprint, 0 FROM ended WHERE no = ?1 AND id = ?2
                     UNION ALL
                     SELECT id, fingerprint, 1 FROM reserved WHERE no = ?1 AND id = ?2 AND id_given <> 0",
                    params![no, id.to_bytes().as_slice()],
                    key_entry,
                ),
                Name::Key(key) => self.first(
                    "SELECT id, fingerprint, 0 FROM ended WHERE no = ?1 AND key = ?2
                     UNION ALL
                     SELECT id, fingerprint, 1 FROM reserved WHERE no = ?1 AND key = ?2",
                    params![no, key],
                    key_entry,
                ),
            };
            if let Some(entry) = entry? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// Live transactions, and ended ones whose id we made, have indexes of their own.
    fn entry_beside_the_index(&self, name: Name<'_>) -> Result<Option<KeyEntry>, ReadError> {
        match name {
            Name::Id(id) => self.first(
                "SELECT id, fingerprint, 0 FROM live WHERE id = ?1
                 UNION ALL SELECT id, fingerprint, 0 FROM ended WHERE id = ?1 AND id_given = 0",
                [id.to_bytes().as_slice()],
                key_entry,
            ),
            Name::Key(key) => {
                self.first("SELECT id, fingerprint, 0 FROM live WHERE key = ?1", [key], key_entry)
            }
        }
    }

    /// Whether no transaction has, or had, this name, as far as the database knows.
    pub(super) fn is_absent(&self, name: Name<'_>, hint: &Hint) -> Result<bool, ReadError> {
        Ok(self.numbers(hint)?.is_empty() && self.entry_beside_the_index(name)?.is_none())
    }

    /// The numbers that a name may lead to.
    pub(super) fn numbers(&self, hint: &Hint) -> Result<Vec<i64>, ReadError> {
        let Tag(tag) = hint.tag;
        let bucket = "SELECT pairs FROM named WHERE first <= ?1 ORDER BY first DESC LIMIT 1";
        let indexed =
            self.first(bucket, [tag], |row| Ok(numbers_of(row.get_ref(0)?.as_blob()?, hint.tag)?))?;
        let mut numbers = indexed.unwrap_or_default();
        numbers.extend(&hint.numbers);
        Ok(numbers)
    }

    pub(super) fn recoverable(
        &self,
        partitions: &Partitions,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Stored>, ReadError> {
        let limit = limit.max(1);
        // Not "standing is one of": a standing that nobody wrote must come up, and be an error, not be passed
        // over.
        let found = self.of_partitions(
            partitions,
            "SELECT no, id, definition, standing, unreadable, wake_at FROM live
             WHERE no > ?1 AND standing <> ?2 AND wake_at IS NULL ORDER BY no",
            params![number_after(cursor), standing_code(StandingKind::Parked)],
            limit.saturating_add(1),
            |row| self.live_row(row),
        )?;
        let Page { items: mut rows, next } = page(found, limit)?;
        self.read_records(&mut rows)?;
        Ok(Page { items: rows.into_iter().map(|(_, stored)| stored).collect(), next })
    }

    /// The first rows whose transaction is in one of these partitions; the row's second column is its id.
    fn of_partitions<T>(
        &self,
        partitions: &Partitions,
        sql: &str,
        parameters: impl rusqlite::Params,
        limit: usize,
        read: impl Fn(&Row<'_>) -> Result<T, ReadError>,
    ) -> Result<Vec<T>, ReadError> {
        let all = *partitions == Partitions::ALL;
        let mut statement = self.moment.prepare_cached(sql)?;
        let mut rows = statement.query(parameters)?;
        let mut found = Vec::new();
        while found.len() < limit
            && let Some(row) = rows.next()?
        {
            if all || partitions.contains(Partition::of(schema::id_of(row.get_ref(1)?.as_blob()?)?)) {
                found.push(read(row)?);
            }
        }
        Ok(found)
    }

    /// The records of a page of recovery, in one go.
    fn read_records(&self, page: &mut [(i64, Stored)]) -> Result<(), ReadError> {
        let (Some((first, _)), Some((last, _))) = (page.first(), page.last()) else { return Ok(()) };
        // By way of the transactions: those that sleep in between are not to be read.
        let mut statement = self.moment.prepare_cached(
            "SELECT record.no, seq, body FROM live CROSS JOIN record ON record.no = live.no
             WHERE live.no BETWEEN ?1 AND ?2 AND standing <> ?3 AND wake_at IS NULL ORDER BY record.no, seq",
        )?;
        let mut rows = statement.query(params![first, last, standing_code(StandingKind::Parked)])?;
        let mut place = 0;
        while let Some(row) = rows.next()? {
            let no: i64 = row.get(0)?;
            while page.get(place).is_some_and(|(other, _)| *other < no) {
                place += 1;
            }
            if let Some((other, stored)) = page.get_mut(place)
                && *other == no
            {
                push_record(&mut stored.records, no, row.get(1)?, row.get_ref(2)?.as_blob()?)?;
            }
        }
        for (_, stored) in page {
            end_records(stored);
        }
        Ok(())
    }

    pub(super) fn timers_due(
        &self,
        partitions: &Partitions,
        after: Timer,
        until: Time,
        limit: usize,
    ) -> Result<Vec<(Timer, TransactionId)>, ReadError> {
        let number = number_after(Some(Cursor(after.number)));
        self.of_partitions(
            partitions,
            "SELECT wake_at, id, no FROM live
             WHERE (wake_at, no) > (?1, ?2) AND wake_at <= ?3 AND wake_at < ?4 ORDER BY wake_at, no",
            params![time_code(after.at), number, time_code(until), NEVER],
            limit,
            |row| {
                let timer = Timer { at: time_of(row.get(0)?)?, number: schema::count_of(row.get(2)?)? };
                Ok((timer, schema::id_of(row.get_ref(1)?.as_blob()?)?))
            },
        )
    }

    pub(super) fn definitions(&self) -> Result<Vec<StoredDefinition>, ReadError> {
        self.all(
            "SELECT name, version, body, registered_at, retired_at FROM definition
             WHERE body IS NOT NULL ORDER BY name, version",
            [],
            |row| {
                let (name, version): (String, u32) = (row.get(0)?, row.get(1)?);
                let what = format!("{name} version {version}");
                let spec =
                    record::decode_definition(&what, Bytes::copy_from_slice(row.get_ref(2)?.as_blob()?))?;
                if spec.name().as_str() != name || spec.version() != version {
                    let holds = format!("{what} holds {} version {}", spec.name(), spec.version());
                    return Err(Nonsense(holds).into());
                }
                let retired_at: Option<i64> = row.get(4)?;
                Ok(StoredDefinition {
                    spec,
                    registered_at: time_of(row.get(3)?)?,
                    retired_at: retired_at.map(time_of).transpose()?,
                })
            },
        )
    }

    /// What a definition's number stands for.
    pub(super) fn definition(&self, no: i64) -> Result<Runs, ReadError> {
        if let Some(known) = self.definitions.borrow().get(&no) {
            return Ok(known.clone());
        }
        let found = self.first("SELECT mode, name, version FROM definition WHERE no = ?1", [no], |row| {
            let definition = DefinitionName::new(row.get::<_, String>(1)?);
            Ok(Runs { mode: mode_of(row.get(0)?)?, definition, version: row.get(2)? })
        })?;
        let found = found.ok_or_else(|| Nonsense(format!("there is no definition number {no}")))?;
        self.definitions.borrow_mut().insert(no, found.clone());
        Ok(found)
    }

    fn live_row(&self, row: &Row<'_>) -> Result<(i64, Stored), ReadError> {
        let Runs { mode, definition, version } = self.definition(row.get(2)?)?;
        let stored = Stored {
            id: schema::id_of(row.get_ref(1)?.as_blob()?)?,
            mode,
            definition,
            version,
            standing: standing_of(row.get(3)?, row.get(5)?)?,
            unreadable: row.get(4)?,
            erased_at: None,
            records: Vec::new(),
        };
        Ok((row.get(0)?, stored))
    }

    /// A gap in the records is filled with nothing, which no decoder takes for a record: the gap is this
    /// transaction's damage.
    fn with_records(&self, no: i64, mut stored: Stored) -> Result<Stored, ReadError> {
        stored.records = self.records_of(no)?;
        end_records(&mut stored);
        Ok(stored)
    }

    /// The records of a live transaction; one that is missing is empty.
    pub(super) fn records_of(&self, no: i64) -> Result<Vec<Bytes>, ReadError> {
        let mut statement =
            self.moment.prepare_cached("SELECT seq, body FROM record WHERE no = ?1 ORDER BY seq")?;
        let mut rows = statement.query([no])?;
        let mut records = Vec::new();
        while let Some(row) = rows.next()? {
            push_record(&mut records, no, row.get(0)?, row.get_ref(1)?.as_blob()?)?;
        }
        Ok(records)
    }

    pub(super) fn all<T>(
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

    pub(super) fn first<T>(
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

/// Id, fingerprint, whether it was removed.
fn key_entry(row: &Row<'_>) -> Result<KeyEntry, ReadError> {
    let id = schema::id_of(row.get_ref(0)?.as_blob()?)?;
    let fingerprint = schema::fingerprint_of(row.get_ref(1)?.as_blob_or_null()?)?;
    let presence = if row.get(2)? { Presence::Removed } else { Presence::Kept };
    Ok(KeyEntry { id, fingerprint, presence })
}

/// Adds a record; what is missing before it is filled with nothing.
fn push_record(records: &mut Vec<Bytes>, no: i64, sequence: i64, body: &[u8]) -> Result<(), Nonsense> {
    let sequence = schema::count_of(sequence)?;
    let missing = sequence.saturating_sub(records.len() as u64 + 1);
    if missing > GAP_MAX {
        return Err(Nonsense(format!("transaction number {no} has a record number {sequence}")));
    }
    records.extend((0..missing).map(|_| Bytes::new()));
    records.push(Bytes::copy_from_slice(body));
    Ok(())
}

/// One without a single record has at least a gap.
fn end_records(stored: &mut Stored) {
    if stored.records.is_empty() {
        stored.records.push(Bytes::new());
    }
}

/// Missing records in a row beyond which a transaction's damage is not spelled out any more: a number like
/// that is damaged itself, and must not make us fill memory.
const GAP_MAX: u64 = 1_000_000;

/// The first `limit` of rows that were asked for with one more, to know whether there is another page.
fn page<T>(mut rows: Vec<(i64, T)>, limit: usize) -> Result<Page<(i64, T)>, Nonsense> {
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|(no, _)| cursor_at(*no)).transpose()?;
    Ok(Page { items: rows, next })
}
