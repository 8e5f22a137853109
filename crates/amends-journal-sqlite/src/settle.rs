//! Transactions as the database is to have them.
//!
//! Owns the rows that one has: live or ended, its records, its key, its place in the counts. Promises to
//! write what came together in one go: one that started and ended since the last round costs one row, and no
//! row is rewritten from step to step. Does not judge anything: the log has it, so it is true. Does not
//! commit.

use bytes::Bytes;

use crate::limits::ARCHIVE_BUFFER_KEPT_BYTES;

use super::archive;
use super::failure::WriteError;
use super::known::{Held, Origin, Row};
use super::labels;
use super::names::Name;
use super::schema::{Nonsense, count_of, mode_code, standing_code, wake_code};
use super::settler::Settler;

impl Settler<'_> {
    pub(super) fn settle_row(&mut self, row: &Row) -> Result<(), WriteError> {
        let definition = self.definition_number(&row.origin)?;
        self.tally.moved(
            definition,
            row.before.map(|before| before.standing.kind()),
            Some(row.standing.kind()),
        );
        if row.before.is_none() {
            self.list_under_labels(&row.origin)?;
        }
        let was_ended = row.before.is_some_and(|before| before.standing.is_ended());
        match (row.before, row.standing.is_ended()) {
            (None, true) => self.insert_ended(row, definition, &[]),
            (None, false) => {
                self.insert_live(row, definition)?;
                self.insert_records(row.origin.no, 1, &row.tail)
            }
            (Some(before), false) if !was_ended => {
                self.update_live(row, before)?;
                self.insert_records(row.origin.no, before.sequence + 1, &row.tail)
            }
            (Some(before), true) if !was_ended => {
                let records = self.live_records(row.origin.no, before.sequence)?;
                self.delete_live(row.origin.no)?;
                self.insert_ended(row, definition, &records)
            }
            // An ended one comes back to life (the verb `reverse`), or gets one more record where it is.
            (Some(_), is_ended) => {
                let records = self.archived_records(row.origin.no)?;
                self.delete_ended(row.origin.no)?;
                if is_ended {
                    return self.insert_ended(row, definition, &records);
                }
                self.insert_live(row, definition)?;
                self.insert_records(row.origin.no, 1, &records)?;
                self.insert_records(row.origin.no, records.len() as u64 + 1, &row.tail)
            }
        }
    }

    /// Makes a new one be found by what it has from its start.
    fn list_under_labels(&mut self, origin: &Origin) -> Result<(), WriteError> {
        self.spans.widen(origin.no, origin.started_at);
        for (key, value) in origin.tags().into_iter().flatten() {
            let insert = &mut self.statements.insert_tagged;
            insert.raw_bind_parameter(1, labels::tag(key, value))?;
            insert.raw_bind_parameter(2, origin.no)?;
            insert.raw_execute()?;
        }
        if let Some(parent) = origin.parent() {
            let insert = &mut self.statements.insert_child;
            insert.raw_bind_parameter(1, parent.to_bytes().as_slice())?;
            insert.raw_bind_parameter(2, origin.no)?;
            insert.raw_execute()?;
        }
        Ok(())
    }

    fn insert_live(&mut self, row: &Row, definition: i64) -> Result<(), WriteError> {
        let insert = &mut self.statements.insert_live;
        insert.raw_bind_parameter(1, row.origin.no)?;
        insert.raw_bind_parameter(2, row.origin.id.to_bytes().as_slice())?;
        insert.raw_bind_parameter(3, definition)?;
        insert.raw_bind_parameter(4, standing_code(row.standing.kind()))?;
        insert.raw_bind_parameter(5, row.origin.started_at)?;
        insert.raw_bind_parameter(6, row.origin.id_given)?;
        insert.raw_bind_parameter(7, row.origin.key())?;
        insert.raw_bind_parameter(8, fingerprint(row))?;
        let (tags, parent) = labels_of(&row.origin);
        insert.raw_bind_parameter(9, tags)?;
        insert.raw_bind_parameter(10, parent)?;
        insert.raw_bind_parameter(11, wake_code(row.standing))?;
        insert.raw_execute()?;
        Ok(())
    }

    /// The row is touched only when something in it changes.
    fn update_live(&mut self, row: &Row, before: Held) -> Result<(), WriteError> {
        if row.standing != before.standing {
            let update = &mut self.statements.update_live;
            update.raw_bind_parameter(1, row.origin.no)?;
            update.raw_bind_parameter(2, standing_code(row.standing.kind()))?;
            update.raw_bind_parameter(3, wake_code(row.standing))?;
            expect_one(row.origin.no, update.raw_execute()?)?;
        }
        if row.clears_mark {
            let clear = &mut self.statements.clear_unreadable;
            clear.raw_bind_parameter(1, row.origin.no)?;
            expect_one(row.origin.no, clear.raw_execute()?)?;
        }
        Ok(())
    }

    fn insert_records(&mut self, no: i64, first: u64, records: &[Bytes]) -> Result<(), WriteError> {
        for (record, sequence) in records.iter().zip(first..) {
            let insert = &mut self.statements.insert_record;
            insert.raw_bind_parameter(1, no)?;
            insert
                .raw_bind_parameter(2, i64::try_from(sequence).expect("no transaction has 2^63 records"))?;
            insert.raw_bind_parameter(3, record.as_ref())?;
            insert.raw_execute()?;
        }
        Ok(())
    }

    fn live_records(&mut self, no: i64, count: u64) -> Result<Vec<Bytes>, WriteError> {
        let mut records = Vec::new();
        let mut rows = self.statements.records.query([no])?;
        while let Some(row) = rows.next()? {
            // A gap is this transaction's damage: it goes along as a record that no decoder takes for one.
            let sequence = count_of(row.get(0)?)?;
            let missing = sequence.min(count).saturating_sub(records.len() as u64 + 1);
            records.extend((0..missing).map(|_| Bytes::new()));
            records.push(Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?));
        }
        if records.len() as u64 == count {
            Ok(records)
        } else {
            Err(Nonsense(format!("transaction number {no} has {} records, not {count}", records.len()))
                .into())
        }
    }

    fn archived_records(&mut self, no: i64) -> Result<Vec<Bytes>, WriteError> {
        let mut rows = self.statements.archived_records.query([no])?;
        let row =
            rows.next()?.ok_or_else(|| Nonsense(format!("the ended transaction number {no} is gone")))?;
        Ok(archive::split(Bytes::copy_from_slice(row.get_ref(0)?.as_blob()?))?)
    }

    fn delete_live(&mut self, no: i64) -> Result<(), WriteError> {
        let records = &mut self.statements.delete_records;
        records.raw_bind_parameter(1, no)?;
        records.raw_execute()?;
        let live = &mut self.statements.delete_live;
        live.raw_bind_parameter(1, no)?;
        expect_one(no, live.raw_execute()?)
    }

    fn delete_ended(&mut self, no: i64) -> Result<(), WriteError> {
        let delete = &mut self.statements.delete_ended;
        delete.raw_bind_parameter(1, no)?;
        expect_one(no, delete.raw_execute()?)
    }

    /// Its records are those given and then its tail.
    fn insert_ended(&mut self, row: &Row, definition: i64, records: &[Bytes]) -> Result<(), WriteError> {
        self.value.clear();
        for record in records.iter().chain(&row.tail) {
            archive::push(&mut self.value, record);
        }
        let insert = &mut self.statements.insert_ended;
        insert.raw_bind_parameter(1, row.origin.no)?;
        insert.raw_bind_parameter(2, row.origin.id.to_bytes().as_slice())?;
        insert.raw_bind_parameter(3, definition)?;
        insert.raw_bind_parameter(4, standing_code(row.standing.kind()))?;
        insert.raw_bind_parameter(5, row.origin.started_at)?;
        insert.raw_bind_parameter(6, row.ended_at)?;
        insert.raw_bind_parameter(7, row.origin.id_given)?;
        insert.raw_bind_parameter(8, row.origin.key())?;
        insert.raw_bind_parameter(9, fingerprint(row))?;
        let (tags, parent) = labels_of(&row.origin);
        insert.raw_bind_parameter(10, tags)?;
        insert.raw_bind_parameter(11, parent)?;
        insert.raw_bind_parameter(12, self.value.as_slice())?;
        insert.raw_execute()?;
        let Origin { id, no, id_given, .. } = &*row.origin;
        let id = id_given.then_some(Name::Id(*id));
        for name in id.into_iter().chain(row.origin.key().map(Name::Key)) {
            let names = &self.shared.names;
            self.late_index.note(names, (names.tags.of(name), *no));
        }
        // One that is huge must not leave its size behind.
        self.value.shrink_to(ARCHIVE_BUFFER_KEPT_BYTES);
        Ok(())
    }

    fn definition_number(&mut self, origin: &Origin) -> Result<i64, WriteError> {
        let Origin { mode, definition, version, .. } = origin;
        if let Some(number) = self.definitions.find(*mode, definition, *version) {
            return Ok(number);
        }
        let number = self.definitions.give(*mode, definition, *version);
        let insert = &mut self.statements.insert_definition;
        insert.raw_bind_parameter(1, number)?;
        insert.raw_bind_parameter(2, mode_code(*mode))?;
        insert.raw_bind_parameter(3, definition.as_str())?;
        insert.raw_bind_parameter(4, version)?;
        insert.raw_execute()?;
        Ok(number)
    }
}

/// A row that is not where it was: somebody else wrote to the database.
fn expect_one(no: i64, rows: usize) -> Result<(), WriteError> {
    if rows == 1 { Ok(()) } else { Err(Nonsense(format!("transaction number {no} has {rows} rows")).into()) }
}

fn labels_of(origin: &Origin) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    (origin.tags().map(labels::encode), origin.parent().map(|parent| parent.to_bytes().to_vec()))
}

fn fingerprint(row: &Row) -> Option<&[u8]> {
    row.origin.chosen.as_ref()?.fingerprint.as_ref().map(|fingerprint| fingerprint.0.as_slice())
}
