//! What can be seen of the shop: orders with everything done for them, the stock, and what it all adds up to.
//!
//! Owns the shapes that go out, as JSON, and how an order and a ledger are put together from what the four
//! services show. Promises amounts as people see them, but in the ledger, which counts minor units. Does not
//! read anything: that is done in `records`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{
    OrderId, PaymentId, ProductId, ReservationId, SagaId, ShipmentId, TrackingNumber, TransactionId, UserId,
};
use crate::inventory::ReservationStatus;
use crate::limits::{ORDERS_PAGE_DEFAULT, ORDERS_PAGE_MAX};
use crate::messages::{Item, Line};
use crate::money::{self, Money};
use crate::order::OrderStatus;
use crate::payment::PaymentStatus;
use crate::shipping::ShipmentStatus;

/// An order and everything done for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    /// Its id.
    pub id: OrderId,
    /// Who ordered.
    pub user_id: UserId,
    /// What was ordered.
    pub items: Vec<ItemView>,
    /// What it costs.
    #[serde(with = "money::outside")]
    pub total: Money,
    /// What has become of it.
    pub status: OrderStatus,
    /// When it was made, in RFC 3339.
    pub created_at: String,
    /// The saga it was made by.
    pub saga_id: SagaId,
    /// Its payment, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentView>,
    /// Its reservation, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation: Option<ReservationView>,
    /// Its shipment, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipment: Option<ShipmentView>,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemView {
    /// Which product.
    pub product_id: ProductId,
    /// How many.
    pub quantity: i64,
    /// What one costs.
    #[serde(with = "money::outside")]
    pub price: Money,
}

/// A payment. Where an order has several, one in force is shown before one that was given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentView {
    /// Its id.
    pub id: PaymentId,
    /// How much.
    #[serde(with = "money::outside")]
    pub amount: Money,
    /// What has become of it.
    pub status: PaymentStatus,
    /// The money's own transaction.
    pub transaction_id: TransactionId,
}

/// A reservation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationView {
    /// Its id.
    pub id: ReservationId,
    /// What has become of it.
    pub status: ReservationStatus,
    /// What it sets aside.
    pub lines: Vec<Line>,
}

/// A shipment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipmentView {
    /// Its id.
    pub id: ShipmentId,
    /// What has become of it.
    pub status: ShipmentStatus,
    /// What the parcel carries.
    pub tracking_number: TrackingNumber,
    /// When it leaves, in RFC 3339.
    pub scheduled_date: String,
}

/// Some orders, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrdersPage {
    /// The orders.
    pub orders: Vec<OrderView>,
    /// Where the next page begins; nothing if this is the last.
    pub next_cursor: Option<String>,
}

/// How many orders a page has at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit(usize);

/// The number is not a valid limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a page holds 1 to {ORDERS_PAGE_MAX} orders, not {0}")]
pub struct BadLimit(pub usize);

/// What is there of each product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryView {
    /// The products, as the stock listed them.
    pub products: Vec<ProductView>,
}

/// What is there of one product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductView {
    /// Which product.
    pub product_id: ProductId,
    /// How many there were at first.
    pub start: i64,
    /// How many can be had.
    pub free: i64,
    /// How many are set aside.
    pub reserved: i64,
}

/// How many records have each status.
pub type Counts = BTreeMap<String, i64>;

/// What the payment service did for some orders.
pub type Payments = BTreeMap<OrderId, PaymentView>;
/// What the inventory service did for some orders.
pub type Reservations = BTreeMap<OrderId, ReservationView>;
/// What the shipping service did for some orders.
pub type Shipments = BTreeMap<OrderId, ShipmentView>;

/// What the order service's records add up to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderSums {
    /// Orders by status.
    pub orders: Counts,
    /// The totals of the confirmed ones, in minor units.
    pub confirmed_total: i64,
}

/// What the payment service's records add up to; amounts in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentSums {
    /// Payments by status.
    pub payments: Counts,
    /// Everything ever paid.
    pub captured: i64,
    /// Everything given back.
    pub refunded: i64,
}

/// What the inventory service's reservations add up to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationSums {
    /// Reservations by status.
    pub reservations: Counts,
}

/// What the shipping service's records add up to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipmentSums {
    /// Shipments by status.
    pub shipments: Counts,
}

/// What the records of the four services add up to; amounts in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Orders by status.
    pub orders: Counts,
    /// Everything ever paid.
    pub captured: i64,
    /// Everything given back.
    pub refunded: i64,
    /// The totals of the confirmed orders.
    pub confirmed_total: i64,
    /// Payments by status.
    pub payments: Counts,
    /// Reservations by status.
    pub reservations: Counts,
    /// Shipments by status.
    pub shipments: Counts,
}

impl OrderView {
    /// Adds what the other services did for it.
    pub(crate) fn add(
        &mut self,
        payments: &mut Payments,
        reservations: &mut Reservations,
        shipments: &mut Shipments,
    ) {
        self.payment = payments.remove(&self.id);
        self.reservation = reservations.remove(&self.id);
        self.shipment = shipments.remove(&self.id);
    }
}

impl Ledger {
    /// What the four services show, together.
    pub(crate) fn of(
        orders: OrderSums,
        payments: PaymentSums,
        reservations: ReservationSums,
        shipments: ShipmentSums,
    ) -> Ledger {
        Ledger {
            orders: orders.orders,
            captured: payments.captured,
            refunded: payments.refunded,
            confirmed_total: orders.confirmed_total,
            payments: payments.payments,
            reservations: reservations.reservations,
            shipments: shipments.shipments,
        }
    }
}

impl PageLimit {
    /// A limit within what a page can hold.
    ///
    /// # Errors
    /// When it is zero or above [`ORDERS_PAGE_MAX`].
    pub fn new(limit: usize) -> Result<PageLimit, BadLimit> {
        if (1..=ORDERS_PAGE_MAX).contains(&limit) { Ok(PageLimit(limit)) } else { Err(BadLimit(limit)) }
    }

    pub(crate) fn orders(self) -> usize {
        self.0
    }

    /// The limit of a request that names none.
    pub const USUAL: PageLimit = PageLimit(ORDERS_PAGE_DEFAULT);
}

impl From<Item> for ItemView {
    fn from(Item { product_id, quantity, price }: Item) -> ItemView {
        ItemView { product_id, quantity, price }
    }
}
