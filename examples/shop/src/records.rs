//! Looking at the records of one service.
//!
//! Owns the queries behind every view: a few for a page, none for each order. Promises that a stored record
//! nobody can read is an error. Does not put together what several services show.

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
    Counts, InventoryView, ItemView, OrderSums, OrderView, OrdersPage, PageLimit, PaymentSums, PaymentView,
    Payments, ProductView, ReservationSums, ReservationView, Reservations, ShipmentSums, ShipmentView,
    Shipments,
};

/// An order of the order service, without what the others did for it.
pub(crate) fn order(orders: &Database, id: &OrderId) -> Result<Option<OrderView>, DataError> {
    let sql = format!("SELECT {} FROM orders WHERE id = ?1 ORDER BY number LIMIT 1", order::COLUMNS);
    let found = orders.read(|c| with_items(c, select(c, &sql, [id.as_str()], Order::read)?))?;
    found.into_iter().next_back().map(|found| view(orders, found)).transpose()
}

/// A page of the order service's orders, oldest first, without what the others did for them.
pub(crate) fn orders(
    database: &Database,
    after: OrdersCursor,
    limit: PageLimit,
) -> Result<OrdersPage, DataError> {
    let sql = format!("SELECT {} FROM orders WHERE number > ?1 ORDER BY number LIMIT ?2", order::COLUMNS);
    // One more than asked for tells whether there is a next page.
    let limit = limit.orders();
    let (orders, next) = database.read(|c| {
        let mut orders = select(c, &sql, [after.number(), rows(limit + 1)], Order::read)?;
        let more = orders.len() > limit;
        orders.truncate(limit);
        let next = orders.last().filter(|_| more).map(|last| OrdersCursor::after(last.number));
        Ok((with_items(c, orders)?, next))
    })?;
    let orders = orders.into_iter().map(|order| view(database, order)).collect::<Result<_, _>>()?;
    Ok(OrdersPage { orders, next_cursor: next.map(|cursor| cursor.to_string()) })
}

/// What the payment service did for these orders.
pub(crate) fn payments(database: &Database, orders: &[OrderId]) -> Result<Payments, DataError> {
    let sql = of_orders(payment::COLUMNS, "payments");
    let payments = database.read(|c| select(c, &sql, [list(orders)], Payment::read))?;
    let mut shown = BTreeMap::new();
    for Payment { id, order_id, status, amount, transaction_id } in payments {
        let view = PaymentView { id, amount, status, transaction_id };
        show(&mut shown, order_id, view, |view| view.status == PaymentStatus::Completed);
    }
    Ok(shown)
}

/// What the inventory service did for these orders.
pub(crate) fn reservations(database: &Database, orders: &[OrderId]) -> Result<Reservations, DataError> {
    let sql = of_orders(inventory::COLUMNS, "reservations");
    let lines_sql = format!(
        "SELECT {} FROM json_each(?1) AS wanted CROSS JOIN reservation_lines
         ON reservation_lines.reservation_number = wanted.value ORDER BY reservation_number, line",
        inventory::LINE_COLUMNS
    );
    let reservations = database.read(|c| {
        let reservations = select(c, &sql, [list(orders)], Reservation::read)?;
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

/// What the shipping service did for these orders.
pub(crate) fn shipments(database: &Database, orders: &[OrderId]) -> Result<Shipments, DataError> {
    let sql = of_orders(shipping::COLUMNS, "shipments");
    let shipments = database.read(|c| select(c, &sql, [list(orders)], Shipment::read))?;
    let mut shown = BTreeMap::new();
    for Shipment { id, order_id, status, tracking_number, scheduled_date_ms } in shipments {
        let scheduled_date = date(database, "shipments", scheduled_date_ms)?;
        let view = ShipmentView { id, status, tracking_number, scheduled_date };
        show(&mut shown, order_id, view, |view| view.status == ShipmentStatus::Scheduled);
    }
    Ok(shown)
}

/// What the inventory service has of each product.
pub(crate) fn inventory(database: &Database) -> Result<InventoryView, DataError> {
    let sql = "SELECT product_id, start, free, reserved FROM stock ORDER BY number";
    let read = |row: &Row<'_>| {
        let (start, free, reserved) = (row.get(1)?, row.get(2)?, row.get(3)?);
        Ok(ProductView { product_id: row.get(0)?, start, free, reserved })
    };
    Ok(InventoryView { products: database.read(|c| select(c, sql, [], read))? })
}

/// What the orders add up to.
pub(crate) fn order_sums(database: &Database) -> Result<OrderSums, DataError> {
    // Only what the payment service let pass is added up: pending and cancelled orders may cost anything.
    let total = Some(("total", OrderStatus::Confirmed.as_str()));
    let counted = database.read(|c| count(c, "orders", OrderStatus::ALL, total))?;
    Ok(OrderSums { orders: counted.counts, confirmed_total: counted.sum })
}

/// What the payments add up to.
pub(crate) fn payment_sums(database: &Database) -> Result<PaymentSums, DataError> {
    let (completed, refunded) = database.read(|c| {
        let sum = |status: PaymentStatus| {
            count(c, "payments", PaymentStatus::ALL, Some(("amount", status.as_str())))
        };
        Ok((sum(PaymentStatus::Completed)?, sum(PaymentStatus::Refunded)?))
    })?;
    Ok(PaymentSums {
        captured: completed.sum + refunded.sum,
        refunded: refunded.sum,
        payments: completed.counts,
    })
}

/// How many reservations there are.
pub(crate) fn reservation_sums(database: &Database) -> Result<ReservationSums, DataError> {
    let counted = database.read(|c| count(c, "reservations", ReservationStatus::ALL, None))?;
    Ok(ReservationSums { reservations: counted.counts })
}

/// How many shipments there are.
pub(crate) fn shipment_sums(database: &Database) -> Result<ShipmentSums, DataError> {
    let counted = database.read(|c| count(c, "shipments", ShipmentStatus::ALL, None))?;
    Ok(ShipmentSums { shipments: counted.counts })
}

fn view(database: &Database, (order, items): (Order, Vec<Item>)) -> Result<OrderView, DataError> {
    Ok(OrderView {
        items: items.into_iter().map(ItemView::from).collect(),
        created_at: date(database, "orders", order.created_at_ms)?,
        id: order.id,
        user_id: order.user_id,
        total: order.total,
        status: order.status,
        saga_id: order.saga,
        payment: None,
        reservation: None,
        shipment: None,
    })
}

/// The ids as a JSON list, which SQLite takes apart again.
fn list(orders: &[OrderId]) -> String {
    serde_json::to_string(orders).expect("a list of texts is always JSON")
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
    counts: Counts,
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
            counts.insert((*status).to_owned(), row.get(index)?);
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
