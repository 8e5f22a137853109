//! What a participant can answer.
//!
//! Owns the outcomes (DESIGN, section 4). Promises that *unknown* stays unknown: nothing here turns it into a
//! refusal. Bounds what is kept of a participant's words. Does not map protocols: each transport has one file
//! for that.

use std::time::Duration;

use bytes::Bytes;

use crate::limits::{CODE_BYTES_MAX, DETAILS_BYTES_MAX, MESSAGE_BYTES_MAX};

/// The answer to one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The effect took place.
    Completed {
        /// What the participant returned: JSON.
        output: Bytes,
    },
    /// The effect took place, and what the participant returned is more than its transport reads: like an output
    /// that is too large to be stored.
    CompletedTooLarge {
        /// Its bytes, or as many as came.
        bytes: u64,
    },
    /// The participant says no, for good, and nothing took place.
    Refused(Refusal),
    /// The participant works on it: it will call back, or is to be asked again.
    Working {
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
    /// The participant knows the call's key with another payload: its first call may have taken effect, so
    /// this is no refusal, and asking again is useless.
    Conflict {
        /// What the participant said, for people.
        message: String,
    },
}

impl Outcome {
    /// An unknown outcome without a wish for when to ask again.
    #[must_use]
    pub fn unknown(code: &str, message: impl Into<String>) -> Self {
        Self::Unknown { reason: Reason::new(code, message), retry_after: None }
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
    /// The refusal's code and message.
    #[must_use]
    pub fn reason(&self) -> Reason {
        Reason { code: self.code.clone(), message: self.message.clone() }
    }

    /// The refusal, with no more of its words than is kept.
    #[must_use]
    pub(crate) fn bounded(self) -> Self {
        Self {
            code: cut(self.code, CODE_BYTES_MAX),
            message: cut(self.message, MESSAGE_BYTES_MAX),
            details: self.details.filter(|details| details.len() <= DETAILS_BYTES_MAX),
        }
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
    /// An attempt, step or saga that passed its limit.
    pub const TIMED_OUT: &str = "timed_out";
    /// A step that ran out of attempts.
    pub const EXHAUSTED: &str = "attempts_exhausted";
    /// A saga that was cancelled by a person.
    pub const CANCELLED: &str = "cancelled";
    /// A completed saga that was reversed by a person.
    pub const REVERSED: &str = "reversed";
    /// A call whose key the participant knows with another payload.
    pub const PAYLOAD_CONFLICT: &str = "payload_conflict";
    /// A call whose payload could not be made.
    pub const EXPRESSION_FAILED: &str = "expression_failed";
    /// An output that is larger than may be stored.
    pub const OUTPUT_TOO_LARGE: &str = "output_too_large";

    /// Whether it is a participant's own code, not its transport's word for a status (`http_422`), nor one of ours.
    #[must_use]
    pub fn is_coded(&self) -> bool {
        const OURS: [&str; 5] = [
            Reason::TIMED_OUT,
            Reason::EXHAUSTED,
            Reason::PAYLOAD_CONFLICT,
            Reason::EXPRESSION_FAILED,
            Reason::OUTPUT_TOO_LARGE,
        ];
        !self.code.is_empty() && !self.code.starts_with("http_") && !OURS.contains(&self.code.as_str())
    }

    /// A reason from its two parts.
    #[must_use]
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }

    /// The reason, with no more of its words than is kept.
    #[must_use]
    pub(crate) fn bounded(self) -> Self {
        Self { code: cut(self.code, CODE_BYTES_MAX), message: cut(self.message, MESSAGE_BYTES_MAX) }
    }
}

/// The text, or as much of it as fits, with a mark that some is missing.
fn cut(mut text: String, bytes_max: usize) -> String {
    const MARK: &str = "…";
    if text.len() > bytes_max {
        let fits = (0..=bytes_max - MARK.len()).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(fits.expect("the start of a text is a boundary"));
        text.push_str(MARK);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_where_a_character_ends() {
        let reason = Reason::new(&"c".repeat(300), "ü".repeat(MESSAGE_BYTES_MAX)).bounded();
        assert_eq!(reason.code.len(), CODE_BYTES_MAX);
        assert!(reason.message.len() <= MESSAGE_BYTES_MAX && reason.message.ends_with("ü…"));
        let short = Reason::new("code", "message");
        assert_eq!(short.clone().bounded(), short);
    }
}
