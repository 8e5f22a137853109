//! What the committer asks the database.
//!
//! Owns a reading connection and the few questions about single sagas, ids and keys. Promises the database's answer as of
//! the first question since [`Lookup::end`]: of a saga that `sagas.rs` does not know, that is all there is. Does not write.

use std::sync::Arc;

use amends_core::{DefinitionName, TransactionId};
use amends_journal::KeyEntry;
use rusqlite::{Connection, Result, Row, Statement, params};

use super::archive;
use super::given_ids::GivenIds;
use super::sagas::{Chosen, Known, Origin, Stored};
use super::schema::{self, status_of};
use super::settler::WriteError;

pub(super) struct Lookup<'c> {
    begin: Statement<'c>,
    end: Statement<'c>,
    /// Whether the answers are as of one moment, which began with the first of them.
    has_begun: bool,
    live: Statement<'c>,
    given_ids: &'c GivenIds,
    given_id: Statement<'c>,
    /// By an id that we made.
    made: Statement<'c>,
    /// By number and an id that was given.
    given: Statement<'c>,
    taken_id: Statement<'c>,
    key: Statement<'c>,
}

impl<'c> Lookup<'c> {
    pub(super) fn prepare(connection: &'c Connection, given_ids: &'c GivenIds) -> Result<Self> {
        let ended = |which: &str| {
            connection.prepare(&format!(
                "SELECT ended.no, name, version, status, started_at, id_given, key, fingerprint, ended_at, records
                 FROM ended JOIN definition ON definition.no = ended.definition WHERE {which}"
            ))
        };
        Ok(Self {
            given_ids,
            given_id: connection.prepare("SELECT no FROM given_id WHERE id = ?1")?,
            made: ended("id = ?1 AND id_given = 0")?,
            given: ended("ended.no = ?2 AND id = ?1")?,
            begin: connection.prepare("BEGIN")?,
            end: connection.prepare("COMMIT")?,
            has_begun: false,
            live: connection.prepare(
                "SELECT saga.no, name, version, status, started_at, id_given, key, fingerprint, wake_at,
                        unreadable IS NOT NULL, (SELECT max(seq) FROM record WHERE record.no = saga.no)
                 FROM saga JOIN definition ON definition.no = saga.definition WHERE id = ?1",
            )?,
            taken_id: connection.prepare(
                "SELECT fingerprint FROM saga WHERE id = ?1
                 UNION ALL SELECT fingerprint FROM ended WHERE no = ?2 AND id = ?1
                 UNION ALL SELECT fingerprint FROM ended WHERE id = ?1 AND id_given = 0
                 UNION ALL SELECT fingerprint FROM reserved WHERE no = ?2 AND id = ?1",
            )?,
            key: connection.prepare("SELECT saga, fingerprint FROM start_key WHERE key = ?1")?,
        })
    }

    /// Answers are as of one moment from here on until [`Lookup::end`]: taking a moment is dearer than most answers.
    fn begin(&mut self) -> Result<()> {
        if !self.has_begun {
            self.begin.raw_execute()?;
            self.has_begun = true;
        }
        Ok(())
    }

    /// Lets the moment go. To be called before anything is forgotten that the database has by now.
    pub(super) fn end(&mut self) -> Result<()> {
        if std::mem::take(&mut self.has_begun) {
            self.end.raw_execute()?;
        }
        Ok(())
    }

    /// The saga of this id, live or ended.
    pub(super) fn saga(&mut self, id: TransactionId) -> std::result::Result<Option<Known>, WriteError> {
        self.begin()?;
        let bytes = id.to_bytes();
        let mut rows = self.live.query([bytes.as_slice()])?;
        if let Some(row) = rows.next()? {
            // A saga without a single record cannot be: its start writes one.
            let sequence = schema::count_of(row.get(10)?)?;
            let wake_at = row.get(8)?;
            return Ok(Some(Known { is_unreadable: row.get(9)?, ..known(id, row, sequence, wake_at, 0)? }));
        }
        drop(rows);
        let mut rows = match self.given_number(id)? {
            Some(no) => self.given.query(params![bytes.as_slice(), no])?,
            None => self.made.query([bytes.as_slice()])?,
        };
        let Some(row) = rows.next()? else { return Ok(None) };
        let sequence = archive::count(row.get_ref(9)?.as_blob()?)?;
        Ok(Some(known(id, row, sequence, None, row.get(8)?)?))
    }

    /// The number of the newest ended saga that was given this id; it may have been removed, and its reservation too.
    fn given_number(&mut self, id: TransactionId) -> std::result::Result<Option<i64>, WriteError> {
        let in_memory = self.given_ids.number(id);
        let bytes = id.to_bytes();
        let mut rows = self.given_id.query([bytes.as_slice()])?;
        let in_index = rows.next()?.map(|row| row.get(0)).transpose()?;
        Ok(in_memory.max(in_index))
    }

    /// Whoever has, or had, this id.
    pub(super) fn taken_id(
        &mut self,
        id: TransactionId,
    ) -> std::result::Result<Option<KeyEntry>, WriteError> {
        self.begin()?;
        let bytes = id.to_bytes();
        let given_number = self.given_number(id)?;
        let mut rows = self.taken_id.query(params![bytes.as_slice(), given_number])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let fingerprint = schema::fingerprint_of(row.get_ref(0)?.as_blob_or_null()?)?;
        Ok(Some(KeyEntry { saga: id, fingerprint }))
    }

    /// Whoever was started with this key.
    pub(super) fn key(&mut self, key: &str) -> std::result::Result<Option<KeyEntry>, WriteError> {
        self.begin()?;
        let mut rows = self.key.query([key])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let saga = schema::id_of(row.get_ref(0)?.as_blob()?)?;
        Ok(Some(KeyEntry { saga, fingerprint: schema::fingerprint_of(row.get_ref(1)?.as_blob_or_null()?)? }))
    }
}

/// The first eight columns are the same for both.
fn known(
    id: TransactionId,
    row: &Row<'_>,
    sequence: u64,
    wake_at: Option<i64>,
    ended_at: i64,
) -> std::result::Result<Known, WriteError> {
    let status = status_of(row.get(3)?)?;
    Ok(Known {
        origin: Arc::new(Origin {
            id,
            no: row.get(0)?,
            definition: DefinitionName::new(row.get::<_, String>(1)?),
            version: row.get(2)?,
            started_at: row.get(4)?,
            id_given: row.get(5)?,
            chosen: Chosen::of(row.get(6)?, schema::fingerprint_of(row.get_ref(7)?.as_blob_or_null()?)?),
        }),
        status,
        ended_at,
        wake_at,
        is_unreadable: false,
        clears_mark: false,
        sequence,
        stored: Some(Stored { status, wake_at, sequence }),
        tail: Vec::new(),
        settling: None,
        dirty_since: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::look::Look;

    /// What memory knows of an id may be out of date, or never have been committed.
    #[test]
    fn the_newest_of_what_memory_and_the_index_know_is_found() {
        let id = TransactionId::from_parts(7, 7);
        let database = Connection::open_in_memory().unwrap();
        schema::create(&database).unwrap();
        database
            .execute_batch(&format!(
                "INSERT INTO definition (no, name, version) VALUES (1, 'Test', 1);
                 INSERT INTO ended VALUES (9, x'{0}', 1, 4, 0, 0, 1, NULL, NULL, x'0100000061');
                 INSERT INTO given_id VALUES (x'{0}', 9)",
                hex(id)
            ))
            .unwrap();
        for in_memory in [None, Some(5), Some(-5), Some(9)] {
            check_found(&database, id, in_memory);
        }
        // Saga 12 was started when nothing was left of the other; the index is still to hear of it.
        database.execute_batch("UPDATE ended SET no = 12").unwrap();
        check_found(&database, id, Some(12));
        // Its removal is committed, and that its reservation is forgotten is not.
        database
            .execute_batch("INSERT INTO reserved SELECT no, id, NULL, 0 FROM ended; DELETE FROM ended")
            .unwrap();
        let given_ids = GivenIds::with([(id, -12)]);
        assert!(Lookup::prepare(&database, &given_ids).unwrap().taken_id(id).unwrap().is_some());
    }

    fn check_found(database: &Connection, id: TransactionId, in_memory: Option<i64>) {
        let given_ids = GivenIds::with(in_memory.map(|no| (id, no)));
        let mut lookup = Lookup::prepare(database, &given_ids).unwrap();
        assert!(lookup.taken_id(id).unwrap().is_some(), "{in_memory:?}");
        assert!(lookup.saga(id).unwrap().is_some(), "{in_memory:?}");
        lookup.end().unwrap();
        drop(lookup);
        let moment = database.unchecked_transaction().unwrap();
        assert!(Look::at(&moment).load(id, given_ids.number(id)).unwrap().is_some(), "{in_memory:?}");
    }

    fn hex(id: TransactionId) -> String {
        id.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
