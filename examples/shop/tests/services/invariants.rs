//! What must always hold, after random sagas with repeated, late, refused and undone calls.

use amends_participant::{Answer, UNDONE};
use amends_shop::ids::OrderId;
use amends_shop::messages::{ConfirmOrder, OrderCreated, ProcessPayment, ScheduleShipment};
use amends_shop::money::Money;
use amends_shop::operation::Operation;
use amends_shop::stock::Stock;
use proptest::prelude::*;

use crate::audit::audit;
use crate::shop::{Shop, order, reservation};

const ACTIONS: [Operation; 5] = [
    Operation::CreateOrder,
    Operation::ProcessPayment,
    Operation::ReserveInventory,
    Operation::ScheduleShipment,
    Operation::ConfirmOrder,
];
const UNDOS: [Operation; 4] = [
    Operation::CancelOrder,
    Operation::RefundPayment,
    Operation::ReleaseReservation,
    Operation::CancelShipment,
];
/// From here on a saga only goes forward.
const PIVOT: usize = 3;

const PRODUCTS: [&str; 3] = ["product_1", "product_2", "nowhere_sold"];

/// A saga driven by hand: which of its actions are done, and where it is heading.
struct Saga {
    name: String,
    items: Vec<(&'static str, i64, i64)>,
    created: Option<OrderCreated>,
    done: usize,
    heading: Heading,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heading {
    Forward,
    /// Undoing, from this many done steps down.
    Back,
    Ended,
}

#[derive(Debug, Clone, Copy)]
enum Move {
    /// The next action or undo, asked this many times over.
    Step { times: usize },
    /// Turns back, the step under way being in doubt.
    TurnBack,
    /// An earlier action comes again, late.
    Late { step: usize },
    /// An operator takes a completed saga back.
    Reverse,
}

impl Saga {
    fn payload(&self, operation: Operation) -> Vec<u8> {
        let order_id =
            self.created.as_ref().map_or_else(|| OrderId::from("none"), |made| made.order_id.clone());
        let amount = self.created.as_ref().map_or(Money::ZERO, |made| made.total);
        let bytes = match operation {
            Operation::CreateOrder => serde_json::to_vec(&order(&self.items)),
            Operation::ProcessPayment => serde_json::to_vec(&ProcessPayment { order_id, amount }),
            Operation::ReserveInventory => serde_json::to_vec(&reservation(&order_id, &self.items)),
            Operation::ScheduleShipment => serde_json::to_vec(&ScheduleShipment { order_id }),
            Operation::ConfirmOrder => serde_json::to_vec(&ConfirmOrder { order_id }),
            Operation::CancelOrder
            | Operation::RefundPayment
            | Operation::ReleaseReservation
            | Operation::CancelShipment => Ok(b"{}".to_vec()),
        };
        bytes.unwrap()
    }

    fn ask(&self, shop: &Shop, operation: Operation) -> Answer {
        shop.try_call(operation, &self.name, self.payload(operation)).unwrap()
    }

    fn step(&mut self, shop: &Shop, times: usize) {
        match self.heading {
            Heading::Forward => self.act(shop, times),
            Heading::Back => self.undo(shop, times),
            Heading::Ended => {}
        }
    }

    fn act(&mut self, shop: &Shop, times: usize) {
        let operation = ACTIONS[self.done];
        let first = self.ask(shop, operation);
        for _ in 1..times {
            assert_eq!(self.ask(shop, operation), first);
        }
        match first {
            Answer::Refused(_) => self.heading = Heading::Back,
            Answer::Completed(output) => {
                if operation == Operation::CreateOrder {
                    self.created = Some(serde_json::from_slice(&output).unwrap());
                }
                self.done += 1;
                if self.done == ACTIONS.len() {
                    self.heading = Heading::Ended;
                }
            }
        }
    }

    fn undo(&mut self, shop: &Shop, times: usize) {
        let Some(last) = self.done.checked_sub(1) else {
            self.heading = Heading::Ended;
            return;
        };
        // What follows the pivot has no undo.
        if let Some(undo) = UNDOS.get(last) {
            for _ in 0..times {
                assert_eq!(self.ask(shop, *undo), Answer::Completed(b"null".to_vec()));
            }
        }
        self.done = last;
    }

    fn turn_back(&mut self, shop: &Shop) {
        if self.heading == Heading::Forward && self.done < PIVOT {
            // The action under way may or may not have arrived; its undo goes first, and it may still come
            // afterwards.
            self.ask(shop, UNDOS[self.done]);
            self.heading = Heading::Back;
        }
    }

    fn late(&self, shop: &Shop, step: usize) {
        if step < self.done || self.heading == Heading::Ended && self.created.is_some() && self.done > 0 {
            let answer = self.ask(shop, ACTIONS[step]);
            assert!(matches!(answer, Answer::Completed(_)), "{answer:?}");
        } else if self.heading != Heading::Forward && step < UNDOS.len() && step > self.done {
            // Undone, or never begun and then not to be begun: only the former knows.
            if let Answer::Refused(refusal) = shop.try_call(UNDOS[step], &self.name, b"{}".to_vec()).unwrap()
            {
                panic!("an undo was refused: {refusal:?}");
            }
            let answer = self.ask(shop, ACTIONS[step]);
            assert!(matches!(&answer, Answer::Refused(refusal) if refusal.code == UNDONE), "{answer:?}");
        }
    }

    fn reverse(&mut self) {
        if self.heading == Heading::Ended && self.done == ACTIONS.len() {
            self.heading = Heading::Back;
        }
    }
}

fn items() -> impl Strategy<Value = Vec<(&'static str, i64, i64)>> {
    let product = prop::sample::select(&[PRODUCTS[0], PRODUCTS[0], PRODUCTS[1], PRODUCTS[1], PRODUCTS[2]]);
    prop::collection::vec((product, 1..4_i64, prop_oneof![1..5_000_i64, Just(400_000_i64)]), 1..4)
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        6 => (1..4_usize).prop_map(|times| Move::Step { times }),
        1 => Just(Move::TurnBack),
        1 => (0..ACTIONS.len()).prop_map(|step| Move::Late { step }),
        1 => Just(Move::Reverse),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_sequence_of_sagas_keeps_the_books_straight(
        orders in prop::collection::vec(items(), 1..8),
        moves in prop::collection::vec((any::<prop::sample::Index>(), moves()), 0..80),
    ) {
        let shop = Shop::with(&"product_1=10,product_2=6".parse::<Stock>().unwrap());
        let mut sagas: Vec<Saga> = orders
            .into_iter()
            .enumerate()
            .map(|(n, items)| Saga {
                name: format!("saga-{n}"), items, created: None, done: 0, heading: Heading::Forward,
            })
            .collect();
        for (which, choice) in moves {
            let saga = which.get_mut(&mut sagas);
            match choice {
                Move::Step { times } => saga.step(&shop, times),
                Move::TurnBack => saga.turn_back(&shop),
                Move::Late { step } => saga.late(&shop, step),
                Move::Reverse => saga.reverse(),
            }
        }
        for saga in &mut sagas {
            while saga.heading != Heading::Ended {
                saga.step(&shop, 1);
            }
        }
        shop.assert_sound();

        let ledger = shop.services.ledger().unwrap();
        let completed = sagas.iter().filter(|saga| saga.done == ACTIONS.len()).count();
        prop_assert_eq!(ledger.captured - ledger.refunded, ledger.confirmed_total);
        prop_assert_eq!(ledger.orders["confirmed"], i64::try_from(completed).unwrap());
        prop_assert_eq!(ledger.orders["pending"], 0);
        prop_assert_eq!(ledger.payments["completed"], ledger.orders["confirmed"]);
        for product in shop.services.inventory().unwrap().products {
            prop_assert_eq!(product.start, product.free + product.reserved);
        }
    }
}

#[test]
fn the_audit_names_each_broken_rule() {
    use amends_shop::operation::ServiceName::{Inventory, Order, Payment, Shipping};
    for (service, sql, named) in [
        (Payment, "UPDATE payments SET status = 'refunded'", "0 payments in force"),
        (Payment, "UPDATE payments SET amount = amount - 1", "was paid"),
        (Payment, "UPDATE payments SET amount = amount - 1", "kept"),
        (
            Payment,
            "INSERT INTO payments (status, amount, id, transaction_id, order_id, saga)
             SELECT status, amount, id, transaction_id, order_id, saga FROM payments",
            "2 payments in force",
        ),
        (Payment, "UPDATE payments SET order_id = 'ord_none'", "does not exist"),
        (
            Inventory,
            "UPDATE stock SET free = free + 1, reserved = reserved - 1 WHERE number = 1",
            "by reservations",
        ),
        (Inventory, "UPDATE reservation_lines SET product_id = 'product_2'", "not for all its lines"),
        (Inventory, "INSERT INTO reservation_lines VALUES (1, 1, 'product_3', 1)", "not for all its lines"),
        (Shipping, "UPDATE shipments SET status = 'cancelled'", "0 shipments in force"),
        (Order, "UPDATE orders SET status = 'cancelled'", "is cancelled, but has 1 reservations in force"),
    ] {
        let shop = Shop::new();
        shop.place("saga-1", &[("product_1", 2, 100)]);
        shop.assert_sound();
        let other = rusqlite::Connection::open(shop.dir.path().join(service.file())).unwrap();
        other.execute(sql, []).unwrap();
        let found = audit(shop.dir.path()).violations;
        assert!(found.iter().any(|text| text.contains(named)), "{sql}: {found:?}");
    }
}

#[test]
fn an_order_whose_saga_has_not_ended_is_unfinished_and_breaks_no_rule() {
    let shop = Shop::new();
    let order_id = shop.create("saga-1", &[("product_1", 1, 100)]).order_id;
    let payment = ProcessPayment { order_id: order_id.clone(), amount: Money::from_minor(100) };
    shop.call(Operation::ProcessPayment, "saga-1", &payment);
    let audit = audit(shop.dir.path());
    assert_eq!((audit.violations, audit.unfinished), (vec![], vec![order_id.to_string()]));
}

/// The campaign's own test: without the barrier a repeat must show.
#[cfg(feature = "sabotage")]
#[test]
fn without_the_barrier_a_repeated_call_breaks_a_rule() {
    let Shop { services, dir } = Shop::new();
    let shop = Shop { services: services.without_barrier(), dir };
    let order_id = shop.place("saga-1", &[("product_1", 2, 100)]);
    shop.assert_sound();
    let payment = ProcessPayment { order_id, amount: Money::from_minor(200) };
    let first = shop.call(Operation::ProcessPayment, "saga-1", &payment);
    assert_ne!(shop.call(Operation::ProcessPayment, "saga-1", &payment), first);
    assert!(!audit(shop.dir.path()).violations.is_empty());
    let ledger = shop.services.ledger().unwrap();
    assert_ne!(ledger.captured - ledger.refunded, ledger.confirmed_total);
    assert_eq!(shop.undo(Operation::RefundPayment, "saga-2"), Answer::Completed(b"null".to_vec()));
}
