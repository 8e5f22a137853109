//! Claims about quarantine, retention, reservations and definitions.

use std::time::Duration;

use amends_core::{DefinitionSpec, Event, Facts, RetryPolicy, SagaSpec, StepIndex, StepSpec};

use crate::record::{self, Record};
use crate::{
    Append, Erase, JournalError, PutDefinition, Quarantined, RetireDefinition, StoredDefinition, Sweep,
};

use super::*;

suite![
    quarantine_parks_a_transaction_and_says_why,
    quarantine_leaves_ended_and_unknown_transactions_alone,
    quarantine_leaves_a_transaction_alone_that_has_moved_on,
    a_quarantined_transaction_that_was_read_after_all_goes_on,
    an_erased_transaction_keeps_its_facts_without_their_payloads,
    erasure_leaves_alone_what_lives_or_has_moved_on,
    a_child_is_erased_only_when_nothing_above_it_lives,
    what_cannot_be_read_is_not_erased,
    an_erased_transaction_is_known_by_its_id_and_key,
    retention_removes_what_ended_before_and_nothing_else,
    retention_never_removes_a_live_transaction,
    retention_looks_at_no_more_than_its_limit,
    retention_keeps_to_its_partitions,
    retention_walks_all_ended_transactions_by_cursor,
    a_child_is_kept_as_long_as_its_parent,
    a_given_id_stays_reserved_after_removal,
    an_id_that_the_engine_made_is_not_reserved,
    reservations_are_forgotten_in_their_time,
    reservations_are_forgotten_in_small_parts,
    reservations_are_forgotten_in_the_order_of_their_starts,
    a_key_of_a_transaction_that_is_still_there_is_never_forgotten,
    a_transaction_that_came_back_to_life_is_not_removed,
    a_definition_is_stored_once_and_never_changed,
    every_definition_comes_back_as_it_was,
    a_retired_definition_is_retired_once_and_for_good,
    only_a_stored_definition_is_retired,
    a_secret_stays_what_it_first_was,
];

/// As the owner of everything.
fn quarantine(journal: &dyn Journal, transaction: TransactionId, records: u64, why: &str) -> Quarantined {
    let lease = journal.acquire(&[Partition::of(transaction)].into_iter().collect()).expect(WRITABLE)[0];
    journal.quarantine(transaction, records, lease.epoch, why).expect(WRITABLE)
}

fn quarantine_parks_a_transaction_and_says_why(journal: &dyn Journal) {
    let transaction = id(1);
    commit(journal, start_of(transaction, plain("Test", 1)));
    commit(journal, next_of(transaction, 1).asleep_until(at(10)));
    assert_eq!(quarantine(journal, transaction, 2, "record 2 is damaged"), Quarantined::Parked);
    let stored = loaded(journal, transaction);
    assert_eq!((stored.standing, stored.unreadable.as_deref()), (PARKED, Some("record 2 is damaged")));
    assert_eq!(stored.records.len(), 2, "nothing is thrown away");
    assert_eq!(recoverable(journal, 10), []);
    assert_eq!(next_timer(journal), None);
    assert_eq!(listed(journal, &filter(Some(PARKED), None), 10), [transaction]);
    assert_eq!(count(journal, Some(PARKED), None), 1);
    assert_eq!(count(journal, Some(FORWARD), None), 0);

    assert_eq!(quarantine(journal, transaction, 2, "still damaged"), Quarantined::Parked);
    assert_eq!(loaded(journal, transaction).unreadable.as_deref(), Some("still damaged"));
    assert_eq!(count(journal, Some(PARKED), None), 1);
}

fn quarantine_leaves_ended_and_unknown_transactions_alone(journal: &dyn Journal) {
    let transaction = start_and_end(journal, 1, at(5));
    let before = loaded(journal, transaction);
    assert_eq!(quarantine(journal, transaction, 2, "why"), Quarantined::Ended);
    assert_eq!(quarantine(journal, id(2), 1, "why"), Quarantined::MovedOn(None));
    assert_eq!(loaded(journal, transaction), before);
    assert_eq!(load(journal, id(2)), Loaded::Nothing);
    assert_eq!(count(journal, None, None), 1);
}

fn quarantine_leaves_a_transaction_alone_that_has_moved_on(journal: &dyn Journal) {
    let transaction = start(journal, 1);
    commit(journal, next_of(transaction, 1));
    for settled in [false, true] {
        if settled {
            count(journal, None, None);
        }
        for wrong in [0, 1, 3] {
            assert_eq!(quarantine(journal, transaction, wrong, "why"), Quarantined::MovedOn(Some(2)));
        }
    }
    assert_eq!(
        (loaded(journal, transaction).standing, loaded(journal, transaction).unreadable),
        (FORWARD, None)
    );
}

/// As the owner of everything.
fn erase(journal: &dyn Journal, transaction: TransactionId, records: u64) -> Result<Erase, JournalError> {
    let lease = journal.acquire(&[Partition::of(transaction)].into_iter().collect()).expect(WRITABLE)[0];
    journal.erase(transaction, records, lease.epoch, at(99))
}

fn real_record(transaction: TransactionId, sequence: u64, event: Event) -> Bytes {
    let facts = Facts::Saga(vec![event]);
    record::encode(transaction, sequence, &Record { at: at(sequence), facts })
}

fn started_with(secret: &str) -> Event {
    Event::SagaStarted {
        definition: DefinitionName::new("Test"),
        version: 1,
        input: Bytes::from(secret.to_owned()),
        origin: None,
    }
}

/// A transaction that can be read, and what it was told in confidence.
fn start_and_end_with_secrets(journal: &dyn Journal, number: u8, new: NewTransaction) -> TransactionId {
    let transaction = id(number);
    let completed =
        Event::StepCompleted { step: StepIndex(0).into(), output: Bytes::from_static(SECRET.as_bytes()) };
    let records = [
        (started_with(SECRET), FORWARD),
        (completed, FORWARD),
        (Event::SagaCompleted { output: None }, COMPLETED),
    ];
    for (sequence, (event, standing)) in (1..).zip(records) {
        let record = real_record(transaction, sequence, event);
        let append = match sequence {
            1 => start_of(transaction, new.clone()),
            _ => next_of(transaction, sequence - 1),
        };
        commit(journal, Append { record, ..append.becoming(standing) });
    }
    transaction
}

const SECRET: &str = "\"4111 1111 1111 1111\"";

fn an_erased_transaction_keeps_its_facts_without_their_payloads(journal: &dyn Journal) {
    let transaction = start_and_end_with_secrets(journal, 1, plain("Test", 1));
    assert_eq!(loaded(journal, transaction).erased_at, None);
    assert_eq!(erase(journal, transaction, 3).expect(WRITABLE), Erase::Erased);
    let stored = loaded(journal, transaction);
    assert_eq!((stored.erased_at, stored.standing), (Some(at(99)), COMPLETED));
    let null = Bytes::from_static(record::ERASED);
    let left = [
        started_with("null"),
        Event::StepCompleted { step: StepIndex(0).into(), output: null },
        Event::SagaCompleted { output: None },
    ];
    let left: Vec<Bytes> =
        (1..).zip(left).map(|(sequence, event)| real_record(transaction, sequence, event)).collect();
    assert_eq!(stored.records, left);
    assert_eq!(erase(journal, transaction, 3).expect(WRITABLE), Erase::Unchanged);
    assert_eq!(loaded(journal, transaction), stored);
    let page = journal.list(&Filter::default(), None, 10).expect(READABLE);
    assert_eq!(page.items[0].erased_at, Some(at(99)));
    // Nothing goes on without its payloads.
    assert_eq!(conflict_of(journal, next_of(transaction, 3).becoming(BACK)), Conflict::Sequence(None));
    assert_eq!(loaded(journal, transaction), stored);
}

fn erasure_leaves_alone_what_lives_or_has_moved_on(journal: &dyn Journal) {
    let live = start(journal, 1);
    assert_eq!(erase(journal, live, 1).expect(WRITABLE), Erase::Live);
    commit(journal, next_of(live, 1).becoming(PARKED));
    assert_eq!(erase(journal, live, 2).expect(WRITABLE), Erase::Live);
    assert_eq!(erase(journal, id(9), 1).expect(WRITABLE), Erase::MovedOn(None));
    let ended = start_and_end_with_secrets(journal, 2, plain("Test", 1));
    let before = loaded(journal, ended);
    for records in [0, 2, 4] {
        assert_eq!(erase(journal, ended, records).expect(WRITABLE), Erase::MovedOn(Some(3)));
    }
    assert_eq!(journal.erase(ended, 3, Epoch(u64::MAX), at(99)).expect(WRITABLE), Erase::Fenced);
    assert_eq!(loaded(journal, ended), before);
}

fn a_child_is_erased_only_when_nothing_above_it_lives(journal: &dyn Journal) {
    let root = start(journal, 1);
    let child_of = |parent| NewTransaction { parent: Some(parent), ..plain("Test", 1) };
    let child = start_and_end_with_secrets(journal, 2, child_of(root));
    let grandchild = start_and_end_with_secrets(journal, 3, child_of(child));
    for below in [child, grandchild] {
        let ancestor = root;
        assert_eq!(erase(journal, below, 3).expect(WRITABLE), Erase::ChildOfLive { ancestor });
    }
    commit(journal, next_of(root, 1).becoming(COMPLETED));
    for below in [child, grandchild] {
        assert_eq!(erase(journal, below, 3).expect(WRITABLE), Erase::Erased);
    }
}

fn what_cannot_be_read_is_not_erased(journal: &dyn Journal) {
    // Its records are mere words.
    let transaction = start_and_end(journal, 1, at(5));
    let before = loaded(journal, transaction);
    assert!(erase(journal, transaction, 2).is_err());
    assert_eq!(loaded(journal, transaction), before);
}

fn an_erased_transaction_is_known_by_its_id_and_key(journal: &dyn Journal) {
    let transaction = start_and_end_with_secrets(journal, 1, chosen(Some("key"), 1));
    assert_eq!(erase(journal, transaction, 3).expect(WRITABLE), Erase::Erased);
    let known = exists(transaction, Some(fingerprint(1)));
    assert_eq!(conflict_of(journal, start_of(id(2), chosen(Some("key"), 2))), known);
    assert_eq!(conflict_of(journal, start_of(transaction, chosen(None, 2))), known);
}

fn a_quarantined_transaction_that_was_read_after_all_goes_on(journal: &dyn Journal) {
    let transaction = start(journal, 1);
    assert_eq!(quarantine(journal, transaction, 1, "why"), Quarantined::Parked);
    commit(journal, next_of(transaction, 1));
    let stored = loaded(journal, transaction);
    assert_eq!((stored.standing, stored.unreadable, stored.records.len()), (FORWARD, None, 2));
    assert_eq!(recoverable(journal, 10), [transaction]);
    assert_eq!(loaded(journal, transaction).unreadable, None, "as the store has it");
}

fn retention_keeps_to_its_partitions(journal: &dyn Journal) {
    for number in 1..=6 {
        commit(journal, start_of(id(number), chosen(Some(&format!("key {number}")), number)));
        commit(journal, next_of(id(number), 1).becoming(COMPLETED));
    }
    let only: Partitions = [2, 5].map(|number| Partition::of(id(number))).into_iter().collect();
    let sweep = journal.remove_ended(&only, Time::NEVER, at(1_000), None, 10).expect(WRITABLE);
    assert_eq!(sweep, Sweep { removed: 2, next: None });
    assert_eq!(listed(journal, &Filter::default(), 10), [6, 4, 3, 1].map(id));
    journal.remove_ended(&Partitions::ALL, Time::NEVER, at(1_000), None, 10).expect(WRITABLE);
    let forget = |limit| journal.forget_reservations(&only, Time::NEVER, limit).expect(WRITABLE);
    assert_eq!([forget(1), forget(3), forget(3)], [1, 1, 0]);
    assert_eq!((load(journal, id(2)), load(journal, id(3))), (Loaded::Nothing, Loaded::Removed));
    assert_eq!(journal.by_key("key 5").expect(READABLE), None);
    assert!(journal.by_key("key 6").expect(READABLE).is_some());
}

fn retention_removes_what_ended_before_and_nothing_else(journal: &dyn Journal) {
    for (number, ended) in [(1, 10), (2, 20), (3, 30)] {
        start_and_end(journal, number, at(ended));
    }
    let sweep = journal.remove_ended(&Partitions::ALL, at(20), at(1_000), None, 10).expect(WRITABLE);
    assert_eq!(sweep, Sweep { removed: 1, next: None });
    assert_eq!(load(journal, id(1)), Loaded::Nothing);
    assert_eq!(listed(journal, &Filter::default(), 10), [id(3), id(2)]);
    assert_eq!(count(journal, None, None), 2);
}

fn retention_never_removes_a_live_transaction(journal: &dyn Journal) {
    start(journal, 1);
    let parked = start(journal, 2);
    commit(journal, next_of(parked, 1).becoming(PARKED));
    let sweep = journal.remove_ended(&Partitions::ALL, Time::NEVER, at(1_000), None, 10).expect(WRITABLE);
    assert_eq!(sweep, Sweep { removed: 0, next: None });
    assert_eq!(count(journal, None, None), 2);
}

fn retention_looks_at_no_more_than_its_limit(journal: &dyn Journal) {
    for number in 1..=5 {
        // The young ones first: they are looked at and left.
        start_and_end(journal, number, at(if number <= 2 { 1_000 } else { 10 }));
    }
    let sweep = journal.remove_ended(&Partitions::ALL, at(500), at(1_000), None, 3).expect(WRITABLE);
    assert_eq!(sweep.removed, 1);
    let rest = journal.remove_ended(&Partitions::ALL, at(500), at(1_000), sweep.next, 3).expect(WRITABLE);
    assert_eq!((rest.removed, rest.next), (2, None));
}

fn retention_walks_all_ended_transactions_by_cursor(journal: &dyn Journal) {
    for number in 1..=9 {
        start_and_end(journal, number, at(10));
    }
    start(journal, 10);
    let (mut removed, mut cursor, mut sweeps) = (0, None, 0);
    loop {
        let sweep = journal.remove_ended(&Partitions::ALL, at(500), at(1_000), cursor, 2).expect(WRITABLE);
        assert!(sweep.removed <= 2);
        removed += sweep.removed;
        sweeps += 1;
        cursor = sweep.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((removed, sweeps), (9, 5));
    assert_eq!(listed(journal, &Filter::default(), 10), [id(10)]);
}

fn a_child_is_kept_as_long_as_its_parent(journal: &dyn Journal) {
    let child_of = |number, parent, new: NewTransaction| {
        start_of(id(number), NewTransaction { parent: Some(id(parent)), ..new })
    };
    commit(journal, start_of(id(1), chosen(None, 1)));
    commit(journal, child_of(2, 1, plain("Test", 1)));
    commit(journal, child_of(3, 2, chosen(Some("key"), 3)));
    // An orphan: nobody knows its parent.
    commit(journal, child_of(4, 99, plain("Test", 1)));
    for number in [2, 3, 4] {
        commit(journal, next_of(id(number), 1).becoming(COMPLETED));
    }
    let sweep = |before| {
        journal.remove_ended(&Partitions::ALL, at(before), at(1_000), None, 10).expect(WRITABLE).removed
    };
    assert_eq!(sweep(900), 1);
    assert_eq!(listed(journal, &Filter::default(), 10), [3, 2, 1].map(id));
    // Ended, but not for long enough.
    commit(journal, next_of(id(1), 1).becoming(COMPLETED).at(at(500)));
    assert_eq!(sweep(400), 0);
    assert_eq!(sweep(501), 3);
    assert_eq!(listed(journal, &Filter::default(), 10), []);
    assert_eq!(load(journal, id(3)), Loaded::Removed);
}

fn a_given_id_stays_reserved_after_removal(journal: &dyn Journal) {
    commit(journal, start_of(id(1), chosen(None, 1)));
    commit(journal, next_of(id(1), 1).becoming(COMPLETED));
    journal.remove_ended(&Partitions::ALL, Time::NEVER, at(1_000), None, 10).expect(WRITABLE);
    assert_eq!(load(journal, id(1)), Loaded::Removed);
    assert_eq!(conflict_of(journal, start_of(id(1), chosen(None, 2))), removed(id(1), Some(fingerprint(1))));
    assert_eq!(conflict_of(journal, next_of(id(1), 2)), Conflict::Sequence(None));
}

fn an_id_that_the_engine_made_is_not_reserved(journal: &dyn Journal) {
    start_and_end(journal, 1, at(5));
    journal.remove_ended(&Partitions::ALL, Time::NEVER, at(1_000), None, 10).expect(WRITABLE);
    assert_eq!(journal.forget_reservations(&Partitions::ALL, Time::NEVER, 10).expect(WRITABLE), 0);
}

fn reservations_are_forgotten_in_their_time(journal: &dyn Journal) {
    for (number, key, ended) in [(1, "a", 10), (2, "b", 20)] {
        commit(journal, start_of(id(number), chosen(Some(key), number)));
        commit(journal, next_of(id(number), 1).becoming(COMPLETED).at(at(ended)));
        // Their time begins with the removal, not with the end: retention may have been off for long.
        journal.remove_ended(&Partitions::ALL, Time::NEVER, at(100 + ended), None, 10).expect(WRITABLE);
    }
    assert_eq!(journal.forget_reservations(&Partitions::ALL, at(110), 10).expect(WRITABLE), 0);
    assert_eq!(journal.forget_reservations(&Partitions::ALL, at(111), 10).expect(WRITABLE), 1);
    assert_eq!(journal.by_key("a").expect(READABLE), None);
    commit(journal, start_of(id(1), chosen(Some("a"), 9)));
    assert_eq!(conflict_of(journal, start_of(id(2), chosen(None, 9))), removed(id(2), Some(fingerprint(2))));
    assert_eq!(
        conflict_of(journal, start_of(id(3), chosen(Some("b"), 9))),
        removed(id(2), Some(fingerprint(2)))
    );
}

fn reservations_are_forgotten_in_small_parts(journal: &dyn Journal) {
    for number in 1..=4 {
        commit(journal, start_of(id(number), chosen(Some(&format!("key {number}")), number)));
        commit(journal, next_of(id(number), 1).becoming(COMPLETED));
    }
    journal.remove_ended(&Partitions::ALL, Time::NEVER, at(1_000), None, 10).expect(WRITABLE);
    let mut forgotten = Vec::new();
    while forgotten.last() != Some(&0) {
        forgotten.push(journal.forget_reservations(&Partitions::ALL, Time::NEVER, 3).expect(WRITABLE));
    }
    assert_eq!(forgotten, [3, 1, 0]);
    assert_eq!(journal.by_key("key 4").expect(READABLE), None);
}

fn reservations_are_forgotten_in_the_order_of_their_starts(journal: &dyn Journal) {
    for number in [3, 1, 2] {
        commit(journal, start_of(id(number), chosen(None, number)));
        commit(journal, next_of(id(number), 1).becoming(COMPLETED));
    }
    journal.remove_ended(&Partitions::ALL, Time::NEVER, at(1_000), None, 10).expect(WRITABLE);
    assert_eq!(journal.forget_reservations(&Partitions::ALL, Time::NEVER, 2).expect(WRITABLE), 2);
    assert_eq!(conflict_of(journal, start_of(id(2), chosen(None, 9))), removed(id(2), Some(fingerprint(2))));
    commit(journal, start_of(id(3), chosen(None, 9)));
    commit(journal, start_of(id(1), chosen(None, 9)));
}

fn a_key_of_a_transaction_that_is_still_there_is_never_forgotten(journal: &dyn Journal) {
    commit(journal, start_of(id(1), chosen(Some("live"), 1)));
    commit(journal, start_of(id(2), chosen(Some("ended"), 2)));
    commit(journal, next_of(id(2), 1).becoming(COMPLETED));
    assert_eq!(journal.forget_reservations(&Partitions::ALL, Time::NEVER, 10).expect(WRITABLE), 0);
    assert!(journal.by_key("live").expect(READABLE).is_some());
    assert!(journal.by_key("ended").expect(READABLE).is_some());
}

fn a_transaction_that_came_back_to_life_is_not_removed(journal: &dyn Journal) {
    let transaction = id(1);
    commit(journal, start_of(transaction, chosen(Some("key"), 1)));
    commit(journal, next_of(transaction, 1).becoming(COMPLETED));
    commit(journal, next_of(transaction, 2).becoming(BACK));
    assert_eq!(
        journal.remove_ended(&Partitions::ALL, Time::NEVER, at(1_000), None, 10).expect(WRITABLE).removed,
        0
    );
    commit(journal, next_of(transaction, 3).becoming(COMPENSATED).at(at(50)));
    assert_eq!(
        journal.remove_ended(&Partitions::ALL, at(50), at(1_000), None, 10).expect(WRITABLE).removed,
        0
    );
    assert_eq!(
        journal.remove_ended(&Partitions::ALL, at(51), at(1_000), None, 10).expect(WRITABLE).removed,
        1
    );
    assert_eq!(
        conflict_of(journal, start_of(transaction, chosen(None, 2))),
        removed(transaction, Some(fingerprint(1)))
    );
    assert_eq!(journal.forget_reservations(&Partitions::ALL, at(1_001), 10).expect(WRITABLE), 1);
}

fn definition(name: &str, version: u32) -> DefinitionSpec {
    limited_definition(name, version, Duration::from_secs(60))
}

fn limited_definition(name: &str, version: u32, limit: Duration) -> DefinitionSpec {
    DefinitionSpec::Saga(SagaSpec {
        name: DefinitionName::new(name),
        version,
        limit,
        pivot: Some("b".to_owned()),
        steps: vec![
            StepSpec::new("a", "orders", "create").undone_by("cancel"),
            StepSpec::new("b", "payments", "pay").after(["a"]).retry(RetryPolicy::endless()).without_undo(),
        ],
    })
}

fn stored_definition(spec: DefinitionSpec, registered: u64) -> StoredDefinition {
    StoredDefinition { spec, registered_at: at(registered), retired_at: None }
}

fn retire(journal: &dyn Journal, name: &str, version: u32, now: u64) -> RetireDefinition {
    journal.retire_definition(Mode::Saga, &DefinitionName::new(name), version, at(now)).expect(WRITABLE)
}

fn a_retired_definition_is_retired_once_and_for_good(journal: &dyn Journal) {
    for version in [1, 2] {
        journal.put_definition(&definition("Test", version), at(7)).expect(WRITABLE);
    }
    start(journal, 1);
    assert_eq!(retire(journal, "Test", 1, 8), RetireDefinition::Retired);
    assert_eq!(retire(journal, "Test", 1, 9), RetireDefinition::Unchanged);
    let retired = StoredDefinition { retired_at: Some(at(8)), ..stored_definition(definition("Test", 1), 7) };
    let all = [retired, stored_definition(definition("Test", 2), 7)];
    assert_eq!(journal.definitions().expect(READABLE), all);
    let again = journal.put_definition(&definition("Test", 1), at(10)).expect(WRITABLE);
    assert_eq!((again, journal.definitions().expect(READABLE)), (PutDefinition::Unchanged, all.to_vec()));
    assert_eq!(loaded(journal, id(1)).standing, FORWARD, "what runs it is not touched");
}

fn only_a_stored_definition_is_retired(journal: &dyn Journal) {
    // A transaction names it, but nobody stored it.
    start(journal, 1);
    journal.count(&Filter::default()).expect(READABLE);
    assert_eq!(retire(journal, "Test", 1, 8), RetireDefinition::NotFound);
    assert_eq!(retire(journal, "Other", 1, 8), RetireDefinition::NotFound);
    assert_eq!(journal.definitions().expect(READABLE), []);
}

fn a_secret_stays_what_it_first_was(journal: &dyn Journal) {
    let ask = |name: &str, fresh: u8| journal.secret(name, &[fresh; 32]).expect(WRITABLE);
    assert_eq!(ask("callbacks", 1), [1; 32]);
    assert_eq!(ask("callbacks", 2), [1; 32]);
    assert_eq!(ask("other", 3), [3; 32]);
}

fn a_definition_is_stored_once_and_never_changed(journal: &dyn Journal) {
    let first = definition("Test", 1);
    let other = limited_definition("Test", 1, Duration::from_secs(61));
    let put = |spec: &DefinitionSpec| journal.put_definition(spec, at(7)).expect(WRITABLE);
    assert_eq!(put(&first), PutDefinition::New);
    assert_eq!(put(&first), PutDefinition::Unchanged);
    assert_eq!(put(&other), PutDefinition::Different);
    assert_eq!(journal.definitions().expect(READABLE), [stored_definition(first, 7)]);
}

fn every_definition_comes_back_as_it_was(journal: &dyn Journal) {
    // One that a transaction named before it was stored.
    commit(journal, start_of(id(1), plain("B", 2)));
    for (name, version) in [("B", 2), ("A", 10), ("B", 1), ("A", 9)] {
        let put = journal.put_definition(&definition(name, version), at(version.into())).expect(WRITABLE);
        assert_eq!(put, PutDefinition::New);
    }
    let all = [("A", 9), ("A", 10), ("B", 1), ("B", 2)]
        .map(|(name, version)| stored_definition(definition(name, version), version.into()));
    assert_eq!(journal.definitions().expect(READABLE), all);
    commit(journal, next_of(id(1), 1));
    assert_eq!(loaded(journal, id(1)).version, 2);
}
