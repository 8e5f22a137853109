//! Taking payloads out of the database.
//!
//! Owns the rewriting of an ended transaction's records. Promises one transaction of the database for it: the
//! records without payloads are there, or all is as it was; and that what was written over is zeroed in the
//! database's pages. A log that is read again passes over what the database has, and so brings no payload back.
//! What lies in the log's and the WAL's files stays there until they are written over.

use amends_core::{Time, TransactionId};
use amends_journal::limits::ANCESTORS_MAX;
use amends_journal::{Erase, JournalError, record};
use bytes::Bytes;
use rusqlite::{OptionalExtension, params};

use super::archive;
use super::failure::WriteError;
use super::look::Look;
use super::names::Name;
use super::schema::{Nonsense, id_of, standing_kind_of, time_code};
use super::settler::Settler;
use amends_core::StandingKind;

/// A transaction as its descendants see it.
struct Above {
    has_ended: bool,
    parent: Option<TransactionId>,
}

impl Settler<'_> {
    pub(super) fn erase(
        &mut self,
        id: TransactionId,
        records: u64,
        now: Time,
    ) -> Result<Erase, JournalError> {
        self.zero_what_is_freed(true);
        let done = self.transaction(0, |settler| {
            let Some(no) = settler.number_of_ended(id)? else { return Ok(Ok(Erase::MovedOn(None))) };
            if let Some(ancestor) = settler.live_ancestor(id)? {
                return Ok(Ok(Erase::ChildOfLive { ancestor }));
            }
            let sql = "SELECT erased_at IS NOT NULL, records FROM ended WHERE no = ?1";
            let (is_erased, stored): (bool, Vec<u8>) = settler
                .connection
                .prepare_cached(sql)?
                .query_row([no], |row| Ok((row.get(0)?, row.get(1)?)))?;
            if is_erased {
                return Ok(Ok(Erase::Unchanged));
            }
            let frames = archive::split(stored.into())?;
            if frames.len() as u64 != records {
                return Ok(Ok(Erase::MovedOn(Some(frames.len() as u64))));
            }
            let erased = (1..).zip(frames).map(|(sequence, frame)| record::erase(id, sequence, frame));
            // One that cannot be read is this transaction's trouble, not the whole journal's.
            let erased: Vec<Bytes> = match erased.collect() {
                Ok(erased) => erased,
                Err(unreadable) => return Ok(Err(unreadable)),
            };
            settler.value.clear();
            for frame in &erased {
                archive::push(&mut settler.value, frame);
            }
            let sql = "UPDATE ended SET records = ?2, erased_at = ?3 WHERE no = ?1";
            let put = params![no, settler.value.as_slice(), time_code(now)];
            let changed = settler.connection.prepare_cached(sql)?.execute(put)?;
            assert_eq!(changed, 1, "an ended transaction has one row");
            Ok(Ok(Erase::Erased))
        });
        self.zero_what_is_freed(false);
        done.map_err(|(_, error)| error)?.map_err(JournalError::from)
    }

    /// What a row leaves behind when it shrinks is overwritten in its page.
    fn zero_what_is_freed(&self, zeroed: bool) {
        // Fails only for want of memory; then pages keep what nobody points to until they are used again.
        let _ = self.connection.pragma_update(None, "secure_delete", zeroed);
    }

    fn number_of_ended(&self, id: TransactionId) -> Result<Option<i64>, WriteError> {
        let bytes = id.to_bytes();
        for no in Look::at(self.connection).numbers(&self.shared.names.hint(Name::Id(id)))? {
            let sql = "SELECT no FROM ended WHERE no = ?1 AND id = ?2";
            let mut find = self.connection.prepare_cached(sql)?;
            if let Some(no) = find.query_row(params![no, bytes.as_slice()], |row| row.get(0)).optional()? {
                return Ok(Some(no));
            }
        }
        let sql = "SELECT no FROM ended WHERE id = ?1 AND id_given = 0";
        Ok(self.connection.prepare_cached(sql)?.query_row([bytes.as_slice()], |row| row.get(0)).optional()?)
    }

    /// The nearest one above it that has not ended.
    fn live_ancestor(&self, id: TransactionId) -> Result<Option<TransactionId>, WriteError> {
        let Some(Above { mut parent, .. }) = self.above(id)? else { return Ok(None) };
        for _ in 0..ANCESTORS_MAX {
            let Some(ancestor) = parent else { return Ok(None) };
            match self.above(ancestor)? {
                Some(Above { has_ended: false, .. }) => return Ok(Some(ancestor)),
                Some(Above { has_ended: true, parent: next }) => parent = next,
                None => return Ok(None),
            }
        }
        Err(Nonsense(format!("more than {ANCESTORS_MAX} transactions are above {id}")).into())
    }

    fn above(&self, id: TransactionId) -> Result<Option<Above>, WriteError> {
        let found = match self.number_of_ended(id)? {
            Some(no) => self
                .connection
                .prepare_cached("SELECT standing, parent FROM ended WHERE no = ?1")?
                .query_row([no], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?,
            None => self
                .connection
                .prepare_cached("SELECT standing, parent FROM live WHERE id = ?1")?
                .query_row([id.to_bytes().as_slice()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?,
        };
        let found: Option<(i64, Option<Vec<u8>>)> = found;
        let Some((standing, parent)) = found else { return Ok(None) };
        let has_ended = match standing_kind_of(standing)? {
            StandingKind::Ended(_) => true,
            StandingKind::Active(_) | StandingKind::Asleep(_) | StandingKind::Parked => false,
        };
        Ok(Some(Above { has_ended, parent: parent.as_deref().map(id_of).transpose()? }))
    }
}
