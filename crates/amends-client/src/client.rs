//! One call to the server, sent until it is answered.
//!
//! Owns the [`Client`], connections, the token, and repeats. Promises that a call is repeated only where that
//! is safe (it changes nothing, carries a key, or was never sent), and that the token is in no message. Does
//! not know what is asked: each noun has its module.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use amends_api::Problem;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{ClientError, Refused};
use crate::limits::{ANSWER_BYTES_MAX, ANSWER_TIME_MAX, REST_FIRST, REST_MAX, SENDINGS_MAX};
use crate::transport::{Address, Failure, Transport, root_cause, within};

/// A client of a server's API, version 1. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Transport,
    address: Address,
    /// The address as text.
    server: String,
    token: Option<HeaderValue>,
    sendings_max: u32,
}

/// What a client is made of.
#[derive(Clone)]
pub struct ClientBuilder {
    server: String,
    token: Option<String>,
    sendings_max: u32,
}

/// Why there is no client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientBuildError {
    /// The server's address makes no sense.
    #[error("{server:?} is not the address of a server ({why}): write it like http://127.0.0.1:8080")]
    Server {
        /// What was given.
        server: String,
        /// What is wrong with it.
        why: String,
    },
    /// The token cannot stand in a header.
    #[error("the token has characters that cannot be sent: it must be visible ASCII")]
    Token,
    /// TLS does not start.
    #[error("the HTTP client does not start: {0}")]
    Http(String),
}

/// Whether a call may be sent again when nobody knows what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It changes nothing, or the server knows it by its key.
    Safe,
    /// Only if it was never sent.
    IfUnsent,
}

/// One call.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    /// The segments of its path.
    pub(crate) path: &'a [&'a str],
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Media type and text.
    pub(crate) body: Option<(&'static str, Bytes)>,
    pub(crate) repeat: Repeat,
    /// How long the server may hold it.
    pub(crate) held: Duration,
}

/// The answer to a call that was carried out.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

pub(crate) const JSON: &str = "application/json";

/// A call that changes nothing.
pub(crate) fn get<'a>(path: &'a [&'a str]) -> Ask<'a> {
    Ask {
        method: Method::GET,
        path,
        query: Vec::new(),
        headers: Vec::new(),
        body: None,
        repeat: Repeat::Safe,
        held: Duration::ZERO,
    }
}

/// A call that the server knows by a key, or that changes nothing when it is repeated.
pub(crate) fn post<'a>(path: &'a [&'a str], body: &impl Serialize) -> Ask<'a> {
    let body =
        serde_json::to_vec(body).expect("what we send has text for names, and nothing else that could fail");
    Ask { method: Method::POST, body: Some((JSON, Bytes::from(body))), ..get(path) }
}

impl Client {
    /// A client of this server (`http://127.0.0.1:8080`), without a token.
    ///
    /// # Errors
    /// When the address makes no sense.
    pub fn new(server: &str) -> Result<Self, ClientBuildError> {
        Self::builder(server).build()
    }

    /// A client of this server, with more to be said.
    #[must_use]
    pub fn builder(server: &str) -> ClientBuilder {
        ClientBuilder { server: server.to_owned(), token: None, sendings_max: SENDINGS_MAX }
    }

    /// The server's address.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.inner.server
    }

    /// Sends a call, again if that is safe and may help, until there is an answer.
    pub(crate) async fn ask(&self, ask: &Ask<'_>) -> Result<Answer, ClientError> {
        let mut rest = REST_FIRST;
        let mut sent = 1;
        loop {
            let error = match self.ask_once(ask).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let may_repeat = match ask.repeat {
                Repeat::Safe => true,
                Repeat::IfUnsent => matches!(error, ClientError::Unreachable { .. }),
            };
            let pause = error.rest(rest).filter(|pause| *pause <= REST_MAX);
            let Some(pause) = pause.filter(|_| may_repeat && sent < self.inner.sendings_max) else {
                return Err(error);
            };
            tokio::time::sleep(jittered(pause)).await;
            sent += 1;
            rest = (rest * 2).min(REST_MAX);
        }
    }

    /// Sends a call and reads the answer's JSON.
    pub(crate) async fn ask_for<T: DeserializeOwned>(&self, ask: &Ask<'_>) -> Result<T, ClientError> {
        let answer = self.ask(ask).await?;
        self.read(&answer)
    }

    pub(crate) fn read<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, ClientError> {
        serde_json::from_slice(&answer.body)
            .map_err(|error| self.not_amends(answer.status, &answer.body, &error))
    }

    async fn ask_once(&self, ask: &Ask<'_>) -> Result<Answer, ClientError> {
        let patience = ask.held + ANSWER_TIME_MAX;
        let response = self.open(ask, patience).await?;
        let status = response.status().as_u16();
        let body = self.body(response, patience).await?;
        Ok(Answer { status, body })
    }

    /// Sends a call and takes the head of its answer, if that is a good one.
    pub(crate) async fn open(
        &self,
        ask: &Ask<'_>,
        patience: Duration,
    ) -> Result<Response<Incoming>, ClientError> {
        let unsendable = |what: &str| ClientError::Unsendable(what.to_owned());
        let url = self.inner.address.url(ask.path, &ask.query).map_err(|_| unsendable("it is too long"))?;
        let mut headers = Vec::with_capacity(ask.headers.len() + 2);
        headers.extend(self.inner.token.clone().map(|token| (AUTHORIZATION, token)));
        for (name, value) in &ask.headers {
            let value = HeaderValue::from_str(value)
                .map_err(|_| unsendable(&format!("{name} must be visible ASCII")))?;
            headers.push((HeaderName::from_static(name), value));
        }
        let body = match &ask.body {
            None => Bytes::new(),
            Some((media_type, body)) => {
                headers.push((CONTENT_TYPE, HeaderValue::from_static(media_type)));
                body.clone()
            }
        };
        let sent = self.inner.transport.send(ask.method.clone(), url, headers, body);
        let response = within(patience, sent).await.map_err(|failure| self.failed(failure))?;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await) }
    }

    async fn body(&self, response: Response<Incoming>, patience: Duration) -> Result<Bytes, ClientError> {
        let read = async {
            let mut body = response.into_body();
            let mut whole = BytesMut::new();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| Failure::Lost(root_cause(&error)))?;
                if let Ok(data) = frame.into_data() {
                    whole.extend_from_slice(&data);
                }
                if whole.len() > ANSWER_BYTES_MAX {
                    return Ok(None);
                }
            }
            Ok(Some(whole.freeze()))
        };
        match within(patience, read).await {
            Ok(Some(body)) => Ok(body),
            Ok(None) => {
                let why = format!("its answer has more than {ANSWER_BYTES_MAX} bytes");
                Err(ClientError::NotAmends { server: self.inner.server.clone(), why })
            }
            Err(failure) => Err(self.failed(failure)),
        }
    }

    async fn refusal(&self, response: Response<Incoming>) -> ClientError {
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let body = match self.body(response, ANSWER_TIME_MAX).await {
            Ok(body) => body,
            Err(error) => return error,
        };
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => ClientError::Refused(Box::new(Refused { status, problem, retry_after })),
            Err(error) => self.not_amends(status, &body, &error),
        }
    }

    fn failed(&self, failure: Failure) -> ClientError {
        let server = self.inner.server.clone();
        match failure {
            Failure::NotConnected(why) => ClientError::Unreachable { server, why },
            Failure::Lost(why) => ClientError::Unanswered { server, why },
        }
    }

    fn not_amends(&self, status: u16, body: &[u8], error: &serde_json::Error) -> ClientError {
        /// Enough to recognise what answered.
        const SHOWN: usize = 80;
        let text = String::from_utf8_lossy(body);
        let start: String = text.trim().chars().take(SHOWN).collect();
        let why = format!("status {status} with {start:?} ({error})");
        ClientError::NotAmends { server: self.server().to_owned(), why }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("server", &self.server()).finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// The bearer token.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// How often a call is sent at most, where it may be repeated. One: never again.
    #[must_use]
    pub fn sendings_max(mut self, sendings_max: u32) -> Self {
        self.sendings_max = sendings_max;
        self
    }

    /// The client. Connects to nothing yet.
    ///
    /// # Errors
    /// When server or token make no sense.
    pub fn build(self) -> Result<Client, ClientBuildError> {
        let Self { server, token, sendings_max } = self;
        let wrong =
            |why: &str| ClientBuildError::Server { server: without_password(&server), why: why.to_owned() };
        let address = Address::parse(&server).map_err(wrong)?;
        let token = token.map(|token| {
            let mut value =
                HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| ClientBuildError::Token)?;
            value.set_sensitive(true);
            Ok(value)
        });
        let token = token.transpose()?;
        let transport = Transport::new(&address).map_err(ClientBuildError::Http)?;
        let server = address.to_string();
        let sendings_max = sendings_max.max(1);
        Ok(Client { inner: Arc::new(Inner { transport, address, server, token, sendings_max }) })
    }
}

/// An address may hold a password, and what is printed is copied into tickets.
fn without_password(server: &str) -> String {
    match server.split_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => server.to_owned(),
    }
}

/// Between half of it and all: those who failed together do not come back together.
fn jittered(rest: Duration) -> Duration {
    let mut random = [0; 1];
    // Without randomness it is the whole rest.
    if getrandom::fill(&mut random).is_err() {
        random = [u8::MAX];
    }
    rest / 2 + rest / 2 * u32::from(random[0]) / u32::from(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_makes_no_sense_is_refused_with_an_example() {
        for server in [
            "",
            "http://a/#b",
            "http://ann:secret@a",
            "localhost:8080",
            "ftp://a",
            "http://",
            "http://a/?b=c",
            "127.0.0.1:8080",
        ] {
            let error = Client::new(server).unwrap_err().to_string();
            assert!(error.ends_with("write it like http://127.0.0.1:8080"), "{error}");
        }
        let error = Client::new("http://ann:secret@a").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn the_token_is_in_no_text() {
        let client = Client::builder("http://a").token("hush").build().unwrap();
        assert!(!format!("{client:?}").contains("hush"));
        assert_eq!(Client::builder("http://a").token("a\n").build().unwrap_err(), ClientBuildError::Token);
    }
}
