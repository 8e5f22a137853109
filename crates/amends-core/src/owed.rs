//! What a state owes the world.
//!
//! Owns [`Saga::owed_calls`] and [`Saga::wake_at`]: the calls that must be under way and the moment to look again. Promises
//! that both follow from the state alone, so that a saga read back from its journal owes exactly what it owed before. Does not remember what
//! was sent: the shard does, and sends only what is owed and not under way.

use bytes::Bytes;
use std::time::Duration;

use crate::definition::StepIndex;
use crate::event::Direction;
use crate::saga::{Phase, Saga, StepState};
use crate::time::Time;
use crate::transition::Status;

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
    /// Calls that must be under way.
    pub fn owed_calls(&self) -> impl Iterator<Item = CallParticipant> + '_ {
        let order = if self.is_owing() { self.definition.order() } else { &[] };
        order.iter().filter_map(|step| {
            let run = &self.steps[step.at()];
            let (direction, asking) = run.state.asking()?;
            (asking.phase == Phase::Calling).then(|| CallParticipant {
                step: *step,
                direction,
                attempt: run.attempts_of(direction),
                in_doubt: direction == Direction::Compensation && self.known_output(*step).is_none(),
                limit: self.attempt_limit(*step, direction),
            })
        })
    }

    /// When to send the saga a [`crate::Command::Wake`]; [`Time::NEVER`] if only an answer or an operator moves it.
    #[must_use]
    pub fn wake_at(&self) -> Time {
        if !self.is_owing() {
            return Time::NEVER;
        }
        let limits_run = self.turned_back.is_none() && !self.is_past_return();
        let mut wake_at = if limits_run { self.deadline } else { Time::NEVER };
        for run in &self.steps {
            if let (StepState::InProgress { deadline, .. }, true) = (&run.state, limits_run) {
                wake_at = wake_at.min(*deadline);
            }
            let Some((_, asking)) = run.state.asking() else { continue };
            wake_at = wake_at.min(match asking.phase {
                Phase::Calling => Time::NEVER,
                Phase::Resting { until } => until,
                Phase::Pending { ask_at, expires_at } => ask_at.min(expires_at),
            });
        }
        wake_at
    }

    /// Whether it goes on by itself.
    fn is_owing(&self) -> bool {
        !self.status.is_ended() && self.status != Status::Failed && !self.is_paused()
    }

    /// The output of a step that is done or being undone.
    #[must_use]
    pub fn output(&self, step: StepIndex) -> Option<&Bytes> {
        self.steps.get(step.at()).and_then(|run| run.output())
    }
}
