//! What the shop shows of itself, as it comes over the wire.
//!
//! Owns the shapes of `GET /shop/orders`, `/shop/ledger`, `/inventory` and `/sagas/{id}`.
//! Promises that a word or a shape the contract does not know is an error, never a default.
//! Does not judge what it reads: that is the check's.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Number, Value};

/// A page of `GET /shop/orders`; its orders are read one by one, so that a broken one does not hide the others.
#[derive(Debug, Deserialize)]
pub(crate) struct OrdersPage {
    /// The orders.
    pub(crate) orders: Vec<Value>,
    /// Where the next page begins; none after the last one.
    pub(crate) next_cursor: Option<String>,
}

/// An order with what the services hold for it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct OrderView {
    /// Its id.
    pub(crate) id: String,
    /// Who ordered; for our orders the name of their key.
    pub(crate) user_id: String,
    /// What was ordered.
    pub(crate) items: Vec<ItemView>,
    /// What it costs.
    pub(crate) total: Number,
    /// How it stands.
    pub(crate) status: OrderStatus,
    /// The saga that placed it.
    pub(crate) saga_id: String,
    /// The payment, once there was one.
    pub(crate) payment: Option<PaymentView>,
    /// The reservation, once there was one.
    pub(crate) reservation: Option<ReservationView>,
    /// The shipment, once there was one.
    pub(crate) shipment: Option<ShipmentView>,
}

/// A line of an order.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ItemView {
    /// What is bought.
    pub(crate) product_id: String,
    /// How many of it.
    pub(crate) quantity: i64,
    /// What one of it costs.
    pub(crate) price: Number,
}

/// How an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OrderStatus {
    /// Its saga is under way, or parked.
    Pending,
    /// It stands.
    Confirmed,
    /// It was taken back.
    Cancelled,
}

impl OrderStatus {
    /// The word on the wire.
    pub(crate) fn word(self) -> &'static str {
        match self {
            OrderStatus::Pending => "pending",
            OrderStatus::Confirmed => "confirmed",
            OrderStatus::Cancelled => "cancelled",
        }
    }
}

/// A payment.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PaymentView {
    /// How it stands.
    pub(crate) status: PaymentStatus,
}

/// How a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PaymentStatus {
    /// The money was taken.
    Completed,
    /// The money was given back.
    Refunded,
}

impl PaymentStatus {
    /// The word on the wire.
    pub(crate) fn word(self) -> &'static str {
        match self {
            PaymentStatus::Completed => "completed",
            PaymentStatus::Refunded => "refunded",
        }
    }
}

/// A reservation.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ReservationView {
    /// How it stands.
    pub(crate) status: ReservationStatus,
    /// What it holds or held.
    pub(crate) lines: Vec<ReservedLine>,
}

/// A line of a reservation.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ReservedLine {
    /// What is held.
    pub(crate) product_id: String,
    /// How many of it.
    pub(crate) quantity: i64,
}

/// How a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReservationStatus {
    /// The stock is held.
    Reserved,
    /// The stock is free again.
    Released,
}

impl ReservationStatus {
    /// The word on the wire.
    pub(crate) fn word(self) -> &'static str {
        match self {
            ReservationStatus::Reserved => "reserved",
            ReservationStatus::Released => "released",
        }
    }
}

/// A shipment.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ShipmentView {
    /// How it stands.
    pub(crate) status: ShipmentStatus,
    /// What the customer follows it by.
    pub(crate) tracking_number: String,
}

/// How a shipment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ShipmentStatus {
    /// It will be sent.
    Scheduled,
    /// It will not.
    Cancelled,
}

impl ShipmentStatus {
    /// The word on the wire.
    pub(crate) fn word(self) -> &'static str {
        match self {
            ShipmentStatus::Scheduled => "scheduled",
            ShipmentStatus::Cancelled => "cancelled",
        }
    }
}

/// `GET /shop/ledger`: what the services' own records add up to.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct LedgerView {
    /// Orders by status.
    pub(crate) orders: BTreeMap<String, i64>,
    /// All money ever taken, in minor units.
    pub(crate) captured: i64,
    /// All money given back, in minor units.
    pub(crate) refunded: i64,
    /// What the confirmed orders cost, in minor units.
    pub(crate) confirmed_total: i64,
    /// Payments by status.
    pub(crate) payments: BTreeMap<String, i64>,
    /// Reservations by status.
    pub(crate) reservations: BTreeMap<String, i64>,
    /// Shipments by status.
    pub(crate) shipments: BTreeMap<String, i64>,
    /// Sagas under way.
    pub(crate) live_sagas: i64,
    /// Sagas that wait for an operator.
    pub(crate) parked_sagas: i64,
}

/// `GET /inventory`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct InventoryView {
    /// The products.
    pub(crate) products: Vec<ProductView>,
}

/// The stock of one product; signed, so that a negative number is seen and not merely unreadable.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ProductView {
    /// Which one.
    pub(crate) product_id: String,
    /// How much there was at the first start.
    pub(crate) start: i64,
    /// How much is free.
    pub(crate) free: i64,
    /// How much is held.
    pub(crate) reserved: i64,
}

/// `GET /sagas/{id}`, as far as it matters here.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SagaView {
    /// The saga's id.
    pub(crate) saga_id: String,
    /// How it stands.
    pub(crate) status: String,
}
