//! A problem as an HTTP answer.
//!
//! Owns the way from a problem document to status, headers and body. Promises that `Retry-After` is sent
//! where the kind has one. Does not decide which problem it is.

use amends_api::{Code, ErrorKind, Retry};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

/// A problem document on its way out.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: ErrorKind,
    document: Box<amends_api::Problem>,
}

impl Problem {
    /// A problem of this kind; `detail` says what is wrong and what to do.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, document: Box::new(amends_api::Problem::new(kind, detail)) }
    }

    /// Replaces the code by a participant's or an application's own.
    #[must_use]
    pub fn coded(mut self, code: impl Into<Code>) -> Self {
        self.document.code = code.into();
        self
    }

    /// Adds a member. A saga's own `status` takes the place of the HTTP status: the shop's contract says so.
    ///
    /// # Panics
    /// When the member is one that every problem has.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let is_taken = matches!(name, "type" | "title" | "code" | "detail");
        assert!(!is_taken, "what every problem says is said once");
        if name == "status" {
            self.document.status = None;
        }
        self.document.members.insert(name.to_owned(), value.into());
        self
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The document.
    #[must_use]
    pub fn document(&self) -> &amends_api::Problem {
        &self.document
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.kind.status()).expect("every kind has an HTTP status");
        let mut response = (status, Json(*self.document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(amends_api::Problem::MEDIA_TYPE));
        match self.kind.retry() {
            Retry::AfterSeconds(seconds) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Retry::No | Retry::Yes => {}
        }
        response
    }
}
