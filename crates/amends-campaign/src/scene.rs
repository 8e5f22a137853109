//! What every thread of a campaign has in hand: the way to the shop, what the clients know, and what was
//! found wrong.

use std::sync::{Mutex, MutexGuard};

use super::http::Shop;
use super::order::{Order, OrderKey};
use super::random::Seed;
use super::record::Record;
use super::violation::{Violation, Violations};

#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) port: u16,
    pub(crate) seed: Seed,
    /// How many post or ask concurrently.
    pub(crate) clients: u16,
    record: Mutex<Record>,
    violations: Mutex<Violations>,
}

impl Scene {
    pub(crate) fn new(port: u16, seed: Seed, clients: u16) -> Scene {
        let (record, violations) = (Mutex::new(Record::new(clients)), Mutex::default());
        Scene { port, seed, clients, record, violations }
    }

    /// One client's own way to the shop.
    pub(crate) fn shop(&self) -> Shop {
        Shop::at(self.port)
    }

    pub(crate) fn order(&self, key: OrderKey) -> Order {
        Order::of(self.seed, key)
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("nobody panics while holding the record")
    }

    pub(crate) fn violations(&self) -> MutexGuard<'_, Violations> {
        self.violations.lock().expect("nobody panics while holding the violations")
    }

    pub(crate) fn note(&self, violation: Violation) {
        self.violations().add(violation);
    }
}
