//! Ids of callers and idempotency keys, wherever they are between memory and their index.

use amends_core::{Partitions, Time};
use amends_journal::conformance::submit;
use amends_journal::{AppendAnswer, Conflict, Reads, Upkeep};
use amends_journal_sqlite::{SqliteJournal, SqliteOptions, limits};

use crate::place::{Place, database_of, everything, scattered, short_given};

/// All numbers that any name leads to, in the index.
fn indexed_numbers(place: &Place) -> Vec<i64> {
    let database = database_of(place);
    let mut statement = database.prepare("SELECT pairs FROM named").unwrap();
    let buckets = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let numbers = buckets.flat_map(|bucket| {
        bucket
            .unwrap()
            .as_chunks::<16>()
            .0
            .iter()
            .map(|pair| i64::from_be_bytes(pair[8..].try_into().unwrap()))
            .collect::<Vec<_>>()
    });
    numbers.collect()
}

/// Each round freezes what has gathered, goes on with one, or is done with one.
#[test]
fn an_id_of_a_callers_is_found_wherever_its_index_stands() {
    const FEW: SqliteOptions = SqliteOptions {
        feed_facts_kept: None,
        disk_reserve_bytes: 0,
        database_bytes_max: None,
        log_bytes_max: limits::LOG_BYTES_MAX,
        names_indexed_together: 5,
    };
    let mut place = Place::new();
    let mut journal = place.try_open(FEW).unwrap();
    let mut gone = Vec::new();
    for number in 1..=90 {
        assert_eq!(submit(&journal, vec![short_given(number)]), [AppendAnswer::Committed]);
        // The database is brought up to the log before it is counted.
        assert_eq!(journal.count(&everything()).unwrap().count, number - gone.len() as u64);
        if number % 13 == 0 {
            let copy = place.as_left_by_a_kill();
            drop(journal);
            place = copy;
            journal = place.try_open(FEW).unwrap();
        }
        if number % 10 == 0 {
            let before = Time::from_milliseconds(number - 5);
            assert!(
                journal
                    .remove_ended(&Partitions::ALL, before, Time::from_milliseconds(1_000), None, 1_000)
                    .unwrap()
                    .removed
                    > 0
            );
            gone = (1..number - 5).collect();
        }
        for other in 1..=number {
            let found = journal.load(scattered(other)).unwrap().stored();
            assert_eq!(found.is_some(), !gone.contains(&other), "{other} of {number}");
            let [answer] = &submit(&journal, vec![short_given(other)])[..] else { panic!("one answer") };
            let AppendAnswer::Conflict(Conflict::Exists(entry)) = answer else {
                panic!("{other}: {answer:?}")
            };
            assert_eq!(entry.id, scattered(other));
        }
        assert_eq!(journal.load(scattered(number + 1)).unwrap().stored(), None);
    }
    drop(journal);
    let database = database_of(&place);
    let number = |sql: &str| -> i64 { database.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert!(number("SELECT count(*) FROM named") > 0, "some are in the index");
    let fresh = number("SELECT coalesce(sum(length(names)), 0) / 16 FROM fresh");
    assert!((1..=20).contains(&fresh), "and few are not: {fresh}");
    assert_eq!(place.fatal(), Vec::<String>::new());
}

#[test]
fn an_id_whose_reservation_is_over_belongs_to_whoever_takes_it_next() {
    let options = SqliteOptions { names_indexed_together: 3, ..SqliteOptions::default() };
    let place = Place::new();
    let mut journal = place.try_open(options.clone()).unwrap();
    for number in 1..=8 {
        submit(&journal, vec![short_given(number)]);
        journal.count(&everything()).unwrap();
    }
    journal.remove_ended(&Partitions::ALL, Time::NEVER, Time::from_milliseconds(1_000), None, 100).unwrap();
    assert_eq!(journal.forget_reservations(&Partitions::ALL, Time::NEVER, 100).unwrap(), 8);
    for number in (1..=8).rev() {
        assert_eq!(submit(&journal, vec![short_given(number)]), [AppendAnswer::Committed]);
        journal.count(&everything()).unwrap();
    }
    for _ in 0..2 {
        for number in 1..=8 {
            assert!(journal.load(scattered(number)).unwrap().stored().is_some(), "{number}");
        }
        drop(journal);
        journal = place.try_open(options.clone()).unwrap();
    }
}

#[test]
fn the_index_loses_ids_whose_reservation_is_over() {
    let options = SqliteOptions { names_indexed_together: 3, ..SqliteOptions::default() };
    let mut place = Place::new();
    let mut journal = place.try_open(options.clone()).unwrap();
    for number in 1..=40 {
        submit(&journal, vec![short_given(number)]);
        journal.count(&everything()).unwrap();
    }
    assert_eq!(
        journal
            .remove_ended(&Partitions::ALL, Time::NEVER, Time::from_milliseconds(1_000), None, 100)
            .unwrap()
            .removed,
        40
    );
    // One that is given anew in between stays.
    assert_eq!(journal.forget_reservations(&Partitions::ALL, Time::NEVER, 20).unwrap(), 20);
    assert_eq!(submit(&journal, vec![short_given(7)]), [AppendAnswer::Committed]);
    journal.count(&everything()).unwrap();
    let copy = place.as_left_by_a_kill();
    drop(journal);
    place = copy;
    journal = place.try_open(options).unwrap();
    assert_eq!(journal.forget_reservations(&Partitions::ALL, Time::NEVER, 100).unwrap(), 20);
    // What was forgotten last is put off until others come.
    for number in 100..=160 {
        submit(&journal, vec![short_given(number)]);
        journal.count(&everything()).unwrap();
    }
    assert!(journal.load(scattered(7)).unwrap().stored().is_some());
    drop(journal);
    let database = database_of(&place);
    let ended: i64 = database.query_row("SELECT count(*) FROM ended", [], |row| row.get(0)).unwrap();
    let indexed = indexed_numbers(&place).len() as i64;
    assert!(indexed > 0 && indexed <= 2 * ended, "{indexed} for {ended}: none of forty that lead nowhere");
    assert_eq!(place.fatal(), Vec::<String>::new());
}

/// Its turn in the index comes when it was forgotten for the second time.
#[test]
fn the_index_loses_an_id_that_was_given_anew_and_forgotten_again() {
    let options = SqliteOptions { names_indexed_together: 10, ..SqliteOptions::default() };
    let place = Place::new();
    let journal = place.try_open(options).unwrap();
    let start_and_end = |number| {
        assert_eq!(submit(&journal, vec![short_given(number)]), [AppendAnswer::Committed]);
        journal.count(&everything()).unwrap();
    };
    let numbers_of_it = |from: i64, to: i64| {
        indexed_numbers(&place).into_iter().filter(|no| (from..=to).contains(no)).count()
    };
    (1..=16).for_each(start_and_end);
    assert_eq!(numbers_of_it(1, 1), 2, "its id and its key");
    for _ in 0..2 {
        let (before, now) = (Time::from_milliseconds(2), Time::from_milliseconds(1_000));
        assert_eq!(journal.remove_ended(&Partitions::ALL, before, now, None, 100).unwrap().removed, 1);
        assert_eq!(journal.forget_reservations(&Partitions::ALL, Time::NEVER, 100).unwrap(), 1);
        start_and_end(1);
    }
    let (before, now) = (Time::from_milliseconds(2), Time::from_milliseconds(1_000));
    assert_eq!(journal.remove_ended(&Partitions::ALL, before, now, None, 100).unwrap().removed, 1);
    assert_eq!(journal.forget_reservations(&Partitions::ALL, Time::NEVER, 100).unwrap(), 1);
    (100..140).for_each(start_and_end);
    assert_eq!(numbers_of_it(1, 1) + numbers_of_it(17, 18), 0);
}

/// The process is killed so soon each time that the index is long in coming, and what came since grows beyond
/// what is frozen.
#[test]
fn an_id_given_anew_is_found_however_short_the_lives() {
    let options = SqliteOptions { names_indexed_together: 5, ..SqliteOptions::default() };
    let start_and_end = |journal: &SqliteJournal, number| {
        assert_eq!(submit(journal, vec![short_given(number)]), [AppendAnswer::Committed], "{number}");
        journal.count(&everything()).unwrap();
    };
    let mut place = Place::new();
    let mut journal = place.try_open(options.clone()).unwrap();
    (1..=5).for_each(|number| start_and_end(&journal, number));
    journal.remove_ended(&Partitions::ALL, Time::NEVER, Time::from_milliseconds(1_000), None, 100).unwrap();
    assert_eq!(journal.forget_reservations(&Partitions::ALL, Time::NEVER, 1).unwrap(), 1);
    start_and_end(&journal, 1);
    let mut live = vec![1];
    for number in 6..40 {
        if number % 2 == 0 {
            let copy = place.as_left_by_a_kill();
            drop(journal);
            place = copy;
            journal = place.try_open(options.clone()).unwrap();
        }
        for other in 1..number {
            let found = journal.load(scattered(other)).unwrap().stored();
            assert_eq!(found.is_some(), live.contains(&other), "{other} of {number}");
            let [answer] = &submit(&journal, vec![short_given(other)])[..] else { panic!("one answer") };
            assert!(matches!(answer, AppendAnswer::Conflict(Conflict::Exists(_))), "{other}: {answer:?}");
        }
        start_and_end(&journal, number);
        live.push(number);
    }
    assert_eq!(place.fatal(), [""; 0]);
    drop(journal);
    let database = database_of(&place);
    let number = |sql: &str| -> i64 { database.query_row(sql, [], |row| row.get(0)).unwrap() };
    let waiting = number("SELECT coalesce(sum(length(names)), 0) / 16 FROM fresh");
    assert!(waiting <= 24, "{waiting} names wait for the index");
}

#[test]
fn the_number_of_a_removed_transaction_is_not_given_again() {
    let place = Place::new();
    let start_and_end = |journal: &SqliteJournal, numbers: std::ops::RangeInclusive<u64>| {
        for number in numbers {
            assert_eq!(submit(journal, vec![short_given(number)]), [AppendAnswer::Committed]);
        }
        journal.count(&everything()).unwrap();
    };
    let remove_all = |journal: &SqliteJournal| {
        journal
            .remove_ended(&Partitions::ALL, Time::NEVER, Time::from_milliseconds(1_000), None, 100)
            .unwrap()
            .removed
    };
    let journal = place.open();
    start_and_end(&journal, 1..=3);
    assert_eq!(remove_all(&journal), 3);
    drop(journal);
    // Their numbers would be next if only those of transactions that are there counted.
    let journal = place.open();
    start_and_end(&journal, 11..=13);
    drop(journal);
    let journal = place.open();
    for number in 1..=3 {
        let [answer] = &submit(&journal, vec![short_given(number)])[..] else { panic!("one answer") };
        assert!(
            matches!(answer, AppendAnswer::Conflict(Conflict::Exists(_))),
            "{number} is reserved: {answer:?}"
        );
    }
    assert_eq!(remove_all(&journal), 3);
    assert_eq!(place.fatal(), Vec::<String>::new());
}

/// Whoever submits looks ids up before the committer judges; what came in between must count.
#[test]
fn of_many_who_start_under_one_id_one_does() {
    const IDS: u64 = 400;
    let options = SqliteOptions { names_indexed_together: 20, ..SqliteOptions::default() };
    let place = Place::new();
    let journal = place.try_open(options).unwrap();
    let started = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for number in 1..=IDS {
                    if submit(&journal, vec![short_given(number)]) == [AppendAnswer::Committed] {
                        started.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        // The database is brought up to the log, and the committer forgets.
                        journal.count(&everything()).unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(started.into_inner(), IDS);
    assert_eq!(journal.count(&everything()).unwrap().count, IDS);
    assert_eq!(place.fatal(), Vec::<String>::new());
}
