//! Claims about the feed.

use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use amends_core::{Event, Facts, StepIndex};

use crate::record::{self, Record};
use crate::{Feed, FeedEntry, FeedPosition};

use super::*;

suite![
    the_feed_has_every_committed_record_in_order,
    each_fact_has_a_position_of_its_own,
    the_feed_is_read_from_any_place_on,
    a_position_that_no_fact_had_is_unknown,
    what_was_not_committed_is_not_in_the_feed,
    removed_transactions_are_left_out_of_the_feed,
    whoever_watches_the_feed_is_called,
];

/// A record of so many facts.
fn facts(transaction: TransactionId, sequence: u64, count: usize) -> Bytes {
    let facts = Facts::Saga(vec![Event::StepStarted { step: StepIndex(0).into() }; count]);
    record::encode(transaction, sequence, &Record { at: at(sequence), facts })
}

/// The whole feed after a place, read in pages of `limit`.
fn fed(journal: &dyn Journal, after: u64, limit: usize) -> Vec<FeedEntry> {
    let mut all = Vec::new();
    let mut after = FeedPosition(after);
    loop {
        let Feed::Page { entries, next, newest } = journal.feed(Some(after), limit).expect(READABLE) else {
            panic!("everything is kept, and {after:?} was given")
        };
        assert!(entries.len() <= limit && entries.iter().all(|entry| entry.last() > after));
        assert!(next > after || after == newest, "whoever pages gets on");
        all.extend(entries);
        after = next;
        if after == newest {
            return all;
        }
    }
}

fn entry(number: u8, record: u64, facts: u32, first: u64) -> FeedEntry {
    FeedEntry { id: id(number), record, facts, first: FeedPosition(first) }
}

/// Both as memory has it and as the database has it, where there is one.
fn both_ways(journal: &dyn Journal, check: impl Fn()) {
    check();
    journal.count(&Filter::default()).expect(READABLE);
    check();
}

fn the_feed_has_every_committed_record_in_order(journal: &dyn Journal) {
    assert_eq!(fed(journal, 0, 10), []);
    start(journal, 1);
    start(journal, 2);
    commit(journal, next_of(id(1), 1));
    commit(journal, next_of(id(2), 1).becoming(COMPLETED));
    commit(journal, next_of(id(1), 2).becoming(PARKED));
    let all = [entry(1, 1, 1, 1), entry(2, 1, 1, 2), entry(1, 2, 1, 3), entry(2, 2, 1, 4), entry(1, 3, 1, 5)];
    both_ways(journal, || {
        for limit in 1..7 {
            assert_eq!(fed(journal, 0, limit), all);
        }
    });
}

fn each_fact_has_a_position_of_its_own(journal: &dyn Journal) {
    for (number, count) in [(1, 3), (2, 1), (3, 5)] {
        let append = start_of(id(number), plain("Test", 1));
        commit(journal, Append { record: facts(id(number), 1, count), ..append });
    }
    both_ways(journal, || {
        assert_eq!(fed(journal, 0, 10), [entry(1, 1, 3, 1), entry(2, 1, 1, 4), entry(3, 1, 5, 5)]);
        // From the midst of a record on, that record comes again.
        assert_eq!(fed(journal, 6, 10), [entry(3, 1, 5, 5)]);
        assert_eq!(fed(journal, 9, 10), []);
    });
}

fn the_feed_is_read_from_any_place_on(journal: &dyn Journal) {
    for number in 1..=9 {
        start(journal, number);
    }
    both_ways(journal, || {
        for after in 0..=9 {
            let firsts: Vec<u64> = fed(journal, after, 2).iter().map(|entry| entry.first.0).collect();
            assert_eq!(firsts, (after + 1..=9).collect::<Vec<_>>());
        }
        let end = Feed::Page { entries: Vec::new(), next: FeedPosition(9), newest: FeedPosition(9) };
        assert_eq!(journal.feed(None, 10).expect(READABLE), end);
    });
}

fn a_position_that_no_fact_had_is_unknown(journal: &dyn Journal) {
    let unknown = |newest| Feed::Unknown { newest: FeedPosition(newest) };
    assert_eq!(journal.feed(Some(FeedPosition(1)), 10).expect(READABLE), unknown(0));
    start(journal, 1);
    assert_eq!(journal.feed(Some(FeedPosition(2)), 10).expect(READABLE), unknown(1));
    assert_eq!(journal.feed(Some(FeedPosition(u64::MAX)), 10).expect(READABLE), unknown(1));
}

fn what_was_not_committed_is_not_in_the_feed(journal: &dyn Journal) {
    start(journal, 1);
    conflict_of(journal, next_of(id(1), 7));
    conflict_of(journal, next_of(id(9), 1));
    submit_as_it_is(journal, vec![Append { epoch: Epoch(u64::MAX), ..next_of(id(1), 1) }]);
    commit(journal, next_of(id(1), 1));
    both_ways(journal, || assert_eq!(fed(journal, 0, 10), [entry(1, 1, 1, 1), entry(1, 2, 1, 2)]));
}

fn removed_transactions_are_left_out_of_the_feed(journal: &dyn Journal) {
    start_and_end(journal, 1, at(5));
    start(journal, 2);
    journal.remove_ended(&Partitions::ALL, Time::NEVER, at(1_000), None, 10).expect(WRITABLE);
    for limit in 1..5 {
        let rest = fed(journal, 0, limit);
        assert_eq!(rest.last(), Some(&entry(2, 1, 1, 3)));
    }
}

fn whoever_watches_the_feed_is_called(journal: &dyn Journal) {
    let (came, comes) = channel();
    journal.watch_feed(Box::new(move |newest| {
        // The receiver may have seen enough.
        let _ = came.send(newest);
    }));
    start(journal, 1);
    commit(journal, next_of(id(1), 1));
    let mut newest = FeedPosition(0);
    while newest < FeedPosition(2) {
        newest = match comes.recv_timeout(Duration::from_secs(20)) {
            Ok(newest) => newest,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => panic!("nobody was called"),
        };
    }
    assert_eq!(newest, FeedPosition(2));
}
