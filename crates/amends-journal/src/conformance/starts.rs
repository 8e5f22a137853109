//! Claims about starting transactions: ids and keys.

use super::*;

suite![
    an_id_is_taken_while_its_transaction_lives,
    an_id_is_taken_while_its_transaction_sleeps_or_is_parked,
    a_given_id_is_taken_after_its_transaction_ended,
    an_id_that_the_engine_made_has_no_fingerprint,
    a_key_leads_to_its_transaction,
    a_key_is_taken_by_its_transaction_whatever_became_of_it,
    the_key_goes_before_the_id,
    of_two_starts_in_one_batch_the_first_wins,
    a_start_that_conflicts_uses_up_no_key,
    a_conflicting_start_changes_no_list,
    transactions_of_definitions_that_were_never_stored_can_start,
];

fn an_id_is_taken_while_its_transaction_lives(journal: &dyn Journal) {
    commit(journal, start_of(id(1), chosen(None, 1)));
    assert_eq!(conflict_of(journal, start_of(id(1), chosen(None, 2))), exists(id(1), Some(fingerprint(1))));
    assert_eq!(loaded(journal, id(1)).records.len(), 1);
}

fn an_id_is_taken_while_its_transaction_sleeps_or_is_parked(journal: &dyn Journal) {
    commit(journal, start_of(id(1), chosen(None, 1)).asleep_until(at(50)));
    commit(journal, start_of(id(2), chosen(None, 2)).becoming(PARKED));
    for number in [1, 2] {
        let conflict = conflict_of(journal, start_of(id(number), chosen(None, 9)));
        assert_eq!(conflict, exists(id(number), Some(fingerprint(number))));
    }
}

fn a_given_id_is_taken_after_its_transaction_ended(journal: &dyn Journal) {
    commit(journal, start_of(id(1), chosen(None, 1)));
    commit(journal, next_of(id(1), 1).becoming(COMPLETED));
    assert_eq!(conflict_of(journal, start_of(id(1), chosen(None, 2))), exists(id(1), Some(fingerprint(1))));
    assert_eq!(loaded(journal, id(1)).records.len(), 2);
}

fn an_id_that_the_engine_made_has_no_fingerprint(journal: &dyn Journal) {
    start(journal, 1);
    assert_eq!(conflict_of(journal, start_of(id(1), chosen(None, 2))), exists(id(1), None));
    assert_eq!(conflict_of(journal, start_of(id(1), plain("Test", 1))), exists(id(1), None));
}

fn a_key_leads_to_its_transaction(journal: &dyn Journal) {
    commit(journal, start_of(id(1), chosen(Some("order-77"), 1)));
    commit(journal, start_of(id(2), chosen(Some("schön ' 键"), 2)));
    let entry = |number| {
        let (id, fingerprint) = (id(number), Some(fingerprint(number)));
        Some(KeyEntry { id, fingerprint, presence: Presence::Kept })
    };
    assert_eq!(journal.by_key("order-77").expect(READABLE), entry(1));
    assert_eq!(journal.by_key("schön ' 键").expect(READABLE), entry(2));
    assert_eq!(journal.by_key("order-7").expect(READABLE), None);
}

fn a_key_is_taken_by_its_transaction_whatever_became_of_it(journal: &dyn Journal) {
    commit(journal, start_of(id(1), chosen(Some("key"), 1)));
    let again = || start_of(id(2), chosen(Some("key"), 2));
    let taken = exists(id(1), Some(fingerprint(1)));
    assert_eq!(conflict_of(journal, again()), taken, "live");
    commit(journal, next_of(id(1), 1).becoming(COMPLETED));
    assert_eq!(conflict_of(journal, again()), taken, "ended");
    journal.remove_ended(&Partitions::ALL, Time::NEVER, at(1_000), None, 10).expect(WRITABLE);
    let gone = removed(id(1), Some(fingerprint(1)));
    assert_eq!(conflict_of(journal, again()), gone, "removed");
    let entry = journal.by_key("key").expect(READABLE).map(Conflict::Exists);
    assert_eq!(entry, Some(gone));
    assert_eq!(load(journal, id(2)), Loaded::Nothing);
}

fn the_key_goes_before_the_id(journal: &dyn Journal) {
    commit(journal, start_of(id(1), chosen(Some("key"), 1)));
    commit(journal, start_of(id(2), chosen(None, 2)));
    let both = start_of(id(2), chosen(Some("key"), 3));
    assert_eq!(conflict_of(journal, both), exists(id(1), Some(fingerprint(1))));
}

fn of_two_starts_in_one_batch_the_first_wins(journal: &dyn Journal) {
    let batch = vec![
        start_of(id(1), chosen(Some("key"), 1)),
        start_of(id(2), chosen(Some("key"), 2)),
        start_of(id(1), chosen(None, 3)),
    ];
    let taken = AppendAnswer::Conflict(exists(id(1), Some(fingerprint(1))));
    assert_eq!(submit(journal, batch), [AppendAnswer::Committed, taken.clone(), taken]);
    assert_eq!(load(journal, id(2)), Loaded::Nothing);
    assert_eq!(count(journal, None, None), 1);
}

fn a_start_that_conflicts_uses_up_no_key(journal: &dyn Journal) {
    commit(journal, start_of(id(1), chosen(None, 1)));
    conflict_of(journal, start_of(id(1), chosen(Some("key"), 2)));
    assert_eq!(journal.by_key("key").expect(READABLE), None);
    commit(journal, start_of(id(2), chosen(Some("key"), 2)));
}

fn a_conflicting_start_changes_no_list(journal: &dyn Journal) {
    start(journal, 1);
    conflict_of(journal, start_of(id(1), plain("Other", 1)));
    assert_eq!(listed(journal, &Filter::default(), 10), [id(1)]);
    assert_eq!(count(journal, None, Some("Other")), 0);
    assert_eq!(recoverable(journal, 10), [id(1)]);
}

fn transactions_of_definitions_that_were_never_stored_can_start(journal: &dyn Journal) {
    commit(journal, start_of(id(1), plain("NeverStored", 3)));
    assert_eq!(loaded(journal, id(1)).version, 3);
    assert_eq!(journal.definitions().expect(READABLE), []);
}
