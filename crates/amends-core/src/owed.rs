//! What a state owes the world.
//!
//! Owns [`Saga::owed`]: the calls that must be under way and the moment to look again. Promises that it follows from
//! the state alone, so that a saga read back from its journal owes exactly what it owed before. Does not remember what
//! was sent: the shard does, and sends only what is owed and not under way.

use bytes::Bytes;
use std::time::Duration;

use crate::definition::StepIndex;
use crate::event::Direction;
use crate::saga::{Phase, Saga, StepState};
use crate::time::Time;
use crate::transition::Status;

/// Everything a saga owes now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// Calls that must be under way.
    pub calls: Vec<CallParticipant>,
    /// When to send the saga a [`crate::Command::Wake`]; [`Time::NEVER`] if only an answer or an operator moves it.
    pub wake_at: Time,
}

/// One attempt of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallParticipant {
    /// The step.
    pub step: StepIndex,
    /// Which of its two calls.
    pub direction: Direction,
    /// The attempt's number.
    pub attempt: u32,
    /// Whether nobody knows if there is something to undo; the participant is told.
    pub in_doubt: bool,
    /// How long the attempt may take, counted from when it is sent.
    pub limit: Duration,
}

impl Saga {
    /// What follows from the state.
    #[must_use]
    pub fn owed(&self) -> Owed {
        let mut owed = Owed { calls: Vec::new(), wake_at: Time::NEVER };
        if self.status.is_ended() || self.status == Status::Failed || self.is_paused() {
            return owed;
        }
        let limits_run = self.turned_back.is_none() && !self.is_past_return();
        if limits_run {
            owed.wake_at = self.deadline;
        }
        for step in self.definition.order() {
            let run = &self.steps[step.at()];
            if let (StepState::InProgress { deadline, .. }, true) = (&run.state, limits_run) {
                owed.wake_at = owed.wake_at.min(*deadline);
            }
            let Some((direction, asking)) = run.state.asking() else { continue };
            match asking.phase {
                Phase::Calling => owed.calls.push(CallParticipant {
                    step: *step,
                    direction,
                    attempt: run.attempts_of(direction),
                    in_doubt: direction == Direction::Compensation && self.known_output(*step).is_none(),
                    limit: self.attempt_limit(*step, direction),
                }),
                Phase::Resting { until } => owed.wake_at = owed.wake_at.min(until),
                Phase::Pending { ask_at, expires_at } => {
                    owed.wake_at = owed.wake_at.min(ask_at).min(expires_at);
                }
            }
        }
        owed
    }

    /// The output of a step that is done or being undone.
    #[must_use]
    pub fn output(&self, step: StepIndex) -> Option<&Bytes> {
        self.steps.get(step.at()).and_then(|run| run.output())
    }
}
