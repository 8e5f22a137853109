//! Claims about appending to transactions that exist.

use std::sync::mpsc::channel;

use bytes::Bytes;

use super::*;
use crate::limits::TRANSACTION_BYTES_MAX;

suite![
    a_transaction_is_loaded_back_as_it_was_written,
    a_transaction_that_was_never_started_is_not_there,
    a_wrong_sequence_is_a_conflict_that_names_the_right_one,
    an_append_to_no_transaction_is_a_conflict,
    a_conflict_writes_nothing_and_leaves_its_batch_alone,
    appends_of_one_batch_take_effect_in_their_order,
    of_two_appends_for_one_place_the_first_wins,
    every_batch_is_answered_even_an_empty_one,
    an_answer_may_submit_the_next_append,
    batches_of_many_threads_all_take_effect,
    records_of_every_size_come_back,
    each_append_says_where_its_transaction_stands,
    a_transaction_has_a_bound,
    an_ended_transaction_keeps_its_records,
    a_long_transaction_keeps_its_records_when_it_ends,
    a_transaction_may_end_with_its_first_record,
    an_ended_transaction_still_answers_with_its_sequence,
    an_ended_transaction_comes_back_to_life_and_ends_again,
    an_ended_transaction_may_get_a_record_and_stay_ended,
    committed_appends_are_counted,
];

fn a_transaction_is_loaded_back_as_it_was_written(journal: &dyn Journal) {
    let transaction = id(1);
    commit(journal, start_of(transaction, plain("PlaceOrder", 7)));
    commit(journal, next_of(transaction, 1));
    commit(journal, next_of(transaction, 2));
    let expected = Stored {
        id: transaction,
        mode: Mode::Saga,
        definition: DefinitionName::new("PlaceOrder"),
        version: 7,
        standing: FORWARD,
        unreadable: None,
        erased_at: None,
        records: vec![payload(transaction, 1), payload(transaction, 2), payload(transaction, 3)],
    };
    assert_eq!(loaded(journal, transaction), expected);
}

fn a_transaction_that_was_never_started_is_not_there(journal: &dyn Journal) {
    start(journal, 1);
    assert_eq!(load(journal, id(2)), Loaded::Nothing);
}

fn a_wrong_sequence_is_a_conflict_that_names_the_right_one(journal: &dyn Journal) {
    let transaction = start(journal, 1);
    for wrong in [0, 2, 3, u64::MAX - 1] {
        assert_eq!(conflict_of(journal, next_of(transaction, wrong)), Conflict::Sequence(Some(1)));
    }
    assert_eq!(loaded(journal, transaction).records.len(), 1);
}

fn an_append_to_no_transaction_is_a_conflict(journal: &dyn Journal) {
    assert_eq!(conflict_of(journal, next_of(id(1), 1)), Conflict::Sequence(None));
    assert_eq!(load(journal, id(1)), Loaded::Nothing);
}

fn a_conflict_writes_nothing_and_leaves_its_batch_alone(journal: &dyn Journal) {
    let (a, b) = (start(journal, 1), start(journal, 2));
    let wrong = next_of(a, 5).becoming(COMPLETED);
    let answers = submit(journal, vec![next_of(b, 1), wrong, next_of(b, 2)]);
    let conflict = AppendAnswer::Conflict(Conflict::Sequence(Some(1)));
    assert_eq!(answers, [AppendAnswer::Committed, conflict, AppendAnswer::Committed]);
    assert_eq!(loaded(journal, a).standing, FORWARD);
    assert_eq!(loaded(journal, b).records.len(), 3);
    assert_eq!(count(journal, Some(COMPLETED), None), 0);
}

fn appends_of_one_batch_take_effect_in_their_order(journal: &dyn Journal) {
    let transaction = id(1);
    let batch = vec![
        start_of(transaction, plain("Test", 1)),
        next_of(transaction, 1),
        next_of(transaction, 2).becoming(COMPLETED),
    ];
    assert_eq!(submit(journal, batch), vec![AppendAnswer::Committed; 3]);
    let stored = loaded(journal, transaction);
    assert_eq!((stored.standing, stored.records.len()), (COMPLETED, 3));
}

fn of_two_appends_for_one_place_the_first_wins(journal: &dyn Journal) {
    let transaction = start(journal, 1);
    let second = Append { record: Bytes::from_static(b"late"), ..next_of(transaction, 1) };
    let answers = submit(journal, vec![next_of(transaction, 1), second]);
    assert_eq!(answers, [AppendAnswer::Committed, AppendAnswer::Conflict(Conflict::Sequence(Some(2)))]);
    assert_eq!(loaded(journal, transaction).records, [payload(transaction, 1), payload(transaction, 2)]);
}

fn every_batch_is_answered_even_an_empty_one(journal: &dyn Journal) {
    assert_eq!(submit(journal, Vec::new()), []);
}

fn an_answer_may_submit_the_next_append(journal: &dyn Journal) {
    // A callback outlives the borrow of the journal, so it cannot hold one here; it hands the word on
    // instead.
    let (told, tell) = channel();
    for number in 0..50 {
        let told = told.clone();
        journal.submit(
            owned(journal, vec![start_of(id(number), plain("Test", 1))]),
            Box::new(move |answers| {
                let _ = told.send((number, answers));
            }),
        );
    }
    for _ in 0..50 {
        let (number, answers) = tell.recv().expect("every batch is answered");
        assert_eq!(answers, [AppendAnswer::Committed]);
        // By the time of the answer the transaction is there for everybody.
        assert_eq!(loaded(journal, id(number)).records.len(), 1);
        commit(journal, next_of(id(number), 1));
    }
}

fn batches_of_many_threads_all_take_effect(journal: &dyn Journal) {
    const THREADS: u8 = 8;
    const TRANSACTIONS: u8 = 20;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for number in 0..TRANSACTIONS {
                    let transaction = id(thread * TRANSACTIONS + number);
                    commit(journal, start_of(transaction, plain("Test", 1)));
                    commit(journal, next_of(transaction, 1));
                    commit(journal, next_of(transaction, 2).becoming(COMPLETED));
                }
            });
        }
    });
    assert_eq!(count(journal, Some(COMPLETED), None), u64::from(THREADS) * u64::from(TRANSACTIONS));
    assert_eq!(count(journal, None, None), u64::from(THREADS) * u64::from(TRANSACTIONS));
}

fn records_of_every_size_come_back(journal: &dyn Journal) {
    let transaction = start(journal, 1);
    let mut records = vec![payload(transaction, 1)];
    for (size, sequence) in [0, 1, 1_000, 5_000, 70_000, 1 << 20].into_iter().zip(1..) {
        let record = Bytes::from(vec![sequence as u8; size]);
        records.push(record.clone());
        commit(journal, Append { record, ..next_of(transaction, sequence) });
    }
    assert_eq!(loaded(journal, transaction).records, records);
    let sequence = records.len() as u64;
    records.push(payload(transaction, sequence + 1));
    commit(journal, next_of(transaction, sequence).becoming(COMPLETED));
    assert_eq!(loaded(journal, transaction).records, records, "in the archive too");
}

fn each_append_says_where_its_transaction_stands(journal: &dyn Journal) {
    let transaction = start(journal, 1);
    let asleep = |way| Standing::Asleep { way, until: at(50) };
    let standings = [BACK, PARKED, FORWARD, asleep(Way::Forward), asleep(Way::Back), BACK, COMPENSATED, BACK];
    for (standing, sequence) in standings.into_iter().zip(1..) {
        commit(journal, next_of(transaction, sequence).becoming(standing));
        assert_eq!(loaded(journal, transaction).standing, standing);
        assert_eq!(count(journal, Some(standing), None), 1, "{standing:?}");
        assert_eq!(loaded(journal, transaction).standing, standing, "as the store has it");
    }
    assert_eq!(count(journal, None, None), 1);
}

fn a_transaction_has_a_bound(journal: &dyn Journal) {
    let transaction = start(journal, 1);
    let half = Bytes::from(vec![7; TRANSACTION_BYTES_MAX as usize / 2]);
    commit(journal, Append { record: half.clone(), ..next_of(transaction, 1) });
    let over = submit(
        journal,
        vec![Append { record: half.clone(), ..next_of(transaction, 2) }, next_of(transaction, 2)],
    );
    let bytes = payload(transaction, 1).len() as u64 + 2 * half.len() as u64;
    assert_eq!(over, [AppendAnswer::TooLarge { bytes }, AppendAnswer::Committed]);
    // What the store has of it counts as well as what it remembers.
    count(journal, None, None);
    let over = submit(journal, vec![Append { record: half.clone(), ..next_of(transaction, 3) }]);
    assert!(matches!(over[..], [AppendAnswer::TooLarge { .. }]), "{over:?}");
    commit(journal, next_of(transaction, 3).becoming(COMPLETED));
    assert_eq!(loaded(journal, transaction).records[1], half);
    let over = submit(journal, vec![Append { record: half, ..next_of(transaction, 4).becoming(COMPLETED) }]);
    assert!(matches!(over[..], [AppendAnswer::TooLarge { .. }]), "{over:?}");
    let huge = Bytes::from(vec![7; TRANSACTION_BYTES_MAX as usize + 1]);
    let over = submit(journal, vec![Append { record: huge, ..start_of(id(2), plain("Test", 1)) }]);
    assert_eq!(over, [AppendAnswer::TooLarge { bytes: TRANSACTION_BYTES_MAX + 1 }]);
    assert_eq!(load(journal, id(2)), Loaded::Nothing);
}

fn an_ended_transaction_keeps_its_records(journal: &dyn Journal) {
    for (number, standing) in [(1, COMPLETED), (2, COMPENSATED), (3, ABANDONED)] {
        let transaction = start(journal, number);
        commit(journal, next_of(transaction, 1));
        commit(journal, next_of(transaction, 2).becoming(standing));
        let stored = loaded(journal, transaction);
        assert_eq!(stored.standing, standing);
        assert_eq!(
            stored.records,
            [payload(transaction, 1), payload(transaction, 2), payload(transaction, 3)]
        );
    }
}

fn a_long_transaction_keeps_its_records_when_it_ends(journal: &dyn Journal) {
    const RECORDS: u64 = 3_000;
    let transaction = start(journal, 1);
    let all: Vec<Append> = (1..RECORDS).map(|sequence| next_of(transaction, sequence)).collect();
    assert!(submit(journal, all).iter().all(|answer| *answer == AppendAnswer::Committed));
    commit(journal, next_of(transaction, RECORDS).becoming(COMPLETED));
    let expected: Vec<Bytes> = (1..=RECORDS + 1).map(|sequence| payload(transaction, sequence)).collect();
    assert_eq!(loaded(journal, transaction).records, expected);
}

fn a_transaction_may_end_with_its_first_record(journal: &dyn Journal) {
    commit(journal, start_of(id(1), chosen(Some("key"), 1)).becoming(COMPLETED));
    let stored = loaded(journal, id(1));
    assert_eq!((stored.standing, stored.records), (COMPLETED, vec![payload(id(1), 1)]));
    assert_eq!(count(journal, None, None), 1);
    assert_eq!(recoverable(journal, 10), []);
}

fn an_ended_transaction_still_answers_with_its_sequence(journal: &dyn Journal) {
    let transaction = start_and_end(journal, 1, at(5));
    assert_eq!(conflict_of(journal, next_of(transaction, 1)), Conflict::Sequence(Some(2)));
    assert_eq!(loaded(journal, transaction).records.len(), 2);
}

fn an_ended_transaction_comes_back_to_life_and_ends_again(journal: &dyn Journal) {
    start(journal, 1);
    let transaction = start_and_end(journal, 2, at(5));
    start(journal, 3);
    commit(journal, next_of(transaction, 2).becoming(BACK));
    let stored = loaded(journal, transaction);
    assert_eq!(stored.standing, BACK);
    assert_eq!(stored.records, [payload(transaction, 1), payload(transaction, 2), payload(transaction, 3)]);
    assert_eq!(recoverable(journal, 1), [id(1), transaction, id(3)]);
    assert_eq!(count(journal, Some(COMPLETED), None), 0);

    commit(journal, next_of(transaction, 3).becoming(BACK));
    commit(journal, next_of(transaction, 4).becoming(COMPENSATED).at(at(90)));
    assert_eq!(loaded(journal, transaction).records.len(), 5);
    let listed = journal.list(&filter(Some(COMPENSATED), None), None, 10).expect(READABLE);
    assert_eq!(listed.items.first().and_then(|summary| summary.ended_at), Some(at(90)));
    assert_eq!(count(journal, None, None), 3);
}

fn an_ended_transaction_may_get_a_record_and_stay_ended(journal: &dyn Journal) {
    let transaction = start_and_end(journal, 1, at(5));
    commit(journal, next_of(transaction, 2).becoming(COMPLETED));
    let stored = loaded(journal, transaction);
    assert_eq!((stored.standing, stored.records.len()), (COMPLETED, 3));
    let listed = journal.list(&Filter::default(), None, 10).expect(READABLE);
    assert_eq!(listed.items[0].ended_at, Some(at(5)));
}

fn committed_appends_are_counted(journal: &dyn Journal) {
    let transaction = start(journal, 1);
    conflict_of(journal, next_of(transaction, 9));
    commit(journal, next_of(transaction, 1));
    let stats = journal.stats();
    let bytes = payload(transaction, 1).len() + payload(transaction, 2).len();
    assert_eq!((stats.appends, stats.record_bytes, stats.commits), (2, bytes as u64, 2));
}
