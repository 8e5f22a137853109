//! The check: does what the shop shows agree with itself and with every answer it gave?
//!
//! Owns the five invariants of the reference application and the comparison of orders with acknowledged
//! answers. Promises to be pure (views and claims in, violations out) and to find every kind of disagreement:
//! each has a test that makes it.
//! Does not fetch anything: that is `settle`'s. Start reading at `Check::new`, `Check::order`,
//! `Check::finish`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use serde_json::Value;

use super::answer::{Answer, End, OrderId, SagaId};
use super::order::{Line, Money, Order, OrderKey, Product};
use super::random::Seed;
use super::record::{Claim, ClaimedEnd};
use super::views::{
    InventoryView, LedgerView, OrderStatus, OrderView, PaymentStatus, ProductView, ReservationStatus,
    ReservedLine, SagaView, ShipmentStatus,
};
use super::violation::{Kind, Violation, Violations};

/// A check under way; orders are taken in one by one, because all of them together would be too much memory.
#[derive(Debug)]
pub(crate) struct Check {
    seed: Seed,
    claims: BTreeMap<OrderKey, Claimed>,
    sums: Sums,
    violations: Violations,
}

/// What a saga that is asked about answers, for orders that are neither confirmed nor cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SagaRest {
    /// It is parked (status `failed`).
    Parked,
    /// It is anything else, or not there.
    NotParked,
}

/// Whether an order looks alone (`GET /orders/{id}`) as it does in the list.
pub(crate) fn check_alone(listed: &Value, alone: &Answer) -> Result<(), Violation> {
    let is_same = alone.status == 200
        && serde_json::from_slice::<Value>(&alone.body).is_ok_and(|alone| alone == *listed);
    if is_same {
        return Ok(());
    }
    let subject = format!("GET /orders/{}", listed["id"].as_str().unwrap_or("(no id)"));
    Err(Violation::new(Kind::ViewsDisagree, subject, listed.to_string(), alone.to_string()))
}

/// Whether an acknowledged saga is there (`GET /sagas/{id}`).
pub(crate) fn check_saga(name: &str, saga: &SagaId, answer: &Answer) -> Result<(), Violation> {
    let is_there = answer.status == 200
        && serde_json::from_slice::<SagaView>(&answer.body).is_ok_and(|view| *view.saga_id == *saga.0);
    if is_there {
        return Ok(());
    }
    Err(Violation::new(
        Kind::SagaMissing,
        format!("key {name}"),
        format!("200, saga {saga}"),
        answer.to_string(),
    ))
}

/// How many orders and parked sagas a clean shop held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) confirmed: i64,
    pub(crate) cancelled: i64,
    pub(crate) parked: i64,
}

#[derive(Debug)]
struct Claimed {
    saga: Option<SagaId>,
    end: ClaimedEnd,
    /// The shop's order for this key, once it was seen.
    seen: Option<OrderId>,
}

/// What all orders together imply.
#[derive(Debug, Default)]
struct Sums {
    orders: BTreeMap<OrderStatus, i64>,
    payments: BTreeMap<PaymentStatus, i64>,
    reservations: BTreeMap<ReservationStatus, i64>,
    shipments: BTreeMap<ShipmentStatus, i64>,
    captured: i64,
    refunded: i64,
    confirmed: i64,
    /// Payments in force of parked orders: money that belongs to no confirmed order and yet is where it
    /// should be.
    parked: i64,
    reserved: BTreeMap<String, i64>,
}

impl Check {
    /// A check of that campaign, given all that its clients know.
    pub(crate) fn new(seed: Seed, claims: impl IntoIterator<Item = Claim>) -> Check {
        let mut check =
            Check { seed, claims: BTreeMap::new(), sums: Sums::default(), violations: Violations::default() };
        let mut keys_of_sagas: BTreeMap<SagaId, OrderKey> = BTreeMap::new();
        for Claim { key, saga, end } in claims {
            if let Some(saga) = &saga
                && let Some(other) = keys_of_sagas.insert(saga.clone(), key)
            {
                let subject = format!("keys {} and {}", other.name(seed), key.name(seed));
                check.add(Kind::SagaShared, subject, "a saga each", format!("saga {saga} for both"));
            }
            check.claims.insert(key, Claimed { saga, end, seen: None });
        }
        check
    }

    /// Takes in one order of the shop; `rest` says how the saga of a pending one stands.
    pub(crate) fn order(&mut self, view: &OrderView, rest: SagaRest) {
        let subject = format!("order {} of {}, saga {}", view.id, view.user_id, view.saga_id);
        let Some(total) = Money::from_json(&view.total) else {
            return self.add(Kind::Unreadable, subject, "a total with two decimals", view.total.to_string());
        };
        self.check_contents(view, total, &subject);
        self.check_claim(view, &subject);
        match view.status {
            OrderStatus::Confirmed => self.check_confirmed(view, &subject),
            OrderStatus::Cancelled => self.check_cancelled(view, &subject),
            OrderStatus::Pending => match rest {
                SagaRest::Parked => {}
                SagaRest::NotParked => {
                    self.add(Kind::PendingNotParked, subject, "confirmed, cancelled, or parked", "pending");
                }
            },
        }
        self.sums.add(view, total.0);
    }

    /// Notes that an order of the shop could not be read.
    pub(crate) fn unreadable(&mut self, what: &str, why: impl Into<String>) {
        self.add(Kind::Unreadable, what, "the shape of the contract", why);
    }

    /// Judges the sums, once every order was taken in, and gives everything that was found.
    pub(crate) fn finish(mut self, inventory: &InventoryView, ledger: &LedgerView) -> (Held, Violations) {
        self.check_every_claim_has_its_order();
        self.check_number_of_orders(ledger);
        self.check_stock(inventory);
        self.check_money(ledger);
        self.check_counts(ledger);
        let held = Held {
            confirmed: count(&self.sums.orders, OrderStatus::Confirmed),
            cancelled: count(&self.sums.orders, OrderStatus::Cancelled),
            parked: ledger.parked_sagas,
        };
        (held, self.violations)
    }

    /// Gives what was found so far, when not everything could be read.
    pub(crate) fn give_up(self) -> Violations {
        self.violations
    }

    fn add(
        &mut self,
        kind: Kind,
        subject: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) {
        self.violations.add(Violation::new(kind, subject, expected, got));
    }

    /// The order holds what was posted under its key, and the reservation, in force or not, what the order
    /// holds.
    fn check_contents(&mut self, view: &OrderView, total: Money, subject: &str) {
        let Some(key) = OrderKey::named(&view.user_id, self.seed) else { return };
        let order = Order::of(self.seed, key);
        if let Some(reservation) = &view.reservation
            && quantities(&reservation.lines) != order.quantities()
        {
            self.add(
                Kind::ReservedDiffers,
                subject,
                format!("{:?}", view.items),
                format!("{:?}", reservation.lines),
            );
        }
        if !holds_lines(view, &order.lines) || total != order.total() {
            let expected = format!("{} costing {}", order.body(), order.total());
            self.add(
                Kind::OrderDiffersFromPosted,
                subject,
                expected,
                format!("{:?} costing {total}", view.items),
            );
        }
    }

    /// The order belongs to a key of ours, is the only one of that key, and is what the answer said.
    fn check_claim(&mut self, view: &OrderView, subject: &str) {
        let key = OrderKey::named(&view.user_id, self.seed);
        let Some((key, claimed)) = key.and_then(|key| Some((key, self.claims.get_mut(&key)?))) else {
            return self.add(Kind::StrangeOrder, subject, "only orders that were posted", "an order");
        };
        let (saga, end) = (claimed.saga.clone(), claimed.end.clone());
        let first = claimed.seen.replace(OrderId(view.id.as_str().into()));
        if let Some(first) = first {
            let name = key.name(self.seed);
            self.add(Kind::SecondOrder, subject, format!("only order {first} for key {name}"), "one more");
        }
        if let Some(saga) = saga
            && *saga.0 != *view.saga_id
        {
            self.add(
                Kind::OrderNamesOtherSaga,
                subject,
                format!("saga {saga}"),
                format!("saga {}", view.saga_id),
            );
        }
        let (id, status) = match &end {
            ClaimedEnd::Known(End::Completed { order }) => (Some(order), OrderStatus::Confirmed),
            ClaimedEnd::Known(End::Compensated { order, .. }) => (order.as_ref(), OrderStatus::Cancelled),
            ClaimedEnd::Parked | ClaimedEnd::Unknown => return,
        };
        if id.is_none_or(|id| *id.0 != *view.id) || status != view.status {
            let expected = format!("order {}, {status:?}", id.map_or("(none)", |id| &id.0));
            let got = format!("order {}, {:?}", view.id, view.status);
            self.add(Kind::OrderContradictsAnswer, subject, expected, got);
        }
    }

    /// A confirmed order has a completed payment, a reservation for all its lines, and a shipment.
    fn check_confirmed(&mut self, view: &OrderView, subject: &str) {
        let mut wanted: BTreeMap<&str, i64> = BTreeMap::new();
        for item in &view.items {
            *wanted.entry(&item.product_id).or_insert(0) += item.quantity;
        }
        let is_paid = view.payment.as_ref().is_some_and(|payment| payment.status == PaymentStatus::Completed);
        let is_shipped = view.shipment.as_ref().is_some_and(|shipment| {
            shipment.status == ShipmentStatus::Scheduled && !shipment.tracking_number.is_empty()
        });
        let is_reserved = view.reservation.as_ref().is_some_and(|reservation| {
            reservation.status == ReservationStatus::Reserved && quantities(&reservation.lines) == wanted
        });
        if !(is_paid && is_reserved && is_shipped) {
            let expected = "a completed payment, a reservation for all its lines, a scheduled shipment";
            self.add(Kind::ConfirmedIncomplete, subject, expected, held_by(view));
        }
    }

    /// A cancelled order has nothing in force.
    fn check_cancelled(&mut self, view: &OrderView, subject: &str) {
        let is_paid = view.payment.as_ref().is_some_and(|payment| payment.status != PaymentStatus::Refunded);
        let is_reserved = view
            .reservation
            .as_ref()
            .is_some_and(|reservation| reservation.status != ReservationStatus::Released);
        let is_shipped =
            view.shipment.as_ref().is_some_and(|shipment| shipment.status != ShipmentStatus::Cancelled);
        if is_paid || is_reserved || is_shipped {
            self.add(Kind::CancelledInForce, subject, "nothing in force", held_by(view));
        }
    }

    fn check_every_claim_has_its_order(&mut self) {
        let mut missing = Vec::new();
        for (key, claimed) in &self.claims {
            let order = match &claimed.end {
                ClaimedEnd::Known(End::Completed { order }) => order,
                ClaimedEnd::Known(End::Compensated { order: Some(order), .. }) => order,
                ClaimedEnd::Known(End::Compensated { order: None, .. })
                | ClaimedEnd::Parked
                | ClaimedEnd::Unknown => continue,
            };
            if claimed.seen.is_none() {
                let saga = claimed.saga.as_ref().map_or("(none)", |saga| &saga.0);
                let subject = format!("key {}, saga {saga}", key.name(self.seed));
                missing.push(Violation::new(
                    Kind::OrderMissing,
                    subject,
                    format!("order {order}"),
                    "no order",
                ));
            }
        }
        self.violations.extend(missing);
    }

    /// As many orders as keys that began one: no more, no fewer.
    fn check_number_of_orders(&mut self, ledger: &LedgerView) {
        let began = self.claims.values().filter(|claimed| match &claimed.end {
            ClaimedEnd::Known(End::Completed { .. } | End::Compensated { order: Some(_), .. }) => true,
            ClaimedEnd::Known(End::Compensated { order: None, .. }) => false,
            // Whether these came to create an order only the shop can say.
            ClaimedEnd::Parked | ClaimedEnd::Unknown => claimed.seen.is_some(),
        });
        let began = i64::try_from(began.count()).expect("a count of keys fits");
        let orders: i64 = ledger.orders.values().sum();
        if began != orders {
            self.add(
                Kind::OrderCountDiffers,
                "GET /shop/ledger",
                format!("{began} orders"),
                format!("{orders}"),
            );
        }
    }

    /// Stock at start = free + reserved, nothing negative, and what is reserved is what the orders reserve.
    fn check_stock(&mut self, inventory: &InventoryView) {
        for product in Product::ALL {
            let (id, start) = (product.id(), product.stock_at_start());
            let Some(stock) = inventory.products.iter().find(|stock| stock.product_id == id) else {
                self.add(
                    Kind::StockBroken,
                    id,
                    format!("{start} at start"),
                    "no such product in GET /inventory",
                );
                continue;
            };
            let ProductView { free, reserved, .. } = *stock;
            let adds_up = stock.start == start && free.checked_add(reserved) == Some(start);
            if !adds_up || free < 0 || reserved < 0 {
                let expected = format!("{start} at start = free + reserved, nothing negative");
                let got = format!("{} at start, {free} free, {reserved} reserved", stock.start);
                self.add(Kind::StockBroken, id, expected, got);
            }
            let implied = self.sums.reserved.get(id).copied().unwrap_or(0);
            if reserved != implied {
                self.add(
                    Kind::ReservedDiffers,
                    id,
                    format!("{implied} reserved by orders"),
                    reserved.to_string(),
                );
            }
        }
    }

    /// Captured − refunded = the totals of the confirmed orders (and of parked ones that are paid).
    fn check_money(&mut self, ledger: &LedgerView) {
        let standing = self.sums.confirmed + self.sums.parked;
        let LedgerView { captured, refunded, confirmed_total, .. } = ledger;
        if captured.checked_sub(*refunded) != Some(standing) {
            let expected = format!(
                "captured − refunded = {} confirmed + {} parked",
                self.sums.confirmed, self.sums.parked
            );
            self.add(Kind::MoneyBroken, "GET /shop/ledger", expected, format!("{captured} − {refunded}"));
        }
        for (name, shown, implied) in [
            ("confirmed_total", *confirmed_total, self.sums.confirmed),
            ("captured", *captured, self.sums.captured),
            ("refunded", *refunded, self.sums.refunded),
        ] {
            self.check_figure(name, shown, implied);
        }
    }

    /// The services' own records, counted by status, are what the orders imply: a second payment of one order
    /// shows here.
    fn check_counts(&mut self, ledger: &LedgerView) {
        let sums = std::mem::take(&mut self.sums);
        self.check_table("orders", &ledger.orders, &sums.orders);
        self.check_table("payments", &ledger.payments, &sums.payments);
        self.check_table("reservations", &ledger.reservations, &sums.reservations);
        self.check_table("shipments", &ledger.shipments, &sums.shipments);
        self.sums = sums;
        let parked = self.claims.values().filter(|claimed| claimed.end == ClaimedEnd::Parked).count();
        let parked = i64::try_from(parked).expect("a count of keys fits");
        self.check_figure("parked_sagas", ledger.parked_sagas, parked);
        self.check_figure("live_sagas", ledger.live_sagas, 0);
    }

    fn check_table<S: Copy + Ord + Debug>(
        &mut self,
        name: &str,
        shown: &BTreeMap<S, i64>,
        implied: &BTreeMap<S, i64>,
    ) {
        let statuses: BTreeSet<S> = shown.keys().chain(implied.keys()).copied().collect();
        for status in statuses {
            self.check_figure(&format!("{name}, {status:?}"), count(shown, status), count(implied, status));
        }
    }

    fn check_figure(&mut self, name: &str, shown: i64, implied: i64) {
        if shown != implied {
            let subject = format!("GET /shop/ledger: {name}");
            self.add(Kind::LedgerDiffers, subject, format!("{implied} by the orders"), shown.to_string());
        }
    }
}

impl Sums {
    fn add(&mut self, view: &OrderView, total: i64) {
        *self.orders.entry(view.status).or_insert(0) += 1;
        if view.status == OrderStatus::Confirmed {
            self.confirmed += total;
        }
        if let Some(payment) = &view.payment {
            *self.payments.entry(payment.status).or_insert(0) += 1;
            self.captured += total;
            match (payment.status, view.status) {
                (PaymentStatus::Refunded, _) => self.refunded += total,
                (PaymentStatus::Completed, OrderStatus::Pending) => self.parked += total,
                (PaymentStatus::Completed, OrderStatus::Confirmed | OrderStatus::Cancelled) => {}
            }
        }
        if let Some(reservation) = &view.reservation {
            *self.reservations.entry(reservation.status).or_insert(0) += 1;
            match reservation.status {
                ReservationStatus::Reserved => {
                    for line in &reservation.lines {
                        *self.reserved.entry(line.product_id.clone()).or_insert(0) += line.quantity;
                    }
                }
                ReservationStatus::Released => {}
            }
        }
        if let Some(shipment) = &view.shipment {
            *self.shipments.entry(shipment.status).or_insert(0) += 1;
        }
    }
}

fn count<S: Ord>(counts: &BTreeMap<S, i64>, status: S) -> i64 {
    // A status that is not listed is one that none has: zero is the count, not a guess.
    counts.get(&status).copied().unwrap_or(0)
}

fn holds_lines(view: &OrderView, lines: &[Line]) -> bool {
    view.items.len() == lines.len()
        && view.items.iter().zip(lines).all(|(item, line)| {
            item.product_id == line.product.id()
                && item.quantity == line.quantity
                && Money::from_json(&item.price) == Some(line.price)
        })
}

/// How many of each product a reservation holds, repeated lines added up.
fn quantities(lines: &[ReservedLine]) -> BTreeMap<&str, i64> {
    let mut quantities = BTreeMap::new();
    for line in lines {
        *quantities.entry(line.product_id.as_str()).or_insert(0) += line.quantity;
    }
    quantities
}

fn held_by(view: &OrderView) -> String {
    format!("{:?}, {:?}, {:?}", view.payment, view.reservation, view.shipment)
}

#[cfg(test)]
mod tests;
