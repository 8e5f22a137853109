//! Bodies and headers that cannot be taken.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use amends_api::ErrorKind;
use amends_server::limits::BODY_BYTES_MAX;
use amends_server::{body, request};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use hyper::body::Frame;

/// How a body goes on after its first bytes.
enum Then {
    /// The connection breaks.
    Breaks,
    /// Nothing comes any more.
    Stalls,
}

struct Part {
    first: Option<&'static [u8]>,
    then: Then,
}

impl hyper::body::Body for Part {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match (self.first.take(), &self.then) {
            (Some(bytes), _) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(bytes))))),
            (None, Then::Breaks) => Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into()))),
            // Only the limit of the reader's patience wakes it.
            (None, Then::Stalls) => Poll::Pending,
        }
    }
}

async fn refused(headers: &HeaderMap, body: Body) -> ErrorKind {
    body::read(headers, body).await.unwrap_err().kind()
}

#[tokio::test(start_paused = true)]
async fn a_body_that_cannot_be_taken_has_its_kind() {
    let none = HeaderMap::new();
    let whole = body::read(&none, Body::from(vec![b' '; BODY_BYTES_MAX])).await.unwrap();
    assert_eq!(whole.len(), BODY_BYTES_MAX);
    let too_large = Body::from(vec![b' '; BODY_BYTES_MAX + 1]);
    assert_eq!(refused(&none, too_large).await, ErrorKind::BodyTooLarge);
    let announced = HeaderMap::from_iter([
        (header::CONTENT_LENGTH, HeaderValue::from(BODY_BYTES_MAX + 1)),
        (header::EXPECT, HeaderValue::from_static("100-continue")),
    ]);
    assert_eq!(refused(&announced, Body::empty()).await, ErrorKind::BodyTooLarge);
    for (then, kind) in [(Then::Breaks, ErrorKind::BadRequest), (Then::Stalls, ErrorKind::RequestTooSlow)] {
        assert_eq!(refused(&none, Body::new(Part { first: Some(b"{"), then })).await, kind);
    }
}

#[test]
fn a_key_that_cannot_be_used_has_its_kind() {
    let mut headers = HeaderMap::new();
    headers.append("idempotency-key", HeaderValue::from_static(""));
    let error = request::idempotency_key(&headers).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IdempotencyKeyInvalid);
}
