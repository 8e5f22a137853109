//! Orders that go through, and orders that a service refuses.

use amends_api::{Saga, SagaStatus};
use serde_json::{Value, json};

use crate::books;
use crate::shop::{ORDER, Shop, order};

const STEPS: [&str; 5] =
    ["CreateOrder", "ProcessPayment", "ReserveInventory", "ScheduleShipment", "ConfirmOrder"];

/// A moment in RFC 3339, UTC.
fn is_moment(value: &Value) -> bool {
    let Some(text) = value.as_str() else { return false };
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape.strip_prefix("0000-00-00T00:00:00").is_some_and(|rest| {
        rest == "Z" || rest.strip_prefix('.').is_some_and(|rest| rest.trim_start_matches('0') == "Z")
    })
}

fn step_statuses(saga: &Value) -> Vec<String> {
    let steps = saga["steps"].as_array().unwrap();
    assert_eq!(steps.iter().map(|step| step["name"].as_str().unwrap()).collect::<Vec<_>>(), STEPS);
    steps.iter().map(|step| step["status"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_order_goes_through_and_everything_can_be_seen() {
    let shop = Shop::open();
    let placed = shop.post(ORDER);
    assert_eq!((placed.status, placed.header("content-type")), (201, Some("application/json")));
    let names: Vec<String> = placed.json().as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["order_id", "saga_id", "status"]);
    assert_eq!(placed.member("status"), "completed");
    let (saga_id, order_id) = (placed.member("saga_id"), placed.member("order_id"));
    assert!(order_id.starts_with("ord_"));

    let seen = shop.see(&format!("/sagas/{saga_id}"));
    let read: Saga = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(
        (&read.id, read.saga_id.as_ref(), read.status),
        (&saga_id, Some(&saga_id), SagaStatus::Completed)
    );
    assert_eq!(read.input.as_json(), ORDER, "to the byte");
    let saga = seen.json();
    assert_eq!((&saga["saga_id"], &saga["status"]), (&json!(saga_id), &json!("completed")));
    assert_eq!(step_statuses(&saga), ["completed"; 5]);
    for step in saga["steps"].as_array().unwrap() {
        assert_eq!(step["attempts"], json!(1), "{step}");
        assert!(is_moment(&step["started_at"]) && is_moment(&step["finished_at"]), "{step}");
        assert!(step["started_at"].as_str() <= step["finished_at"].as_str(), "{step}");
        assert_eq!(step.get("error"), Some(&Value::Null), "{step}");
    }

    let order = shop.see(&format!("/orders/{order_id}")).json();
    let parts = json!([
        order["id"],
        order["user_id"],
        order["items"],
        order["total"],
        order["status"],
        order["saga_id"]
    ]);
    let items = json!([{"product_id": "product_1", "quantity": 2, "price": 100}]);
    assert_eq!(parts, json!([order_id, "user_123", items, 200, "confirmed", saga_id]));
    assert!(is_moment(&order["created_at"]) && is_moment(&order["shipment"]["scheduled_date"]), "{order}");
    for (part, prefix, status) in [
        ("payment", "pay_", "completed"),
        ("reservation", "res_", "reserved"),
        ("shipment", "shp_", "scheduled"),
    ] {
        assert!(order[part]["id"].as_str().unwrap().starts_with(prefix), "{order}");
        assert_eq!(order[part]["status"], json!(status));
    }
    assert_eq!(order["payment"]["amount"], json!(200));
    assert!(order["payment"]["transaction_id"].as_str().unwrap().starts_with("txn_"));
    assert!(order["shipment"]["tracking_number"].as_str().unwrap().starts_with("TRK"));
    assert_eq!(order["reservation"]["lines"], json!([{"product_id": "product_1", "quantity": 2}]));

    let products = shop.see("/inventory").json()["products"].clone();
    let stock = |product, start, free, reserved| json!({"product_id": product, "start": start, "free": free, "reserved": reserved});
    assert_eq!(
        products,
        json!([
            stock("product_1", 100, 98, 2),
            stock("product_2", 50, 50, 0),
            stock("product_3", 200, 200, 0)
        ])
    );
    let ledger = shop.see("/shop/ledger").json();
    assert_eq!(ledger["orders"], json!({"pending": 0, "confirmed": 1, "cancelled": 0}));
    assert_eq!((&ledger["captured"], &ledger["confirmed_total"]), (&json!(20_000), &json!(20_000)));
    assert_eq!(books::check(&shop), [order]);
}

#[test]
fn a_payment_takes_ten_thousand_and_not_a_cent_more() {
    let shop = Shop::open();
    assert_eq!(shop.post(order("product_1", "1", "10000.00")).status, 201);
    assert_eq!(shop.post(order("product_1", "4", "2500")).status, 201);
    let refused = shop.post(order("product_1", "1", "10000.01"));
    assert_eq!((refused.status, refused.code().as_str()), (409, "amount_over_limit"));
    assert_eq!(
        (refused.member("status"), refused.member("failed_step")),
        ("compensated".into(), "ProcessPayment".into())
    );
    let saga = shop.see(&format!("/sagas/{}", refused.member("saga_id"))).json();
    assert_eq!(saga["status"], json!("compensated"));
    assert_eq!(step_statuses(&saga), ["compensated", "failed", "pending", "pending", "pending"]);
    assert!(saga["steps"][1]["error"].to_string().contains("10000.01"), "{saga}");
    let order = shop.see(&format!("/orders/{}", refused.member("order_id"))).json();
    assert_eq!((&order["status"], order.get("payment")), (&json!("cancelled"), None));
    books::check(&shop);
}

#[test]
fn what_the_inventory_refuses_is_refunded_and_cancelled() {
    let shop = Shop::open();
    let two = |first: &str, one: u32, second: &str, other: u32| {
        json!({"user_id": "u", "items": [{"product_id": first, "quantity": one, "price": 1},
            {"product_id": second, "quantity": other, "price": 1.5}]})
        .to_string()
    };
    for (body, code, reason) in [
        (order("product_2", "500", "1"), "insufficient_stock", "insufficient stock: have 50, need 500"),
        (two("product_2", 30, "product_2", 21), "insufficient_stock", "insufficient stock: have 50, need 51"),
        (
            two("product_1", 3, "product_3", 201),
            "insufficient_stock",
            "insufficient stock: have 200, need 201",
        ),
        (two("product_1", 3, "nothing", 1), "unknown_product", "unknown product: nothing"),
    ] {
        let refused = shop.post(&body);
        assert_eq!((refused.status, refused.code().as_str()), (409, code), "{body}");
        assert_eq!(
            (refused.member("failed_step"), refused.member("reason")),
            ("ReserveInventory".into(), reason.into())
        );
        let saga = shop.see(&format!("/sagas/{}", refused.member("saga_id"))).json();
        assert_eq!(step_statuses(&saga), ["compensated", "compensated", "failed", "pending", "pending"]);
        let order = shop.see(&format!("/orders/{}", refused.member("order_id"))).json();
        assert_eq!(
            (&order["status"], &order["payment"]["status"]),
            (&json!("cancelled"), &json!("refunded"))
        );
        assert_eq!((order.get("reservation"), order.get("shipment")), (None, None), "nothing else is undone");
    }
    // Of all that was refused nothing is missing: what is left can be had to the last piece.
    assert_eq!(shop.post(two("product_2", 20, "product_2", 30)).status, 201);
    assert_eq!(
        shop.post(order("product_2", "1", "1")).member("reason"),
        "insufficient stock: have 0, need 1"
    );
    books::check(&shop);
}

#[test]
fn the_last_pieces_are_sold_once() {
    let shop = Shop::open_with(&["--stock", "product_1=10"]);
    let sold = std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..20).map(|_| scope.spawn(|| shop.post(order("product_1", "1", "1")).status)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).filter(|status| *status == 201).count()
    });
    assert_eq!(sold, 10);
    books::check(&shop);
}
