//! Every error this server can answer, with its page.
//!
//! Owns the list of kinds: code, HTTP status, title and page; and the one mapping from the engine's errors to them.
//! Promises that each code has a page under `docs/errors/`, served at `/errors/{code}`.

use amends_core::Reason;
use amends_engine::{ReadError, StartError};
use axum::http::StatusCode;

use crate::problem::Problem;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:ident, $title:literal;)*) => {
        /// A kind of error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        /// All kinds.
        pub const ALL: &[Kind] = &[$(Kind::$name,)*];

        impl Kind {
            /// The stable code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// What it is, in a few words.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// The page that explains it, in Markdown.
            #[must_use]
            pub const fn page(self) -> &'static str {
                match self { $(Self::$name => include_str!(concat!("../../../docs/errors/", $code, ".md")),)* }
            }
        }
    };
}

kinds! {
    /// The request is not what the route takes.
    BadRequest = "bad_request", BAD_REQUEST, "The request is not what this call takes";
    /// The idempotency key is empty, too long, or there are several.
    BadKey = "idempotency_key_invalid", BAD_REQUEST, "The idempotency key cannot be used";
    /// A value is out of range.
    Invalid = "invalid", UNPROCESSABLE_ENTITY, "A value is not allowed";
    /// A name comes twice in one object.
    DuplicateField = "duplicate_field", BAD_REQUEST, "A field comes twice";
    /// Nothing is there.
    NotFound = "not_found", NOT_FOUND, "There is nothing here";
    /// The path takes other methods.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "This path takes other methods";
    /// The body did not come in time.
    TooSlow = "request_too_slow", REQUEST_TIMEOUT, "The request did not arrive in time";
    /// The body is too large.
    TooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    /// The key was used with another input.
    KeyReused = "key_reused", CONFLICT, "This key was used for another request";
    /// The saga went back.
    Compensated = "saga_compensated", CONFLICT, "It could not be done, and everything is undone";
    /// The saga waits for an operator.
    Parked = "saga_parked", INTERNAL_SERVER_ERROR, "The saga waits for an operator";
    /// An operator stopped the saga without undo.
    Abandoned = "saga_abandoned", INTERNAL_SERVER_ERROR, "An operator abandoned the saga";
    /// The saga's records cannot be read.
    Unreadable = "saga_unreadable", INTERNAL_SERVER_ERROR, "The saga's records are damaged";
    /// Stored data cannot be read.
    Damaged = "data_damaged", INTERNAL_SERVER_ERROR, "Stored data is damaged";
    /// Too much is under way.
    Full = "engine_full", SERVICE_UNAVAILABLE, "Too much is under way";
    /// The disk is nearly full.
    DiskLow = "disk_low", SERVICE_UNAVAILABLE, "The disk is nearly full";
    /// The server is stopping.
    Stopping = "stopping", SERVICE_UNAVAILABLE, "The server is stopping";
    /// Nobody knows whether it was done.
    OutcomeUnknown = "outcome_unknown", SERVICE_UNAVAILABLE, "Nobody knows whether it was done";
    /// A fault of ours.
    Internal = "internal", INTERNAL_SERVER_ERROR, "A fault of this server";
}

/// Codes that stand in the place of `saga_compensated` when the engine itself turned a saga back, with their pages.
const REASONS: &[(&str, &str)] = &[
    (Reason::EXHAUSTED, include_str!("../../../docs/errors/attempts_exhausted.md")),
    (Reason::TIMED_OUT, include_str!("../../../docs/errors/timed_out.md")),
    (Reason::CANCELLED, include_str!("../../../docs/errors/cancelled.md")),
];

/// The page that explains a code, in Markdown.
#[must_use]
pub fn page_of(code: &str) -> Option<&'static str> {
    let reason = || REASONS.iter().find(|(reason, _)| *reason == code).map(|(_, page)| *page);
    Kind::of_code(code).map(Kind::page).or_else(reason)
}

impl Kind {
    /// The kind of this code.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        ALL.iter().copied().find(|kind| kind.code() == code)
    }
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        let detail = error.to_string();
        match error {
            StartError::UnknownDefinition(_) => Self::new(Kind::NotFound, detail),
            StartError::InputNotJson => Self::new(Kind::BadRequest, detail),
            StartError::InputTooLarge(_) => Self::new(Kind::TooLarge, detail),
            StartError::BadKey => Self::new(Kind::BadKey, detail),
            StartError::KeyReused { saga } => {
                Self::new(Kind::KeyReused, detail).with("saga_id", saga.to_string())
            }
            StartError::Full(_) => Self::new(Kind::Full, detail).retry_after(1),
            StartError::DiskLow => Self::new(Kind::DiskLow, detail).retry_after(5),
            StartError::Stopping => Self::new(Kind::Stopping, detail).retry_after(1),
            StartError::Unreadable { saga, .. } => Self::unreadable(&saga.to_string(), detail),
            StartError::Unknown(_) => Self::new(Kind::OutcomeUnknown, detail).retry_after(1),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        let detail = error.to_string();
        match error {
            ReadError::Unreadable { saga, .. } => Self::unreadable(&saga.to_string(), detail),
            ReadError::Full => Self::new(Kind::Full, detail).retry_after(1),
            ReadError::Stopping => Self::new(Kind::Stopping, detail).retry_after(1),
            ReadError::Journal(_) => Self::new(Kind::Internal, detail),
        }
    }
}

impl Problem {
    fn unreadable(saga: &str, detail: String) -> Self {
        Self::new(Kind::Unreadable, detail).with("saga_id", saga).with("status", "failed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_that_begins_with_its_name_and_says_what_to_do() {
        for code in ALL.iter().map(|kind| kind.code()).chain(REASONS.iter().map(|(code, _)| *code)) {
            let page = page_of(code).expect("the list is what is looked in");
            assert!(page.starts_with(&format!("# {code}\n")), "{code}");
            assert!(page.contains("**What to do.**"), "{code}");
        }
    }

    #[test]
    fn codes_are_told_apart() {
        for (at, kind) in ALL.iter().enumerate() {
            assert!(ALL[..at].iter().all(|other| other.code() != kind.code()), "{}", kind.code());
            assert_eq!(Kind::of_code(kind.code()), Some(*kind));
        }
    }
}
