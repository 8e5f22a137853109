//! Recovery past a damaged page.
//!
//! Owns the one question: is a damaged page of live transactions, or of their records, told of and never
//! passed over? It is damaged under an open journal: one as small as this is read as a whole when it is
//! opened, and refused.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

use std::fs;
use std::path::Path;
use std::sync::mpsc::channel;

use amends_core::{DefinitionName, Event, Facts, Mode, Partitions, Standing, Time, TransactionId, Way};
use amends_journal::conformance::{NOBODY, submit};
use amends_journal::{
    Append, AppendAnswer, Cursor, Expected, JournalError, NewTransaction, Page, Reads, Record, Tags, record,
};
use amends_journal_sqlite::{SqliteJournal, SqliteOptions};
use bytes::Bytes;

/// Many pages' worth.
const TRANSACTIONS: u64 = 2_000;

/// The transaction whose page is damaged.
const HIT: u64 = 1_200;

/// As many as recovery reads together, more or less.
const LIMIT: usize = 700;

fn id(number: u64) -> TransactionId {
    TransactionId::from_parts(number, 1)
}

fn input(number: u64) -> Bytes {
    format!("\"the input of transaction {number:08}, {}\"", "x".repeat(100)).into()
}

fn start(number: u64) -> Append {
    let at = Time::from_milliseconds(1_000);
    let definition = DefinitionName::new("One");
    let started =
        Event::SagaStarted { definition: definition.clone(), version: 1, input: input(number), origin: None };
    let mode = Mode::Saga;
    let new = NewTransaction {
        mode,
        definition,
        version: 1,
        id_given: false,
        key: None,
        fingerprint: None,
        tags: Tags::new(),
        parent: None,
    };
    Append {
        id: id(number),
        epoch: NOBODY,
        expected: Expected::from(new),
        record: record::encode(id(number), 1, &Record { at, facts: Facts::Saga(vec![started]) }),
        at,
        // One that is not awake in every hundred: those are not to be named.
        standing: match number % 100 {
            0 => Standing::Parked,
            50 => Standing::Asleep { way: Way::Forward, until: at },
            _ => FORWARD,
        },
    }
}

const FORWARD: Standing = Standing::Active(Way::Forward);

fn open(directory: &Path) -> SqliteJournal {
    open_with(directory, |why| panic!("{why}"))
}

fn open_with(directory: &Path, on_fatal: impl Fn(String) + Send + Sync + 'static) -> SqliteJournal {
    SqliteJournal::open(directory, SqliteOptions::default(), Box::new(on_fatal)).unwrap()
}

/// A journal of transactions, all of them in the database, with one flipped bit: in a page of this kind that
/// has these bytes.
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
    for number in 1..=TRANSACTIONS {
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

/// How many pages of recovery there are, and how many of them cannot be read.
fn recovered(journal: &SqliteJournal) -> (u64, u64) {
    let (mut pages, mut damaged) = (0, 0);
    let mut cursor = None;
    loop {
        pages += 1;
        match journal.recoverable(&Partitions::ALL, cursor, LIMIT) {
            Ok(Page { next: None, .. }) => return (pages, damaged),
            Ok(Page { next, .. }) => cursor = next,
            Err(JournalError::Damaged { what, .. }) => {
                assert!(what.ends_with("journal.db"), "{what}");
                damaged += 1;
                // Numbers are counted from one: the next page but for those that are not awake.
                cursor = Some(Cursor(cursor.map_or(0, |Cursor(number)| number) + LIMIT as u64));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Nobody is left out without a word, and nobody is made up.
#[test]
fn recovery_says_damaged_and_the_journal_goes_on_for_those_that_do_not_need_the_page() {
    for (kind, bytes) in [(INDEX_LEAF, input(HIT + 1)), (TABLE_LEAF, id(HIT).to_bytes().to_vec().into())] {
        let directory = tempfile::tempdir().unwrap();
        let journal = damaged(directory.path(), kind, &bytes);
        let (pages, damaged) = recovered(&journal);
        assert!(pages > damaged && (1..=2).contains(&damaged), "{damaged} of {pages}");
        assert_eq!(submit(&journal, vec![start(TRANSACTIONS + 1)]), [AppendAnswer::Committed]);
        let append = Append { expected: Expected::Sequence(1), standing: FORWARD, ..start(1) };
        assert_eq!(submit(&journal, vec![append]), [AppendAnswer::Committed]);
    }
}

/// What a transaction goes on from cannot be left out.
#[test]
fn a_damaged_page_that_is_needed_stops_the_process_and_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let (fatal, said) = channel();
    let on_fatal = move |why: String| fatal.send(why).unwrap();
    let journal = damaged_with(directory.path(), INDEX_LEAF, &input(HIT + 1), on_fatal);
    // The journal does not read records.
    let append = Append { expected: Expected::Sequence(1), standing: FORWARD, ..start(HIT + 1) };
    assert_eq!(submit(&journal, vec![append]), [AppendAnswer::Unknown]);
    let said = said.recv().unwrap();
    assert!(said.contains("journal.db is damaged: the checksum of a page is wrong"), "{said}");
}
