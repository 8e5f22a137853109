//! Both backends, told the same, answer the same.
//!
//! Random appends and upkeep against the journal in memory and the journal on disk, the latter closed or killed and opened
//! again now and then. Answers, loads, lists, counts, timers and reservations must be equal after each step.

use amends_core::{DefinitionName, Status, Time, TransactionId};
use amends_journal::conformance::submit;
use amends_journal::{
    Append, Cursor, Expected, Filter, Fingerprint, Journal, MemoryJournal, NewSaga, SagaSummary, StartKey,
    StoredSaga, Timer, Wake,
};
use amends_journal_sqlite::{SqliteJournal, SqliteOptions};
use bytes::Bytes;
use proptest::prelude::*;

use crate::place::Place;

const IDS: u8 = 8;
const KEYS: [&str; 3] = ["a", "b", "c"];
const DEFINITIONS: [(&str, u32); 3] = [("X", 1), ("X", 2), ("Y", 1)];

#[derive(Debug, Clone)]
enum Step {
    Submit(Vec<Change>),
    Quarantine(u8),
    RemoveEnded { before: u64, limit: usize },
    Forget { before: u64, limit: usize },
    Reopen,
    Kill,
}

#[derive(Debug, Clone)]
struct Change {
    id: u8,
    /// `None`: at the place that is right at the beginning of the batch; else this far off it.
    off: Option<i8>,
    is_start: bool,
    key: Option<usize>,
    definition: usize,
    status: Option<Status>,
    wake: Option<u64>,
    at: u64,
}

fn any_change() -> impl Strategy<Value = Change> {
    (
        0..IDS,
        prop::option::weighted(0.2, -1i8..3),
        prop::bool::weighted(0.35),
        prop::option::weighted(0.4, 0..KEYS.len()),
        0..DEFINITIONS.len(),
        prop::option::of(prop::sample::select(Status::ALL.to_vec())),
        prop::option::weighted(0.3, prop_oneof![0u64..50, Just(u64::MAX)]),
        0u64..100,
    )
        .prop_map(|(id, off, is_start, key, definition, status, wake, at)| Change {
            id,
            off,
            is_start,
            key,
            definition,
            status,
            wake,
            at,
        })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::collection::vec(any_change(), 1..5).prop_map(Step::Submit),
        1 => (0..IDS).prop_map(Step::Quarantine),
        1 => (0u64..110, 1usize..5).prop_map(|(before, limit)| Step::RemoveEnded { before, limit }),
        1 => (0u64..110, 1usize..5).prop_map(|(before, limit)| Step::Forget { before, limit }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Kill),
    ]
}

fn id(number: u8) -> TransactionId {
    TransactionId::from_bytes([number; 16])
}

fn append(change: &Change, sequence: u64) -> Append {
    let (name, version) = DEFINITIONS[change.definition];
    let expected = if change.is_start {
        Expected::New(NewSaga {
            definition: DefinitionName::new(name),
            version,
            // Always: an id that the engine made is never used twice, and here ids are.
            id_given: true,
            key: change.key.map(|key| StartKey(KEYS[key].to_owned())),
            fingerprint: Some(Fingerprint([change.at as u8; 32])),
        })
    } else {
        Expected::Sequence(sequence.saturating_add_signed(change.off.unwrap_or(0).into()))
    };
    Append {
        saga: id(change.id),
        expected,
        record: Bytes::from(format!("{change:?}")),
        at: Time::from_milliseconds(change.at),
        status: change.status,
        wake: change.wake.map_or(Wake::Awake, |time| Wake::At(Time::from_milliseconds(time))),
    }
}

fn open(place: &Place) -> SqliteJournal {
    // So few that their index changes hands all the time.
    place.try_open(SqliteOptions { ids_indexed_at_once: 3, ..SqliteOptions::default() }).unwrap()
}

fn listed(journal: &dyn Journal, filter: &Filter, limit: usize) -> Vec<SagaSummary> {
    let (mut all, mut cursor): (Vec<SagaSummary>, Option<Cursor>) = (Vec::new(), None);
    loop {
        let page = journal.list(filter, cursor, limit).unwrap();
        all.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return all;
        }
    }
}

fn recoverable(journal: &dyn Journal, limit: usize) -> Vec<StoredSaga> {
    let (mut all, mut cursor): (Vec<StoredSaga>, Option<Cursor>) = (Vec::new(), None);
    loop {
        let page = journal.recoverable(cursor, limit).unwrap();
        all.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return all;
        }
    }
}

fn check_equal(memory: &dyn Journal, disk: &dyn Journal) -> Result<(), TestCaseError> {
    for number in 0..IDS {
        prop_assert_eq!(memory.load(id(number)).unwrap(), disk.load(id(number)).unwrap());
    }
    let statuses = std::iter::once(None).chain(Status::ALL.into_iter().map(Some));
    for status in statuses {
        for definition in [None, Some("X"), Some("Y"), Some("Z")] {
            let filter = Filter { status, definition: definition.map(DefinitionName::new) };
            let of_memory = listed(memory, &filter, 100);
            prop_assert_eq!(&of_memory, &listed(disk, &filter, 3));
            prop_assert_eq!(memory.count(&filter).unwrap(), of_memory.len() as u64);
            prop_assert_eq!(disk.count(&filter).unwrap(), of_memory.len() as u64);
        }
    }
    prop_assert_eq!(recoverable(memory, 100), recoverable(disk, 2));
    for until in [0, 20, 49, u64::MAX] {
        let until = Time::from_milliseconds(until);
        let due = |journal: &dyn Journal, from, limit| {
            let due = journal.timers_due(Timer::before(Time::from_milliseconds(from)), until, limit).unwrap();
            due.into_iter().map(|(timer, saga)| (timer.at, saga)).collect::<Vec<_>>()
        };
        prop_assert_eq!(due(memory, 0, 4), due(disk, 0, 4));
        prop_assert_eq!(due(memory, 20, 100), due(disk, 20, 100));
    }
    for key in KEYS {
        prop_assert_eq!(memory.by_key(key).unwrap(), disk.by_key(key).unwrap());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn told_the_same_both_backends_answer_the_same(steps in prop::collection::vec(any_step(), 1..40)) {
        let mut place = Place::new();
        let memory = MemoryJournal::new();
        let mut disk = Some(open(&place));
        for step in steps {
            let on_disk = disk.as_ref().unwrap();
            match step {
                Step::Submit(changes) => {
                    let batch: Vec<Append> = changes
                        .iter()
                        .map(|change| {
                            let stored = memory.load(id(change.id)).unwrap();
                            append(change, stored.map_or(1, |saga| saga.records.len() as u64))
                        })
                        .collect();
                    prop_assert_eq!(submit(&memory, batch.clone()), submit(on_disk, batch));
                }
                Step::Quarantine(number) => {
                    memory.quarantine(id(number), "why").unwrap();
                    on_disk.quarantine(id(number), "why").unwrap();
                }
                Step::RemoveEnded { before, limit } => {
                    let before = Time::from_milliseconds(before);
                    let (mut at_memory, mut at_disk) = (None, None);
                    loop {
                        let memory = memory.remove_ended(before, before, at_memory, limit).unwrap();
                        let disk = on_disk.remove_ended(before, before, at_disk, limit).unwrap();
                        prop_assert_eq!(memory.removed, disk.removed);
                        prop_assert_eq!(memory.next.is_some(), disk.next.is_some());
                        (at_memory, at_disk) = (memory.next, disk.next);
                        if at_memory.is_none() {
                            break;
                        }
                    }
                }
                Step::Forget { before, limit } => {
                    let before = Time::from_milliseconds(before);
                    prop_assert_eq!(
                        memory.forget_reservations(before, limit).unwrap(),
                        on_disk.forget_reservations(before, limit).unwrap()
                    );
                }
                Step::Reopen => {
                    drop(disk.take());
                    disk = Some(open(&place));
                }
                Step::Kill => {
                    let copy = place.as_left_by_a_kill();
                    drop(disk.take());
                    place = copy;
                    disk = Some(open(&place));
                }
            }
            check_equal(&memory, disk.as_ref().unwrap())?;
            prop_assert_eq!(place.fatal(), [""; 0]);
        }
    }
}
