//! The barrier against a model of a few lines, under random sequences of calls.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

use std::collections::BTreeMap;

use amends_participant::{Answer, BarrierError, Call, Decision, Refusal, UNDONE, barrier};
use proptest::prelude::*;
use rusqlite::Connection;

#[derive(Debug, Clone, Copy)]
struct Operation {
    step: u8,
    undo: bool,
    payload: u8,
    refuse: bool,
    fail: bool,
}

/// What a caller sees.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Completed(String),
    Refused(String),
    Conflict,
    Failed,
}

#[derive(Debug, Clone)]
enum State {
    Acted { payload: u8, answer: String },
    Refused { payload: u8, code: String },
    Undone { payload: u8, answer: String },
    Blocked,
}

#[derive(Default)]
struct Model {
    steps: BTreeMap<u8, State>,
    effects: Vec<String>,
}

impl Model {
    fn call(&mut self, op: Operation, nth: usize) -> Seen {
        if op.undo { self.undo(op, nth) } else { self.action(op, nth) }
    }

    fn action(&mut self, op: Operation, nth: usize) -> Seen {
        match self.steps.get(&op.step) {
            Some(State::Undone { .. } | State::Blocked) => Seen::Refused(UNDONE.to_owned()),
            Some(State::Acted { payload, .. } | State::Refused { payload, .. }) if *payload != op.payload => {
                Seen::Conflict
            }
            Some(State::Acted { answer, .. }) => Seen::Completed(answer.clone()),
            Some(State::Refused { code, .. }) => Seen::Refused(code.clone()),
            None if op.fail => Seen::Failed,
            None if op.refuse => {
                let code = format!("no{nth}");
                self.steps.insert(op.step, State::Refused { payload: op.payload, code: code.clone() });
                Seen::Refused(code)
            }
            None => {
                let answer = nth.to_string();
                self.effects.push(answer.clone());
                self.steps.insert(op.step, State::Acted { payload: op.payload, answer: answer.clone() });
                Seen::Completed(answer)
            }
        }
    }

    fn undo(&mut self, op: Operation, nth: usize) -> Seen {
        match self.steps.get(&op.step) {
            None | Some(State::Refused { .. } | State::Blocked) => {
                self.steps.insert(op.step, State::Blocked);
                Seen::Completed("null".to_owned())
            }
            Some(State::Undone { payload, .. }) if *payload != op.payload => Seen::Conflict,
            Some(State::Undone { answer, .. }) => Seen::Completed(answer.clone()),
            Some(State::Acted { .. }) if op.fail => Seen::Failed,
            Some(State::Acted { .. }) if op.refuse => Seen::Refused(format!("no{nth}")),
            Some(State::Acted { .. }) => {
                let answer = nth.to_string();
                self.effects.push(answer.clone());
                self.steps.insert(op.step, State::Undone { payload: op.payload, answer: answer.clone() });
                Seen::Completed(answer)
            }
        }
    }
}

fn real(connection: &Connection, op: Operation, nth: usize) -> Seen {
    let step = op.step.to_string();
    let payload = [op.payload];
    let call = Call { saga: "saga", step: &step, in_doubt: op.undo, payload: &payload };
    let business = |c: &Connection| -> Result<Decision, _> {
        c.execute("INSERT INTO effects VALUES (?1)", [nth.to_string()])?;
        if op.fail {
            return Err(rusqlite::Error::QueryReturnedNoRows.into());
        }
        Ok(if op.refuse {
            Err(Refusal::new(&format!("no{nth}"), ""))
        } else {
            Ok(nth.to_string().into_bytes())
        })
    };
    let answer = if op.undo {
        barrier::undo(connection, &call, 0, business)
    } else {
        barrier::action(connection, &call, 0, business)
    };
    match answer {
        Ok(Answer::Completed(output)) => Seen::Completed(String::from_utf8(output).unwrap()),
        Ok(Answer::Refused(refusal)) => Seen::Refused(refusal.code),
        Err(BarrierError::PayloadConflict { .. }) => Seen::Conflict,
        Err(BarrierError::Database(_)) => Seen::Failed,
        Err(error) => panic!("{error}"),
    }
}

fn effects(connection: &Connection) -> Vec<String> {
    let mut statement = connection.prepare("SELECT what FROM effects ORDER BY rowid").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn operation() -> impl Strategy<Value = Operation> {
    (0..3_u8, any::<bool>(), 0..2_u8, prop::bool::weighted(0.3), prop::bool::weighted(0.2))
        .prop_map(|(step, undo, payload, refuse, fail)| Operation { step, undo, payload, refuse, fail })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_barrier_answers_like_its_model(
        operations in prop::collection::vec(operation(), 1..40),
        in_one_transaction in any::<bool>(),
    ) {
        let connection = Connection::open_in_memory().unwrap();
        barrier::install(&connection).unwrap();
        connection.execute_batch("CREATE TABLE effects (what TEXT)").unwrap();
        if in_one_transaction {
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        }
        let mut model = Model::default();
        for (nth, op) in operations.into_iter().enumerate() {
            prop_assert_eq!(real(&connection, op, nth), model.call(op, nth), "{:?}, call {}", op, nth);
            prop_assert_eq!(effects(&connection), model.effects.clone());
        }
    }
}
