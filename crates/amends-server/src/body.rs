//! Reading a request's body within limits.
//!
//! Owns the limits' enforcement. Promises that a body that is too large is answered, not reset: what its
//! sender still sends is read and thrown away, up to a limit of its own. Does not parse.

use amends_api::ErrorKind;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use crate::limits::{BODY_BYTES_DRAINED_MAX, BODY_BYTES_MAX, BODY_TIME_MAX};
use crate::problem::Problem;

/// The whole body.
///
/// # Errors
/// When it is too large, too slow or cut short.
pub async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    read_at_most(BODY_BYTES_MAX, headers, body).await
}

/// The whole body, of at most so many bytes.
///
/// # Errors
/// When it is too large, too slow or cut short.
pub async fn read_at_most(bytes_max: usize, headers: &HeaderMap, mut body: Body) -> Result<Bytes, Problem> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<usize>().ok());
    let expects_continue = headers.contains_key(header::EXPECT);
    if announced.is_some_and(|length| length > bytes_max) && expects_continue {
        // Nothing has been sent yet, and now need not be.
        return Err(too_large(bytes_max));
    }
    // Room for what is announced is taken as it comes: an announcement costs its sender nothing.
    let mut collected = Collected { whole: BytesMut::new(), seen: 0, bytes_max };
    let ended = tokio::time::timeout(BODY_TIME_MAX, collected.take(&mut body)).await;
    match ended {
        // Late or not, sending it again would not help.
        _ if collected.seen > bytes_max => Err(too_large(bytes_max)),
        Ok(Ok(())) => Ok(collected.whole.freeze()),
        Ok(Err(error)) => Err(Problem::new(
            ErrorKind::BadRequest,
            format!("the body was cut short ({error}); send it again"),
        )),
        Err(_) => {
            let seconds = BODY_TIME_MAX.as_secs();
            Err(Problem::new(
                ErrorKind::RequestTooSlow,
                format!("send the whole body within {seconds} seconds"),
            ))
        }
    }
}

/// What has come so far.
struct Collected {
    whole: BytesMut,
    seen: usize,
    bytes_max: usize,
}

impl Collected {
    /// Takes in the body to its end, or to where reading on is given up.
    async fn take(&mut self, body: &mut Body) -> Result<(), axum::Error> {
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            self.seen = self.seen.saturating_add(data.len());
            if self.seen <= self.bytes_max {
                self.whole.extend_from_slice(&data);
            } else {
                self.whole = BytesMut::new();
            }
            if self.seen > BODY_BYTES_DRAINED_MAX {
                break;
            }
        }
        Ok(())
    }
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(
        ErrorKind::BodyTooLarge,
        format!("a body has at most {bytes_max} bytes; send less in one request"),
    )
}
