//! What a saga owes the world.
//!
//! Owns [`Saga::owed`] and [`Saga::wake_at`]: what must be under way and the moment to look again. Promises
//! that both follow from the state alone, so that a saga read back from its journal owes exactly what it owed
//! before. Does not remember what was sent: the shard does, and begins only what is owed and not under way.

use super::definition::{Calls, Patience};
use super::step_state::{Acted, Phase};
use super::{Saga, StepRun, StepState};
use crate::attempt::{CallId, Direction};
use crate::effect::{Effect, OwedCall};
use crate::moment::Time;
use crate::payload::{Outputs, Scope};

impl Saga {
    /// What must be under way.
    pub fn owed(&self) -> impl Iterator<Item = Effect> + '_ {
        let order = if self.is_owing() { self.definition.order() } else { &[] };
        order.iter().filter_map(|step| {
            let run = &self.steps[step.at()];
            let (direction, asking) = run.state.asking()?;
            let call = StepRun::call(*step, direction);
            (asking.phase == Phase::Calling).then(|| {
                Effect::Call(OwedCall {
                    attempt: call.attempt(run.attempts_of(direction)),
                    in_doubt: matches!(run.state, StepState::Compensating { acted: Acted::Perhaps, .. }),
                    limit: self.patience(call).attempt_limit,
                })
            })
        })
    }

    /// Whether anything must be under way: cheaper than to look at the first of it.
    pub(crate) fn owes(&self) -> bool {
        let is_calling =
            |run: &StepRun| matches!(run.state.asking(), Some((_, asking)) if asking.phase == Phase::Calling);
        self.is_owing() && self.steps.iter().any(is_calling)
    }

    /// When to send the saga a [`crate::Command::Wake`]; [`Time::NEVER`] if only an answer or an operator
    /// moves it.
    #[must_use]
    pub fn wake_at(&self) -> Time {
        if !self.is_owing() {
            return Time::NEVER;
        }
        let has_limits = self.is_forward() && !self.is_past_return();
        let mut wake_at = if has_limits { self.deadline } else { Time::NEVER };
        for run in &self.steps {
            wake_at = wake_at.min(match &run.state {
                StepState::InProgress { asking, deadline } => {
                    due(asking.phase).min(if has_limits { *deadline } else { Time::NEVER })
                }
                StepState::Seeking { asking, .. } => due(asking.phase),
                StepState::Compensating { asking, .. } => due(asking.phase),
                StepState::Sleeping { until } | StepState::Waiting { until } => *until,
                StepState::Pending
                | StepState::Completed { .. }
                | StepState::Failed { .. }
                | StepState::CompensationFailed { .. }
                | StepState::Compensated { .. }
                | StepState::Skipped { .. } => Time::NEVER,
            });
        }
        wake_at
    }

    /// Whether it goes on by itself.
    fn is_owing(&self) -> bool {
        !self.is_at_rest() && !self.is_paused()
    }

    /// How often the call is made, and how long it may take.
    ///
    /// # Panics
    /// When the step has no such call.
    pub(super) fn patience(&self, call: CallId) -> &Patience {
        let step = self.definition.step(call.step);
        let Calls { action, undo, .. } = step.calls().expect("what is asked is a call");
        let is_sought = matches!(self.steps[call.step.at()].state, StepState::Seeking { .. });
        match call.direction {
            Direction::Compensation => &undo.as_ref().expect("what is undone has an undo").patience,
            // The output is sought under the undo's patience.
            Direction::Action if is_sought => {
                &undo.as_ref().expect("an output is sought for an undo").patience
            }
            Direction::Action => action,
        }
    }

    /// Shows what the payload of a call may be made of.
    ///
    /// # Panics
    /// When the definition has no such step.
    pub fn with_scope<R>(&self, call: CallId, look: impl FnOnce(&Scope<'_>) -> R) -> R {
        let output = match call.direction {
            Direction::Action => None,
            Direction::Compensation => self.steps[call.step.at()].state.returned(),
        };
        let outputs = &OutputsOfAncestors { saga: self, call };
        let Self { id: transaction, started_at, ref input, ref definition, .. } = *self;
        let (version, definition) = (definition.version(), definition.name());
        let (element, corrected) = (None, None);
        look(&Scope {
            transaction,
            definition,
            version,
            started_at,
            input,
            output,
            element,
            corrected,
            outputs,
        })
    }
}

/// Shows the call of a step the outputs of the step's ancestors.
#[derive(Debug)]
struct OutputsOfAncestors<'a> {
    saga: &'a Saga,
    call: CallId,
}

impl Outputs for OutputsOfAncestors<'_> {
    fn output_of(&self, step: &str) -> Option<&bytes::Bytes> {
        let step = self.saga.definition.find(step)?;
        let is_ancestor = self.saga.definition.step(self.call.step).ancestors.contains(step);
        if is_ancestor { self.saga.steps[step.at()].output() } else { None }
    }
}

const fn due(phase: Phase) -> Time {
    match phase {
        Phase::Calling => Time::NEVER,
        Phase::Resting { until } => until,
        Phase::Working { ask_at, expires_at } => {
            if ask_at.milliseconds() < expires_at.milliseconds() {
                ask_at
            } else {
                expires_at
            }
        }
    }
}
