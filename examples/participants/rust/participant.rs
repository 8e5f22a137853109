//! A participant in Rust: seats that are reserved, and given back when a saga turns back.
//!
//! ```sh
//! AMENDS_SECRET_SEATS=whsec_… cargo run -p amends-participant --example seats -- PORT DATABASE
//! ```
//!
//! The barrier of `amends-participant` does the bookkeeping: its row and the effect are one transaction.

use std::env;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use amends_participant::{Answer, BarrierError, CallKey, DataError, Delivery, Direction, Refusal, barrier};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use rusqlite::Connection;
use serde_json::json;
use sha2::Sha256;

const SEATS: i64 = 10;

struct Seats {
    db: Mutex<Connection>,
    secret: Vec<u8>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [port, database] = &arguments[..] else { return Err("usage: seats PORT DATABASE".into()) };
    let secret = STANDARD.decode(env::var("AMENDS_SECRET_SEATS")?.trim_start_matches("whsec_"))?;
    let db = Connection::open(database)?;
    db.execute_batch(
        "PRAGMA synchronous = FULL;
         CREATE TABLE IF NOT EXISTS reservations (call TEXT PRIMARY KEY, seats INTEGER NOT NULL)",
    )?;
    barrier::install(&db)?;
    let seats = Arc::new(Seats { db: Mutex::new(db), secret });
    let router = Router::new()
        .route("/seats", get(left_now))
        .route("/reservations", post(reserve))
        .route("/reservations/cancel", post(cancel))
        .with_state(seats);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    axum::serve(listener, router).await?;
    Ok(())
}

async fn reserve(State(seats): State<Arc<Seats>>, headers: HeaderMap, body: Bytes) -> Response {
    seats.participate(&headers, &body, |db, key, now_ms| {
        barrier::action(db, Delivery::new(key, "ReserveSeats", &body), now_ms, |db| {
            let wanted = serde_json::from_slice::<serde_json::Value>(&body).ok();
            let Some(wanted) = wanted.and_then(|body| body["seats"].as_i64()).filter(|seats| *seats > 0)
            else {
                return Ok(Err(Refusal::new("not_understood", "expected a number of seats")));
            };
            let left = left(db)?;
            if wanted > left {
                let message = format!("{left} seats are left, {wanted} were wanted");
                return Ok(Err(Refusal::new("sold_out", message)));
            }
            let call = key.toward(Direction::Action);
            db.execute("INSERT INTO reservations VALUES (?1, ?2)", (call.as_str(), wanted))?;
            Ok(Ok(json!({ "reserved": wanted }).to_string().into_bytes()))
        })
    })
}

async fn cancel(State(seats): State<Arc<Seats>>, headers: HeaderMap, body: Bytes) -> Response {
    seats.participate(&headers, &body, |db, key, now_ms| {
        barrier::undo(db, Delivery::new(key, "CancelSeats", &body), now_ms, |db| {
            let call = key.toward(Direction::Action);
            db.execute("DELETE FROM reservations WHERE call = ?1", [call.as_str()])?;
            Ok(Ok(b"null".to_vec()))
        })
    })
}

async fn left_now(State(seats): State<Arc<Seats>>) -> Response {
    let db = seats.db.lock().unwrap_or_else(PoisonError::into_inner);
    match left(&db) {
        Ok(left) => Json(json!({ "left": left })).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn left(db: &Connection) -> Result<i64, DataError> {
    let taken: i64 =
        db.query_row("SELECT coalesce(sum(seats), 0) FROM reservations", [], |row| row.get(0))?;
    Ok(SEATS - taken)
}

impl Seats {
    /// What all calls have in common: a signature, a key, and the form of the answer.
    fn participate(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        call: impl FnOnce(&Connection, &CallKey, i64) -> Result<Answer, BarrierError>,
    ) -> Response {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if !self.is_signed(headers, body, now) {
            let why = json!({ "code": "unsigned", "detail": "no valid webhook-signature" });
            return (StatusCode::UNAUTHORIZED, Json(why)).into_response();
        }
        let Ok(key) = text(headers, "idempotency-key").parse::<CallKey>() else {
            let why = json!({ "detail": "no Idempotency-Key as the coordinator sends it" });
            return (StatusCode::NOT_FOUND, Json(why)).into_response();
        };
        let db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        match call(&db, &key, now.as_millis() as i64) {
            Ok(Answer::Completed(output)) => {
                ([(header::CONTENT_TYPE, "application/json")], output).into_response()
            }
            Ok(Answer::Refused(Refusal { code, message, .. })) => {
                let why = json!({ "code": code, "detail": message });
                (StatusCode::UNPROCESSABLE_ENTITY, Json(why)).into_response()
            }
            Err(error) if error.is_conflict() => {
                let why = json!({ "code": "payload_conflict", "detail": error.to_string() });
                (StatusCode::CONFLICT, Json(why)).into_response()
            }
            // Nothing of it is stored: the same call comes again.
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }

    /// Standard Webhooks: an HMAC over id, time and body; while a secret is replaced there are two of them.
    fn is_signed(&self, headers: &HeaderMap, body: &[u8], now: Duration) -> bool {
        let sent_at = text(headers, "webhook-timestamp");
        let is_recent = sent_at.parse::<u64>().is_ok_and(|seconds| now.as_secs().abs_diff(seconds) <= 300);
        let is_ours = |signature: &str| {
            let given = signature.strip_prefix("v1,").and_then(|signature| STANDARD.decode(signature).ok());
            let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.secret) else { return false };
            mac.update(format!("{}.{sent_at}.", text(headers, "webhook-id")).as_bytes());
            mac.update(body);
            given.is_some_and(|given| mac.verify_slice(&given).is_ok())
        };
        is_recent && text(headers, "webhook-signature").split(' ').any(is_ours)
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}
