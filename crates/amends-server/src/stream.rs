//! A body that comes bit by bit.
//!
//! Owns the way from *what comes next* to a body of Server-Sent Events. Promises that nothing is made before the
//! client has taken what came before: a slow client costs one piece of memory, and no task. Does not know what is
//! sent.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;

/// What comes next, and the state after it; `None` at the end.
type Next<S> = Pin<Box<dyn Future<Output = Option<(Bytes, S)>> + Send>>;

struct Pieces<S, F> {
    step: F,
    next: Option<Next<S>>,
}

impl<S, F, N> hyper::body::Body for Pieces<S, F>
where
    F: FnMut(S) -> N + Unpin,
    N: Future<Output = Option<(Bytes, S)>> + Send + 'static,
{
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(next) = &mut self.next else { return Poll::Ready(None) };
        match next.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                self.next = None;
                Poll::Ready(None)
            }
            Poll::Ready(Some((bytes, state))) => {
                let following = (self.step)(state);
                self.next = Some(Box::pin(following));
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
        }
    }
}

/// An answer of Server-Sent Events: `step` gives what comes next.
pub(crate) fn events<S, F, N>(first: S, mut step: F) -> Response
where
    S: Send + 'static,
    F: FnMut(S) -> N + Send + Unpin + 'static,
    N: Future<Output = Option<(Bytes, S)>> + Send + 'static,
{
    let next: Next<S> = Box::pin(step(first));
    let body = Body::new(Pieces { step, next: Some(next) });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // A proxy that gathers what it passes on would hold events back.
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (StatusCode::OK, headers, body).into_response()
}

/// What is sent while nothing happens: a comment, which has no id.
pub(crate) const HEARTBEAT: Bytes = Bytes::from_static(b": nothing happened\n\n");
