//! HTTP, one request at a time.
//!
//! Owns connections, TLS and the server's address. Promises that *no connection* and *no answer* are told
//! apart, that redirects are not followed (they would take the token elsewhere) and that nothing is taken from
//! the environment but the certificates to trust. Does not repeat anything.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue, USER_AGENT};
use hyper::http::uri::{Authority, Scheme};
use hyper::{Method, Request, Response, Uri};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::limits::{CONNECT_TIME_MAX, IDLE_CONNECTION_KEPT};

/// Where a server is.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    scheme: Scheme,
    authority: Authority,
    /// What stands before the path of a call, without a slash at its end.
    prefix: String,
}

/// Connections to one server.
pub(crate) enum Transport {
    Plain(Pool<HttpConnector, Full<Bytes>>),
    Encrypted(Box<Pool<HttpsConnector<HttpConnector>, Full<Bytes>>>),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nothing was sent.
    NotConnected(String),
    /// Nobody knows what became of it.
    Lost(String),
}

impl Address {
    /// Reads an address such as `http://127.0.0.1:8080`.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let uri: Uri = text.parse().map_err(|_| "it is not a URL")?;
        let parts = uri.into_parts();
        let scheme = parts.scheme.filter(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS);
        let scheme = scheme.ok_or("it does not begin with http:// or https://")?;
        let authority = parts.authority.ok_or("it has no host")?;
        if authority.as_str().contains('@') {
            return Err("it has a user name; the token is given apart from it");
        }
        if authority.host().is_empty() {
            return Err("it has no host");
        }
        let path = parts.path_and_query.ok_or("it has no path")?;
        if path.query().is_some() || text.contains('#') {
            return Err("it has a query or a fragment");
        }
        Ok(Self { scheme, authority, prefix: path.path().trim_end_matches('/').to_owned() })
    }

    /// The URL of a call: each segment of the path, and each value of the query, arrives as it is.
    pub(crate) fn url(&self, path: &[&str], query: &[(&str, String)]) -> Result<Uri, hyper::http::Error> {
        let mut target = self.prefix.clone();
        for segment in path {
            target.push('/');
            escape(&mut target, segment);
        }
        for (index, (name, value)) in query.iter().enumerate() {
            target.push(if index == 0 { '?' } else { '&' });
            target.push_str(name);
            target.push('=');
            escape(&mut target, value);
        }
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(target)
            .build()
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.prefix)
    }
}

/// Percent-encodes everything but what never means anything.
fn escape(target: &mut String, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            target.push(char::from(byte));
        } else {
            target.push('%');
            target.push(char::from(DIGITS[usize::from(byte >> 4)]));
            target.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

impl Transport {
    /// Makes no connection yet.
    pub(crate) fn new(address: &Address) -> Result<Self, String> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIME_MAX));
        if address.scheme == Scheme::HTTP {
            return Ok(Self::Plain(builder().build(tcp)));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_native_roots()
            .map_err(|error| {
                format!(
                    "this machine has no certificates to trust ({error}): install ca-certificates, or set \
                     SSL_CERT_FILE"
                )
            })?
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_only()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self::Encrypted(Box::new(builder().build(connector))))
    }

    /// Sends a request and takes the head of its answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: Uri,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<Response<Incoming>, Failure> {
        const AGENT: HeaderValue = HeaderValue::from_static(concat!("amends/", env!("CARGO_PKG_VERSION")));
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = url;
        request.headers_mut().insert(USER_AGENT, AGENT);
        request.headers_mut().extend(headers);
        let answered = match self {
            Self::Plain(pool) => pool.request(request).await,
            Self::Encrypted(pool) => pool.request(request).await,
        };
        answered.map_err(|error| {
            let why = root_cause(&error);
            if error.is_connect() { Failure::NotConnected(why) } else { Failure::Lost(why) }
        })
    }
}

fn builder() -> hyper_util::client::legacy::Builder {
    let mut builder = Pool::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_CONNECTION_KEPT)
        // Only what was never begun.
        .retry_canceled_requests(true);
    builder
}

/// The innermost cause, which says most.
pub(crate) fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// So long at most.
pub(crate) async fn within<T>(
    time: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let late = |_| Failure::Lost("it took too long".to_owned());
    tokio::time::timeout(time, work).await.map_err(late)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_made_of_segments_that_are_escaped() {
        for (server, expected) in [
            ("http://a:1", "http://a:1/v1/a%2Fb%3F%C3%BC?x=a%26b%3Dc"),
            ("https://a/amends/", "https://a/amends/v1/a%2Fb%3F%C3%BC?x=a%26b%3Dc"),
        ] {
            let address = Address::parse(server).unwrap();
            let url = address.url(&["v1", "a/b?ü"], &[("x", "a&b=c".to_owned())]).unwrap();
            assert_eq!(url.to_string(), expected);
        }
        assert_eq!(Address::parse("https://a/amends/").unwrap().to_string(), "https://a/amends");
    }
}
