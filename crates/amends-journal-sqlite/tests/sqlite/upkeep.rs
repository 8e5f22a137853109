//! The files do not grow without end.

use std::fs;

use amends_core::{Partitions, Time};
use amends_journal::{Append, Upkeep};
use bytes::Bytes;

use crate::place::{COMPLETED, Place, commit, count, ending, settle, start};

#[test]
fn a_long_log_is_copied_into_the_database() {
    let place = Place::new();
    let journal = place.open();
    for number in 0..40 {
        commit(&journal, Append { record: Bytes::from(vec![7; 1 << 20]), ..start(number) });
    }
    settle(&journal);
    let size = |name| fs::metadata(place.file(name)).unwrap().len();
    assert!(size("journal.db") > 10 << 20, "{}", size("journal.db"));
    assert!(size("journal.db-wal") < 30 << 20, "{}", size("journal.db-wal"));
}

#[test]
fn retention_gives_space_back() {
    let place = Place::new();
    let journal = place.open();
    for number in 0..20 {
        commit(&journal, Append { record: Bytes::from(vec![7; 1 << 20]), ..start(number) });
        commit(&journal, ending(number, 1));
    }
    drop(journal);
    let size = || fs::metadata(place.file("journal.db")).unwrap().len();
    let before = size();
    let journal = place.open();
    let mut cursor = None;
    for _ in 0..20 {
        cursor = journal
            .remove_ended(&Partitions::ALL, Time::NEVER, Time::from_milliseconds(1_000), cursor, 1)
            .unwrap()
            .next;
    }
    drop(journal);
    assert!(size() < before / 2, "{} of {before}", size());
    assert_eq!(count(&place.open(), COMPLETED), 0);
}
