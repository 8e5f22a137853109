//! What was committed, in order: the feed (ADR 16).
//!
//! Owns the feed's end in memory. Promises that a fact's position follows from
//! the order of the log alone, so that a start which reads the log again gives the same ones; and that what is
//! dropped from memory is in the database, with every transaction that it is about. Does not hold records. Its
//! rows in the database are `feed_rows.rs`'s.
//!
//! The committer notes every record as it writes the log and shows it after the flush. Each round brings what
//! came since the last one into the database, as a row or a few; so the log is let go only when its part of
//! the feed is kept. A life without a feed leaves a gap: what came before it is *expired* from then on.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use amends_journal::{FeedEntry, FeedPosition, OnFeed};
use amends_log::BatchNumber;
use rusqlite::Connection;

use crate::limits::FEED_ENTRIES_AT_HAND;

use super::failure::WriteError;
use super::schema::count_of;

/// The end of the feed, as far as it is in memory.
pub(super) struct FeedEnd {
    tail: Mutex<Tail>,
    watchers: Mutex<Vec<OnFeed>>,
    /// How many facts are kept.
    facts_kept: u64,
}

/// A record in the feed, and the number of its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) entry: FeedEntry,
    pub(super) no: i64,
}

#[derive(Debug)]
struct Tail {
    noted: VecDeque<Noted>,
    /// Where batches end: number, and the position of the last fact.
    batches: VecDeque<(BatchNumber, u64)>,
    newest: u64,
    /// Everything after this is kept, as far as is known without asking the database.
    oldest: u64,
    /// What rounds were told of already.
    told: u64,
    /// Whether rows of the database are from before a gap, and to go with the next round.
    has_gap: bool,
}

/// What a round brings into the database.
#[derive(Debug)]
pub(super) struct FeedPart {
    pub(super) noted: Vec<Noted>,
    pub(super) to_batch: BatchNumber,
    pub(super) to_position: u64,
    pub(super) after_gap: bool,
    pub(super) facts_kept: u64,
}

/// What the database says of the feed.
#[derive(Debug, Clone, Copy)]
pub(super) struct FeedInDatabase {
    /// The last batch of the log whose records are in the feed's rows.
    pub(super) batch: BatchNumber,
    /// The position of the last fact there.
    pub(super) position: u64,
}

/// What memory can say to a reader.
pub(super) enum AtHand {
    Page {
        entries: Vec<FeedEntry>,
        next: FeedPosition,
        newest: FeedPosition,
    },
    Unknown {
        newest: FeedPosition,
    },
    Expired {
        oldest: FeedPosition,
    },
    /// The database has it, if anything.
    InDatabase {
        newest: FeedPosition,
    },
}

/// The records of batches that a start reads from the log, before their positions are known.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    batches: Vec<(BatchNumber, Vec<Noted>)>,
}

impl Replayed {
    /// Takes in one record; its position is given later.
    pub(super) fn note(&mut self, batch: BatchNumber, noted: Noted) {
        match self.batches.last_mut() {
            Some((last, all)) if *last == batch => all.push(noted),
            Some(_) | None => self.batches.push((batch, vec![noted])),
        }
    }
}

impl FeedEnd {
    pub(super) fn new(facts_kept: u64) -> Self {
        let tail = Tail {
            noted: VecDeque::new(),
            batches: VecDeque::new(),
            newest: 0,
            oldest: 0,
            told: 0,
            has_gap: false,
        };
        Self { tail: Mutex::new(tail), watchers: Mutex::default(), facts_kept }
    }

    /// Begins with what a start found: in the database, and in the log after the batch that it is settled to.
    pub(super) fn begin(&self, database: FeedInDatabase, settled_to: BatchNumber, replayed: Replayed) {
        let mut tail = self.tail();
        // What came between is in no row, and the log does not have it any more.
        tail.has_gap = database.batch < settled_to;
        let in_rows = replayed.batches.iter().filter(|(batch, _)| *batch <= database.batch);
        let in_rows: u64 = in_rows.flat_map(|(_, all)| all).map(|noted| u64::from(noted.entry.facts)).sum();
        let mut position = if tail.has_gap {
            // One that nobody had: whoever stands at the last one has missed something.
            database.position + 1
        } else {
            database.position.saturating_sub(in_rows)
        };
        tail.oldest = if tail.has_gap { position } else { 0 };
        for (batch, all) in replayed.batches {
            for mut noted in all {
                noted.entry.first = FeedPosition(position + 1);
                position = noted.entry.last().0;
                tail.noted.push_back(noted);
            }
            tail.batches.push_back((batch, position));
        }
        tail.newest = position;
        tail.told = if tail.has_gap { tail.oldest } else { database.position };
    }

    /// Shows what a batch committed, now that it is durable.
    pub(super) fn show(&self, batch: BatchNumber, noted: &mut Vec<Noted>) {
        let newest = {
            let mut tail = self.tail();
            for mut noted in noted.drain(..) {
                noted.entry.first = FeedPosition(tail.newest + 1);
                tail.newest = noted.entry.last().0;
                tail.noted.push_back(noted);
            }
            let newest = tail.newest;
            tail.batches.push_back((batch, newest));
            FeedPosition(newest)
        };
        let watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.iter().for_each(|on_new| on_new(newest));
    }

    pub(super) fn watch(&self, on_new: OnFeed) {
        // A panic of one who is told leaves the list as it was.
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner).push(on_new);
    }

    /// What came since the last round, for the next.
    pub(super) fn for_round(&self) -> FeedPart {
        let mut tail = self.tail();
        let from = tail.first_after(tail.told);
        let part = FeedPart {
            noted: tail.noted.range(from..).copied().collect(),
            to_batch: tail.batches.back().map_or(0, |(batch, _)| *batch),
            to_position: tail.newest,
            after_gap: std::mem::take(&mut tail.has_gap),
            facts_kept: self.facts_kept,
        };
        tail.told = tail.newest;
        part
    }

    /// Drops what the database has, with every transaction that it is about, but for the newest.
    pub(super) fn settled(&self, settled_to: BatchNumber) {
        let mut tail = self.tail();
        while tail.batches.len() > 1 {
            let (batch, position) = tail.batches[0];
            let gone = tail.first_after(position);
            if batch > settled_to || tail.noted.len() - gone < FEED_ENTRIES_AT_HAND {
                break;
            }
            tail.noted.drain(..gone);
            tail.batches.pop_front();
        }
    }

    /// What comes after a place, if memory has it.
    pub(super) fn look(&self, after: Option<FeedPosition>, limit: usize) -> AtHand {
        let tail = self.tail();
        let newest = FeedPosition(tail.newest);
        let after = after.unwrap_or(newest);
        if after > newest {
            return AtHand::Unknown { newest };
        }
        if after.0 < tail.oldest {
            return AtHand::Expired { oldest: FeedPosition(tail.oldest) };
        }
        let is_here = tail.noted.front().is_some_and(|first| first.entry.first.0 <= after.0 + 1);
        if !is_here && after < newest {
            return AtHand::InDatabase { newest };
        }
        let from = tail.first_after(after.0);
        let entries: Vec<FeedEntry> = tail.noted.range(from..).take(limit).map(|noted| noted.entry).collect();
        let next = entries.last().map_or(after, FeedEntry::last);
        AtHand::Page { entries, next, newest }
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        // Whatever panics half-way here ends the journal.
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tail {
    /// The place of the first that states a fact after that position.
    fn first_after(&self, position: u64) -> usize {
        self.noted.partition_point(|noted| noted.entry.last().0 <= position)
    }
}

/// What the database says of the feed.
pub(super) fn in_database(connection: &Connection) -> Result<FeedInDatabase, WriteError> {
    let (batch, position): (i64, i64) =
        connection.query_row("SELECT feed_batch, feed_position FROM settled", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    Ok(FeedInDatabase { batch: count_of(batch)?, position: count_of(position)? })
}

#[cfg(test)]
mod tests {
    use amends_core::TransactionId;

    use super::*;

    fn noted((no, record, facts): (i64, u64, u32)) -> Noted {
        let id = TransactionId::from_bytes([1; 16]);
        Noted { entry: FeedEntry { id, record, facts, first: FeedPosition(0) }, no }
    }

    fn end(end: &FeedEnd) -> (u64, u64) {
        let tail = end.tail();
        (tail.oldest, tail.newest)
    }

    fn replayed(batches: &[(BatchNumber, u32)]) -> Replayed {
        let mut replayed = Replayed::default();
        for (batch, facts) in batches {
            replayed.note(*batch, noted((1, 1, *facts)));
        }
        replayed
    }

    #[test]
    fn what_the_log_has_again_gets_the_positions_it_had() {
        let feed = FeedEnd::new(100);
        // Rows have batches up to 7, the log those after 5.
        let database = FeedInDatabase { batch: 7, position: 40 };
        feed.begin(database, 5, replayed(&[(6, 3), (7, 2), (8, 4)]));
        assert_eq!(end(&feed), (0, 44));
        let firsts: Vec<u64> = feed.tail().noted.iter().map(|noted| noted.entry.first.0).collect();
        assert_eq!(firsts, [36, 39, 41]);
        let part = feed.for_round();
        assert_eq!((part.noted.len(), part.to_batch, part.to_position, part.after_gap), (1, 8, 44, false));
    }

    #[test]
    fn after_a_life_without_a_feed_everything_before_is_expired() {
        let feed = FeedEnd::new(100);
        feed.begin(FeedInDatabase { batch: 4, position: 40 }, 5, replayed(&[(6, 3)]));
        assert_eq!(end(&feed), (41, 44));
        for after in [0, 39, 40] {
            let found = feed.look(Some(FeedPosition(after)), 9);
            assert!(matches!(found, AtHand::Expired { oldest: FeedPosition(41) }));
        }
        assert!(
            matches!(feed.look(Some(FeedPosition(41)), 9), AtHand::Page { entries, .. } if entries.len() == 1)
        );
        let part = feed.for_round();
        assert_eq!((part.noted.len(), part.after_gap), (1, true));
        assert!(!feed.for_round().after_gap);
    }
}
