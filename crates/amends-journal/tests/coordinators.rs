//! Two coordinators over one journal: of those that ever held a partition one can append.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

use amends_core::{DefinitionName, Mode, Partition, Partitions, Standing, Time, TransactionId, Way};
use amends_journal::conformance::submit_as_it_is;
use amends_journal::{
    Append, AppendAnswer, Epoch, Expected, Lease, MemoryJournal, NewTransaction, Ownership, Quarantined,
    Reads, Tags, Upkeep,
};
use bytes::Bytes;

fn id(number: u8) -> TransactionId {
    TransactionId::from_bytes((u128::from(number) << 120 | u128::from(number)).to_be_bytes())
}

fn acquire(journal: &MemoryJournal, wanted: &Partitions) -> Vec<Lease> {
    let leases = journal.acquire(wanted).unwrap();
    assert_eq!(leases.iter().map(|lease| lease.partition).collect::<Partitions>(), *wanted);
    leases
}

fn epoch_of(leases: &[Lease], number: u8) -> Epoch {
    leases.iter().find(|lease| lease.partition == Partition::of(id(number))).unwrap().epoch
}

fn append(number: u8, sequence: u64, epoch: Epoch) -> Append {
    let new = NewTransaction {
        mode: Mode::Saga,
        definition: DefinitionName::new("Test"),
        version: 1,
        id_given: false,
        key: None,
        fingerprint: None,
        tags: Tags::new(),
        parent: None,
    };
    Append {
        id: id(number),
        epoch,
        expected: if sequence == 0 { Expected::from(new) } else { Expected::Sequence(sequence) },
        record: Bytes::from_static(b"record"),
        at: Time::from_milliseconds(1),
        standing: Standing::Active(Way::Forward),
    }
}

fn answer(journal: &MemoryJournal, append: Append) -> AppendAnswer {
    submit_as_it_is(journal, vec![append]).remove(0)
}

fn records(journal: &MemoryJournal, number: u8) -> usize {
    journal.load(id(number)).unwrap().stored().unwrap().records.len()
}

#[test]
fn who_acquires_takes_over_and_who_held_it_is_fenced() {
    let first = MemoryJournal::new();
    let second = first.another_coordinator();
    let old = epoch_of(&acquire(&first, &Partitions::ALL), 1);
    assert_eq!(answer(&first, append(1, 0, old)), AppendAnswer::Committed);

    let new = epoch_of(&acquire(&second, &Partitions::ALL), 1);
    assert!(new > old);
    assert_eq!(answer(&first, append(1, 1, old)), AppendAnswer::Fenced);
    assert_eq!(first.quarantine(id(1), 1, old, "why").unwrap(), Quarantined::Fenced);
    assert_eq!(records(&second, 1), 1);
    assert_eq!(answer(&second, append(1, 1, new)), AppendAnswer::Committed);

    let newest = epoch_of(&acquire(&first, &Partitions::ALL), 1);
    assert!(newest > new);
    assert_eq!(answer(&second, append(1, 2, new)), AppendAnswer::Fenced);
    assert_eq!(answer(&first, append(1, 2, newest)), AppendAnswer::Committed);
}

#[test]
fn a_partition_that_nobody_else_wants_stays_where_it_is() {
    let first = MemoryJournal::new();
    let second = first.another_coordinator();
    let old = acquire(&first, &Partitions::ALL);
    for number in [1, 2] {
        assert_eq!(answer(&first, append(number, 0, epoch_of(&old, number))), AppendAnswer::Committed);
    }
    acquire(&second, &[Partition::of(id(2))].into_iter().collect());
    assert_eq!(answer(&first, append(1, 1, epoch_of(&old, 1))), AppendAnswer::Committed);
    assert_eq!(answer(&first, append(2, 1, epoch_of(&old, 2))), AppendAnswer::Fenced);
}

#[test]
fn what_was_given_back_is_nobodys_until_it_is_acquired() {
    let journal = MemoryJournal::new();
    let leases = acquire(&journal, &Partitions::ALL);
    let epoch = epoch_of(&leases, 1);
    assert_eq!(answer(&journal, append(1, 0, epoch)), AppendAnswer::Committed);
    journal.release(&leases).unwrap();
    assert_eq!(answer(&journal, append(1, 1, epoch)), AppendAnswer::Fenced);
    let again = epoch_of(&acquire(&journal, &Partitions::ALL), 1);
    assert!(again > epoch);
    assert_eq!(answer(&journal, append(1, 1, again)), AppendAnswer::Committed);
}

#[test]
fn a_lease_that_somebody_took_over_cannot_be_given_back() {
    let first = MemoryJournal::new();
    let second = first.another_coordinator();
    let old = acquire(&first, &Partitions::ALL);
    let new = epoch_of(&acquire(&second, &Partitions::ALL), 1);
    first.release(&old).unwrap();
    assert_eq!(answer(&second, append(1, 0, new)), AppendAnswer::Committed);
}
