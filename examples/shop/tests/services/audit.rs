//! What must always hold, judged over every record of the four services.
//!
//! Owns the five invariants of the shop as queries over all its files, each of which finds what breaks one.
//! Does not know sagas: a pending order is unfinished, and whether its saga is parked is for others to say.

use std::path::Path;

use rusqlite::Connection;

/// The files of the services as one database, and what is in force in them.
const SETUP: &str = "
    CREATE TEMP VIEW in_force AS
        SELECT 'payments' AS what, order_id FROM payment.payments WHERE status = 'completed'
        UNION ALL SELECT 'reservations', order_id FROM inventory.reservations WHERE status = 'reserved'
        UNION ALL SELECT 'shipments', order_id FROM shipping.shipments WHERE status = 'scheduled';
    CREATE TEMP VIEW held AS
        SELECT reservations.order_id, lines.product_id, sum(lines.quantity) AS quantity
        FROM inventory.reservations JOIN inventory.reservation_lines AS lines
            ON lines.reservation_number = reservations.number
        WHERE reservations.status = 'reserved' GROUP BY 1, 2;
    CREATE TEMP VIEW ordered AS
        SELECT orders.id AS order_id, items.product_id, sum(items.quantity) AS quantity
        FROM main.orders JOIN main.order_items AS items ON items.order_number = orders.number
        WHERE orders.status = 'confirmed' GROUP BY 1, 2;";

/// Each finds what breaks a rule, and says so.
const RULES: [&str; 7] = [
    "SELECT product_id || ': ' || start || ' at start, but ' || free || ' free and ' || reserved || ' reserved'
     FROM stock WHERE start != free + reserved OR free < 0 OR reserved < 0",
    "SELECT coalesce(stock.product_id, by.product_id) || ': ' || coalesce(reserved, 0) || ' reserved in stock, but '
         || coalesce(quantity, 0) || ' by reservations'
     FROM stock FULL JOIN (SELECT product_id, sum(quantity) AS quantity FROM held GROUP BY 1) AS by
         ON by.product_id = stock.product_id
     WHERE coalesce(reserved, 0) != coalesce(quantity, 0)",
    "SELECT kept || ' kept of finished orders, but confirmed orders cost ' || confirmed FROM (
         SELECT (SELECT coalesce(sum(amount), 0) FROM payments WHERE status = 'completed'
                 AND order_id NOT IN (SELECT id FROM orders WHERE status = 'pending')) AS kept,
             (SELECT coalesce(sum(total), 0) FROM orders WHERE status = 'confirmed') AS confirmed)
     WHERE kept != confirmed",
    "SELECT 'order ' || id || ' is ' || status || ', but has ' || found || ' ' || what || ' in force' FROM (
         SELECT id, status, kinds.column1 AS what, (SELECT count(*) FROM in_force
             WHERE in_force.order_id = orders.id AND in_force.what = kinds.column1) AS found
         FROM orders CROSS JOIN (VALUES ('payments'), ('reservations'), ('shipments')) AS kinds
         WHERE status != 'pending')
     WHERE found != (status = 'confirmed')",
    "SELECT 'order ' || orders.id || ' costs ' || total || ', but ' || amount || ' was paid'
     FROM orders JOIN payments ON payments.order_id = orders.id AND payments.status = 'completed'
     WHERE orders.status = 'confirmed' AND amount != total",
    "SELECT DISTINCT 'order ' || order_id || ': the reservation is not for all its lines' FROM (
         SELECT * FROM (SELECT * FROM ordered EXCEPT SELECT * FROM held) UNION ALL
         SELECT * FROM (SELECT * FROM held WHERE order_id IN (SELECT order_id FROM ordered)
             EXCEPT SELECT * FROM ordered))",
    "SELECT what || ' in force for order ' || order_id || ', which does not exist'
     FROM in_force WHERE order_id NOT IN (SELECT id FROM orders)",
];

/// What was found.
#[derive(Debug)]
pub(crate) struct Audit {
    /// Every broken rule, with the order or product that breaks it.
    pub(crate) violations: Vec<String>,
    /// Orders neither confirmed nor cancelled: their sagas must be under way, or parked and visible.
    pub(crate) unfinished: Vec<String>,
}

/// Looks at everything that is committed in the shop of this directory.
pub(crate) fn audit(dir: &Path) -> Audit {
    let connection = Connection::open(dir.join("order.db")).unwrap();
    for service in ["payment", "inventory", "shipping"] {
        let path = dir.join(format!("{service}.db"));
        let path = path.to_str().unwrap();
        connection.execute(&format!("ATTACH ?1 AS {service}"), [path]).unwrap();
    }
    connection.execute_batch(SETUP).unwrap();
    let texts = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    Audit {
        violations: RULES.into_iter().flat_map(texts).collect(),
        unfinished: texts("SELECT id FROM orders WHERE status = 'pending' ORDER BY number"),
    }
}
