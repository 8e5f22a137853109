//! What a participant reports by calling back.
//!
//! Owns the rules of [`crate::Command::Callback`]: a report belongs to a call, not to an attempt. Promises that
//! it counts while the call is undecided, that a refusal is certain only if no other attempt is out or unknown,
//! and that afterwards a repeat changes nothing and an effect nobody reckons with is recorded. Does not know
//! tokens: whoever has one is the participant.

use super::StepState;
use super::decide::Decision;
use super::event::Event;
use super::step_state::{Acted, Failure, Phase};
use crate::attempt::{CallId, Direction, StepId};
use crate::command::Rejected;
use crate::limits::HEARTBEAT_MIN;
use crate::moment::Time;
use crate::outcome::{Outcome, Refusal};

/// What is known of a call that is not asked any more.
enum Verdict {
    Completed,
    /// With this code, where it is known.
    Refused(Option<String>),
    /// Nobody knows.
    Open,
}

impl Decision<'_> {
    pub(super) fn called_back(&mut self, call: CallId, outcome: Outcome) -> Result<(), Rejected> {
        let step = call.of();
        let Ok(run) = self.saga.run(step) else { return Err(no("its definition has no such call")) };
        let is_asked = !self.saga.standing().is_ended()
            && call == run.call(step, call.direction)
            && matches!(run.state.asking(), Some((direction, _)) if direction == call.direction);
        if is_asked { self.reported(call, outcome) } else { self.reported_late(call, outcome) }
    }

    fn reported(&mut self, call: CallId, outcome: Outcome) -> Result<(), Rejected> {
        let step = call.of();
        match outcome {
            Outcome::Completed { output } => self.completed(step, Ok(output)),
            Outcome::CompletedTooLarge { bytes } => self.completed(step, Err(bytes)),
            Outcome::Refused(refusal) => self.refusal_reported(call, refusal.bounded()),
            Outcome::Working { .. } => self.heartbeat(call),
            Outcome::Unknown { .. } | Outcome::Conflict { .. } => return Err(no(WHAT_IS_SAID)),
        }
        self.follow_failure();
        Ok(())
    }

    fn refusal_reported(&mut self, call: CallId, refusal: Refusal) {
        let step = call.of();
        let (_, asking) = self.state(step).asking().expect("what is reported on is asked");
        let is_first = asking.unanswered == 0 && !asking.unknown && asking.working_until.is_none();
        if asking.phase != Phase::Calling || is_first {
            // Of one that is out alone it is the answer.
            return self.refused(step, refusal);
        }
        if self.run(step).reported().is_none() {
            self.record(Event::RefusalReported { call, refusal: Box::new(refusal) });
        }
    }

    /// The participant is at it: it has as long again.
    fn heartbeat(&mut self, call: CallId) {
        let step = call.of();
        let run = self.run(step);
        let (direction, asking) = run.state.asking().expect("what is reported on is asked");
        let attempt = call.attempt(run.attempts_of(direction));
        let expires_at = self.moment.now.after(self.saga.patience(call).pending);
        let ask_at = match asking.phase {
            // It will answer itself.
            Phase::Calling => return,
            Phase::Resting { .. } => Time::NEVER,
            Phase::Working { expires_at: until, .. } if expires_at.since(until) < HEARTBEAT_MIN => return,
            Phase::Working { ask_at, .. } => ask_at,
        };
        self.record(Event::AttemptWorking { attempt, ask_at, expires_at });
        self.park_if_too_large();
    }

    fn reported_late(&mut self, call: CallId, outcome: Outcome) -> Result<(), Rejected> {
        let verdict = self.verdict(call).ok_or_else(|| no("the call was never made"))?;
        match (outcome, verdict) {
            (Outcome::Completed { .. } | Outcome::CompletedTooLarge { .. }, Verdict::Completed) => Ok(()),
            (
                Outcome::Completed { .. } | Outcome::CompletedTooLarge { .. },
                Verdict::Refused(_) | Verdict::Open,
            ) => {
                if self.run(call.of()).late_effects() == 0 {
                    self.record(Event::LateEffect { call });
                }
                Ok(())
            }
            (Outcome::Refused(refusal), Verdict::Refused(code))
                if code.as_ref().is_none_or(|code| *code == refusal.code) =>
            {
                Ok(())
            }
            (Outcome::Refused(_) | Outcome::Working { .. }, Verdict::Completed) => {
                Err(no("the call is completed already"))
            }
            (Outcome::Refused(_) | Outcome::Working { .. }, Verdict::Refused(_)) => {
                Err(no("the call is refused already, with another code"))
            }
            (Outcome::Refused(_) | Outcome::Working { .. }, Verdict::Open) => {
                Err(no("the call was given up: what it did is settled without its participant"))
            }
            (
                Outcome::Unknown { .. } | Outcome::Conflict { .. },
                Verdict::Completed | Verdict::Refused(_) | Verdict::Open,
            ) => Err(no(WHAT_IS_SAID)),
        }
    }

    /// What became of the call; `None` if it was never made.
    fn verdict(&self, call: CallId) -> Option<Verdict> {
        let run = self.run(call.of());
        let round = run.round(call.direction);
        if run.attempts_of(call.direction) == 0 || call.round > round {
            return None;
        }
        if call.round < round {
            // A round follows one that was refused, or never sent.
            return Some(Verdict::Refused(None));
        }
        let code = |reason: &Option<Box<crate::Reason>>| reason.as_ref().map(|reason| reason.code.clone());
        let of_action = |acted: &Acted| match acted {
            Acted::Returned(_) | Acted::Surely => Verdict::Completed,
            Acted::Perhaps => Verdict::Open,
        };
        match (call.direction, &run.state) {
            (Direction::Action, StepState::Completed { .. }) => Some(Verdict::Completed),
            (Direction::Action, StepState::Failed { because }) => Some(match because {
                Failure::Refused { .. } | Failure::NothingToUndo => Verdict::Refused(code(&run.error)),
                Failure::OutputTooLarge { .. } => Verdict::Completed,
                Failure::GivenUp(_)
                | Failure::Conflict
                | Failure::Unjudged
                | Failure::Unmade { .. }
                | Failure::WaitTimedOut
                | Failure::Dropped => Verdict::Open,
            }),
            (
                Direction::Action,
                StepState::Seeking { acted, .. }
                | StepState::Compensating { acted, .. }
                | StepState::CompensationFailed { acted, .. }
                | StepState::Compensated { acted }
                | StepState::Skipped { acted: Some(acted), .. },
            ) => Some(of_action(acted)),
            (Direction::Compensation, StepState::Compensated { .. }) => Some(Verdict::Completed),
            (Direction::Compensation, StepState::CompensationFailed { unknown: true, .. }) => {
                Some(Verdict::Open)
            }
            (Direction::Compensation, StepState::CompensationFailed { unknown: false, .. }) => {
                Some(Verdict::Refused(code(&run.compensation_error)))
            }
            // An abandoned saga leaves calls undecided.
            (
                _,
                StepState::InProgress { .. } | StepState::Seeking { .. } | StepState::Compensating { .. },
            ) => Some(Verdict::Open),
            (
                _,
                StepState::Pending
                | StepState::Sleeping { .. }
                | StepState::Waiting { .. }
                | StepState::InChild { .. }
                | StepState::ChildUndoing { .. }
                | StepState::Split(_)
                | StepState::Completed { .. }
                | StepState::Failed { .. }
                | StepState::Skipped { .. },
            ) => None,
        }
    }

    /// What is said of an attempt that was waited for after another had refused the call.
    pub(super) fn with_reported(&self, step: StepId, outcome: Outcome) -> Outcome {
        let Some(refusal) = self.run(step).reported() else { return outcome };
        match outcome {
            Outcome::Completed { .. }
            | Outcome::CompletedTooLarge { .. }
            | Outcome::Refused(_)
            | Outcome::Conflict { .. } => outcome,
            Outcome::Working { .. } | Outcome::Unknown { .. } => Outcome::Refused(refusal.clone()),
        }
    }
}

const WHAT_IS_SAID: &str = "whoever calls back says completed, refused or working";

fn no(because: &'static str) -> Rejected {
    Rejected::Callback { because }
}
