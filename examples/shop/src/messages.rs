//! What the services are asked and what they answer, as JSON.
//!
//! Owns the payload and output of every operation. Promises that amounts are integers of minor units.
//! Does not check rules: each service does that itself.

use serde::{Deserialize, Serialize};

use crate::ids::{
    OrderId, PaymentId, ProductId, ReservationId, ShipmentId, TrackingNumber, TransactionId, UserId,
};
use crate::money::{self, Money};

/// Asks the order service for a new order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateOrder {
    /// Who orders.
    pub user_id: UserId,
    /// What is ordered; a product may come more than once.
    pub items: Vec<Item>,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Which product.
    pub product_id: ProductId,
    /// How many.
    pub quantity: i64,
    /// What one costs.
    #[serde(with = "money::minor_units")]
    pub price: Money,
}

/// The order that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCreated {
    /// Its id.
    pub order_id: OrderId,
    /// What it costs.
    #[serde(with = "money::minor_units")]
    pub total: Money,
}

/// Asks the order service to cancel the order of this saga.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelOrder {}

/// Asks the order service to confirm an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmOrder {
    /// Which one.
    pub order_id: OrderId,
}

/// Asks the payment service for an amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessPayment {
    /// What is paid for.
    pub order_id: OrderId,
    /// How much.
    #[serde(with = "money::minor_units")]
    pub amount: Money,
}

/// The payment that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentProcessed {
    /// Its id.
    pub payment_id: PaymentId,
    /// The money's own transaction.
    pub transaction_id: TransactionId,
}

/// Asks the payment service to give back what this saga paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundPayment {}

/// Asks the inventory service to set goods aside, all lines or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReserveInventory {
    /// For which order.
    pub order_id: OrderId,
    /// What; repeated products add up.
    pub lines: Vec<Line>,
}

/// One line of a reservation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which product.
    pub product_id: ProductId,
    /// How many.
    pub quantity: i64,
}

/// The reservation that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryReserved {
    /// Its id.
    pub reservation_id: ReservationId,
}

/// Asks the inventory service to put back what this saga reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseReservation {}

/// Asks the shipping service to send an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleShipment {
    /// Which one.
    pub order_id: OrderId,
}

/// The shipment that was scheduled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipmentScheduled {
    /// Its id.
    pub shipment_id: ShipmentId,
    /// What the parcel carries.
    pub tracking_number: TrackingNumber,
    /// When it leaves, in RFC 3339.
    pub scheduled_date: String,
}

/// Asks the shipping service to stop what this saga scheduled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelShipment {}

/// Why an order has no total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TotalOverflow {
    /// The line of this index costs more than an amount can hold.
    Line(usize),
    /// The lines together do.
    Sum,
}

/// Σ price × quantity.
///
/// # Errors
/// When that is more than an amount can hold.
pub fn total(items: &[Item]) -> Result<Money, TotalOverflow> {
    items.iter().enumerate().try_fold(Money::ZERO, |sum, (index, item)| {
        let line = item.price.times(item.quantity).ok_or(TotalOverflow::Line(index))?;
        sum.plus(line).ok_or(TotalOverflow::Sum)
    })
}
