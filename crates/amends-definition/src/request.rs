//! The request that is the payload of an HTTP call.
//!
//! Owns [`Request`] and its bytes: a head line, header lines, an empty line, the body. Promises that what is
//! encoded is decoded to the same, and that no value can break out of its line. Does not send anything and
//! knows no host: a target is a path with its query.

use std::fmt;

use bytes::Bytes;

use crate::limits::REQUEST_HEAD_BYTES_MAX;

/// What an HTTP participant is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query, percent-encoded; begins with `/`.
    pub target: String,
    /// Headers that the definition gives, in its order; names are lower case.
    pub headers: Vec<(String, String)>,
    /// The body; empty: none.
    pub body: Bytes,
}

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Get, Self::Post, Self::Put, Self::Patch, Self::Delete];

    /// The method's name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Request {
    /// The request's bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(self.target.len() + self.body.len() + 128);
        bytes.extend_from_slice(self.method.as_str().as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(self.target.as_bytes());
        bytes.push(b'\n');
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.push(b'\n');
        }
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.body);
        bytes.into()
    }

    /// The request that has these bytes.
    ///
    /// # Errors
    /// Says what is wrong with bytes that no request has.
    pub fn decode(bytes: &Bytes) -> Result<Self, String> {
        let mut at = 0;
        let mut line = || -> Result<&str, String> {
            let rest = &bytes[at..];
            let end = (rest.iter().take(REQUEST_HEAD_BYTES_MAX).position(|byte| *byte == b'\n'))
                .ok_or("the request has no end of line where one belongs")?;
            at += end + 1;
            std::str::from_utf8(&rest[..end]).map_err(|_| "the request's head is not UTF-8".to_owned())
        };
        let (method, target) = line()?.split_once(' ').ok_or("the request's first line has no target")?;
        let method = Method::ALL
            .into_iter()
            .find(|known| known.as_str() == method)
            .ok_or_else(|| format!("{method:?} is not a method that participants are called with"))?;
        if !is_target(target) {
            return Err(format!(
                "{target:?} is not a valid target: a path that begins with '/', percent-encoded"
            ));
        }
        let target = target.to_owned();
        let mut headers = Vec::new();
        loop {
            let header = line()?;
            if header.is_empty() {
                break;
            }
            let (name, value) = header.split_once(": ").ok_or("a header line has no colon")?;
            if !is_header_name(name) || !is_header_value(value) {
                return Err(format!("{name:?} is not a valid header"));
            }
            headers.push((name.to_owned(), value.to_owned()));
        }
        Ok(Self { method, target, headers, body: bytes.slice(at..) })
    }
}

/// Whether this can stand as the target of a request: visible ASCII that begins with a slash, without fragment.
pub(crate) fn is_target(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// Whether this is a header's name as HTTP/2 wants it: a token in lower case.
pub(crate) fn is_header_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
        })
}

/// Whether this can stand as a header's value: visible characters, and spaces or tabs between them.
pub(crate) fn is_header_value(text: &str) -> bool {
    text.trim_matches([' ', '\t']) == text
        && text.bytes().all(|byte| byte == b'\t' || byte == b' ' || byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_to_the_same(
            method in prop::sample::select(Method::ALL.to_vec()),
            target in "/[a-z0-9/%?&=.-]{0,40}",
            headers in prop::collection::vec(("[a-z][a-z0-9-]{0,10}", "([!-~]([ -~]{0,10}[!-~])?)?"), 0..4),
            body: Vec<u8>,
        ) {
            let request = Request { method, target, headers, body: body.into() };
            prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
            let _ = Request::decode(&bytes.into());
        }
    }

    #[test]
    fn a_request_reads_like_one() {
        let request = Request {
            method: Method::Post,
            target: "/orders?kind=gift%20card".to_owned(),
            headers: vec![("x-tenant".to_owned(), "7".to_owned())],
            body: Bytes::from_static(b"{\"a\":1}"),
        };
        assert_eq!(request.encode(), "POST /orders?kind=gift%20card\nx-tenant: 7\n\n{\"a\":1}");
    }

    #[test]
    fn a_value_cannot_break_out_of_its_line() {
        let decode = |text: &'static str| Request::decode(&Bytes::from_static(text.as_bytes()));
        assert!(decode("POST /a b\n\n").is_err());
        assert!(decode("POST orders\n\n").is_err());
        assert!(decode("BREW /a\n\n").is_err());
        assert!(decode("POST /a\nx y: 1\n\n").is_err());
        assert!(decode("POST /a\nx: 1\r\n\n").is_err());
        assert!(decode("POST /a\nx: 1").is_err());
    }
}
