//! A copy that lacks what had been written, or has files of two copies, is refused and says what is missing.

use std::fs;

use amends_core::{DefinitionName, DefinitionSpec, SagaSpec, Time};
use amends_journal::Upkeep;
use amends_journal_sqlite::SqliteJournal;
use rusqlite::Connection;

use crate::place::{COMPLETED, Place, check_filled, commit, count, ending, fill, settle, start};

/// The files of a directory whose names this picks.
fn copy_of(place: &Place, picks: impl Fn(&str) -> bool) -> Place {
    let copy = Place::new();
    fs::create_dir(copy.path()).unwrap();
    for name in names(place) {
        if picks(&name) {
            fs::copy(place.file(&name), copy.file(&name)).unwrap();
        }
    }
    copy
}

fn names(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.path()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Expects a refusal that says what is missing, and that changes nothing.
fn check_refused(place: &Place, missing: &str) {
    let before: Vec<(String, Vec<u8>)> =
        names(place).into_iter().map(|name| (name.clone(), fs::read(place.file(&name)).unwrap())).collect();
    for _ in 0..2 {
        let refusal = place.refusal();
        assert!(refusal.contains("incomplete") && refusal.contains(missing), "{missing}: {refusal}");
        assert!(refusal.contains("copy"), "what to do: {refusal}");
    }
    for (name, bytes) in before {
        // The one file that is there to be locked.
        if name != "amends.lock" && name != "journal.end" {
            assert!(fs::read(place.file(&name)).unwrap() == bytes, "{name} was changed");
        }
    }
}

fn is_database(name: &str) -> bool {
    name.ends_with(".db")
}

fn is_log(name: &str) -> bool {
    name.starts_with("journal.log-") || name == "journal.end"
}

#[test]
fn the_databases_file_alone_is_incomplete() {
    let place = Place::new();
    let journal = place.open();
    check_refused(&copy_of(&place, is_database), "journal.end is missing");
    fill(&journal);
    settle(&journal);
    check_refused(&copy_of(&place, is_database), "journal.end is missing");
    check_refused(&copy_of(&place, |name| is_database(name) || name == "amends.lock"), "journal.end");
    drop(journal);
    // Everything is in the database; but that is not to be known.
    check_refused(&copy_of(&place, is_database), "journal.end");
    check_filled(&copy_of(&place, |_| true).open());
}

#[test]
fn the_log_alone_is_incomplete() {
    let place = Place::new();
    let journal = place.open();
    fill(&journal);
    check_refused(&copy_of(&place, is_log), "journal.db");
    drop(journal);
    check_refused(&copy_of(&place, is_log), "journal.db");
}

/// Many files of the log that the database has nothing of.
fn with_a_long_log() -> (Place, SqliteJournal, Connection) {
    let place = Place::new();
    let journal = place.open();
    fill(&journal);
    settle(&journal);
    let shell = Connection::open(place.file("journal.db")).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    for number in 21..=60 {
        let record = vec![7; 100_000].into();
        commit(&journal, amends_journal::Append { record, ..start(number) });
    }
    (place, journal, shell)
}

#[test]
fn each_file_of_the_log_is_needed_and_named() {
    let (place, journal, shell) = with_a_long_log();
    let killed = place.as_left_by_a_kill();
    shell.execute_batch("ROLLBACK").unwrap();
    drop((shell, journal));
    let segments: Vec<String> =
        names(&killed).into_iter().filter(|name| name.starts_with("journal.log-")).collect();
    assert!(segments.len() >= 4, "{segments:?}");
    for missing in &segments {
        check_refused(&copy_of(&killed, |name| name != missing), missing);
    }
    check_refused(&copy_of(&killed, |name| name != "journal.end"), "journal.end");
    check_refused(&copy_of(&killed, |name| name != "journal.db-wal"), "WAL is missing");
    assert_eq!(count(&killed.open(), crate::place::FORWARD), 48);
}

/// Files of one copy, and what this picks of another.
fn mixed(one: &Place, other: &Place, picks: impl Fn(&str) -> bool) -> Place {
    let mixed = copy_of(one, |name| !picks(name));
    for name in names(other).into_iter().filter(|name| picks(name)) {
        fs::copy(other.file(&name), mixed.file(&name)).unwrap();
    }
    mixed
}

/// Three copies, of a closed journal or of a killed one: with some transactions, with more, and with much
/// more.
fn copies(is_closed: bool) -> [Place; 3] {
    let place = Place::new();
    let mut journal = place.open();
    let mut last = 0;
    [3, 30, 3_000].map(|number| {
        for number in last..number {
            commit(&journal, start(number));
            commit(&journal, ending(number, 1));
        }
        last = number;
        settle(&journal);
        if !is_closed {
            return place.as_left_by_a_kill();
        }
        // The old one first.
        let opened = std::mem::replace(&mut journal, Place::new().open());
        drop(opened);
        let copy = copy_of(&place, |_| true);
        journal = place.open();
        copy
    })
}

#[test]
fn a_database_and_a_log_of_two_copies_are_refused() {
    let is_database = |name: &str| name.starts_with("journal.db");
    for is_closed in [true, false] {
        let copies = copies(is_closed);
        for older in 0..3 {
            for newer in older + 1..3 {
                let (older, newer) = (&copies[older], &copies[newer]);
                check_refused(&mixed(newer, older, is_database), "older than");
                check_refused(&mixed(older, newer, is_database), "older than");
            }
        }
        assert_eq!(count(&copies[2].open(), COMPLETED), 3_000);
    }
}

#[test]
fn a_log_of_another_journal_is_refused() {
    let (one, other) = (Place::new(), Place::new());
    for place in [&one, &other] {
        fill(&place.open());
    }
    check_refused(&mixed(&one, &other, is_log), "another journal");
}

/// It never went through the log, and the log alone cannot tell.
#[test]
fn a_database_that_lacks_only_what_is_not_in_the_log_is_refused_too() {
    let place = Place::new();
    let journal = place.open();
    fill(&journal);
    settle(&journal);
    let before = place.as_left_by_a_kill();
    let spec = DefinitionSpec::Saga(SagaSpec {
        name: DefinitionName::new("Late"),
        version: 1,
        limit: std::time::Duration::from_secs(1),
        pivot: None,
        steps: Vec::new(),
    });
    journal.put_definition(&spec, Time::from_milliseconds(1)).unwrap();
    // The committer hears of it before the next batch.
    commit(&journal, start(99));
    let after = place.as_left_by_a_kill();
    check_refused(&mixed(&after, &before, |name| name.starts_with("journal.db")), "older than");
}
