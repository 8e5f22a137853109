//! A whole journal as one file, and back.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use amends_core::{
    DefinitionName, DefinitionSpec, Event, Facts, Mode, Partitions, SagaSpec, StepIndex, Time,
};
use amends_journal::conformance::submit;
use amends_journal::record::{self, Record};
use amends_journal::{
    Append, AppendAnswer, Expected, Filter, Fingerprint, Loaded, NewTransaction, Reads, StartKey, Tags,
    Upkeep,
};
use amends_journal_sqlite::{ImportError, OpenError, SqliteJournal, SqliteOptions, check, import};

use crate::place::{COMPLETED, Place, commit, database_of, ending, everything, exactly, id, next, start};

fn open(directory: &Path) -> SqliteJournal {
    SqliteJournal::open(directory, SqliteOptions::default(), Box::new(|why| panic!("{why}"))).unwrap()
}

/// With everything that a start may have.
fn labelled(number: u64) -> Append {
    let Append { expected: Expected::New(new), .. } = start(number) else { panic!("it is a start") };
    let tags: Tags = [("order".to_owned(), number.to_string())].into_iter().collect();
    let new = NewTransaction {
        id_given: true,
        key: Some(StartKey(format!("key {number}"))),
        fingerprint: Some(Fingerprint([7; 32])),
        tags,
        parent: Some(id(1)),
        ..*new
    };
    Append { expected: Expected::from(new), ..start(number) }
}

fn definition() -> DefinitionSpec {
    DefinitionSpec::Saga(SagaSpec {
        name: DefinitionName::new("Test"),
        version: 1,
        limit: std::time::Duration::from_secs(60),
        pivot: None,
        steps: Vec::new(),
    })
}

/// Live, asleep, parked, quarantined, ended, removed; named and labelled.
fn fill(journal: &SqliteJournal) {
    journal.put_definition(&definition(), Time::from_milliseconds(3)).unwrap();
    journal
        .retire_definition(Mode::Saga, &DefinitionName::new("Test"), 1, Time::from_milliseconds(4))
        .unwrap();
    journal.secret("callbacks", b"0123").unwrap();
    for number in 1..=3 {
        commit(journal, start(number));
    }
    commit(journal, next(2, 1));
    commit(journal, ending(3, 1));
    for number in 4..=9 {
        commit(journal, labelled(number));
    }
    commit(journal, ending(5, 1));
    commit(journal, ending(6, 1));
    let removed = labelled(10);
    let Expected::New(new) = removed.expected.clone() else { panic!("it is a start") };
    commit(journal, Append { expected: Expected::from(NewTransaction { parent: None, ..*new }), ..removed });
    commit(journal, Append { at: Time::from_milliseconds(1), ..ending(10, 1) });
    let sweep = journal.remove_ended(
        &Partitions::ALL,
        Time::from_milliseconds(2),
        Time::from_milliseconds(50),
        None,
        100,
    );
    assert_eq!(sweep.unwrap().removed, 1);
}

/// Whatever can be asked, but for the feed.
fn assert_same(one: &SqliteJournal, other: &SqliteJournal) {
    for number in 0..12 {
        assert_eq!(one.load(id(number)).unwrap(), other.load(id(number)).unwrap());
        let key = format!("key {number}");
        assert_eq!(one.by_key(&key).unwrap(), other.by_key(&key).unwrap());
        let tag = Some(("order".to_owned(), number.to_string()));
        let filter = Filter { tag, ..Filter::default() };
        assert_eq!(one.list(&filter, None, 10).unwrap(), other.list(&filter, None, 10).unwrap());
    }
    let since = Filter { since: Some(Time::from_milliseconds(4)), ..Filter::default() };
    let children = Filter { parent: Some(id(1)), ..Filter::default() };
    for filter in [everything(), since, children, crate::place::standing(COMPLETED)] {
        assert_eq!(one.list(&filter, None, 100).unwrap(), other.list(&filter, None, 100).unwrap());
        assert_eq!(one.count(&filter).unwrap(), other.count(&filter).unwrap());
    }
    assert_eq!(one.definitions().unwrap(), other.definitions().unwrap());
    assert_eq!(one.newest_at().unwrap(), other.newest_at().unwrap());
    assert_eq!(one.secret("callbacks", b"other").unwrap(), other.secret("callbacks", b"other").unwrap());
}

struct Exported {
    place: Place,
    journal: SqliteJournal,
    file: PathBuf,
}

fn exported() -> Exported {
    let place = Place::new();
    let journal = open(&place.path());
    fill(&journal);
    let file = place.path().join("backup");
    let backup = journal.backup(&file).unwrap();
    assert_eq!((backup.transactions, backup.bytes), (9, fs::metadata(&file).unwrap().len()));
    Exported { place, journal, file }
}

#[test]
fn an_imported_journal_answers_as_the_exported_one() {
    let Exported { place, journal, file } = exported();
    let directory = place.path().join("imported");
    assert_eq!(import(&file, &directory).unwrap().transactions, 9);
    let imported = open(&directory);
    assert_same(&journal, &imported);
    // It goes on: names are taken, numbers are new, transactions end and are removed.
    let again = submit(&imported, vec![labelled(5)]);
    assert!(matches!(again[0], AppendAnswer::Conflict(_)), "{again:?}");
    assert_eq!(imported.load(id(10)).unwrap(), Loaded::Removed);
    commit(&imported, start(11));
    commit(&imported, ending(1, 1));
    commit(&imported, ending(4, 1));
    assert_eq!(imported.list(&everything(), None, 1).unwrap().items[0].id, id(11));
    let sweep = imported.remove_ended(&Partitions::ALL, Time::NEVER, Time::from_milliseconds(60), None, 100);
    assert_eq!(sweep.unwrap().removed, 5);
    drop(imported);
    assert_eq!(exactly(&open(&directory), &everything()), 5);
}

#[test]
fn a_file_that_was_cut_or_changed_anywhere_is_refused_and_leaves_nothing() {
    let Exported { place, journal: _journal, file } = exported();
    let whole = fs::read(&file).unwrap();
    let (damaged, directory) = (place.path().join("damaged"), place.path().join("imported"));
    let refused = |bytes: &[u8]| {
        fs::write(&damaged, bytes).unwrap();
        let error = import(&damaged, &directory).unwrap_err();
        assert!(matches!(error, ImportError::Damaged { .. }), "{error}");
        assert!(!directory.exists() && !place.path().join("imported.importing").exists());
    };
    // Laying a directory out takes some flushes: every byte would take minutes.
    for cut in (0..whole.len()).step_by(97).chain(whole.len() - 20..whole.len()) {
        refused(&whole[..cut]);
    }
    for place in (0..whole.len()).step_by(131) {
        let mut flipped = whole.clone();
        flipped[place] ^= 1;
        refused(&flipped);
    }
    refused(&[whole.as_slice(), b"x"].concat());
    import(&file, &directory).unwrap();
}

#[test]
fn nothing_is_imported_over_a_journal_and_no_backup_is_written_over() {
    let Exported { place, journal, file } = exported();
    assert!(matches!(import(&file, &place.path()), Err(ImportError::NotEmpty(_))));
    let before = fs::read(&file).unwrap();
    assert!(journal.backup(&file).unwrap_err().to_string().contains("there already"));
    assert_eq!(fs::read(&file).unwrap(), before);
    let empty = place.path().join("empty");
    fs::create_dir(&empty).unwrap();
    import(&file, &empty).unwrap();
    assert_same(&journal, &open(&empty));
}

#[test]
fn a_backup_while_appends_go_on_has_everything_that_was_answered_before() {
    let place = Place::new();
    let journal = open(&place.path());
    let answered = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=400 {
                commit(&journal, labelled_root(number));
                commit(&journal, ending(number, 1));
                answered.store(number, Ordering::SeqCst);
            }
        });
        for round in 0..4 {
            let before = answered.load(Ordering::SeqCst);
            let (file, directory) =
                (place.path().join(format!("b{round}")), place.path().join(format!("d{round}")));
            journal.backup(&file).unwrap();
            import(&file, &directory).unwrap();
            let imported = open(&directory);
            for number in 1..=before {
                let stored = imported.load(id(number)).unwrap().stored().unwrap();
                assert_eq!((stored.standing, stored.records.len()), (COMPLETED, 2));
                assert!(imported.by_key(&format!("key {number}")).unwrap().is_some());
            }
        }
    });
}

fn labelled_root(number: u64) -> Append {
    let Append { expected: Expected::New(new), .. } = labelled(number) else { panic!("it is a start") };
    Append { expected: Expected::from(NewTransaction { parent: None, ..*new }), ..labelled(number) }
}

/// A kill in the middle of a backup leaves the journal, and a part of a file that nobody takes for a backup.
#[test]
fn what_a_killed_backup_left_is_no_backup_and_the_next_one_is_whole() {
    let Exported { place, journal, file } = exported();
    let whole = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let partial = place.path().join("backup.partial");
    fs::write(&partial, &whole[..whole.len() / 2]).unwrap();
    let killed = place.as_left_by_a_kill();
    drop(journal);
    assert!(import(&partial, &place.path().join("imported")).is_err());
    let journal = open(&killed.path());
    journal.backup(&killed.path().join("backup")).unwrap();
    let directory = killed.path().join("imported");
    import(&killed.path().join("backup"), &directory).unwrap();
    assert_same(&journal, &open(&directory));
}

#[test]
fn a_check_finds_nothing_in_a_sound_journal_even_after_a_kill() {
    let place = Place::new();
    let journal = open(&place.path());
    for number in 1..=6 {
        let new = NewTransaction { parent: None, ..new_of(labelled(number)) };
        let new = Expected::New(Box::new(new));
        commit(&journal, real(Append { expected: new, ..labelled(number) }, 1));
        commit(&journal, real(next(number, 1), 2));
    }
    commit(&journal, real(ending(3, 2), 3));
    exactly(&journal, &everything());
    commit(&journal, real(ending(4, 2), 3));
    let killed = place.as_left_by_a_kill();
    let checked = check(&killed.path()).unwrap();
    assert_eq!(checked.findings, [""; 0]);
    assert!(checked.batches >= 1, "the log has what came last");
    assert!(matches!(check(&place.path()), Err(OpenError::InUse { .. })));
    drop(journal);
    let checked = check(&place.path()).unwrap();
    assert_eq!((checked.findings.as_slice(), checked.transactions, checked.records), (&[][..], 6, 14));
    // Whatever an import lays out holds the same.
    let file = killed.path().join("backup");
    let journal = open(&killed.path());
    journal.backup(&file).unwrap();
    let directory = killed.path().join("imported");
    import(&file, &directory).unwrap();
    let checked = check(&directory).unwrap();
    assert_eq!((checked.findings.as_slice(), checked.transactions, checked.records), (&[][..], 6, 14));
}

#[test]
fn a_check_names_what_does_not_agree() {
    let Exported { place, journal, file: _ } = exported();
    drop(journal);
    {
        let database = database_of(&place);
        database
            .execute_batch(
                "UPDATE record SET body = x'00' WHERE no = 1; DELETE FROM tagged WHERE no = 5; UPDATE tally SET transactions = 7 WHERE standing = 6",
            )
            .unwrap();
    }
    let findings = check(&place.path()).unwrap().findings.join("; ");
    for wanted in ["is not found by its tag order=5", "the counts are not", "record 1 of transaction"] {
        assert!(findings.contains(wanted), "{wanted}: {findings}");
    }
}

fn new_of(append: Append) -> NewTransaction {
    let Expected::New(new) = append.expected else { panic!("it is a start") };
    *new
}

/// With a record that can be read.
fn real(append: Append, sequence: u64) -> Append {
    let facts = Facts::Saga(vec![Event::StepStarted { step: StepIndex(0).into() }]);
    let record = record::encode(append.id, sequence, &Record { at: append.at, facts });
    Append { record, ..append }
}
