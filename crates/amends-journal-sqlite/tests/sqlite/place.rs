//! A directory for a journal, and transactions to put into it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use amends_core::{
    DefinitionName, End, Event, Facts, Mode, Partition, Partitions, Standing, Standings, Time, TransactionId,
    Way,
};
use amends_journal::conformance::{NOBODY, owned, submit};
use amends_journal::{
    Append, AppendAnswer, Count, Epoch, Expected, Filter, Fingerprint, Journal, NewTransaction, Quarantined,
    Reads, Record, StartKey, Tags, Timer, record,
};
use amends_journal_sqlite::{OpenError, SqliteJournal, SqliteOptions};
use bytes::Bytes;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

/// The journal's database, as SQLite shows it: what is changed through this has sound pages.
pub(crate) fn database_of(place: &Place) -> Connection {
    amends_sqlite::open(&place.file("journal.db"), OpenFlags::default(), None).unwrap()
}

/// A directory for a journal, and what was said when it died.
pub(crate) struct Place {
    directory: TempDir,
    fatal: Arc<Mutex<Vec<String>>>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), fatal: Arc::default() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn try_open(&self, options: SqliteOptions) -> Result<SqliteJournal, OpenError> {
        let fatal = Arc::clone(&self.fatal);
        SqliteJournal::open(&self.path(), options, Box::new(move |why| fatal.lock().unwrap().push(why)))
    }

    pub(crate) fn open(&self) -> SqliteJournal {
        self.try_open(SqliteOptions::default()).unwrap()
    }

    pub(crate) fn refusal(&self) -> String {
        self.try_open(SqliteOptions::default()).expect_err("it must not open").to_string()
    }

    pub(crate) fn fatal(&self) -> Vec<String> {
        self.fatal.lock().unwrap().clone()
    }

    /// What a power cut or `kill -9` at this moment would leave: the files as they are, without shared
    /// memory.
    pub(crate) fn as_left_by_a_kill(&self) -> Self {
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

pub(crate) const FORWARD: Standing = Standing::Active(Way::Forward);
pub(crate) const BACK: Standing = Standing::Active(Way::Back);
pub(crate) const PARKED: Standing = Standing::Parked;
pub(crate) const COMPLETED: Standing = Standing::Ended(End::Completed);

pub(crate) fn asleep_until(milliseconds: u64) -> Standing {
    Standing::Asleep { way: Way::Forward, until: Time::from_milliseconds(milliseconds) }
}

pub(crate) fn id(number: u64) -> TransactionId {
    TransactionId::from_parts(number, 0)
}

pub(crate) fn record_of(transaction: TransactionId, sequence: u64) -> Bytes {
    let events = if sequence == 1 {
        let input = Bytes::from(vec![b'i'; 200]);
        vec![Event::SagaStarted { definition: DefinitionName::new("Test"), version: 1, input, origin: None }]
    } else {
        vec![Event::StepCompleted {
            step: amends_core::StepIndex(0).into(),
            output: Bytes::from(vec![b'o'; 200]),
        }]
    };
    record::encode(
        transaction,
        sequence,
        &Record { at: Time::from_milliseconds(sequence), facts: Facts::Saga(events) },
    )
}

pub(crate) fn start(number: u64) -> Append {
    Append {
        id: id(number),
        epoch: NOBODY,
        expected: Expected::from(NewTransaction {
            mode: Mode::Saga,
            definition: DefinitionName::new("Test"),
            version: 1,
            id_given: false,
            key: None,
            fingerprint: None,
            tags: Tags::new(),
            parent: None,
        }),
        record: record_of(id(number), 1),
        at: Time::from_milliseconds(number),
        standing: FORWARD,
    }
}

pub(crate) fn next(number: u64, sequence: u64) -> Append {
    Append {
        id: id(number),
        epoch: NOBODY,
        expected: Expected::Sequence(sequence),
        record: record_of(id(number), sequence + 1),
        at: Time::from_milliseconds(number + sequence),
        standing: FORWARD,
    }
}

pub(crate) fn ending(number: u64, sequence: u64) -> Append {
    Append { standing: COMPLETED, ..next(number, sequence) }
}

pub(crate) fn commit(journal: &dyn Journal, append: Append) {
    assert_eq!(submit(journal, vec![append]), [AppendAnswer::Committed]);
}

pub(crate) fn standing(standing: Standing) -> Filter {
    Filter { standings: Standings::NONE.with(standing.kind()), ..Filter::default() }
}

pub(crate) fn exactly(journal: &dyn Journal, filter: &Filter) -> u64 {
    let Count { count, exact } = journal.count(filter).unwrap();
    assert!(exact);
    count
}

pub(crate) fn count(journal: &dyn Journal, of: Standing) -> u64 {
    exactly(journal, &standing(of))
}

/// Quarantines as the owner.
pub(crate) fn quarantine(journal: &dyn Journal, id: TransactionId, records: u64) -> Quarantined {
    journal.quarantine(id, records, epoch(journal), "a test says so").unwrap()
}

pub(crate) fn epoch(journal: &dyn Journal) -> Epoch {
    journal.acquire(&[Partition::of(id(1))].into_iter().collect()).unwrap()[0].epoch
}

/// Submits while the writer is held up in an answer, so that everything meets in one group.
pub(crate) fn submit_all_together(
    journal: &dyn Journal,
    batches: Vec<Vec<Append>>,
) -> Vec<Receiver<Vec<AppendAnswer>>> {
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
            journal.submit(owned(journal, batch), Box::new(move |all| answer.send(all).unwrap()));
            answers
        })
        .collect();
    drop(go);
    answers
}

/// Some transactions of every kind: ended, under way, asleep, parked.
pub(crate) fn fill(journal: &dyn Journal) {
    for number in 1..=20 {
        commit(journal, start(number));
        commit(journal, next(number, 1));
    }
    for number in 1..=10 {
        commit(journal, ending(number, 2));
    }
    commit(journal, Append { standing: asleep_until(77), ..next(11, 2) });
    commit(journal, Append { standing: PARKED, ..next(12, 2) });
}

pub(crate) fn check_filled(journal: &dyn Journal) {
    assert_eq!(count(journal, COMPLETED), 10);
    assert_eq!(count(journal, FORWARD), 8);
    assert_eq!(count(journal, asleep_until(1)), 1);
    assert_eq!(count(journal, PARKED), 1);
    assert_eq!(recoverable(journal).len(), 8);
    let timers =
        journal.timers_due(&Partitions::ALL, Timer::before(Time::default()), Time::NEVER, 1).unwrap();
    assert_eq!(timers[0].0.at, Time::from_milliseconds(77));
    for number in 1..=20 {
        let stored = journal.load(id(number)).unwrap().stored().unwrap();
        for (frame, sequence) in stored.records.iter().zip(1..) {
            record::decode(stored.id, sequence, frame.clone()).unwrap();
        }
        assert_eq!(stored.records.len(), if number <= 12 { 3 } else { 2 });
    }
}

/// The ids of all that owe something.
pub(crate) fn recoverable(journal: &dyn Journal) -> BTreeSet<TransactionId> {
    let (mut ids, mut cursor) = (BTreeSet::new(), None);
    loop {
        let page = journal.recoverable(&Partitions::ALL, cursor, 3).unwrap();
        ids.extend(page.items.iter().map(|stored| stored.id));
        cursor = page.next;
        if cursor.is_none() {
            return ids;
        }
    }
}

/// Has the database brought up to the log.
pub(crate) fn settle(journal: &SqliteJournal) {
    journal.count(&Filter::default()).unwrap();
}

/// Makes the writer's next transaction fail for good, by taking a table away from under it.
pub(crate) fn break_the_database(place: &Place) {
    let database = database_of(place);
    database.execute_batch("DROP TABLE record").unwrap();
}

/// Directories that a test fills must not outlive it; this keeps the helper honest.
#[test]
fn a_copy_as_left_by_a_kill_has_no_shared_memory() {
    let place = Place::new();
    let _journal = place.open();
    let killed = place.as_left_by_a_kill();
    assert!(!Path::new(&killed.file("journal.db-shm")).exists());
}

/// A transaction that starts and ends together, under an id and a key of its caller's.
pub(crate) fn short_given(number: u64) -> Append {
    let Append { expected, .. } = start(number);
    let Expected::New(new) = expected else { unreachable!("it starts") };
    let fingerprint = Some(Fingerprint([u8::try_from(number % 251).unwrap(); 32]));
    let key = Some(StartKey(format!("key of {number}")));
    let new = NewTransaction { id_given: true, key, fingerprint, ..*new };
    // In no order that time would make.
    let id = scattered(number);
    Append {
        id,
        expected: Expected::from(new),
        record: record_of(id, 1),
        standing: COMPLETED,
        ..start(number)
    }
}

pub(crate) fn scattered(number: u64) -> TransactionId {
    TransactionId::from_parts(number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20, u128::from(number))
}

pub(crate) fn everything() -> Filter {
    Filter::default()
}
