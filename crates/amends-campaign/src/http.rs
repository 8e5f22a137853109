//! The shop as a client reaches it.
//!
//! Owns the connection of one client and the calls of the contract.
//! Promises that an answer is either whole or lost: one cut short is never taken for an answer.
//! Does not repeat a call by itself: the caller decides what a lost answer means.

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::http::{HeaderMap, Response};

use super::answer::{Answer, Received};
use super::order::Manner;

/// One client's way to the shop. Not shared: each client has connections of its own.
#[derive(Debug)]
pub(crate) struct Shop {
    agent: Agent,
    base: String,
}

/// No whole answer came; whether the call had an effect is unknown.
#[derive(Debug)]
pub(crate) struct Lost(String);

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a view could not be had.
#[derive(Debug)]
pub(crate) enum ViewError {
    Lost(Lost),
    Status(Answer),
    Shape(serde_json::Error, Answer),
}

impl fmt::Display for ViewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ViewError::Lost(lost) => write!(f, "no answer: {lost}"),
            ViewError::Status(answer) => write!(f, "{answer}"),
            ViewError::Shape(error, answer) => write!(f, "{error} in {answer}"),
        }
    }
}

impl Shop {
    /// A way to the shop on that port of this machine.
    pub(crate) fn at(port: u16) -> Shop {
        // A global timeout would make ureq resolve the address on a thread of its own, for each call.
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(ANSWER_LIMIT))
            .timeout_recv_response(Some(ANSWER_LIMIT))
            .timeout_recv_body(Some(ANSWER_LIMIT))
            .input_buffer_size(BUFFER_BYTES)
            .output_buffer_size(BUFFER_BYTES)
            .build();
        Shop { agent: config.into(), base: format!("http://127.0.0.1:{port}") }
    }

    /// `POST /orders`.
    pub(crate) fn post_order(&self, key: &str, body: &str, manner: Manner) -> Result<Received, Lost> {
        let mut request = self
            .agent
            .post(format!("{}/orders", self.base))
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", key);
        match manner {
            Manner::Wait => {}
            Manner::RespondAsync => request = request.header("Prefer", "respond-async"),
        }
        let response = request.send(body).map_err(lost)?;
        let text = |headers: &HeaderMap, name: &str| {
            headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let retry_after = text(response.headers(), "retry-after");
        let location = text(response.headers(), "location");
        Ok(Received { answer: whole(response)?, retry_after, location })
    }

    /// `GET` of any path.
    pub(crate) fn fetch(&self, path: &str) -> Result<Answer, Lost> {
        let response = self.agent.get(format!("{}{path}", self.base)).call().map_err(lost)?;
        whole(response)
    }

    /// `GET` of a view that has to be there.
    pub(crate) fn view<T: DeserializeOwned>(&self, path: &str) -> Result<T, ViewError> {
        let answer = self.fetch(path).map_err(ViewError::Lost)?;
        if answer.status != 200 {
            return Err(ViewError::Status(answer));
        }
        serde_json::from_slice(&answer.body).map_err(|error| ViewError::Shape(error, answer))
    }

    /// Whether `GET /health` answers 200.
    pub(crate) fn is_healthy(&self) -> bool {
        self.fetch("/health").is_ok_and(|answer| answer.status == 200)
    }
}

fn whole(mut response: Response<ureq::Body>) -> Result<Answer, Lost> {
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_vec().map_err(lost)?;
    Ok(Answer { status, body: body.into() })
}

fn lost(error: ureq::Error) -> Lost {
    Lost(error.to_string())
}

/// How long an answer may take. Far above what a saga takes with its retries, so that reaching it is a
/// finding.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// Headers of an answer and the parts a body is read in; ureq's own default would be 16 MiB for all clients
/// together.
const BUFFER_BYTES: usize = 16 << 10;
/// The largest body taken: a page of 1,000 orders has about 1 MiB.
const BODY_BYTES_MAX: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// A server that gives one answer and closes the connection.
    fn answering(answer: &'static str) -> Shop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        Shop::at(port)
    }

    #[test]
    fn a_whole_answer_is_taken_with_its_headers() {
        let shop = answering(
            "HTTP/1.1 202 Accepted\r\nlocation: /sagas/s1\r\nretry-after: 2\r\ncontent-length: 2\r\n\r\n{}",
        );
        let received = shop.post_order("k", "{}", Manner::Wait).unwrap();
        assert_eq!(received.answer, Answer { status: 202, body: (*b"{}").into() });
        assert_eq!(received.location.as_deref(), Some("/sagas/s1"));
        assert_eq!(received.retry_after.as_deref(), Some("2"));
    }

    #[test]
    fn an_answer_cut_short_is_lost() {
        let shop = answering("HTTP/1.1 201 Created\r\ncontent-length: 100\r\n\r\n{\"saga_id\":");
        assert!(shop.post_order("k", "{}", Manner::Wait).is_err());
        let shop = answering("HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"sag\r\n");
        assert!(shop.post_order("k", "{}", Manner::Wait).is_err());
        let shop = answering("HTTP/1.1 201 Created\r\nconte");
        assert!(shop.post_order("k", "{}", Manner::Wait).is_err());
    }

    #[test]
    fn nobody_listening_is_not_healthy() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert!(!Shop::at(port).is_healthy());
    }

    #[test]
    fn a_view_with_another_status_or_shape_is_an_error() {
        let shop = answering("HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}");
        assert!(matches!(shop.view::<serde_json::Value>("/x"), Err(ViewError::Status(_))));
        let shop = answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        assert!(matches!(shop.view::<u64>("/x"), Err(ViewError::Shape(..))));
    }
}
