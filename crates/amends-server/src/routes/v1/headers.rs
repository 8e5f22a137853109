//! The headers of ours.
//!
//! Owns [`Ours`] and how each is read. Promises that a header of ours on a call that does not take it, one that
//! is a slip away from one of ours, and one with a value that cannot be read are errors: a key that is ignored
//! lets a repeat act twice. Other headers are nobody's business.

use std::time::Duration;

use amends_api::ErrorKind;
use axum::http::{HeaderMap, HeaderName};

use super::nearest::{distance, hint};
use crate::limits::{KEY_BYTES_MAX, WAIT_MAX, WAIT_USUAL};
use crate::problem::Problem;
use crate::request;

/// A header that some call takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ours {
    /// A repeat with it changes nothing.
    IdempotencyKey,
    /// It must be there.
    IdempotencyKeyRequired,
    /// How long to wait.
    Prefer,
    /// Which state the caller decided by.
    IfMatch,
    /// Where a stream goes on.
    LastEventId,
}

impl Ours {
    const ALL: [Self; 5] =
        [Self::IdempotencyKey, Self::IdempotencyKeyRequired, Self::Prefer, Self::IfMatch, Self::LastEventId];

    /// The header's name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::IdempotencyKey | Self::IdempotencyKeyRequired => "Idempotency-Key",
            Self::Prefer => "Prefer",
            Self::IfMatch => "If-Match",
            Self::LastEventId => "Last-Event-ID",
        }
    }

    /// What it is for.
    pub(super) const fn about(self) -> &'static str {
        match self {
            Self::IdempotencyKey | Self::IdempotencyKeyRequired => {
                "a repeat with the same key gets the first answer and changes nothing"
            }
            Self::Prefer => "wait=SECONDS (0 to 60; 10 unless given), or respond-async",
            Self::IfMatch => "the ETag of the state that was decided by",
            Self::LastEventId => "the id of the last event that was seen: the stream goes on after it",
        }
    }
}

impl Ours {
    /// Its value as JSON Schema.
    pub(super) fn schema(self) -> serde_json::Value {
        match self {
            Self::IdempotencyKey | Self::IdempotencyKeyRequired => {
                serde_json::json!({"type": "string", "minLength": 1, "maxLength": KEY_BYTES_MAX})
            }
            Self::Prefer => {
                serde_json::json!({"type": "string", "pattern": "^(respond-async|wait=([0-9]|[1-5][0-9]|60))$"})
            }
            Self::IfMatch => serde_json::json!({"type": "string", "pattern": "^\"[0-9]{1,18}\"$"}),
            Self::LastEventId => serde_json::json!({"type": "string", "minLength": 1}),
        }
    }
}

/// What the headers of ours say.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The idempotency key.
    pub(super) key: Option<String>,
    /// How long to wait.
    pub(super) wait: Patience,
    /// The sequence that there is to be.
    pub(super) expected: Option<u64>,
    /// The id of the last event seen, as it came.
    pub(super) last_event_id: Option<String>,
}

/// How long a start is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Not at all.
    None,
    /// So long.
    For(Duration),
}

impl Default for Patience {
    fn default() -> Self {
        Self::For(WAIT_USUAL)
    }
}

/// Reads the headers that a call takes, and refuses those that it does not.
pub(super) fn read(taken: &[Ours], headers: &HeaderMap) -> Result<Said, Problem> {
    for name in headers.keys() {
        judge(taken, name)?;
    }
    let mut said = Said::default();
    for ours in taken {
        match ours {
            Ours::IdempotencyKey => said.key = request::idempotency_key(headers)?,
            Ours::IdempotencyKeyRequired => {
                said.key = request::idempotency_key(headers)?;
                if said.key.is_none() {
                    let detail =
                        "send the header Idempotency-Key: a repeat with the same key changes nothing";
                    return Err(Problem::new(ErrorKind::IdempotencyKeyInvalid, detail));
                }
            }
            Ours::Prefer => said.wait = prefer(headers)?,
            Ours::IfMatch => said.expected = if_match(headers)?,
            Ours::LastEventId => said.last_event_id = one(headers, *ours)?.map(str::to_owned),
        }
    }
    Ok(said)
}

/// Whether a header may stand on a call that takes these.
fn judge(taken: &[Ours], name: &HeaderName) -> Result<(), Problem> {
    let name = name.as_str();
    let bare = name.strip_prefix("x-").unwrap_or(name);
    for ours in Ours::ALL {
        let known = ours.name();
        if name.eq_ignore_ascii_case(known) {
            if taken.iter().any(|taken| taken.name() == known) {
                return Ok(());
            }
            let names: Vec<&str> = taken.iter().map(|ours| ours.name()).collect();
            let takes = if names.is_empty() { "none of ours".to_owned() } else { names.join(", ") };
            return Err(unknown(
                known,
                format!("this call does not take the header {known}; it takes {takes}"),
            ));
        }
    }
    let is_a_slip = |ours: &Ours| distance(bare, ours.name()) <= 1;
    match Ours::ALL.iter().find(|ours| is_a_slip(ours)) {
        Some(ours) => {
            Err(unknown(name, format!("the header {name:?} is not known: did you mean {:?}?", ours.name())))
        }
        None => Ok(()),
    }
}

fn unknown(name: &str, detail: String) -> Problem {
    Problem::new(ErrorKind::UnknownHeader, detail).with("header", name)
}

/// The header's value, if it is there once.
fn one(headers: &HeaderMap, ours: Ours) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(ours.name()).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(bad(ours, "send it once"));
    }
    value.to_str().map(Some).map_err(|_| bad(ours, "it has visible ASCII characters only"))
}

fn bad(ours: Ours, why: &str) -> Problem {
    let detail = format!("the header {} cannot be read: {why} ({})", ours.name(), ours.about());
    Problem::new(ErrorKind::BadRequest, detail).with("header", ours.name())
}

/// How long the caller prefers to wait.
fn prefer(headers: &HeaderMap) -> Result<Patience, Problem> {
    const KNOWN: &[&str] = &["wait", "respond-async"];
    let unknown = |preference: &str, why: String| {
        let detail = format!("the header Prefer has {preference:?}: {why}");
        Problem::new(ErrorKind::UnknownPreference, detail).with("header", "Prefer")
    };
    let mut patience = None;
    for value in headers.get_all("prefer") {
        let text = value.to_str().map_err(|_| bad(Ours::Prefer, "it has visible ASCII characters only"))?;
        for preference in text.split([',', ';']).map(str::trim).filter(|preference| !preference.is_empty()) {
            let (name, value) = preference.split_once('=').map_or((preference, None), |(name, value)| {
                (name.trim(), Some(value.trim().trim_matches('"')))
            });
            let asked = match (name.to_ascii_lowercase().as_str(), value) {
                ("respond-async", None) => Patience::None,
                ("wait", Some(seconds)) => {
                    let is_plain = !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit());
                    let seconds = seconds.parse().ok().filter(|_| is_plain).map(Duration::from_secs);
                    match seconds.filter(|seconds| *seconds <= WAIT_MAX) {
                        Some(Duration::ZERO) => Patience::None,
                        Some(wait) => Patience::For(wait),
                        None => {
                            let most = WAIT_MAX.as_secs();
                            return Err(unknown(preference, format!("wait for 0 to {most} whole seconds")));
                        }
                    }
                }
                ("wait", None) => return Err(unknown(preference, "say for how long: wait=10".to_owned())),
                ("respond-async", Some(_)) => {
                    return Err(unknown(preference, "respond-async has no value".to_owned()));
                }
                (name, _) => return Err(unknown(preference, hint(name, KNOWN))),
            };
            match patience {
                Some(other) if other != asked => {
                    let why = "it contradicts the one before: choose one".to_owned();
                    return Err(unknown(preference, why));
                }
                _ => patience = Some(asked),
            }
        }
    }
    Ok(patience.unwrap_or_default())
}

/// The sequence in `If-Match: "17"`.
fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = one(headers, Ours::IfMatch)? else { return Ok(None) };
    let tag = value.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let is_plain = |tag: &&str| !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_digit());
    match tag.filter(is_plain).and_then(|tag| tag.parse().ok()) {
        Some(sequence) => Ok(Some(sequence)),
        None => Err(bad(Ours::IfMatch, "send one ETag as it came, such as \"17\"")),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn said(taken: &[Ours], pairs: &[(&'static str, &str)]) -> Result<Said, ErrorKind> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        read(taken, &headers).map_err(|problem| problem.kind())
    }

    #[test]
    fn a_header_of_ours_is_taken_or_refused_and_others_are_nobodys_business() {
        let none: &[Ours] = &[];
        for (name, value) in [
            ("user-agent", "x"),
            ("referer", "x"),
            ("if-none-match", "x"),
            ("traceparent", "x"),
            ("amends-saga", "x"),
            ("x-request-id", "x"),
            ("accept", "x"),
        ] {
            assert!(said(none, &[(name, value)]).is_ok(), "{name}");
        }
        for name in [
            "idempotency-key",
            "prefer",
            "if-match",
            "last-event-id",
            "x-idempotency-key",
            "idempotencykey",
            "idempotency_key",
            "idempotency-keys",
            "x-prefer",
            "if-matchs",
            "lastevent-id",
            "x-if-match",
        ] {
            assert_eq!(said(none, &[(name, "1")]).unwrap_err(), ErrorKind::UnknownHeader, "{name}");
        }
    }

    #[test]
    fn a_preference_is_known_or_refused() {
        let wait = |value: &str| said(&[Ours::Prefer], &[("prefer", value)]).map(|said| said.wait);
        assert_eq!(said(&[Ours::Prefer], &[]).unwrap().wait, Patience::For(WAIT_USUAL));
        assert_eq!(wait("wait=3"), Ok(Patience::For(Duration::from_secs(3))));
        assert_eq!(wait("WAIT = \"3\""), Ok(Patience::For(Duration::from_secs(3))));
        assert_eq!(wait("respond-async"), Ok(Patience::None));
        assert_eq!(wait("respond-async, wait=0"), Ok(Patience::None));
        for value in [
            "wait",
            "wait=",
            "wait=x",
            "wait=61",
            "wait=-1",
            "wait=1.5",
            "respond-async, wait=3",
            "respond-asyn",
            "handling=strict",
            "respond-async=1",
            "wait=1, wait=2",
        ] {
            assert_eq!(wait(value), Err(ErrorKind::UnknownPreference), "{value}");
        }
    }

    #[test]
    fn a_state_is_named_by_one_tag() {
        let tag = |value: &str| said(&[Ours::IfMatch], &[("if-match", value)]).map(|said| said.expected);
        assert_eq!(tag("\"17\""), Ok(Some(17)));
        for value in ["17", "W/\"17\"", "*", "\"17\", \"18\"", "\"x\"", "\"\""] {
            assert_eq!(tag(value), Err(ErrorKind::BadRequest), "{value}");
        }
    }
}
