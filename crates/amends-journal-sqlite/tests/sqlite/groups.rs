//! What is submitted together is committed together.

use std::sync::Arc;
use std::sync::mpsc::channel;

use amends_journal::conformance::owned;
use amends_journal::{AppendAnswer, Appends, Conflict, Reads};
use amends_journal_sqlite::{SqliteJournal, limits};

use crate::place::{FORWARD, Place, count, ending, id, next, start, submit_all_together};

#[test]
fn what_waits_goes_into_one_commit() {
    let place = Place::new();
    let journal = place.open();
    let batches = (0..500).map(|number| vec![start(number)]).collect();
    for answers in submit_all_together(&journal, batches) {
        assert_eq!(answers.recv().unwrap(), [AppendAnswer::Committed]);
    }
    let stats = journal.stats();
    assert_eq!((stats.appends, stats.commits), (500, 1));
    // The log's first two files were flushed three times each when they were made.
    assert_eq!(stats.flushes, 1 + 2 * 3);
}

#[test]
fn a_transaction_is_bounded() {
    let place = Place::new();
    let journal = place.open();
    let appends = limits::APPENDS_PER_GROUP_MAX as u64;
    let batches = (0..appends + 1).map(|number| vec![start(number)]).collect();
    for answers in submit_all_together(&journal, batches) {
        assert_eq!(answers.recv().unwrap(), [AppendAnswer::Committed]);
    }
    assert_eq!(journal.stats().commits, 2);
}

#[test]
fn a_whole_transaction_may_go_into_one_commit() {
    let place = Place::new();
    let journal = place.open();
    let batches =
        vec![vec![start(1)], vec![next(1, 1)], vec![ending(1, 2)], vec![next(1, 1)], vec![start(2)]];
    let answers: Vec<_> = submit_all_together(&journal, batches)
        .into_iter()
        .flat_map(|answers| answers.recv().unwrap())
        .collect();
    let mut expected = vec![AppendAnswer::Committed; 5];
    expected[3] = AppendAnswer::Conflict(Conflict::Sequence(Some(3)));
    assert_eq!(answers, expected);
    assert_eq!(journal.stats().commits, 1);
    assert_eq!(journal.load(id(1)).unwrap().stored().unwrap().records.len(), 3);
}

#[test]
fn dropping_the_journal_finishes_what_is_queued() {
    let place = Place::new();
    let journal = place.open();
    let batches = (0..200).map(|number| vec![start(number)]).collect();
    let answers = submit_all_together(&journal, batches);
    drop(journal);
    assert!(answers.iter().all(|answers| answers.recv().unwrap() == [AppendAnswer::Committed]));
    assert_eq!(count(&place.open(), FORWARD), 200);
}

#[test]
fn the_last_handle_may_be_dropped_in_an_answer() {
    let place = Place::new();
    let journal = Arc::new(place.open());
    let (ended, has_ended) = channel();
    let (handed, hand) = channel();
    handed.send(Arc::clone(&journal)).unwrap();
    let submitting = Arc::clone(&journal);
    drop(journal);
    let (let_go, has_let_go) = channel::<()>();
    submitting.submit(
        owned(&*submitting, vec![start(1)]),
        Box::new(move |answers| {
            let journal: Arc<SqliteJournal> = hand.recv().unwrap();
            let _ = has_let_go.recv();
            drop(journal);
            ended.send(answers).unwrap();
        }),
    );
    drop(submitting);
    drop(let_go);
    assert_eq!(has_ended.recv().unwrap(), [AppendAnswer::Committed]);
}
