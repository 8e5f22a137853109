//! Each line of what the barrier promises, on a real database.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use amends_participant::{
    Answer, BarrierError, CallKey, DataError, Decision, Delivery, ROW_FORGOTTEN, Refusal, UNDONE, barrier,
};
use rusqlite::Connection;

const NOW: i64 = 1_000;
const ACTION: &str = "saga-1/Pay/action";
const UNDO: &str = "saga-1/Pay/compensation";

/// A service with one business table, whose rows show which effects took place.
struct Service {
    connection: Connection,
    runs: Cell<u32>,
}

impl Service {
    fn new() -> Service {
        let connection = Connection::open_in_memory().unwrap();
        barrier::install(&connection).unwrap();
        connection.execute_batch("CREATE TABLE effects (what TEXT NOT NULL)").unwrap();
        Service { connection, runs: Cell::new(0) }
    }

    fn effect(&self, connection: &Connection, what: &str, decision: Decision) -> Result<Decision, DataError> {
        self.runs.set(self.runs.get() + 1);
        connection.execute("INSERT INTO effects VALUES (?1)", [what])?;
        Ok(decision)
    }

    fn action(&self, payload: &str, decision: Decision) -> Result<Answer, BarrierError> {
        let key = key(ACTION);
        barrier::action(&self.connection, pay(&key, payload), NOW, |c| self.effect(c, "acted", decision))
    }

    fn undo(&self, payload: &str, decision: Decision) -> Result<Answer, BarrierError> {
        let key = key(UNDO);
        barrier::undo(&self.connection, refund(&key, payload), NOW, |c| self.effect(c, "undone", decision))
    }

    fn effects(&self) -> Vec<String> {
        let mut statement = self.connection.prepare("SELECT what FROM effects").unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn status(&self) -> String {
        self.connection.query_row("SELECT status FROM amends_barrier", [], |row| row.get(0)).unwrap()
    }
}

fn key(text: &str) -> CallKey {
    text.parse().unwrap()
}

fn pay<'a>(key: &'a CallKey, payload: &'a str) -> Delivery<'a> {
    Delivery::new(key, "Pay", payload.as_bytes())
}

fn refund<'a>(key: &'a CallKey, payload: &'a str) -> Delivery<'a> {
    Delivery::new(key, "Refund", payload.as_bytes())
}

fn completed(output: &str) -> Answer {
    Answer::Completed(output.as_bytes().to_vec())
}

fn output(text: &str) -> Decision {
    Ok(text.as_bytes().to_vec())
}

fn no_money() -> Refusal {
    Refusal {
        code: "no_money".to_owned(),
        message: "have 3, need 5".to_owned(),
        details: Some(b"{\"have\":3}".to_vec()),
    }
}

fn refused_as_undone(answer: &Answer) -> bool {
    matches!(answer, Answer::Refused(refusal) if refusal.code == UNDONE)
}

#[test]
fn a_repeated_action_gets_the_first_answer_and_takes_effect_once() {
    let service = Service::new();
    assert_eq!(service.action("a", output("1")).unwrap(), completed("1"));
    assert_eq!(service.action("a", output("2")).unwrap(), completed("1"));
    assert_eq!(service.effects(), ["acted"]);
    assert_eq!(service.runs.get(), 1);
}

#[test]
fn a_refusal_is_rolled_back_and_given_again_without_running() {
    let service = Service::new();
    assert_eq!(service.action("a", Err(no_money())).unwrap(), Answer::Refused(no_money()));
    assert_eq!(service.action("a", output("now I could")).unwrap(), Answer::Refused(no_money()));
    assert!(service.effects().is_empty());
    assert_eq!((service.runs.get(), service.status()), (1, "refused".to_owned()));
}

#[test]
fn another_payload_under_the_same_key_is_a_conflict() {
    let service = Service::new();
    service.action("a", output("1")).unwrap();
    let error = service.action("b", output("2")).unwrap_err();
    assert!(matches!(error, BarrierError::PayloadConflict { .. }), "{error}");
    assert!(error.to_string().starts_with(amends_participant::PAYLOAD_CONFLICT), "{error}");
    assert_eq!(service.effects(), ["acted"]);
}

#[test]
fn another_payload_after_a_refusal_is_a_conflict_too() {
    let service = Service::new();
    service.action("a", Err(no_money())).unwrap();
    assert!(matches!(service.action("b", output("2")), Err(BarrierError::PayloadConflict { .. })));
    assert!(service.effects().is_empty());
}

#[test]
fn a_failed_action_leaves_nothing_and_can_be_tried_again() {
    let service = Service::new();
    let failed = barrier::action(&service.connection, pay(&key(ACTION), "a"), NOW, |c| {
        drop(service.effect(c, "acted", output("1"))?);
        Err(DataError::Database(rusqlite::Error::QueryReturnedNoRows))
    });
    assert!(matches!(failed, Err(BarrierError::Data(DataError::Database(_)))));
    assert!(service.effects().is_empty());
    assert_eq!(service.action("b", output("2")).unwrap(), completed("2"));
}

#[test]
fn a_panicking_action_leaves_nothing() {
    let service = Service::new();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        barrier::action(&service.connection, pay(&key(ACTION), "a"), NOW, |c| {
            drop(service.effect(c, "acted", output("1"))?);
            panic!("a bug of the service")
        })
    }));
    assert!(panicked.is_err());
    assert!(service.effects().is_empty());
    assert_eq!(service.action("a", output("2")).unwrap(), completed("2"));
}

#[test]
fn an_undo_takes_effect_once_and_repeats_its_answer() {
    let service = Service::new();
    service.action("a", output("1")).unwrap();
    assert_eq!(service.undo("u", output("back")).unwrap(), completed("back"));
    assert_eq!(service.undo("u", output("again")).unwrap(), completed("back"));
    assert_eq!(service.effects(), ["acted", "undone"]);
    assert_eq!(service.status(), "undone");
}

#[test]
fn another_payload_of_an_undo_is_a_conflict() {
    let service = Service::new();
    service.action("a", output("1")).unwrap();
    service.undo("u", output("back")).unwrap();
    assert!(matches!(service.undo("v", output("back")), Err(BarrierError::PayloadConflict { .. })));
    assert_eq!(service.effects(), ["acted", "undone"]);
}

#[test]
fn an_undone_action_is_refused_whatever_its_payload() {
    let service = Service::new();
    service.action("a", output("1")).unwrap();
    service.undo("u", output("back")).unwrap();
    assert!(refused_as_undone(&service.action("a", output("late")).unwrap()));
    assert!(refused_as_undone(&service.action("b", output("late")).unwrap()));
    assert_eq!(service.effects(), ["acted", "undone"]);
}

#[test]
fn an_undo_with_nothing_to_undo_succeeds_and_blocks_the_late_action() {
    let service = Service::new();
    assert_eq!(service.undo("u", output("back")).unwrap(), completed("null"));
    assert!(refused_as_undone(&service.action("a", output("late")).unwrap()));
    assert_eq!(service.undo("v", output("back")).unwrap(), completed("null"));
    assert!(service.effects().is_empty());
    assert_eq!((service.runs.get(), service.status()), (0, "blocked".to_owned()));
}

/// The coordinator was told that the action took effect. Answered as done, its undo would be lost without a
/// word.
#[test]
fn an_undo_that_is_certain_and_finds_no_row_is_refused_until_the_row_is_back() {
    let service = Service::new();
    let key = key(UNDO);
    let undo = || {
        let back = |c: &Connection| service.effect(c, "undone", output("back"));
        barrier::undo(&service.connection, refund(&key, "u").certain(), NOW, back).unwrap()
    };
    for _ in 0..2 {
        let answer = undo();
        assert!(matches!(&answer, Answer::Refused(no) if no.code == ROW_FORGOTTEN), "{answer:?}");
    }
    service.action("a", output("1")).unwrap();
    assert_eq!(undo(), completed("back"));
    assert_eq!(service.effects(), ["acted", "undone"]);
}

#[test]
fn an_undo_of_a_refused_action_succeeds_and_blocks_it() {
    let service = Service::new();
    service.action("a", Err(no_money())).unwrap();
    assert_eq!(service.undo("u", output("back")).unwrap(), completed("null"));
    assert!(refused_as_undone(&service.action("a", output("late")).unwrap()));
    assert!(service.effects().is_empty());
    assert_eq!(service.status(), "blocked");
}

#[test]
fn a_refused_undo_is_not_remembered_and_can_be_tried_again() {
    let service = Service::new();
    service.action("a", output("1")).unwrap();
    assert_eq!(service.undo("u", Err(no_money())).unwrap(), Answer::Refused(no_money()));
    assert_eq!((service.effects().len(), service.status()), (1, "acted".to_owned()));
    assert_eq!(service.undo("u", output("back")).unwrap(), completed("back"));
    assert_eq!(service.effects(), ["acted", "undone"]);
}

#[test]
fn a_failed_undo_leaves_the_action_standing() {
    let service = Service::new();
    service.action("a", output("1")).unwrap();
    let failed = barrier::undo(&service.connection, refund(&key(UNDO), "u"), NOW, |c| {
        drop(service.effect(c, "undone", output("back"))?);
        Err(DataError::damaged("a record", "unreadable"))
    });
    assert!(matches!(failed, Err(BarrierError::Data(DataError::Damaged { .. }))));
    assert_eq!((service.effects().len(), service.status()), (1, "acted".to_owned()));
}

#[test]
fn each_transaction_step_occurrence_and_round_has_a_row_of_its_own() {
    let service = Service::new();
    service.action("a", output("1")).unwrap();
    let others = ["saga-2/Pay", "saga-1/Reserve", "saga-1P/ay", "saga-1/Pay[0]", "saga-1/Pay[1]"];
    for text in others.map(|start| format!("{start}/action")).iter().map(String::as_str).chain([
        "saga-1/Pay/action/2",
        "saga-1/Pay/action/3",
        "saga-1/Pay[1]/action/2",
    ]) {
        let act = |c: &Connection| service.effect(c, text, output("2"));
        let answer = barrier::action(&service.connection, pay(&key(text), "b"), NOW, act);
        assert_eq!(answer.unwrap(), completed("2"), "{text}");
    }
    assert_eq!(service.effects().len(), 9);
}

#[test]
fn an_undo_takes_back_the_round_it_names_and_no_other() {
    let service = Service::new();
    service.action("a", Err(no_money())).unwrap();
    let corrected = key("saga-1/Pay/action/2");
    let act = |c: &Connection| service.effect(c, "corrected", output("2"));
    assert_eq!(barrier::action(&service.connection, pay(&corrected, "b"), NOW, act).unwrap(), completed("2"));
    assert_eq!(service.undo("u", output("back")).unwrap(), completed("null"));
    assert_eq!(service.effects(), ["corrected"]);
    let back = |c: &Connection| service.effect(c, "taken back", output("back"));
    let undo = key("saga-1/Pay/compensation/2");
    assert_eq!(barrier::undo(&service.connection, refund(&undo, "u"), NOW, back).unwrap(), completed("back"));
    assert_eq!(service.effects(), ["corrected", "taken back"]);
}

#[test]
fn an_undo_asked_anew_with_another_payload_takes_back_what_was_done_before() {
    for is_certain in [true, false] {
        let service = Service::new();
        service.action("a", output("1")).unwrap();
        assert_eq!(service.undo("u", Err(no_money())).unwrap(), Answer::Refused(no_money()));
        let undo = key("saga-1/Pay/compensation/2");
        let ask = |payload| {
            let call = refund(&undo, payload);
            let call = if is_certain { call.certain() } else { call };
            let back = |c: &Connection| service.effect(c, "taken back", output("back"));
            barrier::undo(&service.connection, call, NOW, back)
        };
        assert_eq!(ask("corrected").unwrap(), completed("back"));
        assert_eq!(ask("corrected").unwrap(), completed("back"), "once");
        assert_eq!(service.effects(), ["acted", "taken back"]);
        assert!(matches!(ask("other"), Err(BarrierError::PayloadConflict { .. })));
    }
}

/// Field case I: the second effect vanished, and was told the answer of the first.
#[test]
fn a_second_effect_under_one_key_is_an_error_whatever_came_of_the_first() {
    for first in [output("debited"), Err(no_money())] {
        let service = Service::new();
        service.action("a", first).unwrap();
        let credit = |payload: &'static [u8]| {
            let key = key(ACTION);
            let delivery = Delivery::new(&key, "Credit", payload);
            barrier::action(&service.connection, delivery, NOW, |_| panic!("nothing may run"))
        };
        for error in [credit(b"a"), credit(b"b")].map(Result::unwrap_err) {
            let text = error.to_string();
            assert!(matches!(error, BarrierError::SecondEffect { .. }), "{text}");
            assert!(text.starts_with(amends_participant::SECOND_EFFECT), "{text}");
            assert!(text.contains(ACTION) && text.contains("`Pay`") && text.contains("`Credit`"), "{text}");
        }
    }
}

#[test]
fn a_second_undo_under_one_key_is_an_error() {
    let service = Service::new();
    service.action("a", output("1")).unwrap();
    service.undo("u", output("back")).unwrap();
    let key = key(UNDO);
    let delivery = Delivery::new(&key, "Notify", b"u");
    let error = barrier::undo(&service.connection, delivery, NOW, |_| panic!("nothing may run")).unwrap_err();
    assert!(matches!(error, BarrierError::SecondEffect { .. }), "{error}");
}

#[test]
fn a_key_of_the_other_direction_is_an_error() {
    let service = Service::new();
    service.action("a", output("1")).unwrap();
    let (action, undo) = (key(ACTION), key(UNDO));
    let swapped = [
        barrier::action(&service.connection, pay(&undo, "a"), NOW, |_| panic!("nothing may run")),
        barrier::undo(&service.connection, refund(&action, "u"), NOW, |_| panic!("nothing may run")),
    ];
    for error in swapped.map(Result::unwrap_err) {
        assert!(matches!(error, BarrierError::WrongDirection { .. }), "{error}");
    }
}

#[test]
fn an_answer_too_long_to_store_takes_no_effect() {
    let service = Service::new();
    let long = vec![b'1'; amends_participant::limits::ANSWER_BYTES_MAX + 1];
    assert!(matches!(service.action("a", Ok(long)), Err(BarrierError::AnswerTooLong { .. })));
    assert!(service.effects().is_empty());
}

#[test]
fn the_barrier_rolls_back_with_the_transaction_around_it() {
    let service = Service::new();
    service.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    service.action("a", output("1")).unwrap();
    service.connection.execute_batch("ROLLBACK").unwrap();
    assert!(service.effects().is_empty());
    assert_eq!(service.action("b", output("2")).unwrap(), completed("2"));
}

#[test]
fn retention_removes_the_oldest_rows_in_small_batches() {
    let service = Service::new();
    for (saga, made_ms) in [("1", 10), ("2", 20), ("3", 30), ("4", 400)] {
        let key = key(&format!("{saga}/Pay/action"));
        barrier::action(&service.connection, pay(&key, ""), made_ms, |_| Ok(output("1"))).unwrap();
    }
    assert_eq!(barrier::forget_before(&service.connection, 100, 2).unwrap(), 2);
    assert_eq!(barrier::forget_before(&service.connection, 100, 2).unwrap(), 1);
    assert_eq!(barrier::forget_before(&service.connection, 100, 2).unwrap(), 0);
    let left: String = service
        .connection
        .query_row("SELECT group_concat(key) FROM amends_barrier", [], |r| r.get(0))
        .unwrap();
    assert_eq!(left, "4/Pay");
}

#[test]
fn a_second_call_with_the_same_key_waits_for_the_first_and_gets_its_answer() {
    /// Set by the second connection once it waits for the lock.
    static WAITS: AtomicBool = AtomicBool::new(false);

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("service.db");
    let first = Connection::open(&path).unwrap();
    first.pragma_update(None, "journal_mode", "WAL").unwrap();
    barrier::install(&first).unwrap();
    first.execute_batch("BEGIN IMMEDIATE").unwrap();
    barrier::action(&first, pay(&key(ACTION), "a"), NOW, |_| Ok(output("first"))).unwrap();

    let (waits, waiting) = mpsc::channel();
    let second = thread::spawn(move || {
        let mut second = Connection::open(&path).unwrap();
        second
            .busy_handler(Some(move |_| {
                if !WAITS.swap(true, Ordering::SeqCst) {
                    waits.send(()).unwrap();
                }
                thread::yield_now();
                true
            }))
            .unwrap();
        barrier::action(&second, pay(&key(ACTION), "a"), NOW, |_| Ok(output("second"))).unwrap()
    });
    waiting.recv_timeout(Duration::from_secs(60)).expect("the second call waits at the unique key");
    first.execute_batch("COMMIT").unwrap();
    assert_eq!(second.join().unwrap(), completed("first"));
}

#[test]
fn any_flipped_byte_of_a_stored_row_is_reported_as_damaged() {
    let undone = || {
        let service = Service::new();
        service.action("a", output("{\"id\":\"pay_1\"}")).unwrap();
        service.undo("u", output("back")).unwrap();
        service
    };
    let refused = || {
        let service = Service::new();
        service.action("a", Err(no_money())).unwrap();
        service
    };
    let cases: [(&dyn Fn() -> Service, &str); 13] = [
        (&undone, "status = 'acted'"),
        (&undone, "status = 'blocked'"),
        (&undone, "status = 'gone'"),
        (&undone, "answer = CAST('{\"id\":\"pay_2\"}' AS BLOB)"),
        (&undone, "status = 'undoing'"),
        (&undone, "elsewhere = 1"),
        (&undone, "operation = 'Credit'"),
        (&undone, "undo_operation = NULL"),
        (&undone, "undo_answer = x'00'"),
        (&undone, "action_hash = undo_hash"),
        (&undone, "checksum = checksum + 1"),
        (&undone, "created_at_ms = created_at_ms + 1"),
        (&refused, "refusal_message = 'have 4, need 5'"),
    ];
    for (make, change) in cases {
        let service = make();
        service.connection.execute(&format!("UPDATE amends_barrier SET {change}"), []).unwrap();
        for error in [service.action("a", output("2")), service.undo("u", output("2"))] {
            let text = error.unwrap_err().to_string();
            assert!(
                text.contains("damaged") && text.contains("amends_barrier") && text.contains("saga-1"),
                "{change}: {text}"
            );
        }
    }
}

#[test]
fn a_stored_answer_of_another_type_is_damaged_not_a_default() {
    let service = Service::new();
    service.action("a", output("1")).unwrap();
    service.connection.execute("UPDATE amends_barrier SET answer = 5", []).unwrap();
    let error = service.action("a", output("2")).unwrap_err();
    assert!(matches!(error, BarrierError::Data(DataError::Damaged { .. })), "{error}");
}
