//! Recovery past a damaged page.
//!
//! Owns the one question: who is still told of when a page of live sagas, or of their records, is damaged? It is damaged under
//! an open journal: one as small as this is read as a whole when it is opened, and refused.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

use std::fs;
use std::path::Path;
use std::sync::mpsc::channel;

use amends_core::{DefinitionName, Event, Status, Time, TransactionId};
use amends_journal::conformance::submit;
use amends_journal::{
    Append, AppendAnswer, Cursor, Expected, Journal, JournalError, NewSaga, Page, Record, Wake, record,
};
use amends_journal_sqlite::{SqliteJournal, SqliteOptions};
use bytes::Bytes;

/// Many pages' worth.
const SAGAS: u64 = 2_000;

/// The saga whose page is damaged.
const HIT: u64 = 1_200;

/// As many as recovery reads at once, more or less.
const LIMIT: usize = 700;

fn id(number: u64) -> TransactionId {
    TransactionId::from_parts(number, 1)
}

fn input(number: u64) -> Bytes {
    format!("\"the input of saga {number:08}, {}\"", "x".repeat(100)).into()
}

fn start(number: u64) -> Append {
    let at = Time::from_milliseconds(1_000);
    let definition = DefinitionName::new("One");
    let started = Event::SagaStarted { definition: definition.clone(), version: 1, input: input(number) };
    let new = NewSaga { definition, version: 1, id_given: false, key: None, fingerprint: None };
    Append {
        saga: id(number),
        expected: Expected::New(new),
        record: record::encode(id(number), 1, &Record { at, events: vec![started] }),
        at,
        // One that is not awake in every hundred: those are not to be named.
        status: Some(if number.is_multiple_of(100) { Status::Failed } else { Status::InProgress }),
        wake: if number % 100 == 50 { Wake::At(at) } else { Wake::Awake },
    }
}

fn is_awake(number: u64) -> bool {
    !number.is_multiple_of(50)
}

fn open(directory: &Path) -> SqliteJournal {
    open_with(directory, |why| panic!("{why}"))
}

fn open_with(directory: &Path, on_fatal: impl Fn(String) + Send + Sync + 'static) -> SqliteJournal {
    SqliteJournal::open(directory, SqliteOptions::default(), Box::new(on_fatal)).unwrap()
}

/// A journal of sagas, all of them in the database, with one flipped bit: in a page of this kind that has these bytes.
fn damaged(directory: &Path, kind: u8, bytes: &[u8]) -> SqliteJournal {
    damaged_with(directory, kind, bytes, |why| panic!("{why}"))
}

fn damaged_with(
    directory: &Path,
    kind: u8,
    bytes: &[u8],
    on_fatal: impl Fn(String) + Send + Sync + 'static,
) -> SqliteJournal {
    let journal = open(directory);
    for number in 1..=SAGAS {
        assert_eq!(submit(&journal, vec![start(number)]), [AppendAnswer::Committed]);
    }
    drop(journal);
    let journal = open_with(directory, on_fatal);
    let path = directory.join("journal.db");
    let mut file = fs::read(&path).unwrap();
    let size = usize::from(u16::from_be_bytes([file[16], file[17]]));
    let mut pages = file.chunks_exact_mut(size).filter(|page| page[0] == kind);
    let page = pages.find(|page| page.windows(bytes.len()).any(|some| some == bytes)).expect("it is there");
    page[size / 2] ^= 1;
    fs::write(path, &file).unwrap();
    journal
}

// <https://www.sqlite.org/fileformat2.html#b_tree_pages>
const TABLE_LEAF: u8 = 13;
const INDEX_LEAF: u8 = 10;

/// Every saga that is named, and how many pages of recovery could not be read as such.
fn named(journal: &SqliteJournal) -> (Vec<TransactionId>, usize) {
    let (mut named, mut damaged, mut cursor) = (Vec::new(), 0, None::<Cursor>);
    loop {
        match journal.recoverable(cursor, LIMIT) {
            Ok(_) => {}
            Err(JournalError::Damaged { .. }) => damaged += 1,
            Err(error) => panic!("{error}"),
        }
        let Page { items, next } = journal.recoverable_ids(cursor, LIMIT).unwrap();
        named.extend(items.into_iter().map(Result::unwrap));
        cursor = next;
        if cursor.is_none() {
            return (named, damaged);
        }
    }
}

#[test]
fn everybody_is_named_when_a_page_of_records_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let journal = damaged(directory.path(), INDEX_LEAF, &input(HIT + 1));
    let awake: Vec<TransactionId> = (1..=SAGAS).filter(|number| is_awake(*number)).map(id).collect();
    let (named, pages) = named(&journal);
    assert_eq!(named, awake);
    assert!((1..=2).contains(&pages), "{pages}");
    let unreadable = named.iter().filter(|id| journal.load(**id).is_err()).count();
    assert!((2..200).contains(&unreadable), "those on the page, and no others: {unreadable}");
}

/// Nobody can tell any more who of those on the page is awake.
#[test]
fn everybody_is_named_when_a_page_of_sagas_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let journal = damaged(directory.path(), TABLE_LEAF, &id(HIT).to_bytes());
    let (named, pages) = named(&journal);
    assert!((1..=2).contains(&pages), "{pages}");
    let (unreadable, sound): (Vec<u64>, Vec<u64>) =
        (1..=SAGAS).partition(|number| journal.load(id(*number)).is_err());
    assert!(unreadable.contains(&HIT) && unreadable.len() < 500, "{}", unreadable.len());
    let mut wanted: Vec<u64> = sound.into_iter().filter(|number| is_awake(*number)).collect();
    wanted.extend(unreadable);
    wanted.sort_unstable();
    assert_eq!(named, wanted.into_iter().map(id).collect::<Vec<_>>());
}

/// What a saga goes on from cannot be left out.
#[test]
fn a_damaged_page_that_is_needed_stops_the_process_and_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let (fatal, said) = channel();
    let on_fatal = move |why: String| fatal.send(why).unwrap();
    let journal = damaged_with(directory.path(), INDEX_LEAF, &input(HIT + 1), on_fatal);
    // The journal does not read records.
    let append = Append { expected: Expected::Sequence(1), status: None, ..start(HIT + 1) };
    assert_eq!(submit(&journal, vec![append]), [AppendAnswer::Unknown]);
    let said = said.recv().unwrap();
    assert!(said.contains("journal.db is damaged: the checksum of a page is wrong"), "{said}");
}
