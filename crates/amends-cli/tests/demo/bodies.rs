//! Bodies that are no order, and bodies that are larger than one may be.

use std::fmt::Write;

use crate::books;
use crate::shop::{Shop, order};
use crate::wire::{Answer, request};

const MIB: usize = 1 << 20;

const OK: &str = r#"{"user_id": "u", "items": [{"product_id": "product_3", "quantity": 1, "price": 1}]}"#;

/// A sound order with one further field.
fn extra(field: &str) -> String {
    OK.replacen('{', &format!("{{{field}, "), 1)
}

/// A sound order with another user.
fn user(json: &str) -> Vec<u8> {
    OK.replacen(r#""u""#, json, 1).into_bytes()
}

/// A sound order of just so many bytes.
fn padded(bytes: usize) -> Vec<u8> {
    let mut body = OK.as_bytes().to_vec();
    body.resize(bytes, b' ');
    body
}

fn nested(levels: usize) -> String {
    // One level is the order itself.
    extra(&format!(r#""x": {}{}"#, "[".repeat(levels - 1), "]".repeat(levels - 1)))
}

fn check(shop: &Shop, body: &[u8], expected: (u16, &str)) {
    let answer = shop.post(body);
    let shown: String = String::from_utf8_lossy(body).chars().take(150).collect();
    let code = if answer.status < 400 { String::new() } else { answer.code() };
    assert_eq!((answer.status, code.as_str()), expected, "{shown}: {}", answer.text());
}

#[test]
fn a_body_of_the_wrong_shape_is_400_and_leaves_nothing() {
    let shop = Shop::open();
    let texts = [
        ("", "not_json"),
        (" \n", "not_json"),
        ("null", "wrong_type"),
        ("[]", "wrong_type"),
        (r#""order""#, "wrong_type"),
        ("{}", "missing_field"),
        (r#"{"user_id": "u"}"#, "missing_field"),
        (r#"{"items": []}"#, "missing_field"),
        (r#"{"user_id": "u", "items": {}}"#, "wrong_type"),
        (r#"{"user_id": "u", "items": null}"#, "wrong_type"),
        (r#"{"user_id": "u", "items": [null]}"#, "wrong_type"),
        (r#"{"user_id": "u", "items": [{}]}"#, "missing_field"),
        (r#"{"user_id": 1, "items": []}"#, "wrong_type"),
        (r#"{'user_id': 'u'}"#, "not_json"),
    ];
    for (body, code) in texts {
        check(&shop, body.as_bytes(), (400, code));
    }
    for behind in ["x", OK, "\0", ","] {
        check(&shop, format!("{OK}{behind}").as_bytes(), (400, "not_json"));
    }
    check(&shop, format!("\u{feff}{OK}").as_bytes(), (400, "not_json"));
    for text in [r#""\ud800""#, r#""\udc00\ud800""#, r#""\x""#, "\"\0\"", "\"\t\""] {
        check(&shop, &user(text), (400, "not_json"));
    }
    for bytes in [b"\xff".as_slice(), b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"] {
        let body = [br#"{"user_id": ""#, bytes, br#"", "items": []}"#].concat();
        check(&shop, &body, (400, "not_json"));
    }
    for field in [r#""user_id": "v""#, r#""user\u005fid": "v""#, r#""x": 1, "x": 2"#] {
        check(&shop, extra(field).as_bytes(), (400, "duplicate_field"));
    }
    for levels in [65, 128, 100_000] {
        check(&shop, nested(levels).as_bytes(), (400, "nesting_too_deep"));
    }
    check(&shop, "[".repeat(MIB).as_bytes(), (400, "nesting_too_deep"));
    for (quantity, price) in
        [("\"2\"", "1"), ("1.5", "1"), ("1e-1", "1"), ("null", "1"), ("true", "1"), ("[]", "1")]
    {
        check(&shop, order("product_1", quantity, price).as_bytes(), (400, "wrong_type"));
    }
    for price in ["null", "\"1\"", "[1]", "{}", "false"] {
        check(&shop, order("product_1", "1", price).as_bytes(), (400, "wrong_type"));
    }
    for number in ["01", "+1", "1.", ".5", "NaN", "Infinity", "0x10", "1_0", "--1", "1e", ""] {
        check(&shop, order("product_1", "1", number).as_bytes(), (400, "not_json"));
    }
    assert_eq!(books::check(&shop).len(), 0);
}

#[test]
fn a_value_out_of_range_is_422_and_leaves_nothing() {
    let shop = Shop::open();
    check(&shop, &user(r#""""#), (422, "empty_user_id"));
    check(&shop, br#"{"user_id": "u", "items": []}"#, (422, "empty_order"));
    let many = "9".repeat(5_000);
    for (quantity, price, code) in [
        ("0", "1", "quantity_not_positive"),
        ("-0", "1", "quantity_not_positive"),
        ("-1", "1", "quantity_not_positive"),
        ("1e30", "1", "overflow"),
        ("9223372036854775808", "1", "overflow"),
        (many.as_str(), "1", "overflow"),
        ("1", "0", "price_not_positive"),
        ("1", "-0", "price_not_positive"),
        ("1", "-0.01", "price_not_positive"),
        ("1", "0.001", "too_many_decimals"),
        ("1", "1.001", "too_many_decimals"),
        ("1", "1e-400", "too_many_decimals"),
        ("1", "1e400", "overflow"),
        ("1", "1e99999999999999999999", "overflow"),
        ("1", "92233720368547758.08", "overflow"),
        ("1", many.as_str(), "overflow"),
        ("9223372036854775807", "1", "overflow"),
        ("2", "92233720368547758.07", "overflow"),
    ] {
        check(&shop, order("product_1", quantity, price).as_bytes(), (422, code));
    }
    let twice = r#"{"user_id": "u", "items": [{"product_id": "a", "quantity": 1, "price": 92233720368547758.07},
        {"product_id": "b", "quantity": 1, "price": 0.01}]}"#;
    check(&shop, twice.as_bytes(), (422, "overflow"));
    assert_eq!(books::check(&shop).len(), 0);
}

#[test]
fn a_number_goes_by_value_and_what_is_not_known_is_skipped() {
    let shop = Shop::open();
    for (quantity, price) in [("1", "1.000"), ("1", "1e2"), ("2.0", "1"), ("10e-1", "1E0"), ("1", "0.01")] {
        check(&shop, order("product_1", quantity, price).as_bytes(), (201, ""));
    }
    for field in [r#""x": {"y": [1, null]}"#, r#""x": 1e999999"#, r#""": 0"#] {
        check(&shop, extra(field).as_bytes(), (201, ""));
    }
    check(&shop, nested(64).as_bytes(), (201, ""));
    check(&shop, format!(" \r\n\t{OK} \r\n\t").as_bytes(), (201, ""));
    for (json, user_id) in [
        (r#""\ud83d\ude00""#, "😀".to_owned()),
        (r#""a\u0000b""#, "a\0b".to_owned()),
        (r#"" ""#, " ".to_owned()),
        (&format!("\"{}\"", "é".repeat(100_000)), "é".repeat(100_000)),
    ] {
        let placed = shop.post(user(json));
        assert_eq!(placed.status, 201, "{}", placed.text());
        let order = shop.see(&format!("/orders/{}", placed.member("order_id")));
        assert_eq!(order.member("user_id"), user_id);
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "rubbish"] {
        assert_eq!(shop.post_with(&[("content-type", kind)], OK).status, 201);
    }
    books::check(&shop);
}

#[test]
fn a_body_of_one_mib_is_taken_and_one_byte_more_is_413() {
    let shop = Shop::open();
    for (bytes, status) in [(MIB - 1, 201), (MIB, 201), (MIB + 1, 413)] {
        let body = padded(bytes);
        assert_eq!(shop.post(&body).status, status, "{bytes}");
        assert_eq!(send(&shop, &chunked(&body, 60_000)).status, status, "{bytes} in chunks");
    }
    assert_eq!(send(&shop, &chunked(OK.as_bytes(), 1)).status, 201);
    let too_large = shop.post(padded(5 * MIB));
    assert_eq!((too_large.status, too_large.code().as_str()), (413, "body_too_large"));
    books::check(&shop);
}

#[test]
fn who_sends_far_too_much_and_reads_late_still_gets_413() {
    let shop = Shop::open();
    for bytes in [5 * MIB, 40 * MIB] {
        let mut wire = shop.wire();
        wire.send(&request("POST", "/orders", &[], Some(&padded(bytes)))).unwrap();
        assert_eq!(wire.answer("POST").unwrap().code(), "body_too_large", "{bytes}");
    }
}

#[test]
fn a_body_is_asked_for_when_it_may_come_and_refused_before_when_it_may_not() {
    let shop = Shop::open();
    let head = |bytes: usize| {
        format!("POST /orders HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {bytes}\r\n\r\n")
    };
    let mut wire = shop.wire();
    wire.send(head(OK.len()).as_bytes()).unwrap();
    assert_eq!(wire.any_answer("POST").unwrap().status, 100);
    wire.send(OK.as_bytes()).unwrap();
    assert_eq!(wire.answer("POST").unwrap().status, 201);
    let mut wire = shop.wire();
    wire.send(head(5 * MIB).as_bytes()).unwrap();
    assert_eq!(wire.any_answer("POST").unwrap().status, 413);
}

#[test]
fn a_length_that_lies_is_400() {
    let shop = Shop::open();
    let with =
        |headers: &str, body: &str| format!("POST /orders HTTP/1.1\r\nhost: x\r\n{headers}\r\n\r\n{body}");
    for (headers, body) in [
        ("content-length: 500", OK),
        ("content-length: 10", OK),
        ("content-length: abc", OK),
        ("content-length: -1", OK),
        ("content-length: 83, 83", OK),
        ("content-length: 1000000000000", OK),
        ("transfer-encoding: chunked", "zz\r\nabc\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked", "ffffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked", "3\r\nabcdef\r\n0\r\n\r\n"),
        ("transfer-encoding: gzip", OK),
    ] {
        let mut wire = shop.wire();
        wire.send(with(headers, body).as_bytes()).unwrap();
        wire.end().unwrap();
        assert_eq!(wire.answer("POST").unwrap().status, 400, "{headers} {body}");
    }
    assert_eq!(books::check(&shop).len(), 0);
}

fn send(shop: &Shop, bytes: &[u8]) -> Answer {
    let mut wire = shop.wire();
    wire.send(bytes).unwrap();
    wire.answer("POST").unwrap()
}

fn chunked(body: &[u8], bytes: usize) -> Vec<u8> {
    let mut request = b"POST /orders HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(bytes) {
        let mut size = String::new();
        write!(size, "{:x}\r\n", chunk.len()).unwrap();
        request.extend_from_slice(size.as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}
