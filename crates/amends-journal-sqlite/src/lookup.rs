//! What the committer asks the database.
//!
//! Owns a reading connection and the few questions about single transactions, ids and keys. Promises the database's answer as of
//! the first question since [`Lookup::end`]: of one that `known.rs` does not know, that is all there is. Does not write.

use std::sync::Arc;

use amends_core::{DefinitionName, TransactionId};
use amends_journal::{KeyEntry, Presence};
use bytes::Bytes;
use rusqlite::types::FromSqlError;
use rusqlite::{Connection, Result, Row, Statement, params};

use super::archive;
use super::given_ids::GivenIds;
use super::known::{Chosen, Held, Known, Origin};
use super::schema::{self, Nonsense, RECORDS_MIN, count_of, fingerprint_of, mode_of, standing_of};
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
                "SELECT ended.no, mode, name, version, standing, started_at, id_given, key, fingerprint, ended_at, records
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
                "SELECT live.no, mode, name, version, standing, started_at, id_given, key, fingerprint, wake_at,
                        unreadable IS NOT NULL, (SELECT max(seq) FROM record WHERE record.no = live.no),
                        (SELECT coalesce(sum(length(body)), 0) FROM record WHERE record.no = live.no)
                 FROM live JOIN definition ON definition.no = live.definition WHERE id = ?1",
            )?,
            taken_id: connection.prepare(
                "SELECT fingerprint, 0 FROM live WHERE id = ?1
                 UNION ALL SELECT fingerprint, 0 FROM ended WHERE no = ?2 AND id = ?1
                 UNION ALL SELECT fingerprint, 0 FROM ended WHERE id = ?1 AND id_given = 0
                 UNION ALL SELECT fingerprint, 1 FROM reserved WHERE no = ?2 AND id = ?1",
            )?,
            key: connection.prepare("SELECT id, fingerprint, removed_at IS NOT NULL FROM start_key WHERE key = ?1")?,
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

    /// The transaction of this id, live or ended.
    pub(super) fn transaction(
        &mut self,
        id: TransactionId,
    ) -> std::result::Result<Option<Known>, WriteError> {
        self.begin()?;
        let bytes = id.to_bytes();
        let mut rows = self.live.query([bytes.as_slice()])?;
        if let Some(row) = rows.next()? {
            let count = row.get::<_, Option<i64>>(11)?.map_or(Ok(RECORDS_MIN), count_of)?;
            let records = Records { count, bytes: count_of(row.get(12)?)? };
            let known = known(id, row, records, row.get(9)?, 0)?;
            return Ok(Some(Known { is_unreadable: row.get(10)?, ..known }));
        }
        drop(rows);
        let mut rows = match self.given_number(id)? {
            Some(no) => self.given.query(params![bytes.as_slice(), no])?,
            None => self.made.query([bytes.as_slice()])?,
        };
        let Some(row) = rows.next()? else { return Ok(None) };
        let records = archive::split(Bytes::copy_from_slice(row.get_ref(10)?.as_blob()?))?;
        let bytes = records.iter().map(|record| record.len() as u64).sum();
        let records = Records { count: records.len() as u64, bytes };
        Ok(Some(known(id, row, records, None, row.get(9)?)?))
    }

    /// The number of the newest ended transaction that was given this id; it may have been removed, and its reservation too.
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
        let fingerprint = fingerprint_of(row.get_ref(0)?.as_blob_or_null()?)?;
        Ok(Some(KeyEntry { id, fingerprint, presence: presence_of(row.get(1)?) }))
    }

    /// Whoever was started with this key.
    pub(super) fn key(&mut self, key: &str) -> std::result::Result<Option<KeyEntry>, WriteError> {
        self.begin()?;
        let mut rows = self.key.query([key])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        key_entry(row).map(Some)
    }
}

/// A row of `start_key`: id, fingerprint, whether it was removed.
pub(super) fn key_entry<E: From<rusqlite::Error> + From<FromSqlError> + From<Nonsense>>(
    row: &Row<'_>,
) -> std::result::Result<KeyEntry, E> {
    let id = schema::id_of(row.get_ref(0)?.as_blob()?)?;
    let fingerprint = fingerprint_of(row.get_ref(1)?.as_blob_or_null()?)?;
    Ok(KeyEntry { id, fingerprint, presence: presence_of(row.get(2)?) })
}

fn presence_of(is_removed: bool) -> Presence {
    if is_removed { Presence::Removed } else { Presence::Kept }
}

/// What a transaction's records are together.
struct Records {
    count: u64,
    bytes: u64,
}

/// The first nine columns are the same for both.
fn known(
    id: TransactionId,
    row: &Row<'_>,
    records: Records,
    wake_at: Option<i64>,
    ended_at: i64,
) -> std::result::Result<Known, WriteError> {
    let standing = standing_of(row.get(4)?, wake_at)?;
    let sequence = records.count;
    Ok(Known {
        origin: Arc::new(Origin {
            id,
            no: row.get(0)?,
            mode: mode_of(row.get(1)?)?,
            definition: DefinitionName::new(row.get::<_, String>(2)?),
            version: row.get(3)?,
            started_at: row.get(5)?,
            id_given: row.get(6)?,
            chosen: Chosen::of(row.get(7)?, fingerprint_of(row.get_ref(8)?.as_blob_or_null()?)?),
        }),
        standing,
        ended_at,
        is_unreadable: false,
        clears_mark: false,
        sequence,
        bytes: records.bytes,
        stored: Some(Held { standing, sequence }),
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
        schema::create(&database, 0).unwrap();
        database
            .execute_batch(&format!(
                "INSERT INTO definition (no, mode, name, version) VALUES (1, 1, 'Test', 1);
                 INSERT INTO ended VALUES (9, x'{0}', 1, 6, 0, 0, 1, NULL, NULL, x'0100000061');
                 INSERT INTO given_id VALUES (x'{0}', 9)",
                hex(id)
            ))
            .unwrap();
        for in_memory in [None, Some(5), Some(-5), Some(9)] {
            check_found(&database, id, in_memory);
        }
        // Number 12 was started when nothing was left of the other; the index is still to hear of it.
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
        assert!(lookup.transaction(id).unwrap().is_some(), "{in_memory:?}");
        lookup.end().unwrap();
        drop(lookup);
        let moment = database.unchecked_transaction().unwrap();
        assert!(
            Look::at(&moment).load(id, given_ids.number(id)).unwrap().stored().is_some(),
            "{in_memory:?}"
        );
    }

    fn hex(id: TransactionId) -> String {
        id.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
