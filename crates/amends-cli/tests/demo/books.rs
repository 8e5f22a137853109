//! Whether the shop's books are right.
//!
//! Owns the five invariants of the shop, seen from outside. Promises to look at the records of all services
//! and at each order. Waits for sagas under way by asking again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::shop::Shop;

/// How long sagas may take to end once nobody disturbs them.
const REST_TIME_MAX: Duration = Duration::from_secs(40);

/// Checks what must always hold once nothing is under way, and returns all orders.
pub(crate) fn check(shop: &Shop) -> Vec<Value> {
    let ledger = at_rest(shop);
    assert_eq!(ledger["parked_sagas"], 0, "{ledger}");
    let orders = orders(shop);
    let mut reserved = BTreeMap::new();
    let mut confirmed_total = 0;
    for order in &orders {
        let status = |part: &str| order[part]["status"].as_str();
        match order["status"].as_str() {
            Some("confirmed") => {
                confirmed_total += minor(&order["total"]);
                assert_eq!(status("payment"), Some("completed"), "{order}");
                assert_eq!(minor(&order["payment"]["amount"]), minor(&order["total"]), "{order}");
                assert_eq!(status("reservation"), Some("reserved"), "{order}");
                assert_eq!(status("shipment"), Some("scheduled"), "{order}");
                let lines = quantities(&order["reservation"]["lines"]);
                assert_eq!(lines, quantities(&order["items"]), "{order}");
                for (product, quantity) in lines {
                    *reserved.entry(product).or_insert(0) += quantity;
                }
            }
            Some("cancelled") => {
                assert!(matches!(status("payment"), None | Some("refunded")), "{order}");
                assert!(matches!(status("reservation"), None | Some("released")), "{order}");
                assert!(matches!(status("shipment"), None | Some("cancelled")), "{order}");
            }
            other => panic!("an order is {other:?} when nothing is under way: {order}"),
        }
    }
    let amount = |name: &str| ledger[name].as_i64().unwrap();
    assert_eq!(amount("captured") - amount("refunded"), confirmed_total, "{ledger}");
    assert_eq!(amount("confirmed_total"), confirmed_total, "{ledger}");
    for product in shop.see("/inventory").json()["products"].as_array().unwrap() {
        let count = |name: &str| product[name].as_i64().unwrap();
        assert_eq!(count("start"), count("free") + count("reserved"), "{product}");
        assert!(count("free") >= 0 && count("reserved") >= 0, "{product}");
        let sold = reserved.get(product["product_id"].as_str().unwrap()).copied();
        assert_eq!(count("reserved"), sold.unwrap_or(0), "{product}");
    }
    orders
}

/// All orders, page by page.
pub(crate) fn orders(shop: &Shop) -> Vec<Value> {
    let (mut orders, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = shop.see(&format!("/shop/orders?limit=1000&cursor={cursor}")).json();
        orders.extend(page["orders"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return orders,
        }
    }
}

/// The ledger, once nothing is under way.
fn at_rest(shop: &Shop) -> Value {
    let began = Instant::now();
    loop {
        let ledger = shop.see("/shop/ledger").json();
        if ledger["live_sagas"] == 0 {
            return ledger;
        }
        assert!(began.elapsed() < REST_TIME_MAX, "sagas do not end: {ledger}");
    }
}

/// An amount in minor units, from its digits.
fn minor(amount: &Value) -> i64 {
    let text = amount.to_string();
    let (major, decimals) = text.split_once('.').unwrap_or((&text, ""));
    assert!(decimals.len() <= 2, "{text}");
    format!("{major}{decimals:0<2}").parse().unwrap()
}

fn quantities(lines: &Value) -> BTreeMap<String, i64> {
    let mut sum = BTreeMap::new();
    for line in lines.as_array().unwrap() {
        let product = line["product_id"].as_str().unwrap().to_owned();
        *sum.entry(product).or_insert(0) += line["quantity"].as_i64().unwrap();
    }
    sum
}
