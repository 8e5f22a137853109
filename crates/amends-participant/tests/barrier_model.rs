//! The barrier against a model of a few lines, under random sequences of calls.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

use std::collections::BTreeMap;

use amends_participant::{
    Answer, BarrierError, CallKey, DataError, Decision, Delivery, Direction, KeyParts, ROW_FORGOTTEN,
    Refusal, UNDONE, barrier,
};
use proptest::prelude::*;
use rusqlite::Connection;

#[derive(Debug, Clone, Copy)]
struct Operation {
    row: Row,
    undo: bool,
    certain: bool,
    name: Name,
    payload: u8,
    refuse: bool,
    fail: bool,
}

/// What action and undo have in common: occurrence and round of the one step there is.
type Row = (Option<u32>, u32);

type Name = &'static str;

/// What a caller sees.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Completed(String),
    Refused(String),
    Conflict,
    SecondEffect,
    Failed,
}

#[derive(Debug, Clone)]
enum State {
    Acted { name: Name, payload: u8, answer: String },
    Refused { name: Name, payload: u8, code: String },
    Undone { name: Name, payload: u8, answer: String },
    Blocked,
}

#[derive(Default)]
struct Model {
    rows: BTreeMap<Row, State>,
    effects: Vec<String>,
}

impl Model {
    fn call(&mut self, op: Operation, nth: usize) -> Seen {
        if op.undo { self.undo(op, nth) } else { self.action(op, nth) }
    }

    fn action(&mut self, op: Operation, nth: usize) -> Seen {
        match self.rows.get(&op.row) {
            Some(State::Undone { .. } | State::Blocked) => Seen::Refused(UNDONE.to_owned()),
            Some(State::Acted { name, .. } | State::Refused { name, .. }) if *name != op.name => {
                Seen::SecondEffect
            }
            Some(State::Acted { payload, .. } | State::Refused { payload, .. }) if *payload != op.payload => {
                Seen::Conflict
            }
            Some(State::Acted { answer, .. }) => Seen::Completed(answer.clone()),
            Some(State::Refused { code, .. }) => Seen::Refused(code.clone()),
            None if op.fail => Seen::Failed,
            None if op.refuse => {
                let code = format!("no{nth}");
                self.rows.insert(
                    op.row,
                    State::Refused { name: op.name, payload: op.payload, code: code.clone() },
                );
                Seen::Refused(code)
            }
            None => {
                let answer = nth.to_string();
                self.effects.push(answer.clone());
                self.rows.insert(
                    op.row,
                    State::Acted { name: op.name, payload: op.payload, answer: answer.clone() },
                );
                Seen::Completed(answer)
            }
        }
    }

    /// The row that an undo is about: an earlier one, if the undo alone was asked anew with another payload.
    fn row_of_undo(&self, (occurrence, round): Row) -> Row {
        let is_done =
            |row: &Row| matches!(self.rows.get(row), Some(State::Acted { .. } | State::Undone { .. }));
        let earlier = (1..round).rev().map(|round| (occurrence, round));
        let is_absent = !self.rows.contains_key(&(occurrence, round));
        earlier.filter(|_| is_absent).find(is_done).unwrap_or((occurrence, round))
    }

    fn undo(&mut self, op: Operation, nth: usize) -> Seen {
        let op = Operation { row: self.row_of_undo(op.row), ..op };
        match self.rows.get(&op.row) {
            None if op.certain => Seen::Refused(ROW_FORGOTTEN.to_owned()),
            None | Some(State::Refused { .. } | State::Blocked) => {
                self.rows.insert(op.row, State::Blocked);
                Seen::Completed("null".to_owned())
            }
            Some(State::Undone { name, .. }) if *name != op.name => Seen::SecondEffect,
            Some(State::Undone { payload, .. }) if *payload != op.payload => Seen::Conflict,
            Some(State::Undone { answer, .. }) => Seen::Completed(answer.clone()),
            Some(State::Acted { .. }) if op.fail => Seen::Failed,
            Some(State::Acted { .. }) if op.refuse => Seen::Refused(format!("no{nth}")),
            Some(State::Acted { .. }) => {
                let answer = nth.to_string();
                self.effects.push(answer.clone());
                self.rows.insert(
                    op.row,
                    State::Undone { name: op.name, payload: op.payload, answer: answer.clone() },
                );
                Seen::Completed(answer)
            }
        }
    }
}

fn real(connection: &Connection, op: Operation, nth: usize) -> Seen {
    let (occurrence, round) = op.row;
    let direction = if op.undo { Direction::Compensation } else { Direction::Action };
    let key =
        CallKey::new(KeyParts { transaction: "saga", step: "Pay", occurrence, direction, round }).unwrap();
    let payload = [op.payload];
    let call = Delivery::new(&key, op.name, &payload);
    let call = if op.certain { call.certain() } else { call };
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
        barrier::undo(connection, call, 0, business)
    } else {
        barrier::action(connection, call, 0, business)
    };
    match answer {
        Ok(Answer::Completed(output)) => Seen::Completed(String::from_utf8(output).unwrap()),
        Ok(Answer::Refused(refusal)) => Seen::Refused(refusal.code),
        Err(BarrierError::PayloadConflict { .. }) => Seen::Conflict,
        Err(BarrierError::SecondEffect { .. }) => Seen::SecondEffect,
        Err(BarrierError::Data(DataError::Database(_))) => Seen::Failed,
        Err(error) => panic!("{error}"),
    }
}

fn effects(connection: &Connection) -> Vec<String> {
    let mut statement = connection.prepare("SELECT what FROM effects ORDER BY rowid").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn operation() -> impl Strategy<Value = Operation> {
    let row = prop::sample::select(&[(None, 1), (Some(0), 1), (Some(0), 2)]);
    let name = prop::sample::select(&["Pay", "Pay", "Pay", "Credit"]);
    let payload = prop::sample::select(&[0, 0, 0, 1]);
    let flags = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.3), prop::bool::weighted(0.2));
    (row, name, payload, flags).prop_map(|(row, name, payload, (undo, certain, refuse, fail))| Operation {
        row,
        undo,
        certain,
        name,
        payload,
        refuse,
        fail,
    })
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
