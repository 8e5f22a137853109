//! What only the journal on disk promises: one user a directory, reopening, damage found, a full disk survived.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use amends_core::{DefinitionName, Event, SagaId, Status, Time};
use amends_journal::conformance::submit;
use amends_journal::{
    Append, AppendAnswer, Conflict, Cursor, Expected, Filter, Fingerprint, Journal, JournalError, NewSaga,
    OpenError, Page, Record, SqliteJournal, SqliteOptions, Timer, Unreadable, Wake, limits, record,
};
use bytes::Bytes;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

/// The journal's database, as SQLite shows it: what is changed through this has sound pages.
fn database_of(place: &Place) -> Connection {
    amends_sqlite::open(&place.file("journal.db"), OpenFlags::default(), None).unwrap()
}

/// A directory for a journal, and what was said when it died.
struct Place {
    directory: TempDir,
    fatal: Arc<Mutex<Vec<String>>>,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), fatal: Arc::default() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn try_open(&self, options: SqliteOptions) -> Result<SqliteJournal, OpenError> {
        let fatal = Arc::clone(&self.fatal);
        SqliteJournal::open(&self.path(), options, Box::new(move |why| fatal.lock().unwrap().push(why)))
    }

    fn open(&self) -> SqliteJournal {
        self.try_open(SqliteOptions::default()).unwrap()
    }

    fn refusal(&self) -> String {
        self.try_open(SqliteOptions::default()).expect_err("it must not open").to_string()
    }

    fn fatal(&self) -> Vec<String> {
        self.fatal.lock().unwrap().clone()
    }

    /// What a power cut or `kill -9` at this moment would leave: the files as they are, without shared memory.
    fn as_left_by_a_kill(&self) -> Self {
        let copy = Self::new();
        fs::create_dir(copy.path()).unwrap();
        for entry in fs::read_dir(self.path()).unwrap() {
            let name = entry.unwrap().file_name();
            if name != "journal.db-shm" {
                fs::copy(self.path().join(&name), copy.path().join(&name)).unwrap();
            }
        }
        copy
    }
}

fn id(number: u64) -> SagaId {
    SagaId::from_parts(number, 0)
}

fn record_of(saga: SagaId, sequence: u64) -> Bytes {
    let events = if sequence == 1 {
        let input = Bytes::from(vec![b'i'; 200]);
        vec![Event::SagaStarted { definition: DefinitionName::new("Test"), version: 1, input }]
    } else {
        vec![Event::StepCompleted { step: amends_core::StepIndex(0), output: Bytes::from(vec![b'o'; 200]) }]
    };
    record::encode(saga, sequence, &Record { at: Time::from_milliseconds(sequence), events })
}

fn start(number: u64) -> Append {
    Append {
        saga: id(number),
        expected: Expected::New(NewSaga {
            definition: DefinitionName::new("Test"),
            version: 1,
            id_given: false,
            key: None,
            fingerprint: None,
        }),
        record: record_of(id(number), 1),
        at: Time::from_milliseconds(number),
        status: Some(Status::InProgress),
        wake: Wake::Awake,
    }
}

fn next(number: u64, sequence: u64) -> Append {
    Append {
        saga: id(number),
        expected: Expected::Sequence(sequence),
        record: record_of(id(number), sequence + 1),
        at: Time::from_milliseconds(number + sequence),
        status: None,
        wake: Wake::Awake,
    }
}

fn ending(number: u64, sequence: u64) -> Append {
    Append { status: Some(Status::Completed), ..next(number, sequence) }
}

fn commit(journal: &dyn Journal, append: Append) {
    assert_eq!(submit(journal, vec![append]), [AppendAnswer::Committed]);
}

fn count(journal: &dyn Journal, status: Status) -> u64 {
    journal.count(&Filter { status: Some(status), definition: None }).unwrap()
}

/// Submits while the writer is held up in an answer, so that everything meets in one group.
fn submit_all_at_once(journal: &dyn Journal, batches: Vec<Vec<Append>>) -> Vec<Receiver<Vec<AppendAnswer>>> {
    let (busy, is_busy) = channel();
    let (go, may_go) = channel::<()>();
    journal.submit(
        Vec::new(),
        Box::new(move |_| {
            let _ = busy.send(());
            let _ = may_go.recv();
        }),
    );
    is_busy.recv().unwrap();
    let answers = batches
        .into_iter()
        .map(|batch| {
            let (answer, answers) = channel();
            journal.submit(batch, Box::new(move |all| answer.send(all).unwrap()));
            answers
        })
        .collect();
    drop(go);
    answers
}

/// Some sagas of every kind: ended, under way, asleep, parked.
fn fill(journal: &dyn Journal) {
    for number in 1..=20 {
        commit(journal, start(number));
        commit(journal, next(number, 1));
    }
    for number in 1..=10 {
        commit(journal, ending(number, 2));
    }
    commit(journal, Append { wake: Wake::At(Time::from_milliseconds(77)), ..next(11, 2) });
    commit(journal, Append { status: Some(Status::Failed), ..next(12, 2) });
}

fn check_filled(journal: &dyn Journal) {
    assert_eq!(count(journal, Status::Completed), 10);
    assert_eq!(count(journal, Status::InProgress), 9);
    assert_eq!(count(journal, Status::Failed), 1);
    assert_eq!(journal.recoverable(None, 100).unwrap().items.len(), 8);
    let timers = journal.timers_due(Timer::before(Time::default()), Time::NEVER, 1).unwrap();
    assert_eq!(timers[0].0.at, Time::from_milliseconds(77));
    for number in 1..=20 {
        let stored = journal.load(id(number)).unwrap().unwrap();
        for (frame, sequence) in stored.records.iter().zip(1..) {
            record::decode(stored.id, sequence, frame.clone()).unwrap();
        }
        assert_eq!(stored.records.len(), if number <= 12 { 3 } else { 2 });
    }
}

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
    assert_eq!(journal.load(id(11)).unwrap().unwrap().records.len(), 4);
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
    database.pragma_update(None, "user_version", 2).unwrap();
    drop(database);
    let refusal = place.refusal();
    assert!(refusal.contains("written by a newer version of Amends"), "{refusal}");
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

/// Expects a refusal that says damaged, names the file and says what to do.
fn check_damage_refused(place: &Place, file: &str, what: &str) {
    let refusal = place.refusal();
    assert!(refusal.contains("damaged"), "{what}: {refusal}");
    assert!(refusal.contains(&place.file(file).display().to_string()), "{what}: {refusal}");
    assert!(refusal.contains("restore a backup"), "{what}: {refusal}");
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
    check_damage_refused(&place, "journal.db", "emptied");
    fs::remove_file(place.file("journal.db")).unwrap();
    check_damage_refused(&place, "journal.db", "vanished");
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
                        Ok(None) => {}
                        Ok(Some(stored)) => {
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
fn a_flipped_bit_in_a_record_damages_that_saga_and_no_other() {
    for number in [1, 15] {
        let place = Place::new();
        fill(&place.open());
        damage_record(&place, &record_of(id(number), 2));
        let journal = place.open();
        let stored = journal.load(id(number)).unwrap().unwrap();
        let decoded = record::decode(stored.id, 2, stored.records[1].clone());
        assert!(matches!(decoded, Err(Unreadable::Damaged { .. })), "{decoded:?}");
        let other = journal.load(id(number + 1)).unwrap().unwrap();
        assert!(record::decode(other.id, 2, other.records[1].clone()).is_ok());
    }
}

#[test]
fn a_missing_record_is_damage_of_its_saga_alone() {
    let place = Place::new();
    fill(&place.open());
    let database = database_of(&place);
    database.execute("DELETE FROM record WHERE no = 15 AND seq = 1", []).unwrap();
    database.execute("DELETE FROM record WHERE no = 16", []).unwrap();
    drop(database);
    let journal = place.open();
    for number in [15, 16] {
        let stored = journal.load(id(number)).unwrap().unwrap();
        assert!(record::decode(stored.id, 1, stored.records[0].clone()).is_err());
    }
    assert_eq!(journal.recoverable(None, 100).unwrap().items.len(), 8, "the others are found as ever");
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
fn a_status_that_nobody_wrote_is_damage() {
    let place = Place::new();
    fill(&place.open());
    let database = database_of(&place);
    database
        .execute_batch("PRAGMA ignore_check_constraints = ON; UPDATE saga SET status = 9 WHERE no = 15")
        .unwrap();
    drop(database);
    check_damage_refused(&place, "journal.db", "a status");
}

#[test]
fn a_damaged_log_is_found_unless_it_is_the_very_end() {
    let place = Place::new();
    let journal = place.open();
    fill(&journal);
    settle(&journal);
    let killed = place.as_left_by_a_kill();
    let sound = fs::read(killed.file("journal.db-wal")).unwrap();
    assert!(sound.len() > 20_000);
    for at in [3, 20, 60, sound.len() / 3, sound.len() / 2] {
        let mut hit = sound.clone();
        hit[at] ^= 0x10;
        fs::write(killed.file("journal.db-wal"), &hit).unwrap();
        check_damage_refused(&killed, "journal.db-wal", &format!("byte {at}"));
    }
    // A write that was cut off by the kill: the commits before it are all there.
    fs::write(killed.file("journal.db-wal"), [&sound, &sound[32..5_000]].concat()).unwrap();
    check_filled(&killed.open());
}

#[test]
fn a_lost_database_beside_its_log_is_damage() {
    let place = Place::new();
    let journal = place.open();
    fill(&journal);
    let killed = place.as_left_by_a_kill();
    fs::remove_file(killed.file("journal.db")).unwrap();
    fs::remove_file(killed.file("amends.lock")).unwrap();
    check_damage_refused(&killed, "journal.db", "lost");
}

#[test]
fn what_waits_goes_into_one_commit() {
    let place = Place::new();
    let journal = place.open();
    let batches = (0..500).map(|number| vec![start(number)]).collect();
    for answers in submit_all_at_once(&journal, batches) {
        assert_eq!(answers.recv().unwrap(), [AppendAnswer::Committed]);
    }
    let stats = journal.stats();
    assert_eq!((stats.appends, stats.commits), (500, 1));
    // The log's first two files were flushed three times each when they were made.
    assert_eq!(stats.log_flushes, 1 + 2 * 3);
}

#[test]
fn a_transaction_is_bounded() {
    let place = Place::new();
    let journal = place.open();
    let appends = limits::APPENDS_PER_TRANSACTION_MAX as u64;
    let batches = (0..appends + 1).map(|number| vec![start(number)]).collect();
    for answers in submit_all_at_once(&journal, batches) {
        assert_eq!(answers.recv().unwrap(), [AppendAnswer::Committed]);
    }
    assert_eq!(journal.stats().commits, 2);
}

#[test]
fn a_whole_saga_may_go_into_one_commit() {
    let place = Place::new();
    let journal = place.open();
    let batches =
        vec![vec![start(1)], vec![next(1, 1)], vec![ending(1, 2)], vec![next(1, 1)], vec![start(2)]];
    let answers: Vec<_> = submit_all_at_once(&journal, batches)
        .into_iter()
        .flat_map(|answers| answers.recv().unwrap())
        .collect();
    let mut expected = vec![AppendAnswer::Committed; 5];
    expected[3] = AppendAnswer::Conflict(Conflict::Sequence(Some(3)));
    assert_eq!(answers, expected);
    assert_eq!(journal.stats().commits, 1);
    assert_eq!(journal.load(id(1)).unwrap().unwrap().records.len(), 3);
}

#[test]
fn dropping_the_journal_finishes_what_is_queued() {
    let place = Place::new();
    let journal = place.open();
    let batches = (0..200).map(|number| vec![start(number)]).collect();
    let answers = submit_all_at_once(&journal, batches);
    drop(journal);
    assert!(answers.iter().all(|answers| answers.recv().unwrap() == [AppendAnswer::Committed]));
    assert_eq!(count(&place.open(), Status::InProgress), 200);
}

#[test]
fn the_last_handle_may_be_dropped_in_an_answer() {
    let place = Place::new();
    let journal = Arc::new(place.open());
    let (ended, has_ended) = channel();
    let (handed, hand) = channel();
    handed.send(Arc::clone(&journal)).unwrap();
    let submitting = Arc::clone(&journal);
    drop(journal);
    let (let_go, has_let_go) = channel::<()>();
    submitting.submit(
        vec![start(1)],
        Box::new(move |answers| {
            let journal: Arc<SqliteJournal> = hand.recv().unwrap();
            let _ = has_let_go.recv();
            drop(journal);
            ended.send(answers).unwrap();
        }),
    );
    drop(submitting);
    drop(let_go);
    assert_eq!(has_ended.recv().unwrap(), [AppendAnswer::Committed]);
}

/// Has the database brought up to the log.
fn settle(journal: &SqliteJournal) {
    journal.count(&Filter::default()).unwrap();
}

/// A journal with room for little.
const TIGHT: SqliteOptions = SqliteOptions {
    disk_reserve_bytes: 0,
    database_bytes_max: Some(12 << 20),
    log_bytes_max: 0,
    ids_indexed_at_once: 4,
};

/// A saga that takes some room.
fn large(number: u64) -> Vec<Append> {
    vec![Append { record: Bytes::from(vec![7; 8 << 10]), ..start(number) }, ending(number, 1)]
}

/// Has the database brought up to the log if there is space, and counts what it has.
fn settled_sagas(place: &Place, journal: &SqliteJournal) -> u64 {
    journal.count(&Filter::default()).unwrap();
    let database = database_of(place);
    let ended: i64 = database.query_row("SELECT count(*) FROM ended", [], |row| row.get(0)).unwrap();
    u64::try_from(ended).unwrap()
}

/// A journal whose database and log are both full, how many sagas fitted in, and how many of these into the database.
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
            settled = settled_sagas(place, &journal);
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
        assert_eq!(journal.load(id(number)).unwrap().unwrap().records.len(), 2);
    }
    assert_eq!(journal.load(id(fitted)).unwrap(), None);
    assert_eq!(count(&journal, Status::Completed), fitted);
    let (mut listed, mut cursor) = (Vec::new(), None);
    loop {
        let page = journal.list(&Filter::default(), cursor, 97).unwrap();
        listed.extend(page.items.iter().map(|saga| saga.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(listed, (0..fitted).rev().map(id).collect::<Vec<_>>());
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
    assert_eq!(count(&journal, Status::Completed), fitted);
    assert_eq!(submit(&journal, large(fitted)), [AppendAnswer::Committed, AppendAnswer::Committed]);
    assert!(settled < fitted);
    assert_eq!(place.fatal(), [""; 0]);
}

#[test]
fn retention_makes_space_for_what_waits_in_the_log() {
    let place = Place::new();
    let (journal, fitted, settled) = full(&place);
    let mut removed = 0;
    while settled_sagas(&place, &journal) < fitted - removed {
        removed +=
            journal.remove_ended(Time::NEVER, Time::from_milliseconds(1_000), None, 50).unwrap().removed
                as u64;
        assert!(removed <= settled, "{removed} of {settled}");
    }
    assert!(removed > 0);
    assert_eq!(count(&journal, Status::Completed), fitted - removed);
    assert_eq!(submit(&journal, large(fitted)), [AppendAnswer::Committed, AppendAnswer::Committed]);
    drop(journal);
    // What was removed stays so, though the log had it.
    let journal = place.open();
    assert_eq!(count(&journal, Status::Completed), fitted - removed + 1);
}

#[test]
fn a_saga_that_came_back_is_not_removed_while_its_round_waits_for_space() {
    let place = Place::new();
    let (journal, _, settled) = full(&place);
    assert!(settled > 0);
    let back = Append { status: Some(Status::Compensating), ..next(0, 2) };
    commit(&journal, back);
    assert_eq!(
        journal.recoverable(None, 10).unwrap().items.len(),
        1,
        "it is taken up although there is no space"
    );
    while journal.remove_ended(Time::NEVER, Time::from_milliseconds(1_000), None, 50).unwrap().removed > 0 {}
    assert_eq!(journal.load(id(0)).unwrap().unwrap().records.len(), 3);
    drop(journal);
    let journal = place.open();
    let stored = journal.load(id(0)).unwrap().unwrap();
    assert_eq!((stored.status, stored.records.len()), (Status::Compensating, 3));
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
    let answers = submit_all_at_once(&journal, batches);
    let answers: Vec<_> = answers.iter().map(|answers| answers.recv().unwrap()).collect();
    let (done, refused) = (AppendAnswer::Committed, AppendAnswer::NoSpace);
    let conflict = AppendAnswer::Conflict(Conflict::Sequence(Some(2)));
    assert_eq!(answers, [vec![done.clone()], vec![refused; 2], vec![done], vec![conflict], vec![]]);
    // And what was answered is what is there after a kill.
    let killed = place.as_left_by_a_kill();
    let again = killed.try_open(TIGHT).unwrap();
    assert_eq!(again.load(id(fitted)).unwrap().unwrap().records.len(), 2);
    assert!(again.load(id(fitted + 1)).unwrap().is_some());
    assert_eq!(again.load(id(fitted + 3)).unwrap(), None);
}

#[test]
fn a_refused_batch_leaves_the_memory_of_sagas_as_it_was() {
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

/// Makes the writer's next transaction fail for good, by taking a table away from under it.
fn break_the_database(place: &Place) {
    let database = database_of(place);
    database.execute_batch("DROP TABLE record").unwrap();
}

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
fn a_database_damaged_under_way_is_said_to_be_damaged() {
    let place = Place::new();
    let journal = place.open();
    fill(&journal);
    settle(&journal);
    let database = database_of(&place);
    database.execute("UPDATE saga SET id = x'00' WHERE no = 15", []).unwrap();
    database
        .execute_batch("PRAGMA ignore_check_constraints = ON; UPDATE saga SET status = 9 WHERE no = 11")
        .unwrap();
    let error = journal.recoverable(None, 100).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    // Asleep, so not in the writer's memory: it is read back.
    assert_eq!(submit(&journal, vec![next(11, 3)]), [AppendAnswer::Unknown]);
    assert!(place.fatal()[0].contains("damaged"), "{:?}", place.fatal());
}

/// Retention runs at every start: were this fatal, one bad row of long ago would keep the process from ever running.
#[test]
fn damage_that_upkeep_meets_is_told_and_stops_nobody_else() {
    let place = Place::new();
    let journal = place.open();
    fill(&journal);
    settle(&journal);
    database_of(&place)
        .execute_batch(
            "PRAGMA ignore_check_constraints = ON; UPDATE ended SET status = 9 WHERE no = 3;
             UPDATE saga SET status = 9 WHERE no = 14",
        )
        .unwrap();
    let damaged = |found: Result<(), JournalError>| {
        assert!(matches!(&found, Err(JournalError::Damaged { .. })), "{found:?}");
    };
    // Nothing is that old: nothing would have been removed.
    damaged(journal.remove_ended(Time::from_milliseconds(0), Time::NEVER, None, 100).map(drop));
    damaged(journal.remove_ended(Time::NEVER, Time::NEVER, None, 100).map(drop));
    damaged(journal.quarantine(id(14), "why"));
    assert_eq!(place.fatal(), [""; 0]);
    commit(&journal, next(13, 2));
    assert_eq!(count(&journal, Status::Completed), 10, "nothing was removed");
    // From behind it retention gets on.
    let swept = journal.remove_ended(Time::NEVER, Time::NEVER, Some(Cursor(3)), 100).unwrap();
    assert_eq!((swept.removed, swept.next), (7, None));
    assert_eq!(count(&journal, Status::Completed), 3);
}

#[test]
fn what_cannot_be_recovered_together_is_named_one_by_one() {
    let place = Place::new();
    let journal = place.open();
    fill(&journal);
    settle(&journal);
    database_of(&place)
        .execute_batch(
            "PRAGMA ignore_check_constraints = ON; UPDATE saga SET status = 9 WHERE no = 14;
             UPDATE saga SET id = x'00' WHERE no = 17",
        )
        .unwrap();
    assert!(matches!(journal.recoverable(None, 100), Err(JournalError::Damaged { .. })));
    let Page { items, next } = journal.recoverable_ids(None, 100).unwrap();
    assert_eq!(next, None);
    let (mut sound, mut damaged, mut nameless) = (Vec::new(), Vec::new(), Vec::new());
    for named in items {
        match named {
            Ok(id) => match journal.load(id) {
                Ok(found) => sound.push(found.unwrap().id),
                Err(error) => damaged.push((id, error.to_string())),
            },
            Err(error) => nameless.push(error.to_string()),
        }
    }
    assert_eq!(sound, [13, 15, 16, 18, 19, 20].map(id));
    assert!(matches!(&damaged[..], [(found, why)] if *found == id(14) && why.contains("9 is no status")));
    assert!(matches!(&nameless[..], [why] if why.contains("live saga number 17")), "{nameless:?}");
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

#[test]
fn others_may_read_the_database_meanwhile() {
    let place = Place::new();
    let journal = place.open();
    fill(&journal);
    settle(&journal);
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = Connection::open_with_flags(place.file("journal.db"), flags).unwrap();
    let ended: i64 = database.query_row("SELECT count(*) FROM ended", [], |row| row.get(0)).unwrap();
    assert_eq!(ended, 10);
}

#[test]
fn reads_beside_a_busy_writer_see_whole_sagas() {
    let place = Place::new();
    let journal = place.open();
    std::thread::scope(|scope| {
        for reader in 0..8 {
            let journal = &journal;
            scope.spawn(move || {
                for round in 0..200 {
                    let saga = id((round * 7 + reader) % 60);
                    if let Some(stored) = journal.load(saga).unwrap() {
                        assert!(!stored.records.is_empty() && stored.records.len() <= 3);
                        assert_eq!(stored.status == Status::Completed, stored.records.len() == 3);
                    }
                    let listed = journal.list(&Filter::default(), None, 100).unwrap();
                    let count = journal.count(&Filter::default()).unwrap();
                    assert!(listed.items.len() as u64 <= count);
                }
            });
        }
        for number in 0..60 {
            commit(&journal, start(number));
            commit(&journal, next(number, 1));
            commit(&journal, ending(number, 2));
        }
    });
}

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
        cursor = journal.remove_ended(Time::NEVER, Time::from_milliseconds(1_000), cursor, 1).unwrap().next;
    }
    drop(journal);
    assert!(size() < before / 2, "{} of {before}", size());
    assert_eq!(count(&place.open(), Status::Completed), 0);
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
    let ids: Vec<SagaId> = listed.items.iter().map(|saga| saga.id).collect();
    assert_eq!(ids, [id(3), id(2), id(1), id(0)]);
}

#[test]
fn a_damaged_definition_is_damage_not_another_definition() {
    let place = Place::new();
    let spec = amends_core::DefinitionSpec {
        name: DefinitionName::new("Test"),
        version: 1,
        limit: std::time::Duration::from_secs(1),
        pivot: None,
        steps: Vec::new(),
    };
    place.open().put_definition(&spec).unwrap();
    damage_record(&place, &record::encode_definition(&spec));
    let journal = place.open();
    let error = journal.definitions().unwrap_err();
    assert!(error.to_string().contains("Test version 1 is damaged"), "{error}");
    assert!(journal.put_definition(&spec).unwrap_err().to_string().contains("damaged"));
    commit(&journal, start(1));
}

/// Directories that a test fills must not outlive it; this keeps the helper honest.
#[test]
fn a_copy_as_left_by_a_kill_has_no_shared_memory() {
    let place = Place::new();
    let _journal = place.open();
    let killed = place.as_left_by_a_kill();
    assert!(!Path::new(&killed.file("journal.db-shm")).exists());
}

/// A saga that starts and ends at once, under an id of its caller's.
fn short_given(number: u64) -> Append {
    let Append { expected, .. } = start(number);
    let Expected::New(new) = expected else { unreachable!("it starts") };
    let fingerprint = Some(Fingerprint([u8::try_from(number % 251).unwrap(); 32]));
    let new = NewSaga { id_given: true, fingerprint, ..new };
    // In no order that time would make.
    let saga = scattered(number);
    Append {
        saga,
        expected: Expected::New(new),
        record: record_of(saga, 1),
        status: Some(Status::Completed),
        ..start(number)
    }
}

fn scattered(number: u64) -> SagaId {
    SagaId::from_parts(number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20, u128::from(number))
}

fn everything() -> Filter {
    Filter::default()
}

/// Each round freezes a table, goes on with one, or is done with one.
#[test]
fn an_id_of_a_callers_is_found_wherever_its_index_stands() {
    const FEW: SqliteOptions = SqliteOptions {
        disk_reserve_bytes: 0,
        database_bytes_max: None,
        log_bytes_max: limits::LOG_BYTES_MAX,
        ids_indexed_at_once: 5,
    };
    let mut place = Place::new();
    let mut journal = place.try_open(FEW).unwrap();
    let mut gone = Vec::new();
    for number in 1..=90 {
        assert_eq!(submit(&journal, vec![short_given(number)]), [AppendAnswer::Committed]);
        // The database is brought up to the log before it is counted.
        assert_eq!(journal.count(&everything()).unwrap(), number - gone.len() as u64);
        if number % 13 == 0 {
            let copy = place.as_left_by_a_kill();
            drop(journal);
            place = copy;
            journal = place.try_open(FEW).unwrap();
        }
        if number % 10 == 0 {
            let before = Time::from_milliseconds(number - 5);
            assert!(
                journal.remove_ended(before, Time::from_milliseconds(1_000), None, 1_000).unwrap().removed
                    > 0
            );
            gone = (1..number - 5).collect();
        }
        for other in 1..=number {
            let found = journal.load(scattered(other)).unwrap();
            assert_eq!(found.is_some(), !gone.contains(&other), "{other} of {number}");
            let [answer] = &submit(&journal, vec![short_given(other)])[..] else { panic!("one answer") };
            let AppendAnswer::Conflict(Conflict::Exists(entry)) = answer else {
                panic!("{other}: {answer:?}")
            };
            assert_eq!(entry.saga, scattered(other));
        }
        assert_eq!(journal.load(scattered(number + 1)).unwrap(), None);
    }
    drop(journal);
    let database = database_of(&place);
    let number = |sql: &str| -> i64 { database.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert!(number("SELECT count(*) FROM given_id") > 0, "some are in the index");
    let fresh =
        |table: u8| number(&format!("SELECT coalesce(sum(length(ids)), 0) / 24 FROM fresh_id_{table}"));
    assert!((1..=10).contains(&(fresh(0) + fresh(1))), "and few are not");
    assert_eq!(place.fatal(), Vec::<String>::new());
}

#[test]
fn an_id_whose_reservation_is_over_belongs_to_whoever_takes_it_next() {
    let options = SqliteOptions { ids_indexed_at_once: 3, ..SqliteOptions::default() };
    let place = Place::new();
    let mut journal = place.try_open(options.clone()).unwrap();
    for number in 1..=8 {
        submit(&journal, vec![short_given(number)]);
        journal.count(&everything()).unwrap();
    }
    journal.remove_ended(Time::NEVER, Time::from_milliseconds(1_000), None, 100).unwrap();
    assert_eq!(journal.forget_reservations(Time::NEVER, 100).unwrap(), 8);
    for number in (1..=8).rev() {
        assert_eq!(submit(&journal, vec![short_given(number)]), [AppendAnswer::Committed]);
        journal.count(&everything()).unwrap();
    }
    for _ in 0..2 {
        for number in 1..=8 {
            assert!(journal.load(scattered(number)).unwrap().is_some(), "{number}");
        }
        drop(journal);
        journal = place.try_open(options.clone()).unwrap();
    }
}

#[test]
fn the_index_loses_ids_whose_reservation_is_over() {
    let options = SqliteOptions { ids_indexed_at_once: 3, ..SqliteOptions::default() };
    let mut place = Place::new();
    let mut journal = place.try_open(options.clone()).unwrap();
    for number in 1..=40 {
        submit(&journal, vec![short_given(number)]);
        journal.count(&everything()).unwrap();
    }
    assert_eq!(
        journal.remove_ended(Time::NEVER, Time::from_milliseconds(1_000), None, 100).unwrap().removed,
        40
    );
    // One that is given anew in between stays.
    assert_eq!(journal.forget_reservations(Time::NEVER, 20).unwrap(), 20);
    assert_eq!(submit(&journal, vec![short_given(7)]), [AppendAnswer::Committed]);
    journal.count(&everything()).unwrap();
    let copy = place.as_left_by_a_kill();
    drop(journal);
    place = copy;
    journal = place.try_open(options).unwrap();
    assert_eq!(journal.forget_reservations(Time::NEVER, 100).unwrap(), 20);
    // What was forgotten last is put off until others come.
    for number in 100..=160 {
        submit(&journal, vec![short_given(number)]);
        journal.count(&everything()).unwrap();
    }
    assert!(journal.load(scattered(7)).unwrap().is_some());
    drop(journal);
    let database = database_of(&place);
    let sql = "SELECT count(*) FROM given_id WHERE no NOT IN (SELECT no FROM ended)";
    let left: i64 = database.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0, "of forty that lead nowhere");
    let kept: i64 = database.query_row("SELECT count(*) FROM given_id", [], |row| row.get(0)).unwrap();
    assert!(kept > 0, "and the others are there");
    assert_eq!(place.fatal(), Vec::<String>::new());
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
    assert_eq!(again.load(id(1)).unwrap().unwrap().records.len(), 1);
}

#[test]
fn the_number_of_a_removed_saga_is_not_given_again() {
    let place = Place::new();
    let start_and_end = |journal: &SqliteJournal, numbers: std::ops::RangeInclusive<u64>| {
        for number in numbers {
            assert_eq!(submit(journal, vec![short_given(number)]), [AppendAnswer::Committed]);
        }
        journal.count(&everything()).unwrap();
    };
    let remove_all = |journal: &SqliteJournal| {
        journal.remove_ended(Time::NEVER, Time::from_milliseconds(1_000), None, 100).unwrap().removed
    };
    let journal = place.open();
    start_and_end(&journal, 1..=3);
    assert_eq!(remove_all(&journal), 3);
    drop(journal);
    // Their numbers would be next if only those of sagas that are there counted.
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
    let options = SqliteOptions { ids_indexed_at_once: 20, ..SqliteOptions::default() };
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
    assert_eq!(journal.count(&everything()).unwrap(), IDS);
    assert_eq!(place.fatal(), Vec::<String>::new());
}
