//! One append: its condition, and the rows it touches.
//!
//! Owns the rules of starting, going on, ending and coming back. Promises that a condition is judged before anything is
//! written, by what the transaction has done so far, so that a conflict leaves the transaction as it was; and that an
//! append writes one record and touches the saga's row only when its status or timer changes. Does not commit.

use amends_core::{SagaId, Status};
use bytes::Bytes;

use crate::journal::{Append, AppendAnswer, Conflict, Expected, Fingerprint, KeyEntry, NewSaga, Wake};
use crate::limits::KEPT_BYTES_PER_SAGA_MAX;

use super::archive;
use super::live::{Kept, Live};
use super::schema::{self, status_code, status_of, time_code};
use super::writer::{WriteError, Writer};

/// An ended saga's row, taken out of the archive.
struct Ended {
    live: Live,
    ended_at: i64,
    records: Vec<Bytes>,
}

impl Writer<'_> {
    pub(super) fn append(&mut self, append: Append) -> Result<AppendAnswer, WriteError> {
        let bytes = append.record.len() as u64;
        let conflict = match &append.expected {
            Expected::New(new) => match self.conflict_of_start(append.saga, new)? {
                Some(entry) => Some(Conflict::Exists(entry)),
                None => self.start(append)?,
            },
            Expected::Sequence(expected) => {
                let expected = *expected;
                self.follow(expected, append)?
            }
        };
        Ok(match conflict {
            Some(conflict) => AppendAnswer::Conflict(conflict),
            None => {
                self.written.appends += 1;
                self.written.record_bytes += bytes;
                AppendAnswer::Committed
            }
        })
    }

    /// What stands in a start's way, live sagas aside: inserting tells about those. The key goes first: it is what
    /// the caller asked to be the same.
    fn conflict_of_start(&mut self, id: SagaId, new: &NewSaga) -> Result<Option<KeyEntry>, WriteError> {
        if let Some(key) = &new.key {
            let mut rows = self.statements.find_key.query([&key.0])?;
            if let Some(row) = rows.next()? {
                let saga = schema::id_of(row.get_ref(0)?.as_blob()?)?;
                let fingerprint = schema::fingerprint_of(row.get_ref(1)?.as_blob_or_null()?)?;
                return Ok(Some(KeyEntry { saga, fingerprint }));
            }
        }
        if new.id_given {
            let mut rows = self.statements.find_taken_id.query([id.to_bytes().as_slice()])?;
            if let Some(row) = rows.next()? {
                let fingerprint = schema::fingerprint_of(row.get_ref(0)?.as_blob_or_null()?)?;
                return Ok(Some(KeyEntry { saga: id, fingerprint }));
            }
        }
        Ok(None)
    }

    fn start(&mut self, append: Append) -> Result<Option<Conflict>, WriteError> {
        let Append { saga: id, expected: Expected::New(new), record, at, status, wake } = append else {
            unreachable!("only starts get here")
        };
        let status = status.unwrap_or(Status::Pending);
        let definition = self.definition_number(&new)?;
        let live = Live {
            no: self.last_no + 1,
            definition,
            status,
            started_at: time_code(at),
            id_given: new.id_given,
            key: new.key.map(|key| key.0),
            fingerprint: new.fingerprint,
            wake_at: wake_code(wake),
            is_unreadable: false,
            sequence: 1,
            kept: Kept::OnDisk,
        };
        // A saga that ends with its first record goes through the live table too, so that one rule judges its id.
        if !self.insert_live(id, &live, if status.is_ended() { Status::Pending } else { status })? {
            let existing = self.live_entry(id)?.expect("an id that cannot be inserted is there");
            return Ok(Some(Conflict::Exists(KeyEntry { saga: id, fingerprint: existing.fingerprint })));
        }
        self.last_no = live.no;
        if let Some(key) = &live.key {
            let insert = &mut self.statements.insert_key;
            insert.raw_bind_parameter(1, key)?;
            insert.raw_bind_parameter(2, id.to_bytes().as_slice())?;
            insert.raw_bind_parameter(3, fingerprint_bytes(&live.fingerprint))?;
            insert.raw_execute()?;
        }
        self.tally.moved(live.definition, None, Some(status));
        self.touched.push(id);
        if status.is_ended() {
            self.delete_live_row(live.no)?;
            self.insert_ended(id, &live, status, time_code(at), [record].iter())?;
        } else {
            self.insert_record(live.no, 1, &record)?;
            self.live.insert(id, Live { kept: Kept::first(record), ..live });
        }
        Ok(None)
    }

    fn follow(&mut self, expected: u64, append: Append) -> Result<Option<Conflict>, WriteError> {
        let Some(live) = self.live_entry(append.saga)? else { return self.follow_ended(expected, append) };
        if live.sequence != expected {
            return Ok(Some(Conflict::Sequence(Some(live.sequence))));
        }
        if append.status.is_some_and(Status::is_ended) {
            self.end(append)?;
        } else {
            self.go_on(append)?;
        }
        Ok(None)
    }

    /// A live saga stays live.
    fn go_on(&mut self, append: Append) -> Result<(), WriteError> {
        let live = self.live.get_mut(&append.saga).expect("the condition was judged on this entry");
        let status = append.status.unwrap_or(live.status);
        let wake_at = wake_code(append.wake);
        // Whoever changes the status has read the saga.
        let is_unreadable = live.is_unreadable && append.status.is_none();
        let row_changes = status != live.status || wake_at != live.wake_at;
        let becomes_readable = live.is_unreadable && !is_unreadable;
        self.tally.moved(live.definition, Some(live.status), Some(status));
        self.touched.push(append.saga);
        live.sequence += 1;
        live.status = status;
        live.wake_at = wake_at;
        live.is_unreadable = is_unreadable;
        let (no, sequence) = (live.no, live.sequence);
        live.kept.push(append.record.clone());
        if row_changes {
            self.update_live_row(no, status, wake_at)?;
        }
        if becomes_readable {
            let clear = &mut self.statements.clear_unreadable;
            clear.raw_bind_parameter(1, no)?;
            clear.raw_execute()?;
        }
        self.insert_record(no, sequence, &append.record)
    }

    /// A live saga goes to the archive. Its last record never sees the live tables.
    fn end(&mut self, append: Append) -> Result<(), WriteError> {
        let live = self.live.remove(&append.saga).expect("the condition was judged on this entry");
        self.touched.push(append.saga);
        let status = append.status.expect("only an append with a status ends a saga");
        self.tally.moved(live.definition, Some(live.status), Some(status));
        let read;
        let records = match &live.kept {
            Kept::All { records, .. } => records,
            Kept::OnDisk => {
                read = self.read_records(live.no, live.sequence)?;
                &read
            }
        };
        let ended_at = time_code(append.at);
        self.insert_ended(append.saga, &live, status, ended_at, records.iter().chain([&append.record]))?;
        let delete = &mut self.statements.delete_records;
        delete.raw_bind_parameter(1, live.no)?;
        delete.raw_execute()?;
        self.delete_live_row(live.no)
    }

    /// An ended saga gets one more record: it comes back to life (the verb `reverse`), or stays where it is.
    fn follow_ended(&mut self, expected: u64, append: Append) -> Result<Option<Conflict>, WriteError> {
        let Some(ended) = self.find_ended(append.saga)? else { return Ok(Some(Conflict::Sequence(None))) };
        if ended.live.sequence != expected {
            return Ok(Some(Conflict::Sequence(Some(ended.live.sequence))));
        }
        let Ended { mut live, ended_at, mut records } = ended;
        let id = append.saga;
        let status = append.status.unwrap_or(live.status);
        self.touched.push(id);
        self.tally.moved(live.definition, Some(live.status), Some(status));
        let delete = &mut self.statements.delete_ended;
        delete.raw_bind_parameter(1, live.no)?;
        delete.raw_execute()?;
        live.status = status;
        live.sequence += 1;
        records.push(append.record);
        if status.is_ended() {
            let ended_at = if append.status.is_some() { time_code(append.at) } else { ended_at };
            self.insert_ended(id, &live, status, ended_at, records.iter())?;
            return Ok(None);
        }
        live.wake_at = wake_code(append.wake);
        let inserted = self.insert_live(id, &live, status)?;
        assert!(inserted, "an id is live or ended, never both");
        for (record, sequence) in records.iter().zip(1..) {
            self.insert_record(live.no, sequence, record)?;
        }
        self.live.insert(id, live);
        Ok(None)
    }

    /// The live saga of this id, from memory or from the database.
    fn live_entry(&mut self, id: SagaId) -> Result<Option<&Live>, WriteError> {
        if !self.live.contains_key(&id) {
            let Some(read) = self.find_live(id)? else { return Ok(None) };
            self.live.insert(id, read);
            // It may rest: what came to nothing (a conflict) must not leave it in memory.
            self.touched.push(id);
        }
        Ok(self.live.get(&id))
    }

    pub(super) fn find_live(&mut self, id: SagaId) -> Result<Option<Live>, WriteError> {
        let mut rows = self.statements.find_saga.query([id.to_bytes().as_slice()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(Some(Live {
            no: row.get(0)?,
            definition: row.get(1)?,
            status: status_of(row.get(2)?)?,
            started_at: row.get(3)?,
            id_given: row.get(4)?,
            key: row.get(5)?,
            fingerprint: schema::fingerprint_of(row.get_ref(6)?.as_blob_or_null()?)?,
            wake_at: row.get(7)?,
            is_unreadable: row.get(8)?,
            // A saga without a single record cannot be: its start writes one.
            sequence: schema::count_of(row.get(9)?)?,
            kept: Kept::OnDisk,
        }))
    }

    fn find_ended(&mut self, id: SagaId) -> Result<Option<Ended>, WriteError> {
        let mut rows = self.statements.find_ended.query([id.to_bytes().as_slice()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let records = archive::split(Bytes::copy_from_slice(row.get_ref(8)?.as_blob()?))?;
        let live = Live {
            no: row.get(0)?,
            definition: row.get(1)?,
            status: status_of(row.get(2)?)?,
            started_at: row.get(3)?,
            id_given: row.get(5)?,
            key: row.get(6)?,
            fingerprint: schema::fingerprint_of(row.get_ref(7)?.as_blob_or_null()?)?,
            wake_at: None,
            is_unreadable: false,
            sequence: records.len() as u64,
            kept: Kept::OnDisk,
        };
        Ok(Some(Ended { live, ended_at: row.get(4)?, records }))
    }

    fn read_records(&mut self, no: i64, sequence: u64) -> Result<Vec<Bytes>, WriteError> {
        let mut records = Vec::new();
        let mut rows = self.statements.records.query([no])?;
        while let Some(row) = rows.next()? {
            records.push(Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?));
        }
        if records.len() as u64 == sequence {
            Ok(records)
        } else {
            Err(schema::Nonsense(format!("saga number {no} has {} records, not {sequence}", records.len()))
                .into())
        }
    }

    /// Whether the id was free.
    fn insert_live(&mut self, id: SagaId, live: &Live, status: Status) -> Result<bool, WriteError> {
        let insert = &mut self.statements.insert_saga;
        insert.raw_bind_parameter(1, live.no)?;
        insert.raw_bind_parameter(2, id.to_bytes().as_slice())?;
        insert.raw_bind_parameter(3, live.definition)?;
        insert.raw_bind_parameter(4, status_code(status))?;
        insert.raw_bind_parameter(5, live.started_at)?;
        insert.raw_bind_parameter(6, live.id_given)?;
        insert.raw_bind_parameter(7, live.key.as_deref())?;
        insert.raw_bind_parameter(8, fingerprint_bytes(&live.fingerprint))?;
        insert.raw_bind_parameter(9, live.wake_at)?;
        Ok(insert.raw_execute()? == 1)
    }

    fn update_live_row(&mut self, no: i64, status: Status, wake_at: Option<i64>) -> Result<(), WriteError> {
        let update = &mut self.statements.update_saga;
        update.raw_bind_parameter(1, no)?;
        update.raw_bind_parameter(2, status_code(status))?;
        update.raw_bind_parameter(3, wake_at)?;
        let changed = update.raw_execute()?;
        assert_eq!(changed, 1, "a live saga has one row");
        Ok(())
    }

    fn delete_live_row(&mut self, no: i64) -> Result<(), WriteError> {
        let delete = &mut self.statements.delete_saga;
        delete.raw_bind_parameter(1, no)?;
        let deleted = delete.raw_execute()?;
        assert_eq!(deleted, 1, "a live saga has one row");
        Ok(())
    }

    fn insert_record(&mut self, no: i64, sequence: u64, record: &Bytes) -> Result<(), WriteError> {
        let insert = &mut self.statements.insert_record;
        insert.raw_bind_parameter(1, no)?;
        insert.raw_bind_parameter(2, i64::try_from(sequence).expect("no saga has 2^63 records"))?;
        insert.raw_bind_parameter(3, record.as_ref())?;
        insert.raw_execute()?;
        Ok(())
    }

    fn insert_ended<'r>(
        &mut self,
        id: SagaId,
        live: &Live,
        status: Status,
        ended_at: i64,
        records: impl Iterator<Item = &'r Bytes>,
    ) -> Result<(), WriteError> {
        self.value.clear();
        for record in records {
            archive::push(&mut self.value, record);
        }
        let insert = &mut self.statements.insert_ended;
        insert.raw_bind_parameter(1, live.no)?;
        insert.raw_bind_parameter(2, id.to_bytes().as_slice())?;
        insert.raw_bind_parameter(3, live.definition)?;
        insert.raw_bind_parameter(4, status_code(status))?;
        insert.raw_bind_parameter(5, live.started_at)?;
        insert.raw_bind_parameter(6, ended_at)?;
        insert.raw_bind_parameter(7, live.id_given)?;
        insert.raw_bind_parameter(8, live.key.as_deref())?;
        insert.raw_bind_parameter(9, fingerprint_bytes(&live.fingerprint))?;
        insert.raw_bind_parameter(10, self.value.as_slice())?;
        insert.raw_execute()?;
        // One huge saga must not leave its size behind.
        self.value.shrink_to(KEPT_BYTES_PER_SAGA_MAX);
        Ok(())
    }

    fn definition_number(&mut self, new: &NewSaga) -> Result<i64, WriteError> {
        if let Some(number) = self.definitions.find(&new.definition, new.version) {
            return Ok(number);
        }
        let number = self.definitions.give(&new.definition, new.version);
        let insert = &mut self.statements.insert_definition;
        insert.raw_bind_parameter(1, number)?;
        insert.raw_bind_parameter(2, new.definition.as_str())?;
        insert.raw_bind_parameter(3, new.version)?;
        insert.raw_execute()?;
        Ok(number)
    }
}

fn wake_code(wake: Wake) -> Option<i64> {
    match wake {
        Wake::Awake => None,
        Wake::At(time) => Some(time_code(time)),
    }
}

fn fingerprint_bytes(fingerprint: &Option<Fingerprint>) -> Option<&[u8]> {
    fingerprint.as_ref().map(|fingerprint| fingerprint.0.as_slice())
}
