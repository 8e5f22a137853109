//! After an error that leaves the disk in doubt nobody waits, and nobody gets an answer that may not be on
//! the disk.

use std::sync::mpsc::channel;
use std::time::Duration;

use amends_core::{Partitions, Time};
use amends_journal::conformance::{owned, submit};
use amends_journal::{AppendAnswer, Appends, Filter, JournalError, Reads, Upkeep};
use amends_journal_sqlite::{SqliteJournal, SqliteOptions};

use crate::place::{
    Place, break_the_database, commit, database_of, epoch, fill, id, next, settle, short_given, start,
};

#[test]
fn an_error_that_leaves_the_disk_in_doubt_is_fatal_once_and_for_ever() {
    let place = Place::new();
    let journal = place.open();
    commit(&journal, start(1));
    break_the_database(&place);
    assert!(journal.count(&Filter::default()).is_err());
    for append in [start(2), next(1, 1), start(3)] {
        assert_eq!(submit(&journal, vec![append]), [AppendAnswer::Unknown]);
    }
    let [said] = place.fatal().try_into().expect("it is said once");
    let said: String = said;
    assert!(said.contains("journal.db") && said.contains("must stop and be started again"), "{said}");
    assert!(matches!(journal.quarantine(id(1), 1, epoch(&journal), "why"), Err(JournalError::Store { .. })));
    assert!(
        journal.remove_ended(&Partitions::ALL, Time::NEVER, Time::from_milliseconds(1_000), None, 1).is_err()
    );
}

#[test]
fn who_panics_when_told_of_the_end_leaves_nobody_waiting() {
    let place = Place::new();
    let panics = Box::new(|_| panic!("whoever is told of the end panics"));
    let journal = SqliteJournal::open(&place.path(), SqliteOptions::default(), panics).unwrap();
    commit(&journal, start(1));
    break_the_database(&place);
    let (answered, is_answered) = channel();
    std::thread::spawn(move || {
        let counted = journal.count(&Filter::default());
        let appended = submit(&journal, vec![start(2)]);
        answered.send((counted.is_err(), appended)).unwrap();
    });
    let answers = is_answered.recv_timeout(Duration::from_secs(20)).expect("both are answered");
    assert_eq!(answers, (true, vec![AppendAnswer::Unknown]));
}

#[test]
fn who_panics_when_told_of_the_end_keeps_no_answer_back() {
    let place = Place::new();
    let panics = Box::new(|_| panic!("whoever is told of the end panics"));
    let journal = SqliteJournal::open(&place.path(), SqliteOptions::default(), panics).unwrap();
    let (go, may_go) = channel::<()>();
    let (answered, is_answered) = channel();
    // Both in one group, since the journal is held up meanwhile.
    journal.submit(Vec::new(), Box::new(move |_| assert!(may_go.recv().is_err())));
    journal.submit(owned(&journal, vec![start(1)]), Box::new(|_| panic!("a bug of the receiver's")));
    journal.submit(owned(&journal, vec![start(2)]), Box::new(move |answers| answered.send(answers).unwrap()));
    drop(go);
    assert_eq!(is_answered.recv().unwrap(), [AppendAnswer::Committed]);
    assert_eq!(submit(&journal, vec![start(3)]), [AppendAnswer::Unknown]);
}

/// Nobody knows whether it was removed: going on with such a transaction could make a log that contradicts
/// the database.
#[test]
fn after_a_removal_that_may_have_failed_nothing_is_written() {
    let place = Place::new();
    let journal = place.open();
    fill(&journal);
    settle(&journal);
    database_of(&place)
        .execute_batch("CREATE TRIGGER no BEFORE DELETE ON ended BEGIN SELECT RAISE(ABORT, 'no'); END")
        .unwrap();
    assert!(
        journal.remove_ended(&Partitions::ALL, Time::NEVER, Time::from_milliseconds(1_000), None, 1).is_err()
    );
    assert_eq!(submit(&journal, vec![next(1, 3)]), [AppendAnswer::Unknown]);
    assert_eq!(submit(&journal, vec![start(99)]), [AppendAnswer::Unknown]);
    assert_eq!(place.fatal().len(), 1);
}

#[test]
fn a_receiver_that_panics_stops_the_process_but_not_the_other_answers() {
    let place = Place::new();
    let journal = place.open();
    let (busy, is_busy) = channel();
    journal.submit(
        vec![start(1)],
        Box::new(move |_| {
            busy.send(()).unwrap();
            panic!("a bug of the receiver's");
        }),
    );
    is_busy.recv().unwrap();
    assert_eq!(submit(&journal, vec![start(2)]), [AppendAnswer::Unknown]);
    assert_eq!(place.fatal().len(), 1);
}

/// What memory knows may never have reached the disk: after a failed flush it is all there is.
#[test]
fn a_journal_that_stopped_answers_nothing_from_memory() {
    let place = Place::new();
    let journal = place.open();
    commit(&journal, short_given(1));
    let (told, is_told) = channel();
    journal.submit(
        vec![start(2)],
        Box::new(move |_| {
            told.send(()).unwrap();
            panic!("a bug of the receiver's");
        }),
    );
    is_told.recv().unwrap();
    assert_eq!(submit(&journal, vec![start(3)]), [AppendAnswer::Unknown]);
    let refused = |error: JournalError| {
        assert!(error.to_string().contains("must stop and be started again"), "{error}");
    };
    refused(journal.load(id(2)).unwrap_err());
    refused(journal.load(id(77)).unwrap_err());
    refused(journal.by_key("key").unwrap_err());
    refused(journal.recoverable(&Partitions::ALL, None, 10).unwrap_err());
    refused(journal.count(&Filter::default()).unwrap_err());
}
