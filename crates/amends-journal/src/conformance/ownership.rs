//! Claims about who may append.

use super::*;
use crate::{Lease, Ownership, Quarantined};

suite![
    what_is_wanted_is_given,
    what_is_held_stays_held_under_its_epoch,
    an_append_under_another_epoch_is_fenced,
    a_fenced_append_leaves_its_batch_alone,
    a_quarantine_under_another_epoch_is_fenced,
    what_was_given_back_can_be_had_again,
];

fn acquire(journal: &(impl Ownership + ?Sized), wanted: &Partitions) -> Vec<Lease> {
    journal.acquire(wanted).expect(WRITABLE)
}

fn epoch_of(leases: &[Lease], id: TransactionId) -> Epoch {
    let lease = leases.iter().find(|lease| lease.partition == Partition::of(id));
    lease.expect("it was wanted").epoch
}

fn what_is_wanted_is_given(journal: &dyn Journal) {
    let some: Partitions = [1, 2].map(|number| Partition::of(id(number))).into_iter().collect();
    for wanted in [Partitions::NONE, some, Partitions::ALL] {
        let given: Partitions = acquire(journal, &wanted).into_iter().map(|lease| lease.partition).collect();
        assert_eq!(given, wanted);
    }
}

fn what_is_held_stays_held_under_its_epoch(journal: &dyn Journal) {
    let first = acquire(journal, &Partitions::ALL);
    assert!(first.iter().all(|lease| lease.epoch > NOBODY));
    assert_eq!(acquire(journal, &Partitions::ALL), first);
    let append = Append { epoch: epoch_of(&first, id(1)), ..start_of(id(1), plain("Test", 1)) };
    assert_eq!(submit_as_it_is(journal, vec![append]), [AppendAnswer::Committed]);
}

fn an_append_under_another_epoch_is_fenced(journal: &dyn Journal) {
    let transaction = start(journal, 1);
    let leases = acquire(journal, &Partitions::ALL);
    for append in [next_of(transaction, 1), next_of(transaction, 7), start_of(id(2), chosen(Some("key"), 2))]
    {
        let Epoch(held) = epoch_of(&leases, append.id);
        for epoch in [NOBODY, Epoch(held - 1), Epoch(held + 1), Epoch(u64::MAX)] {
            // Before any other condition: what the store has is none of its business.
            let answers = submit_as_it_is(journal, vec![Append { epoch, ..append.clone() }]);
            assert_eq!(answers, [AppendAnswer::Fenced]);
        }
    }
    assert_eq!(loaded(journal, transaction).records.len(), 1);
    assert_eq!(load(journal, id(2)), Loaded::Nothing);
    assert_eq!(journal.by_key("key").expect(READABLE), None);
    commit(journal, next_of(transaction, 1));
}

fn a_fenced_append_leaves_its_batch_alone(journal: &dyn Journal) {
    let transaction = start(journal, 1);
    let epoch = epoch_of(&acquire(journal, &Partitions::ALL), transaction);
    let first = Append { epoch, ..next_of(transaction, 1) };
    let second = Append { epoch, ..next_of(transaction, 2) };
    let answers = submit_as_it_is(journal, vec![first, next_of(transaction, 2), second]);
    assert_eq!(answers, [AppendAnswer::Committed, AppendAnswer::Fenced, AppendAnswer::Committed]);
}

fn a_quarantine_under_another_epoch_is_fenced(journal: &dyn Journal) {
    let transaction = start(journal, 1);
    assert_eq!(journal.quarantine(transaction, 1, NOBODY, "why").expect(WRITABLE), Quarantined::Fenced);
    assert_eq!(loaded(journal, transaction).standing, FORWARD);
}

fn what_was_given_back_can_be_had_again(journal: &dyn Journal) {
    let transaction = start(journal, 1);
    journal.release(&acquire(journal, &Partitions::ALL)).expect(WRITABLE);
    let epoch = epoch_of(&acquire(journal, &Partitions::ALL), transaction);
    let append = Append { epoch, ..next_of(transaction, 1) };
    assert_eq!(submit_as_it_is(journal, vec![append]), [AppendAnswer::Committed]);
}
