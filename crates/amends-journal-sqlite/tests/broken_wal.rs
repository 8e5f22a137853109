//! SQLite's log beside the journal's database, broken in each of its frames.
//!
//! Owns the one question: is a journal whose log was broken refused, or does it know all it knew? Much of
//! what it knows is nowhere but in the database: quarantine, definitions, what retention removed and reserved
//! never go through our own log. SQLite itself would read up to the break and take the rest for the torn end
//! of a write.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use amends_core::{
    DefinitionName, DefinitionSpec, End, Event, Facts, Mode, Partition, Partitions, SagaSpec, Standing,
    StepIndex, Time, TransactionId, Way,
};
use amends_journal::conformance::{NOBODY, submit};
use amends_journal::{
    Append, AppendAnswer, Expected, Filter, Fingerprint, NewTransaction, Ownership, Quarantined, Reads,
    Record, StartKey, Tags, Upkeep, record,
};
use amends_journal_sqlite::{OpenError, SqliteJournal, SqliteOptions};
use bytes::Bytes;
use tempfile::TempDir;

const WAL: &str = "journal.db-wal";
const INDEX: &str = "journal.db-shm";
const END: &str = "journal.end";

/// Where what never changes begins in the last of these.
const SALT_AT: usize = 1024;

// <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

const FORWARD: Standing = Standing::Active(Way::Forward);

fn id(number: u64) -> TransactionId {
    TransactionId::from_parts(number, 0)
}

fn append(number: u64, sequence: u64, standing: Standing) -> Append {
    let (expected, event) = if sequence == 1 {
        let new = NewTransaction {
            mode: Mode::Saga,
            definition: DefinitionName::new("Test"),
            version: 1,
            id_given: true,
            key: Some(StartKey(format!("key {number}"))),
            fingerprint: Some(Fingerprint([7; 32])),
            tags: Tags::new(),
            parent: None,
        };
        let input = Bytes::from(vec![b'i'; 900]);
        let started =
            Event::SagaStarted { definition: DefinitionName::new("Test"), version: 1, input, origin: None };
        (Expected::from(new), started)
    } else {
        let output = Bytes::from(vec![b'o'; 900]);
        (Expected::Sequence(sequence - 1), Event::StepCompleted { step: StepIndex(0).into(), output })
    };
    let at = Time::from_milliseconds(number);
    let record = record::encode(id(number), sequence, &Record { at, facts: Facts::Saga(vec![event]) });
    Append { id: id(number), epoch: NOBODY, expected, record, at, standing }
}

/// One round: what is appended is in the database when this returns.
fn round(journal: &SqliteJournal, appends: impl IntoIterator<Item = Append>) {
    for append in appends {
        assert_eq!(submit(journal, vec![append]), [AppendAnswer::Committed]);
    }
    journal.count(&Filter::default()).unwrap();
}

fn definition(version: u32) -> DefinitionSpec {
    DefinitionSpec::Saga(SagaSpec {
        name: DefinitionName::new("Test"),
        version,
        limit: Duration::from_secs(1),
        pivot: None,
        steps: Vec::new(),
    })
}

/// Sagas that are used below.
const TRANSACTIONS: Range<u64> = 1..14;

/// Everything that can be written, the last of it a round.
fn live(journal: &SqliteJournal) {
    let started = FORWARD;
    journal.put_definition(&definition(1), Time::from_milliseconds(1)).unwrap();
    round(journal, (1..7).map(|number| append(number, 1, started)));
    round(journal, (1..4).map(|number| append(number, 2, Standing::Ended(End::Completed))));
    for number in [1, 2] {
        let (before, now) = (Time::from_milliseconds(number + 1), Time::from_milliseconds(100 * number));
        assert_eq!(journal.remove_ended(&Partitions::ALL, before, now, None, 100).unwrap().removed, 1);
    }
    round(journal, (7..10).map(|number| append(number, 1, started)));
    journal.put_definition(&definition(2), Time::from_milliseconds(1)).unwrap();
    let lease = journal.acquire(&[Partition::of(id(5))].into_iter().collect()).unwrap()[0];
    let parked = journal.quarantine(id(5), 1, lease.epoch, "a test says so").unwrap();
    assert_eq!(parked, Quarantined::Parked);
    assert_eq!(journal.forget_reservations(&Partitions::ALL, Time::from_milliseconds(101), 100).unwrap(), 1);
    round(journal, [append(7, 2, Standing::Ended(End::Compensated)), append(10, 1, started)]);
    round(journal, [append(11, 1, started), append(8, 2, FORWARD)]);
    round(journal, [append(12, 1, started), append(8, 3, FORWARD)]);
}

/// All that a journal knows.
fn knows(journal: &SqliteJournal) -> String {
    let transactions: Vec<_> = TRANSACTIONS.map(|number| journal.load(id(number)).unwrap()).collect();
    let keys: Vec<_> = TRANSACTIONS.map(|number| journal.by_key(&format!("key {number}")).unwrap()).collect();
    let list = journal.list(&Filter::default(), None, 100).unwrap();
    let definitions = journal.definitions().unwrap();
    // The id of a transaction that was removed is its for as long as it is reserved.
    let reserved = submit(journal, vec![append(2, 1, FORWARD)]);
    format!("{transactions:?} {keys:?} {list:?} {definitions:?} {reserved:?}")
}

/// A journal's directory.
struct Place(TempDir);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The process died: the log's index in shared memory says what was flushed.
    Kill,
    /// The machine died, and the index with it.
    PowerCut,
}

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn open(&self) -> Result<SqliteJournal, OpenError> {
        let on_fatal = Box::new(|why| panic!("{why}"));
        SqliteJournal::open(self.0.path(), SqliteOptions::default(), on_fatal)
    }

    /// The directory as this end would leave it now.
    fn left_by(&self, end: Ending) -> Self {
        let copy = Self::new();
        for entry in fs::read_dir(self.0.path()).unwrap() {
            let name = entry.unwrap().file_name();
            if end == Ending::Kill || Path::new(&name) != Path::new(INDEX) {
                fs::copy(self.0.path().join(&name), copy.0.path().join(&name)).unwrap();
            }
        }
        copy
    }
}

/// A log in parts.
struct Wal {
    bytes: Vec<u8>,
    frames: Vec<Range<usize>>,
    /// The frames that end a transaction.
    commits: Vec<usize>,
}

impl Wal {
    fn of(place: &Place) -> Self {
        let bytes = fs::read(place.file(WAL)).unwrap();
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let size = FRAME_HEADER + number(8) as usize;
        let frames: Vec<_> = (HEADER..bytes.len()).step_by(size).map(|begin| begin..begin + size).collect();
        assert_eq!(frames.last().unwrap().end, bytes.len());
        let commits = (0..frames.len()).filter(|frame| number(frames[*frame].start + 4) != 0).collect();
        Self { bytes, frames, commits }
    }

    /// The log with a frame broken in each of some ways.
    fn broken(&self, frame: usize) -> [(&'static str, Vec<u8>); 4] {
        let Range { start, end } = self.frames[frame];
        let flipped = |at: usize| {
            let mut broken = self.bytes.clone();
            broken[at] ^= 1;
            broken
        };
        let blank = |range: Range<usize>| {
            let mut broken = self.bytes.clone();
            broken[range].fill(0);
            // Much of a page is zeros already, and to blank those breaks nothing.
            assert_ne!(broken, self.bytes);
            broken
        };
        [
            ("its mark flipped", flipped(start + 9)),
            ("its page flipped", flipped(end - 100)),
            ("its head blank", blank(start..start + FRAME_HEADER)),
            ("all of it blank", blank(start..end)),
        ]
    }

    /// The first frame of the last transaction.
    fn last_transaction(&self) -> usize {
        self.commits[self.commits.len() - 2] + 1
    }
}

/// A journal that did all there is to do and then ended so, and what it knew.
fn ended_by(end: Ending) -> (Place, Wal, String) {
    let place = Place::new();
    let journal = place.open().unwrap();
    live(&journal);
    let known = knows(&journal);
    let left = place.left_by(end);
    let wal = Wal::of(&left);
    assert!(wal.commits.len() > 10 && *wal.commits.last().unwrap() == wal.frames.len() - 1);
    assert_eq!(knows(&left.left_by(end).open().unwrap()), known);
    (left, wal, known)
}

/// Opens a copy with this in place of its log.
fn open_with(place: &Place, wal: &[u8]) -> Result<(Place, SqliteJournal), String> {
    let copy = place.left_by(Ending::Kill);
    fs::write(copy.file(WAL), wal).unwrap();
    let opened = copy.open().map_err(|error| error.to_string());
    opened.map(|journal| (copy, journal))
}

/// `file` begins the name of what is called damaged.
fn check_refused(place: &Place, wal: &[u8], file: &str, what: &str) {
    let refusal = open_with(place, wal).err().unwrap_or_else(|| panic!("{what}: it was opened"));
    let is_named = refusal.contains("damaged") || refusal.contains("incomplete");
    assert!(is_named && refusal.contains(file), "{what}: {refusal}");
}

#[test]
fn after_a_kill_a_break_in_any_frame_is_refused() {
    let (place, wal, _) = ended_by(Ending::Kill);
    for frame in 0..wal.frames.len() {
        for (how, bytes) in wal.broken(frame) {
            check_refused(&place, &bytes, WAL, &format!("frame {frame}, {how}"));
        }
        let cut = &wal.bytes[..wal.frames[frame].start];
        check_refused(&place, cut, WAL, &format!("cut off at frame {frame}"));
    }
}

/// Without the index a break in the last transaction looks like a write that was torn, and so like one that
/// nobody was answered. Our own log says how often the database was written; unless the power cut took that
/// too. Then it is a round, and the log has all that it held.
#[test]
fn after_a_power_cut_a_break_is_refused_or_in_a_round_that_is_done_again() {
    let (place, wal, known) = ended_by(Ending::PowerCut);
    let end = fs::read(place.file(END)).unwrap();
    let fresh = Place::new();
    drop(fresh.open().unwrap());
    // It was not flushed since.
    let mut forgotten = fs::read(fresh.file(END)).unwrap();
    forgotten[SALT_AT..].copy_from_slice(&end[SALT_AT..]);
    for frame in 0..wal.frames.len() {
        for (how, bytes) in wal.broken(frame) {
            let what = format!("frame {frame}, {how}");
            fs::write(place.file(END), &end).unwrap();
            check_refused(&place, &bytes, "journal.", &what);
            fs::write(place.file(END), &forgotten).unwrap();
            if frame + 1 < wal.last_transaction() {
                check_refused(&place, &bytes, WAL, &what);
            } else if frame < wal.last_transaction() {
                // When all of the last end but one is gone, SQLite's log says nothing: it is our own that
                // misses a round.
                check_refused(&place, &bytes, "journal.", &what);
            } else {
                let (_directory, journal) = open_with(&place, &bytes).expect(&what);
                assert_eq!(knows(&journal), known, "{what}");
            }
        }
    }
}

/// It is in the database itself: without the log it is not taken for a directory that was never used.
#[test]
fn a_fresh_journal_keeps_its_layout_whatever_becomes_of_the_log() {
    let fresh = Place::new();
    let _journal = fresh.open().unwrap();
    let place = fresh.left_by(Ending::PowerCut);
    let (_directory, journal) = open_with(&place, b"").unwrap();
    assert_eq!(journal.count(&Filter::default()).unwrap().count, 0);
}
