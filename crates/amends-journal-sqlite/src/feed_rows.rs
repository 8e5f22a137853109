//! The feed as the database keeps it (ADR 16).
//!
//! Owns the rows: some records each, by the position of their last fact. Promises that a row which does not
//! come out even is refused, and that what retention removed is left out. Does not give positions: `feed.rs`
//! does.

use amends_core::TransactionId;
use amends_journal::{FeedEntry, FeedPosition};
use bytes::{Buf, Bytes};
use rusqlite::params;

use crate::limits::FEED_ROW_ENTRIES_MAX;

use super::failure::{ReadError, WriteError};
use super::feed::{FeedPart, Noted};
use super::look::Look;
use super::schema::{self, Nonsense, count_of};
use super::settler::Settler;

impl Settler<'_> {
    /// Writes a round's part of the feed, and forgets what is too old.
    pub(super) fn write_feed(&mut self, part: &FeedPart) -> Result<(), WriteError> {
        let connection = self.connection;
        if part.after_gap {
            connection.execute("DELETE FROM feed", [])?;
        }
        let mut insert =
            connection.prepare_cached("INSERT INTO feed (last, first, entries) VALUES (?1, ?2, ?3)")?;
        for row in part.noted.chunks(FEED_ROW_ENTRIES_MAX) {
            let (first, last) = (row[0].entry.first, row[row.len() - 1].entry.last());
            self.value.clear();
            put_row(&mut self.value, row);
            insert.execute(params![stored(last), stored(first), self.value.as_slice()])?;
        }
        let before = FeedPosition(part.to_position.saturating_sub(part.facts_kept));
        connection.prepare_cached("DELETE FROM feed WHERE last <= ?1")?.execute([stored(before)])?;
        let batch = i64::try_from(part.to_batch).expect("no log has 2^63 batches");
        let set = params![batch, stored(FeedPosition(part.to_position))];
        let sql = "UPDATE settled SET feed_batch = max(feed_batch, ?1), feed_position = ?2";
        match connection.prepare_cached(sql)?.execute(set)? {
            1 => Ok(()),
            changed => Err(Nonsense(format!("{changed} rows say how far the feed is kept")).into()),
        }
    }
}

/// What the database has of the feed after a place.
pub(super) enum InRows {
    Page { entries: Vec<FeedEntry>, next: FeedPosition },
    Expired { oldest: FeedPosition },
}

impl Look<'_> {
    /// `newest`: what memory said before this moment began; of what memory dropped since, this moment may have
    /// none, and says so by ending before.
    pub(super) fn feed(
        &self,
        after: FeedPosition,
        newest: FeedPosition,
        limit: usize,
    ) -> Result<InRows, ReadError> {
        let first =
            self.first("SELECT first FROM feed ORDER BY last LIMIT 1", [], |row| Ok(count_of(row.get(0)?)?))?;
        let oldest = FeedPosition(first.map_or(newest.0, |first| first - 1));
        if after < oldest {
            return Ok(InRows::Expired { oldest });
        }
        let sql = "SELECT first, entries FROM feed WHERE last > ?1 ORDER BY last";
        let mut statement = self.moment.prepare_cached(sql)?;
        let mut rows = statement.query([stored(after)])?;
        let (mut entries, mut next, mut looked_at) = (Vec::new(), after, 0);
        while looked_at < limit
            && let Some(row) = rows.next()?
        {
            let first = count_of(row.get(0)?)?;
            let all = take_row(first, Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?))?;
            for noted in all.into_iter().filter(|noted| noted.last() > after).take(limit - looked_at) {
                next = noted.last();
                looked_at += 1;
                // One that retention removed is left out.
                if let Some(id) = self.id_of_number(noted.no)? {
                    let InRow { record, facts, first, no: _ } = noted;
                    entries.push(FeedEntry { id, record, facts, first });
                }
            }
        }
        Ok(InRows::Page { entries, next })
    }

    fn id_of_number(&self, no: i64) -> Result<Option<TransactionId>, ReadError> {
        let sql = "SELECT id FROM ended WHERE no = ?1 UNION ALL SELECT id FROM live WHERE no = ?1";
        self.first(sql, [no], |row| Ok(schema::id_of(row.get_ref(0)?.as_blob()?)?))
    }
}

/// A record in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct InRow {
    no: i64,
    record: u64,
    facts: u32,
    first: FeedPosition,
}

impl InRow {
    fn last(&self) -> FeedPosition {
        FeedPosition(self.first.0 + u64::from(self.facts) - 1)
    }
}

/// A row: for each record how far its transaction's number is from the one before (zigzag), its own number,
/// and how many facts it states; each in groups of seven bits, the lowest first.
fn put_row(row: &mut Vec<u8>, noted: &[Noted]) {
    let mut before = 0;
    for Noted { entry, no } in noted {
        let step = no - before;
        put_number(row, (step << 1 ^ step >> (i64::BITS - 1)).cast_unsigned());
        put_number(row, entry.record);
        put_number(row, entry.facts.into());
        before = *no;
    }
}

fn take_row(first: u64, mut row: Bytes) -> Result<Vec<InRow>, Nonsense> {
    let (mut all, mut no, mut position) = (Vec::new(), 0i64, first);
    let uneven = || Nonsense("a row of the feed does not come out even".to_owned());
    while !row.is_empty() {
        let step = take_number(&mut row).ok_or_else(uneven)?;
        no = no.wrapping_add((step >> 1).cast_signed() ^ -(step & 1).cast_signed());
        let record = take_number(&mut row).ok_or_else(uneven)?;
        let facts = take_number(&mut row).and_then(|facts| u32::try_from(facts).ok());
        let facts = facts.filter(|facts| *facts > 0).ok_or_else(uneven)?;
        all.push(InRow { no, record, facts, first: FeedPosition(position) });
        position = position.checked_add(facts.into()).ok_or_else(uneven)?;
    }
    Ok(all)
}

fn put_number(row: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        row.push(number as u8 | 0x80);
        number >>= 7;
    }
    row.push(number as u8);
}

fn take_number(row: &mut Bytes) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = row.try_get_u8().ok()?;
        number |= u64::from(byte & 0x7F).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// A position as stored.
fn stored(position: FeedPosition) -> i64 {
    i64::try_from(position.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noted((no, record, facts): (i64, u64, u32)) -> Noted {
        let id = TransactionId::from_bytes([1; 16]);
        Noted { entry: FeedEntry { id, record, facts, first: FeedPosition(0) }, no }
    }

    proptest! {
        #[test]
        fn a_row_comes_back_as_it_went_in(
            all in prop::collection::vec((1..i64::MAX, 1..u64::MAX, 1u32..9), 1..20), first in 1u64..1_000
        ) {
            let mut row = Vec::new();
            put_row(&mut row, &all.iter().copied().map(noted).collect::<Vec<_>>());
            let found = take_row(first, row.into()).unwrap();
            let parts: Vec<_> = found.iter().map(|found| (found.no, found.record, found.facts)).collect();
            prop_assert_eq!(parts, all);
            prop_assert!(found.windows(2).all(|pair| pair[0].last().0 + 1 == pair[1].first.0));
            prop_assert_eq!(found[0].first, FeedPosition(first));
        }

        #[test]
        fn no_bytes_make_it_panic(row: Vec<u8>, first: u64) {
            let _ = take_row(first, row.into());
        }
    }
}
