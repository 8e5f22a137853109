//! The payment service: takes an amount for an order and gives it back.
//!
//! Owns the payments. Promises to take no more than [`PAYMENT_MAX`] at a time. Does not hold a payment unique
//! by key: that a repeat takes no second one is the barrier's promise, and a broken one must show.

use amends_participant::{DataError, Refusal};
use rusqlite::{Connection, params};

use crate::ids::{OrderId, PaymentId, TransactionId};
use crate::limits::PAYMENT_MAX;
use crate::messages::{PaymentProcessed, ProcessPayment, RefundPayment};
use crate::money::Money;
use crate::status::record_status;
use crate::surroundings::Drawn;
use crate::undo::{Found, Undo, find};

record_status! {
    /// What has become of a payment.
    PaymentStatus in "payments" {
        /// The amount was taken.
        Completed = "completed",
        /// And given back.
        Refunded = "refunded",
    }
}

pub(crate) const TABLES: &str = "
    CREATE TABLE payments (
        number INTEGER PRIMARY KEY,
        status TEXT NOT NULL,
        amount INTEGER NOT NULL,   -- minor units
        id TEXT NOT NULL,
        transaction_id TEXT NOT NULL,
        order_id TEXT NOT NULL,
        saga TEXT NOT NULL
    );
    CREATE INDEX payments_by_order ON payments (order_id);
    CREATE INDEX payments_by_saga ON payments (saga);";

pub(crate) fn process(
    connection: &Connection,
    saga: &str,
    payload: &ProcessPayment,
    drawn: Drawn,
) -> Result<Result<PaymentProcessed, Refusal>, DataError> {
    if payload.amount <= Money::ZERO {
        let message = format!("the amount {} is not above zero", payload.amount);
        return Ok(Err(Refusal::new("amount_not_positive", message)));
    }
    if payload.amount > PAYMENT_MAX {
        let message = format!("the amount {} is over the limit of {PAYMENT_MAX}", payload.amount);
        return Ok(Err(Refusal::new("amount_over_limit", message)));
    }
    let [first, second] = drawn.random;
    let (payment_id, transaction_id) = (PaymentId::new(first), TransactionId::new(second));
    connection
        .prepare_cached(
            "INSERT INTO payments (status, amount, id, transaction_id, order_id, saga)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            PaymentStatus::Completed,
            payload.amount.minor(),
            payment_id,
            transaction_id,
            payload.order_id,
            saga
        ])?;
    Ok(Ok(PaymentProcessed { payment_id, transaction_id }))
}

pub(crate) fn refund(
    connection: &Connection,
    saga: &str,
    RefundPayment {}: &RefundPayment,
) -> Result<Undo, DataError> {
    let sql = "SELECT number, status FROM payments WHERE saga = ?1 ORDER BY number";
    match find(connection, sql, saga, |status: PaymentStatus| status == PaymentStatus::Completed)? {
        Found::InForce(number) => {
            connection
                .prepare_cached("UPDATE payments SET status = ?2 WHERE number = ?1")?
                .execute(params![number, PaymentStatus::Refunded])?;
            Ok(Undo::Done)
        }
        Found::TakenBack => Ok(Undo::Done),
        Found::Nothing => Ok(Undo::NothingFound),
    }
}

/// A stored payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payment {
    pub(crate) id: PaymentId,
    pub(crate) order_id: OrderId,
    pub(crate) status: PaymentStatus,
    pub(crate) amount: Money,
    pub(crate) transaction_id: TransactionId,
}

/// The columns [`Payment::read`] takes, in their order.
pub(crate) const COLUMNS: &str =
    "payments.id, payments.order_id, payments.status, payments.amount, payments.transaction_id";

impl Payment {
    pub(crate) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Payment> {
        Ok(Payment {
            id: row.get(0)?,
            order_id: row.get(1)?,
            status: row.get(2)?,
            amount: Money::from_minor(row.get(3)?),
            transaction_id: row.get(4)?,
        })
    }
}
