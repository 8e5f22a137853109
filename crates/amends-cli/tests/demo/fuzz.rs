//! Requests as an evil client might send them: sound ones, with bytes changed at random.

use std::fmt::Debug;

use crate::books;
use crate::shop::{ORDER, Shop};
use crate::wire::request;

/// A small generator (SplitMix64): the same seed gives the same requests everywhere.
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `end`, which is above zero.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

const TOKENS: &[&[u8]] = &[
    b"\r\n",
    b"\0",
    b"\xff",
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"-",
    b".",
    b"1e999",
    b"99999999999999999999",
    b"null",
    b"true",
    b"\\u0000",
    b"\\ud800",
    b" ",
    b"%",
    b"/",
    b"?",
    b"content-length: 5\r\n",
    b"expect: 100-continue\r\n",
    b"transfer-encoding: chunked\r\n",
    b"connection: close\r\n",
    b"HTTP/1.0",
    b"upgrade: h2c\r\n",
];

fn mutate(seeded: &mut Seeded, bytes: &mut Vec<u8>) {
    for _ in 0..*seeded.pick(&[1, 1, 1, 2, 3, 8]) {
        if bytes.is_empty() {
            return;
        }
        let at = seeded.below(bytes.len());
        match seeded.below(6) {
            0 => bytes[at] ^= 1 << seeded.below(8),
            1 => bytes[at] = u8::try_from(seeded.below(256)).unwrap(),
            2 => drop(bytes.drain(at..bytes.len().min(at + 1 + seeded.below(8)))),
            3 => drop(bytes.splice(at..at, seeded.pick(TOKENS).iter().copied())),
            4 => {
                let again = bytes[at..bytes.len().min(at + 1 + seeded.below(30))].to_vec();
                drop(bytes.splice(at..at, again));
            }
            _ => bytes.truncate(at + 1),
        }
    }
}

/// Sends the bytes and nothing more, and takes whatever answers come.
fn try_out(shop: &Shop, bytes: &[u8], seed: impl Debug) -> Vec<u16> {
    let mut wire = shop.wire();
    let mut statuses = Vec::new();
    // Who is turned away early may find the connection closed while still sending, or before the answer was
    // read.
    if wire.send(bytes).and_then(|()| wire.end()).is_err() {
        return statuses;
    }
    loop {
        match wire.answer("POST") {
            Ok(answer) => {
                assert!((200..500).contains(&answer.status), "{seed:?}: {answer:?}");
                statuses.push(answer.status);
            }
            Err(error) => {
                let hung =
                    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
                let broken = error.kind() == std::io::ErrorKind::InvalidData;
                assert!(!hung && !broken, "{seed:?}: {error} after {:?}", String::from_utf8_lossy(bytes));
                return statuses;
            }
        }
    }
}

#[test]
fn no_request_with_changed_bytes_is_answered_5xx_or_not_at_all() {
    const REQUESTS: u64 = 2_000;
    let shop = Shop::open_with(&["--stock", "product_1=1000000"]);
    let placed = shop.post(ORDER);
    let sound = [
        request("POST", "/orders", &[], Some(ORDER.as_bytes())),
        request("POST", "/orders", &[("idempotency-key", "k")], Some(ORDER.as_bytes())),
        request("POST", "/orders", &[("prefer", "respond-async")], Some(ORDER.as_bytes())),
        request("GET", "/shop/orders?cursor=o1&limit=10", &[], None),
        request("GET", &format!("/sagas/{}", placed.member("saga_id")), &[], None),
        request("GET", &format!("/orders/{}", placed.member("order_id")), &[], None),
        [
            b"POST /orders HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5e\r\n",
            ORDER.as_bytes(),
            b"\r\n0\r\n\r\n",
        ]
        .concat(),
    ];
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (shop, sound) = (&shop, &sound);
            scope.spawn(move || {
                for number in (thread..REQUESTS).step_by(4) {
                    let mut seeded = Seeded(number);
                    let mut bytes = seeded.pick(sound).clone();
                    mutate(&mut seeded, &mut bytes);
                    try_out(shop, &bytes, number);
                }
            });
        }
    });
    books::check(&shop);
}

#[test]
fn no_body_with_changed_bytes_is_answered_5xx_or_placed_as_something_else() {
    const BODIES: u64 = 1_500;
    let shop = Shop::open_with(&["--stock", "product_1=1000000"]);
    let mut wire = shop.wire();
    for seed in 0..BODIES {
        let mut body = ORDER.as_bytes().to_vec();
        mutate(&mut Seeded(seed), &mut body);
        let answer = wire.call("POST", "/orders", &[], Some(&body)).unwrap();
        match answer.status {
            201 => {
                // What was placed is what the text says, read by somebody else.
                let asked: serde_json::Value = serde_json::from_slice(&body).unwrap();
                let order = shop.see(&format!("/orders/{}", answer.member("order_id"))).json();
                assert_eq!(order["user_id"], asked["user_id"], "{seed}");
                for (item, asked) in
                    order["items"].as_array().unwrap().iter().zip(asked["items"].as_array().unwrap())
                {
                    assert_eq!(item["product_id"], asked["product_id"], "{seed}");
                    for number in ["quantity", "price"] {
                        assert_eq!(item[number].as_f64(), asked[number].as_f64(), "{seed}");
                    }
                }
            }
            400 | 409 | 422 => assert!(!answer.code().is_empty()),
            other => panic!("seed {seed} is answered {other}: {}", answer.text()),
        }
    }
    books::check(&shop);
}
