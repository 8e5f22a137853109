//! What an error looks like from outside.
//!
//! Owns [`Problem`]: a problem document (RFC 9457) with a stable `code` and a `type` that resolves to its page on this
//! server. Promises that every problem is one of [`crate::errors::ALL`]. Does not decide which problem it is.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::errors::Kind;

/// A problem document.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: Kind,
    code: Option<String>,
    detail: String,
    members: Map<String, Value>,
    retry_after_seconds: Option<u32>,
}

impl Problem {
    /// A problem of this kind; `detail` says what to do.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, code: None, detail: detail.into(), members: Map::new(), retry_after_seconds: None }
    }

    /// Replaces the code by a participant's own.
    #[must_use]
    pub fn coded(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.kind.status()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.kind.status();
        let mut document = Map::new();
        document.insert("type".to_owned(), json!(format!("/errors/{}", self.kind.code())));
        document.insert("title".to_owned(), json!(self.kind.title()));
        // A saga's own status, where there is one, takes this place: the shop's contract says so.
        document.insert("status".to_owned(), json!(status.as_u16()));
        document.insert("code".to_owned(), json!(self.code.as_deref().unwrap_or(self.kind.code())));
        document.insert("detail".to_owned(), json!(self.detail));
        document.extend(self.members);
        let mut response = (status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
