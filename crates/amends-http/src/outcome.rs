//! What an answer over HTTP means: the one table.
//!
//! Owns the verdict on status, headers and body (DESIGN, section 4). Promises that it depends on nothing else:
//! not on the mode, the direction or the number of the attempt; and that only status and structured fields decide,
//! never a word of a text. Does not read from the network. Start reading at [`outcome`].
//!
//! | answer | outcome |
//! |---|---|
//! | any, cut short | unknown |
//! | 2xx other than 202 | completed, whatever the body |
//! | 202 | working |
//! | 401 | unknown, whatever the body |
//! | 4xx other than 408, 425 and 429 with `code: "payload_conflict"` | conflict |
//! | a `code` of `refuse_on`, whatever the status | refused |
//! | 408, 425, 429 | unknown |
//! | other 4xx with a string `code` | refused |
//! | 400, 402, 409, 410, 412, 422, no code, not HTML | refused |
//! | everything else: 403, 404, 405, 3xx, 5xx, … | unknown |

use std::time::{Duration, SystemTime};

use amends_core::{Outcome, Reason, Refusal};
use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, DATE, LOCATION, RETRY_AFTER};
use hyper::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::limits::WORDS_QUOTED_MAX;

/// What was read of an answer's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// All of it.
    Whole(Bytes),
    /// The connection ended, or broke HTTP, before the end.
    CutShort {
        /// How, for people.
        why: String,
    },
    /// Larger than is read.
    TooLarge {
        /// Its bytes: as the head gave them, or as many as came.
        bytes: u64,
    },
}

/// What an answer means. `now` is the machine's wall clock, for a `Retry-After` that is a date.
#[must_use]
pub fn outcome(
    status: StatusCode,
    headers: &HeaderMap,
    body: Body,
    refuse_on: &[String],
    now: SystemTime,
) -> Outcome {
    let is_working = status == StatusCode::ACCEPTED;
    let bytes = match body {
        Body::Whole(bytes) => bytes,
        Body::TooLarge { .. } if is_working => Bytes::new(),
        Body::TooLarge { bytes } if status.is_success() => return Outcome::CompletedTooLarge { bytes },
        Body::TooLarge { bytes } => {
            let message = format!("HTTP {} with a body of {bytes} bytes, too large to read", status.as_u16());
            return unknown("answer_too_large", message, headers, now);
        }
        Body::CutShort { why } => {
            let message = format!("HTTP {}, and the answer was cut short: {why}", status.as_u16());
            return unknown("answer_cut_short", message, headers, now);
        }
    };
    if is_working {
        return Outcome::Working { ask_again_after: wish(headers, &bytes, now) };
    }
    if status.is_success() {
        return Outcome::Completed { output: output(bytes) };
    }
    let said = Said::read(&bytes);
    let code = said.code.as_deref();
    let is_refused_by_name = code.is_some_and(|code| refuse_on.iter().any(|known| known == code));
    match (status.as_u16(), code) {
        (401, _) => unknown_status(status, headers, &said, &bytes, now),
        (400..=407 | 409..=424 | 426..=428 | 430..=499, Some(Reason::PAYLOAD_CONFLICT)) => {
            Outcome::Conflict { message: said.message(status) }
        }
        (_, Some(code)) if is_refused_by_name => refused(code, &said, status, bytes.clone()),
        (408 | 425 | 429, _) => unknown_status(status, headers, &said, &bytes, now),
        (400..=499, Some(code)) => refused(code, &said, status, bytes.clone()),
        (400 | 402 | 409 | 410 | 412 | 422, None) if !is_html(headers) => {
            refused(&format!("http_{}", status.as_u16()), &said, status, bytes.clone())
        }
        _ => unknown_status(status, headers, &said, &bytes, now),
    }
}

/// The structured fields of an answer that says no.
#[derive(Debug, Default, Deserialize)]
struct Fields {
    code: Option<serde_json::Value>,
    detail: Option<serde_json::Value>,
    message: Option<serde_json::Value>,
    title: Option<serde_json::Value>,
}

/// What of them can be used.
#[derive(Debug, Default)]
struct Said {
    is_object: bool,
    code: Option<String>,
    words: Option<String>,
}

impl Said {
    fn read(body: &[u8]) -> Self {
        // A field given twice says two things: then neither counts.
        let Ok(fields) = serde_json::from_slice::<Fields>(body) else { return Self::default() };
        if !body.trim_ascii_start().starts_with(b"{") {
            return Self::default();
        }
        let text = |value: Option<serde_json::Value>| match value {
            Some(serde_json::Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        };
        let words = [fields.detail, fields.message, fields.title].into_iter().find_map(text);
        Self { is_object: true, code: text(fields.code), words }
    }

    fn message(&self, status: StatusCode) -> String {
        self.words.clone().unwrap_or_else(|| format!("HTTP {}", status.as_u16()))
    }
}

fn refused(code: &str, said: &Said, status: StatusCode, body: Bytes) -> Outcome {
    let details = said.is_object.then_some(body);
    Outcome::Refused(Refusal { code: code.to_owned(), message: said.message(status), details })
}

fn unknown_status(
    status: StatusCode,
    headers: &HeaderMap,
    said: &Said,
    body: &[u8],
    now: SystemTime,
) -> Outcome {
    let number = status.as_u16();
    let hint = match number {
        300..=399 => {
            let location = headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
            // A query may carry what is nobody's business.
            let location = quoted(location.split(['?', '#']).next().unwrap_or_default());
            return unknown(
                "redirect",
                format!("HTTP {number}, a redirect to {location:?}: none is followed; correct the url"),
                headers,
                now,
            );
        }
        401 => ": is the participant's secret or bearer right?",
        403..=405 => " without a code: are the url and the path right?",
        _ if is_html(headers) => " with HTML, which comes from a proxy more likely than from a participant",
        _ => "",
    };
    let words = match (&said.code, &said.words) {
        (Some(code), Some(words)) => format!("; it said {}: {}", quoted(code), quoted(words)),
        (Some(words), None) | (None, Some(words)) => format!("; it said {}", quoted(words)),
        (None, None) if body.is_empty() || is_html(headers) => String::new(),
        (None, None) => format!("; it said {}", quoted(&String::from_utf8_lossy(body))),
    };
    unknown(&format!("http_{number}"), format!("HTTP {number}{hint}{words}"), headers, now)
}

fn unknown(code: &str, message: String, headers: &HeaderMap, now: SystemTime) -> Outcome {
    Outcome::Unknown { reason: Reason::new(code, message), retry_after: retry_after(headers, now) }
}

/// The start of a participant's words.
fn quoted(words: &str) -> String {
    let mut chars = words.trim().chars();
    let mut quoted: String = chars.by_ref().take(WORDS_QUOTED_MAX).collect();
    if chars.next().is_some() {
        quoted.push('…');
    }
    quoted
}

/// The output that a body becomes: JSON stays byte for byte, nothing is `null`, any other text is a string.
fn output(body: Bytes) -> Bytes {
    if body.is_empty() {
        return Bytes::from_static(b"null");
    }
    if let Some(json) = as_json(&body) {
        return json;
    }
    let text = String::from_utf8_lossy(&body);
    serde_json::to_vec(&text).expect("a text can be written as JSON").into()
}

/// The JSON value that these bytes are, without the white space around it.
fn as_json(body: &Bytes) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let is_json = if text.contains("\\u") {
        // Only a full reading sees that two escapes make no character.
        serde_json::from_str::<serde_json::Value>(text).is_ok()
    } else {
        serde_json::from_str::<IgnoredAny>(text).is_ok()
    };
    is_json.then(|| body.slice_ref(body.trim_ascii()))
}

/// When a participant that works on it wishes to be asked again: what the body says, or else the header.
/// Without a wish it calls back.
fn wish(headers: &HeaderMap, body: &[u8], now: SystemTime) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Accepted {
        retry_after: Option<serde_json::Value>,
    }
    let said = serde_json::from_slice::<Accepted>(body).ok().and_then(|said| said.retry_after);
    let said = said.and_then(|seconds| Duration::try_from_secs_f64(seconds.as_f64()?).ok());
    said.or_else(|| retry_after(headers, now))
}

/// `Retry-After`: seconds, or a date. A date is taken by the participant's own clock where it gave that.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let theirs = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    Some(date.duration_since(theirs.unwrap_or(now)).unwrap_or_default())
}

/// Whether the body is a page for people.
fn is_html(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("text/html") || kind.eq_ignore_ascii_case("application/xhtml+xml")
}
