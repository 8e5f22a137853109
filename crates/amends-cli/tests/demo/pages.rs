//! `GET /shop/orders`, page by page.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::shop::{ORDER, Shop, order};

fn ids(page: &serde_json::Value) -> Vec<String> {
    let orders = page["orders"].as_array().unwrap().iter();
    orders.map(|order| order["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_page_has_1_to_1000_orders_and_a_cursor_is_one_of_ours() {
    let shop = Shop::open();
    for _ in 0..3 {
        assert_eq!(shop.post(ORDER).status, 201);
    }
    for (query, orders) in [("", 3), ("?", 3), ("?limit=1", 1), ("?limit=1000", 3), ("?cursor=&limit=2", 2)] {
        assert_eq!(ids(&shop.see(&format!("/shop/orders{query}")).json()).len(), orders, "{query}");
    }
    for query in [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=1.0",
        "limit=x",
        "limit=99999999999999999999",
        "cursor=zzz",
        "cursor=o0",
        "cursor=%00",
        "cursor=o1%20",
        "offset=1",
    ] {
        let answer = shop.see(&format!("/shop/orders?{query}"));
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"), "{query}");
    }
    let (mut seen, mut query) = (Vec::new(), "limit=1".to_owned());
    for page in 0.. {
        let answer = shop.see(&format!("/shop/orders?{query}")).json();
        seen.extend(ids(&answer));
        let Some(cursor) = answer["next_cursor"].as_str() else { break };
        assert!(
            cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)),
            "{cursor}"
        );
        query = format!("cursor={cursor}&limit=1");
        assert!(page < 3, "the pages come to an end");
    }
    assert_eq!(seen, ids(&shop.see("/shop/orders").json()));
}

#[test]
fn following_the_cursors_sees_each_order_once_while_others_are_placed() {
    let shop = Shop::open_with(&["--stock", "product_1=1000000"]);
    let body = order("product_1", "1", "1");
    let before: BTreeSet<String> = (0..50).map(|_| shop.post(&body).member("order_id")).collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(shop.post(&body).status, 201);
                }
            });
        }
        for limit in [1, 7, 1000] {
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = shop.see(&format!("/shop/orders?limit={limit}&cursor={cursor}")).json();
                seen.extend(ids(&page));
                match page["next_cursor"].as_str() {
                    // With small pages the others may place orders faster than this reads.
                    Some(next) if seen.len() < 400 => cursor = next.to_owned(),
                    Some(_) | None => break,
                }
            }
            let once: BTreeSet<String> = seen.iter().cloned().collect();
            assert_eq!(once.len(), seen.len(), "limit {limit}");
            assert!(once.is_superset(&before), "limit {limit}");
        }
        done.store(true, Ordering::Relaxed);
    });
}
