//! The shipping service: schedules a shipment for an order and stops it.
//!
//! Owns the shipments. Promises that no two shipments have one tracking number.
//! Does not hold a shipment unique by key: that a repeat schedules no second one is the barrier's promise.

use amends_participant::{DataError, Refusal};
use rusqlite::{Connection, params};

use crate::ids::{OrderId, ShipmentId, TrackingNumber};
use crate::limits::SHIPPING_DELAY;
use crate::messages::{CancelShipment, ScheduleShipment, ShipmentScheduled};
use crate::status::record_status;
use crate::surroundings::{Drawn, rfc_3339};
use crate::undo::{Found, Undo, find};

record_status! {
    /// What has become of a shipment.
    ShipmentStatus in "shipments" {
        /// It will leave.
        Scheduled = "scheduled",
        /// It will not.
        Cancelled = "cancelled",
    }
}

pub(crate) const TABLES: &str = "
    CREATE TABLE shipments (
        number INTEGER PRIMARY KEY,
        status TEXT NOT NULL,
        scheduled_date_ms INTEGER NOT NULL,   -- since 1970, in UTC
        id TEXT NOT NULL,
        tracking_number TEXT NOT NULL,
        order_id TEXT NOT NULL,
        saga TEXT NOT NULL
    );
    CREATE INDEX shipments_by_order ON shipments (order_id);
    CREATE INDEX shipments_by_saga ON shipments (saga);";

pub(crate) fn schedule(
    connection: &Connection,
    saga: &str,
    payload: &ScheduleShipment,
    drawn: Drawn,
) -> Result<Result<ShipmentScheduled, Refusal>, DataError> {
    let delay_ms =
        i64::try_from(SHIPPING_DELAY.as_millis()).expect("a day fits into 64 bits of milliseconds");
    let scheduled_date_ms = drawn.now_ms.saturating_add(delay_ms);
    let Some(scheduled_date) = rfc_3339(scheduled_date_ms) else {
        // Only a broken clock gets here; nothing took place, and the date may be right tomorrow.
        return Ok(Err(Refusal::new("no_date", "the service's clock shows no date that can be written")));
    };
    let [first, second] = drawn.random;
    let (shipment_id, tracking_number) = (ShipmentId::new(first), TrackingNumber::new(second));
    connection
        .prepare_cached(
            "INSERT INTO shipments (status, scheduled_date_ms, id, tracking_number, order_id, saga)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            ShipmentStatus::Scheduled,
            scheduled_date_ms,
            shipment_id,
            tracking_number,
            payload.order_id,
            saga
        ])?;
    Ok(Ok(ShipmentScheduled { shipment_id, tracking_number, scheduled_date }))
}

pub(crate) fn cancel(
    connection: &Connection,
    saga: &str,
    CancelShipment {}: &CancelShipment,
) -> Result<Undo, DataError> {
    let sql = "SELECT number, status FROM shipments WHERE saga = ?1 ORDER BY number";
    match find(connection, sql, saga, |status: ShipmentStatus| status == ShipmentStatus::Scheduled)? {
        Found::InForce(number) => {
            connection
                .prepare_cached("UPDATE shipments SET status = ?2 WHERE number = ?1")?
                .execute(params![number, ShipmentStatus::Cancelled])?;
            Ok(Undo::Done)
        }
        Found::TakenBack => Ok(Undo::Done),
        Found::Nothing => Ok(Undo::NothingFound),
    }
}

/// A stored shipment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shipment {
    pub(crate) id: ShipmentId,
    pub(crate) order_id: OrderId,
    pub(crate) status: ShipmentStatus,
    pub(crate) tracking_number: TrackingNumber,
    pub(crate) scheduled_date_ms: i64,
}

/// The columns [`Shipment::read`] takes, in their order.
pub(crate) const COLUMNS: &str = "shipments.id, shipments.order_id, shipments.status, shipments.tracking_number, \
     shipments.scheduled_date_ms";

impl Shipment {
    pub(crate) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Shipment> {
        Ok(Shipment {
            id: row.get(0)?,
            order_id: row.get(1)?,
            status: row.get(2)?,
            tracking_number: row.get(3)?,
            scheduled_date_ms: row.get(4)?,
        })
    }
}
