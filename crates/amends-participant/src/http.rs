//! A call that came over HTTP, and the answer that goes back.
//!
//! Owns the two ends that every service has alike: [`Request`], read from a request's headers, and
//! [`answered`], which makes the response of what the barrier said. Promises that a request whose headers cannot be read
//! is answered before anything takes place, and that what is not certain is never a 4xx. Does not
//! serve anything and does not read bodies: it knows the types of the crate `http` alone, so any server will
//! do.
//!
//! ```
//! use amends_participant::http::{Request, answered};
//! use amends_participant::{Direction, barrier};
//! use rusqlite::Connection;
//!
//! fn process_payment(
//!     db: &Connection,
//!     request: http::Request<Vec<u8>>,
//!     now_ms: i64,
//! ) -> http::Response<Vec<u8>> {
//!     let call = match Request::read(request.headers(), Direction::Action) {
//!         Ok(call) => call,
//!         Err(error) => return error.response(),
//!     };
//!     let delivery = call.delivery("ProcessPayment", request.body());
//!     answered(barrier::action(db, delivery, now_ms, |db| {
//!         db.execute("INSERT INTO payments (saga) VALUES (?1)", [call.key().transaction()])?;
//!         Ok(Ok(br#"{"status":"completed"}"#.to_vec()))
//!     }))
//! }
//!
//! # let db = Connection::open_in_memory().unwrap();
//! # barrier::install(&db).unwrap();
//! # db.execute_batch("CREATE TABLE payments (saga TEXT)").unwrap();
//! let request = || {
//!     let key = "0193e0a5/ProcessPayment/action";
//!     http::Request::post("/payments").header("Idempotency-Key", key).body(b"{}".to_vec()).unwrap()
//! };
//! let first = process_payment(&db, request(), 0);
//! let repeat = process_payment(&db, request(), 1);
//! assert_eq!((first.status(), first.body()), (repeat.status(), repeat.body()));
//! ```

use ::http::header::{CONTENT_TYPE, RETRY_AFTER};
use ::http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::answer::{Answer, Refusal};
use crate::database::WriteError;
use crate::delivery::Delivery;
use crate::error::{BarrierError, PAYLOAD_CONFLICT};
use crate::key::{CallKey, Direction, KeyError};

/// The key of the call: the same for all its attempts.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// `action` or `compensation`.
pub const DIRECTION: &str = "amends-direction";
/// `true` on an undo of an action that may not have taken effect.
pub const IN_DOUBT: &str = "amends-in-doubt";
/// The saga's id.
pub const SAGA: &str = "amends-saga";
/// The step's name.
pub const STEP: &str = "amends-step";
/// Counts the attempts of this call, from 1.
pub const ATTEMPT: &str = "amends-attempt";

/// Seconds after which a call that found no place may come again.
const RETRY_SECONDS: u32 = 1;

/// What the headers of a call say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    key: CallKey,
    certainty: Certainty,
}

/// What the caller of an undo knows of its action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Certainty {
    /// The coordinator does not know whether it took effect, or the caller is not a coordinator.
    InDoubt,
    /// It took effect.
    TookEffect,
}

/// Why the headers are not those of a call. Nothing took place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields of a variant are named for what they hold")]
pub enum RequestError {
    /// There is no key.
    #[error(
        "the header Idempotency-Key is missing: send <saga>/<step>/action, or <saga>/<step>/compensation \
         for an undo, the same each time the call is repeated"
    )]
    NoKey,
    /// A header comes more than once.
    #[error("the header {0} comes more than once: send it once")]
    Repeated(&'static str),
    /// The key is not one.
    #[error("Idempotency-Key: {0}")]
    Key(#[from] KeyError),
    /// A header has a value that it cannot have.
    #[error("the header {name} is {found:?}: send {expected}")]
    Value { name: &'static str, found: String, expected: &'static str },
    /// The key says that this is an undo and the path does not, or the other way round.
    #[error(
        "the key {key:?} is that of an {found}, and this path takes an {expected}: check which path the \
         definition names for it",
        found = word(*found),
        expected = word(*expected)
    )]
    Direction { key: String, found: Direction, expected: Direction },
    /// A header and the key contradict each other.
    #[error("the header {name} is {found:?} and the key {key:?}: they have to say the same")]
    Contradiction { name: &'static str, found: String, key: String },
}

impl Request {
    /// Reads the headers of a call to a path that takes actions, or one that takes undos.
    ///
    /// # Errors
    /// When there is no key, or headers cannot be read or contradict each other.
    pub fn read(headers: &HeaderMap, direction: Direction) -> Result<Request, RequestError> {
        let key = text(headers, "Idempotency-Key", "visible characters")?.ok_or(RequestError::NoKey)?;
        let key: CallKey = key.parse()?;
        if key.direction() != direction {
            return Err(RequestError::Direction {
                key: key.as_str().to_owned(),
                found: key.direction(),
                expected: direction,
            });
        }
        let said = said_direction(headers)?;
        if let Some(said) = said.filter(|said| *said != direction) {
            return Err(contradiction("Amends-Direction", said.as_str(), &key));
        }
        if let Some(saga) = text(headers, "Amends-Saga", "the saga's id")?
            && saga != key.transaction()
        {
            return Err(contradiction("Amends-Saga", saga, &key));
        }
        let in_doubt = match text(headers, "Amends-In-Doubt", "true or false")? {
            None | Some("false") => false,
            Some("true") => true,
            Some(found) => {
                let found = found.to_owned();
                return Err(RequestError::Value {
                    name: "Amends-In-Doubt",
                    found,
                    expected: "true or false",
                });
            }
        };
        // Only a coordinator can know, and it says who it is: somebody with `curl` does not.
        let certainty = if in_doubt || said.is_none() { Certainty::InDoubt } else { Certainty::TookEffect };
        Ok(Request { key, certainty })
    }

    /// The key of the call.
    pub fn key(&self) -> &CallKey {
        &self.key
    }

    /// Of an undo: whether its action may not have taken effect.
    pub fn is_in_doubt(&self) -> bool {
        match self.certainty {
            Certainty::InDoubt => true,
            Certainty::TookEffect => false,
        }
    }

    /// What the barrier takes: the name that this service's code has for the effect, and the bytes of the
    /// body.
    pub fn delivery<'a>(&'a self, operation: &'static str, body: &'a [u8]) -> Delivery<'a> {
        let delivery = Delivery::new(&self.key, operation, body);
        match self.certainty {
            Certainty::InDoubt => delivery,
            Certainty::TookEffect => delivery.certain(),
        }
    }
}

impl RequestError {
    /// Stable and for programs.
    pub fn code(&self) -> &'static str {
        match self {
            RequestError::NoKey => "idempotency_key_missing",
            RequestError::Key(_) => "idempotency_key_invalid",
            RequestError::Direction { .. } => "wrong_direction",
            RequestError::Repeated(_) | RequestError::Value { .. } | RequestError::Contradiction { .. } => {
                "bad_headers"
            }
        }
    }

    /// 400, with code and detail. That is a refusal, and rightly: nothing took place.
    pub fn response(&self) -> Response<Vec<u8>> {
        problem(StatusCode::BAD_REQUEST, self.code(), &self.to_string(), None)
    }
}

/// The response to a call, from what the barrier said:
///
/// | the barrier says | response |
/// |---|---|
/// | completed | 200, the output |
/// | refused | 422 with the refusal's `code`, `detail` and, where it has some, `details` |
/// | the key stands for another call | 409 with the code `payload_conflict` |
/// | anything else | 500: the caller does not know, and asks again |
pub fn answered(result: Result<Answer, BarrierError>) -> Response<Vec<u8>> {
    match result {
        Ok(answer) => of_answer(&answer),
        Err(error) if error.is_conflict() => conflict(&error.to_string()),
        Err(error) => unknown(&error.to_string()),
    }
}

/// The response to a call that was written with
/// [`Database::submit`](crate::database::Database::submit): as [`answered`], and 503 with `Retry-After` when
/// too many writes were waiting.
pub fn written(result: Result<Answer, WriteError>) -> Response<Vec<u8>> {
    match result {
        Ok(answer) => of_answer(&answer),
        Err(WriteError::Job(error)) => answered(Err(error)),
        Err(error @ (WriteError::QueueFull { .. } | WriteError::NoSpace { .. })) => busy(&error.to_string()),
        Err(
            error @ (WriteError::Panicked(_)
            | WriteError::RolledBack { .. }
            | WriteError::OutcomeUnknown { .. }
            | WriteError::Closed),
        ) => unknown(&error.to_string()),
    }
}

/// The response to a refusal.
pub fn refused(refusal: &Refusal) -> Response<Vec<u8>> {
    let Refusal { code, message, details } = refusal;
    problem(StatusCode::UNPROCESSABLE_ENTITY, code, message, details.as_deref())
}

/// The response of a service that does not know whether the call took effect, or could not carry it out: the
/// caller asks again.
pub fn unknown(why: &str) -> Response<Vec<u8>> {
    problem(StatusCode::INTERNAL_SERVER_ERROR, "service_failed", why, None)
}

fn busy(why: &str) -> Response<Vec<u8>> {
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, "service_busy", why, None);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
    response
}

fn conflict(why: &str) -> Response<Vec<u8>> {
    problem(StatusCode::CONFLICT, PAYLOAD_CONFLICT, why, None)
}

fn of_answer(answer: &Answer) -> Response<Vec<u8>> {
    match answer {
        Answer::Completed(output) => response(StatusCode::OK, "application/json", output.clone()),
        Answer::Refused(refusal) => refused(refusal),
    }
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a RawValue>,
}

fn problem(status: StatusCode, code: &str, detail: &str, details: Option<&[u8]>) -> Response<Vec<u8>> {
    // Details that are not JSON are left out: code and detail decide, and the answer has to be readable.
    let details = details.and_then(|details| serde_json::from_slice(details).ok());
    let body = serde_json::to_vec(&Body { code, detail, details }).expect("three texts are always JSON");
    response(status, "application/problem+json", body)
}

fn response(status: StatusCode, media_type: &'static str, body: Vec<u8>) -> Response<Vec<u8>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

fn said_direction(headers: &HeaderMap) -> Result<Option<Direction>, RequestError> {
    let expected = "action or compensation";
    match text(headers, "Amends-Direction", expected)? {
        None => Ok(None),
        Some("action") => Ok(Some(Direction::Action)),
        Some("compensation") => Ok(Some(Direction::Compensation)),
        Some(found) => {
            Err(RequestError::Value { name: "Amends-Direction", found: found.to_owned(), expected })
        }
    }
}

/// A header that comes once or not at all.
fn text<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
    expected: &'static str,
) -> Result<Option<&'a str>, RequestError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(RequestError::Repeated(name));
    }
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(RequestError::Value { name, found: format!("{value:?}"), expected }),
    }
}

fn contradiction(name: &'static str, found: &str, key: &CallKey) -> RequestError {
    RequestError::Contradiction { name, found: found.to_owned(), key: key.as_str().to_owned() }
}

fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Action => "action",
        Direction::Compensation => "undo",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(direction: Direction, headers: &[(&'static str, &str)]) -> Result<Request, RequestError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Request::read(&map, direction)
    }

    const ACTION: (&str, &str) = (IDEMPOTENCY_KEY, "s1/Pay/action");
    const UNDO: (&str, &str) = (IDEMPOTENCY_KEY, "s1/Pay/compensation");

    #[test]
    fn a_call_is_its_key_and_an_undo_without_doubt_is_certain() {
        let call = read(Direction::Action, &[ACTION, (SAGA, "s1"), (STEP, "Pay"), (ATTEMPT, "2")]).unwrap();
        assert_eq!(call.key().as_str(), "s1/Pay/action");
        let by_coordinator = (DIRECTION, "compensation");
        for (headers, in_doubt) in [
            (&[UNDO, by_coordinator] as &[_], false),
            (&[UNDO, by_coordinator, (IN_DOUBT, "true")], true),
            (&[UNDO, by_coordinator, (IN_DOUBT, "false")], false),
            (&[UNDO], true),
        ] {
            let undo = read(Direction::Compensation, headers).unwrap();
            assert_eq!(undo.is_in_doubt(), in_doubt, "{headers:?}");
        }
    }

    #[test]
    fn headers_that_cannot_be_read_are_400_with_what_to_do() {
        for (direction, headers, code, word) in [
            (Direction::Action, &[] as &[_], "idempotency_key_missing", "<saga>/<step>/action"),
            (Direction::Action, &[(IDEMPOTENCY_KEY, "s1")], "idempotency_key_invalid", "<transaction>"),
            (Direction::Action, &[ACTION, ACTION], "bad_headers", "once"),
            (Direction::Action, &[UNDO], "wrong_direction", "definition"),
            (Direction::Action, &[ACTION, (DIRECTION, "compensation")], "bad_headers", "the same"),
            (Direction::Action, &[ACTION, (DIRECTION, "back")], "bad_headers", "action or compensation"),
            (Direction::Action, &[ACTION, (SAGA, "s2")], "bad_headers", "s2"),
            (Direction::Compensation, &[UNDO, (IN_DOUBT, "maybe")], "bad_headers", "true or false"),
        ] {
            let error = read(direction, headers).unwrap_err();
            let response = error.response();
            assert_eq!(response.status(), StatusCode::BAD_REQUEST);
            let body = String::from_utf8(response.into_body()).unwrap();
            assert!(body.contains(&format!(r#""code":"{code}""#)) && body.contains(word), "{body}");
        }
    }

    #[test]
    fn each_answer_has_its_status_and_only_a_certain_no_is_a_4xx() {
        let seen = |response: Response<Vec<u8>>| {
            (response.status().as_u16(), String::from_utf8(response.into_body()).unwrap())
        };
        let completed = Answer::Completed(b"{\"a\": 1}".to_vec());
        assert_eq!(seen(answered(Ok(completed))), (200, "{\"a\": 1}".to_owned()));
        let refusal = Refusal {
            details: Some(b"{\"have\":3}".to_vec()),
            ..Refusal::new("insufficient_stock", "insufficient stock: have 3, need 5")
        };
        let said = r#"{"code":"insufficient_stock","detail":"insufficient stock: have 3, need 5","details":{"have":3}}"#;
        assert_eq!(seen(answered(Ok(Answer::Refused(refusal)))), (422, said.to_owned()));
        let key = || Box::new("s1/Pay/action".parse::<CallKey>().unwrap());
        let (first, second) = ("a".to_owned(), "b".to_owned());
        for conflict in [
            BarrierError::PayloadConflict { key: key() },
            BarrierError::SecondEffect { key: key(), first, second },
        ] {
            let (status, body) = seen(answered(Err(conflict)));
            assert!(status == 409 && body.starts_with(r#"{"code":"payload_conflict""#), "{body}");
        }
        assert_eq!(seen(answered(Err(BarrierError::EffectElsewhere { key: key() }))).0, 500);
        let full = written(Err(WriteError::QueueFull { max: 1 }));
        assert_eq!((full.status().as_u16(), full.headers()["retry-after"].as_bytes()), (503, &b"1"[..]));
        assert_eq!(seen(written(Err(WriteError::Closed))).0, 500);
    }
}
