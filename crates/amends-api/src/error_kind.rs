//! Every error that a server of ours can answer.
//!
//! Owns the one table of kinds: stable code, HTTP status, whether to send the same again, title, and the page
//! that explains it. Promises that each kind has a page under `docs/errors/` and each page its kind. Does not
//! know what happened: who maps an error to a kind says that in the problem's detail.

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $retry:expr, $title:literal;)*) => {
        /// A kind of error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorKind {
            $($(#[$doc])* $name,)*
        }

        impl ErrorKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// Whether to send the same again.
            #[must_use]
            pub const fn retry(self) -> Retry {
                match self { $(Self::$name => $retry,)* }
            }

            /// What it is, in a few words.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// The page that explains it, in Markdown.
            #[must_use]
            pub const fn page(self) -> &'static str {
                match self {
                    $(Self::$name => include_str!(concat!("../../../docs/errors/", $code, ".md")),)*
                }
            }

            /// The kind with this code; `None` for a code of a participant, an application or a newer server.
            #[must_use]
            pub fn of_code(code: &str) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }
        }
    };
}

/// Whether a client should send the same request, with the same idempotency key, again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// No: the answer would be the same, or somebody has to do something first.
    No,
    /// Yes; when is up to the client.
    Yes,
    /// Yes, after so many seconds: the answer's `Retry-After`.
    AfterSeconds(u32),
}

use Retry::{AfterSeconds, No, Yes};

// For callers, first what is wrong with a request, then how a saga ended; then for operators; then what
// passes by itself.
kinds! {
    /// The request is not what the route takes.
    BadRequest = "bad_request", 400, No, "The request is not what this call takes";
    /// The idempotency key is empty, too long, or there are several.
    IdempotencyKeyInvalid = "idempotency_key_invalid", 400, No, "The idempotency key cannot be used";
    /// A name comes twice in one object.
    DuplicateField = "duplicate_field", 400, No, "A field comes twice";
    /// A field that the call does not know.
    UnknownField = "unknown_field", 400, No, "The body has a field that this call does not know";
    /// A query parameter that the call does not know.
    UnknownParameter = "unknown_parameter", 400, No, "The query has a parameter that this call does not know";
    /// A header of ours that the call does not take, or that is nearly one of ours.
    UnknownHeader = "unknown_header", 400, No, "The request has a header that this call does not take";
    /// A preference that the call does not know.
    UnknownPreference = "unknown_preference", 400, No, "The header Prefer asks for something unknown";
    /// The token is missing or another.
    Unauthorized = "unauthorized", 401, No, "This needs a token";
    /// It comes from elsewhere than this machine.
    Forbidden = "forbidden", 403, No, "This server answers its own machine only";
    /// A value is out of range.
    Invalid = "invalid", 422, No, "A value is not allowed";
    /// The input does not fit the definition's schema.
    InputInvalid = "input_invalid", 422, No, "The input is not what the definition takes";
    /// The checker found something.
    DefinitionInvalid = "definition_invalid", 422, No, "The definition has faults";
    /// A bulk job about everything.
    EmptyFilter = "empty_filter", 422, No, "The filter names nothing";
    /// Nothing is there.
    NotFound = "not_found", 404, No, "There is nothing here";
    /// The path takes other methods.
    MethodNotAllowed = "method_not_allowed", 405, No, "This path takes other methods";
    /// The body did not come in time.
    RequestTooSlow = "request_too_slow", 408, Yes, "The request did not arrive in time";
    /// The body is too large.
    BodyTooLarge = "body_too_large", 413, No, "The body is too large";
    /// The body is of a type that the call does not read.
    UnsupportedMediaType = "unsupported_media_type", 415, No, "The body is of a type that this call does not read";
    /// The saga has changed since.
    PreconditionFailed = "precondition_failed", 412, No, "The saga has changed since you looked";
    /// The key was used with another input.
    KeyReused = "key_reused", 409, No, "This key was used for another request";
    /// The saga's state does not allow what was asked.
    StateConflict = "state_conflict", 409, No, "The saga's state does not allow this";
    /// The definition's version starts no more.
    DefinitionRetired = "definition_retired", 409, No, "This version of the definition is retired";
    /// The refusal had no code of the participant's, so that nobody knows whether it was a decision.
    RefusalNotCoded = "refusal_not_coded", 409, No, "The step was not refused with a code";
    /// An attempt's outcome is unknown: it may have taken effect with the first payload.
    AttemptUnknown = "attempt_unknown", 409, No, "An attempt of the step may have taken effect";
    /// The payloads of the saga were taken away.
    Erased = "erased", 409, No, "The saga's payloads were erased";
    /// The step was decided otherwise.
    CallbackConflict = "callback_conflict", 409, No, "The step was decided otherwise";
    /// What follows an event id is not kept any more.
    EventIdExpired = "event_id_expired", 410, No, "Events after this id are not kept any more";
    /// The saga ended long ago and was removed; its id and key are still reserved.
    SagaRemoved = "saga_removed", 410, No, "The saga was removed some time after its end";
    /// The saga went back.
    SagaCompensated = "saga_compensated", 409, No, "It could not be done, and everything is undone";
    /// The saga went back because a step ran out of attempts.
    AttemptsExhausted = "attempts_exhausted", 409, No, "A step ran out of attempts, and everything is undone";
    /// The saga went back because a limit passed.
    TimedOut = "timed_out", 409, No, "It took too long, and everything is undone";
    /// The saga went back because the payload of a call could not be made.
    ExpressionFailed = "expression_failed", 409, No, "A call could not be made, and everything is undone";
    /// The saga went back because an operator cancelled it.
    Cancelled = "cancelled", 409, No, "An operator cancelled it, and everything is undone";
    /// The saga went back because an operator reversed it after it had completed.
    Reversed = "reversed", 409, No, "It was done, and an operator had it undone";
    /// The saga waits for an operator.
    SagaParked = "saga_parked", 500, No, "The saga waits for an operator";
    /// An operator stopped the saga without undo.
    SagaAbandoned = "saga_abandoned", 500, No, "An operator abandoned the saga";
    /// The saga's records cannot be read.
    SagaUnreadable = "saga_unreadable", 500, No, "The saga's records are damaged";
    /// Stored data cannot be read.
    DataDamaged = "data_damaged", 500, No, "Stored data is damaged";
    /// Too many signals are kept for waits that have not come yet.
    TooManySignals = "too_many_signals", 429, AfterSeconds(1), "Too many signals wait for their steps";
    /// Too much is under way.
    EngineFull = "engine_full", 503, AfterSeconds(1), "Too much is under way";
    /// The disk is nearly full.
    DiskLow = "disk_low", 503, AfterSeconds(5), "The disk is nearly full";
    /// The server is stopping.
    Stopping = "stopping", 503, AfterSeconds(1), "The server is stopping";
    /// Another server owns what was asked for, or is about to.
    OwnedElsewhere = "owned_elsewhere", 503, AfterSeconds(1), "Another server owns this";
    /// Nobody knows whether it was done.
    OutcomeUnknown = "outcome_unknown", 503, AfterSeconds(1), "Nobody knows whether it was done";
    /// A fault of ours.
    Internal = "internal", 500, Yes, "A fault of this server";
}

impl ErrorKind {
    /// Whether a client should send the same again by itself.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        match self.retry() {
            Retry::No => false,
            Retry::Yes | Retry::AfterSeconds(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_named_after_its_code_and_found_by_it() {
        for kind in ErrorKind::ALL {
            let mut name = String::new();
            for part in kind.code().split('_') {
                name += &part[..1].to_uppercase();
                name += &part[1..];
            }
            assert_eq!(format!("{kind:?}"), name);
            assert_eq!(ErrorKind::of_code(kind.code()), Some(*kind));
            assert!(!kind.title().is_empty() && (400..600).contains(&kind.status()), "{name}");
        }
        assert_eq!(ErrorKind::of_code("insufficient_stock"), None);
    }

    #[test]
    fn what_is_too_much_or_unavailable_says_when_to_come_back() {
        for kind in ErrorKind::ALL {
            let is_unavailable = matches!(kind.status(), 429 | 503);
            assert_eq!(matches!(kind.retry(), Retry::AfterSeconds(1..)), is_unavailable, "{}", kind.code());
        }
    }
}
