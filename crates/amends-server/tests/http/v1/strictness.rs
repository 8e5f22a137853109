//! What a call does not know is refused with the nearest name, by table.

use super::{refused, send};
use crate::place::{done, engine, router};

const START: &str = r#"{"definition": "Three", "input": {}}"#;

/// Method, path, header, body, status, code, what `detail` says.
type Row =
    (&'static str, &'static str, (&'static str, &'static str), &'static str, u16, &'static str, &'static str);

const NONE: (&str, &str) = ("accept", "*/*");

const ROWS: &[Row] = &[
    ("POST", "/v1/sagas", NONE, "", 400, "bad_request", "not JSON"),
    ("POST", "/v1/sagas", NONE, "[]", 400, "bad_request", "not an object"),
    ("POST", "/v1/sagas", NONE, r#"{"definition": "Three"}"#, 400, "bad_request", "/input is missing"),
    (
        "POST",
        "/v1/sagas",
        NONE,
        r#"{"definition": 3, "input": 1}"#,
        400,
        "bad_request",
        "/definition is not a text",
    ),
    (
        "POST",
        "/v1/sagas",
        NONE,
        r#"{"definiton": "Three", "input": 1}"#,
        400,
        "unknown_field",
        "\"definition\"",
    ),
    ("POST", "/v1/sagas", NONE, r#"{"definition": "a", "definition": "a"}"#, 400, "duplicate_field", "twice"),
    (
        "POST",
        "/v1/sagas",
        NONE,
        r#"{"definition": "Three", "input": {"a": 1, "a": 1}}"#,
        400,
        "duplicate_field",
        "twice",
    ),
    ("POST", "/v1/sagas?wait=3", NONE, START, 400, "unknown_parameter", "wait"),
    ("POST", "/v1/sagas", ("x-idempotency-key", "k"), START, 400, "unknown_header", "\"Idempotency-Key\""),
    ("POST", "/v1/sagas", ("idempotencykey", "k"), START, 400, "unknown_header", "\"Idempotency-Key\""),
    ("POST", "/v1/sagas", ("idempotency-key", ""), START, 400, "idempotency_key_invalid", "empty"),
    ("POST", "/v1/sagas", ("if-match", "\"1\""), START, 400, "unknown_header", "does not take"),
    ("POST", "/v1/sagas", ("last-event-id", "1"), START, 400, "unknown_header", "does not take"),
    ("POST", "/v1/sagas", ("prefer", "wait"), START, 400, "unknown_preference", "wait=10"),
    ("POST", "/v1/sagas", ("prefer", "wait=61"), START, 400, "unknown_preference", "0 to 60"),
    ("POST", "/v1/sagas", ("prefer", "respond-asink"), START, 400, "unknown_preference", "respond-async"),
    (
        "POST",
        "/v1/sagas",
        ("content-type", "text/plain"),
        START,
        415,
        "unsupported_media_type",
        "application/json",
    ),
    (
        "POST",
        "/v1/sagas",
        ("content-type", "application/json; charset=latin1"),
        START,
        415,
        "unsupported_media_type",
        "",
    ),
    ("GET", "/v1/sagas?stauts=completed", NONE, "", 400, "unknown_parameter", "did you mean \"status\"?"),
    ("GET", "/v1/sagas?offset=10", NONE, "", 400, "unknown_parameter", "cursor"),
    ("GET", "/v1/sagas?status=done", NONE, "", 400, "bad_request", "one of pending"),
    ("GET", "/v1/sagas?limit=0", NONE, "", 400, "bad_request", "from 1 to 1000"),
    ("GET", "/v1/sagas?limit=1001", NONE, "", 400, "bad_request", "from 1 to 1000"),
    ("GET", "/v1/sagas?limit=3&limit=3", NONE, "", 400, "unknown_parameter", "twice"),
    ("GET", "/v1/sagas?cursor=abc", NONE, "", 400, "bad_request", "next_cursor"),
    ("GET", "/v1/sagas?since=yesterday", NONE, "", 400, "bad_request", "RFC 3339"),
    ("GET", "/v1/sagas", ("idempotency-key", "k"), "", 400, "unknown_header", "does not take"),
    ("GET", "/v1/sagas", ("prefer", "wait=1"), "", 400, "unknown_header", "does not take"),
    ("GET", "/v1/sagas/count?limit=1", NONE, "", 400, "unknown_parameter", "limit"),
    ("DELETE", "/v1/sagas", NONE, "", 405, "method_not_allowed", "Allow"),
    ("GET", "/v1/sages", NONE, "", 404, "not_found", ""),
];

#[tokio::test]
async fn what_a_call_does_not_know_is_refused_with_the_nearest_name() {
    let router = router(&engine(done));
    for (method, path, header, body, status, code, said) in ROWS {
        let (found, problem) = refused(send(&router, method, path, &[*header], body).await).await;
        assert_eq!(
            (found, problem.code.as_str()),
            (*status, *code),
            "{method} {path} {header:?} {body}: {problem:?}"
        );
        assert!(problem.detail.contains(said), "{method} {path} {header:?} {body}: {}", problem.detail);
    }
}
