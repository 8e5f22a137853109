//! What an operator may ask of a saga.
//!
//! Owns the rules of the verbs: what each needs of the state, and what it records. Promises that a verb that
//! does not fit changes nothing and says what would have to be otherwise. What follows from a verb is decided
//! as always, in `decide.rs`.

use bytes::Bytes;

use super::decide::Decision;
use super::definition::Kind;
use super::event::{Cause, Event, ParkReason};
use super::step_state::{Failure, Phase};
use super::{Status, StepState};
use crate::attempt::{CallId, Direction, StepId};
use crate::command::{By, Rejected, Verb, VerbKey};
use crate::limits::{CODE_BYTES_MAX, MESSAGE_BYTES_MAX, VERB_KEY_BYTES_MAX};
use crate::outcome::Reason;

type Judged = Result<(), No>;

/// Why a verb is not followed.
enum No {
    /// The state forbids it.
    Because(&'static str),
    /// Something else is in its way.
    Rejected(Rejected),
}

impl From<&'static str> for No {
    fn from(because: &'static str) -> Self {
        Self::Because(because)
    }
}

impl Decision<'_> {
    pub(super) fn operate(&mut self, verb: Verb, by: By, expected: Option<u64>) -> Result<(), Rejected> {
        check_size("the operator's name", by.who.len(), CODE_BYTES_MAX as u64)?;
        check_size("the reason", by.why.len(), MESSAGE_BYTES_MAX as u64)?;
        if let Some(VerbKey { key, fingerprint }) = &by.key {
            check_size("the verb's key", key.len(), VERB_KEY_BYTES_MAX as u64)?;
            let mut known = self.saga.verbs.iter().flat_map(|verbs| verbs.iter());
            match known.find(|known| known.key == *key) {
                Some(known) if known.fingerprint == *fingerprint => return Ok(()),
                Some(_) => return Err(Rejected::VerbKeyReused { key: key.clone() }),
                None => {}
            }
        }
        let is = self.saga.facts;
        if let Some(expected) = expected.filter(|expected| *expected != is) {
            return Err(Rejected::Stale { expected, is });
        }
        if let Some(parent) = self.saga.parent() {
            match verb {
                Verb::Retry { .. } | Verb::Skip { .. } | Verb::Resolve { .. } => {}
                Verb::Cancel | Verb::Pause | Verb::Resume | Verb::Reverse | Verb::Abandon => {
                    return Err(Rejected::OfRoot { verb: verb.as_str(), root: parent.root });
                }
            }
        }
        let word = verb.as_str();
        let status = self.saga.status;
        let judged = match verb {
            Verb::Cancel => self.cancel(by),
            Verb::Retry { step, payload } => self.retry(step, payload, by),
            Verb::Skip { step, output } => {
                check_size("the output", output.len(), self.moment.sizes.payload_bytes_max)?;
                self.skip(step, output, by)
            }
            Verb::Resolve { step } => self.resolve(step, by),
            Verb::Pause => self.pause(by),
            Verb::Resume => self.resume(by),
            Verb::Reverse if status == Status::Completed => {
                self.record(Event::SagaReversed { by });
                self.turn_back(Cause::Reversed);
                Ok(())
            }
            Verb::Reverse => Err("only a completed saga is reversed".into()),
            Verb::Abandon if !status.is_ended() => {
                self.record(Event::SagaAbandoned { by });
                Ok(())
            }
            Verb::Abandon => Err("it has ended".into()),
        };
        judged.map_err(|no| match no {
            No::Because(because) => {
                Rejected::Verb { verb: word, status: status.as_str(), because: because.to_owned() }
            }
            No::Rejected(rejected) => rejected,
        })
    }

    fn cancel(&mut self, by: By) -> Judged {
        if !self.saga.is_forward() || self.saga.status.is_ended() {
            return Err("only a saga on its way forward is cancelled".into());
        }
        if self.saga.is_past_return() {
            // A parked pivot may be given up by a person, if that can be undone or needs no undo.
            let pivot = self.saga.definition.pivot().expect("past the point of no return there is a pivot");
            let can_go_back = match self.state(pivot.into()) {
                StepState::Failed { because } => {
                    because.acted().is_none() || self.saga.definition.has_undo(pivot)
                }
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
                | StepState::Skipped { .. } => false,
            };
            if self.saga.status != Status::Parked || !can_go_back {
                return Err("its pivot has been sent, and there is no way back from there".into());
            }
        }
        self.record(Event::CancelRequested { by });
        self.turn_back(Cause::Cancelled);
        Ok(())
    }

    fn retry(&mut self, step: Option<StepId>, payload: Option<Bytes>, by: By) -> Judged {
        if step.is_some_and(|step| self.saga.run(step).is_err()) {
            return Err(NO_SUCH_STEP.into());
        }
        let parked = self.saga.status == Status::Parked;
        let forward = self.saga.is_forward();
        let because = self.saga.parked.as_ref().map(|parked| &parked.because);
        let too_large = matches!(because, Some(ParkReason::SagaTooLarge { .. }));
        let is_stuck = |state: &StepState, is_child: bool| match state {
            StepState::Failed { because } => {
                parked && forward && (if is_child { is_over(*because) } else { can_be_asked_again(*because) })
            }
            // While others are still being undone, what follows them is not begun anew.
            StepState::CompensationFailed { .. } => parked && !too_large,
            StepState::InProgress { asking, .. } | StepState::Seeking { asking, .. } => {
                is_idle(asking.phase, too_large)
            }
            StepState::Compensating { asking, .. } => is_idle(asking.phase, too_large),
            StepState::Pending
            | StepState::Sleeping { .. }
            | StepState::Waiting { .. }
            | StepState::InChild { .. }
            | StepState::ChildUndoing { .. }
            | StepState::Split(_)
            | StepState::Completed { .. }
            | StepState::Compensated { .. }
            | StepState::Skipped { .. } => false,
        };
        let has_child = |at: StepId| matches!(self.saga.definition.step(at.step).kind, Kind::Child(_));
        let is_meant = |at: StepId| step.is_none_or(|step| step == at || step == StepId::whole(at.step));
        let stuck: Vec<StepId> = (self.saga.runs())
            .filter(|(at, run)| is_meant(*at) && is_stuck(&run.state, has_child(*at)))
            .map(|(at, _)| at)
            .collect();
        // What it returns is made anew when it is sent on.
        let is_whole = too_large || matches!(because, Some(ParkReason::OutputUnmade));
        if self.saga.status.is_ended() || stuck.is_empty() && !(is_whole && step.is_none()) {
            return Err(match because {
                Some(ParkReason::ChildParked(_)) => {
                    "it waits for the saga in its step: retry, skip or resolve there, and both go on"
                }
                Some(_) | None => "nothing in it waits to be asked again",
            }
            .into());
        }
        let corrected = payload.map(|payload| self.corrected(&stuck, payload)).transpose()?;
        self.record(Event::SagaRetried { by });
        if let Some(corrected) = corrected {
            self.record(corrected);
        }
        for step in stuck {
            self.record(Event::StepRetried { step });
        }
        self.wake();
        Ok(())
    }

    /// The call that is asked anew with another payload: only one that was refused for certain, by a code, or that was
    /// never sent, for its expression failed. Otherwise the first payload may have taken effect.
    fn corrected(&self, stuck: &[StepId], payload: Bytes) -> Result<Event, No> {
        check_size("the payload", payload.len(), self.moment.sizes.payload_bytes_max)
            .map_err(No::Rejected)?;
        let [step] = *stuck else { return Err("name the step that the payload is for".into()) };
        let run = self.run(step);
        let coded = |reason: &Option<Box<Reason>>| match reason {
            Some(reason) if reason.is_coded() => Ok(()),
            Some(_) | None => Err(No::Rejected(Rejected::RefusalNotCoded)),
        };
        let direction = match &run.state {
            StepState::Failed { because } => {
                match because {
                    _ if self.saga.definition.step(step.step).calls().is_none() => {
                        return Err("only a step that calls a participant has a payload".into());
                    }
                    Failure::Refused { in_doubt: false } => coded(&run.error)?,
                    Failure::Unmade { in_doubt: false } => {}
                    Failure::Unjudged => {
                        return Err(
                            "its `when` or its list failed, not its payload: retry without one".into()
                        );
                    }
                    Failure::Refused { in_doubt: true }
                    | Failure::Unmade { in_doubt: true }
                    | Failure::GivenUp(_)
                    | Failure::Conflict
                    | Failure::OutputTooLarge { .. }
                    | Failure::WaitTimedOut
                    | Failure::Dropped
                    | Failure::NothingToUndo => return Err(No::Rejected(Rejected::AttemptUnknown)),
                }
                Direction::Action
            }
            StepState::CompensationFailed { unknown: true, .. } => {
                return Err(No::Rejected(Rejected::AttemptUnknown));
            }
            StepState::CompensationFailed { unknown: false, .. } => {
                let reason = &run.compensation_error;
                let is_unmade =
                    reason.as_ref().is_some_and(|reason| reason.code == Reason::EXPRESSION_FAILED);
                if !is_unmade {
                    coded(reason)?;
                }
                Direction::Compensation
            }
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
            | StepState::Compensated { .. }
            | StepState::Skipped { .. } => return Err(No::Rejected(Rejected::AttemptUnknown)),
        };
        let call = run.call(step, direction);
        let round = call.round.checked_add(1).ok_or("rounds are counted in 32 bits")?;
        Ok(Event::CallCorrected { call: CallId { round, ..call }, payload })
    }

    fn skip(&mut self, step: StepId, output: Bytes, by: By) -> Judged {
        if self.saga.run(step).is_err() {
            return Err(NO_SUCH_STEP.into());
        }
        if !self.saga.is_forward() || self.saga.status.is_ended() {
            return Err("only a saga on its way forward has steps to skip".into());
        }
        match self.state(step) {
            StepState::Pending if step.occurrence.is_some() => {
                return Err("the runs of a step start in order: only one that failed is skipped".into());
            }
            StepState::Pending
            | StepState::Failed { .. }
            | StepState::Sleeping { .. }
            | StepState::Waiting { .. } => {}
            StepState::Split(_) => {
                return Err("it runs once for each element: name the run, such as Leg[3]".into());
            }
            StepState::InProgress { .. }
            | StepState::InChild { .. }
            | StepState::ChildUndoing { .. }
            | StepState::Completed { .. }
            | StepState::Seeking { .. }
            | StepState::Compensating { .. }
            | StepState::CompensationFailed { .. }
            | StepState::Compensated { .. }
            | StepState::Skipped { .. } => {
                return Err("only a step that failed, sleeps, waits or has not started is skipped".into());
            }
        }
        if let Some((bytes, limit)) = self.output_too_large(step, &output) {
            let what = "the step's output, or the list that it completes,";
            return Err(No::Rejected(Rejected::TooLarge { what, bytes, limit }));
        }
        self.record(Event::StepSkipped { step, output, by });
        Ok(())
    }

    fn resolve(&mut self, step: StepId, by: By) -> Judged {
        if self.saga.run(step).is_err() {
            return Err(NO_SUCH_STEP.into());
        }
        if self.saga.status.is_ended() || !matches!(self.state(step), StepState::CompensationFailed { .. }) {
            return Err("only a compensation that failed is resolved".into());
        }
        self.record(Event::CompensationResolved { step, by });
        Ok(())
    }

    fn pause(&mut self, by: By) -> Judged {
        if self.saga.is_at_rest() || self.saga.is_paused() {
            return Err("only a saga that is on its way is paused".into());
        }
        self.record(Event::SagaPaused { by });
        Ok(())
    }

    fn resume(&mut self, by: By) -> Judged {
        if !self.saga.is_paused() {
            return Err("it is not paused".into());
        }
        self.record(Event::SagaResumed { by });
        self.wake();
        Ok(())
    }
}

const NO_SUCH_STEP: &str = "its definition has no such step, or the step no such run";

/// Whether the call waits for a moment. A participant that works is not disturbed, unless asking it is what
/// parked the saga.
const fn is_idle(phase: Phase, too_large: bool) -> bool {
    match phase {
        Phase::Resting { .. } => true,
        Phase::Working { .. } => too_large,
        Phase::Calling => false,
    }
}

/// Whether a saga that ran in a step came to nothing for certain, or never ran: only then is another one started.
const fn is_over(because: Failure) -> bool {
    match because {
        Failure::Refused { in_doubt } => !in_doubt,
        Failure::Unjudged => true,
        Failure::GivenUp(_)
        | Failure::Conflict
        | Failure::OutputTooLarge { .. }
        | Failure::Unmade { .. }
        | Failure::WaitTimedOut
        | Failure::Dropped
        | Failure::NothingToUndo => false,
    }
}

const fn can_be_asked_again(because: Failure) -> bool {
    match because {
        Failure::Refused { .. }
        | Failure::GivenUp(_)
        | Failure::Conflict
        | Failure::OutputTooLarge { .. }
        | Failure::Unjudged
        | Failure::Unmade { .. } => true,
        Failure::WaitTimedOut | Failure::Dropped | Failure::NothingToUndo => false,
    }
}

fn check_size(what: &'static str, bytes: usize, limit: u64) -> Result<(), Rejected> {
    let bytes = bytes as u64;
    if bytes > limit { Err(Rejected::TooLarge { what, bytes, limit }) } else { Ok(()) }
}
