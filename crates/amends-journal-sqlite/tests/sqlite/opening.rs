//! Who may use a directory, what is there again after it was closed or killed, and what is refused.

use std::fs;
use std::time::SystemTime;

use amends_core::TransactionId;
use amends_journal::{Filter, Reads};
use amends_journal_sqlite::{OpenError, SqliteJournal, SqliteOptions};
use rusqlite::Connection;

use crate::place::{Place, check_filled, commit, database_of, ending, fill, id, settle, start};

#[test]
fn everything_is_there_after_a_clean_stop() {
    let place = Place::new();
    fill(&place.open());
    assert!(!place.file("journal.db-wal").exists(), "a clean stop leaves one file");
    let journal = place.open();
    check_filled(&journal);
    // And it goes on from there.
    commit(&journal, ending(13, 2));
    commit(&journal, ending(11, 3));
    commit(&journal, start(21));
    assert_eq!(journal.load(id(11)).unwrap().stored().unwrap().records.len(), 4);
    assert_eq!(place.fatal(), [""; 0]);
}

#[test]
fn everything_answered_is_there_after_a_kill() {
    let place = Place::new();
    let journal = place.open();
    fill(&journal);
    let killed = place.as_left_by_a_kill();
    let journal = killed.open();
    check_filled(&journal);
    commit(&journal, ending(13, 2));
}

#[test]
fn a_second_user_of_a_directory_is_turned_away() {
    let place = Place::new();
    let journal = place.open();
    let refusal = place.refusal();
    assert!(refusal.contains("another amends is using the directory"), "{refusal}");
    assert!(refusal.contains(&place.path().display().to_string()), "{refusal}");
    assert!(refusal.contains("stop it first, or choose another directory"), "{refusal}");
    commit(&journal, start(1));
    drop(journal);
    place.open();
}

#[test]
fn a_directory_is_created_with_all_above_it() {
    let above = tempfile::tempdir().unwrap();
    let deep = above.path().join("a/b/c");
    let journal = SqliteJournal::open(&deep, SqliteOptions::default(), Box::new(|_| {})).unwrap();
    commit(&journal, start(1));
    assert!(deep.join("journal.db").exists());
}

#[test]
fn a_directory_that_cannot_be_had_is_named() {
    let above = tempfile::tempdir().unwrap();
    let file = above.path().join("file");
    fs::write(&file, "x").unwrap();
    let error =
        SqliteJournal::open(&file.join("data"), SqliteOptions::default(), Box::new(|_| {})).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
    assert!(error.to_string().contains("file"), "{error}");
}

#[test]
fn a_fresh_directory_is_small() {
    let place = Place::new();
    let journal = place.open();
    commit(&journal, start(1));
    commit(&journal, ending(1, 1));
    let size: u64 =
        fs::read_dir(place.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(size < 6 << 20, "{size}");
}

#[test]
fn a_layout_of_a_later_version_is_refused_with_the_reason() {
    let place = Place::new();
    drop(place.open());
    let database = database_of(&place);
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    let refusal = place.refusal();
    assert!(refusal.contains("written by a newer version of Amends"), "{refusal}");
    assert!(refusal.contains("journal.db"), "{refusal}");
}

#[test]
fn a_layout_from_before_the_first_release_is_refused_with_the_reason() {
    let place = Place::new();
    drop(place.open());
    let database = database_of(&place);
    database.pragma_update(None, "user_version", 1).unwrap();
    drop(database);
    let refusal = place.refusal();
    assert!(refusal.contains("from before its first release: its format is 1"), "{refusal}");
    assert!(refusal.contains("journal.db"), "{refusal}");
}

#[test]
fn another_programs_database_is_refused() {
    let place = Place::new();
    fs::create_dir(place.path()).unwrap();
    let database = Connection::open(place.file("journal.db")).unwrap();
    database.execute_batch("CREATE TABLE theirs (x)").unwrap();
    drop(database);
    let refusal = place.refusal();
    assert!(refusal.contains("not a journal of Amends"), "{refusal}");
    let database = Connection::open(place.file("journal.db")).unwrap();
    let tables: i64 = database.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 1, "and left as it was");
}

#[test]
fn a_first_start_that_was_cut_off_begins_again() {
    let place = Place::new();
    fs::create_dir(place.path()).unwrap();
    fs::write(place.file("amends.lock"), "").unwrap();
    fs::write(place.file("journal.db"), "").unwrap();
    commit(&place.open(), start(1));

    let place = Place::new();
    fs::create_dir(place.path()).unwrap();
    let database = database_of(&place);
    database.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL").unwrap();
    drop(database);
    commit(&place.open(), start(1));
}

#[test]
fn numbers_go_on_after_reopening() {
    let place = Place::new();
    for number in 0..4 {
        let journal = place.open();
        commit(&journal, start(number));
        commit(&journal, ending(number, 1));
    }
    let listed = place.open().list(&Filter::default(), None, 10).unwrap();
    let ids: Vec<TransactionId> = listed.items.iter().map(|transaction| transaction.id).collect();
    assert_eq!(ids, [id(3), id(2), id(1), id(0)]);
}

/// What the database says it has is let go by the log: nothing else would have it, were it not on the disk.
#[test]
fn what_a_kill_left_of_a_round_is_written_again_before_the_log_lets_it_go() {
    let place = Place::new();
    let journal = place.open();
    commit(&journal, start(1));
    settle(&journal);
    let dead = place.as_left_by_a_kill();
    let log = dead.file("journal.db-wal");
    let changed_at = || fs::metadata(&log).unwrap().modified().unwrap();
    fs::File::options().write(true).open(&log).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let before = fs::read(&log).unwrap();
    let again = dead.open();
    assert!(changed_at() > SystemTime::UNIX_EPOCH);
    assert_eq!(fs::read(&log).unwrap(), before, "it holds what it held");
    assert_eq!(again.load(id(1)).unwrap().stored().unwrap().records.len(), 1);
}
