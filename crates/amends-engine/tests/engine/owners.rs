//! Two engines over one journal: the one that was there is fenced, and keeps out of the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use amends_core::{By, Status, Verb};
use amends_engine::{Call, OperateError, Options, ReadError, StartError, Wait, local};
use amends_journal::MemoryJournal;
use tokio::sync::Notify;

use crate::{done, open, request};

#[tokio::test]
async fn whoever_is_fenced_forgets_sends_nothing_and_says_so() {
    let first_journal = MemoryJournal::new();
    let second_journal = first_journal.another_coordinator();
    let (answer, b_calls) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (may_answer, counted) = (answer.clone(), b_calls.clone());
    let slow = local(move |call: Call| {
        let (may_answer, counted) = (may_answer.clone(), counted.clone());
        async move {
            if call.operation() == "do_b" {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            may_answer.notified().await;
            done()
        }
    });
    let first = open(Arc::new(first_journal), slow, Options::default());
    let begun = first.start(request(Some("k"), Wait::Accepted)).await.unwrap();
    let id = begun.transaction.id();

    // Another coordinator takes everything over and finishes what is under way.
    let second = open(Arc::new(second_journal), local(|_| async { done() }), Options::default());
    let view = second.rest(id).await.unwrap().unwrap();
    assert_eq!(view.saga().unwrap().status(), Status::Completed);

    // The first one hears the answer to its old call: it is fenced, and its waiter is told.
    let waiter = first.rest(id);
    let waited = tokio::time::timeout(Duration::from_millis(100), waiter).await;
    assert!(waited.is_err(), "it does not know yet");
    answer.notify_waiters();
    let verb = first.operate(id, Verb::Cancel, By::new("ann", "test")).await;
    let told = matches!(verb, Err(OperateError::Read(ReadError::NotOwner) | OperateError::Rejected(_)));
    assert!(told, "{verb:?}");
    assert!(matches!(first.start(request(Some("new"), Wait::Accepted)).await, Err(StartError::NotOwner)));
    assert_eq!(b_calls.load(Ordering::Relaxed), 0, "nothing more was sent from there");
    let seen = first.look(id).await.unwrap().unwrap();
    assert_eq!(seen.saga().unwrap().status(), Status::Completed, "whoever asks reads what is durable");
    first.stop(Duration::ZERO).await;
    second.stop(Duration::ZERO).await;
}
