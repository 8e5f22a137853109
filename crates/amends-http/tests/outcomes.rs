//! The table of outcomes, row by row.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use amends_core::{Outcome, Reason};
use amends_http::{Body, outcome};
use hyper::{HeaderMap, StatusCode};

const NOW: SystemTime = UNIX_EPOCH;

fn judge(status: u16, headers: &[(&str, &str)], body: &str) -> Outcome {
    judge_with(status, headers, Body::Whole(body.to_owned().into()), &[])
}

fn judge_with(status: u16, headers: &[(&str, &str)], body: Body, refuse_on: &[&str]) -> Outcome {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name.parse::<hyper::header::HeaderName>().unwrap(), value.parse().unwrap());
    }
    let refuse_on: Vec<String> = refuse_on.iter().map(|code| (*code).to_owned()).collect();
    outcome(StatusCode::from_u16(status).unwrap(), &map, body, &refuse_on, NOW)
}

fn output(outcome: Outcome) -> String {
    match outcome {
        Outcome::Completed { output } => String::from_utf8(output.to_vec()).unwrap(),
        other => panic!("completed was expected, not {other:?}"),
    }
}

fn code(outcome: Outcome) -> String {
    match outcome {
        Outcome::Refused(refusal) => refusal.code,
        other => panic!("refused was expected, not {other:?}"),
    }
}

fn unknown(outcome: Outcome) -> (String, Option<Duration>) {
    match outcome {
        Outcome::Unknown { reason: Reason { code, .. }, retry_after } => (code, retry_after),
        other => panic!("unknown was expected, not {other:?}"),
    }
}

fn asked_again(outcome: Outcome) -> Option<Duration> {
    match outcome {
        Outcome::Working { ask_again_after } => ask_again_after,
        other => panic!("working was expected, not {other:?}"),
    }
}

const CODED: &str = r#"{"code": "no_funds", "detail": "the account is empty"}"#;
const SUCCESSES: [u16; 8] = [200, 201, 203, 204, 205, 206, 207, 226];

#[test]
fn every_2xx_but_202_is_completed_whatever_its_body() {
    for status in SUCCESSES {
        assert_eq!(output(judge(status, &[], "")), "null");
        assert_eq!(output(judge(status, &[], CODED)), CODED, "a code changes nothing");
        assert_eq!(output(judge_with(status, &[], Body::Whole(CODED.into()), &["no_funds"])), CODED);
        assert_eq!(output(judge(status, &[("content-type", "text/html")], "<p>")), r#""<p>""#);
    }
}

#[test]
fn a_json_body_stays_byte_for_byte_and_any_other_text_becomes_a_string() {
    assert_eq!(output(judge(200, &[], "{\"b\": 1,\"a\":1.50}\n")), "{\"b\": 1,\"a\":1.50}");
    assert_eq!(output(judge(200, &[], "12345678901234567890.10")), "12345678901234567890.10");
    assert_eq!(output(judge(200, &[], "{\"cut")), r#""{\"cut""#);
    assert_eq!(output(judge(200, &[], "ok")), r#""ok""#);
    assert_eq!(output(judge(200, &[], "{} {}")), r#""{} {}""#);
    assert_eq!(
        output(judge(200, &[], r#""\ud800""#)),
        r#""\"\\ud800\"""#,
        "two escapes that make no character"
    );
    let binary = Body::Whole((&b"\xff\x00"[..]).into());
    assert_eq!(output(judge_with(200, &[], binary, &[])), "\"\u{fffd}\\u0000\"");
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(output(judge(200, &[], &deep)), deep);
}

#[test]
fn a_202_is_working_with_a_wish_in_body_or_header_or_none() {
    let after = |headers: &[(&str, &str)], body: &str| asked_again(judge(202, headers, body));
    assert_eq!(after(&[], r#"{"retry_after": 5}"#), Some(Duration::from_secs(5)));
    assert_eq!(after(&[], r#"{"retry_after": 0.25, "code": "x"}"#), Some(Duration::from_millis(250)));
    assert_eq!(after(&[("retry-after", "7")], ""), Some(Duration::from_secs(7)));
    assert_eq!(after(&[("retry-after", "7")], r#"{"retry_after": 5}"#), Some(Duration::from_secs(5)));
    assert_eq!(after(&[("retry-after", "Thu, 01 Jan 1970 00:00:09 GMT")], ""), Some(Duration::from_secs(9)));
    for body in [
        "",
        "{}",
        "ok",
        "[]",
        CODED,
        r#"{"retry_after": null}"#,
        r#"{"retry_after": -1}"#,
        r#"{"retry_after": "5"}"#,
    ] {
        assert_eq!(after(&[], body), None, "{body}");
    }
    assert_eq!(asked_again(judge_with(202, &[], Body::Whole(CODED.into()), &["no_funds"])), None);
}

#[test]
fn a_4xx_with_a_code_is_refused_with_the_participants_own_words() {
    for status in 400..=499 {
        let is_refused = ![401, 408, 425, 429].contains(&status);
        match judge(status, &[("content-type", "text/html")], CODED) {
            Outcome::Refused(refusal) => {
                assert!(is_refused, "{status}");
                assert_eq!(refusal.code, "no_funds");
                assert_eq!(refusal.message, "the account is empty");
                assert_eq!(refusal.details.unwrap(), CODED);
            }
            other => assert!(!is_refused, "{status}: {other:?}"),
        }
    }
}

#[test]
fn what_is_no_string_code_is_none() {
    let bodies = [
        "",
        "{}",
        "no_funds",
        r#"{"code": 7}"#,
        r#"{"code": null}"#,
        r#"{"code": ""}"#,
        r#"{"error": {"code": "no_funds"}}"#,
        r#"["no_funds"]"#,
        r#"[{"code": "no_funds"}]"#,
        r#"{"code": "a", "code": "b"}"#,
        r#"{"code": "no_funds""#,
    ];
    for body in bodies {
        assert_eq!(unknown(judge(404, &[], body)).0, "http_404", "{body}");
        assert_eq!(code(judge(409, &[], body)), "http_409", "{body}");
    }
}

#[test]
fn a_bare_4xx_is_refused_only_where_the_status_says_so_and_no_proxy_may_have() {
    for status in 400..=499 {
        let is_refused = [400, 402, 409, 410, 412, 422].contains(&status);
        match judge(status, &[("content-type", "text/plain")], "no") {
            Outcome::Refused(refusal) => {
                assert!(is_refused, "{status}");
                assert_eq!(refusal.code, format!("http_{status}"));
            }
            other => {
                assert!(!is_refused, "{status}");
                assert_eq!(unknown(other).0, format!("http_{status}"));
            }
        }
        for html in ["text/html", "Text/HTML; charset=utf-8", "application/xhtml+xml"] {
            let answer = judge(status, &[("content-type", html)], "<h1>Gone</h1>");
            assert_eq!(unknown(answer).0, format!("http_{status}"), "{html}");
        }
    }
}

#[test]
fn a_401_is_unknown_whatever_it_says() {
    for refuse_on in [&[][..], &["no_funds"]] {
        let answer = judge_with(401, &[], Body::Whole(CODED.into()), refuse_on);
        assert_eq!(unknown(answer).0, "http_401");
    }
    assert_eq!(unknown(judge(401, &[], r#"{"code": "payload_conflict"}"#)).0, "http_401");
}

#[test]
fn busy_and_broken_are_unknown_and_their_words_decide_nothing() {
    let failure = r#"{"code": "FAILURE", "detail": "FAILURE: refused"}"#;
    for status in (500..=599).chain([408, 425, 429]) {
        assert_eq!(unknown(judge(status, &[], failure)).0, format!("http_{status}"));
        assert_eq!(
            unknown(judge(status, &[], r#"{"code": "payload_conflict"}"#)).0,
            format!("http_{status}")
        );
        assert_eq!(unknown(judge(status, &[], "")).1, None);
    }
}

#[test]
fn a_redirect_is_unknown_and_shows_no_query() {
    for status in 300..=399 {
        let headers = [("location", "http://169.254.169.254/x?token=hush")];
        let Outcome::Unknown { reason, .. } = judge(status, &headers, CODED) else { panic!("{status}") };
        assert_eq!(reason.code, "redirect");
        assert!(reason.message.contains("169.254.169.254/x") && !reason.message.contains("hush"));
    }
}

#[test]
fn a_code_to_refuse_on_is_final_whatever_the_status_but_2xx() {
    for status in (300..=599).filter(|status| *status != 401) {
        let answer = judge_with(status, &[], Body::Whole(CODED.into()), &["other", "no_funds"]);
        assert_eq!(code(answer), "no_funds", "{status}");
    }
    let is_listed = judge_with(503, &[], Body::Whole(CODED.into()), &["funds"]);
    assert_eq!(unknown(is_listed).0, "http_503", "only the whole code counts");
}

#[test]
fn a_payload_conflict_is_neither() {
    let conflict = r#"{"code": "payload_conflict", "detail": "other bytes"}"#;
    for status in [400, 403, 404, 409, 422] {
        for refuse_on in [&[][..], &["payload_conflict"]] {
            let answer = judge_with(status, &[], Body::Whole(conflict.into()), refuse_on);
            assert_eq!(answer, Outcome::Conflict { message: "other bytes".to_owned() });
        }
    }
}

#[test]
fn retry_after_is_honoured_in_both_forms() {
    let after = |value: &str| unknown(judge(503, &[("retry-after", value)], "")).1;
    assert_eq!(after("3"), Some(Duration::from_secs(3)));
    assert_eq!(after("0"), Some(Duration::ZERO));
    assert_eq!(after("99999999999999999999999"), Some(Duration::from_secs(u64::MAX)));
    assert_eq!(after("Thu, 01 Jan 1970 00:02:00 GMT"), Some(Duration::from_secs(120)));
    for unreadable in ["", "-3", "3.5", "soon", "3 s"] {
        assert_eq!(after(unreadable), None, "{unreadable}");
    }
    let by_their_clock =
        [("retry-after", "Fri, 01 Jan 2100 00:00:30 GMT"), ("date", "Fri, 01 Jan 2100 00:00:00 GMT")];
    assert_eq!(unknown(judge(503, &by_their_clock, "")).1, Some(Duration::from_secs(30)));
    let past = [("retry-after", "Fri, 01 Jan 2100 00:00:00 GMT"), ("date", "Fri, 01 Jan 2100 00:00:30 GMT")];
    assert_eq!(unknown(judge(503, &past, "")).1, Some(Duration::ZERO));
    for status in [401, 408, 425, 429, 500, 404, 302] {
        assert_eq!(unknown(judge(status, &[("retry-after", "3")], "")).1, Some(Duration::from_secs(3)));
    }
}

#[test]
fn an_answer_cut_short_is_unknown_whatever_its_status() {
    for status in [200, 201, 202, 204, 302, 400, 409, 422, 500] {
        let body = Body::CutShort { why: "it ended".to_owned() };
        let answer = judge_with(status, &[("retry-after", "3")], body, &[]);
        assert_eq!(unknown(answer), ("answer_cut_short".to_owned(), Some(Duration::from_secs(3))));
    }
}

#[test]
fn an_answer_too_large_is_completed_for_a_2xx_and_otherwise_unknown() {
    let too_large = || Body::TooLarge { bytes: 2_000_000 };
    for status in SUCCESSES {
        let answer = judge_with(status, &[], too_large(), &[]);
        assert_eq!(answer, Outcome::CompletedTooLarge { bytes: 2_000_000 });
    }
    assert_eq!(
        asked_again(judge_with(202, &[("retry-after", "3")], too_large(), &[])),
        Some(Duration::from_secs(3))
    );
    for status in [302, 400, 402, 409, 410, 422, 500] {
        assert_eq!(unknown(judge_with(status, &[], too_large(), &[])).0, "answer_too_large");
    }
}

#[test]
fn what_people_are_shown_of_an_answer_is_bounded() {
    let Outcome::Unknown { reason, .. } = judge(500, &[], &"x".repeat(100_000)) else { panic!() };
    assert!(reason.message.len() < 1_000);
}
