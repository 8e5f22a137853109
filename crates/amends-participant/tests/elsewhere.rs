//! Each line of what the barrier promises for effects in another system, which fails whenever it may.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

use amends_participant::barrier::elsewhere::{self, Begun, Earlier, Effect, Intent, Recorded, UndoIntent};
use amends_participant::database::{Database, Format};
use amends_participant::{
    Answer, BarrierError, CallKey, DataError, Decision, Delivery, Direction, ROW_FORGOTTEN, Refusal, UNDONE,
    barrier,
};
use rusqlite::Connection;
use std::sync::{Arc, mpsc};
use std::time::Duration;

const NOW: i64 = 1_000;

struct Service {
    connection: Connection,
    key: CallKey,
}

impl Service {
    fn new() -> Service {
        let connection = Connection::open_in_memory().unwrap();
        barrier::install(&connection).unwrap();
        Service { connection, key: "saga-1/Pay/action".parse().unwrap() }
    }

    fn try_begin(&self, operation: &'static str, payload: &str) -> Result<Begun<Intent>, BarrierError> {
        elsewhere::begin_action(
            &self.connection,
            Delivery::new(&self.key, operation, payload.as_bytes()),
            NOW,
        )
    }

    fn begin(&self) -> Intent {
        intended(self.try_begin("Charge", "a").unwrap())
    }

    fn begin_answered(&self) -> Answer {
        answered(self.try_begin("Charge", "a").unwrap())
    }

    fn try_begin_undo(&self, operation: &'static str) -> Result<Begun<UndoIntent>, BarrierError> {
        let key = self.key.toward(Direction::Compensation);
        elsewhere::begin_undo(&self.connection, Delivery::new(&key, operation, b"u"), NOW)
    }

    fn begin_undo(&self) -> UndoIntent {
        intended(self.try_begin_undo("Refund").unwrap())
    }

    fn record(&self, intent: Intent, decision: Decision) -> Recorded {
        intent.record(&self.connection, decision).unwrap()
    }

    fn record_undo(&self, intent: UndoIntent, decision: Decision) -> Recorded {
        intent.record(&self.connection, decision).unwrap()
    }

    fn status(&self) -> String {
        self.connection.query_row("SELECT status FROM amends_barrier", [], |row| row.get(0)).unwrap()
    }
}

fn intended<I: std::fmt::Debug>(begun: Begun<I>) -> I {
    match begun {
        Begun::Intended(intent) => intent,
        Begun::Answered(answer) => panic!("answered {answer:?}"),
    }
}

fn answered<I: std::fmt::Debug>(begun: Begun<I>) -> Answer {
    match begun {
        Begun::Answered(answer) => answer,
        Begun::Intended(intent) => panic!("intended {intent:?}"),
    }
}

fn settled(recorded: Recorded) -> Answer {
    match recorded {
        Recorded::Answered(answer) => answer,
        Recorded::TakeBack(undo) => panic!("to be taken back: {undo:?}"),
    }
}

fn to_take_back(recorded: Recorded) -> UndoIntent {
    match recorded {
        Recorded::TakeBack(undo) => undo,
        Recorded::Answered(answer) => panic!("answered {answer:?}"),
    }
}

fn paid() -> Decision {
    Ok(b"paid".to_vec())
}

fn back() -> Decision {
    Ok(b"back".to_vec())
}

fn declined() -> Refusal {
    Refusal::new("card_declined", "the bank says no")
}

fn completed(output: &str) -> Answer {
    Answer::Completed(output.as_bytes().to_vec())
}

fn refused_as_undone(answer: &Answer) -> bool {
    matches!(answer, Answer::Refused(refusal) if refusal.code == UNDONE)
}

#[test]
fn the_intent_is_there_before_the_effect_and_its_outcome_is_the_answer() {
    let service = Service::new();
    let intent = service.begin();
    assert_eq!(
        (intent.earlier(), intent.key(), service.status().as_str()),
        (Earlier::Nothing, &service.key, "intended")
    );
    assert_eq!(settled(service.record(intent, paid())), completed("paid"));
    assert_eq!(service.begin_answered(), completed("paid"));
    assert_eq!(service.status(), "acted");
}

#[test]
fn a_refusal_of_the_other_system_is_given_again() {
    let service = Service::new();
    let intent = service.begin();
    assert_eq!(settled(service.record(intent, Err(declined()))), Answer::Refused(declined()));
    assert_eq!(service.begin_answered(), Answer::Refused(declined()));
}

/// Field case I: the payment took place, the row was rolled back, and the undo found nothing.
#[test]
fn an_effect_whose_outcome_was_never_recorded_is_undone() {
    let service = Service::new();
    drop(service.begin());
    let undo = service.begin_undo();
    assert_eq!((undo.effect(), undo.earlier()), (&Effect::Unknown, Earlier::Nothing));
    assert_eq!(undo.key().toward(Direction::Action), service.key);
    assert_eq!(settled(service.record_undo(undo, back())), completed("back"));
    assert_eq!(answered(service.try_begin_undo("Refund").unwrap()), completed("back"));
    assert!(refused_as_undone(&service.begin_answered()));
}

#[test]
fn a_repeat_after_a_crash_says_that_the_outcome_is_unknown() {
    let service = Service::new();
    drop(service.begin());
    let again = service.begin();
    assert_eq!(again.earlier(), Earlier::Unanswered);
    assert_eq!(settled(service.record(again, paid())), completed("paid"));
}

#[test]
fn the_undo_runs_also_when_the_other_system_refused() {
    let service = Service::new();
    let intent = service.begin();
    settled(service.record(intent, Err(declined())));
    let undo = service.begin_undo();
    assert_eq!(undo.effect(), &Effect::Refused(declined()));
    assert_eq!(settled(service.record_undo(undo, back())), completed("back"));
}

#[test]
fn an_undo_without_an_intent_succeeds_and_blocks() {
    let service = Service::new();
    assert_eq!(answered(service.try_begin_undo("Refund").unwrap()), completed("null"));
    assert_eq!(answered(service.try_begin_undo("Refund").unwrap()), completed("null"));
    assert!(refused_as_undone(&service.begin_answered()));
    assert_eq!(service.status(), "blocked");
}

#[test]
fn an_undo_that_is_certain_and_finds_no_row_is_refused() {
    let service = Service::new();
    let key = service.key.toward(Direction::Compensation);
    let begin = || {
        let delivery = Delivery::new(&key, "Refund", b"u").certain();
        elsewhere::begin_undo(&service.connection, delivery, NOW).unwrap()
    };
    let answer = answered(begin());
    assert!(matches!(&answer, Answer::Refused(no) if no.code == ROW_FORGOTTEN), "{answer:?}");
    drop(service.begin());
    assert_eq!(intended(begin()).effect(), &Effect::Unknown);
}

#[test]
fn from_the_intent_of_the_undo_on_the_action_is_refused() {
    let service = Service::new();
    drop(service.begin());
    drop(service.begin_undo());
    assert!(refused_as_undone(&service.begin_answered()));
    let again = service.begin_undo();
    assert_eq!(again.earlier(), Earlier::Unanswered);
    assert_eq!(settled(service.record_undo(again, back())), completed("back"));
}

#[test]
fn a_refused_undo_can_be_tried_again() {
    let service = Service::new();
    let intent = service.begin();
    settled(service.record(intent, paid()));
    let undo = service.begin_undo();
    assert_eq!(undo.effect(), &Effect::TookPlace(b"paid".to_vec()));
    assert_eq!(settled(service.record_undo(undo, Err(declined()))), Answer::Refused(declined()));
    let again = service.begin_undo();
    assert_eq!(settled(service.record_undo(again, back())), completed("back"));
}

#[test]
fn an_effect_that_took_place_after_its_undo_is_to_be_taken_back() {
    let service = Service::new();
    let late = service.begin();
    let undo = service.begin_undo();
    assert_eq!(settled(service.record_undo(undo, back())), completed("back"));
    let take_back = to_take_back(service.record(late, paid()));
    assert_eq!(take_back.effect(), &Effect::TookPlace(b"paid".to_vec()));
    assert_eq!(take_back.key().direction(), Direction::Compensation);
    // Should it not be: the undo runs again.
    assert_eq!(service.begin_undo().effect(), take_back.effect());
    assert_eq!(settled(service.record_undo(take_back, back())), completed("back"));
    assert_eq!(service.status(), "undone");
}

#[test]
fn an_undo_that_did_not_see_the_effect_does_not_count() {
    let service = Service::new();
    let late = service.begin();
    let undo = service.begin_undo();
    drop(to_take_back(service.record(late, paid())));
    let again = to_take_back(service.record_undo(undo, back()));
    assert_eq!(again.effect(), &Effect::TookPlace(b"paid".to_vec()));
    assert_eq!(settled(service.record_undo(again, back())), completed("back"));
}

#[test]
fn a_late_refusal_changes_nothing_of_an_undo() {
    let service = Service::new();
    let late = service.begin();
    let undo = service.begin_undo();
    assert!(refused_as_undone(&settled(service.record(late, Err(declined())))));
    assert_eq!(settled(service.record_undo(undo, back())), completed("back"));
}

#[test]
fn of_two_attempts_the_first_outcome_counts_unless_it_denies_an_effect() {
    let service = Service::new();
    let (first, second) = (service.begin(), service.begin());
    assert_eq!(settled(service.record(first, paid())), completed("paid"));
    assert_eq!(settled(service.record(second, Err(declined()))), completed("paid"));

    let service = Service::new();
    let (first, second) = (service.begin(), service.begin());
    assert_eq!(settled(service.record(first, Err(declined()))), Answer::Refused(declined()));
    assert_eq!(settled(service.record(second, paid())), completed("paid"));
    assert_eq!(service.begin_undo().effect(), &Effect::TookPlace(b"paid".to_vec()));
}

#[test]
fn another_payload_or_another_operation_is_an_error_at_any_time() {
    let service = Service::new();
    let assert_errors = |service: &Service| {
        let conflict = service.try_begin("Charge", "b").unwrap_err();
        assert!(matches!(conflict, BarrierError::PayloadConflict { .. }), "{conflict}");
        let second = service.try_begin("Credit", "a").unwrap_err();
        assert!(matches!(second, BarrierError::SecondEffect { .. }), "{second}");
    };
    let intent = service.begin();
    assert_errors(&service);
    settled(service.record(intent, paid()));
    assert_errors(&service);
    drop(service.begin_undo());
    let second = service.try_begin_undo("Notify").unwrap_err();
    assert!(matches!(second, BarrierError::SecondEffect { .. }), "{second}");
}

#[test]
fn an_intent_inside_a_transaction_would_not_be_durable_and_is_an_error() {
    let service = Service::new();
    service.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = service.try_begin("Charge", "a").unwrap_err();
    assert!(matches!(error, BarrierError::InsideTransaction { .. }), "{error}");
    service.connection.execute_batch("ROLLBACK").unwrap();
    drop(service.begin());
}

#[test]
fn the_other_form_neither_repeats_nor_undoes_an_effect_elsewhere() {
    for decision in [None, Some(paid()), Some(Err(declined()))] {
        let service = Service::new();
        let intent = service.begin();
        if let Some(decision) = &decision {
            settled(service.record(intent, decision.clone()));
        }
        let undo = service.key.toward(Direction::Compensation);
        let undone = barrier::undo(&service.connection, Delivery::new(&undo, "Refund", b"u"), NOW, |_| {
            panic!("nothing may run")
        });
        assert!(matches!(undone, Err(BarrierError::EffectElsewhere { .. })), "{undone:?}");
        let acted =
            barrier::action(&service.connection, Delivery::new(&service.key, "Charge", b"a"), NOW, |_| {
                panic!("nothing may run")
            });
        match decision {
            None => assert!(matches!(acted, Err(BarrierError::EffectElsewhere { .. })), "{acted:?}"),
            Some(Ok(output)) => assert_eq!(acted.unwrap(), Answer::Completed(output)),
            Some(Err(refusal)) => assert_eq!(acted.unwrap(), Answer::Refused(refusal)),
        }
    }
}

#[test]
fn what_the_other_form_did_is_undone_and_what_it_refused_is_not() {
    let service = Service::new();
    let act = |decision| {
        let delivery = Delivery::new(&service.key, "Charge", b"a");
        barrier::action(&service.connection, delivery, NOW, |_| Ok(decision)).unwrap()
    };
    assert_eq!(act(paid()), completed("paid"));
    assert_eq!(service.begin_undo().effect(), &Effect::TookPlace(b"paid".to_vec()));

    let service = Service::new();
    let delivery = Delivery::new(&service.key, "Charge", b"a");
    barrier::action(&service.connection, delivery, NOW, |_| Ok(Err(declined()))).unwrap();
    assert_eq!(answered(service.try_begin_undo("Refund").unwrap()), completed("null"));
}

#[test]
fn an_intent_whose_row_is_gone_is_damage() {
    let service = Service::new();
    let intent = service.begin();
    service.connection.execute("DELETE FROM amends_barrier", []).unwrap();
    let error = intent.record(&service.connection, paid()).unwrap_err();
    assert!(matches!(error, BarrierError::Data(DataError::Damaged { .. })), "{error}");
}

#[test]
fn an_intent_handed_out_by_the_queue_is_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("service.db");
    let open = |path: &std::path::Path| {
        let format = Format { application_id: 7, version: 1, create: Box::new(barrier::install) };
        Database::open(path, format, Arc::new(|message| panic!("fatal: {message}"))).unwrap()
    };
    let database = open(&path);
    let key: CallKey = "saga-1/Pay/action".parse().unwrap();
    let (told, tells) = mpsc::channel();
    let begin = |database: &Database| {
        let told = told.clone();
        database.begin_action(Delivery::new(&key, "Charge", b"a"), NOW, move |begun| {
            told.send(begun.unwrap()).unwrap();
        });
        tells.recv_timeout(Duration::from_secs(60)).unwrap()
    };
    assert_eq!(intended(begin(&database)).earlier(), Earlier::Nothing);

    // What a kill leaves.
    let copy = dir.path().join("copy.db");
    for ending in ["", "-wal"] {
        std::fs::copy(dir.path().join(format!("service.db{ending}")), format!("{}{ending}", copy.display()))
            .unwrap();
    }
    let reopened = open(&copy);
    let again = intended(begin(&reopened));
    assert_eq!(again.earlier(), Earlier::Unanswered);
    let (recorded, records) = mpsc::channel();
    reopened.record_action(again, paid(), move |result| recorded.send(result.unwrap()).unwrap());
    assert_eq!(settled(records.recv_timeout(Duration::from_secs(60)).unwrap()), completed("paid"));
    assert_eq!(answered(begin(&reopened)), completed("paid"));
}
