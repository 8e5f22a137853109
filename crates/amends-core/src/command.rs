//! What can be asked of a saga.
//!
//! Owns [`Command`], imperative, and the operator's [`Verb`]s. Promises that a verb that the saga's state forbids is
//! [`Rejected`] with the state named, and changes nothing. Does not decide: that is `decide.rs`.

use bytes::Bytes;

use crate::definition::StepIndex;
use crate::event::Direction;
use crate::outcome::Outcome;
use crate::retry::Entropy;
use crate::time::Time;
use crate::transition::Status;

/// Something that came in for one saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The saga was loaded after a stop: no call of its is under way any more.
    Recover,
    /// A participant answered.
    Answer {
        /// The step that was asked.
        step: StepIndex,
        /// Which of its two calls.
        direction: Direction,
        /// Which attempt.
        attempt: u32,
        /// What it said.
        outcome: Outcome,
    },
    /// A moment that [`crate::Saga::wake_at`] named has come.
    Wake,
    /// An operator's wish.
    Operate {
        /// What to do.
        verb: Verb,
        /// Who and why, for the journal.
        by: By,
    },
}

/// An operator's verb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Turn back.
    Cancel,
    /// Ask again now, with fresh patience.
    Retry,
    /// Go on without the step, with this output.
    Skip {
        /// The step.
        step: StepIndex,
        /// What following steps see.
        output: Bytes,
    },
    /// The step's undo was done by hand.
    Resolve {
        /// The step.
        step: StepIndex,
    },
    /// Record answers, send nothing, let limits stand still.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Undo a completed saga.
    Reverse,
    /// Stop without undo.
    Abandon,
}

impl Verb {
    /// The verb's word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Retry => "retry",
            Self::Skip { .. } => "skip",
            Self::Resolve { .. } => "resolve",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Reverse => "reverse",
            Self::Abandon => "abandon",
        }
    }
}

/// Who asked, and why; kept in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// The operator.
    pub who: String,
    /// Their reason.
    pub why: String,
}

/// When a decision is made, and the random bits it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The time.
    pub now: Time,
    /// Random bits.
    pub entropy: Entropy,
}

/// The saga's state forbids the verb.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {verb} a saga that is {status}: {because}")]
pub struct Rejected {
    /// The verb's word.
    pub verb: &'static str,
    /// The saga's status.
    pub status: Status,
    /// What would have to be otherwise.
    pub because: &'static str,
}
