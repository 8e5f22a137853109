//! Effects in another system under random interleavings: attempts beside and behind each other, answers that
//! get lost, and crashes between any two writes.
//!
//! The other system is a payment provider that knows one key per call. What must hold is looked at from
//! there: what was answered is what it did.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

use amends_participant::barrier::elsewhere::{self, Begun, Earlier, Effect, Intent, Recorded, UndoIntent};
use amends_participant::{Answer, CallKey, Decision, Delivery, Direction, Refusal, UNDONE, barrier};
use proptest::prelude::*;
use rusqlite::Connection;

#[derive(Debug, Clone)]
enum Move {
    /// Another attempt of the action, or of its undo.
    Ask(Direction),
    /// An attempt reaches the provider. Its answer may be lost.
    Act { attempt: usize, lost: bool },
    /// An attempt writes down what the provider told it, if it was told.
    Record { attempt: usize },
    /// An attempt is given up: the caller is told *unknown*.
    GiveUp { attempt: usize },
    /// The service is killed: every attempt is gone.
    Crash,
}

/// The provider's record of the one key there is.
#[derive(Debug, Default)]
struct Provider {
    declines: bool,
    charge: Charge,
    /// How often money was taken.
    charges: u32,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Charge {
    #[default]
    None,
    InForce,
    Refunded,
    /// It refuses a charge that comes after its refund.
    Cancelled,
}

impl Provider {
    fn charge(&mut self) -> Decision {
        match self.charge {
            Charge::None if self.declines => Err(Refusal::new("declined", "")),
            Charge::None => {
                self.charge = Charge::InForce;
                self.charges += 1;
                Ok(b"charged".to_vec())
            }
            Charge::InForce => Ok(b"charged".to_vec()),
            Charge::Refunded | Charge::Cancelled => Err(Refusal::new("cancelled", "")),
        }
    }

    /// Whether it remembers refunds of what it has not seen decides whether a late charge can pass.
    fn refund(&mut self, remembers: bool) -> Decision {
        self.charge = match self.charge {
            Charge::InForce | Charge::Refunded => Charge::Refunded,
            Charge::None if remembers => Charge::Cancelled,
            Charge::None => Charge::None,
            Charge::Cancelled => Charge::Cancelled,
        };
        Ok(b"null".to_vec())
    }
}

/// An attempt between its intent and its record.
enum Attempt {
    Action { intent: Intent, told: Option<Decision>, began_late: bool },
    Undo { intent: UndoIntent, told: Option<Decision> },
}

struct World {
    connection: Connection,
    provider: Provider,
    remembers: bool,
    attempts: Vec<Attempt>,
    /// What was answered to the action that was not "it is undone".
    action: Option<Answer>,
    undo_asked: bool,
    undone: bool,
    /// An attempt took money after an undo had looked, and died before it could say so: nobody here can know.
    is_lost: bool,
    undo_looked: bool,
}

fn key(direction: Direction) -> CallKey {
    "saga-1/Pay[0]/action/2".parse::<CallKey>().unwrap().toward(direction)
}

impl World {
    fn new(declines: bool, remembers: bool) -> World {
        let connection = Connection::open_in_memory().unwrap();
        barrier::install(&connection).unwrap();
        World {
            connection,
            provider: Provider { declines, ..Provider::default() },
            remembers,
            attempts: Vec::new(),
            action: None,
            undo_asked: false,
            undone: false,
            is_lost: false,
            undo_looked: false,
        }
    }

    fn ask_action(&mut self) {
        let key = key(Direction::Action);
        let begun =
            elsewhere::begin_action(&self.connection, Delivery::new(&key, "Charge", b"5"), 0).unwrap();
        match begun {
            Begun::Answered(answer) => self.answered(answer),
            Begun::Intended(intent) => {
                assert!(!self.undo_asked, "nothing is intended after its undo");
                let is_first = self.attempts.is_empty() && self.action.is_none();
                assert!(is_first || intent.earlier() == Earlier::Unanswered);
                self.attempts.push(Attempt::Action { intent, told: None, began_late: false });
            }
        }
    }

    fn ask_undo(&mut self) {
        let key = key(Direction::Compensation);
        self.undo_asked = true;
        let begun = elsewhere::begin_undo(&self.connection, Delivery::new(&key, "Refund", b"{}"), 0).unwrap();
        match begun {
            Begun::Answered(answer) => {
                assert_eq!(answer, Answer::Completed(b"null".to_vec()));
                self.undone = true;
            }
            Begun::Intended(intent) => self.attempts.push(Attempt::Undo { intent, told: None }),
        }
    }

    fn at(&self, attempt: usize) -> Option<usize> {
        attempt.checked_rem(self.attempts.len())
    }

    fn answered(&mut self, answer: Answer) {
        match &answer {
            Answer::Refused(refusal) if refusal.code == UNDONE => assert!(self.undo_asked),
            Answer::Completed(_) | Answer::Refused(_) => {
                assert!(self.action.as_ref().is_none_or(|first| *first == answer), "the first answer counts");
                self.action = Some(answer);
            }
        }
    }

    fn act(&mut self, attempt: usize, lost: bool) {
        let Some(at) = self.at(attempt) else { return };
        match &mut self.attempts[at] {
            Attempt::Action { told, began_late, .. } => {
                let charges = self.provider.charges;
                let decision = self.provider.charge();
                *began_late |= self.undo_looked && self.provider.charges > charges;
                if !lost {
                    *told = Some(decision);
                }
            }
            Attempt::Undo { told, .. } => {
                let decision = self.provider.refund(self.remembers);
                self.undo_looked = true;
                if !lost {
                    *told = Some(decision);
                }
            }
        }
    }

    fn record(&mut self, attempt: usize) {
        let Some(at) = self.at(attempt) else { return };
        let recorded = match self.attempts.swap_remove(at) {
            Attempt::Action { intent, told: Some(told), .. } => {
                let recorded = intent.record(&self.connection, told).unwrap();
                match recorded {
                    Recorded::Answered(answer) => return self.answered(answer),
                    Recorded::TakeBack(undo) => undo,
                }
            }
            Attempt::Undo { intent, told: Some(told) } => {
                match intent.record(&self.connection, told).unwrap() {
                    Recorded::Answered(answer) => {
                        assert_eq!(answer, Answer::Completed(b"null".to_vec()));
                        self.undone = true;
                        return;
                    }
                    Recorded::TakeBack(undo) => undo,
                }
            }
            untold @ (Attempt::Action { .. } | Attempt::Undo { .. }) => return self.attempts.push(untold),
        };
        self.attempts.push(Attempt::Undo { intent: recorded, told: None });
    }

    fn give_up(&mut self, attempt: Attempt) {
        match attempt {
            Attempt::Action { began_late, .. } => self.is_lost |= began_late,
            // The caller has its answer and does not ask again. The row still says that something is owed.
            Attempt::Undo { intent, .. }
                if self.undone
                    && self.provider.charge == Charge::InForce
                    && matches!(intent.effect(), Effect::TookPlace(_)) =>
            {
                assert_eq!(self.status(), "undoing");
                self.is_lost = true;
            }
            Attempt::Undo { .. } => {}
        }
    }

    fn status(&self) -> String {
        self.connection.query_row("SELECT status FROM amends_barrier", [], |row| row.get(0)).unwrap()
    }

    fn crash(&mut self) {
        for attempt in std::mem::take(&mut self.attempts) {
            self.give_up(attempt);
        }
    }

    fn make(&mut self, step: Move) {
        match step {
            Move::Ask(Direction::Action) => self.ask_action(),
            Move::Ask(Direction::Compensation) => self.ask_undo(),
            Move::Act { attempt, lost } => self.act(attempt, lost),
            Move::Record { attempt } => self.record(attempt),
            Move::GiveUp { attempt } => {
                if let Some(at) = self.at(attempt) {
                    let attempt = self.attempts.swap_remove(at);
                    self.give_up(attempt);
                }
            }
            Move::Crash => self.crash(),
        }
    }

    /// After the last fault: attempts under way come to their end, and the caller repeats until it has an
    /// answer.
    fn settle(&mut self) {
        while !self.attempts.is_empty() {
            self.act(0, false);
            self.record(0);
        }
        match (self.undo_asked, self.undone) {
            (true, true) => {}
            (true, false) => self.ask_undo(),
            (false, _) => self.ask_action(),
        }
        if !self.attempts.is_empty() {
            self.settle();
        }
    }
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let attempt = || 0..8_usize;
    let step = prop_oneof![
        4 => Just(Move::Ask(Direction::Action)),
        3 => Just(Move::Ask(Direction::Compensation)),
        6 => (attempt(), prop::bool::weighted(0.3)).prop_map(|(attempt, lost)| Move::Act { attempt, lost }),
        4 => attempt().prop_map(|attempt| Move::Record { attempt }),
        2 => attempt().prop_map(|attempt| Move::GiveUp { attempt }),
        1 => Just(Move::Crash),
    ];
    prop::collection::vec(step, 0..32)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_answered_is_what_the_other_system_did(
        moves in moves(),
        declines in prop::bool::weighted(0.2),
        remembers in any::<bool>(),
    ) {
        let mut world = World::new(declines, remembers);
        for step in moves {
            world.make(step);
        }
        world.settle();
        prop_assert!(world.provider.charges <= 1);
        let is_in_force = world.provider.charge == Charge::InForce;
        if world.undo_asked {
            prop_assert!(world.undone);
            world.ask_action();
            prop_assert!(world.attempts.is_empty());
            prop_assert!(!is_in_force || (world.is_lost && !remembers), "{:?}", world.provider);
        } else {
            prop_assert_eq!(is_in_force, matches!(world.action, Some(Answer::Completed(_))));
        }
    }
}
