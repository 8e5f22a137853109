//! The index of names, brought up to date many at a time.
//!
//! Owns how the database keeps ids that callers chose and idempotency keys of ended transactions (ADR 10).
//! Promises that a name which was noted is read back by every opening until the index has it, and that the
//! index has it before memory ([`Names`]) forgets it. Does not judge what a name leads to.
//!
//! Names are random, or nearly so: in a large index each would change a page of its own, which costs a dozen
//! times what its transaction does. So a round only adds its names to a table that grows at its end
//! (`fresh`). When many have gathered they are *frozen*, and each round puts a stretch of them into the index
//! (`named`), in the order of tags: with ten million in it, some twenty then fall on a page. A row of the
//! index is a bucket: a stretch of all tags, with its pairs one after the other, and as large as fits a page.
//!
//! A pair is never wrong, only needless: numbers are given once. So it does not matter when it comes into the
//! index, or how often. When a reservation is forgotten, the index is to lose its pairs, and hears of it the
//! same way: as pairs with a negative number.

use rusqlite::{Connection, OptionalExtension, Statement};

use super::failure::WriteError;
use super::names::{Named, Names, Tag};
use super::schema::Nonsense;

/// Bytes of a pair, as it lies in the tables: both numbers big-endian.
const PAIR_BYTES: usize = 16;

/// Pairs in a bucket, at most: with the row's own head they fill a page of 8 KiB.
const BUCKET_PAIRS_MAX: usize = 500;

/// Pairs that a bucket gets which is written for the first time: it has room for more.
pub(super) const BUCKET_PAIRS_FILLED: usize = 350;

/// The settler's side of the index.
pub(super) struct LateIndex<'c> {
    /// Names after which those that have gathered are frozen.
    together: usize,
    /// Names of the running transaction, and whether memory had them already.
    came: Vec<(Named, bool)>,
    /// How many names are in `fresh` and not frozen.
    fresh: usize,
    /// Those of them that the index is to lose.
    lost: Vec<Named>,
    /// The number of the next row of `fresh`.
    next_round: i64,
    merging: Option<Merging>,
    insert_fresh: Statement<'c>,
    delete_fresh: Statement<'c>,
    bucket: Statement<'c>,
    next_bucket: Statement<'c>,
    put_bucket: Statement<'c>,
    delete_bucket: Statement<'c>,
    set_merged: Statement<'c>,
}

/// Frozen names on their way into the index.
struct Merging {
    /// The last row of `fresh` that has any of them.
    to_round: i64,
    /// In the order of tags.
    names: Vec<Named>,
    /// How many of them the index has, and how many once the running transaction is committed.
    done: usize,
    done_next: usize,
    /// Whether the running transaction removes them from `fresh`: not every one gets on with it.
    is_over_next: bool,
}

impl Merging {
    const fn of(to_round: i64, names: Vec<Named>) -> Self {
        Self { to_round, names, done: 0, done_next: 0, is_over_next: false }
    }
}

impl<'c> LateIndex<'c> {
    /// Reads what the index may not have, whatever had become of it when the process stopped.
    pub(super) fn read(
        connection: &'c Connection,
        names: &Names,
        together: usize,
    ) -> Result<Self, WriteError> {
        let mut index = Self {
            together,
            came: Vec::new(),
            fresh: 0,
            lost: Vec::new(),
            next_round: 1,
            merging: None,
            insert_fresh: connection.prepare("INSERT INTO fresh (round, names) VALUES (?1, ?2)")?,
            delete_fresh: connection.prepare("DELETE FROM fresh WHERE round <= ?1")?,
            bucket: connection
                .prepare("SELECT first, pairs FROM named WHERE first <= ?1 ORDER BY first DESC LIMIT 1")?,
            next_bucket: connection.prepare("SELECT min(first) FROM named WHERE first > ?1")?,
            put_bucket: connection.prepare("INSERT OR REPLACE INTO named (first, pairs) VALUES (?1, ?2)")?,
            delete_bucket: connection.prepare("DELETE FROM named WHERE first = ?1")?,
            set_merged: connection.prepare("UPDATE settled SET frozen_to = ?1, merged_to = ?2")?,
        };
        index.read_fresh(connection, names)?;
        Ok(index)
    }

    fn read_fresh(&mut self, connection: &Connection, names: &Names) -> Result<(), WriteError> {
        let (frozen_to, merged_to): (Option<i64>, Option<i64>) =
            connection.query_row("SELECT frozen_to, merged_to FROM settled", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let (mut frozen, mut fresh) = (Vec::new(), Vec::new());
        let mut statement = connection.prepare("SELECT round, names FROM fresh ORDER BY round")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let round: i64 = row.get(0)?;
            let list = if frozen_to.is_some_and(|to| round <= to) { &mut frozen } else { &mut fresh };
            list.extend(pairs_of(row.get_ref(1)?.as_blob()?)?);
            self.next_round = round + 1;
        }
        self.fresh = fresh.len();
        // What comes before has become part of the index; of those with this very tag some may not have.
        frozen.retain(|(tag, _)| merged_to.is_none_or(|to| *tag >= Tag(to)));
        frozen.sort_unstable();
        fresh.sort_unstable();
        for list in [&frozen, &fresh] {
            let kept: Vec<Named> = list.iter().copied().filter(|(_, no)| *no > 0).collect();
            names.extend(&kept);
        }
        self.merging = frozen_to.map(|to_round| Merging::of(to_round, frozen));
        if self.merging.is_some() {
            self.lost = fresh.into_iter().filter(|(_, no)| *no < 0).collect();
        } else if self.fresh >= self.together {
            // Were each life one round long, they would gather for ever.
            self.freeze_these(fresh);
        } else {
            self.lost = fresh.into_iter().filter(|(_, no)| *no < 0).collect();
        }
        Ok(())
    }

    /// The name leads to this number from the running transaction on.
    pub(super) fn note(&mut self, names: &Names, named: Named) {
        // In memory before the commit: from then on it is needed.
        let is_new = names.insert(named);
        self.came.push((named, !is_new));
    }

    /// The name leads nowhere any more.
    pub(super) fn note_lost(&mut self, (tag, no): Named) {
        self.came.push(((tag, -no), true));
    }

    /// Writes down what was noted, in one row. To be called before each commit.
    pub(super) fn write_fresh(&mut self) -> Result<(), WriteError> {
        if self.came.is_empty() {
            return Ok(());
        }
        let bytes = bytes_of(self.came.iter().map(|(named, _)| *named));
        self.insert_fresh.raw_bind_parameter(1, self.next_round)?;
        self.insert_fresh.raw_bind_parameter(2, bytes.as_slice())?;
        self.insert_fresh.raw_execute()?;
        self.next_round += 1;
        Ok(())
    }

    /// The running transaction is committed. Gives what the index has from now on.
    pub(super) fn committed(&mut self, names: &Names) -> Vec<Named> {
        self.fresh += self.came.len();
        self.lost.extend(self.came.drain(..).map(|(named, _)| named).filter(|(_, no)| *no < 0));
        let Some(merging) = &mut self.merging else {
            if self.fresh >= self.together {
                // Names that are lost come in no order; there are few.
                let mut frozen = names.all();
                frozen.append(&mut self.lost);
                frozen.sort();
                self.freeze_these(frozen);
            }
            return Vec::new();
        };
        // Stretch by stretch: whoever drops them from memory must not do hundreds of thousands together.
        let indexed = merging.names[merging.done..merging.done_next].iter().copied();
        let indexed = indexed.filter(|(_, no)| *no > 0).collect();
        merging.done = merging.done_next;
        if merging.is_over_next {
            self.merging = None;
        }
        indexed
    }

    fn freeze_these(&mut self, sorted: Vec<Named>) {
        self.merging = Some(Merging::of(self.next_round - 1, sorted));
        self.fresh = 0;
    }

    /// The running transaction came to nothing.
    pub(super) fn rolled_back(&mut self, names: &Names) {
        for (named, was_known) in self.came.drain(..) {
            if !was_known {
                names.remove(named);
            }
        }
        if let Some(merging) = &mut self.merging {
            merging.done_next = merging.done;
            merging.is_over_next = false;
        }
    }

    /// Puts some frozen names into the index: twice as many as came, so that they are done before others are
    /// frozen, and a hundredth of all at least, so that they are done some day. Notes how far it has come:
    /// the process may live too short to do all of them.
    pub(super) fn merge_some(&mut self) -> Result<(), WriteError> {
        let Some(mut merging) = self.merging.take() else { return Ok(()) };
        let count = (2 * self.came.len()).max(self.together / 100).max(1);
        let merged = self.merge(&mut merging, count);
        self.merging = Some(merging);
        merged
    }

    fn merge(&mut self, merging: &mut Merging, count: usize) -> Result<(), WriteError> {
        let enough = end_of_tag(&merging.names, merging.done + count);
        while merging.done_next < enough {
            merging.done_next += self.merge_into_a_bucket(&merging.names[merging.done_next..enough])?;
        }
        merging.is_over_next = merging.done_next == merging.names.len();
        let (frozen_to, merged_to) = if merging.is_over_next {
            self.delete_fresh.raw_bind_parameter(1, merging.to_round)?;
            self.delete_fresh.raw_execute()?;
            (None, None)
        } else {
            let last = merging.done_next.checked_sub(1).map(|last| merging.names[last].0.0);
            (Some(merging.to_round), last)
        };
        self.set_merged.raw_bind_parameter(1, frozen_to)?;
        self.set_merged.raw_bind_parameter(2, merged_to)?;
        match self.set_merged.raw_execute()? {
            1 => Ok(()),
            changed => Err(Nonsense(format!("{changed} rows say how far names are indexed")).into()),
        }
    }

    /// Puts the first of these into the bucket that they belong to; says how many that were.
    fn merge_into_a_bucket(&mut self, names: &[Named]) -> Result<usize, WriteError> {
        let (Tag(tag), _) = names[0];
        let bucket = self.bucket.query_row([tag], |row| {
            let pairs = pairs_of(row.get_ref(1)?.as_blob()?).map(Iterator::collect::<Vec<_>>);
            Ok((row.get(0)?, pairs))
        });
        let (first, mut pairs) = match bucket.optional()? {
            Some((first, pairs)) => (first, pairs?),
            None => (i64::MIN, Vec::new()),
        };
        let next: Option<i64> = self.next_bucket.query_row([first], |row| row.get(0))?;
        let count = names.partition_point(|(tag, _)| next.is_none_or(|next| *tag < Tag(next)));
        let (kept, lost): (Vec<Named>, Vec<Named>) = names[..count].iter().partition(|(_, no)| *no > 0);
        pairs.extend(kept);
        pairs.sort_unstable();
        pairs.dedup();
        pairs.retain(|(tag, no)| !lost.contains(&(*tag, -no)));
        self.write_buckets(first, &pairs)?;
        Ok(count)
    }

    /// Writes a bucket, as several if it has become too large.
    fn write_buckets(&mut self, first: i64, mut pairs: &[Named]) -> Result<(), WriteError> {
        if pairs.is_empty() {
            self.delete_bucket.execute([first])?;
            return Ok(());
        }
        // Of one size: half full ones grow for as long as full ones would split soon.
        let buckets = pairs.len().div_ceil(BUCKET_PAIRS_MAX);
        let size = pairs.len().div_ceil(buckets);
        let mut first = first;
        while !pairs.is_empty() {
            // All pairs of a tag lie together.
            let last = pairs[size.min(pairs.len()) - 1].0;
            let (bucket, rest) = pairs.split_at(pairs.partition_point(|(tag, _)| *tag <= last));
            self.put_bucket.raw_bind_parameter(1, first)?;
            self.put_bucket.raw_bind_parameter(2, bytes_of(bucket.iter().copied()).as_slice())?;
            self.put_bucket.raw_execute()?;
            pairs = rest;
            first = rest.first().map_or(first, |(Tag(tag), _)| *tag);
        }
        Ok(())
    }
}

/// Where to stop: a pair that comes and goes in one stretch is gone, whichever of the two is listed first.
fn end_of_tag(sorted: &[Named], at_least: usize) -> usize {
    let Some(rest) = sorted.get(at_least..) else { return sorted.len() };
    let Some((last, _)) = at_least.checked_sub(1).map(|last| sorted[last]) else { return at_least };
    at_least + rest.iter().take_while(|(tag, _)| *tag == last).count()
}

pub(super) fn bytes_of(pairs: impl Iterator<Item = Named>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PAIR_BYTES * pairs.size_hint().0);
    for (Tag(tag), no) in pairs {
        bytes.extend_from_slice(&tag.to_be_bytes());
        bytes.extend_from_slice(&no.to_be_bytes());
    }
    bytes
}

/// The pairs behind stored bytes.
pub(super) fn pairs_of(
    bytes: &[u8],
) -> Result<impl DoubleEndedIterator<Item = Named> + ExactSizeIterator, Nonsense> {
    let (pairs, rest) = bytes.as_chunks::<PAIR_BYTES>();
    if !rest.is_empty() {
        return Err(Nonsense(format!("{} bytes follow the names of a row", rest.len())));
    }
    Ok(pairs.iter().map(pair_of))
}

fn pair_of(bytes: &[u8; PAIR_BYTES]) -> Named {
    let number = |half: &[u8; 8]| i64::from_be_bytes(*half);
    let [tag, no] = bytes.as_chunks().0 else { unreachable!("a pair has two numbers") };
    (Tag(number(tag)), number(no))
}

/// The numbers that a bucket has for a tag.
pub(super) fn numbers_of(bucket: &[u8], tag: Tag) -> Result<Vec<i64>, Nonsense> {
    let (pairs, rest) = bucket.as_chunks::<PAIR_BYTES>();
    if !rest.is_empty() {
        return Err(Nonsense(format!("{} bytes follow the names of a row", rest.len())));
    }
    let from = pairs.partition_point(|pair| pair_of(pair).0 < tag);
    let equal = pairs[from..].iter().map(pair_of).take_while(|(other, _)| *other == tag);
    Ok(equal.map(|(_, no)| no).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::names::Tags;
    use crate::schema;

    const TOGETHER: usize = 20;

    fn database() -> Connection {
        let database = Connection::open_in_memory().unwrap();
        schema::create(&database, 0).unwrap();
        database
    }

    fn indexed(database: &Connection) -> Vec<Named> {
        let mut statement = database.prepare("SELECT first, pairs FROM named ORDER BY first").unwrap();
        let mut rows = statement.query([]).unwrap();
        let mut all: Vec<Named> = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let first = Tag(row.get(0).unwrap());
            let pairs: Vec<Named> = pairs_of(row.get_ref(1).unwrap().as_blob().unwrap()).unwrap().collect();
            assert!((1..=BUCKET_PAIRS_MAX + 8).contains(&pairs.len()), "{}", pairs.len());
            assert!(all.last().is_none_or(|(tag, _)| *tag < first) && pairs[0].0 >= first);
            for (tag, no) in &pairs {
                let bucket = "SELECT pairs FROM named WHERE first <= ?1 ORDER BY first DESC LIMIT 1";
                let bucket: Vec<u8> = database.query_row(bucket, [tag.0], |row| row.get(0)).unwrap();
                assert!(numbers_of(&bucket, *tag).unwrap().contains(no), "it is found by its tag");
            }
            all.extend(pairs);
        }
        assert!(all.is_sorted());
        all
    }

    #[derive(Debug, Clone)]
    enum Step {
        Round { named: Vec<i64>, lost: Vec<usize>, is_kept: bool },
        Restart,
    }

    fn step() -> impl Strategy<Value = Step> {
        // Few tags, so that some have several numbers.
        let tag = prop_oneof![-20i64..20, Just(i64::MIN), Just(i64::MAX), any::<i64>()];
        let round = (
            prop::collection::vec(tag, 0..12),
            prop::collection::vec(any::<usize>(), 0..6),
            prop::bool::weighted(0.9),
        );
        prop_oneof![
            6 => round.prop_map(|(named, lost, is_kept)| Step::Round { named, lost, is_kept }),
            1 => Just(Step::Restart),
        ]
    }

    proptest! {
        #[test]
        fn a_name_is_found_from_its_commit_on_wherever_it_is(steps in prop::collection::vec(step(), 1..60)) {
            let database = database();
            let mut names = Names::new(Tags::new(0));
            let mut index = LateIndex::read(&database, &names, TOGETHER).unwrap();
            let (mut there, mut gone) = (BTreeSet::new(), BTreeSet::new());
            let mut no = 0;
            for step in steps {
                match step {
                    Step::Round { named, lost, is_kept } => {
                        let transaction = database.unchecked_transaction().unwrap();
                        let named: Vec<Named> = named.into_iter().map(|tag| { no += 1; (Tag(tag), no) }).collect();
                        let lost: BTreeSet<Named> = lost
                            .into_iter()
                            .filter_map(|place| there.iter().nth(place % (there.len() + 1)).copied())
                            .collect();
                        named.iter().for_each(|named| index.note(&names, *named));
                        lost.iter().for_each(|lost| index.note_lost(*lost));
                        index.merge_some().unwrap();
                        index.write_fresh().unwrap();
                        if is_kept {
                            transaction.commit().unwrap();
                            index.committed(&names).into_iter().for_each(|indexed| names.remove(indexed));
                            there.extend(named);
                            there.retain(|named| !lost.contains(named));
                            gone.extend(lost);
                        } else {
                            transaction.rollback().unwrap();
                            index.rolled_back(&names);
                        }
                    }
                    Step::Restart => {
                        names = Names::new(Tags::new(0));
                        drop(index);
                        index = LateIndex::read(&database, &names, TOGETHER).unwrap();
                    }
                }
                let mut found: BTreeSet<Named> = names.all().into_iter().collect();
                found.extend(indexed(&database));
                prop_assert!(found.is_superset(&there), "{:?} is missing", there.difference(&found));
            }
            // What waits comes into the index in the end, and what is gone leaves it.
            for _ in 0..2 * TOGETHER {
                no += 1;
                index.note(&names, (Tag(no), no));
                there.insert((Tag(no), no));
                for _ in 0..TOGETHER {
                    index.merge_some().unwrap();
                    index.write_fresh().unwrap();
                    index.committed(&names).into_iter().for_each(|indexed| names.remove(indexed));
                }
            }
            let indexed: BTreeSet<Named> = indexed(&database).into_iter().collect();
            prop_assert!(indexed.is_disjoint(&gone), "{:?} should be gone", indexed.intersection(&gone));
            prop_assert!(there.difference(&indexed).count() < 2 * TOGETHER, "few wait");
        }
    }

    #[test]
    fn buckets_stay_as_large_as_a_page_however_many_names_there_are() {
        let database = database();
        let names = Names::new(Tags::new(0));
        let mut index = LateIndex::read(&database, &names, 1_000).unwrap();
        let mut tag = 1_u64;
        let mut there = BTreeSet::new();
        for no in 1..=30_000 {
            tag = amends_core::retry::splitmix64(tag);
            // Some fall together, as random ones hardly ever do.
            let named = (Tag((tag >> (no % 40)).cast_signed()), no);
            index.note(&names, named);
            there.insert(named);
            if no % 100 == 0 {
                index.merge_some().unwrap();
                index.write_fresh().unwrap();
                index.committed(&names).into_iter().for_each(|indexed| names.remove(indexed));
            }
        }
        let mut found: BTreeSet<Named> = indexed(&database).into_iter().collect();
        let buckets: i64 = database.query_row("SELECT count(*) FROM named", [], |row| row.get(0)).unwrap();
        assert!(found.len() > 28_000 && buckets as usize > 28_000 / BUCKET_PAIRS_MAX, "{buckets}");
        found.extend(names.all());
        assert_eq!(found, there);
    }

    /// Where a stretch ends between the two, the first of them is the loss.
    #[test]
    fn a_name_that_comes_and_goes_while_others_are_merged_is_gone() {
        let database = database();
        let names = Names::new(Tags::new(0));
        let mut index = LateIndex::read(&database, &names, 10).unwrap();
        let mut round = |come: &[i64], go: &[i64]| {
            come.iter().for_each(|no| index.note(&names, (Tag(7), *no)));
            go.iter().for_each(|no| index.note_lost((Tag(7), *no)));
            index.merge_some().unwrap();
            index.write_fresh().unwrap();
            index.committed(&names).into_iter().for_each(|indexed| names.remove(indexed));
        };
        round(&[1, 2, 3, 4, 5, 6], &[]);
        round(&[], &[1, 2, 3, 4, 5]);
        (0..20).for_each(|_| round(&[], &[]));
        assert_eq!(indexed(&database), [(Tag(7), 6)]);
    }

    #[test]
    fn half_a_pair_is_damage() {
        let database = database();
        database.execute_batch("INSERT INTO fresh VALUES (5, zeroblob(36))").unwrap();
        let read = LateIndex::read(&database, &Names::new(Tags::new(0)), TOGETHER);
        assert!(matches!(read, Err(WriteError::Nonsense(_))));
        assert!(numbers_of(&[0; 36], Tag(0)).is_err());
    }
}
