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
//! emptied; the other one is filled meanwhile. A start reads both tables, and puts in again what may be there already.
//!
//! An id stays when its saga is removed: its reservation has the saga's number. Once that is forgotten too, the index is to
//! lose the id, and hears of it the same way: as the same pair with a negative number.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};

use amends_core::SagaId;
use rusqlite::Connection;

use crate::id_hash::IdHash;

use super::schema::Nonsense;
use super::settler::{Settler, WriteError};

/// An id and the number of its saga. The number never changes, so a pair that is out of date does no harm. Below zero: the
/// saga's reservation was forgotten, and nothing has such a number.
pub(super) type Numbered = (SagaId, i64);

/// Of two pairs with the same id the later one counts: that of the newer saga, and of one saga that which forgets it.
fn later(one: i64, other: i64) -> i64 {
    std::cmp::max_by_key(one, other, |no| (no.unsigned_abs(), *no < 0))
}

/// The ids that the index may not have. A reader asks here before it takes its moment of the database: what is not here then
/// is in the index of that moment, or its saga was live still (so whoever finds nothing asks again).
#[derive(Debug)]
pub(super) struct GivenIds {
    /// Each has the ids of some hashes. Going through one table of a million, and making room in it, would keep everybody out
    /// until it is done.
    parts: [Mutex<Part>; PARTS],
    /// Says which part an id belongs to.
    hash: IdHash,
}

type Part = HashMap<SagaId, i64, IdHash>;

const PARTS: usize = 64;

impl Default for GivenIds {
    fn default() -> Self {
        Self { parts: std::array::from_fn(|_| Mutex::default()), hash: IdHash::default() }
    }
}

impl GivenIds {
    pub(super) fn number(&self, id: SagaId) -> Option<i64> {
        self.part(id).get(&id).copied()
    }

    fn insert(&self, (id, no): Numbered) {
        self.part(id).insert(id, no);
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

    fn part(&self, id: SagaId) -> MutexGuard<'_, Part> {
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
    /// Those of the running transaction.
    came: Vec<Numbered>,
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
}

impl IdIndex {
    /// Reads what the index may not have, whatever had become of it when the process stopped.
    pub(super) fn read(
        connection: &Connection,
        given_ids: &GivenIds,
        at_once: usize,
    ) -> Result<Self, WriteError> {
        let tables = [read_table(connection, 0)?, read_table(connection, 1)?];
        let total: usize = tables.iter().map(Vec::len).sum();
        for mut part in given_ids.parts() {
            part.reserve(total / PARTS);
        }
        for (id, no) in tables.iter().flatten() {
            let mut part = given_ids.part(*id);
            let known = part.entry(*id).or_insert(*no);
            *known = later(*known, *no);
        }
        let [zero, one] = tables;
        // The longer one, as it is the frozen one whenever one is. If none was, nothing is lost by freezing it now.
        let (filling, filled, frozen) = match (zero.is_empty(), one.is_empty()) {
            (_, true) => (0, zero.len(), None),
            (true, false) => (1, one.len(), None),
            (false, false) if zero.len() < one.len() => (0, zero.len(), Some(Merging::of(1, one))),
            (false, false) => (1, one.len(), Some(Merging::of(0, zero))),
        };
        Ok(Self { at_once, filling, filled, came: Vec::new(), merging: frozen })
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
        if merging.done == merging.ids.len() {
            self.merging = None;
        }
        indexed
    }

    /// The running transaction came to nothing.
    pub(super) fn rolled_back(&mut self) {
        self.came.clear();
        if let Some(merging) = &mut self.merging {
            merging.done_next = merging.done;
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
        Self { table, ids, are_sorted: false, done: 0, done_next: 0 }
    }

    /// To be called before the first of them are taken.
    fn sort(&mut self) {
        if !std::mem::replace(&mut self.are_sorted, true) {
            self.ids.sort_unstable_by_key(|(id, _)| id.to_bytes());
        }
    }
}

fn read_table(connection: &Connection, table: usize) -> Result<Vec<Numbered>, WriteError> {
    let mut statement = connection.prepare(&format!("SELECT ids FROM fresh_id_{table}"))?;
    let mut rows = statement.query([])?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        let (pairs, rest) = row.get_ref(0)?.as_blob()?.as_chunks::<PAIR_BYTES>();
        if !rest.is_empty() {
            return Err(Nonsense(format!("{} bytes follow the ids of a round", rest.len())).into());
        }
        ids.extend(pairs.iter().map(pair_of));
    }
    Ok(ids)
}

/// An id and a number, as they lie in the tables.
const PAIR_BYTES: usize = 16 + 8;

fn put_pair((id, no): Numbered, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&id.to_bytes());
    bytes.extend_from_slice(&no.to_be_bytes());
}

fn pair_of(bytes: &[u8; PAIR_BYTES]) -> Numbered {
    let id = SagaId::from_bytes(*bytes.first_chunk().expect("it has 24 bytes"));
    let no = i64::from_be_bytes(*bytes.last_chunk().expect("it has 24 bytes"));
    (id, no)
}

impl Settler<'_> {
    /// Remembers the id of a saga that has ended.
    pub(super) fn note_given_id(&mut self, id: SagaId, no: i64) {
        self.note((id, no));
    }

    /// Remembers that an id leads nowhere any more.
    pub(super) fn note_forgotten_id(&mut self, id: SagaId, no: i64) {
        // Unless the id was given anew: the index is going to hear of that.
        if self.shared.given_ids.number(id).is_none_or(|other| later(other, -no) != other) {
            self.note((id, -no));
        }
    }

    fn note(&mut self, numbered: Numbered) {
        // Before the commit: from then on it is needed, and until then its number leads nowhere. Should the commit come to
        // nothing, an id may be free whose reservation has expired and is not forgotten yet.
        self.shared.given_ids.insert(numbered);
        self.id_index.came.push(numbered);
    }

    /// Writes down what was noted, in one row: a start reads all of them. To be called before each commit.
    pub(super) fn write_fresh_ids(&mut self) -> Result<(), WriteError> {
        let came = &self.id_index.came;
        if came.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(PAIR_BYTES * came.len());
        came.iter().for_each(|pair| put_pair(*pair, &mut bytes));
        let insert = &mut self.statements.insert_fresh_ids[self.id_index.filling];
        insert.raw_bind_parameter(1, bytes.as_slice())?;
        insert.raw_execute()?;
        Ok(())
    }

    /// Puts some frozen ids into the index: twice as many as came, so that the frozen table is empty before the other is full.
    pub(super) fn index_some_ids(&mut self) -> Result<(), WriteError> {
        let Some(merging) = &mut self.id_index.merging else { return Ok(()) };
        merging.sort();
        // At least a hundredth, so that a frozen table is done with some day.
        let count = (2 * self.id_index.came.len()).max(self.id_index.at_once / 100).max(1);
        merging.done_next = merging.ids.len().min(merging.done + count);
        let some = &merging.ids[merging.done..merging.done_next];
        for (id, no) in some.iter().copied() {
            if self.shared.given_ids.number(id) != Some(no) {
                // It is out of date.
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
        if merging.done_next == merging.ids.len() {
            self.statements.clear_fresh_ids[merging.table].raw_execute()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> SagaId {
        SagaId::from_bytes(number.to_be_bytes())
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
            .execute_batch("CREATE TABLE fresh_id_0 (ids BLOB); INSERT INTO fresh_id_0 VALUES (zeroblob(48))")
            .unwrap();
        assert_eq!(read_table(&database, 0).unwrap(), [(id(0), 0); 2]);
        database.execute_batch("INSERT INTO fresh_id_0 VALUES (zeroblob(36))").unwrap();
        assert!(matches!(read_table(&database, 0), Err(WriteError::Nonsense(_))));
    }

    #[test]
    fn of_two_pairs_the_later_one_counts() {
        for (one, other, expected) in [(5, 9, 9), (5, -5, -5), (-5, 9, 9), (-9, 5, -9), (7, 7, 7)] {
            assert_eq!(later(one, other), expected);
            assert_eq!(later(other, one), expected);
        }
    }
}
