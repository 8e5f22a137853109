//! Where a participant is.
//!
//! Owns [`Address`]: scheme, host, port and the path that stands before that of each call. Promises that nothing of
//! a URL is dropped in silence: what has no meaning here is refused. Does not judge hosts.

use std::fmt;

use hyper::Uri;
use hyper::http::uri::{Authority, PathAndQuery, Scheme};

/// A participant's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    scheme: Scheme,
    authority: Authority,
    /// Without a slash at its end.
    prefix: String,
}

/// Why a text is not a participant's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields of a variant are named for what they hold")]
pub enum AddressError {
    /// It is no URL.
    #[error("{url:?} is not a URL such as `http://payments.example:8080`")]
    NotAUrl { url: String },
    /// A scheme that is not spoken.
    #[error("the scheme {scheme:?} is not known: a participant's url begins with `http://` or `https://`")]
    Scheme { scheme: String },
    /// It carries credentials, which the message does not repeat.
    #[error("a participant's url carries no user and password: name a secret or a bearer instead")]
    UserInfo,
    /// It has a query or a fragment.
    #[error("a participant's url has no {what}: it belongs to the calls")]
    Surplus { what: &'static str },
}

impl Address {
    /// Reads a participant's `url`.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let authority = url.split_once("://").map_or("", |(_, rest)| rest);
        let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(AddressError::UserInfo);
        }
        if url.contains('#') {
            return Err(AddressError::Surplus { what: "fragment" });
        }
        let not_a_url = || AddressError::NotAUrl { url: url.to_owned() };
        let parts = url.parse::<Uri>().map_err(|_| not_a_url())?.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(not_a_url());
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(AddressError::Scheme { scheme: scheme.to_string() });
        }
        let has_port =
            authority.as_str().rsplit_once(']').map_or(authority.as_str(), |(_, rest)| rest).contains(':');
        if authority.host().is_empty() || has_port && authority.port_u16().is_none_or(|port| port == 0) {
            return Err(not_a_url());
        }
        let path = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        if path.query().is_some() {
            return Err(AddressError::Surplus { what: "query" });
        }
        let prefix = path.path().trim_end_matches('/').to_owned();
        Ok(Self { scheme, authority, prefix })
    }

    /// The host, as the URL has it: a name, an address, or an address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.authority.host()
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The URL of a call's target.
    ///
    /// # Errors
    /// When the target is not a path.
    pub fn url_of(&self, target: &str) -> Result<Uri, hyper::http::Error> {
        let path = if self.prefix.is_empty() {
            PathAndQuery::try_from(target)?
        } else {
            PathAndQuery::try_from(format!("{}{target}", self.prefix))?
        };
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
    }

    /// The whole address in one spelling: with the participant's name, what limits, breaker and queue belong to. Two
    /// paths of one host are two places, so that a saga keeps the one of its definition's version.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{self}{}", self.prefix)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = if self.is_encrypted() { 443 } else { 80 };
        let port = self.authority.port_u16().unwrap_or(default);
        write!(f, "{}://{}:{port}", self.scheme, self.host().to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_before_the_calls_is_kept() {
        let url = |base: &str| Address::parse(base).unwrap().url_of("/orders?a=1").unwrap().to_string();
        assert_eq!(url("http://a:81"), "http://a:81/orders?a=1");
        assert_eq!(url("http://a/"), "http://a/orders?a=1");
        assert_eq!(url("https://a/v1/"), "https://a/v1/orders?a=1");
        assert_eq!(url("http://[::1]:8081/x"), "http://[::1]:8081/x/orders?a=1");
    }

    #[test]
    fn an_origin_has_one_spelling() {
        let origin = |url: &str| Address::parse(url).unwrap().origin();
        assert_eq!(origin("http://Pay.Example/x/"), "http://pay.example:80/x");
        assert_eq!(origin("https://pay.example"), "https://pay.example:443");
        assert_eq!(origin("http://[::1]:8081"), "http://[::1]:8081");
    }

    #[test]
    fn what_has_no_meaning_in_a_url_is_refused() {
        for wrong in [
            "",
            "/a",
            "a",
            "a:80",
            "ftp://a",
            "file:///etc/passwd",
            "http://",
            "http://a b",
            "http://u:p@a",
            "http://u@a/",
            "http://a/#f",
            "http://a#f",
            "http://a?b=1",
            "http://a:0",
            "http://a:99999",
            "http://a:",
        ] {
            assert!(Address::parse(wrong).is_err(), "{wrong:?}");
        }
        let message = Address::parse("http://user:hush@a").unwrap_err().to_string();
        assert!(!message.contains("hush"), "{message}");
    }
}
