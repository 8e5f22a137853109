//! Looking at the records of all four services.
//!
//! Owns the queries behind every view: a few for a page, none for each order. Promises that a stored record
//! nobody can read is an error. Does not show one moment of all four services: each is read as of a moment of
//! its own, the orders first, so that whatever a confirmed order needs is there when it is looked for.

use std::collections::BTreeMap;

use amends_participant::DataError;
use amends_participant::database::Database;
use rusqlite::{Connection, Row};

use crate::cursor::OrdersCursor;
use crate::ids::OrderId;
use crate::inventory::{self, Reservation, ReservationStatus};
use crate::messages::Item;
use crate::order::{self, Order, OrderStatus};
use crate::payment::{self, Payment, PaymentStatus};
use crate::shipping::{self, Shipment, ShipmentStatus};
use crate::surroundings::rfc_3339;
use crate::views::{
    InventoryView, ItemView, Ledger, OrderView, OrdersPage, PageLimit, PaymentView, ProductView,
    ReservationView, ShipmentView,
};

/// The four databases, to look at.
#[derive(Clone, Copy)]
pub(crate) struct Records<'a> {
    pub(crate) order: &'a Database,
    pub(crate) payment: &'a Database,
    pub(crate) inventory: &'a Database,
    pub(crate) shipping: &'a Database,
}

impl Records<'_> {
    pub(crate) fn order(self, id: &OrderId) -> Result<Option<OrderView>, DataError> {
        let sql = format!("SELECT {} FROM orders WHERE id = ?1 ORDER BY number LIMIT 1", order::COLUMNS);
        let orders = self.order.read(|c| with_items(c, select(c, &sql, [id.as_str()], Order::read)?))?;
        Ok(self.complete(orders)?.pop())
    }

    pub(crate) fn orders(self, after: OrdersCursor, limit: PageLimit) -> Result<OrdersPage, DataError> {
        let sql = format!("SELECT {} FROM orders WHERE number > ?1 ORDER BY number LIMIT ?2", order::COLUMNS);
        // One more than asked for tells whether there is a next page.
        let limit = limit.orders();
        let (orders, next) = self.order.read(|c| {
            let mut orders = select(c, &sql, [after.number(), rows(limit + 1)], Order::read)?;
            let more = orders.len() > limit;
            orders.truncate(limit);
            let next = orders.last().filter(|_| more).map(|last| OrdersCursor::after(last.number));
            Ok((with_items(c, orders)?, next))
        })?;
        Ok(OrdersPage { orders: self.complete(orders)?, next_cursor: next.map(|cursor| cursor.to_string()) })
    }

    pub(crate) fn inventory(self) -> Result<InventoryView, DataError> {
        let sql = "SELECT product_id, start, free, reserved FROM stock ORDER BY number";
        let read = |row: &Row<'_>| {
            let (start, free, reserved) = (row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(ProductView { product_id: row.get(0)?, start, free, reserved })
        };
        Ok(InventoryView { products: self.inventory.read(|c| select(c, sql, [], read))? })
    }

    pub(crate) fn ledger(self) -> Result<Ledger, DataError> {
        // Only what the payment service let pass is added up: pending and cancelled orders may cost anything.
        let total = Some(("total", OrderStatus::Confirmed.as_str()));
        let orders = self.order.read(|c| count(c, "orders", OrderStatus::ALL, total))?;
        let (completed, refunded) = self.payment.read(|c| {
            let sum = |status: PaymentStatus| {
                count(c, "payments", PaymentStatus::ALL, Some(("amount", status.as_str())))
            };
            Ok((sum(PaymentStatus::Completed)?, sum(PaymentStatus::Refunded)?))
        })?;
        let reservations = self.inventory.read(|c| count(c, "reservations", ReservationStatus::ALL, None))?;
        let shipments = self.shipping.read(|c| count(c, "shipments", ShipmentStatus::ALL, None))?;
        Ok(Ledger {
            confirmed_total: orders.sum,
            captured: completed.sum + refunded.sum,
            refunded: refunded.sum,
            orders: orders.counts,
            payments: completed.counts,
            reservations: reservations.counts,
            shipments: shipments.counts,
        })
    }

    /// Adds what the other services did for these orders, with a few queries for all of them.
    fn complete(self, orders: Vec<(Order, Vec<Item>)>) -> Result<Vec<OrderView>, DataError> {
        let ids: Vec<&OrderId> = orders.iter().map(|(order, _)| &order.id).collect();
        let ids = serde_json::to_string(&ids).expect("a list of texts is always JSON");
        let mut payments = self.payments(&ids)?;
        let mut reservations = self.reservations(&ids)?;
        let mut shipments = self.shipments(&ids)?;
        let complete = |(order, items): (Order, Vec<Item>)| {
            Ok(OrderView {
                payment: payments.remove(&order.id),
                reservation: reservations.remove(&order.id),
                shipment: shipments.remove(&order.id),
                items: items.into_iter().map(ItemView::from).collect(),
                created_at: date(self.order, "orders", order.created_at_ms)?,
                id: order.id,
                user_id: order.user_id,
                total: order.total,
                status: order.status,
                saga_id: order.saga,
            })
        };
        orders.into_iter().map(complete).collect()
    }

    fn payments(self, ids: &str) -> Result<BTreeMap<OrderId, PaymentView>, DataError> {
        let sql = of_orders(payment::COLUMNS, "payments");
        let payments = self.payment.read(|c| select(c, &sql, [ids], Payment::read))?;
        let mut shown = BTreeMap::new();
        for Payment { id, order_id, status, amount, transaction_id } in payments {
            let view = PaymentView { id, amount, status, transaction_id };
            show(&mut shown, order_id, view, |view| view.status == PaymentStatus::Completed);
        }
        Ok(shown)
    }

    fn reservations(self, ids: &str) -> Result<BTreeMap<OrderId, ReservationView>, DataError> {
        let sql = of_orders(inventory::COLUMNS, "reservations");
        let lines_sql = format!(
            "SELECT {} FROM json_each(?1) AS wanted CROSS JOIN reservation_lines
             ON reservation_lines.reservation_number = wanted.value ORDER BY reservation_number, line",
            inventory::LINE_COLUMNS
        );
        let reservations = self.inventory.read(|c| {
            let reservations = select(c, &sql, [ids], Reservation::read)?;
            let numbers: Vec<i64> = reservations.iter().map(|reservation| reservation.number).collect();
            let numbers = serde_json::to_string(&numbers).expect("a list of numbers is always JSON");
            let mut lines = grouped(select(c, &lines_sql, [&numbers], inventory::read_line)?);
            let with_lines = |reservation: Reservation| match lines.remove(&reservation.number) {
                Some(lines) => Ok((reservation, lines)),
                None => Err(without_lines("reservation_lines", reservation.id.as_str())),
            };
            reservations.into_iter().map(with_lines).collect::<Result<Vec<_>, DataError>>()
        })?;
        let mut shown = BTreeMap::new();
        for (Reservation { number: _, id, order_id, status }, lines) in reservations {
            let view = ReservationView { id, status, lines };
            show(&mut shown, order_id, view, |view| view.status == ReservationStatus::Reserved);
        }
        Ok(shown)
    }

    fn shipments(self, ids: &str) -> Result<BTreeMap<OrderId, ShipmentView>, DataError> {
        let sql = of_orders(shipping::COLUMNS, "shipments");
        let shipments = self.shipping.read(|c| select(c, &sql, [ids], Shipment::read))?;
        let mut shown = BTreeMap::new();
        for Shipment { id, order_id, status, tracking_number, scheduled_date_ms } in shipments {
            let scheduled_date = date(self.shipping, "shipments", scheduled_date_ms)?;
            let view = ShipmentView { id, status, tracking_number, scheduled_date };
            show(&mut shown, order_id, view, |view| view.status == ShipmentStatus::Scheduled);
        }
        Ok(shown)
    }
}

/// Rows of `table` whose order is in the JSON list `?1`, through the table's index.
fn of_orders(columns: &str, table: &str) -> String {
    format!(
        "SELECT {columns} FROM json_each(?1) AS wanted CROSS JOIN {table} ON {table}.order_id = wanted.value
         ORDER BY {table}.number"
    )
}

fn with_items(connection: &Connection, orders: Vec<Order>) -> Result<Vec<(Order, Vec<Item>)>, DataError> {
    let (Some(first), Some(last)) = (orders.first(), orders.last()) else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT {} FROM order_items WHERE order_number BETWEEN ?1 AND ?2 ORDER BY order_number, line",
        order::ITEM_COLUMNS
    );
    let mut items = grouped(select(connection, &sql, [first.number, last.number], order::read_item)?);
    let with_items = |order: Order| {
        let items =
            items.remove(&order.number).ok_or_else(|| without_lines("order_items", order.id.as_str()))?;
        Ok((order, items))
    };
    orders.into_iter().map(with_items).collect()
}

fn select<T>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, DataError> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params, |row| read(row))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn grouped<T>(rows: Vec<(i64, T)>) -> BTreeMap<i64, Vec<T>> {
    rows.into_iter().fold(BTreeMap::new(), |mut groups, (number, row)| {
        groups.entry(number).or_insert_with(Vec::new).push(row);
        groups
    })
}

/// Shows the first record in force, or the first of all if none is.
fn show<T>(shown: &mut BTreeMap<OrderId, T>, order: OrderId, record: T, in_force: impl Fn(&T) -> bool) {
    match shown.get(&order) {
        Some(earlier) if in_force(earlier) || !in_force(&record) => {}
        Some(_) | None => drop(shown.insert(order, record)),
    }
}

/// One table's rows by status, and the sum of a column over those of one status.
struct Counted {
    counts: BTreeMap<&'static str, i64>,
    sum: i64,
}

/// One scan with a counter for each status: grouping would sort all rows first.
fn count(
    connection: &Connection,
    table: &str,
    statuses: &'static [&'static str],
    summed: Option<(&str, &str)>,
) -> Result<Counted, DataError> {
    let counters: String =
        statuses.iter().map(|status| format!("count(*) FILTER (WHERE status = '{status}'), ")).collect();
    let sum = summed.map_or_else(
        || "0".to_owned(),
        |(column, status)| format!("coalesce(sum({column}) FILTER (WHERE status = '{status}'), 0)"),
    );
    let sql = format!("SELECT {counters}count(*), {sum} FROM {table}");
    let mut counts = BTreeMap::new();
    let (all, sum): (i64, i64) = connection.prepare_cached(&sql)?.query_row([], |row| {
        for (index, status) in statuses.iter().enumerate() {
            counts.insert(*status, row.get(index)?);
        }
        Ok((row.get(statuses.len())?, row.get(statuses.len() + 1)?))
    })?;
    let unknown = all - counts.values().sum::<i64>();
    if unknown != 0 {
        return Err(DataError::damaged(
            format!("table {table}"),
            format!("{unknown} rows have an unknown status"),
        ));
    }
    Ok(Counted { counts, sum })
}

fn date(database: &Database, table: &str, ms: i64) -> Result<String, DataError> {
    rfc_3339(ms).ok_or_else(|| {
        let place = format!("{}: table {table}", database.path().display());
        DataError::damaged(place, format!("{ms} ms is not a date"))
    })
}

/// An order or reservation of nothing cannot have been made.
fn without_lines(table: &str, id: &str) -> DataError {
    DataError::damaged(format!("table {table}"), format!("the lines of {id} are missing"))
}

fn rows(count: usize) -> i64 {
    i64::try_from(count).expect("a page's limit is small")
}
