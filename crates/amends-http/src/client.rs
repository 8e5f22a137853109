//! The client: connections that stay open, and what comes back on them.
//!
//! Owns the pools of connections and the reading of answers. Promises at most one request for a call: the pool sends
//! a second time only what was never begun, because the connection it had chosen was closed already. Follows no
//! redirect, keeps no cookie, uses no proxy. Does not judge answers: [`crate::outcome()`] does.

use std::error::Error;
use std::fmt::Write;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::CONTENT_LENGTH;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Builder, Client as Pool};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::connector::{Connector, Lookup};
use crate::hosts::{AllowedHosts, NotAllowed};
use crate::limits::{
    IDLE_CONNECTION_KEPT, IDLE_CONNECTIONS_MAX, RESPONSE_HEAD_BYTES_MAX, RESPONSE_HEADERS_MAX,
};
use crate::outcome::Body;

/// All connections to participants.
pub(crate) struct Client {
    connector: Connector,
    plain: Pool<Connector, Full<Bytes>>,
    /// Made when the first participant asks for it: reading the roots takes time and memory.
    encrypted: OnceLock<Result<Encrypted, String>>,
    response_bytes_max: usize,
}

/// Connections over TLS.
type Encrypted = Pool<HttpsConnector<Connector>, Full<Bytes>>;

/// An answer, as it came.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The address may not be called; nothing was sent.
    NotAllowed(String),
    /// There is no connection; nothing was sent.
    NotConnected(String),
    /// The connection ended before the answer's head.
    Lost(String),
    /// What came is not HTTP.
    Unreadable(String),
}

impl Client {
    pub(crate) fn new(allowed: Arc<AllowedHosts>, lookup: Lookup, response_bytes_max: usize) -> Self {
        let connector = Connector::new(allowed, lookup);
        let plain = builder().build(connector.clone());
        Self { connector, plain, encrypted: OnceLock::new(), response_bytes_max }
    }

    /// Sees to it that encrypted connections can be made.
    ///
    /// # Errors
    /// When this machine has no certificates to trust.
    pub(crate) fn prepare_encryption(&self) -> Result<(), String> {
        self.encrypted().map(drop)
    }

    fn encrypted(&self) -> Result<&Encrypted, String> {
        let made = self.encrypted.get_or_init(|| {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = rustls::ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?
                .with_native_roots()
                .map_err(|error| {
                    format!("this machine has no certificates to trust, so no https participant can be called ({error}): install ca-certificates, or set SSL_CERT_FILE")
                })?
                .with_no_client_auth();
            let connector = HttpsConnectorBuilder::new()
                .with_tls_config(config)
                .https_only()
                .enable_http1()
                .wrap_connector(self.connector.clone());
            Ok(builder().build(connector))
        });
        made.as_ref().map_err(Clone::clone)
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        let is_encrypted = request.uri().scheme_str() == Some("https");
        let answered = if is_encrypted {
            self.encrypted().map_err(Failure::NotConnected)?.request(request).await
        } else {
            self.plain.request(request).await
        };
        let (head, body) = answered.map_err(failure)?.into_parts();
        let body = self.read(&head.headers, body).await;
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// Reads a body as far as it is of use: what is not read to its end closes the connection.
    async fn read(&self, headers: &HeaderMap, mut body: Incoming) -> Body {
        let promised =
            headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let limit = self.response_bytes_max as u64;
        if let Some(bytes) = promised.filter(|bytes| *bytes > limit) {
            return Body::TooLarge { bytes };
        }
        let mut first = Bytes::new();
        let mut all = Vec::new();
        loop {
            let chunk = match body.frame().await {
                None => break,
                Some(Err(error)) => return Body::CutShort { why: chain(&error) },
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) => chunk,
                    // Trailers say nothing to us.
                    Err(_) => continue,
                },
            };
            let bytes = (first.len() + all.len() + chunk.len()) as u64;
            if bytes > limit {
                return Body::TooLarge { bytes };
            }
            // Most answers come in one piece, which is not copied.
            if first.is_empty() && all.is_empty() {
                first = chunk;
            } else {
                all.extend_from_slice(&std::mem::take(&mut first));
                all.extend_from_slice(&chunk);
            }
        }
        Body::Whole(if all.is_empty() { first } else { all.into() })
    }
}

fn builder() -> Builder {
    let mut builder = Pool::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_CONNECTION_KEPT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .http1_max_buf_size(RESPONSE_HEAD_BYTES_MAX)
        .http1_max_headers(RESPONSE_HEADERS_MAX)
        // Only what was never begun: see the module's promise.
        .retry_canceled_requests(true);
    builder
}

fn failure(error: hyper_util::client::legacy::Error) -> Failure {
    let text = chain(&error);
    if let Some(why) = not_allowed(&error) {
        return Failure::NotAllowed(why);
    }
    if error.is_connect() {
        return Failure::NotConnected(text);
    }
    let cause = error.source().and_then(|cause| cause.downcast_ref::<hyper::Error>());
    if cause.is_some_and(hyper::Error::is_parse) { Failure::Unreadable(text) } else { Failure::Lost(text) }
}

fn not_allowed(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<NotAllowed>() {
            return Some(found.to_string());
        }
        // An I/O error is transparent: its source is that of what it holds.
        let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match held {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    None
}

/// An error with its causes, in a line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            let _written = write!(text, ": {words}");
        }
        next = cause.source();
    }
    text
}
