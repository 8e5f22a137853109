//! `Idempotency-Key` and `Prefer`.

use std::collections::BTreeSet;
use std::sync::Barrier;

use crate::books;
use crate::shop::{ORDER, Shop, order};
use crate::wire::Answer;

fn keyed(shop: &Shop, key: &str, body: &str) -> Answer {
    shop.post_with(&[("idempotency-key", key)], body)
}

/// What a repeat must share with the first answer.
fn told(answer: &Answer) -> (u16, String) {
    (answer.status, answer.text())
}

#[test]
fn a_repeat_gets_the_first_answer_however_its_body_is_spelled() {
    let shop = Shop::open();
    let first = keyed(&shop, "k", ORDER);
    assert_eq!(first.status, 201);
    let spelled = r#"{ "items":[{"price":1e2,"product_id":"product_\u0031","quantity":20e-1}],"user_id":"\u0075ser_123" }"#;
    for body in [ORDER, spelled] {
        assert_eq!(told(&keyed(&shop, "k", body)), told(&first));
    }
    let refused = order("nothing", "1", "1");
    let first = keyed(&shop, "refused", &refused);
    assert_eq!(first.status, 409);
    assert_eq!(told(&keyed(&shop, "refused", &refused)), told(&first));
    assert_eq!(books::check(&shop).len(), 2);
}

#[test]
fn another_body_under_the_same_key_is_key_reused() {
    let shop = Shop::open();
    let first = keyed(&shop, "k", ORDER);
    for other in [ORDER.replace("user_123", "user_124"), ORDER.replacen('{', r#"{"x": 1, "#, 1)] {
        let answer = keyed(&shop, "k", &other);
        assert_eq!((answer.status, answer.code().as_str()), (409, "key_reused"));
    }
    assert_eq!(told(&keyed(&shop, "k", ORDER)), told(&first));
    assert_eq!(books::check(&shop).len(), 1);
}

#[test]
fn a_call_that_never_became_a_saga_uses_up_no_key() {
    let shop = Shop::open();
    let large = format!("{ORDER}{}", " ".repeat(1 << 20));
    for (status, bad) in [(400, "{}"), (422, r#"{"user_id": "", "items": []}"#), (413, large.as_str())] {
        let key = format!("key-{status}");
        assert_eq!(keyed(&shop, &key, bad).status, status);
        assert_eq!(keyed(&shop, &key, ORDER).status, 201, "{status}");
        assert_eq!(keyed(&shop, &key, bad).status, status);
    }
    assert_eq!(books::check(&shop).len(), 3);
}

#[test]
fn a_key_is_one_text_of_1_to_255_visible_bytes() {
    let shop = Shop::open();
    let longest = "k".repeat(255);
    for key in ["k", " k ", "a b", "\"k\"", "K", longest.as_str()] {
        assert_eq!(keyed(&shop, key, ORDER).status, 201, "{key}");
    }
    // Spaces around a value are none of its; case is.
    assert_eq!(books::check(&shop).len(), 5);
    let too_long = "k".repeat(256);
    for key in ["", " ", "ä", "k\u{80}", too_long.as_str()] {
        let answer = keyed(&shop, key, ORDER);
        assert_eq!((answer.status, answer.code().as_str()), (400, "idempotency_key_invalid"), "{key}");
    }
    for second in ["k", "other"] {
        let answer = shop.post_with(&[("idempotency-key", "k"), ("idempotency-key", second)], ORDER);
        assert_eq!((answer.status, answer.code().as_str()), (400, "idempotency_key_invalid"));
    }
    assert_eq!(keyed(&shop, "a\u{1}b", ORDER).status, 400);
    assert_eq!(books::check(&shop).len(), 5);
}

/// Sends one key from twenty clients concurrently.
fn all_at_once(shop: &Shop, request: impl Fn(usize) -> Answer + Sync) -> Vec<Answer> {
    const CLIENTS: usize = 20;
    assert_eq!(shop.see("/health").status, 200);
    let barrier = Barrier::new(CLIENTS);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (barrier, request) = (&barrier, &request);
                scope.spawn(move || {
                    barrier.wait();
                    request(client)
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    })
}

#[test]
fn twenty_repeats_at_once_share_one_order_and_one_answer() {
    let shop = Shop::open();
    for round in 0..5 {
        let key = format!("k{round}");
        let answers = all_at_once(&shop, |_| keyed(&shop, &key, ORDER));
        let told: BTreeSet<_> = answers.iter().map(told).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(answers[0].status, 201);
    }
    assert_eq!(books::check(&shop).len(), 5);
}

#[test]
fn two_bodies_at_once_under_one_key_make_one_order() {
    let shop = Shop::open();
    let bodies = [ORDER.to_owned(), ORDER.replace("user_123", "somebody")];
    let answers = all_at_once(&shop, |client| keyed(&shop, "k", &bodies[client % 2]));
    let told = |parity| -> BTreeSet<(u16, bool)> {
        let of_parity = answers.iter().skip(parity).step_by(2);
        of_parity.map(|a| (a.status, a.status == 409 && a.code() == "key_reused")).collect()
    };
    let mut both = [told(0), told(1)];
    both.sort();
    assert_eq!(both, [BTreeSet::from([(201, false)]), BTreeSet::from([(409, true)])]);
    assert_eq!(books::check(&shop).len(), 1);
}

#[test]
fn a_start_that_does_not_wait_is_202_and_its_repeat_may_wait() {
    let shop = Shop::open();
    let asked = |headers: &[(&str, &str)]| shop.post_with(headers, ORDER);
    let accepted = asked(&[("idempotency-key", "k"), ("prefer", "respond-async")]);
    assert_eq!(accepted.status, 202);
    let saga_id = accepted.member("saga_id");
    let location = format!("/sagas/{saga_id}");
    assert_eq!(accepted.header("location"), Some(location.as_str()));
    assert!(["pending", "in_progress", "completed"].contains(&accepted.member("status").as_str()));
    assert_eq!(shop.see(&location).member("saga_id"), saga_id);
    let placed = asked(&[("idempotency-key", "k")]);
    assert_eq!((placed.status, placed.member("saga_id")), (201, saga_id.clone()));
    let again = asked(&[("idempotency-key", "k"), ("prefer", "respond-async")]);
    assert_eq!((again.status, again.member("saga_id")), (202, saga_id));

    let answers = all_at_once(&shop, |client| {
        let prefer = if client % 2 == 0 { "respond-async" } else { "wait=10" };
        asked(&[("idempotency-key", "mixed"), ("prefer", prefer)])
    });
    let sagas: BTreeSet<_> = answers.iter().map(|answer| answer.member("saga_id")).collect();
    assert_eq!(sagas.len(), 1);
    for (client, answer) in answers.iter().enumerate() {
        assert_eq!(answer.status, if client % 2 == 0 { 202 } else { 201 });
    }
    assert_eq!(books::check(&shop).len(), 2);
}

#[test]
fn only_respond_async_is_respond_async() {
    let shop = Shop::open();
    for (value, status) in [
        ("respond-async", 202),
        ("Respond-Async", 202),
        ("respond-async, wait=5", 202),
        ("return=minimal; x, respond-async", 202),
        ("wait=5", 201),
        ("respond-asynchronously", 201),
        ("\"respond-async\"", 201),
        ("", 201),
    ] {
        assert_eq!(shop.post_with(&[("prefer", value)], ORDER).status, status, "{value}");
    }
    assert_eq!(shop.post_with(&[("prefer", "respond-async")], "{}").status, 400);
    books::check(&shop);
}
