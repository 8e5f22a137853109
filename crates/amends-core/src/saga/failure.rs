//! What follows when a step fails, and how people are told.
//!
//! Owns the one table from why and where a step failed to what the saga does about it. Promises that the same
//! failure has the same consequence whenever it is looked at: immediately, or after an operator helped
//! another step. Does not record anything.

use super::Saga;
use super::definition::Role;
use super::event::{Cause, GivenUp, ParkReason};
use super::step_state::{Failure, StepRun, StepState};
use crate::attempt::StepId;
use crate::outcome::Reason;

/// What a saga on its way forward does about a step that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Consequence {
    TurnBack(Cause),
    Park(ParkReason),
}

impl Saga {
    /// The first step that failed, and what follows from that on the way forward.
    pub(super) fn consequence(&self) -> Option<Consequence> {
        // Asked after every fact, and most often nothing has failed.
        if !self.steps.iter().any(has_failed) {
            return None;
        }
        self.runs().find_map(|(step, run)| match run.state {
            StepState::Failed { because } => Some(self.consequence_of(step, because)),
            StepState::Pending
            | StepState::InProgress { .. }
            | StepState::Sleeping { .. }
            | StepState::Waiting { .. }
            | StepState::InChild { .. }
            | StepState::ChildUndoing { .. }
            | StepState::Split(_)
            | StepState::Completed { .. }
            | StepState::Seeking { .. }
            | StepState::Compensating { .. }
            | StepState::CompensationFailed { .. }
            | StepState::Compensated { .. }
            | StepState::Skipped { .. } => None,
        })
    }

    fn consequence_of(&self, step: StepId, because: Failure) -> Consequence {
        use Consequence::{Park, TurnBack};
        match (because, self.definition.step(step.step).role) {
            (Failure::Refused { .. }, Role::BeforePivot)
            | (Failure::Refused { in_doubt: false }, Role::Pivot) => TurnBack(Cause::Refused(step)),
            (Failure::Refused { in_doubt: true }, Role::Pivot) => Park(ParkReason::PivotInDoubt(step)),
            (Failure::Refused { .. }, Role::AfterPivot) => Park(ParkReason::RefusedAfterPivot(step)),
            (Failure::GivenUp(GivenUp::Exhausted | GivenUp::TurnedBack), Role::BeforePivot) => {
                TurnBack(Cause::Exhausted(step))
            }
            (Failure::GivenUp(GivenUp::TimedOut | GivenUp::WorkingTooLong), Role::BeforePivot)
            | (Failure::WaitTimedOut, _) => TurnBack(Cause::StepTimedOut(step)),
            (Failure::GivenUp(_), Role::Pivot | Role::AfterPivot) => Park(ParkReason::PivotExhausted(step)),
            (Failure::Conflict, _) => Park(ParkReason::PayloadConflict(step)),
            (Failure::OutputTooLarge { bytes, limit }, _) => {
                Park(ParkReason::OutputTooLarge { step, bytes, limit })
            }
            (Failure::Unjudged, Role::BeforePivot | Role::Pivot)
            | (Failure::Unmade { .. }, Role::BeforePivot)
            | (Failure::Unmade { in_doubt: false }, Role::Pivot) => TurnBack(Cause::Unmade(step)),
            (Failure::Unmade { .. }, Role::Pivot | Role::AfterPivot)
            | (Failure::Unjudged, Role::AfterPivot) => Park(ParkReason::Unmade(step)),
            (Failure::Dropped | Failure::NothingToUndo, _) => {
                unreachable!("a step fails like this only once its saga has turned back")
            }
        }
    }

    /// The step and reason to name to whoever started a saga that went back.
    #[must_use]
    pub fn failure(&self) -> Option<(Option<StepId>, Reason)> {
        let last_error = |step: &StepId| self.run(*step).ok().and_then(|run| run.error.as_deref());
        let of_step = |step: &StepId, code: &str, what: &str| {
            let last = last_error(step).map_or("", |reason| reason.message.as_str());
            let colon = if last.is_empty() { "" } else { ": " };
            (Some(*step), Reason::new(code, format!("{what}{colon}{last}")))
        };
        Some(match self.turned_back.as_ref()? {
            Cause::Refused(step) | Cause::Unmade(step) => {
                (Some(*step), last_error(step).cloned().expect("a step that failed for a reason has it"))
            }
            Cause::Exhausted(step) => of_step(step, Reason::EXHAUSTED, "the step ran out of attempts"),
            Cause::StepTimedOut(step) => of_step(step, Reason::TIMED_OUT, "the step's limit passed"),
            Cause::OutputUnmade => {
                let made = self.result.as_deref().expect("what could not be made has a reason");
                (None, made.clone().expect_err("what could not be made has a reason"))
            }
            Cause::Recalled => (
                None,
                Reason::new(Reason::CANCELLED, "the saga that it ran in turned back, and was undone with it"),
            ),
            Cause::SagaTimedOut => (None, Reason::new(Reason::TIMED_OUT, "the saga's limit passed")),
            Cause::Cancelled => (None, Reason::new(Reason::CANCELLED, "the saga was cancelled")),
            Cause::Reversed => (None, Reason::new(Reason::REVERSED, "the saga was reversed by an operator")),
        })
    }
}

fn has_failed(run: &StepRun) -> bool {
    match run.state.legs() {
        Some(legs) => legs.runs.iter().any(has_failed),
        None => matches!(run.state, StepState::Failed { .. }),
    }
}

impl GivenUp {
    /// What is said of the step, where the last attempt's own reason does not say more.
    pub(super) fn reason(self) -> Option<Reason> {
        match self {
            Self::Exhausted | Self::TurnedBack => None,
            Self::TimedOut => Some(Reason::new(Reason::TIMED_OUT, "the step's limit passed")),
            Self::WorkingTooLong => {
                Some(Reason::new(Reason::TIMED_OUT, "the participant was working for too long"))
            }
        }
    }
}
