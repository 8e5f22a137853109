//! What can be seen of the shop.

use amends_shop::cursor::OrdersCursor;
use amends_shop::ids::OrderId;
use amends_shop::limits::ORDERS_PAGE_MAX;
use amends_shop::messages::ProcessPayment;
use amends_shop::money::Money;
use amends_shop::operation::{Operation, ServiceName};
use amends_shop::views::PageLimit;
use serde_json::json;

use crate::shop::{Shop, reservation};

#[test]
fn an_order_is_shown_with_everything_done_for_it() {
    let shop = Shop::new();
    let id = shop.place("saga-1", &[("product_1", 2, 9_999), ("product_2", 1, 50)]);
    let view = shop.services.order(&id).unwrap().unwrap();
    let text = serde_json::to_string(&view).unwrap();
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    let expected = json!({
        "id": id.as_str(),
        "user_id": "user_123",
        "items": [
            {"product_id": "product_1", "quantity": 2, "price": 99.99},
            {"product_id": "product_2", "quantity": 1, "price": 0.5}
        ],
        "total": 200.48,
        "status": "confirmed",
        "created_at": "2026-11-23T08:00:00Z",
        "saga_id": "saga-1",
        "payment": {
            "id": view.payment.as_ref().unwrap().id.as_str(),
            "amount": 200.48,
            "status": "completed",
            "transaction_id": view.payment.as_ref().unwrap().transaction_id.as_str()
        },
        "reservation": {
            "id": view.reservation.as_ref().unwrap().id.as_str(),
            "status": "reserved",
            "lines": [{"product_id": "product_1", "quantity": 2}, {"product_id": "product_2", "quantity": 1}]
        },
        "shipment": {
            "id": view.shipment.as_ref().unwrap().id.as_str(),
            "status": "scheduled",
            "tracking_number": view.shipment.as_ref().unwrap().tracking_number.as_str(),
            "scheduled_date": "2026-11-24T08:00:00Z"
        }
    });
    assert_eq!(shown, expected);
    assert!(text.contains(r#""total":200.48,"#), "{text}");
}

#[test]
fn what_does_not_exist_is_left_out() {
    let shop = Shop::new();
    let id = shop.create("saga-1", &[("product_1", 2, 10_000)]).order_id;
    let shown = serde_json::to_value(shop.services.order(&id).unwrap().unwrap()).unwrap();
    for absent in ["payment", "reservation", "shipment"] {
        assert!(shown.get(absent).is_none(), "{shown}");
    }
    assert_eq!(shown["total"], json!(200));
    assert!(shop.services.order(&OrderId::from("ord_none")).unwrap().is_none());
}

#[test]
fn a_record_in_force_is_shown_before_one_taken_back() {
    let shop = Shop::new();
    let id = shop.create("saga-1", &[("product_1", 1, 100)]).order_id;
    let pay = ProcessPayment { order_id: id.clone(), amount: Money::from_minor(100) };
    let pays = |saga: &str| shop.call(Operation::ProcessPayment, saga, &pay);
    let shown = || shop.services.order(&id).unwrap().unwrap().payment.unwrap().status.as_str();
    pays("saga-1");
    shop.undo(Operation::RefundPayment, "saga-1");
    assert_eq!(shown(), "refunded");
    pays("saga-2");
    assert_eq!(shown(), "completed");
    pays("saga-3");
    shop.undo(Operation::RefundPayment, "saga-3");
    assert_eq!(shown(), "completed");
}

#[test]
fn pages_hold_every_order_once_oldest_first() {
    let shop = Shop::new();
    let placed: Vec<_> = (0..25)
        .map(|n| shop.place(&format!("saga-{n}"), &[("product_3", 1, 100), ("product_1", 1, 1)]))
        .collect();
    for limit in [1, 7, 25, 26, ORDERS_PAGE_MAX] {
        let (mut seen, mut cursor): (Vec<OrderId>, Option<OrdersCursor>) = (Vec::new(), None);
        loop {
            let page = shop.services.orders(cursor, PageLimit::new(limit).unwrap()).unwrap();
            assert!(page.orders.len() <= limit);
            for order in page.orders {
                assert_eq!((order.items.len(), order.reservation.unwrap().lines.len()), (2, 2));
                assert!(order.payment.is_some() && order.shipment.is_some());
                seen.push(order.id);
            }
            match page.next_cursor {
                Some(next) => cursor = Some(next.parse().unwrap()),
                None => break,
            }
        }
        assert_eq!(seen, placed, "pages of {limit}");
    }
}

#[test]
fn an_empty_shop_has_an_empty_page() {
    let page = Shop::new().services.orders(None, PageLimit::USUAL).unwrap();
    assert_eq!(serde_json::to_value(page).unwrap(), json!({"orders": [], "next_cursor": null}));
}

#[test]
fn a_page_has_a_limit() {
    assert!(PageLimit::new(ORDERS_PAGE_MAX).is_ok());
    for limit in [0, ORDERS_PAGE_MAX + 1] {
        assert!(PageLimit::new(limit).unwrap_err().to_string().contains("1 to 1000"));
    }
}

#[test]
fn the_inventory_shows_what_is_free_and_reserved() {
    let shop = Shop::new();
    let lines = reservation(&OrderId::from("ord_1"), &[("product_2", 20, 0)]);
    shop.call(Operation::ReserveInventory, "s1", &lines);
    let products = [("product_1", 100, 100, 0), ("product_2", 50, 30, 20), ("product_3", 200, 200, 0)]
        .map(|(id, start, free, reserved)| json!({"product_id": id, "start": start, "free": free, "reserved": reserved}));
    assert_eq!(
        serde_json::to_value(shop.services.inventory().unwrap()).unwrap(),
        json!({"products": products})
    );
}

#[test]
fn the_ledger_adds_up_what_the_services_hold() {
    let shop = Shop::new();
    shop.place("s1", &[("product_1", 2, 10_000)]);
    shop.place("s2", &[("product_1", 1, 50)]);
    let order_id = shop.create("s3", &[("product_1", 1, 700)]).order_id;
    shop.call(Operation::ProcessPayment, "s3", &ProcessPayment { order_id, amount: Money::from_minor(700) });
    shop.undo(Operation::RefundPayment, "s3");
    shop.undo(Operation::CancelOrder, "s3");
    shop.create("s4", &[("product_1", 1, i64::MAX)]);
    shop.create("s5", &[("product_1", 1, i64::MAX)]);
    assert_eq!(
        serde_json::to_value(shop.services.ledger().unwrap()).unwrap(),
        json!({
            "orders": {"pending": 2, "confirmed": 2, "cancelled": 1},
            "captured": 20_750,
            "refunded": 700,
            "confirmed_total": 20_050,
            "payments": {"completed": 2, "refunded": 1},
            "reservations": {"reserved": 2, "released": 0},
            "shipments": {"scheduled": 2, "cancelled": 0}
        })
    );
}

#[test]
fn looks_are_served_by_indexes() {
    let shop = Shop::new();
    let plans = [
        (ServiceName::Order, "SELECT * FROM orders WHERE id = 'x'"),
        (ServiceName::Order, "SELECT * FROM orders WHERE saga = 'x'"),
        (ServiceName::Order, "SELECT * FROM order_items WHERE order_number BETWEEN 1 AND 2"),
        (
            ServiceName::Payment,
            "SELECT * FROM json_each('[]') AS w CROSS JOIN payments ON payments.order_id = w.value",
        ),
        (
            ServiceName::Inventory,
            "SELECT * FROM json_each('[]') AS w CROSS JOIN reservation_lines ON reservation_number = w.value",
        ),
        (ServiceName::Shipping, "SELECT * FROM shipments WHERE saga = 'x'"),
    ];
    for (service, sql) in plans {
        let plan = shop.services.service(service).database().read(|c| {
            let mut statement = c.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
            let steps = statement.query_map([], |row| row.get(3))?;
            Ok(steps.collect::<Result<Vec<String>, _>>()?)
        });
        let plan = plan.unwrap();
        assert!(
            plan.iter().all(|step| !step.starts_with("SCAN") || step.contains("VIRTUAL TABLE")),
            "{plan:?}"
        );
    }
}
