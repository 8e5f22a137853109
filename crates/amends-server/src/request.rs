//! What a request's head asks for.
//!
//! Owns `Idempotency-Key`, `Prefer` (RFC 7240) and the path's last segment. Promises that a header that
//! cannot be understood as a key is an error, never no key.

use amends_api::ErrorKind;
use axum::http::{HeaderMap, Uri};

use crate::problem::Problem;

/// The caller's idempotency key, if there is one.
///
/// # Errors
/// When there are several, or it has other characters than visible ASCII.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::new(ErrorKind::IdempotencyKeyInvalid, "send one Idempotency-Key, not several"));
    }
    match value.to_str() {
        Ok("") => Err(Problem::new(
            ErrorKind::IdempotencyKeyInvalid,
            "the Idempotency-Key is empty; leave it out or fill it",
        )),
        Ok(key) => Ok(Some(key.to_owned())),
        Err(_) => Err(Problem::new(
            ErrorKind::IdempotencyKeyInvalid,
            "an Idempotency-Key has visible ASCII characters only",
        )),
    }
}

/// Whether the caller prefers an immediate answer (`Prefer: respond-async`). Other preferences are no
/// business of ours.
#[must_use]
pub fn prefers_async(headers: &HeaderMap) -> bool {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    preferences
        .flat_map(|value| value.split(','))
        .filter_map(|preference| preference.split(';').next())
        .any(|preference| preference.trim().eq_ignore_ascii_case("respond-async"))
}

/// What follows the last `/` of the path, as it came.
#[must_use]
pub fn last_segment(uri: &Uri) -> &str {
    uri.path().rsplit('/').next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn a_key_is_one_visible_text() {
        assert_eq!(idempotency_key(&headers(&[])).unwrap(), None);
        assert_eq!(idempotency_key(&headers(&[("idempotency-key", "a b")])).unwrap().as_deref(), Some("a b"));
        assert!(idempotency_key(&headers(&[("idempotency-key", "")])).is_err());
        assert!(idempotency_key(&headers(&[("idempotency-key", "ä")])).is_err());
        assert!(idempotency_key(&headers(&[("idempotency-key", "a"), ("idempotency-key", "a")])).is_err());
    }

    #[test]
    fn respond_async_is_found_among_preferences() {
        for value in ["respond-async", "wait=10, Respond-Async", "respond-async;x=y, wait=1"] {
            assert!(prefers_async(&headers(&[("prefer", value)])), "{value}");
        }
        assert!(prefers_async(&headers(&[("prefer", "wait=5"), ("prefer", "respond-async")])));
        for value in ["", "wait=10", "respond-asynchronously", "x=respond-async"] {
            assert!(!prefers_async(&headers(&[("prefer", value)])), "{value}");
        }
    }
}
