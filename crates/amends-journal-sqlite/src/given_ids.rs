//! Which saga has an id that its caller chose.
//!
//! Owns [`GivenIds`], the ids of ended sagas that the index in the database does not have yet, and [`IdIndex`], which brings
//! the index up to them. Promises that an id is found in one of the two from the commit on that ended its saga, whatever
//! happens in between; and that the index is written a stretch at a time. Does not judge whether a saga is still there: a
//! number that an id leads to may be that of a saga that was removed.
//!
//! Ids that we make grow with time and go to the end of their index. Those of callers are random: in a large index each would
//! change a page of its own, which costs a dozen times what the saga itself does (docs/adr/0007-ids-of-callers.md). So they
//! are gathered, here and in a table that only grows (`fresh_id_0` or `fresh_id_1`), until there are many. Then that table is
//! *frozen*, its ids are put into the index (`given_id`) in the order of the index, some with each round, and the table is
//! emptied; the other one is filled meanwhile. A start reads both tables, and goes on with the index where it stood.
//!
//! An id stays when its saga is removed: its reservation has the saga's number. Once that is forgotten too, the index is to
//! lose the id, and hears of it the same way: as the same pair with a negative number.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};

use amends_core::TransactionId;
use amends_journal::IdHash;
use rusqlite::Connection;

use super::schema::{self, Nonsense};
use super::settler::{Settler, WriteError};

/// An id and the number of its saga. Below zero: the saga's reservation was forgotten, and the index is to lose the id.
pub(super) type Numbered = (TransactionId, i64);

/// The ids that the index may not have. A reader asks here before it takes its moment of the database: what is not here then
/// is in the index of that moment, or its saga was live still (so whoever finds nothing asks again).
///
/// What is here may be out of date or not committed yet, and what the index has may be out of date. Of all numbers of an id only
/// the highest can be that of a saga that is there or reserved: a newer one begins when nothing is left of the older.
#[derive(Debug)]
pub(super) struct GivenIds {
    /// Each has the ids of some hashes. Going through one table of a million, and making room in it, would keep everybody out
    /// until it is done.
    parts: [Mutex<Part>; PARTS],
    /// Says which part an id belongs to.
    hash: IdHash,
}

type Part = HashMap<TransactionId, i64, IdHash>;

const PARTS: usize = 64;

impl Default for GivenIds {
    fn default() -> Self {
        Self { parts: std::array::from_fn(|_| Mutex::default()), hash: IdHash::default() }
    }
}

impl GivenIds {
    /// The number of the newest saga with this id that is known here.
    pub(super) fn number(&self, id: TransactionId) -> Option<i64> {
        self.part(id).get(&id).copied().map(i64::saturating_abs)
    }

    /// Whether nothing newer is known of the id.
    fn is_up_to_date(&self, (id, no): Numbered) -> bool {
        self.part(id).get(&id) == Some(&no)
    }

    #[cfg(test)]
    pub(super) fn with(ids: impl IntoIterator<Item = Numbered>) -> Self {
        let given_ids = Self::default();
        for numbered in ids {
            given_ids.insert(numbered);
        }
        given_ids
    }

    /// What was known of the id before.
    fn insert(&self, (id, no): Numbered) -> Option<i64> {
        self.part(id).insert(id, no)
    }

    fn restore(&self, id: TransactionId, before: Option<i64>) {
        let mut part = self.part(id);
        match before {
            Some(no) => part.insert(id, no),
            None => part.remove(&id),
        };
    }

    /// The index has these. To be called by the committer between two batches, as it looks at the database as of one moment
    /// while it judges one.
    pub(super) fn are_indexed(&self, ids: &[Numbered]) {
        for (id, no) in ids {
            let mut part = self.part(*id);
            if part.get(id) == Some(no) {
                part.remove(id);
            }
        }
        if ids.is_empty() {
            return;
        }
        // Many at once must not leave their room behind.
        for mut part in self.parts() {
            if part.capacity() / 8 > part.len() {
                let room = 2 * part.len();
                part.shrink_to(room);
            }
        }
    }

    fn part(&self, id: TransactionId) -> MutexGuard<'_, Part> {
        lock(&self.parts[self.hash.hash_one(id) as usize % PARTS])
    }

    /// One after the other: no two are locked at a time.
    fn parts(&self) -> impl Iterator<Item = MutexGuard<'_, Part>> {
        self.parts.iter().map(lock)
    }
}

fn lock(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    // Single calls of a table: nothing half-done can be seen.
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The settler's side: which table is filled, and how far the other is put into the index.
#[derive(Debug)]
pub(super) struct IdIndex {
    /// Ids after which a table is frozen.
    at_once: usize,
    filling: usize,
    /// How many ids are in the table that is filled.
    filled: usize,
    /// The number of its next row. Rows are counted across both tables: those of a frozen table come before those of the other.
    next_round: i64,
    /// Ids of the running transaction, each with what memory knew before.
    came: Vec<(Numbered, Option<i64>)>,
    merging: Option<Merging>,
}

/// A frozen table on its way into the index.
#[derive(Debug)]
struct Merging {
    table: usize,
    /// Its ids.
    ids: Vec<Numbered>,
    /// Whether they are in the order of the index. Not before the first are put in: whoever opens the journal need not wait for it.
    are_sorted: bool,
    /// How many of them the index has, and how many once the running transaction is committed.
    done: usize,
    done_next: usize,
    /// Whether the running transaction empties the table: not every one gets on with it.
    is_emptied_next: bool,
}

impl IdIndex {
    /// Reads what the index may not have, whatever had become of it when the process stopped.
    pub(super) fn read(
        connection: &Connection,
        given_ids: &GivenIds,
        at_once: usize,
    ) -> Result<Self, WriteError> {
        let (mut tables, indexed_to) =
            ([read_table(connection, 0)?, read_table(connection, 1)?], indexed_to(connection)?);
        let next_round = 1 + tables.iter().map(|table| table.last_round).max().unwrap_or(0);
        let is_older = |one: &Fresh, other: &Fresh| one.first_round < other.first_round;
        let frozen = match (tables[0].ids.is_empty(), tables[1].ids.is_empty()) {
            (false, false) => Some(usize::from(is_older(&tables[1], &tables[0]))),
            (true, true) => None,
            (is_zero_empty, _) => {
                let table = usize::from(is_zero_empty);
                (indexed_to.is_some() || tables[table].ids.len() >= at_once).then_some(table)
            }
        };
        let merging = frozen.map(|table| {
            let mut ids = std::mem::take(&mut tables[table].ids);
            ids.retain(|(id, _)| indexed_to.is_none_or(|to| to < id.to_bytes()));
            Merging::of(table, ids)
        });
        let filling = match frozen {
            Some(table) => 1 - table,
            None => usize::from(tables[0].ids.is_empty()),
        };
        let fresh = std::mem::take(&mut tables[filling].ids);
        let older = merging.as_ref().map_or(&[][..], |merging| &merging.ids);
        for mut part in given_ids.parts() {
            part.reserve((older.len() + fresh.len()) / PARTS);
        }
        // In the order in which they came: the later one counts.
        for numbered in older.iter().chain(&fresh) {
            given_ids.insert(*numbered);
        }
        Ok(Self { at_once, filling, filled: fresh.len(), next_round, came: Vec::new(), merging })
    }

    /// The running transaction is committed: what the index has from now on.
    pub(super) fn committed(&mut self, given_ids: &GivenIds) -> Vec<Numbered> {
        self.filled += std::mem::take(&mut self.came).len();
        let Some(merging) = &mut self.merging else {
            if self.filled >= self.at_once {
                self.freeze(given_ids);
            }
            return Vec::new();
        };
        // Stretch by stretch: whoever drops them from memory must not do hundreds of thousands at once.
        let indexed = merging.ids[merging.done..merging.done_next].to_vec();
        merging.done = merging.done_next;
        if merging.is_emptied_next {
            self.merging = None;
        }
        indexed
    }

    /// The running transaction came to nothing.
    pub(super) fn rolled_back(&mut self, given_ids: &GivenIds) {
        for ((id, _), before) in self.came.drain(..).rev() {
            given_ids.restore(id, before);
        }
        if let Some(merging) = &mut self.merging {
            merging.done_next = merging.done;
            merging.is_emptied_next = false;
        }
    }

    /// Everything that is fresh lies in the one table.
    fn freeze(&mut self, given_ids: &GivenIds) {
        let mut ids = Vec::with_capacity(self.filled);
        for part in given_ids.parts() {
            ids.extend(part.iter().map(|(id, no)| (*id, *no)));
        }
        self.merging = Some(Merging::of(self.filling, ids));
        self.filling = 1 - self.filling;
        self.filled = 0;
    }
}

impl Merging {
    fn of(table: usize, ids: Vec<Numbered>) -> Self {
        Self { table, ids, are_sorted: false, done: 0, done_next: 0, is_emptied_next: false }
    }

    /// To be called before the first of them are taken.
    fn sort(&mut self) {
        if !std::mem::replace(&mut self.are_sorted, true) {
            // The later one of a pair first, as that is the one that stays.
            self.ids.reverse();
            self.ids.sort_by_key(|(id, _)| id.to_bytes());
            self.ids.dedup_by_key(|(id, _)| *id);
        }
    }
}

/// What a fresh table has.
#[derive(Debug)]
struct Fresh {
    /// In the order in which they came.
    ids: Vec<Numbered>,
    first_round: i64,
    last_round: i64,
}

fn read_table(connection: &Connection, table: usize) -> Result<Fresh, WriteError> {
    let mut statement =
        connection.prepare(&format!("SELECT round, ids FROM fresh_id_{table} ORDER BY round"))?;
    let mut rows = statement.query([])?;
    let mut fresh = Fresh { ids: Vec::new(), first_round: 0, last_round: 0 };
    while let Some(row) = rows.next()? {
        fresh.last_round = row.get(0)?;
        if fresh.ids.is_empty() {
            fresh.first_round = fresh.last_round;
        }
        let (pairs, rest) = row.get_ref(1)?.as_blob()?.as_chunks::<PAIR_BYTES>();
        if !rest.is_empty() {
            return Err(Nonsense(format!("{} bytes follow the ids of a round", rest.len())).into());
        }
        fresh.ids.extend(pairs.iter().map(pair_of));
    }
    Ok(fresh)
}

/// Up to which id the frozen table is in the index, if it has begun to be.
fn indexed_to(connection: &Connection) -> Result<Option<[u8; 16]>, WriteError> {
    let to =
        connection.query_row("SELECT indexed_to FROM settled", [], |row| row.get::<_, Option<Vec<u8>>>(0))?;
    Ok(to.map(|id| schema::id_of(&id)).transpose()?.map(TransactionId::to_bytes))
}

/// An id and a number, as they lie in the tables.
const PAIR_BYTES: usize = 16 + 8;

fn put_pair((id, no): Numbered, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&id.to_bytes());
    bytes.extend_from_slice(&no.to_be_bytes());
}

fn pair_of(bytes: &[u8; PAIR_BYTES]) -> Numbered {
    let id = TransactionId::from_bytes(*bytes.first_chunk().expect("it has 24 bytes"));
    let no = i64::from_be_bytes(*bytes.last_chunk().expect("it has 24 bytes"));
    (id, no)
}

impl Settler<'_> {
    /// Remembers the id of a saga that has ended.
    pub(super) fn note_given_id(&mut self, id: TransactionId, no: i64) {
        self.note((id, no));
    }

    /// Remembers that an id leads nowhere any more.
    pub(super) fn note_forgotten_id(&mut self, id: TransactionId, no: i64) {
        // Unless the id was given anew: the index is going to hear of that.
        if self.shared.given_ids.number(id).is_none_or(|newest| newest <= no) {
            self.note((id, -no));
        }
    }

    fn note(&mut self, numbered: Numbered) {
        // Before the commit: from then on it is needed.
        let before = self.shared.given_ids.insert(numbered);
        self.id_index.came.push((numbered, before));
    }

    /// Writes down what was noted, in one row: a start reads all of them. To be called before each commit.
    pub(super) fn write_fresh_ids(&mut self) -> Result<(), WriteError> {
        let came = &self.id_index.came;
        if came.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(PAIR_BYTES * came.len());
        came.iter().for_each(|(pair, _)| put_pair(*pair, &mut bytes));
        let insert = &mut self.statements.insert_fresh_ids[self.id_index.filling];
        insert.raw_bind_parameter(1, self.id_index.next_round)?;
        insert.raw_bind_parameter(2, bytes.as_slice())?;
        insert.raw_execute()?;
        self.id_index.next_round += 1;
        Ok(())
    }

    /// Puts some frozen ids into the index: twice as many as came, so that the frozen table is empty before the other is full.
    /// Notes how far it has come: the process may live too short to do all of them.
    pub(super) fn index_some_ids(&mut self) -> Result<(), WriteError> {
        let Some(merging) = &mut self.id_index.merging else { return Ok(()) };
        merging.sort();
        // At least a hundredth, so that a frozen table is done with some day.
        let count = (2 * self.id_index.came.len()).max(self.id_index.at_once / 100).max(1);
        merging.done_next = merging.ids.len().min(merging.done + count);
        let some = &merging.ids[merging.done..merging.done_next];
        for (id, no) in some.iter().copied() {
            if !self.shared.given_ids.is_up_to_date((id, no)) {
                continue;
            }
            let change = match no {
                0.. => &mut self.statements.insert_given_id,
                _ => &mut self.statements.delete_given_id,
            };
            change.raw_bind_parameter(1, id.to_bytes().as_slice())?;
            change.raw_bind_parameter(2, no.saturating_abs())?;
            change.raw_execute()?;
        }
        merging.is_emptied_next = merging.done_next == merging.ids.len();
        if merging.is_emptied_next {
            self.statements.clear_fresh_ids[merging.table].raw_execute()?;
        }
        let indexed_to = some.last().filter(|_| !merging.is_emptied_next).map(|(id, _)| id.to_bytes());
        let set = &mut self.statements.set_indexed_to;
        set.raw_bind_parameter(1, indexed_to.as_ref().map(<[u8; 16]>::as_slice))?;
        match set.raw_execute()? {
            1 => Ok(()),
            changed => Err(Nonsense(format!("{changed} rows say how far ids are indexed")).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> TransactionId {
        TransactionId::from_bytes(number.to_be_bytes())
    }

    #[test]
    fn an_id_that_was_used_anew_is_not_forgotten_with_the_old_one() {
        let ids = GivenIds::default();
        ids.insert((id(1), 5));
        ids.insert((id(1), 9));
        ids.are_indexed(&[(id(1), 5)]);
        assert_eq!(ids.number(id(1)), Some(9));
        ids.are_indexed(&[(id(1), 9)]);
        assert_eq!(ids.number(id(1)), None);
    }

    #[test]
    fn what_came_to_nothing_is_not_known() {
        let ids = GivenIds::with([(id(1), 5)]);
        let database = Connection::open_in_memory().unwrap();
        schema::create(&database, 0).unwrap();
        let mut index = IdIndex::read(&database, &ids, 10).unwrap();
        for numbered in [(id(1), -5), (id(2), 8), (id(1), 9)] {
            index.came.push((numbered, ids.insert(numbered)));
        }
        assert_eq!((ids.number(id(1)), ids.number(id(2))), (Some(9), Some(8)));
        index.rolled_back(&ids);
        assert!(ids.is_up_to_date((id(1), 5)));
        assert_eq!(ids.number(id(2)), None);
    }

    #[test]
    fn the_older_table_goes_first_and_only_what_is_not_in_the_index_yet() {
        let pairs = |pairs: &[Numbered]| {
            let mut bytes = Vec::new();
            pairs.iter().for_each(|pair| put_pair(*pair, &mut bytes));
            bytes
        };
        let database = Connection::open_in_memory().unwrap();
        schema::create(&database, 0).unwrap();
        let insert = |table: usize, round: i64, ids: &[Numbered]| {
            let sql = format!("INSERT INTO fresh_id_{table} VALUES (?1, ?2)");
            database.execute(&sql, (round, pairs(ids))).unwrap();
        };
        // The longer one, and the one with the lower number, came later.
        insert(1, 3, &[(id(4), 4), (id(1), 1)]);
        insert(1, 4, &[(id(2), 2)]);
        insert(0, 5, &[(id(1), 10), (id(2), -2), (id(6), 6)]);
        insert(0, 6, &[(id(2), 11)]);
        let read = || {
            let ids = GivenIds::default();
            let mut index = IdIndex::read(&database, &ids, 10).unwrap();
            let merging = index.merging.as_mut().unwrap();
            merging.sort();
            let left = merging.ids.clone();
            assert_eq!((merging.table, index.filling, index.filled, index.next_round), (1, 0, 4, 7));
            let known = [1, 2, 4, 6].map(|number| ids.number(id(number)));
            (left, known)
        };
        let (left, known) = read();
        assert_eq!(left, [(id(1), 1), (id(2), 2), (id(4), 4)]);
        assert_eq!(known, [Some(10), Some(11), Some(4), Some(6)]);
        let set = |to: Option<u128>| {
            let to = to.map(|number| id(number).to_bytes());
            database.execute("UPDATE settled SET indexed_to = ?1", [to]).unwrap();
        };
        set(Some(2));
        let (left, known) = read();
        assert_eq!(left, [(id(4), 4)]);
        assert_eq!(known, [Some(10), Some(11), Some(4), Some(6)]);
        set(Some(4));
        assert_eq!(read().1, [Some(10), Some(11), None, Some(6)]);
        // With nothing left to do it is still to be emptied, which not every transaction does.
        let ids = GivenIds::default();
        let mut index = IdIndex::read(&database, &ids, 10).unwrap();
        assert_eq!(index.committed(&ids), []);
        assert!(index.merging.is_some());
        // One that is alone is still filled, unless its ids are on their way into the index.
        database.execute_batch("DELETE FROM fresh_id_0").unwrap();
        let index = IdIndex::read(&database, &GivenIds::default(), 10).unwrap();
        assert_eq!((index.merging.map(|merging| merging.table), index.filling), (Some(1), 0));
        set(None);
        let index = IdIndex::read(&database, &GivenIds::default(), 10).unwrap();
        assert_eq!((index.merging.is_none(), index.filling, index.filled), (true, 1, 3));
        // Nor is a full one filled any more: were each life one round long, it would grow for ever.
        let index = IdIndex::read(&database, &GivenIds::default(), 3).unwrap();
        assert_eq!((index.merging.map(|merging| merging.table), index.filling), (Some(1), 0));
    }

    #[test]
    fn a_pair_is_read_as_it_was_written() {
        for pair in [(id(1), 5), (id(u128::MAX), -9), (id(0), i64::MAX)] {
            let mut bytes = Vec::new();
            put_pair(pair, &mut bytes);
            assert_eq!(pair_of(bytes.first_chunk().unwrap()), pair);
            assert_eq!(bytes.len(), PAIR_BYTES);
        }
    }

    #[test]
    fn half_a_pair_is_damage() {
        let database = Connection::open_in_memory().unwrap();
        database
            .execute_batch(
                "CREATE TABLE fresh_id_0 (round INTEGER PRIMARY KEY, ids BLOB);
                 INSERT INTO fresh_id_0 VALUES (3, zeroblob(48))",
            )
            .unwrap();
        assert_eq!(read_table(&database, 0).unwrap().ids, [(id(0), 0); 2]);
        database.execute_batch("INSERT INTO fresh_id_0 VALUES (5, zeroblob(36))").unwrap();
        assert!(matches!(read_table(&database, 0), Err(WriteError::Nonsense(_))));
    }
}
