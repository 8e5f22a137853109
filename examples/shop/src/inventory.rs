//! The inventory service: sets goods aside, all lines or none, and puts them back.
//!
//! Owns the stock and the reservations. Promises that per product start = free + reserved and that nothing is
//! below zero; the table itself holds to that. Does not hold a reservation unique by key: that a repeat
//! reserves nothing more is the barrier's promise.

use std::collections::BTreeMap;

use amends_participant::{DataError, Refusal};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use crate::ids::{OrderId, ProductId, ReservationId};
use crate::messages::{InventoryReserved, Line, ReleaseReservation, ReserveInventory};
use crate::status::record_status;
use crate::stock::Stock;
use crate::surroundings::Drawn;
use crate::undo::{Found, Undo, find};

record_status! {
    /// What has become of a reservation.
    ReservationStatus in "reservations" {
        /// Its goods are set aside.
        Reserved = "reserved",
        /// They are free again.
        Released = "released",
    }
}

const TABLES: &str = "
    CREATE TABLE stock (
        number INTEGER PRIMARY KEY,
        product_id TEXT NOT NULL UNIQUE,
        start INTEGER NOT NULL,
        free INTEGER NOT NULL,
        reserved INTEGER NOT NULL,
        CHECK (free >= 0 AND reserved >= 0 AND start = free + reserved)
    );
    CREATE TABLE reservations (
        number INTEGER PRIMARY KEY,
        status TEXT NOT NULL,
        id TEXT NOT NULL,
        order_id TEXT NOT NULL,
        saga TEXT NOT NULL
    );
    CREATE INDEX reservations_by_order ON reservations (order_id);
    CREATE INDEX reservations_by_saga ON reservations (saga);
    CREATE TABLE reservation_lines (
        reservation_number INTEGER NOT NULL,
        line INTEGER NOT NULL,   -- from 0, as asked for
        product_id TEXT NOT NULL,
        quantity INTEGER NOT NULL,
        PRIMARY KEY (reservation_number, line)
    ) WITHOUT ROWID;";

/// Makes the tables and fills the stock, once in the life of a data directory.
pub(crate) fn create(connection: &Connection, stock: &Stock) -> Result<(), rusqlite::Error> {
    connection.execute_batch(TABLES)?;
    let mut insert =
        connection.prepare("INSERT INTO stock (product_id, start, free, reserved) VALUES (?1, ?2, ?2, 0)")?;
    for (product_id, count) in stock.products() {
        insert.execute(params![product_id, count])?;
    }
    Ok(())
}

pub(crate) fn reserve(
    connection: &Connection,
    saga: &str,
    payload: &ReserveInventory,
    drawn: Drawn,
) -> Result<Result<InventoryReserved, Refusal>, DataError> {
    let needs = match add_up(&payload.lines) {
        Ok(needs) => needs,
        Err(refusal) => return Ok(Err(refusal)),
    };
    for (product_id, need) in needs {
        match free(connection, product_id)? {
            None => return Ok(Err(unknown_product(product_id))),
            Some(have) if have < need => return Ok(Err(insufficient_stock(product_id, have, need))),
            Some(_) => move_stock(connection, product_id, need)?,
        }
    }
    let reservation_id = ReservationId::new(drawn.random[0]);
    connection
        .prepare_cached("INSERT INTO reservations (status, id, order_id, saga) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![ReservationStatus::Reserved, reservation_id, payload.order_id, saga])?;
    let number = connection.last_insert_rowid();
    let mut insert = connection.prepare_cached(
        "INSERT INTO reservation_lines (reservation_number, line, product_id, quantity)
         VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (line, Line { product_id, quantity }) in (0_i64..).zip(&payload.lines) {
        insert.execute(params![number, line, product_id, quantity])?;
    }
    Ok(Ok(InventoryReserved { reservation_id }))
}

pub(crate) fn release(
    connection: &Connection,
    saga: &str,
    ReleaseReservation {}: &ReleaseReservation,
) -> Result<Undo, DataError> {
    let sql = "SELECT number, status FROM reservations WHERE saga = ?1 ORDER BY number";
    let number =
        match find(connection, sql, saga, |status: ReservationStatus| status == ReservationStatus::Reserved)?
        {
            Found::InForce(number) => number,
            Found::TakenBack => return Ok(Undo::Done),
            Found::Nothing => return Ok(Undo::NothingFound),
        };
    let lines = connection
        .prepare_cached("SELECT product_id, quantity FROM reservation_lines WHERE reservation_number = ?1")?
        .query_map([number], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<Vec<(ProductId, i64)>, _>>()?;
    for (product_id, quantity) in lines {
        move_stock(connection, &product_id, -quantity)?;
    }
    connection
        .prepare_cached("UPDATE reservations SET status = ?2 WHERE number = ?1")?
        .execute(params![number, ReservationStatus::Released])?;
    Ok(Undo::Done)
}

/// What is needed of each product, in the order in which they first come.
fn add_up(lines: &[Line]) -> Result<Vec<(&ProductId, i64)>, Refusal> {
    if lines.is_empty() {
        return Err(Refusal::new("empty_order", "there are no lines to reserve"));
    }
    let mut places = BTreeMap::new();
    let mut needs: Vec<(&ProductId, i64)> = Vec::new();
    for Line { product_id, quantity } in lines {
        if *quantity <= 0 {
            let message = format!("the quantity of {product_id} is not above zero");
            return Err(Refusal::new("quantity_not_positive", message));
        }
        let place = *places.entry(product_id).or_insert_with(|| {
            needs.push((product_id, 0));
            needs.len() - 1
        });
        let sum = needs[place].1.checked_add(*quantity);
        needs[place].1 = sum.ok_or_else(|| {
            Refusal::new("overflow", format!("the quantities of {product_id} add up to too much"))
        })?;
    }
    Ok(needs)
}

fn free(connection: &Connection, product_id: &ProductId) -> Result<Option<i64>, DataError> {
    let free = connection
        .prepare_cached("SELECT free FROM stock WHERE product_id = ?1")?
        .query_row([product_id], |row| row.get(0))
        .optional()?;
    Ok(free)
}

/// Sets goods aside, or puts them back if `quantity` is negative.
fn move_stock(connection: &Connection, product_id: &ProductId, quantity: i64) -> Result<(), DataError> {
    let moved = connection
        .prepare_cached("UPDATE stock SET free = free - ?2, reserved = reserved + ?2 WHERE product_id = ?1")?
        .execute(params![product_id, quantity])?;
    if moved != 1 {
        return Err(DataError::damaged("table stock", format!("the product `{product_id}` is missing")));
    }
    Ok(())
}

fn unknown_product(product_id: &ProductId) -> Refusal {
    Refusal::new("unknown_product", format!("unknown product: {product_id}"))
}

fn insufficient_stock(product_id: &ProductId, have: i64, need: i64) -> Refusal {
    #[derive(Serialize)]
    struct Details<'a> {
        product_id: &'a ProductId,
        have: i64,
        need: i64,
    }

    let details = serde_json::to_vec(&Details { product_id, have, need })
        .expect("a text and two numbers are always JSON");
    Refusal {
        code: "insufficient_stock".to_owned(),
        message: format!("insufficient stock: have {have}, need {need}"),
        details: Some(details),
    }
}

/// A stored reservation, without its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reservation {
    pub(crate) number: i64,
    pub(crate) id: ReservationId,
    pub(crate) order_id: OrderId,
    pub(crate) status: ReservationStatus,
}

/// The columns [`Reservation::read`] takes, in their order.
pub(crate) const COLUMNS: &str =
    "reservations.number, reservations.id, reservations.order_id, reservations.status";

impl Reservation {
    pub(crate) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Reservation> {
        Ok(Reservation { number: row.get(0)?, id: row.get(1)?, order_id: row.get(2)?, status: row.get(3)? })
    }
}

/// The columns [`read_line`] takes, in their order.
pub(crate) const LINE_COLUMNS: &str =
    "reservation_lines.reservation_number, reservation_lines.product_id, reservation_lines.quantity";

/// A line and the number of its reservation.
pub(crate) fn read_line(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, Line)> {
    Ok((row.get(0)?, Line { product_id: row.get(1)?, quantity: row.get(2)? }))
}
