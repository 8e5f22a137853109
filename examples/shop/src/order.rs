//! The order service: makes orders, confirms and cancels them.
//!
//! Owns the orders and their items. Promises that a total is the exact sum of its lines, and that a cancelled
//! order stays so. Does not hold an order unique by key: that a repeat makes no second one is the barrier's
//! promise.

use amends_participant::{DataError, Refusal};
use rusqlite::{Connection, OptionalExtension, params};

use crate::ids::{OrderId, SagaId, UserId};
use crate::messages::{CancelOrder, ConfirmOrder, CreateOrder, Item, OrderCreated, total};
use crate::money::Money;
use crate::status::record_status;
use crate::surroundings::Drawn;
use crate::undo::{Found, Undo, find};

record_status! {
    /// What has become of an order.
    OrderStatus in "orders" {
        /// Its saga is still under way, or parked.
        Pending = "pending",
        /// Everything it needs is done.
        Confirmed = "confirmed",
        /// Everything that was done for it is taken back.
        Cancelled = "cancelled",
    }
}

pub(crate) const TABLES: &str = "
    CREATE TABLE orders (
        number INTEGER PRIMARY KEY,
        status TEXT NOT NULL,
        total INTEGER NOT NULL,           -- minor units
        created_at_ms INTEGER NOT NULL,   -- since 1970, in UTC
        id TEXT NOT NULL,
        saga TEXT NOT NULL,
        user_id TEXT NOT NULL
    );
    CREATE INDEX orders_by_id ON orders (id);
    CREATE INDEX orders_by_saga ON orders (saga);
    CREATE TABLE order_items (
        order_number INTEGER NOT NULL,
        line INTEGER NOT NULL,            -- from 0, as ordered
        product_id TEXT NOT NULL,
        quantity INTEGER NOT NULL,
        price INTEGER NOT NULL,
        PRIMARY KEY (order_number, line)
    ) WITHOUT ROWID;";

pub(crate) fn create(
    connection: &Connection,
    saga: &str,
    payload: &CreateOrder,
    drawn: Drawn,
) -> Result<Result<OrderCreated, Refusal>, DataError> {
    let total = match judge(payload) {
        Ok(total) => total,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let order_id = OrderId::new(drawn.now_ms, drawn.random[0]);
    connection
        .prepare_cached(
            "INSERT INTO orders (status, total, created_at_ms, id, saga, user_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            OrderStatus::Pending,
            total.minor(),
            drawn.now_ms,
            order_id,
            saga,
            payload.user_id
        ])?;
    let number = connection.last_insert_rowid();
    let mut insert = connection.prepare_cached(
        "INSERT INTO order_items (order_number, line, product_id, quantity, price)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (line, item) in (0_i64..).zip(&payload.items) {
        insert.execute(params![number, line, item.product_id, item.quantity, item.price.minor()])?;
    }
    Ok(Ok(OrderCreated { order_id, total }))
}

pub(crate) fn confirm(
    connection: &Connection,
    payload: &ConfirmOrder,
) -> Result<Result<(), Refusal>, DataError> {
    let found: Option<(i64, OrderStatus)> = connection
        .prepare_cached("SELECT number, status FROM orders WHERE id = ?1")?
        .query_row([&payload.order_id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        Some((number, OrderStatus::Pending)) => {
            set_status(connection, number, OrderStatus::Confirmed)?;
            Ok(Ok(()))
        }
        Some((_, OrderStatus::Confirmed)) => Ok(Ok(())),
        Some((_, OrderStatus::Cancelled)) => {
            let message = format!("order {} is cancelled", payload.order_id);
            Ok(Err(Refusal::new("order_cancelled", message)))
        }
        None => Ok(Err(Refusal::new("unknown_order", format!("there is no order {}", payload.order_id)))),
    }
}

pub(crate) fn cancel(
    connection: &Connection,
    saga: &str,
    CancelOrder {}: &CancelOrder,
) -> Result<Undo, DataError> {
    let sql = "SELECT number, status FROM orders WHERE saga = ?1 ORDER BY number";
    // A confirmed order too: that is an operator taking back a saga that had completed.
    match find(connection, sql, saga, |status: OrderStatus| status != OrderStatus::Cancelled)? {
        Found::InForce(number) => {
            set_status(connection, number, OrderStatus::Cancelled)?;
            Ok(Undo::Done)
        }
        Found::TakenBack => Ok(Undo::Done),
        Found::Nothing => Ok(Undo::NothingFound),
    }
}

/// The same rules that a request is held to: no caller can make an order that breaks them.
fn judge(order: &CreateOrder) -> Result<Money, Refusal> {
    if order.user_id.as_str().is_empty() {
        return Err(Refusal::new("empty_user_id", "user_id is empty"));
    }
    if order.items.is_empty() {
        return Err(Refusal::new("empty_order", "items is empty"));
    }
    for (index, Item { product_id: _, quantity, price }) in order.items.iter().enumerate() {
        if *quantity <= 0 {
            let message = format!("items[{index}].quantity is not above zero");
            return Err(Refusal::new("quantity_not_positive", message));
        }
        if *price <= Money::ZERO {
            return Err(Refusal::new(
                "price_not_positive",
                format!("items[{index}].price is not above zero"),
            ));
        }
    }
    total(&order.items).map_err(|_| Refusal::new("overflow", "the total is more than an amount can hold"))
}

fn set_status(connection: &Connection, number: i64, status: OrderStatus) -> Result<(), DataError> {
    connection
        .prepare_cached("UPDATE orders SET status = ?2 WHERE number = ?1")?
        .execute(params![number, status])?;
    Ok(())
}

/// A stored order, without its items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) number: i64,
    pub(crate) id: OrderId,
    pub(crate) saga: SagaId,
    pub(crate) user_id: UserId,
    pub(crate) total: Money,
    pub(crate) status: OrderStatus,
    pub(crate) created_at_ms: i64,
}

/// The columns [`Order::read`] takes, in their order.
pub(crate) const COLUMNS: &str = "orders.number, orders.id, orders.saga, orders.user_id, orders.total, orders.status, orders.created_at_ms";

impl Order {
    pub(crate) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Order> {
        Ok(Order {
            number: row.get(0)?,
            id: row.get(1)?,
            saga: row.get(2)?,
            user_id: row.get(3)?,
            total: Money::from_minor(row.get(4)?),
            status: row.get(5)?,
            created_at_ms: row.get(6)?,
        })
    }
}

/// The columns [`read_item`] takes, in their order.
pub(crate) const ITEM_COLUMNS: &str =
    "order_items.order_number, order_items.product_id, order_items.quantity, order_items.price";

/// An item and the number of its order.
pub(crate) fn read_item(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, Item)> {
    let price = Money::from_minor(row.get(3)?);
    Ok((row.get(0)?, Item { product_id: row.get(1)?, quantity: row.get(2)?, price }))
}
