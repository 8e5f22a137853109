//! After an error that leaves the disk in doubt nobody waits, and nobody gets an answer that may not be on the disk.

use std::sync::mpsc::channel;
use std::time::Duration;

use amends_core::Time;
use amends_journal::conformance::submit;
use amends_journal::{AppendAnswer, Filter, Journal, JournalError, SqliteJournal, SqliteOptions};

use crate::place::{Place, break_the_database, commit, id, next, short_given, start};

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
    assert!(matches!(journal.quarantine(id(1), "why"), Err(JournalError::Store { .. })));
    assert!(journal.remove_ended(Time::NEVER, Time::from_milliseconds(1_000), None, 1).is_err());
}

#[test]
fn a_settler_that_panics_leaves_nobody_waiting() {
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
    refused(journal.recoverable_at_once(10).unwrap_err());
    refused(journal.recoverable(None, 10).unwrap_err());
    refused(journal.count(&Filter::default()).unwrap_err());
}
