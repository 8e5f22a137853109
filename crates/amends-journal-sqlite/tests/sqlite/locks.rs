//! A lock that another program holds on the database passes: nothing fails, and new work goes on meanwhile.

use std::sync::mpsc::channel;
use std::time::Duration;

use amends_core::{Partitions, Time};
use amends_journal::{JournalError, Reads, Timer, Upkeep};
use rusqlite::Connection;

use crate::place::{COMPLETED, Place, check_filled, commit, count, ending, fill, id, next, settle, start};

/// Longer than any wait of ours that has an end.
const LONG: Duration = Duration::from_secs(1);

/// A shell in the middle of a transaction.
fn shell_with_a_lock(place: &Place) -> Connection {
    let shell = Connection::open(place.file("journal.db")).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    shell
}

#[test]
fn new_work_goes_on_beside_a_lock_of_another_program() {
    let place = Place::new();
    let journal = place.open();
    fill(&journal);
    settle(&journal);
    let shell = shell_with_a_lock(&place);
    for number in 21..=30 {
        commit(&journal, start(number));
        commit(&journal, ending(number, 1));
    }
    // Asleep, so read back from the database.
    commit(&journal, next(11, 3));
    // Lists and counts are as of the last round, what must not be out of date waits for nothing either.
    assert_eq!(count(&journal, COMPLETED), 10);
    let due = journal.timers_due(&Partitions::ALL, Timer::before(Time::default()), Time::NEVER, 1);
    assert!(matches!(due, Err(JournalError::Locked(_))), "{due:?}");
    assert_eq!(journal.load(id(30)).unwrap().stored().unwrap().records.len(), 2);
    shell.execute_batch("COMMIT").unwrap();
    while count(&journal, COMPLETED) < 20 {}
    assert_eq!(place.fatal(), [""; 0]);
}

#[test]
fn upkeep_waits_for_the_lock_and_appends_do_not_wait_for_upkeep() {
    let place = Place::new();
    let journal = place.open();
    fill(&journal);
    settle(&journal);
    let shell = shell_with_a_lock(&place);
    std::thread::scope(|scope| {
        let (swept, is_swept) = channel();
        let journal = &journal;
        scope.spawn(move || {
            let everybody = &Partitions::ALL;
            swept.send(journal.remove_ended(everybody, Time::NEVER, Time::NEVER, None, 100)).unwrap();
        });
        assert!(is_swept.recv_timeout(LONG).is_err(), "it waits");
        // Read back from the database, which retention may be about to change.
        commit(journal, next(11, 3));
        commit(journal, start(21));
        shell.execute_batch("ROLLBACK").unwrap();
        assert_eq!(is_swept.recv().unwrap().unwrap().removed, 10);
    });
    assert_eq!(place.fatal(), [""; 0]);
}

#[test]
fn a_start_waits_for_the_lock() {
    let place = Place::new();
    fill(&place.open());
    let shell = shell_with_a_lock(&place);
    std::thread::scope(|scope| {
        let (opened, is_opened) = channel();
        let place = &place;
        scope.spawn(move || opened.send(place.open()).unwrap());
        assert!(is_opened.recv_timeout(LONG).is_err(), "it waits");
        shell.execute_batch("ROLLBACK").unwrap();
        check_filled(&is_opened.recv().unwrap());
    });
}

#[test]
fn a_journal_that_is_closed_beside_a_lock_loses_nothing() {
    let place = Place::new();
    let journal = place.open();
    settle(&journal);
    let shell = shell_with_a_lock(&place);
    fill(&journal);
    drop(journal);
    assert_eq!(place.fatal(), [""; 0]);
    shell.execute_batch("ROLLBACK").unwrap();
    drop(shell);
    check_filled(&place.open());
}

/// It wants the database for itself: not even readers get by.
#[test]
fn a_start_waits_for_a_program_that_wants_the_database_for_itself() {
    let place = Place::new();
    fill(&place.open());
    let shell = Connection::open(place.file("journal.db")).unwrap();
    shell.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT").unwrap();
    std::thread::scope(|scope| {
        let (opened, is_opened) = channel();
        let place = &place;
        scope.spawn(move || opened.send(place.open()).unwrap());
        assert!(is_opened.recv_timeout(LONG).is_err(), "it waits");
        drop(shell);
        check_filled(&is_opened.recv().unwrap());
    });
}

#[test]
fn a_shell_may_tidy_the_file_up_meanwhile() {
    let place = Place::new();
    let journal = place.open();
    fill(&journal);
    settle(&journal);
    Connection::open(place.file("journal.db")).unwrap().execute_batch("VACUUM").unwrap();
    for number in 21..=30 {
        commit(&journal, start(number));
        commit(&journal, ending(number, 1));
    }
    assert_eq!(count(&journal, COMPLETED), 20);
    drop(journal);
    assert_eq!(place.fatal(), [""; 0]);
    assert_eq!(count(&place.open(), COMPLETED), 20);
}
