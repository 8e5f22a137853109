//! A shop to try things on: its clock stands, its ids are counted, and a call waits for its answer.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use amends_participant::database::OnFatal;
use amends_participant::{Answer, CallKey, KeyParts, Refusal};
use amends_shop::ids::{OrderId, ProductId, UserId};
use amends_shop::messages::{
    CancelOrder, CancelShipment, ConfirmOrder, CreateOrder, Item, Line, OrderCreated, ProcessPayment,
    RefundPayment, ReleaseReservation, ReserveInventory, ScheduleShipment,
};
use amends_shop::money::Money;
use amends_shop::operation::{Operation, ServiceName};
use amends_shop::service::{CallError, Form, Service, ServiceCall};
use amends_shop::services::{Services, ServicesError};
use amends_shop::stock::Stock;
use amends_shop::surroundings::{NoRandomness, Surroundings};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::audit::audit;

/// 2026-11-23T08:00:00Z.
pub(crate) const NOW_MS: i64 = 1_795_420_800_000;

pub(crate) struct Shop {
    pub(crate) services: Services,
    pub(crate) dir: tempfile::TempDir,
}

struct Counted(AtomicU64);

impl Surroundings for Counted {
    fn now_ms(&self) -> i64 {
        NOW_MS
    }

    fn random(&self) -> Result<[u128; 2], NoRandomness> {
        let next = u128::from(self.0.fetch_add(2, Ordering::Relaxed));
        Ok([next, next + 1])
    }
}

pub(crate) fn open_one(name: ServiceName, dir: &Path) -> Service {
    Service::open(name, dir, &Stock::usual(), Arc::new(Counted(AtomicU64::new(1))), never_fatal()).unwrap()
}

fn never_fatal() -> OnFatal {
    Arc::new(|message| panic!("fatal: {message}"))
}

pub(crate) fn open(dir: &Path, stock: &Stock) -> Services {
    try_open(dir, stock).unwrap()
}

pub(crate) fn try_open(dir: &Path, stock: &Stock) -> Result<Services, ServicesError> {
    Services::open(dir, stock, Arc::new(Counted(AtomicU64::new(1))), never_fatal())
}

impl Shop {
    pub(crate) fn new() -> Shop {
        Shop::with(&Stock::usual())
    }

    pub(crate) fn with(stock: &Stock) -> Shop {
        let dir = tempfile::tempdir().unwrap();
        Shop { services: open(dir.path(), stock), dir }
    }

    pub(crate) fn try_call(
        &self,
        operation: Operation,
        saga: &str,
        payload: Vec<u8>,
    ) -> Result<Answer, CallError> {
        let (answered, answer) = mpsc::channel();
        let key = key(operation, saga);
        let (payload, form) = (payload.into(), Form::Inside);
        let call = ServiceCall { operation, key, in_doubt: true, payload, form };
        self.services.call(call, move |result| drop(answered.send(result)));
        answer.recv_timeout(Duration::from_secs(60)).expect("every call is answered")
    }

    pub(crate) fn call(&self, operation: Operation, saga: &str, payload: &impl Serialize) -> Answer {
        self.try_call(operation, saga, serde_json::to_vec(payload).unwrap()).unwrap()
    }

    pub(crate) fn done<O: DeserializeOwned>(
        &self,
        operation: Operation,
        saga: &str,
        payload: &impl Serialize,
    ) -> O {
        match self.call(operation, saga, payload) {
            Answer::Completed(output) => serde_json::from_slice(&output).unwrap(),
            Answer::Refused(refusal) => panic!("{operation} was refused: {refusal:?}"),
        }
    }

    pub(crate) fn refused(&self, operation: Operation, saga: &str, payload: &impl Serialize) -> Refusal {
        match self.call(operation, saga, payload) {
            Answer::Refused(refusal) => refusal,
            Answer::Completed(output) => panic!("{operation} answered {}", String::from_utf8_lossy(&output)),
        }
    }

    /// Takes the record of this saga's step back.
    pub(crate) fn undo(&self, operation: Operation, saga: &str) -> Answer {
        match operation {
            Operation::CancelOrder => self.call(operation, saga, &CancelOrder {}),
            Operation::RefundPayment => self.call(operation, saga, &RefundPayment {}),
            Operation::ReleaseReservation => self.call(operation, saga, &ReleaseReservation {}),
            Operation::CancelShipment => self.call(operation, saga, &CancelShipment {}),
            action => panic!("{action} undoes nothing"),
        }
    }

    pub(crate) fn create(&self, saga: &str, items: &[(&str, i64, i64)]) -> OrderCreated {
        self.done(Operation::CreateOrder, saga, &order(items))
    }

    /// A whole saga that goes well.
    pub(crate) fn place(&self, saga: &str, items: &[(&str, i64, i64)]) -> OrderId {
        let OrderCreated { order_id, total } = self.create(saga, items);
        let payment = ProcessPayment { order_id: order_id.clone(), amount: total };
        let _: serde_json::Value = self.done(Operation::ProcessPayment, saga, &payment);
        let _: serde_json::Value =
            self.done(Operation::ReserveInventory, saga, &reservation(&order_id, items));
        let shipment = ScheduleShipment { order_id: order_id.clone() };
        let _: serde_json::Value = self.done(Operation::ScheduleShipment, saga, &shipment);
        self.done::<()>(Operation::ConfirmOrder, saga, &ConfirmOrder { order_id: order_id.clone() });
        order_id
    }

    pub(crate) fn assert_sound(&self) {
        let audit = audit(self.dir.path());
        assert!(audit.violations.is_empty(), "{:#?}", audit.violations);
        assert!(audit.unfinished.is_empty(), "{:?}", audit.unfinished);
    }
}

pub(crate) fn key(operation: Operation, saga: &str) -> CallKey {
    let (step, direction) = (operation.step(), operation.direction());
    CallKey::new(KeyParts { transaction: saga, step, occurrence: None, direction, round: 1 }).unwrap()
}

/// An order of products, quantities and prices in minor units.
pub(crate) fn order(items: &[(&str, i64, i64)]) -> CreateOrder {
    let items = items.iter().map(|(product, quantity, price)| Item {
        product_id: ProductId::from(*product),
        quantity: *quantity,
        price: Money::from_minor(*price),
    });
    CreateOrder { user_id: UserId::from("user_123"), items: items.collect() }
}

pub(crate) fn reservation(order_id: &OrderId, items: &[(&str, i64, i64)]) -> ReserveInventory {
    let lines = items
        .iter()
        .map(|(product, quantity, _)| Line { product_id: ProductId::from(*product), quantity: *quantity });
    ReserveInventory { order_id: order_id.clone(), lines: lines.collect() }
}
