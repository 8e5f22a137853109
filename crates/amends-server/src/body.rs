//! Reading a request's body within limits.
//!
//! Owns the limits' enforcement. Promises that a body that is too large is answered, not reset: what its sender still
//! sends is read and thrown away, up to a limit of its own. Does not parse.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use crate::errors::Kind;
use crate::limits::{BODY_BYTES_DRAINED_MAX, BODY_BYTES_MAX, BODY_TIME_MAX};
use crate::problem::Problem;

/// The whole body.
///
/// # Errors
/// When it is too large, too slow or cut short.
pub async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let slow = || {
        let seconds = BODY_TIME_MAX.as_secs();
        Problem::new(Kind::TooSlow, format!("send the whole body within {seconds} seconds"))
    };
    tokio::time::timeout(BODY_TIME_MAX, collect(headers, body)).await.unwrap_or_else(|_| Err(slow()))
}

async fn collect(headers: &HeaderMap, mut body: Body) -> Result<Bytes, Problem> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<usize>().ok());
    let expects_continue = headers.contains_key(header::EXPECT);
    if announced.is_some_and(|length| length > BODY_BYTES_MAX) && expects_continue {
        // Nothing has been sent yet, and now need not be.
        return Err(too_large());
    }
    let mut whole = BytesMut::with_capacity(announced.unwrap_or(0).min(BODY_BYTES_MAX));
    let mut seen = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Problem::new(Kind::BadRequest, format!("the body was cut short ({error}); send it again"))
        })?;
        let Ok(data) = frame.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen <= BODY_BYTES_MAX {
            whole.extend_from_slice(&data);
        } else {
            whole.clear();
        }
        if seen > BODY_BYTES_DRAINED_MAX {
            break;
        }
    }
    if seen > BODY_BYTES_MAX { Err(too_large()) } else { Ok(whole.freeze()) }
}

fn too_large() -> Problem {
    Problem::new(Kind::TooLarge, format!("a body has at most {BODY_BYTES_MAX} bytes; send less at once"))
}
