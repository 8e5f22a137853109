//! What must always hold, judged over every record of the four services.
//!
//! Owns the five invariants of the shop as one check. Promises to name each order and product that breaks one.
//! Does not know sagas: a pending order is counted as unfinished, and whether its saga is parked is for others to say.

use std::collections::{BTreeMap, BTreeSet};

use amends_participant::DataError;
use rusqlite::Row;

use crate::ids::{OrderId, ProductId};
use crate::inventory::{self, Reservation, ReservationStatus};
use crate::messages::{Item, Line};
use crate::money::Money;
use crate::order::{self, Order, OrderStatus};
use crate::payment::{self, Payment, PaymentStatus};
use crate::records::{Records, without_lines};
use crate::shipping::{self, Shipment, ShipmentStatus};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Every broken rule.
    pub violations: Vec<Violation>,
    /// Orders neither confirmed nor cancelled: their sagas must be under way, or parked and visible.
    pub unfinished: Vec<OrderId>,
}

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Stock at start is not free plus reserved, or something is negative.
    #[error("{product}: {start} at start, but {free} free and {reserved} reserved")]
    Stock {
        /// Which product.
        product: ProductId,
        /// How many there were at first.
        start: i64,
        /// How many can be had.
        free: i64,
        /// How many are set aside.
        reserved: i64,
    },
    /// What the stock counts as reserved is not what the reservations in force hold.
    #[error("{product}: {reserved} reserved in stock, but {held} by reservations")]
    Reserved {
        /// Which product.
        product: ProductId,
        /// What the stock says.
        reserved: i64,
        /// What the reservations say.
        held: i64,
    },
    /// The money kept is not what the confirmed orders cost.
    #[error(
        "{kept} kept (captured less refunded, of finished orders), but confirmed orders cost {confirmed}"
    )]
    Money {
        /// Captured less refunded, in minor units.
        kept: i128,
        /// The totals of the confirmed orders.
        confirmed: i128,
    },
    /// A finished order has another number of records in force than it should: one if it is confirmed, none if it is
    /// cancelled.
    #[error("order {order} is {status}, but has {found} {what} in force")]
    InForce {
        /// Which order.
        order: OrderId,
        /// What has become of it.
        status: &'static str,
        /// Records of which kind.
        what: &'static str,
        /// How many.
        found: usize,
    },
    /// A confirmed order was not paid for what it costs.
    #[error("order {order} costs {total}, but {paid} was paid")]
    Paid {
        /// Which order.
        order: OrderId,
        /// What it costs.
        total: Money,
        /// What was paid.
        paid: Money,
    },
    /// A confirmed order's reservation is not for what was ordered.
    #[error("order {order}: the reservation is not for all its lines")]
    Lines {
        /// Which order.
        order: OrderId,
    },
    /// A record in force belongs to no order.
    #[error("{what} in force for order {order}, which does not exist")]
    NoOrder {
        /// The order it names.
        order: OrderId,
        /// Records of which kind.
        what: &'static str,
    },
}

const PAYMENTS: &str = "payments";
const RESERVATIONS: &str = "reservations";
const SHIPMENTS: &str = "shipments";

/// Everything in force, by order.
#[derive(Default)]
struct InForce {
    paid: BTreeMap<OrderId, Vec<Money>>,
    reserved: BTreeMap<OrderId, Vec<BTreeMap<ProductId, i128>>>,
    shipped: BTreeMap<OrderId, usize>,
}

pub(crate) fn audit(records: Records<'_>) -> Result<Audit, DataError> {
    let (orders, in_force) = (orders(records)?, in_force(records)?);
    let mut found = Audit { violations: Vec::new(), unfinished: Vec::new() };
    judge_stock(records, &in_force, &mut found.violations)?;
    for (order, items) in &orders {
        match order.status {
            OrderStatus::Pending => found.unfinished.push(order.id.clone()),
            OrderStatus::Confirmed => judge_confirmed(order, items, &in_force, &mut found.violations),
            OrderStatus::Cancelled => count(order, 0, &in_force, &mut found.violations),
        }
    }
    judge_money(&orders, &in_force, &mut found.violations);
    judge_orphans(&orders, &in_force, &mut found.violations);
    Ok(found)
}

fn judge_stock(
    records: Records<'_>,
    in_force: &InForce,
    found: &mut Vec<Violation>,
) -> Result<(), DataError> {
    let mut held: BTreeMap<&ProductId, i128> = BTreeMap::new();
    for (product, quantity) in in_force.reserved.values().flatten().flatten() {
        *held.entry(product).or_insert(0) += quantity;
    }
    for view in records.inventory()?.products {
        let (product, start, free, reserved) = (view.product_id, view.start, view.free, view.reserved);
        let held = held.remove(&product).unwrap_or(0);
        if i128::from(reserved) != held {
            let held = i64::try_from(held).unwrap_or(i64::MAX);
            found.push(Violation::Reserved { product: product.clone(), reserved, held });
        }
        if i128::from(start) != i128::from(free) + i128::from(reserved) || free < 0 || reserved < 0 {
            found.push(Violation::Stock { product, start, free, reserved });
        }
    }
    for (product, held) in held {
        let held = i64::try_from(held).unwrap_or(i64::MAX);
        found.push(Violation::Reserved { product: product.clone(), reserved: 0, held });
    }
    Ok(())
}

fn judge_confirmed(order: &Order, items: &[Item], in_force: &InForce, found: &mut Vec<Violation>) {
    count(order, 1, in_force, found);
    if let Some([paid]) = in_force.paid.get(&order.id).map(Vec::as_slice)
        && *paid != order.total
    {
        found.push(Violation::Paid { order: order.id.clone(), total: order.total, paid: *paid });
    }
    if let Some([reserved]) = in_force.reserved.get(&order.id).map(Vec::as_slice)
        && *reserved != add_up(items.iter().map(|item| (&item.product_id, item.quantity)))
    {
        found.push(Violation::Lines { order: order.id.clone() });
    }
}

fn count(order: &Order, expected: usize, in_force: &InForce, found: &mut Vec<Violation>) {
    let paid = in_force.paid.get(&order.id).map_or(0, Vec::len);
    let reserved = in_force.reserved.get(&order.id).map_or(0, Vec::len);
    let shipped = in_force.shipped.get(&order.id).copied().unwrap_or(0);
    for (what, count) in [(PAYMENTS, paid), (RESERVATIONS, reserved), (SHIPMENTS, shipped)] {
        if count != expected {
            let (order, status) = (order.id.clone(), order.status.as_str());
            found.push(Violation::InForce { order, status, what, found: count });
        }
    }
}

fn judge_money(orders: &[(Order, Vec<Item>)], in_force: &InForce, found: &mut Vec<Violation>) {
    let unfinished: BTreeSet<&OrderId> = orders
        .iter()
        .filter(|(order, _)| order.status == OrderStatus::Pending)
        .map(|(order, _)| &order.id)
        .collect();
    let kept = in_force.paid.iter().filter(|(order, _)| !unfinished.contains(order));
    let kept: i128 = kept.flat_map(|(_, amounts)| amounts).map(|amount| i128::from(amount.minor())).sum();
    let confirmed = orders.iter().filter(|(order, _)| order.status == OrderStatus::Confirmed);
    let confirmed: i128 = confirmed.map(|(order, _)| i128::from(order.total.minor())).sum();
    if kept != confirmed {
        found.push(Violation::Money { kept, confirmed });
    }
}

fn judge_orphans(orders: &[(Order, Vec<Item>)], in_force: &InForce, found: &mut Vec<Violation>) {
    let known: BTreeSet<&OrderId> = orders.iter().map(|(order, _)| &order.id).collect();
    let mut judge = |order: &OrderId, what| {
        if !known.contains(order) {
            found.push(Violation::NoOrder { order: order.clone(), what });
        }
    };
    in_force.paid.keys().for_each(|order| judge(order, PAYMENTS));
    in_force.reserved.keys().for_each(|order| judge(order, RESERVATIONS));
    in_force.shipped.keys().for_each(|order| judge(order, SHIPMENTS));
}

fn orders(records: Records<'_>) -> Result<Vec<(Order, Vec<Item>)>, DataError> {
    records.order.read(|connection| {
        let mut items: BTreeMap<i64, Vec<Item>> = BTreeMap::new();
        let sql = format!("SELECT {} FROM order_items ORDER BY order_number, line", order::ITEM_COLUMNS);
        each(connection, &sql, |row| {
            let (number, item) = order::read_item(row)?;
            items.entry(number).or_default().push(item);
            Ok(())
        })?;
        let mut orders = Vec::new();
        let sql = format!("SELECT {} FROM orders ORDER BY number", order::COLUMNS);
        each(connection, &sql, |row| {
            let order = Order::read(row)?;
            let items = items.remove(&order.number);
            let items = items.ok_or_else(|| without_lines("order_items", order.id.as_str()))?;
            orders.push((order, items));
            Ok(())
        })?;
        Ok(orders)
    })
}

fn in_force(records: Records<'_>) -> Result<InForce, DataError> {
    let mut found = InForce::default();
    records.payment.read(|connection| {
        each(connection, &format!("SELECT {} FROM payments", payment::COLUMNS), |row| {
            let payment = Payment::read(row)?;
            if payment.status == PaymentStatus::Completed {
                found.paid.entry(payment.order_id).or_default().push(payment.amount);
            }
            Ok(())
        })
    })?;
    records.inventory.read(|connection| {
        let mut lines: BTreeMap<i64, Vec<Line>> = BTreeMap::new();
        each(connection, &format!("SELECT {} FROM reservation_lines", inventory::LINE_COLUMNS), |row| {
            let (number, line) = inventory::read_line(row)?;
            lines.entry(number).or_default().push(line);
            Ok(())
        })?;
        each(connection, &format!("SELECT {} FROM reservations", inventory::COLUMNS), |row| {
            let reservation = Reservation::read(row)?;
            if reservation.status == ReservationStatus::Reserved {
                let lines = lines.remove(&reservation.number);
                let lines =
                    lines.ok_or_else(|| without_lines("reservation_lines", reservation.id.as_str()))?;
                let sums = add_up(lines.iter().map(|line| (&line.product_id, line.quantity)));
                found.reserved.entry(reservation.order_id).or_default().push(sums);
            }
            Ok(())
        })
    })?;
    records.shipping.read(|connection| {
        each(connection, &format!("SELECT {} FROM shipments", shipping::COLUMNS), |row| {
            let shipment = Shipment::read(row)?;
            if shipment.status == ShipmentStatus::Scheduled {
                *found.shipped.entry(shipment.order_id).or_insert(0) += 1;
            }
            Ok(())
        })
    })?;
    Ok(found)
}

fn add_up<'a>(lines: impl Iterator<Item = (&'a ProductId, i64)>) -> BTreeMap<ProductId, i128> {
    lines.fold(BTreeMap::new(), |mut sums, (product, quantity)| {
        *sums.entry(product.clone()).or_insert(0) += i128::from(quantity);
        sums
    })
}

fn each(
    connection: &rusqlite::Connection,
    sql: &str,
    mut take: impl FnMut(&Row<'_>) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(row)?;
    }
    Ok(())
}
