//! What the shop answers to a posted order.
//!
//! Owns the reading of an answer against the contract of `POST /orders`.
//! Promises that whatever the contract does not know is said to be outside of it, never bent into something
//! near. Does not know what was answered before: comparing is the record's.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

/// The id of a saga.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SagaId(pub(crate) Box<str>);

impl fmt::Display for SagaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of an order in the shop.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OrderId(pub(crate) Box<str>);

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An answer as it is compared: status and every byte of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Box<[u8]>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.body);
        let shown: String = text.chars().take(SHOWN_CHARACTERS_MAX).collect();
        write!(f, "{} {shown}", self.status)?;
        if shown.len() < text.len() { write!(f, "… ({} bytes)", self.body.len()) } else { Ok(()) }
    }
}

/// An answer with the headers that matter.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) answer: Answer,
    pub(crate) retry_after: Option<String>,
    pub(crate) location: Option<String>,
}

/// How a saga ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Completed {
        order: OrderId,
    },
    Compensated {
        /// The order, unless the saga never came to create one.
        order: Option<OrderId>,
        failed_step: String,
        /// Why: the participant's code, or one of the engine's own.
        code: Option<String>,
    },
}

/// An answer, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The saga came to its end.
    Ended { saga: SagaId, end: End },
    /// The saga is durable and under way.
    Accepted { saga: SagaId },
    /// The saga waits for an operator.
    Parked { saga: SagaId },
    /// The server could not say how the saga stands.
    Faulted { saga: SagaId },
    /// Full: come again.
    Busy {
        /// Not before that time has passed.
        retry_after: Duration,
    },
    /// The key is taken by another body.
    KeyReused,
    /// The body was refused before anything happened.
    Invalid,
}

impl Reply {
    pub(crate) fn read(received: &Received) -> Result<Reply, String> {
        let Received { answer: Answer { status, body }, retry_after, location } = received;
        let body: Value =
            serde_json::from_slice(body).map_err(|error| format!("a body that is no JSON ({error})"))?;
        match (*status, body["status"].as_str()) {
            (201, Some("completed")) => {
                let order = OrderId(text(&body, "order_id")?);
                Ok(Reply::Ended { saga: saga(&body)?, end: End::Completed { order } })
            }
            (202, Some(_)) => accepted(saga(&body)?, location.as_deref()),
            (409, Some("compensated")) => Ok(Reply::Ended { saga: saga(&body)?, end: compensated(&body)? }),
            (409, _) if body["code"] == "key_reused" => Ok(Reply::KeyReused),
            (400 | 413 | 422, _) => Ok(Reply::Invalid),
            (500..=599, Some("failed")) => Ok(Reply::Parked { saga: saga(&body)? }),
            (500..=599, Some(_)) => Ok(Reply::Faulted { saga: saga(&body)? }),
            (429 | 503, None) => {
                let retry_after = retry_after.as_deref().ok_or("no Retry-After")?;
                // A date is far enough away for a campaign to wait its longest.
                let seconds = retry_after.parse().unwrap_or(u64::MAX);
                Ok(Reply::Busy { retry_after: Duration::from_secs(seconds).min(RETRY_AFTER_MAX) })
            }
            (status, word) => Err(format!("{status} with the status {word:?}")),
        }
    }
}

fn accepted(saga: SagaId, location: Option<&str>) -> Result<Reply, String> {
    if location == Some(&format!("/sagas/{saga}")) {
        Ok(Reply::Accepted { saga })
    } else {
        Err(format!("a Location of {location:?}"))
    }
}

fn compensated(body: &Value) -> Result<End, String> {
    let failed_step = text(body, "failed_step")?.into_string();
    if body["reason"].is_null() {
        return Err("no reason".to_owned());
    }
    let order = body["order_id"].as_str().map(|id| OrderId(id.into()));
    if order.is_none() && failed_step != "CreateOrder" {
        return Err(format!("no order_id, although {failed_step} comes after CreateOrder"));
    }
    Ok(End::Compensated { order, failed_step, code: body["code"].as_str().map(str::to_owned) })
}

fn saga(body: &Value) -> Result<SagaId, String> {
    text(body, "saga_id").map(SagaId)
}

fn text(body: &Value, field: &str) -> Result<Box<str>, String> {
    match body[field].as_str() {
        Some(text) if !text.is_empty() => Ok(text.into()),
        _ => Err(format!("no {field}")),
    }
}

/// The longest a client waits before it comes again: a campaign has many rounds and little time.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(1);
/// How much of a body is printed; every answer of the contract is shorter.
const SHOWN_CHARACTERS_MAX: usize = 2_000;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An answer as if it had come over the wire.
    pub(crate) fn received(status: u16, body: &str) -> Received {
        let location = body.contains("\"in_progress\"").then(|| "/sagas/s1".to_owned());
        let answer = Answer { status, body: body.as_bytes().into() };
        Received { answer, retry_after: None, location }
    }

    fn read(status: u16, body: &str) -> Result<Reply, String> {
        Reply::read(&received(status, body))
    }

    fn s1() -> SagaId {
        SagaId("s1".into())
    }

    #[test]
    fn a_completed_order_is_read() {
        let end = End::Completed { order: OrderId("ord_1".into()) };
        let body = r#"{"saga_id":"s1","order_id":"ord_1","status":"completed"}"#;
        assert_eq!(read(201, body), Ok(Reply::Ended { saga: s1(), end }));
    }

    #[test]
    fn a_compensated_order_is_read() {
        let end = End::Compensated {
            order: Some(OrderId("ord_1".into())),
            failed_step: "ProcessPayment".to_owned(),
            code: Some("payment_declined".to_owned()),
        };
        let body = r#"{"saga_id":"s1","order_id":"ord_1","status":"compensated","failed_step":"ProcessPayment",
            "reason":"too much","code":"payment_declined"}"#;
        assert_eq!(read(409, body), Ok(Reply::Ended { saga: s1(), end }));
    }

    #[test]
    fn only_a_saga_that_created_no_order_may_leave_the_order_out() {
        let body = |step| {
            format!(r#"{{"saga_id":"s1","status":"compensated","failed_step":"{step}","reason":"r"}}"#)
        };
        assert!(read(409, &body("CreateOrder")).is_ok());
        assert!(read(409, &body("ProcessPayment")).is_err());
    }

    #[test]
    fn a_parked_saga_is_told_from_a_fault_and_from_a_full_server() {
        assert_eq!(read(500, r#"{"saga_id":"s1","status":"failed"}"#), Ok(Reply::Parked { saga: s1() }));
        assert_eq!(read(503, r#"{"saga_id":"s1","status":"pending"}"#), Ok(Reply::Faulted { saga: s1() }));
        let mut full = received(503, r#"{"status":503,"code":"overloaded"}"#);
        assert!(Reply::read(&full).is_err(), "a full server says when to come again");
        full.retry_after = Some("0".to_owned());
        assert_eq!(Reply::read(&full), Ok(Reply::Busy { retry_after: Duration::ZERO }));
        full.retry_after = Some("3600".to_owned());
        assert_eq!(Reply::read(&full), Ok(Reply::Busy { retry_after: RETRY_AFTER_MAX }));
    }

    #[test]
    fn an_accepted_order_says_where_its_saga_is() {
        let body = r#"{"saga_id":"s1","status":"in_progress"}"#;
        assert_eq!(read(202, body), Ok(Reply::Accepted { saga: s1() }));
        let elsewhere = Received { location: Some("/sagas/s2".to_owned()), ..received(202, body) };
        assert!(Reply::read(&elsewhere).is_err());
    }

    #[test]
    fn a_reused_key_is_told_from_a_compensated_order() {
        assert_eq!(read(409, r#"{"status":409,"code":"key_reused"}"#), Ok(Reply::KeyReused));
        assert!(read(409, r#"{"status":409,"code":"something"}"#).is_err());
    }

    #[test]
    fn whatever_the_contract_does_not_know_is_outside_of_it() {
        for (status, body) in [
            (200, r#"{"saga_id":"s1","order_id":"ord_1","status":"completed"}"#),
            (201, r#"{"saga_id":"s1","status":"completed"}"#),
            (201, r#"{"saga_id":"","order_id":"ord_1","status":"completed"}"#),
            (201, r#"{"saga_id":"s1","order_id":"ord_1","status":"comp"#),
            (404, r#"{"code":"not_found"}"#),
            (500, r#"{"code":"internal"}"#),
            (500, "Internal Server Error"),
        ] {
            assert!(read(status, body).is_err(), "{status} {body}");
        }
    }

    #[test]
    fn a_long_body_is_cut_when_shown() {
        let answer = Answer { status: 500, body: vec![b'x'; 10_000].into() };
        assert!(answer.to_string().ends_with("… (10000 bytes)"));
    }
}
