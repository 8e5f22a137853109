//! What a participant can answer.
//!
//! Owns the four outcomes (DESIGN, section 4). Promises that *unknown* stays unknown: nothing here turns it into a
//! refusal. Does not map protocols: each transport has one file for that.

use std::time::Duration;

use bytes::Bytes;

/// The answer to one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The effect took place.
    Completed {
        /// What the participant returned: JSON.
        output: Bytes,
    },
    /// The participant says no, for good, and nothing took place.
    Refused(Refusal),
    /// It is working on it: it will call back, or is to be asked again.
    Pending {
        /// Ask again after this long; without it the participant calls back.
        ask_again_after: Option<Duration>,
    },
    /// Nobody knows whether the effect took place: the same call again with the same key.
    Unknown {
        /// What went wrong, for people.
        reason: Reason,
        /// The participant's own wish: not before this long.
        retry_after: Option<Duration>,
    },
}

impl Outcome {
    /// An unknown outcome without a wish for when to ask again.
    #[must_use]
    pub fn unknown(code: &str, message: impl Into<String>) -> Self {
        Self::Unknown { reason: Reason { code: code.to_owned(), message: message.into() }, retry_after: None }
    }

    /// A refusal without details.
    #[must_use]
    pub fn refused(code: &str, message: impl Into<String>) -> Self {
        Self::Refused(Refusal { code: code.to_owned(), message: message.into(), details: None })
    }
}

/// A participant's final no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Stable, for programs.
    pub code: String,
    /// For people.
    pub message: String,
    /// Whatever else the participant said: JSON.
    pub details: Option<Bytes>,
}

impl Refusal {
    /// The code of a participant that got one key with two payloads: its first call may have taken effect, so this
    /// is no refusal; it parks the saga.
    pub const PAYLOAD_CONFLICT: &str = "payload_conflict";

    /// The refusal's code and message.
    #[must_use]
    pub fn reason(&self) -> Reason {
        Reason { code: self.code.clone(), message: self.message.clone() }
    }
}

/// A code for programs and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Stable, for programs.
    pub code: String,
    /// For people.
    pub message: String,
}

impl Reason {
    /// An attempt whose caller died before it had the answer.
    pub const INTERRUPTED: &str = "interrupted";
    /// An attempt that passed its limit.
    pub const TIMED_OUT: &str = "timed_out";
    /// A step that ran out of attempts.
    pub const EXHAUSTED: &str = "attempts_exhausted";
    /// A saga that was cancelled by a person.
    pub const CANCELLED: &str = "cancelled";

    /// A reason from its two parts.
    #[must_use]
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
}
