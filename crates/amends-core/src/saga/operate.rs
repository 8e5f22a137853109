//! What an operator may ask of a saga.
//!
//! Owns the rules of the verbs: what each needs of the state, and what it records. Promises that a verb that
//! does not fit changes nothing and says what would have to be otherwise. What follows from a verb is decided
//! as always, in `decide.rs`.

use bytes::Bytes;

use super::decide::Decision;
use super::event::{Cause, Event, ParkReason};
use super::step_state::{Failure, Phase};
use super::{Status, StepState};
use crate::attempt::StepIndex;
use crate::command::{By, Rejected, Verb, VerbKey};
use crate::limits::{CODE_BYTES_MAX, MESSAGE_BYTES_MAX, VERB_KEY_BYTES_MAX};

type Judged = Result<(), &'static str>;

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
        let word = verb.as_str();
        let status = self.saga.status;
        let judged = match verb {
            Verb::Cancel => self.cancel(by),
            Verb::Retry { step: None, payload: None } => self.retry(by),
            Verb::Retry { .. } => {
                Err("this version retries whatever is stuck, as it was: give neither step nor payload")
            }
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
            Verb::Reverse => Err("only a completed saga is reversed"),
            Verb::Abandon if !status.is_ended() => {
                self.record(Event::SagaAbandoned { by });
                Ok(())
            }
            Verb::Abandon => Err("it has ended"),
        };
        judged.map_err(|because| Rejected::Verb {
            verb: word,
            status: status.as_str(),
            because: because.to_owned(),
        })
    }

    fn cancel(&mut self, by: By) -> Judged {
        if !self.saga.is_forward() || self.saga.status.is_ended() {
            return Err("only a saga on its way forward is cancelled");
        }
        if self.saga.is_past_return() {
            // A parked pivot may be given up by a person, if that can be undone or needs no undo.
            let pivot = self.saga.definition.pivot().expect("past the point of no return there is a pivot");
            let can_go_back = match self.state(pivot) {
                StepState::Failed { because } => {
                    because.acted().is_none() || self.saga.definition.has_undo(pivot)
                }
                StepState::Pending
                | StepState::InProgress { .. }
                | StepState::Sleeping { .. }
                | StepState::Waiting { .. }
                | StepState::Completed { .. }
                | StepState::Seeking { .. }
                | StepState::Compensating { .. }
                | StepState::CompensationFailed { .. }
                | StepState::Compensated { .. }
                | StepState::Skipped { .. } => false,
            };
            if self.saga.status != Status::Parked || !can_go_back {
                return Err("its pivot has been sent, and there is no way back from there");
            }
        }
        self.record(Event::CancelRequested { by });
        self.turn_back(Cause::Cancelled);
        Ok(())
    }

    fn retry(&mut self, by: By) -> Judged {
        let parked = self.saga.status == Status::Parked;
        let forward = self.saga.is_forward();
        let because = self.saga.parked.as_ref().map(|parked| &parked.because);
        let too_large = matches!(because, Some(ParkReason::SagaTooLarge { .. }));
        let is_stuck = |state: &StepState| match state {
            StepState::Failed { because } => parked && forward && can_be_asked_again(*because),
            // While others are still being undone, what follows them is not begun anew.
            StepState::CompensationFailed { .. } => parked && !too_large,
            StepState::InProgress { asking, .. } | StepState::Seeking { asking, .. } => {
                is_idle(asking.phase, too_large)
            }
            StepState::Compensating { asking, .. } => is_idle(asking.phase, too_large),
            StepState::Pending
            | StepState::Sleeping { .. }
            | StepState::Waiting { .. }
            | StepState::Completed { .. }
            | StepState::Compensated { .. }
            | StepState::Skipped { .. } => false,
        };
        let stuck: Vec<StepIndex> =
            self.saga.definition.order().iter().copied().filter(|step| is_stuck(self.state(*step))).collect();
        if self.saga.status.is_ended() || stuck.is_empty() && !too_large {
            return Err("nothing in it waits to be asked again");
        }
        self.record(Event::SagaRetried { by });
        for step in stuck {
            self.record(Event::StepRetried { step });
        }
        self.wake();
        Ok(())
    }

    fn skip(&mut self, step: StepIndex, output: Bytes, by: By) -> Judged {
        if !self.saga.definition.has(step) {
            return Err("its definition has no such step");
        }
        if !self.saga.is_forward() || self.saga.status.is_ended() {
            return Err("only a saga on its way forward has steps to skip");
        }
        match self.state(step) {
            StepState::Pending
            | StepState::Failed { .. }
            | StepState::Sleeping { .. }
            | StepState::Waiting { .. } => {}
            StepState::InProgress { .. }
            | StepState::Completed { .. }
            | StepState::Seeking { .. }
            | StepState::Compensating { .. }
            | StepState::CompensationFailed { .. }
            | StepState::Compensated { .. }
            | StepState::Skipped { .. } => {
                return Err("only a step that failed, sleeps, waits or has not started is skipped");
            }
        }
        self.record(Event::StepSkipped { step, output, by });
        Ok(())
    }

    fn resolve(&mut self, step: StepIndex, by: By) -> Judged {
        if !self.saga.definition.has(step) {
            return Err("its definition has no such step");
        }
        if self.saga.status.is_ended() || !matches!(self.state(step), StepState::CompensationFailed { .. }) {
            return Err("only a compensation that failed is resolved");
        }
        self.record(Event::CompensationResolved { step, by });
        Ok(())
    }

    fn pause(&mut self, by: By) -> Judged {
        if self.saga.is_at_rest() || self.saga.is_paused() {
            return Err("only a saga that is on its way is paused");
        }
        self.record(Event::SagaPaused { by });
        Ok(())
    }

    fn resume(&mut self, by: By) -> Judged {
        if !self.saga.is_paused() {
            return Err("it is not paused");
        }
        self.record(Event::SagaResumed { by });
        self.wake();
        Ok(())
    }
}

/// Whether the call waits for a moment. A participant that works is not disturbed, unless asking it is what
/// parked the saga.
const fn is_idle(phase: Phase, too_large: bool) -> bool {
    match phase {
        Phase::Resting { .. } => true,
        Phase::Working { .. } => too_large,
        Phase::Calling => false,
    }
}

const fn can_be_asked_again(because: Failure) -> bool {
    match because {
        Failure::Refused { .. }
        | Failure::GivenUp(_)
        | Failure::Conflict
        | Failure::OutputTooLarge { .. }
        | Failure::Unmade { .. } => true,
        Failure::WaitTimedOut | Failure::Dropped | Failure::NothingToUndo => false,
    }
}

fn check_size(what: &'static str, bytes: usize, limit: u64) -> Result<(), Rejected> {
    let bytes = bytes as u64;
    if bytes > limit { Err(Rejected::TooLarge { what, bytes, limit }) } else { Ok(()) }
}
