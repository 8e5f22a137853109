//! Clients that are slow, silent, many, or in a hurry.

use crate::books;
use crate::shop::{ORDER, Shop, order};
use crate::wire::{Wire, request};

/// Connections that do not say what they want.
fn half_open(shop: &Shop, count: usize) -> Vec<Wire> {
    let parts: [&[u8]; 4] = [
        b"",
        b"POST /orders HTTP/1.1\r\nhos",
        b"POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n{",
        b"POST /orders HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{    \r\n",
    ];
    let wires = (0..count).map(|number| {
        let mut wire = shop.wire();
        wire.send(parts[number % parts.len()]).unwrap();
        wire
    });
    wires.collect()
}

/// As many connections as this test needs; where the system allows fewer, it cannot run.
#[cfg(target_os = "linux")]
fn allow_connections() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn two_thousand_half_open_connections_stop_nobody() {
    allow_connections();
    let shop = Shop::open();
    let before = shop.memory_kib();
    for count in [500, 1_500] {
        let wires = half_open(&shop, count);
        for _ in 0..20 {
            assert_eq!(shop.post(ORDER).status, 201);
        }
        assert_eq!(shop.see("/shop/orders").status, 200);
        let each = shop.memory_kib().saturating_sub(before) / (count as u64);
        assert!(each < 128, "{each} KiB for each connection that says nothing");
        drop(wires);
    }
    books::check(&shop);
}

#[test]
fn a_body_that_does_not_come_is_408_and_a_head_that_does_not_is_ended() {
    let shop = Shop::open();
    let mut wires = half_open(&shop, 4);
    let (heads, bodies) = wires.split_at_mut(2);
    for wire in bodies {
        let answer = wire.answer("POST").unwrap();
        assert_eq!((answer.status, answer.code().as_str()), (408, "request_too_slow"));
        assert!(wire.is_ended());
    }
    for wire in heads {
        assert!(wire.is_ended());
    }
    assert_eq!(books::check(&shop).len(), 0);
}

#[test]
fn ten_thousand_requests_in_a_row_on_one_connection_are_answered_in_order() {
    const REQUESTS: usize = 10_000;
    let shop = Shop::open_with(&["--stock", "product_1=1000000"]);
    let mut wire = shop.wire();
    let health = request("GET", "/health", &[], None);
    let nothing = request("GET", "/nothing", &[], None);
    let mut sender = wire.writer().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..REQUESTS {
                std::io::Write::write_all(&mut sender, if number % 10 == 0 { &nothing } else { &health })
                    .unwrap();
            }
        });
        for number in 0..REQUESTS {
            let status = if number % 10 == 0 { 404 } else { 200 };
            assert_eq!(wire.answer("GET").unwrap().status, status, "{number}");
        }
    });
    let body = order("product_1", "1", "1");
    let placed = request("POST", "/orders", &[], Some(body.as_bytes()));
    wire.send(&placed.repeat(50)).unwrap();
    for _ in 0..50 {
        assert_eq!(wire.answer("POST").unwrap().status, 201);
    }
    assert_eq!(books::check(&shop).len(), 50);
}

#[test]
fn a_client_that_goes_away_leaves_its_order_to_be_finished() {
    let shop = Shop::open();
    for number in 0..30 {
        let key = format!("gone-{number}");
        let mut wire = shop.wire();
        wire.send(&request("POST", "/orders", &[("idempotency-key", &key)], Some(ORDER.as_bytes()))).unwrap();
        drop(wire);
    }
    for number in 0..30 {
        let key = format!("gone-{number}");
        assert_eq!(shop.post_with(&[("idempotency-key", &key)], ORDER).status, 201);
    }
    assert_eq!(books::check(&shop).len(), 30);
}

#[test]
#[cfg(target_os = "linux")]
fn bodies_that_stop_half_way_cost_what_was_sent() {
    allow_connections();
    const SENT: usize = 200 << 10;
    let shop = Shop::open();
    let before = shop.memory_kib();
    let wires: Vec<Wire> = (0..100)
        .map(|_| {
            let mut wire = shop.wire();
            wire.send(b"POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 1048576\r\n\r\n").unwrap();
            wire.send(&vec![b' '; SENT]).unwrap();
            wire
        })
        .collect();
    assert_eq!(shop.post(ORDER).status, 201);
    let each = shop.memory_kib().saturating_sub(before) / 100;
    assert!(each < 1024, "{each} KiB for each body of 200 KiB");
    drop(wires);
    books::check(&shop);
}
