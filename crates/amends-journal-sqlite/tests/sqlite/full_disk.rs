//! Without space nothing is written, nothing is lost, and it goes on as soon as there is some.

use amends_core::{Partitions, Time};
use amends_journal::conformance::submit;
use amends_journal::{Append, AppendAnswer, Appends, Conflict, Filter, JournalError, Reads, Timer, Upkeep};
use amends_journal_sqlite::{SqliteJournal, SqliteOptions};
use bytes::Bytes;

use crate::place::{
    BACK, COMPLETED, Place, commit, count, database_of, ending, id, next, start, submit_all_together,
};

/// A journal with room for little.
const TIGHT: SqliteOptions = SqliteOptions {
    feed_facts_kept: None,
    disk_reserve_bytes: 0,
    database_bytes_max: Some(12 << 20),
    log_bytes_max: 0,
    names_indexed_together: 4,
};

/// A transaction that takes some room.
fn large(number: u64) -> Vec<Append> {
    vec![Append { record: Bytes::from(vec![7; 8 << 10]), ..start(number) }, ending(number, 1)]
}

/// Has the database brought up to the log if there is space, and counts what it has.
fn settled_transactions(place: &Place, journal: &SqliteJournal) -> u64 {
    journal.count(&Filter::default()).unwrap();
    let database = database_of(place);
    let ended: i64 = database.query_row("SELECT count(*) FROM ended", [], |row| row.get(0)).unwrap();
    u64::try_from(ended).unwrap()
}

/// A journal whose database and log are both full, how many transactions fitted in, and how many of these
/// into the database.
fn full(place: &Place) -> (SqliteJournal, u64, u64) {
    let journal = place.try_open(TIGHT).unwrap();
    let mut settled = 0;
    for number in 0.. {
        match submit(&journal, large(number)).as_slice() {
            [AppendAnswer::Committed, AppendAnswer::Committed] => {}
            [AppendAnswer::NoSpace, AppendAnswer::NoSpace] => return (journal, number, settled),
            other => panic!("{other:?}"),
        }
        if number % 32 == 0 {
            settled = settled_transactions(place, &journal);
        }
    }
    unreachable!("some MiB are full at some time")
}

#[test]
fn a_full_disk_is_said_so_and_nothing_is_written() {
    let place = Place::new();
    let (journal, fitted, settled) = full(&place);
    assert!(settled > 100 && fitted > settled + 200, "{settled} and then {fitted}");
    // What is answered can be read, wherever it is.
    for number in [0, settled - 1, settled, fitted - 1] {
        assert_eq!(journal.load(id(number)).unwrap().stored().unwrap().records.len(), 2);
    }
    assert_eq!(journal.load(id(fitted)).unwrap().stored(), None);
    // Lists and counts are as of the last round; what must not be out of date is not answered.
    let counted = count(&journal, COMPLETED);
    assert!(counted >= settled && counted < fitted, "{settled} and {counted} of {fitted}");
    let newest = journal.list(&Filter::default(), None, 1).unwrap().items.remove(0);
    assert_eq!(newest.id, id(counted - 1));
    let everybody = &Partitions::ALL;
    let due = journal.timers_due(everybody, Timer::before(Time::default()), Time::NEVER, 1);
    assert!(matches!(due, Err(JournalError::NoSpace(_))), "{due:?}");
    assert_eq!(place.fatal(), [""; 0]);
    // Again and again, with the same answer.
    for _ in 0..3 {
        assert_eq!(submit(&journal, large(fitted)), [AppendAnswer::NoSpace, AppendAnswer::NoSpace]);
    }
}

#[test]
fn after_space_was_made_the_same_append_succeeds() {
    let place = Place::new();
    let (journal, fitted, settled) = full(&place);
    let again = || submit(&journal, large(fitted));
    assert_eq!(again(), [AppendAnswer::NoSpace, AppendAnswer::NoSpace]);
    drop(journal);
    // The log has what the database does not; nothing but the larger quota was missing.
    let journal = place.try_open(SqliteOptions { database_bytes_max: Some(64 << 20), ..TIGHT }).unwrap();
    assert_eq!(count(&journal, COMPLETED), fitted);
    assert_eq!(submit(&journal, large(fitted)), [AppendAnswer::Committed, AppendAnswer::Committed]);
    assert!(settled < fitted);
    assert_eq!(place.fatal(), [""; 0]);
}

#[test]
fn retention_makes_space_for_what_waits_in_the_log() {
    let place = Place::new();
    let (journal, fitted, settled) = full(&place);
    let mut removed = 0;
    while settled_transactions(&place, &journal) < fitted - removed {
        removed += journal
            .remove_ended(&Partitions::ALL, Time::NEVER, Time::from_milliseconds(1_000), None, 50)
            .unwrap()
            .removed as u64;
        assert!(removed <= settled, "{removed} of {settled}");
    }
    assert!(removed > 0);
    assert_eq!(count(&journal, COMPLETED), fitted - removed);
    assert_eq!(submit(&journal, large(fitted)), [AppendAnswer::Committed, AppendAnswer::Committed]);
    drop(journal);
    // What was removed stays so, though the log had it.
    let journal = place.open();
    assert_eq!(count(&journal, COMPLETED), fitted - removed + 1);
}

#[test]
fn a_transaction_that_came_back_is_not_removed_while_its_round_waits_for_space() {
    let place = Place::new();
    let (journal, _, settled) = full(&place);
    assert!(settled > 0);
    let back = Append { standing: BACK, ..next(0, 2) };
    commit(&journal, back);
    while journal
        .remove_ended(&Partitions::ALL, Time::NEVER, Time::from_milliseconds(1_000), None, 50)
        .unwrap()
        .removed
        > 0
    {}
    assert_eq!(journal.load(id(0)).unwrap().stored().unwrap().records.len(), 3);
    drop(journal);
    let journal = place.open();
    let stored = journal.load(id(0)).unwrap().stored().unwrap();
    assert_eq!((stored.standing, stored.records.len()), (BACK, 3));
}

/// More than a full log has room for.
fn huge(number: u64) -> Append {
    Append { record: Bytes::from(vec![0; 4 << 20]), ..start(number) }
}

#[test]
fn what_has_no_room_holds_up_nothing_that_has() {
    let place = Place::new();
    let (journal, fitted, _) = full(&place);
    commit(&journal, start(fitted));
    let batches = vec![
        vec![next(fitted, 1)],
        vec![huge(fitted + 2), start(fitted + 3)],
        vec![start(fitted + 1)],
        vec![next(0, 9)],
        vec![],
    ];
    let answers = submit_all_together(&journal, batches);
    let answers: Vec<_> = answers.iter().map(|answers| answers.recv().unwrap()).collect();
    let (done, refused) = (AppendAnswer::Committed, AppendAnswer::NoSpace);
    let conflict = AppendAnswer::Conflict(Conflict::Sequence(Some(2)));
    assert_eq!(answers, [vec![done.clone()], vec![refused; 2], vec![done], vec![conflict], vec![]]);
    // And what was answered is what is there after a kill.
    let killed = place.as_left_by_a_kill();
    let again = killed.try_open(TIGHT).unwrap();
    assert_eq!(again.load(id(fitted)).unwrap().stored().unwrap().records.len(), 2);
    assert!(again.load(id(fitted + 1)).unwrap().stored().is_some());
    assert_eq!(again.load(id(fitted + 3)).unwrap().stored(), None);
}

#[test]
fn a_refused_batch_leaves_the_memory_of_transactions_as_it_was() {
    let place = Place::new();
    let (journal, fitted, _) = full(&place);
    // Something small still fits; the group with something large in it does not.
    commit(&journal, start(fitted));
    let batch = vec![next(fitted, 1), start(fitted + 1), next(0, 9), huge(fitted + 2)];
    assert_eq!(submit(&journal, batch), vec![AppendAnswer::NoSpace; 4]);
    // The very same appends, without the large one: none is taken for done, none for out of place.
    commit(&journal, next(fitted, 1));
    commit(&journal, start(fitted + 1));
    assert_eq!(submit(&journal, vec![next(0, 9)]), [AppendAnswer::Conflict(Conflict::Sequence(Some(2)))]);
}

#[test]
fn space_below_the_reserve_is_low() {
    let place = Place::new();
    let options = SqliteOptions { disk_reserve_bytes: u64::MAX, ..SqliteOptions::default() };
    assert!(place.try_open(options).unwrap().is_disk_low());
    let options = SqliteOptions { disk_reserve_bytes: 0, ..SqliteOptions::default() };
    assert!(!place.try_open(options).unwrap().is_disk_low());
}
