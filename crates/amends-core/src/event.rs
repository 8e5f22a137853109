//! The facts a journal is made of.
//!
//! Owns [`Event`], past tense, one variant per kind of fact. Events that became true together form one record with
//! one time. Promises that state is derived from these alone. Does not serialise: the stored shapes are
//! `amends-journal`'s.

use bytes::Bytes;

use crate::command::By;
use crate::definition::{DefinitionName, StepIndex};
use crate::outcome::{Reason, Refusal};
use crate::time::Time;

/// Which of a step's two calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// The step's effect.
    Action,
    /// Its undo.
    Compensation,
}

impl Direction {
    /// The direction's word, as in an idempotency key.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Compensation => "compensation",
        }
    }
}

/// Why a step was given up although nobody knows whether it took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    /// All attempts failed.
    Exhausted,
    /// The step's limit passed.
    TimedOut,
    /// The participant said *pending* for longer than allowed.
    PendingTooLong,
    /// The saga turned back while the step was undecided.
    TurnedBack,
    /// The participant got the step's key with another payload.
    PayloadConflict,
}

/// Why a saga turned back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A participant refused the step.
    Refused(StepIndex),
    /// The step ran out of attempts.
    Exhausted(StepIndex),
    /// The step's limit passed, or it was pending for too long.
    StepTimedOut(StepIndex),
    /// The saga's limit passed.
    SagaTimedOut,
    /// An operator cancelled it.
    Cancelled,
    /// An operator reversed it after it had completed.
    Reversed,
}

/// Why a saga can go neither on nor back by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParkReason {
    /// The pivot ran out of attempts.
    PivotExhausted(StepIndex),
    /// The pivot was refused after an attempt whose outcome is unknown.
    PivotInDoubt(StepIndex),
    /// A step after the pivot was refused.
    RefusedAfterPivot(StepIndex),
    /// A participant got one key with two payloads.
    PayloadConflict(StepIndex),
    /// At least one compensation failed; the others ran.
    CompensationFailed,
}

impl ParkReason {
    /// The step that is stuck; `None` when it may be more than one.
    #[must_use]
    pub const fn step(&self) -> Option<StepIndex> {
        match self {
            Self::PivotExhausted(step)
            | Self::PivotInDoubt(step)
            | Self::RefusedAfterPivot(step)
            | Self::PayloadConflict(step) => Some(*step),
            Self::CompensationFailed => None,
        }
    }
}

/// One fact about one saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The saga exists.
    SagaStarted {
        /// The definition it runs.
        definition: DefinitionName,
        /// The definition's version.
        version: u32,
        /// What it was started with: JSON, as it came.
        input: Bytes,
    },
    /// The step's first attempt may be sent from here on.
    StepStarted {
        /// The step.
        step: StepIndex,
    },
    /// A further attempt may be sent from here on.
    AttemptStarted {
        /// The step.
        step: StepIndex,
        /// Action or compensation.
        direction: Direction,
        /// The attempt's number, from one.
        attempt: u32,
    },
    /// Nobody knows what the attempt did.
    AttemptFailed {
        /// The step.
        step: StepIndex,
        /// Action or compensation.
        direction: Direction,
        /// The attempt's number.
        attempt: u32,
        /// What went wrong.
        reason: Reason,
        /// When to ask again, if that is still to be done.
        retry_at: Time,
    },
    /// The participant is working on it.
    AttemptPending {
        /// The step.
        step: StepIndex,
        /// Action or compensation.
        direction: Direction,
        /// The attempt's number.
        attempt: u32,
        /// When to ask again ([`Time::NEVER`]: it calls back).
        ask_at: Time,
        /// When to stop waiting.
        expires_at: Time,
    },
    /// The step's effect took place.
    StepCompleted {
        /// The step.
        step: StepIndex,
        /// What the participant returned.
        output: Bytes,
    },
    /// The participant refused the step.
    StepRefused {
        /// The step.
        step: StepIndex,
        /// What it said.
        refusal: Refusal,
    },
    /// The step is not asked any more, and is in doubt.
    StepGivenUp {
        /// The step.
        step: StepIndex,
        /// Why.
        why: GivenUp,
    },
    /// The saga goes back from here on.
    TurnedBack {
        /// Why.
        cause: Cause,
    },
    /// The undo needs an output that never came: the action is asked again for it.
    OutputSought {
        /// The step.
        step: StepIndex,
    },
    /// The output sought has come; the undo's first attempt may be sent.
    OutputFound {
        /// The step.
        step: StepIndex,
        /// What the participant returned.
        output: Bytes,
    },
    /// The action, asked again for its output, was refused: there is nothing to undo.
    NothingToUndo {
        /// The step.
        step: StepIndex,
    },
    /// The undo's first attempt may be sent from here on.
    CompensationStarted {
        /// The step.
        step: StepIndex,
    },
    /// The step is undone.
    CompensationCompleted {
        /// The step.
        step: StepIndex,
    },
    /// The undo was refused, or ran out of attempts.
    CompensationFailed {
        /// The step.
        step: StepIndex,
        /// What the participant said, or what ran out.
        reason: Reason,
    },
    /// Every step is done.
    SagaCompleted,
    /// Everything that had to be undone is undone.
    SagaCompensated,
    /// The saga waits for an operator.
    SagaParked {
        /// Why.
        because: ParkReason,
    },
    /// An operator asked for the saga to turn back.
    CancelRequested {
        /// Who and why.
        by: By,
    },
    /// An operator sent a parked saga on.
    SagaRetried {
        /// Who and why.
        by: By,
    },
    /// The step, or its undo, is asked again with fresh patience.
    StepRetried {
        /// The step.
        step: StepIndex,
    },
    /// An operator supplied the step's output.
    StepSkipped {
        /// The step.
        step: StepIndex,
        /// What following steps see.
        output: Bytes,
        /// Who and why.
        by: By,
    },
    /// An operator undid the step by hand.
    CompensationResolved {
        /// The step.
        step: StepIndex,
        /// Who and why.
        by: By,
    },
    /// Nothing is sent from here on.
    SagaPaused {
        /// Who and why.
        by: By,
    },
    /// Sending goes on.
    SagaResumed {
        /// Who and why.
        by: By,
    },
    /// An operator has a completed saga undone.
    SagaReversed {
        /// Who and why.
        by: By,
    },
    /// An operator stopped the saga without undo.
    SagaAbandoned {
        /// Who and why.
        by: By,
    },
}
