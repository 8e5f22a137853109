//! Whatever is broken in the files is found, named, and never taken for an answer.

use std::fs;

use amends_core::{DefinitionName, Partitions, Time};
use amends_journal::conformance::submit;
use amends_journal::{
    Append, AppendAnswer, Cursor, JournalError, Loaded, Quarantined, Reads, Unreadable, Upkeep, record,
};
use amends_journal_sqlite::{SqliteOptions, limits};
use bytes::Bytes;

use crate::place::{
    COMPLETED, Place, check_filled, commit, count, database_of, ending, fill, id, next, quarantine,
    record_of, recoverable, settle, start,
};

/// Expects a refusal that says damaged, names the file and says what to do.
fn check_damage_refused(place: &Place, file: &str, what: &str) {
    let refusal = place.refusal();
    assert!(refusal.contains("damaged"), "{what}: {refusal}");
    assert!(refusal.contains(&place.file(file).display().to_string()), "{what}: {refusal}");
    assert!(refusal.contains("restore a backup"), "{what}: {refusal}");
}

fn check_incomplete(place: &Place, what: &str) {
    let refusal = place.refusal();
    assert!(refusal.contains("incomplete: journal.db is missing or empty"), "{what}: {refusal}");
}

#[test]
fn a_file_that_is_no_database_is_damaged() {
    let place = Place::new();
    drop(place.open());
    for rubbish in [&b"hello"[..], &[0; 100], &[0xFF; 5_000], &[b'x'; 100_000]] {
        fs::write(place.file("journal.db"), rubbish).unwrap();
        check_damage_refused(&place, "journal.db", &format!("{} bytes", rubbish.len()));
    }
}

#[test]
fn a_vanished_or_emptied_database_is_not_a_fresh_start() {
    let place = Place::new();
    fill(&place.open());
    fs::write(place.file("journal.db"), "").unwrap();
    check_incomplete(&place, "emptied");
    fs::remove_file(place.file("journal.db")).unwrap();
    check_incomplete(&place, "vanished");
}

#[test]
fn a_damaged_header_is_found_wherever_it_matters() {
    // The magic, the page size, the file format, the schema format, the layout's version, the application id.
    const MATTERS: [usize; 10] = [0, 15, 16, 18, 19, 47, 60, 63, 68, 71];
    let place = Place::new();
    fill(&place.open());
    let sound = fs::read(place.file("journal.db")).unwrap();
    for at in 0..100 {
        let mut hit = sound.clone();
        hit[at] ^= 0xFF;
        fs::write(place.file("journal.db"), &hit).unwrap();
        match place.try_open(SqliteOptions::default()) {
            Err(refusal) => {
                let refusal = refusal.to_string();
                assert!(
                    refusal.contains("damaged") || refusal.contains("newer version"),
                    "byte {at}: {refusal}"
                );
                assert!(refusal.contains("journal.db"), "byte {at}: {refusal}");
            }
            // Counters, hints and reserved bytes: everything is still there.
            Ok(journal) => {
                check_filled(&journal);
                assert!(!MATTERS.contains(&at), "byte {at}");
            }
        }
    }
}

#[test]
fn a_file_cut_short_is_found() {
    let place = Place::new();
    fill(&place.open());
    let sound = fs::read(place.file("journal.db")).unwrap();
    for length in [1, 50, 99, 100, 512, 4_000, 8_192, sound.len() / 2, sound.len() - 8_192, sound.len() - 1] {
        fs::write(place.file("journal.db"), &sound[..length]).unwrap();
        check_damage_refused(&place, "journal.db", &format!("{length} bytes"));
    }
}

#[test]
fn a_large_file_cut_short_is_found() {
    let place = Place::new();
    let journal = place.open();
    for number in 0..50 {
        let record = Bytes::from(vec![0; 1 << 20]);
        commit(&journal, Append { record, ..start(number) });
        commit(&journal, ending(number, 1));
    }
    drop(journal);
    let database = fs::OpenOptions::new().write(true).open(place.file("journal.db")).unwrap();
    let length = database.metadata().unwrap().len();
    assert!(length > limits::QUICK_CHECK_BYTES_MAX);
    database.set_len(length - 1).unwrap();
    check_damage_refused(&place, "journal.db", "cut short");
}

#[test]
fn damaged_pages_are_found_at_opening_or_by_a_checksum() {
    let place = Place::new();
    fill(&place.open());
    let sound = fs::read(place.file("journal.db")).unwrap();
    let mut found_at_opening = 0;
    for at in (100..sound.len()).step_by(997) {
        let mut hit = sound.clone();
        hit[at] ^= 0x04;
        fs::write(place.file("journal.db"), &hit).unwrap();
        match place.try_open(SqliteOptions::default()) {
            Err(refusal) => {
                assert!(refusal.to_string().contains("damaged"), "byte {at}: {refusal}");
                found_at_opening += 1;
            }
            // Unused space, a record, or a column. Records must never read as something else.
            Ok(journal) => {
                for number in 1..=20 {
                    match journal.load(id(number)) {
                        Ok(Loaded::Nothing | Loaded::Removed) => {}
                        Ok(Loaded::Stored(stored)) => {
                            for (frame, sequence) in stored.records.iter().zip(1..) {
                                match record::decode(stored.id, sequence, frame.clone()) {
                                    Ok(_) => assert_eq!(*frame, record_of(id(number), sequence)),
                                    Err(error) => assert!(error.to_string().contains("damaged")),
                                }
                            }
                        }
                        Err(error) => assert!(error.to_string().contains("damaged"), "{error}"),
                    }
                }
            }
        }
    }
    assert!(found_at_opening > 0);
}

/// Flips one bit of this record's payload, wherever it lies, in a page that is sound otherwise.
fn damage_record(place: &Place, record: &Bytes) {
    let database = database_of(place);
    let mut hits = 0;
    for (table, column) in [("record", "body"), ("ended", "records"), ("definition", "body")] {
        let mut select =
            database.prepare(&format!("SELECT {column} FROM {table} WHERE {column} IS NOT NULL")).unwrap();
        let values: Vec<Vec<u8>> =
            select.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        for value in values {
            let found = value.windows(record.len()).position(|window| window == record.as_ref());
            let Some(found) = found else { continue };
            let mut broken = value.clone();
            broken[found + record.len() / 2] ^= 1;
            let update = format!("UPDATE {table} SET {column} = ?2 WHERE {column} = ?1");
            hits += database.execute(&update, (value, broken)).unwrap();
        }
    }
    assert_eq!(hits, 1, "it is in the database once");
}

#[test]
fn a_flipped_bit_in_a_record_damages_that_transaction_and_no_other() {
    for number in [1, 15] {
        let place = Place::new();
        fill(&place.open());
        damage_record(&place, &record_of(id(number), 2));
        let journal = place.open();
        let stored = journal.load(id(number)).unwrap().stored().unwrap();
        let decoded = record::decode(stored.id, 2, stored.records[1].clone());
        assert!(matches!(decoded, Err(Unreadable::Damaged { .. })), "{decoded:?}");
        let other = journal.load(id(number + 1)).unwrap().stored().unwrap();
        assert!(record::decode(other.id, 2, other.records[1].clone()).is_ok());
    }
}

#[test]
fn a_missing_record_is_damage_of_its_transaction_alone() {
    let place = Place::new();
    fill(&place.open());
    let database = database_of(&place);
    database.execute("DELETE FROM record WHERE no = 15 AND seq = 1", []).unwrap();
    database.execute("DELETE FROM record WHERE no = 16", []).unwrap();
    drop(database);
    let journal = place.open();
    for number in [15, 16] {
        let stored = journal.load(id(number)).unwrap().stored().unwrap();
        assert!(record::decode(stored.id, 1, stored.records[0].clone()).is_err());
    }
    assert_eq!(recoverable(&journal).len(), 8, "the others are found as ever");
    assert_eq!(quarantine(&journal, id(15), 2), Quarantined::Parked);
    assert_eq!(quarantine(&journal, id(16), 1), Quarantined::Parked);
    assert_eq!(recoverable(&journal).len(), 6);
}

#[test]
fn an_archived_value_that_does_not_come_out_even_is_damaged() {
    let place = Place::new();
    fill(&place.open());
    let database = database_of(&place);
    database
        .execute("UPDATE ended SET records = substr(records, 1, length(records) - 1) WHERE no = 3", [])
        .unwrap();
    drop(database);
    let journal = place.open();
    let error = journal.load(id(3)).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains(&id(3).to_string()), "{error}");
    assert!(journal.load(id(4)).is_ok());
}

#[test]
fn a_standing_that_nobody_wrote_is_damage() {
    let place = Place::new();
    fill(&place.open());
    let database = database_of(&place);
    database
        .execute_batch("PRAGMA ignore_check_constraints = ON; UPDATE live SET standing = 9 WHERE no = 15")
        .unwrap();
    drop(database);
    check_damage_refused(&place, "journal.db", "a standing");
}

#[test]
fn a_damaged_log_is_found_unless_it_is_the_very_end() {
    let place = Place::new();
    let journal = place.open();
    fill(&journal);
    settle(&journal);
    // A second transaction: without shared memory a break in the last one looks like a write that was cut
    // off.
    commit(&journal, start(21));
    settle(&journal);
    commit(&journal, ending(21, 1));
    let killed = place.as_left_by_a_kill();
    let sound = fs::read(killed.file("journal.db-wal")).unwrap();
    for at in [3, 20, 60, 9_000, 20_000] {
        let mut hit = sound.clone();
        hit[at] ^= 0x10;
        fs::write(killed.file("journal.db-wal"), &hit).unwrap();
        let refusal = killed.refusal();
        // Where it looks like a write that was cut off, our own log knows better.
        let is_found =
            refusal.contains("journal.db-wal is damaged") || refusal.contains("older than the log");
        assert!(is_found, "byte {at}: {refusal}");
    }
    // A write that was cut off by the kill: the commits before it are all there.
    fs::write(killed.file("journal.db-wal"), [&sound, &sound[32..5_000]].concat()).unwrap();
    assert_eq!(count(&killed.open(), COMPLETED), 11);
}

#[test]
fn a_lost_database_beside_its_log_is_missed() {
    let place = Place::new();
    let journal = place.open();
    fill(&journal);
    let killed = place.as_left_by_a_kill();
    fs::remove_file(killed.file("journal.db")).unwrap();
    fs::remove_file(killed.file("amends.lock")).unwrap();
    check_incomplete(&killed, "lost");
}

#[test]
fn a_database_damaged_under_way_is_said_to_be_damaged() {
    let place = Place::new();
    let journal = place.open();
    fill(&journal);
    settle(&journal);
    let database = database_of(&place);
    database.execute("UPDATE live SET id = x'00' WHERE no = 15", []).unwrap();
    database
        .execute_batch("PRAGMA ignore_check_constraints = ON; UPDATE live SET standing = 9 WHERE no = 11")
        .unwrap();
    let error = journal.recoverable(&Partitions::ALL, None, 100).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    // Asleep, so not in the writer's memory: it is read back.
    assert_eq!(submit(&journal, vec![next(11, 3)]), [AppendAnswer::Unknown]);
    assert!(place.fatal()[0].contains("damaged"), "{:?}", place.fatal());
}

/// Retention runs at every start: were this fatal, one bad row of long ago would keep the process from ever
/// running.
#[test]
fn damage_that_upkeep_meets_is_told_and_stops_nobody_else() {
    let place = Place::new();
    let journal = place.open();
    fill(&journal);
    settle(&journal);
    database_of(&place)
        .execute_batch(
            "PRAGMA ignore_check_constraints = ON; UPDATE ended SET standing = 9 WHERE no = 3;
             UPDATE live SET standing = 9 WHERE no = 14",
        )
        .unwrap();
    let damaged = |found: Result<(), JournalError>| {
        assert!(matches!(&found, Err(JournalError::Damaged { .. })), "{found:?}");
    };
    // Nothing is that old: nothing would have been removed.
    damaged(
        journal.remove_ended(&Partitions::ALL, Time::from_milliseconds(0), Time::NEVER, None, 100).map(drop),
    );
    damaged(journal.remove_ended(&Partitions::ALL, Time::NEVER, Time::NEVER, None, 100).map(drop));
    assert_eq!(place.fatal(), [""; 0]);
    commit(&journal, next(13, 2));
    assert_eq!(count(&journal, COMPLETED), 10, "nothing was removed");
    // From behind it retention gets on.
    let swept =
        journal.remove_ended(&Partitions::ALL, Time::NEVER, Time::NEVER, Some(Cursor(3)), 100).unwrap();
    assert_eq!((swept.removed, swept.next), (7, None));
    assert_eq!(count(&journal, COMPLETED), 3);
}

#[test]
fn a_damaged_definition_is_damage_not_another_definition() {
    let place = Place::new();
    let spec = amends_core::DefinitionSpec::Saga(amends_core::SagaSpec {
        name: DefinitionName::new("Test"),
        version: 1,
        limit: std::time::Duration::from_secs(1),
        pivot: None,
        steps: Vec::new(),
    });
    place.open().put_definition(&spec, Time::from_milliseconds(1)).unwrap();
    damage_record(&place, &record::encode_definition(&spec));
    let journal = place.open();
    let error = journal.definitions().unwrap_err();
    assert!(error.to_string().contains("Test version 1 is damaged"), "{error}");
    assert!(
        journal
            .put_definition(&spec, Time::from_milliseconds(1))
            .unwrap_err()
            .to_string()
            .contains("damaged")
    );
    commit(&journal, start(1));
}
