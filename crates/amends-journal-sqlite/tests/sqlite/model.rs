//! Both backends, told the same, answer the same.
//!
//! Random appends and upkeep against the journal in memory and the journal on disk, the latter closed or
//! killed and opened again now and then. Answers, loads, lists, counts, timers and reservations must be equal
//! after each step.

use std::collections::BTreeMap;

use amends_core::{
    DefinitionName, Event, Facts, Mode, Partition, Partitions, Standing, StandingKind, Standings, StepIndex,
    Time, TransactionId,
};
use amends_journal::conformance::{NOBODY, submit};
use amends_journal::record::{self, Record};
use amends_journal::{
    Append, Count, Cursor, Erase, Expected, Feed, FeedEntry, FeedPosition, Filter, Fingerprint, Journal,
    MemoryJournal, NewTransaction, Quarantined, Reads, StartKey, Stored, Summary, Tags, Timer, Upkeep,
};
use amends_journal_sqlite::{SqliteJournal, SqliteOptions};
use bytes::Bytes;
use proptest::prelude::*;

use crate::place::Place;

const IDS: u8 = 8;
const KEYS: [&str; 3] = ["a", "b", "c"];
const TAGS: [(&str, &str); 3] = [("team", "red"), ("order", "1"), ("orde", "r1")];
const DEFINITIONS: [(&str, u32); 3] = [("X", 1), ("X", 2), ("Y", 1)];

#[derive(Debug, Clone)]
enum Step {
    Submit(Vec<Change>),
    Quarantine { id: u8, off: i8 },
    Erase { id: u8, off: i8 },
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
    /// Any of [`TAGS`], as bits.
    tags: u8,
    parent: Option<u8>,
    definition: usize,
    standing: Standing,
    at: u64,
}

fn any_change() -> impl Strategy<Value = Change> {
    (
        0..IDS,
        prop::option::weighted(0.2, -1i8..3),
        prop::bool::weighted(0.35),
        (prop::option::weighted(0.4, 0..KEYS.len()), 0u8..8, prop::option::weighted(0.3, 0..IDS)),
        0..DEFINITIONS.len(),
        any_standing(),
        0u64..100,
    )
        .prop_map(|(id, off, is_start, (key, tags, parent), definition, standing, at)| Change {
            id,
            off,
            is_start,
            key,
            tags,
            parent,
            definition,
            standing,
            at,
        })
}

fn any_standing() -> impl Strategy<Value = Standing> {
    let until = prop_oneof![0u64..50, Just(u64::MAX)].prop_map(Time::from_milliseconds);
    (prop::sample::select(StandingKind::ALL.to_vec()), until).prop_map(|(kind, until)| match kind {
        StandingKind::Active(way) => Standing::Active(way),
        StandingKind::Asleep(way) => Standing::Asleep { way, until },
        StandingKind::Parked => Standing::Parked,
        StandingKind::Ended(end) => Standing::Ended(end),
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::collection::vec(any_change(), 1..5).prop_map(Step::Submit),
        1 => (0..IDS, prop_oneof![4 => Just(0i8), 1 => -1i8..2]).prop_map(|(id, off)| Step::Quarantine { id, off }),
        1 => (0..IDS, prop_oneof![4 => Just(0i8), 1 => -1i8..2]).prop_map(|(id, off)| Step::Erase { id, off }),
        1 => (0u64..110, 1usize..5).prop_map(|(before, limit)| Step::RemoveEnded { before, limit }),
        1 => (0u64..110, 1usize..5).prop_map(|(before, limit)| Step::Forget { before, limit }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Kill),
    ]
}

fn id(number: u8) -> TransactionId {
    TransactionId::from_bytes([number; 16])
}

fn tags(bits: u8) -> Tags {
    let chosen = TAGS.iter().enumerate().filter(|(place, _)| bits >> place & 1 == 1);
    chosen.map(|(_, (key, value))| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// One that can be read, and erased.
fn record(change: &Change, sequence: u64) -> Bytes {
    let event =
        Event::StepCompleted { step: StepIndex(0).into(), output: Bytes::from(format!("{change:?}")) };
    let facts = Facts::Saga(vec![event]);
    record::encode(id(change.id), sequence, &Record { at: Time::from_milliseconds(change.at), facts })
}

fn append(change: &Change, sequence: u64) -> Append {
    let (name, version) = DEFINITIONS[change.definition];
    let expected = if change.is_start {
        Expected::from(NewTransaction {
            mode: Mode::Saga,
            definition: DefinitionName::new(name),
            version,
            // Always: an id that the engine made is never used twice, and here ids are.
            id_given: true,
            key: change.key.map(|key| StartKey(KEYS[key].to_owned())),
            fingerprint: Some(Fingerprint([change.at as u8; 32])),
            tags: tags(change.tags),
            // No circles.
            parent: change.parent.filter(|parent| *parent < change.id).map(id),
        })
    } else {
        Expected::Sequence(sequence.saturating_add_signed(change.off.unwrap_or(0).into()))
    };
    Append {
        id: id(change.id),
        epoch: NOBODY,
        expected,
        record: record(change, if change.is_start { 1 } else { sequence + 1 }),
        at: Time::from_milliseconds(change.at),
        standing: change.standing,
    }
}

fn open(place: &Place) -> SqliteJournal {
    // So few that their index changes hands all the time.
    let feed_facts_kept = Some(100_000);
    let options = SqliteOptions { names_indexed_together: 3, feed_facts_kept, ..SqliteOptions::default() };
    place.try_open(options).unwrap()
}

fn listed(journal: &dyn Journal, filter: &Filter, limit: usize) -> Vec<Summary> {
    let (mut all, mut cursor): (Vec<Summary>, Option<Cursor>) = (Vec::new(), None);
    loop {
        let page = journal.list(filter, cursor, limit).unwrap();
        all.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return all;
        }
    }
}

/// By id, as the last page that brought it has it.
fn recoverable(journal: &dyn Journal, limit: usize) -> BTreeMap<TransactionId, Stored> {
    let (mut all, mut cursor): (BTreeMap<TransactionId, Stored>, Option<Cursor>) = (BTreeMap::new(), None);
    loop {
        let page = journal.recoverable(&Partitions::ALL, cursor, limit).unwrap();
        all.extend(page.items.into_iter().map(|stored| (stored.id, stored)));
        cursor = page.next;
        if cursor.is_none() {
            return all;
        }
    }
}

fn quarantine(journal: &dyn Journal, id: TransactionId, records: u64) -> Quarantined {
    let lease = journal.acquire(&[Partition::of(id)].into_iter().collect()).unwrap()[0];
    journal.quarantine(id, records, lease.epoch, "why").unwrap()
}

/// Some of each, alone and together with others.
fn filters() -> Vec<Filter> {
    let mut filters = Vec::new();
    for (key, value) in TAGS {
        filters.push(Filter { tag: Some((key.to_owned(), value.to_owned())), ..Filter::default() });
    }
    filters.extend(KEYS.map(|key| Filter { key: Some(key.to_owned()), ..Filter::default() }));
    filters.extend((0..IDS).map(|parent| Filter { parent: Some(id(parent)), ..Filter::default() }));
    let times = [(None, Some(30)), (Some(30), None), (Some(20), Some(70)), (Some(70), Some(20))];
    let more: Vec<Filter> = filters.iter().cloned().chain([Filter::default()]).collect();
    for filter in more {
        for (since, until) in times {
            let [since, until] = [since, until].map(|at| at.map(Time::from_milliseconds));
            filters.push(Filter { since, until, ..filter.clone() });
        }
        filters.push(Filter { version: Some(2), ..filter.clone() });
        let definition = Some(DefinitionName::new("X"));
        filters.push(Filter { definition, standings: Standings::LIVE, ..filter });
    }
    filters
}

fn erase(journal: &dyn Journal, id: TransactionId, records: u64) -> Erase {
    let lease = journal.acquire(&[Partition::of(id)].into_iter().collect()).unwrap()[0];
    journal.erase(id, records, lease.epoch, Time::from_milliseconds(7)).unwrap()
}

/// The whole feed, in pages of `limit`, and its newest position.
fn fed(journal: &dyn Journal, limit: usize) -> (Vec<FeedEntry>, FeedPosition) {
    let (mut all, mut after) = (Vec::new(), FeedPosition(0));
    loop {
        let Feed::Page { entries, next, newest } = journal.feed(Some(after), limit).unwrap() else {
            panic!("everything is kept")
        };
        all.extend(entries);
        if next == newest {
            return (all, newest);
        }
        after = next;
    }
}

/// Memory leaves out what was removed; the disk may.
fn check_feeds(memory: &dyn Journal, disk: &dyn Journal) -> Result<(), TestCaseError> {
    let ((of_memory, newest), (of_disk, newest_of_disk)) = (fed(memory, 1_000), fed(disk, 7));
    prop_assert_eq!(newest, newest_of_disk);
    let by_place: BTreeMap<u64, FeedEntry> = of_disk.iter().map(|entry| (entry.first.0, *entry)).collect();
    prop_assert_eq!(by_place.len(), of_disk.len(), "each comes once");
    prop_assert!(of_disk.is_sorted_by_key(|entry| entry.first));
    for entry in of_memory {
        prop_assert_eq!(by_place.get(&entry.first.0), Some(&entry));
    }
    Ok(())
}

fn check_equal(memory: &dyn Journal, disk: &dyn Journal) -> Result<(), TestCaseError> {
    for number in 0..IDS {
        prop_assert_eq!(memory.load(id(number)).unwrap(), disk.load(id(number)).unwrap());
    }
    prop_assert_eq!(memory.newest_at().unwrap(), disk.newest_at().unwrap());
    let each = StandingKind::ALL.into_iter().map(|kind| Standings::NONE.with(kind));
    for standings in each.chain([Standings::ALL, Standings::NONE, Standings::FORWARD, Standings::BACK]) {
        for definition in [None, Some("X"), Some("Y"), Some("Z")] {
            let definition = definition.map(DefinitionName::new);
            let filter = Filter { definition, standings, ..Filter::default() };
            let of_memory = listed(memory, &filter, 100);
            prop_assert_eq!(&of_memory, &listed(disk, &filter, 3));
            let count = Count::exactly(of_memory.len() as u64);
            prop_assert_eq!((memory.count(&filter).unwrap(), disk.count(&filter).unwrap()), (count, count));
        }
    }
    for filter in filters() {
        let of_memory = listed(memory, &filter, 100);
        prop_assert_eq!(&of_memory, &listed(disk, &filter, 2), "{:?}", filter);
        let count = Count::exactly(of_memory.len() as u64);
        prop_assert_eq!((memory.count(&filter).unwrap(), disk.count(&filter).unwrap()), (count, count));
    }
    check_feeds(memory, disk)?;
    prop_assert_eq!(recoverable(memory, 100), recoverable(disk, 2));
    for until in [0, 20, 49, u64::MAX] {
        let until = Time::from_milliseconds(until);
        let due = |journal: &dyn Journal, from, limit| {
            let from = Timer::before(Time::from_milliseconds(from));
            let due = journal.timers_due(&Partitions::ALL, from, until, limit).unwrap();
            due.into_iter().map(|(timer, transaction)| (timer.at, transaction)).collect::<Vec<_>>()
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
                            let stored = memory.load(id(change.id)).unwrap().stored();
                            append(change, stored.map_or(1, |transaction| transaction.records.len() as u64))
                        })
                        .collect();
                    prop_assert_eq!(submit(&memory, batch.clone()), submit(on_disk, batch));
                }
                Step::Quarantine { id: number, off } => {
                    let stored = memory.load(id(number)).unwrap().stored();
                    let records = stored.map_or(1, |stored| stored.records.len() as u64);
                    let records = records.saturating_add_signed(off.into());
                    prop_assert_eq!(
                        quarantine(&memory, id(number), records),
                        quarantine(on_disk, id(number), records)
                    );
                }
                Step::Erase { id: number, off } => {
                    let stored = memory.load(id(number)).unwrap().stored();
                    let records = stored.map_or(1, |stored| stored.records.len() as u64);
                    let records = records.saturating_add_signed(off.into());
                    prop_assert_eq!(erase(&memory, id(number), records), erase(on_disk, id(number), records));
                }
                Step::RemoveEnded { before, limit } => {
                    let before = Time::from_milliseconds(before);
                    let (mut at_memory, mut at_disk) = (None, None);
                    loop {
                        let memory = memory.remove_ended(&Partitions::ALL, before, before, at_memory, limit).unwrap();
                        let disk = on_disk.remove_ended(&Partitions::ALL, before, before, at_disk, limit).unwrap();
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
                        memory.forget_reservations(&Partitions::ALL, before, limit).unwrap(),
                        on_disk.forget_reservations(&Partitions::ALL, before, limit).unwrap()
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
