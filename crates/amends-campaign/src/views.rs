//! What the shop shows of itself, as it comes over the wire.
//!
//! Owns the shapes of `GET /shop/orders`, `/shop/ledger`, `/inventory` and `/sagas/{id}`.
//! Promises that a word or a shape the contract does not know is an error, never a default.
//! Does not judge what it reads: that is the check's.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Number, Value};

/// A page of `GET /shop/orders`; its orders are read one by one, so that a broken one does not hide the
/// others.
#[derive(Debug, Deserialize)]
pub(crate) struct OrdersPage {
    pub(crate) orders: Vec<Value>,
    /// Where the next page begins; none after the last one.
    pub(crate) next_cursor: Option<String>,
}

/// An order with what the services hold for it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct OrderView {
    pub(crate) id: String,
    /// Who ordered; for our orders the name of their key.
    pub(crate) user_id: String,
    pub(crate) items: Vec<ItemView>,
    pub(crate) total: Number,
    pub(crate) status: OrderStatus,
    pub(crate) saga_id: String,
    pub(crate) payment: Option<PaymentView>,
    pub(crate) reservation: Option<ReservationView>,
    pub(crate) shipment: Option<ShipmentView>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ItemView {
    pub(crate) product_id: String,
    pub(crate) quantity: i64,
    pub(crate) price: Number,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OrderStatus {
    /// Its saga is under way, or parked.
    Pending,
    Confirmed,
    Cancelled,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PaymentView {
    pub(crate) status: PaymentStatus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PaymentStatus {
    Completed,
    Refunded,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ReservationView {
    pub(crate) status: ReservationStatus,
    /// What it holds or held.
    pub(crate) lines: Vec<ReservedLine>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ReservedLine {
    pub(crate) product_id: String,
    pub(crate) quantity: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReservationStatus {
    Reserved,
    Released,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ShipmentView {
    pub(crate) status: ShipmentStatus,
    /// What the customer follows it by.
    pub(crate) tracking_number: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ShipmentStatus {
    Scheduled,
    Cancelled,
}

/// `GET /shop/ledger`: what the services' own records add up to.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct LedgerView {
    pub(crate) orders: BTreeMap<OrderStatus, i64>,
    /// All money ever taken, in minor units.
    pub(crate) captured: i64,
    /// All money given back, in minor units.
    pub(crate) refunded: i64,
    /// What the confirmed orders cost, in minor units.
    pub(crate) confirmed_total: i64,
    pub(crate) payments: BTreeMap<PaymentStatus, i64>,
    pub(crate) reservations: BTreeMap<ReservationStatus, i64>,
    pub(crate) shipments: BTreeMap<ShipmentStatus, i64>,
    pub(crate) live_sagas: i64,
    pub(crate) parked_sagas: i64,
}

/// `GET /inventory`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct InventoryView {
    pub(crate) products: Vec<ProductView>,
}

/// The stock of one product; signed, so that a negative number is seen and not merely unreadable.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ProductView {
    pub(crate) product_id: String,
    pub(crate) start: i64,
    pub(crate) free: i64,
    pub(crate) reserved: i64,
}

/// `GET /sagas/{id}`, as far as it matters here.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SagaView {
    pub(crate) saga_id: String,
    pub(crate) status: String,
}
