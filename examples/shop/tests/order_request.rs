//! Which bodies are orders, and what the others are told.

use amends_shop::limits::NESTING_MAX;
use amends_shop::money::Money;
use amends_shop::order_request::{OrderRequest, RequestClass, RequestError};
use proptest::prelude::*;

fn parse(body: &str) -> Result<OrderRequest, RequestError> {
    OrderRequest::parse(body.as_bytes())
}

/// A body with one item that has this quantity and price.
fn one(quantity: &str, price: &str) -> String {
    format!(
        r#"{{"user_id": "u", "items": [{{"product_id": "p", "quantity": {quantity}, "price": {price}}}]}}"#
    )
}

fn code(body: &str) -> (RequestClass, &'static str) {
    let error = parse(body).expect_err(body);
    (error.class(), error.code())
}

#[test]
fn a_sound_order_is_read_exactly() {
    let request = parse(
        r#" {"user_id": "user_123", "note": {"any": [1, 2]}, "items": [
            {"product_id": "product_1", "quantity": 2, "price": 100.0, "colour": "red"},
            {"price": 0.1, "quantity": 3, "product_id": "pr\u00f6duct"}]} "#,
    )
    .unwrap();
    assert_eq!(request.total(), Money::from_minor(20_030));
    let order = request.into_order();
    assert_eq!(order.user_id.as_str(), "user_123");
    assert_eq!((order.items[0].quantity, order.items[0].price), (2, Money::from_minor(10_000)));
    assert_eq!(
        (order.items[1].product_id.as_str(), order.items[1].price),
        ("pröduct", Money::from_minor(10))
    );
}

#[test]
fn a_quantity_is_an_integer_by_value() {
    for text in ["2", "2.0", "2e0", "0.2e1", "20e-1", "2.000"] {
        assert_eq!(parse(&one(text, "1")).unwrap().order().items[0].quantity, 2, "{text}");
    }
}

#[test]
fn what_has_not_the_shape_of_an_order_is_malformed() {
    let cases = [
        ("", "not_json"),
        ("{", "not_json"),
        ("{} {}", "not_json"),
        ("{'user_id': 1}", "not_json"),
        (r#"{"user_id": "\ud800", "items": []}"#, "not_json"),
        ("null", "wrong_type"),
        ("[]", "wrong_type"),
        ("\"text\"", "wrong_type"),
        ("{}", "missing_field"),
        (r#"{"user_id": "u"}"#, "missing_field"),
        (r#"{"items": []}"#, "missing_field"),
        (r#"{"user_id": null, "items": []}"#, "wrong_type"),
        (r#"{"user_id": 5, "items": []}"#, "wrong_type"),
        (r#"{"user_id": "u", "items": {}}"#, "wrong_type"),
        (r#"{"user_id": "u", "items": [5]}"#, "wrong_type"),
        (r#"{"user_id": "u", "items": [{}]}"#, "missing_field"),
        (r#"{"user_id": "u", "items": [{"product_id": "p", "quantity": 1}]}"#, "missing_field"),
        (r#"{"user_id": "u", "user_id": "u", "items": []}"#, "duplicate_field"),
        (r#"{"user_id": "u", "a": 1, "a": 1, "items": []}"#, "duplicate_field"),
    ];
    for (body, expected) in cases {
        assert_eq!(code(body), (RequestClass::Malformed, expected), "{body}");
    }
    for (quantity, price) in [
        ("1.5", "1"),
        ("15e-1", "1"),
        ("1e-400", "1"),
        ("\"1\"", "1"),
        ("null", "1"),
        ("true", "1"),
        ("1", "\"1\""),
        ("1", "[1]"),
    ] {
        let body = one(quantity, price);
        assert_eq!(code(&body), (RequestClass::Malformed, "wrong_type"), "{body}");
    }
    assert_eq!(OrderRequest::parse(b"{\"user_id\": \"\xff\"}").unwrap_err().code(), "not_json");
    assert_eq!(code(&one("1", "01")), (RequestClass::Malformed, "not_json"));
}

#[test]
fn values_out_of_range_are_unprocessable() {
    for (body, expected) in [
        (r#"{"user_id": "", "items": [{"product_id": "p", "quantity": 1, "price": 1}]}"#, "empty_user_id"),
        (r#"{"user_id": "u", "items": []}"#, "empty_order"),
    ] {
        assert_eq!(code(body), (RequestClass::Unprocessable, expected), "{body}");
    }
    for (quantity, price, expected) in [
        ("0", "1", "quantity_not_positive"),
        ("-1", "1", "quantity_not_positive"),
        ("-0.0", "1", "quantity_not_positive"),
        ("1", "0", "price_not_positive"),
        ("1", "-0.01", "price_not_positive"),
        ("1", "0.001", "too_many_decimals"),
        ("1", "1e-400", "too_many_decimals"),
        ("9223372036854775808", "1", "overflow"),
        ("1e400", "1", "overflow"),
        ("1", "1e400", "overflow"),
        ("9223372036854775807", "0.02", "overflow"),
    ] {
        let body = one(quantity, price);
        assert_eq!(code(&body), (RequestClass::Unprocessable, expected), "{body}");
    }
    assert!(parse(&one("9223372036854775807", "0.01")).is_ok());
}

#[test]
fn the_total_of_all_lines_must_fit_too() {
    let line = r#"{"product_id": "p", "quantity": 1, "price": 50000000000000000}"#;
    assert!(parse(&format!(r#"{{"user_id": "u", "items": [{line}]}}"#)).is_ok());
    let error = parse(&format!(r#"{{"user_id": "u", "items": [{line}, {line}]}}"#)).unwrap_err();
    assert_eq!((error.class(), error.code()), (RequestClass::Unprocessable, "overflow"));
    assert!(error.to_string().contains("total"), "{error}");
}

#[test]
fn the_shape_is_judged_before_the_values() {
    let body = r#"{"user_id": "", "items": [
        {"product_id": "p", "quantity": -1, "price": 0.001}, {"product_id": "p", "quantity": 1}]}"#;
    assert_eq!(code(body), (RequestClass::Malformed, "missing_field"));
}

#[test]
fn an_error_names_the_field_and_what_to_do() {
    let body = r#"{"user_id": "u", "items": [
        {"product_id": "p", "quantity": 1, "price": 1}, {"product_id": "p", "quantity": 1, "price": 0.001}]}"#;
    assert_eq!(
        parse(body).unwrap_err().to_string(),
        "items[1].price has more than two decimals: round it to two"
    );
    assert_eq!(
        parse(&one("1.5", "1")).unwrap_err().to_string(),
        "items[0].quantity is a number with a fraction: send an integer"
    );
    let twice = r#"{"user_id": "u", "items": [{"price": 1, "price": 2}]}"#;
    assert_eq!(parse(twice).unwrap_err().to_string(), "items[0].price comes more than once: send it once");
}

#[test]
fn nesting_has_a_limit_whatever_the_body_holds() {
    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
        format!(
            r#"{{"user_id": "u", "items": [{{"product_id": "p", "quantity": 1, "price": 1}}], "x": {open}{close}}}"#
        )
    };
    assert!(parse(&nested(NESTING_MAX)).is_ok());
    assert_eq!(code(&nested(NESTING_MAX + 1)), (RequestClass::Malformed, "nesting_too_deep"));
    assert_eq!(code(&"[".repeat(1_000_000)), (RequestClass::Malformed, "nesting_too_deep"));
    let in_text = format!(
        r#"{{"user_id": "{}\"{}", "items": [{{"product_id": "p", "quantity": 1, "price": 1}}]}}"#,
        "[".repeat(100),
        "{".repeat(100)
    );
    assert!(parse(&in_text).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_body_makes_the_parser_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = OrderRequest::parse(&body);
    }

    #[test]
    fn no_mutation_of_a_body_makes_the_parser_panic_or_lose_exactness(
        at in 0..96_usize,
        byte in any::<u8>(),
    ) {
        let mut body = one("12", "34.56").into_bytes();
        let at = at % body.len();
        body[at] = byte;
        if let Ok(request) = OrderRequest::parse(&body) {
            let item = &request.order().items[0];
            prop_assert_eq!(request.total().minor(), item.price.minor() * item.quantity);
        }
    }
}
