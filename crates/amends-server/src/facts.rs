//! Facts, as the API says them.
//!
//! Owns the way from core's events to [`amends_api::Fact`]. Promises one fact for each event, numbered from one
//! within its saga, and that operators' keys and the elements and bodies that nobody asked to see stay inside. Does
//! not mask: that is `masks.rs`.

use amends_api::{Fact, Payload, Reason};
use amends_core::{
    By, CallId, Cause, Definition, Direction, Event, GivenUp, SagaDefinition, StepId, TransactionId,
};
use amends_engine::History;
use bytes::Bytes;

use crate::wire;

/// Every fact about a saga, each with the number of its record.
pub(crate) fn all(id: TransactionId, history: &History) -> Vec<(u64, Fact)> {
    let saga = history.definition.as_ref().and_then(Definition::as_saga);
    let mut facts = Vec::new();
    for (number, record) in (1..).zip(&history.records) {
        let events = record.facts.as_saga().unwrap_or_default();
        for event in events {
            let bare = Fact {
                saga: id.to_string(),
                sequence: facts.len() as u64 + 1,
                at: wire::rfc3339(record.at),
                ..Fact::default()
            };
            facts.push((number, Teller { saga, bare }.tell(event)));
        }
    }
    facts
}

/// Tells one fact.
struct Teller<'d> {
    saga: Option<&'d SagaDefinition>,
    bare: Fact,
}

impl Teller<'_> {
    fn tell(self, event: &Event) -> Fact {
        match event {
            Event::SagaStarted { definition, version, input, origin: _ } => Fact {
                definition: Some(definition.to_string()),
                version: Some(*version),
                input: Some(wire::payload(input)),
                ..self.named("saga_started")
            },
            Event::StepStarted { step } => {
                Fact { attempt: Some(1), ..self.called("step_started", *step, Direction::Action) }
            }
            Event::StepPassedOver { step } => self.step("step_passed_over", (*step).into()),
            Event::StepUnjudged { step, reason } => {
                Fact { reason: said(reason), ..self.step("step_unjudged", *step) }
            }
            Event::StepSplit { step, elements: _ } => self.step("step_split", (*step).into()),
            Event::AttemptStarted { attempt } => {
                Fact { attempt: Some(attempt.number), ..self.call("attempt_started", attempt.call) }
            }
            Event::AttemptUnknown { attempt, reason, retry_at } => Fact {
                attempt: Some(attempt.number),
                reason: said(reason),
                until: Some(wire::rfc3339(*retry_at)),
                ..self.call("attempt_unknown", attempt.call)
            },
            Event::LimitExtended { step, by: _ } => self.step("limit_extended", *step),
            Event::RefusalReported { call, refusal } => {
                Fact { reason: said(&refusal.reason()), ..self.call("refusal_reported", *call) }
            }
            Event::ChildFreed { step } => self.step("child_freed", *step),
            Event::Recalled => self.named("recalled"),
            Event::LateEffect { call } => self.call("late_effect", *call),
            Event::AttemptWorking { attempt, ask_at: _, expires_at } => Fact {
                attempt: Some(attempt.number),
                until: Some(wire::rfc3339(*expires_at)),
                ..self.call("attempt_working", attempt.call)
            },
            Event::StepCompleted { step, output } => {
                Fact { output: given(output), ..self.called("step_completed", *step, Direction::Action) }
            }
            Event::StepRefused { step, refusal } => Fact {
                reason: said(&refusal.reason()),
                ..self.called("step_refused", *step, Direction::Action)
            },
            Event::OutputTooLarge { step, .. } => self.called("output_too_large", *step, Direction::Action),
            Event::StepUnmade { step, reason } => {
                Fact { reason: said(reason), ..self.step("step_unmade", *step) }
            }
            Event::StepConflicted { step, reason } => {
                Fact { reason: said(reason), ..self.called("step_conflicted", *step, Direction::Action) }
            }
            Event::SleepEnded { step } => self.step("sleep_ended", *step),
            // Its body is told when a step takes it: only then it is known whether it is sensitive.
            Event::SignalReceived { signal } => {
                Fact { signal: Some(signal.name.clone()), ..self.named("signal_received") }
            }
            Event::SignalTaken { step } => self.step("signal_taken", *step),
            Event::WaitRefused { step, refusal } => {
                Fact { reason: said(&refusal.reason()), ..self.step("wait_refused", *step) }
            }
            Event::WaitTimedOut { step } => self.step("wait_timed_out", *step),
            Event::StepGivenUp { step, why } => {
                let code = match why {
                    GivenUp::Exhausted => "attempts_exhausted",
                    GivenUp::TimedOut => "timed_out",
                    GivenUp::WorkingTooLong => "working_too_long",
                    GivenUp::TurnedBack => "turned_back",
                };
                Fact { reason: coded(code), ..self.step("step_given_up", *step) }
            }
            Event::TurnedBack { cause } => self.turned_back(cause),
            Event::OutputSought { step } => self.called("output_sought", *step, Direction::Action),
            Event::OutputFound { step, output } => {
                Fact { output: given(output), ..self.called("output_found", *step, Direction::Action) }
            }
            Event::NothingToUndo { step } => self.called("nothing_to_undo", *step, Direction::Action),
            Event::CompensationStarted { step } => Fact {
                attempt: Some(1),
                ..self.called("compensation_started", *step, Direction::Compensation)
            },
            Event::CompensationCompleted { step } => {
                self.called("compensation_completed", *step, Direction::Compensation)
            }
            Event::CompensationFailed { step, reason } => Fact {
                reason: said(reason),
                ..self.called("compensation_failed", *step, Direction::Compensation)
            },
            Event::OutputUnmade { reason } => Fact { reason: said(reason), ..self.named("output_unmade") },
            Event::SagaCompleted { output } => {
                Fact { output: output.as_ref().map(wire::payload), ..self.named("saga_completed") }
            }
            Event::SagaCompensated => self.named("saga_compensated"),
            Event::SagaParked { because } => {
                let message = self.saga.map(|saga| wire::because(saga, because)).unwrap_or_default();
                Fact { reason: told("parked", message), ..self.named("saga_parked") }
            }
            Event::CancelRequested { by } => self.operated("cancel_requested", by),
            Event::SagaRetried { by } => self.operated("saga_retried", by),
            Event::CallCorrected { call, payload: _ } => self.call("call_corrected", *call),
            Event::StepRetried { step } => self.step("step_retried", *step),
            Event::StepSkipped { step, output, by } => {
                let step = self.name(*step);
                Fact { step: Some(step), output: given(output), ..self.operated("step_skipped", by) }
            }
            Event::CompensationResolved { step, by } => {
                Fact { step: Some(self.name(*step)), ..self.operated("compensation_resolved", by) }
            }
            Event::SagaPaused { by } => self.operated("saga_paused", by),
            Event::SagaResumed { by } => self.operated("saga_resumed", by),
            Event::SagaReversed { by } => self.operated("saga_reversed", by),
            Event::SagaAbandoned { by } => self.operated("saga_abandoned", by),
            Event::ClockSetBack { by: _ } => self.named("clock_set_back"),
        }
    }

    fn turned_back(self, cause: &Cause) -> Fact {
        let (code, step) = match cause {
            Cause::Refused(step) => ("refused", Some(*step)),
            Cause::Exhausted(step) => ("attempts_exhausted", Some(*step)),
            Cause::StepTimedOut(step) => ("timed_out", Some(*step)),
            Cause::Unmade(step) => ("expression_failed", Some(*step)),
            Cause::OutputUnmade => ("expression_failed", None),
            Cause::SagaTimedOut => ("timed_out", None),
            Cause::Cancelled => ("cancelled", None),
            Cause::Reversed => ("reversed", None),
            Cause::Recalled => ("recalled", None),
        };
        let step = step.map(|step| self.name(step));
        Fact { step, reason: coded(code), ..self.named("turned_back") }
    }

    fn named(self, fact: &str) -> Fact {
        Fact { fact: fact.to_owned(), ..self.bare }
    }

    fn step(self, fact: &str, step: StepId) -> Fact {
        Fact { step: Some(self.name(step)), ..self.named(fact) }
    }

    /// About a call of the step in this direction.
    fn called(self, fact: &str, step: StepId, direction: Direction) -> Fact {
        let participant = self.saga.and_then(|saga| wire::participant_of(saga, step.step, direction));
        let direction = participant.is_some().then(|| direction.as_str().to_owned());
        Fact { participant, direction, ..self.step(fact, step) }
    }

    fn call(self, fact: &str, call: CallId) -> Fact {
        self.called(fact, StepId { step: call.step, occurrence: call.occurrence }, call.direction)
    }

    fn operated(self, fact: &str, by: &By) -> Fact {
        Fact { by: Some(by.who.clone()), why: Some(by.why.clone()), ..self.named(fact) }
    }

    /// The step's name; its number where the definition is not known here.
    fn name(&self, step: StepId) -> String {
        match self.saga.filter(|saga| saga.has(step.step)) {
            Some(saga) => wire::step_name(saga, step),
            None => step.named(&step.step.0.to_string()).to_string(),
        }
    }
}

fn given(output: &Bytes) -> Option<Payload> {
    Some(wire::payload(output))
}

fn said(reason: &amends_core::Reason) -> Option<Reason> {
    told(&reason.code, reason.message.clone())
}

fn coded(code: &str) -> Option<Reason> {
    told(code, String::new())
}

fn told(code: &str, message: String) -> Option<Reason> {
    Some(Reason { code: code.to_owned(), message })
}
