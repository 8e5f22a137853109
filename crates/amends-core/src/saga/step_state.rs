//! Where a step of a saga stands.
//!
//! Owns [`StepRun`] and [`StepState`], whose variants hold just what that state has. Does not know what may
//! follow: that is `transition.rs`.

use bytes::Bytes;

use super::event::GivenUp;
use super::transition::StepStatus;
use crate::attempt::{CallId, Direction, StepIndex};
use crate::moment::Time;
use crate::outcome::Reason;

/// What happened to one step of one saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRun {
    /// Where it stands.
    pub state: StepState,
    /// Attempts of the action that became durable.
    pub attempts: u32,
    /// Attempts of the compensation that became durable.
    pub compensation_attempts: u32,
    /// When it started.
    pub started_at: Option<Time>,
    /// When it was decided.
    pub finished_at: Option<Time>,
    /// The last thing that went wrong with the action.
    pub error: Option<Box<Reason>>,
    /// The last thing that went wrong with the compensation, or with the search for the output it needs.
    pub compensation_error: Option<Box<Reason>>,
    /// What an operator supplied in place of an output: what followed the step saw it, and so must be undone by it.
    pub supplied: Option<Box<Bytes>>,
}

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepState {
    /// Not started.
    Pending,
    /// The action is asked.
    InProgress {
        /// The call.
        asking: Asking,
        /// When the step's limit passes.
        deadline: Time,
    },
    /// Time passes.
    Sleeping {
        /// Until then.
        until: Time,
    },
    /// A signal is waited for.
    Waiting {
        /// When the limit passes.
        until: Time,
    },
    /// The effect took place, the time has passed, or the signal came.
    Completed {
        /// What the participant returned, or the signal said.
        output: Bytes,
    },
    /// It was not done, or nobody knows.
    Failed {
        /// Why.
        because: Failure,
    },
    /// The action is asked again for the output that the undo needs.
    Seeking {
        /// What is known of the action.
        acted: Acted,
        /// The call.
        asking: Asking,
    },
    /// The undo is asked.
    Compensating {
        /// What is known of the action.
        acted: Acted,
        /// The call; apart, so that steps that are not being undone keep no room for both.
        asking: Box<Asking>,
    },
    /// The undo, or the search for the output it needs, failed for good.
    CompensationFailed {
        /// What is known of the action.
        acted: Acted,
        /// Whether an operator wants it asked again: it then waits until what followed it needs no undo once
        /// more.
        again: bool,
    },
    /// Undone.
    Compensated {
        /// What is known of the action: whoever started the saga may be told its output.
        acted: Acted,
    },
    /// An operator supplied the output.
    Skipped {
        /// What following steps see.
        output: Bytes,
        /// What is known of the action if it had been sent before: it is then owed its undo if the saga turns
        /// back.
        acted: Option<Acted>,
    },
}

/// Why a step failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The participant refused it.
    Refused {
        /// Whether the outcome of an earlier attempt is unknown: the refusal may come from elsewhere.
        in_doubt: bool,
    },
    /// It is not asked any more, and nobody knows what it did.
    GivenUp(GivenUp),
    /// The participant knows the step's key with another payload.
    Conflict,
    /// It took effect, and its output is larger than may be stored.
    OutputTooLarge {
        /// How large the output is, or would make the saga.
        bytes: u64,
        /// How large that may be.
        limit: u64,
    },
    /// The payload could not be made.
    Unmade {
        /// Whether the outcome of an earlier attempt is unknown.
        in_doubt: bool,
    },
    /// Nobody sent the signal in time.
    WaitTimedOut,
    /// It slept or waited when the saga turned back.
    Dropped,
    /// Asked again for its output, it was refused: it never took effect.
    NothingToUndo,
}

/// What is known of an action that is to be undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acted {
    /// It took effect and returned this.
    Returned(Bytes),
    /// It took effect; what it returned was not kept.
    Surely,
    /// It may have taken effect.
    Perhaps,
}

/// A call that is repeated until its answer is certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// Attempts without a certain answer since patience began (an operator's `retry` starts it anew).
    pub unanswered: u32,
    /// Whether some attempt's outcome is unknown.
    pub unknown: bool,
    /// When to stop waiting for a participant that said *working*, counted from the first time it did.
    pub working_until: Option<Time>,
    /// What the call is doing.
    pub phase: Phase,
}

/// What a call is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// An attempt is under way, or about to be.
    Calling,
    /// It rests until the next attempt.
    Resting {
        /// Until when.
        until: Time,
    },
    /// The participant works on it.
    Working {
        /// When to ask again.
        ask_at: Time,
        /// When to stop waiting.
        expires_at: Time,
    },
}

impl Failure {
    /// What is known of the action; `None` if it did not take effect, for certain.
    #[must_use]
    pub const fn acted(&self) -> Option<Acted> {
        match self {
            Self::GivenUp(_) | Self::Conflict => Some(Acted::Perhaps),
            Self::Refused { in_doubt } | Self::Unmade { in_doubt } => {
                if *in_doubt {
                    Some(Acted::Perhaps)
                } else {
                    None
                }
            }
            Self::OutputTooLarge { .. } => Some(Acted::Surely),
            Self::WaitTimedOut | Self::Dropped | Self::NothingToUndo => None,
        }
    }
}

impl Acted {
    /// What the action returned, where that is known.
    #[must_use]
    pub const fn output(&self) -> Option<&Bytes> {
        match self {
            Self::Returned(output) => Some(output),
            Self::Surely | Self::Perhaps => None,
        }
    }
}

impl Asking {
    pub(super) const FIRST: Self =
        Self { unanswered: 0, unknown: false, working_until: None, phase: Phase::Calling };
}

impl StepState {
    /// The status that people see.
    #[must_use]
    pub const fn status(&self) -> StepStatus {
        match self {
            Self::Pending => StepStatus::Pending,
            Self::InProgress { .. } | Self::Sleeping { .. } | Self::Waiting { .. } => StepStatus::InProgress,
            Self::Completed { .. } => StepStatus::Completed,
            Self::Failed { .. } => StepStatus::Failed,
            Self::Seeking { .. } | Self::Compensating { .. } | Self::CompensationFailed { .. } => {
                StepStatus::Compensating
            }
            Self::Compensated { .. } => StepStatus::Compensated,
            Self::Skipped { .. } => StepStatus::Skipped,
        }
    }

    /// The call that is being made, and its direction.
    #[must_use]
    pub const fn asking(&self) -> Option<(Direction, &Asking)> {
        match self {
            Self::InProgress { asking, .. } | Self::Seeking { asking, .. } => {
                Some((Direction::Action, asking))
            }
            Self::Compensating { asking, .. } => Some((Direction::Compensation, asking)),
            Self::Pending
            | Self::Sleeping { .. }
            | Self::Waiting { .. }
            | Self::Completed { .. }
            | Self::Failed { .. }
            | Self::CompensationFailed { .. }
            | Self::Compensated { .. }
            | Self::Skipped { .. } => None,
        }
    }

    pub(super) fn asking_mut(&mut self) -> Option<(Direction, &mut Asking)> {
        match self {
            Self::InProgress { asking, .. } | Self::Seeking { asking, .. } => {
                Some((Direction::Action, asking))
            }
            Self::Compensating { asking, .. } => Some((Direction::Compensation, asking)),
            Self::Pending
            | Self::Sleeping { .. }
            | Self::Waiting { .. }
            | Self::Completed { .. }
            | Self::Failed { .. }
            | Self::CompensationFailed { .. }
            | Self::Compensated { .. }
            | Self::Skipped { .. } => None,
        }
    }

    /// Whether what follows may start.
    pub(super) const fn is_done(&self) -> bool {
        match self {
            Self::Completed { .. } | Self::Skipped { .. } => true,
            Self::Pending
            | Self::InProgress { .. }
            | Self::Sleeping { .. }
            | Self::Waiting { .. }
            | Self::Failed { .. }
            | Self::Seeking { .. }
            | Self::Compensating { .. }
            | Self::CompensationFailed { .. }
            | Self::Compensated { .. } => false,
        }
    }

    /// Whether its undo, or the search for the output it needs, is under way.
    pub(super) const fn is_being_undone(&self) -> bool {
        match self {
            Self::Seeking { .. } | Self::Compensating { .. } => true,
            Self::Pending
            | Self::InProgress { .. }
            | Self::Sleeping { .. }
            | Self::Waiting { .. }
            | Self::Completed { .. }
            | Self::Failed { .. }
            | Self::CompensationFailed { .. }
            | Self::Compensated { .. }
            | Self::Skipped { .. } => false,
        }
    }

    /// Whether an undo would have something to undo, as far as anybody knows.
    pub(super) fn is_undoable(&self) -> bool {
        match self {
            Self::Completed { .. } => true,
            Self::Failed { because } => because.acted().is_some(),
            Self::Skipped { acted, .. } => acted.is_some(),
            Self::CompensationFailed { again, .. } => *again,
            Self::Pending
            | Self::InProgress { .. }
            | Self::Sleeping { .. }
            | Self::Waiting { .. }
            | Self::Seeking { .. }
            | Self::Compensating { .. }
            | Self::Compensated { .. } => false,
        }
    }

    /// What the action itself returned, where that is known: an undo goes by that.
    pub(super) const fn returned(&self) -> Option<&Bytes> {
        match self {
            Self::Completed { output } => Some(output),
            Self::Seeking { acted, .. }
            | Self::Compensating { acted, .. }
            | Self::CompensationFailed { acted, .. }
            | Self::Compensated { acted } => acted.output(),
            Self::Pending
            | Self::InProgress { .. }
            | Self::Sleeping { .. }
            | Self::Waiting { .. }
            | Self::Failed { .. }
            | Self::Skipped { .. } => None,
        }
    }

    /// What is known of an action that may have taken effect, however far its undo is. An operator's stand-in
    /// for an output is nothing to undo by.
    pub(super) fn acted(&self) -> Option<Acted> {
        match self {
            Self::Completed { output } => Some(Acted::Returned(output.clone())),
            Self::Failed { because } => because.acted(),
            Self::Skipped { acted, .. } => acted.clone(),
            Self::Seeking { acted, .. }
            | Self::Compensating { acted, .. }
            | Self::CompensationFailed { acted, .. }
            | Self::Compensated { acted } => Some(acted.clone()),
            Self::Pending | Self::InProgress { .. } | Self::Sleeping { .. } | Self::Waiting { .. } => None,
        }
    }
}

impl StepRun {
    pub(super) const PENDING: Self = Self {
        state: StepState::Pending,
        attempts: 0,
        compensation_attempts: 0,
        started_at: None,
        finished_at: None,
        error: None,
        compensation_error: None,
        supplied: None,
    };

    /// How many attempts of `direction` became durable.
    #[must_use]
    pub const fn attempts_of(&self, direction: Direction) -> u32 {
        match direction {
            Direction::Action => self.attempts,
            Direction::Compensation => self.compensation_attempts,
        }
    }

    pub(super) fn attempts_mut(&mut self, direction: Direction) -> &mut u32 {
        match direction {
            Direction::Action => &mut self.attempts,
            Direction::Compensation => &mut self.compensation_attempts,
        }
    }

    /// Where what goes wrong now is noted: with the action, or with its undo.
    pub(super) const fn error_mut(&mut self) -> &mut Option<Box<Reason>> {
        if self.state.is_being_undone() { &mut self.compensation_error } else { &mut self.error }
    }

    /// The step's call of `direction`.
    pub(super) const fn call(step: StepIndex, direction: Direction) -> CallId {
        CallId::first(step, direction)
    }

    /// The step's output as those that follow it see it, wherever the step stands: the same for as long as they are asked or
    /// undone.
    #[must_use]
    pub fn output(&self) -> Option<&Bytes> {
        self.supplied.as_deref().or_else(|| self.state.returned())
    }
}
