//! What the committer asks the database.
//!
//! Owns a reading connection and the few questions about single transactions, ids and keys. Promises the
//! database's answer as of the first question since [`Lookup::end`]: of one that `known.rs` does not know,
//! that is all there is. Does not write.

use std::sync::Arc;

use amends_core::{DefinitionName, TransactionId};
use amends_journal::KeyEntry;
use bytes::Bytes;
use rusqlite::{Connection, Result, Row, Statement, params};

use super::archive;
use super::failure::WriteError;
use super::known::{Chosen, Held, Known, Origin};
use super::labels;
use super::look::Look;
use super::names::{Name, Names};
use super::schema::{RECORDS_MIN, count_of, fingerprint_of, id_of, mode_of, standing_of, time_of};

pub(super) struct Lookup<'c> {
    connection: &'c Connection,
    names: &'c Names,
    begin: Statement<'c>,
    end: Statement<'c>,
    /// Whether the answers are as of one moment, which began with the first of them.
    has_begun: bool,
    live: Statement<'c>,
    /// By an id that we made.
    made: Statement<'c>,
    /// By number and an id that was given.
    given: Statement<'c>,
}

impl<'c> Lookup<'c> {
    pub(super) fn prepare(connection: &'c Connection, names: &'c Names) -> Result<Self> {
        let ended = |which: &str| {
            connection.prepare(&format!(
                "SELECT ended.no, mode, name, version, standing, started_at, id_given, key, fingerprint,
                        tags, parent, erased_at, ended_at, records
                 FROM ended JOIN definition ON definition.no = ended.definition WHERE {which}"
            ))
        };
        Ok(Self {
            connection,
            names,
            made: ended("id = ?1 AND id_given = 0")?,
            given: ended("ended.no = ?2 AND id = ?1")?,
            begin: connection.prepare("BEGIN")?,
            end: connection.prepare("COMMIT")?,
            has_begun: false,
            live: connection.prepare(
                "SELECT live.no, mode, name, version, standing, started_at, id_given, key, fingerprint,
                        tags, parent, NULL, wake_at, unreadable IS NOT NULL, (SELECT max(seq) FROM record WHERE record.no = live.no),
                        (SELECT coalesce(sum(length(body)), 0) FROM record WHERE record.no = live.no)
                 FROM live JOIN definition ON definition.no = live.definition WHERE id = ?1",
            )?,
        })
    }

    /// Answers are as of one moment from here on until [`Lookup::end`]: taking a moment costs more than most
    /// answers.
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
            let count = row.get::<_, Option<i64>>(14)?.map_or(Ok(RECORDS_MIN), count_of)?;
            let records = Records { count, bytes: count_of(row.get(15)?)? };
            let known = known(id, row, records, row.get(12)?, 0)?;
            return Ok(Some(Known { is_unreadable: row.get(13)?, ..known }));
        }
        drop(rows);
        for no in Look::at(self.connection).numbers(&self.names.hint(Name::Id(id)))? {
            let mut rows = self.given.query(params![bytes.as_slice(), no])?;
            if let Some(row) = rows.next()? {
                return Ok(Some(known_ended(id, row)?));
            }
        }
        let mut rows = self.made.query([bytes.as_slice()])?;
        rows.next()?.map(|row| known_ended(id, row)).transpose()
    }

    /// Whoever has, or had, this name.
    pub(super) fn entry(&mut self, name: Name<'_>) -> std::result::Result<Option<KeyEntry>, WriteError> {
        self.begin()?;
        Ok(Look::at(self.connection).entry(name, &self.names.hint(name))?)
    }
}

/// What a transaction's records are together.
struct Records {
    count: u64,
    bytes: u64,
}

fn known_ended(id: TransactionId, row: &Row<'_>) -> std::result::Result<Known, WriteError> {
    let records = archive::split(Bytes::copy_from_slice(row.get_ref(13)?.as_blob()?))?;
    let bytes = records.iter().map(|record| record.len() as u64).sum();
    known(id, row, Records { count: records.len() as u64, bytes }, None, row.get(12)?)
}

/// The first twelve columns are the same for both.
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
            chosen: Chosen {
                key: row.get(7)?,
                fingerprint: fingerprint_of(row.get_ref(8)?.as_blob_or_null()?)?,
                tags: labels::decode(row.get_ref(9)?.as_blob_or_null()?)?,
                parent: row.get_ref(10)?.as_blob_or_null()?.map(id_of).transpose()?,
                erased_at: row.get::<_, Option<i64>>(11)?.map(time_of).transpose()?,
            }
            .boxed(),
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
