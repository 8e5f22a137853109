//! Settling against a shop of a few lines that answers what a test tells it to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::json;

use super::*;

const SEED: u64 = 1;

/// A shop that gives, for each request line (`GET /path`), a status and a body, and says where it is.
fn shop(answer: impl Fn(&str) -> (u16, Value) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that has gone is no concern of the next one.
            let _ = serve(&stream.unwrap(), &answer);
        }
    });
    port
}

fn serve(mut stream: &TcpStream, answer: &impl Fn(&str) -> (u16, Value)) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        match header.trim().to_ascii_lowercase().strip_prefix("content-length: ") {
            Some(number) => length = number.parse().unwrap(),
            None if header.trim().is_empty() => break,
            None => {}
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    let (status, body) = answer(request.trim().trim_end_matches(" HTTP/1.1"));
    let body = body.to_string();
    write!(stream, "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// What a shop that never sold anything shows.
fn empty_shop(request: &str) -> (u16, Value) {
    let product = |product: crate::order::Product| {
        let start = product.stock_at_start();
        json!({"product_id": product.id(), "start": start, "free": start, "reserved": 0})
    };
    let ledger = json!({"orders": {}, "captured": 0, "refunded": 0, "confirmed_total": 0, "payments": {},
        "reservations": {}, "shipments": {}, "live_sagas": 0, "parked_sagas": 0});
    match request {
        "GET /inventory" => (200, json!({"products": crate::order::Product::ALL.map(product)})),
        "GET /shop/ledger" => (200, ledger),
        "GET /shop/orders?limit=1000" => (200, json!({"orders": [], "next_cursor": null})),
        _ => (404, json!({})),
    }
}

/// Settles a campaign that posted one order, or none, and gives the kinds of violations.
fn settle(port: u16, has_posted: bool) -> (bool, Vec<Kind>) {
    let scene = Scene::new(port, SEED.to_string().parse().unwrap(), 1);
    if has_posted {
        let mut random = Random::new(scene.seed, Stream::FirstStarts);
        scene.record().next_step(0, &mut random);
    }
    let is_done = Settle { scene: &scene, round: 0 }.run().is_ok();
    let kinds = scene.violations().by_kind().map(|(kind, _)| kind).collect();
    (is_done, kinds)
}

#[test]
fn a_shop_that_sold_nothing_to_nobody_is_in_order() {
    assert_eq!(settle(shop(empty_shop), false), (true, vec![]));
}

#[test]
fn an_open_key_is_posted_until_its_end_is_told() {
    let calls = std::sync::atomic::AtomicU32::new(0);
    let saga = |status| json!({"saga_id": "s1", "order_id": "ord_1", "status": status});
    let port = shop(move |request| match request {
        "POST /orders" if calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 2 => {
            (500, saga("in_progress"))
        }
        "POST /orders" => (201, saga("completed")),
        other => empty_shop(other),
    });
    // The shop acknowledges an order that it does not show.
    assert_eq!(settle(port, true), (true, vec![Kind::OrderMissing, Kind::OrderCountDiffers]));
}

#[test]
fn a_shop_that_is_gone_is_noticed() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_eq!(settle(port, true), (false, vec![Kind::ConnectionLost]));
    assert_eq!(settle(port, false), (false, vec![Kind::Unreadable]));
}

#[test]
fn a_cursor_that_does_not_move_is_noticed() {
    let port = shop(|request| match request {
        "GET /shop/orders?limit=1000" | "GET /shop/orders?limit=1000&cursor=7" => {
            (200, json!({"orders": [{}], "next_cursor": "7"}))
        }
        other => empty_shop(other),
    });
    assert_eq!(settle(port, false), (false, vec![Kind::Unreadable]));
}

#[test]
fn a_view_of_another_shape_is_noticed() {
    let port = shop(|request| match request {
        "GET /inventory" => (200, json!({"products": [{"product_id": "product_1"}]})),
        other => empty_shop(other),
    });
    assert_eq!(settle(port, false), (false, vec![Kind::Unreadable]));
}
