//! What the committer asks the database.
//!
//! Owns a reading connection and the few questions about single sagas, ids and keys. Promises the database's answer as of
//! the first question since [`Lookup::end`]: of a saga that `sagas.rs` does not know, that is all there is. Does not write.

use std::sync::Arc;

use amends_core::{DefinitionName, SagaId};
use rusqlite::{Connection, Result, Row, Statement, params};

use crate::journal::KeyEntry;

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
    pub(super) fn saga(&mut self, id: SagaId) -> std::result::Result<Option<Known>, WriteError> {
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

    /// The number of the ended saga that was given this id; it may have been removed, and its reservation too.
    fn given_number(&mut self, id: SagaId) -> std::result::Result<Option<i64>, WriteError> {
        if let Some(no) = self.given_ids.number(id) {
            return Ok(Some(no));
        }
        let bytes = id.to_bytes();
        let mut rows = self.given_id.query([bytes.as_slice()])?;
        Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
    }

    /// Whoever has, or had, this id.
    pub(super) fn taken_id(&mut self, id: SagaId) -> std::result::Result<Option<KeyEntry>, WriteError> {
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
    id: SagaId,
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
