//! Who may.
//!
//! Owns [`Guard`], which stands before every route: the token, or, where there is none, the rules of a server that
//! answers its own machine only; and [`judge_exposure`], what a server may listen on. Promises that tokens are
//! compared in constant time and are in no log, error or answer. Does not know any route but those that need no
//! token.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use amends_api::ErrorKind;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::problem::Problem;

/// What stands before every route.
#[derive(Debug, Clone)]
pub struct Guard {
    rule: Rule,
}

#[derive(Debug, Clone)]
enum Rule {
    /// Only whoever has the token.
    Token(Arc<Token>),
    /// Only programs of this machine.
    ThisMachine,
    /// Anybody: somebody said so.
    Anybody,
}

/// A token, as its hash: what is compared has the same length whatever is sent.
struct Token([u8; 32]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Guard {
    /// The guard of a server with this token, if it has one, that listens there.
    #[must_use]
    pub fn new(token: Option<&str>, address: SocketAddr) -> Self {
        let rule = match token {
            Some(token) => Rule::Token(Arc::new(Token(Sha256::digest(token).into()))),
            None if address.ip().is_loopback() => Rule::ThisMachine,
            None => Rule::Anybody,
        };
        Self { rule }
    }

    /// The router behind this guard.
    pub fn before(self, router: Router) -> Router {
        match &self.rule {
            Rule::Anybody => router,
            Rule::Token(_) | Rule::ThisMachine => {
                router.layer(from_fn(move |request: Request, next: Next| {
                    let judged = self.judge(request.uri(), request.headers());
                    async move {
                        match judged {
                            Ok(()) => next.run(request).await,
                            Err(response) => *response,
                        }
                    }
                }))
            }
        }
    }

    fn judge(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Box<Response>> {
        match &self.rule {
            Rule::Anybody => Ok(()),
            Rule::Token(_) if needs_no_token(uri.path()) => Ok(()),
            Rule::Token(token) => {
                if token.is_in(headers) {
                    return Ok(());
                }
                let detail =
                    "send the header Authorization: Bearer, with the token of this server (AMENDS_TOKEN)";
                let mut response = Problem::new(ErrorKind::Unauthorized, detail).into_response();
                let scheme = HeaderValue::from_static("Bearer realm=\"amends\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
                Err(Box::new(response))
            }
            Rule::ThisMachine if !is_of_engine(uri.path()) => Ok(()),
            Rule::ThisMachine => {
                this_machine(uri, headers).map_err(|problem| Box::new(problem.into_response()))
            }
        }
    }
}

/// What answers without a token: whoever asks whether the server lives, and participants with a token of their own.
fn needs_no_token(path: &str) -> bool {
    matches!(path, "/health" | "/ready") || path.starts_with("/v1/callbacks/")
}

/// What the rules of this machine protect: the engine's own calls. What an application adds has its own contract; the
/// shop is asked by any name.
fn is_of_engine(path: &str) -> bool {
    path.starts_with("/v1/") || matches!(path, "/metrics" | "/openapi.json")
}

impl Token {
    fn is_in(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let given = value.as_bytes().split_at_checked(7);
        let Some((scheme, given)) = given else { return false };
        let given: [u8; 32] = Sha256::digest(given.trim_ascii()).into();
        scheme.eq_ignore_ascii_case(b"bearer ") && bool::from(self.0.ct_eq(&given))
    }
}

/// Refuses what a page of another site could send: another name of this machine (`Host`), or a page that is not
/// ours (`Origin`).
fn this_machine(uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let forbidden = |detail: String| Problem::new(ErrorKind::Forbidden, detail);
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(host.to_str().unwrap_or("")),
        (Some(_), Some(_)) => return Err(forbidden("send one Host, not several".to_owned())),
        (None, _) => uri.authority().map(axum::http::uri::Authority::as_str),
    };
    if let Some(host) = host
        && !is_loopback(host)
    {
        let detail = format!(
            "this server answers its own machine only, and {host:?} is another name: use 127.0.0.1 or localhost, or give the server a token and TLS"
        );
        return Err(forbidden(detail));
    }
    for origin in headers.get_all(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or("");
        let place = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let is_ours = place
            .is_some_and(|place| is_loopback(place) && host.is_none_or(|host| port(host) == port(place)));
        if !is_ours {
            let detail =
                format!("this server answers its own pages only, and the request comes from {origin:?}");
            return Err(forbidden(detail));
        }
    }
    Ok(())
}

/// The name without its port.
fn name(authority: &str) -> &str {
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, _)) => name,
        None => authority.split_once(':').map_or(authority, |(name, _)| name),
    }
}

fn port(authority: &str) -> &str {
    let rest = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest);
    rest.split_once(':').map_or("", |(_, port)| port)
}

fn is_loopback(authority: &str) -> bool {
    let name = name(authority);
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Why a server does not listen there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{address} can be reached from other machines, and there is {}: {}, listen on 127.0.0.1, or say --insecure",
    if *.has_token { "no TLS" } else if *.has_tls { "no token" } else { "neither a token nor TLS" },
    if *.has_token { "give a certificate and its key" } else if *.has_tls { "set AMENDS_TOKEN" } else { "set AMENDS_TOKEN and give a certificate and its key" }
)]
pub struct Exposed {
    address: SocketAddr,
    has_token: bool,
    has_tls: bool,
}

/// Whether a server may listen there: with a token and TLS anywhere, without only on this machine, unless somebody
/// spells out that it is to be insecure.
///
/// # Errors
/// When it may not.
pub fn judge_exposure(
    address: SocketAddr,
    has_token: bool,
    has_tls: bool,
    insecure: Insecure,
) -> Result<(), Exposed> {
    let is_safe = address.ip().is_loopback() || has_token && has_tls;
    match insecure {
        Insecure::No if !is_safe => Err(Exposed { address, has_token, has_tls }),
        Insecure::No | Insecure::SpelledOut => Ok(()),
    }
}

/// Whether somebody spelled out that a server is to be insecure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insecure {
    /// Nobody did.
    No,
    /// `--insecure`.
    SpelledOut,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn status(guard: &Guard, path: &str, pairs: &[(header::HeaderName, &str)]) -> u16 {
        match guard.judge(&path.parse().unwrap(), &headers(pairs)) {
            Ok(()) => 200,
            Err(response) => response.status().as_u16(),
        }
    }

    const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
    const PUBLIC: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 8080);

    #[test]
    fn with_a_token_everything_but_health_and_callbacks_needs_it() {
        let guard = Guard::new(Some("s3cret"), PUBLIC);
        for (path, value, expected) in [
            ("/v1/sagas", None, 401),
            ("/sagas/x", None, 401),
            ("/", None, 401),
            ("/metrics", None, 401),
            ("/health", None, 200),
            ("/ready", None, 200),
            ("/v1/callbacks/abc", None, 200),
            ("/v1/sagas", Some("Bearer s3cret"), 200),
            ("/v1/sagas", Some("bearer s3cret"), 200),
            ("/v1/sagas", Some("Bearer s3cre"), 401),
            ("/v1/sagas", Some("Bearer "), 401),
            ("/v1/sagas", Some("Basic s3cret"), 401),
            ("/v1/sagas", Some("s3cret"), 401),
        ] {
            let pairs: Vec<_> = value.map(|value| (header::AUTHORIZATION, value)).into_iter().collect();
            assert_eq!(status(&guard, path, &pairs), expected, "{path} {value:?}");
        }
        assert!(!format!("{guard:?}").contains("s3cret"));
    }

    #[test]
    fn without_a_token_only_this_machine_and_its_own_pages_are_answered() {
        let guard = Guard::new(None, LOOPBACK);
        for (host, origin, expected) in [
            ("127.0.0.1:8080", None, 200),
            ("localhost", None, 200),
            ("[::1]:8080", None, 200),
            ("127.9.9.9", None, 200),
            ("example.com", None, 403),
            ("localhost.example.com:8080", None, 403),
            ("127.0.0.1.example.com", None, 403),
            ("192.168.0.1:8080", None, 403),
            ("localhost:8080", Some("http://localhost:8080"), 200),
            ("localhost:8080", Some("http://127.0.0.1:8080"), 200),
            ("localhost:8080", Some("http://localhost:3000"), 403),
            ("localhost:8080", Some("https://example.com"), 403),
            ("localhost:8080", Some("null"), 403),
        ] {
            let mut pairs = vec![(header::HOST, host)];
            pairs.extend(origin.map(|origin| (header::ORIGIN, origin)));
            assert_eq!(status(&guard, "/v1/sagas", &pairs), expected, "{host} {origin:?}");
        }
    }

    #[test]
    fn a_public_address_needs_token_and_tls_unless_somebody_spells_it_out() {
        for (address, has_token, has_tls, insecure, expected) in [
            (LOOPBACK, false, false, Insecure::No, true),
            (PUBLIC, true, true, Insecure::No, true),
            (PUBLIC, true, false, Insecure::No, false),
            (PUBLIC, false, true, Insecure::No, false),
            (PUBLIC, false, false, Insecure::No, false),
            (PUBLIC, false, false, Insecure::SpelledOut, true),
        ] {
            assert_eq!(judge_exposure(address, has_token, has_tls, insecure).is_ok(), expected);
        }
        let error = judge_exposure(PUBLIC, true, false, Insecure::No).unwrap_err().to_string();
        assert!(error.contains("no TLS") && error.contains("--insecure"), "{error}");
    }
}
