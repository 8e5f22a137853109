//! Writing that is not appending.
//!
//! Owns quarantine, retention, the end of reservations, and definitions. Promises small steps, so that nobody
//! waits long behind retention. Does not decide what is old: the caller does.

use std::collections::HashSet;

use amends_core::{
    DefinitionName, DefinitionSpec, Mode, Partition, Partitions, StandingKind, Time, TransactionId,
};
use amends_journal::{
    Cursor, JournalError, Presence, PutDefinition, Quarantined, RetireDefinition, Sweep, Tags, record,
};
use rusqlite::params;

use crate::limits::{FREE_PAGES_KEPT, PAGES_GIVEN_BACK_PER_SWEEP_MAX};

use super::failure::{Failure, WriteError};
use super::labels;
use super::look::Look;
use super::names::{Name, Tag};
use super::schema::{
    RECORDS_MIN, count_of, cursor_at, id_of, mode_code, number_after, row_limit, standing_code,
    standing_kind_of, time_code,
};
use super::settler::Settler;
use super::spans;

/// What retention looks at in an ended transaction.
struct Candidate {
    no: i64,
    id: TransactionId,
    definition: i64,
    standing: StandingKind,
    ended_at: i64,
    is_named: bool,
    tags: Tags,
    parent: Option<TransactionId>,
}

/// A removed transaction whose names are free again.
struct Reservation {
    no: i64,
    tags: Vec<Tag>,
}

impl Settler<'_> {
    pub(super) fn quarantine(
        &mut self,
        id: TransactionId,
        records: u64,
        why: &str,
    ) -> Result<Quarantined, JournalError> {
        let done = self.transaction(why.len(), |settler| {
            let mut find = settler.connection.prepare_cached(
                "SELECT no, definition, standing, (SELECT max(seq) FROM record WHERE record.no = live.no)
                 FROM live WHERE id = ?1",
            )?;
            let mut rows = find.query([id.to_bytes().as_slice()])?;
            let Some(row) = rows.next()? else { return Ok(Quarantined::MovedOn(None)) };
            let (no, definition, standing): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let has = row.get::<_, Option<i64>>(3)?.map_or(Ok(RECORDS_MIN), count_of)?;
            if has != records {
                return Ok(Quarantined::MovedOn(Some(has)));
            }
            settler.tally.moved(definition, Some(standing_kind_of(standing)?), Some(StandingKind::Parked));
            let mut park = settler.connection.prepare_cached(
                "UPDATE live SET standing = ?2, wake_at = NULL, unreadable = ?3 WHERE no = ?1",
            )?;
            let changed = park.execute(params![no, standing_code(StandingKind::Parked), why])?;
            assert_eq!(changed, 1, "a live transaction has one row");
            Ok(Quarantined::Parked)
        });
        done.map_err(|(_, error)| error)
    }

    pub(super) fn remove_ended(
        &mut self,
        partitions: &Partitions,
        before: Time,
        now: Time,
        cursor: Option<Cursor>,
        limit: usize,
        except: &HashSet<TransactionId>,
    ) -> Result<Sweep, JournalError> {
        let limit = limit.max(1);
        let swept = self.transaction(0, |settler| {
            let mut candidates = settler.candidates(cursor, limit + 1)?;
            let more = candidates.len() > limit;
            candidates.truncate(limit);
            let next = candidates.last().filter(|_| more).map(|last| cursor_at(last.no)).transpose()?;
            let mut going = HashSet::new();
            for candidate in &candidates {
                let goes = candidate.ended_at < time_code(before)
                    && partitions.contains(Partition::of(candidate.id))
                    && !except.contains(&candidate.id);
                // Parents started earlier: they are judged already.
                if goes && !settler.has_parent(candidate, &going, except)? {
                    going.insert(candidate.id);
                }
            }
            let goes = |candidate: &Candidate| going.contains(&candidate.id);
            for run in candidates.chunk_by(|one, next| goes(one) == goes(next)).filter(|run| goes(&run[0])) {
                settler.remove(run, time_code(now))?;
            }
            let removed = going.len();
            if removed > 0 {
                settler.forget_spans()?;
            }
            Ok(Sweep { removed, next })
        });
        let sweep = swept.map_err(|(_, error)| error)?;
        if sweep.removed > 0 {
            but_for_space(self.transaction(0, Self::give_space_back))?;
        }
        Ok(sweep)
    }

    fn candidates(&self, cursor: Option<Cursor>, limit: usize) -> Result<Vec<Candidate>, WriteError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT no, definition, standing, ended_at, id_given <> 0 OR key IS NOT NULL, id, tags, parent
             FROM ended WHERE no > ?1 ORDER BY no LIMIT ?2",
        )?;
        let mut rows = statement.query(params![number_after(cursor), row_limit(limit)])?;
        let mut candidates = Vec::new();
        while let Some(row) = rows.next()? {
            candidates.push(Candidate {
                no: row.get(0)?,
                definition: row.get(1)?,
                standing: standing_kind_of(row.get(2)?)?,
                ended_at: row.get(3)?,
                is_named: row.get(4)?,
                id: id_of(row.get_ref(5)?.as_blob()?)?,
                tags: labels::decode(row.get_ref(6)?.as_blob_or_null()?)?,
                parent: row.get_ref(7)?.as_blob_or_null()?.map(id_of).transpose()?,
            });
        }
        Ok(candidates)
    }

    /// Whether it is the child of one that stays.
    fn has_parent(
        &self,
        candidate: &Candidate,
        going: &HashSet<TransactionId>,
        except: &HashSet<TransactionId>,
    ) -> Result<bool, WriteError> {
        let Some(parent) = candidate.parent.filter(|parent| !going.contains(parent)) else {
            return Ok(false);
        };
        if except.contains(&parent) {
            return Ok(true);
        }
        let name = Name::Id(parent);
        let entry = Look::at(self.connection).entry(name, &self.shared.names.hint(name))?;
        Ok(entry.is_some_and(|entry| entry.presence == Presence::Kept))
    }

    /// Removes neighbours: one by one would cost twice as much.
    fn remove(&mut self, run: &[Candidate], now: i64) -> Result<(), WriteError> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
        let neighbours = [first.no, last.no];
        let connection = self.connection;
        if run.iter().any(|ended| ended.is_named) {
            connection
                .prepare_cached(
                    "INSERT INTO reserved (no, id, id_given, key, fingerprint, removed_at)
                     SELECT no, id, id_given, key, fingerprint, ?3 FROM ended
                     WHERE no BETWEEN ?1 AND ?2 AND (id_given <> 0 OR key IS NOT NULL) ORDER BY no",
                )?
                .execute([first.no, last.no, now])?;
        }
        let deleted =
            connection.prepare_cached("DELETE FROM ended WHERE no BETWEEN ?1 AND ?2")?.execute(neighbours)?;
        assert_eq!(deleted, run.len(), "an ended transaction has one row");
        for ended in run {
            self.tally.moved(ended.definition, Some(ended.standing), None);
            self.unlist(ended)?;
        }
        Ok(())
    }

    fn unlist(&self, ended: &Candidate) -> Result<(), WriteError> {
        for (key, value) in &ended.tags {
            let deleted = self
                .connection
                .prepare_cached("DELETE FROM tagged WHERE tag = ?1 AND no = ?2")?
                .execute(params![labels::tag(key, value), ended.no])?;
            assert_eq!(deleted, 1, "each tag of a transaction has one row");
        }
        if let Some(parent) = ended.parent {
            let deleted = self
                .connection
                .prepare_cached("DELETE FROM child WHERE parent = ?1 AND no = ?2")?
                .execute(params![parent.to_bytes().as_slice(), ended.no])?;
            assert_eq!(deleted, 1, "a child has one row");
        }
        Ok(())
    }

    /// Blocks of numbers of which nothing is left, at the beginning: where retention works.
    fn forget_spans(&self) -> Result<(), WriteError> {
        let first =
            "SELECT min(no) FROM (SELECT min(no) AS no FROM live UNION ALL SELECT min(no) FROM ended)";
        let first: Option<i64> = self.connection.prepare_cached(first)?.query_row([], |row| row.get(0))?;
        if let Some(first) = first {
            let sql = "DELETE FROM span WHERE block < ?1";
            self.connection.prepare_cached(sql)?.execute([spans::block_of(first)])?;
        }
        Ok(())
    }

    /// Gives free pages back to the file system, a few at a time, but not those that the next transactions
    /// are going to use.
    fn give_space_back(&mut self) -> Result<(), WriteError> {
        let free: i64 = self.connection.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
        let surplus = (free - FREE_PAGES_KEPT).min(PAGES_GIVEN_BACK_PER_SWEEP_MAX);
        if surplus > 0 {
            let mut vacuum = self.connection.prepare(&format!("PRAGMA incremental_vacuum({surplus})"))?;
            let mut rows = vacuum.query([])?;
            // One page a step.
            while rows.next()?.is_some() {}
        }
        Ok(())
    }

    pub(super) fn forget_reservations(
        &mut self,
        partitions: &Partitions,
        before: Time,
        limit: usize,
    ) -> Result<usize, JournalError> {
        let done = self.transaction(0, |settler| {
            let over = settler.reservations(partitions, before, limit)?;
            let sql = "DELETE FROM reserved WHERE no = ?1";
            let mut remove = settler.connection.prepare_cached(sql)?;
            for reserved in &over {
                let deleted = remove.execute([reserved.no])?;
                assert_eq!(deleted, 1, "a reservation has one row");
                for tag in &reserved.tags {
                    settler.late_index.note_lost((*tag, reserved.no));
                }
            }
            settler.late_index.merge_some()?;
            Ok(over.len())
        });
        done.map_err(|(_, error)| error)
    }

    /// Those that are over, the first first.
    fn reservations(
        &self,
        partitions: &Partitions,
        before: Time,
        limit: usize,
    ) -> Result<Vec<Reservation>, WriteError> {
        let mut find = self.connection.prepare_cached(
            "SELECT no, id, id_given, key FROM reserved WHERE removed_at < ?1 ORDER BY removed_at, no",
        )?;
        let mut rows = find.query([time_code(before)])?;
        let tags = self.shared.names.tags;
        let mut over = Vec::new();
        while over.len() < limit
            && let Some(row) = rows.next()?
        {
            let id = id_of(row.get_ref(1)?.as_blob()?)?;
            if partitions.contains(Partition::of(id)) {
                let id = row.get::<_, bool>(2)?.then_some(Name::Id(id));
                let key: Option<String> = row.get(3)?;
                let names = id.into_iter().chain(key.as_deref().map(Name::Key));
                over.push(Reservation { no: row.get(0)?, tags: names.map(|name| tags.of(name)).collect() });
            }
        }
        Ok(over)
    }

    pub(super) fn put_definition(
        &mut self,
        spec: &DefinitionSpec,
        now: Time,
    ) -> Result<PutDefinition, JournalError> {
        let frame = record::encode_definition(spec);
        let done = self.transaction(frame.len(), |settler| {
            let Some(number) = settler.definitions.find(spec.mode(), spec.name(), spec.version()) else {
                let number = settler.definitions.give(spec.mode(), spec.name(), spec.version());
                let sql = "INSERT INTO definition (no, mode, name, version, body, registered_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
                let mut insert = settler.connection.prepare_cached(sql)?;
                insert.execute(params![
                    number,
                    mode_code(spec.mode()),
                    spec.name().as_str(),
                    spec.version(),
                    frame.as_ref(),
                    time_code(now)
                ])?;
                return Ok(Ok(PutDefinition::New));
            };
            let sql = "SELECT body FROM definition WHERE no = ?1";
            let stored: Option<Vec<u8>> =
                settler.connection.prepare_cached(sql)?.query_row([number], |row| row.get(0))?;
            let Some(stored) = stored else {
                let sql = "UPDATE definition SET body = ?2, registered_at = ?3 WHERE no = ?1";
                let put = params![number, frame.as_ref(), time_code(now)];
                settler.connection.prepare_cached(sql)?.execute(put)?;
                return Ok(Ok(PutDefinition::New));
            };
            let name = format!("{} version {}", spec.name(), spec.version());
            // One that cannot be read is this definition's trouble, not the whole journal's.
            Ok(record::decode_definition(&name, stored.into()).map(|stored| {
                if stored == *spec { PutDefinition::Unchanged } else { PutDefinition::Different }
            }))
        });
        done.map_err(|(_, error)| error)?.map_err(JournalError::from)
    }

    pub(super) fn secret(&mut self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, JournalError> {
        let done = self.transaction(fresh.len(), |settler| {
            let sql = "INSERT INTO secret (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING";
            settler.connection.prepare_cached(sql)?.execute(params![name, fresh])?;
            let sql = "SELECT value FROM secret WHERE name = ?1";
            Ok(settler.connection.prepare_cached(sql)?.query_row([name], |row| row.get(0))?)
        });
        done.map_err(|(_, error)| error)
    }

    pub(super) fn retire_definition(
        &mut self,
        mode: Mode,
        name: &DefinitionName,
        version: u32,
        now: Time,
    ) -> Result<RetireDefinition, JournalError> {
        let done = self.transaction(0, |settler| {
            let Some(number) = settler.definitions.find(mode, name, version) else {
                return Ok(RetireDefinition::NotFound);
            };
            let sql = "SELECT body IS NOT NULL, retired_at IS NOT NULL FROM definition WHERE no = ?1";
            let (is_stored, is_retired): (bool, bool) = settler
                .connection
                .prepare_cached(sql)?
                .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))?;
            if !is_stored {
                return Ok(RetireDefinition::NotFound);
            }
            if is_retired {
                return Ok(RetireDefinition::Unchanged);
            }
            let sql = "UPDATE definition SET retired_at = ?2 WHERE no = ?1";
            settler.connection.prepare_cached(sql)?.execute(params![number, time_code(now)])?;
            Ok(RetireDefinition::Retired)
        });
        done.map_err(|(_, error)| error)
    }
}

/// What was removed is removed, also when there is no space to give space back: the next step of a sweep
/// tries again.
fn but_for_space(given_back: Result<(), (Failure, JournalError)>) -> Result<(), JournalError> {
    match given_back {
        // Until then the free pages serve the next transactions.
        Ok(()) | Err((Failure::NoSpace | Failure::Locked, _)) => Ok(()),
        Err((Failure::Damage(_) | Failure::Fatal, error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::store_error;
    use crate::schema::Nonsense;

    #[test]
    fn a_sweep_fails_for_want_of_space_only_when_it_removed_nothing() {
        let error = || store_error("journal.db".as_ref(), "why".into());
        assert!(but_for_space(Ok(())).is_ok());
        assert!(but_for_space(Err((Failure::NoSpace, error()))).is_ok());
        let damage = Failure::Damage(Nonsense("why".to_owned()).into());
        for failure in [damage, Failure::Fatal] {
            assert!(but_for_space(Err((failure, error()))).is_err());
        }
    }
}
