//! Every path, its methods, and what is none.

use amends_api::ErrorKind;

use crate::shop::{ORDER, Shop};

#[test]
fn what_is_no_sagas_id_is_404() {
    let shop = Shop::open();
    let placed = shop.post(ORDER);
    let (saga, order) = (placed.member("saga_id"), placed.member("order_id"));
    assert_eq!(shop.see(&format!("/sagas/{saga}")).status, 200);
    assert_eq!(shop.see(&format!("/sagas/{saga}?x=1")).status, 200);
    let one_more = format!("{saga}0");
    let others = [
        saga.to_uppercase(),
        format!("urn:uuid:{saga}"),
        format!("{{{saga}}}"),
        saga.replace('-', ""),
        saga[1..].to_owned(),
        one_more,
        format!("%30{}", &saga[1..]),
        format!("{saga}%00"),
        format!("{saga}%20"),
        format!("{saga}/"),
        format!("../sagas/{saga}"),
        order.clone(),
        "00000000-0000-0000-0000-000000000000".to_owned(),
        "ffffffff-ffff-ffff-ffff-ffffffffffff".to_owned(),
        "x".repeat(5_000),
    ];
    let rubbish = ["", ".", "..", "%ff", "%", "%2e%2e", "%00", "'", "%F0%9F%98%80", "null", "1"];
    for id in others.iter().map(String::as_str).chain(rubbish) {
        let answer = shop.see(&format!("/sagas/{id}"));
        assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"), "{id}");
    }
    for id in [saga.as_str(), &order.to_uppercase(), &order[..20], "ord_", "%ff", "ord_%27%20OR%201=1"] {
        let answer = shop.see(&format!("/orders/{id}"));
        assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"), "{id}");
    }
    for path in
        ["/nothing", "//", "/Orders", "/sagas", "/inventory/", "/shop", "/orders%2Fx", "/errors/nothing"]
    {
        let answer = shop.see(path);
        assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"), "{path}");
    }
}

#[test]
fn another_method_is_405_and_says_which_would_do() {
    let shop = Shop::open();
    let readable = ["/", "/health", "/orders/x", "/sagas/x", "/inventory", "/shop/ledger", "/shop/orders"];
    let pages = ["/errors/invalid", "/errors/not_json"];
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "NONSENSE"] {
        for path in readable.iter().chain(&pages) {
            let answer = shop.call(method, path);
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (405, "method_not_allowed"),
                "{method} {path}"
            );
            assert_eq!(answer.header("allow"), Some("GET,HEAD"), "{method} {path}");
        }
    }
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "NONSENSE"] {
        let answer = shop.call(method, "/orders");
        assert_eq!((answer.status, answer.code().as_str()), (405, "method_not_allowed"), "{method}");
        assert_eq!(answer.header("allow"), Some("POST"), "{method}");
    }
}

#[test]
fn head_is_get_without_a_body() {
    let shop = Shop::open();
    let saga = format!("/sagas/{}", shop.post(ORDER).member("saga_id"));
    for path in
        ["/", "/health", "/inventory", "/shop/ledger", "/shop/orders", "/errors/invalid", &saga, "/no"]
    {
        let mut wire = shop.wire();
        let head = wire.call("HEAD", path, &[], None).unwrap();
        let get = wire.call("GET", path, &[], None).unwrap();
        assert_eq!(
            (head.status, head.header("content-type")),
            (get.status, get.header("content-type")),
            "{path}"
        );
        assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
    }
    assert_eq!(shop.call("HEAD", "/orders").status, 405);
}

#[test]
fn the_front_page_and_the_page_of_every_error_can_be_read() {
    let shop = Shop::open();
    let index = shop.see("/");
    assert_eq!((index.status, index.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(index.text().contains("/orders"));
    assert_eq!(shop.see("/health").json()["status"], "ok");
    let ours = ErrorKind::ALL.iter().map(|kind| kind.code());
    let of_requests = [
        "not_json",
        "nesting_too_deep",
        "missing_field",
        "wrong_type",
        "empty_user_id",
        "empty_order",
        "quantity_not_positive",
        "price_not_positive",
        "too_many_decimals",
        "overflow",
    ];
    let of_refusals = ["amount_over_limit", "unknown_product", "insufficient_stock"];
    for code in ours.chain(of_requests).chain(of_refusals) {
        let page = shop.see(&format!("/errors/{code}"));
        assert_eq!(page.status, 200, "{code}");
        assert!(page.text().starts_with(&format!("# {code}\n")), "{}", page.text());
    }
    for problem in [shop.post("{}"), shop.see("/no"), shop.call("PUT", "/orders")] {
        assert_eq!(shop.see(&problem.member("type")).status, 200, "{}", problem.text());
    }
}

#[test]
fn what_is_no_http_is_answered_or_ended_and_stops_nobody() {
    let shop = Shop::open();
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(500_000));
    let far = format!("GET /{} HTTP/1.1\r\n\r\n", "y".repeat(70_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200));
    for bytes in [
        "GARBAGE\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &long,
        &far,
        &many,
    ] {
        let mut wire = shop.wire();
        // Who is turned away early may find the connection closed while still sending.
        if wire.send(bytes.as_bytes()).and_then(|()| wire.end()).is_ok()
            && let Ok(answer) = wire.answer("GET")
        {
            assert!((400..500).contains(&answer.status), "{bytes:.40}: {answer:?}");
        }
        assert_eq!(shop.see("/health").status, 200);
    }
}
