//! The facts about a saga.
//!
//! Owns [`Event`], past tense, one variant per kind of fact. Events that became true together form one record
//! with one time. Promises that state is derived from these alone. Does not serialise: the stored shapes are
//! `amends-journal`'s.

use std::time::Duration;

use bytes::Bytes;

use crate::attempt::{AttemptId, CallId, StepId, StepIndex};
use crate::command::{By, Signal};
use crate::moment::Time;
use crate::name::DefinitionName;
use crate::origin::Origin;
use crate::outcome::{Reason, Refusal};

/// Why a step is not asked any more although it has not been decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    /// All attempts came back unknown.
    Exhausted,
    /// The step's limit passed.
    TimedOut,
    /// The participant said *working* for longer than allowed.
    WorkingTooLong,
    /// The saga turned back while the step was undecided.
    TurnedBack,
}

/// Why a saga turned back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A participant refused the step.
    Refused(StepId),
    /// The step ran out of attempts.
    Exhausted(StepId),
    /// The step's limit passed, or its participant was working for too long.
    StepTimedOut(StepId),
    /// An expression of the step failed.
    Unmade(StepId),
    /// What the saga returns could not be made.
    OutputUnmade,
    /// The saga that it runs in wants it undone.
    Recalled,
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
    PivotExhausted(StepId),
    /// The pivot was refused after an attempt whose outcome is unknown.
    PivotInDoubt(StepId),
    /// A step after the pivot was refused.
    RefusedAfterPivot(StepId),
    /// A participant got one key with two payloads.
    PayloadConflict(StepId),
    /// The step took effect, and its output is larger than may be stored.
    OutputTooLarge {
        /// The step.
        step: StepId,
        /// How large the output is, or would make the saga.
        bytes: u64,
        /// How large that may be.
        limit: u64,
    },
    /// An expression of a step after the pivot failed.
    Unmade(StepId),
    /// What the saga returns could not be made, and there is no way back.
    OutputUnmade,
    /// The saga that runs in the step waits for an operator.
    ChildParked(StepId),
    /// The saga's records are larger than they may be.
    SagaTooLarge {
        /// How large they are.
        bytes: u64,
        /// How large they may be.
        limit: u64,
    },
    /// At least one compensation failed; the others ran.
    CompensationFailed,
}

impl Cause {
    /// The step that it began with, if it was one.
    #[must_use]
    pub const fn step(&self) -> Option<StepId> {
        match self {
            Self::Refused(step) | Self::Exhausted(step) | Self::StepTimedOut(step) | Self::Unmade(step) => {
                Some(*step)
            }
            Self::OutputUnmade | Self::Recalled | Self::SagaTimedOut | Self::Cancelled | Self::Reversed => {
                None
            }
        }
    }
}

impl ParkReason {
    /// The step that is stuck; `None` when it may be more than one.
    #[must_use]
    pub const fn step(&self) -> Option<StepId> {
        match self {
            Self::PivotExhausted(step)
            | Self::PivotInDoubt(step)
            | Self::RefusedAfterPivot(step)
            | Self::PayloadConflict(step)
            | Self::OutputTooLarge { step, .. }
            | Self::Unmade(step)
            | Self::ChildParked(step) => Some(*step),
            Self::SagaTooLarge { .. } | Self::CompensationFailed | Self::OutputUnmade => None,
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
        /// Tags, parent and trace. Apart: most sagas have none.
        origin: Option<Box<Origin>>,
    },
    /// The step's first attempt may be sent from here on.
    StepStarted {
        /// The step.
        step: StepId,
    },
    /// The step's guard said no: those that follow it see `null`.
    StepPassedOver {
        /// The step.
        step: StepIndex,
    },
    /// An expression failed that had to be known before the step could start.
    StepUnjudged {
        /// The step.
        step: StepId,
        /// What is wrong.
        reason: Reason,
    },
    /// The step runs once for each of these; its runs are numbered from zero.
    StepSplit {
        /// The step.
        step: StepIndex,
        /// The elements: JSON.
        elements: Vec<Bytes>,
    },
    /// A further attempt may be sent from here on.
    AttemptStarted {
        /// The attempt.
        attempt: AttemptId,
    },
    /// Nobody knows what the attempt did.
    AttemptUnknown {
        /// The attempt.
        attempt: AttemptId,
        /// What went wrong.
        reason: Reason,
        /// When to ask again, if that is still to be done.
        retry_at: Time,
    },
    /// The participant asked for a rest that the step's limit does not count.
    LimitExtended {
        /// The step.
        step: StepId,
        /// By how much.
        by: Duration,
    },
    /// A participant that called back refused the call while another attempt is out: that is waited for.
    RefusalReported {
        /// The call.
        call: CallId,
        /// What it said.
        refusal: Box<Refusal>,
    },
    /// The saga that runs in the step, and waited for an operator, goes on.
    ChildFreed {
        /// The step.
        step: StepId,
    },
    /// The saga that this one runs in wants it undone as a whole: immediately, or once it has come to its end.
    Recalled,
    /// A participant said that a call took effect which had been refused or given up.
    LateEffect {
        /// The call.
        call: CallId,
    },
    /// The participant works on it.
    AttemptWorking {
        /// The attempt.
        attempt: AttemptId,
        /// When to ask again ([`Time::NEVER`]: it calls back).
        ask_at: Time,
        /// When to stop waiting.
        expires_at: Time,
    },
    /// The step's effect took place.
    StepCompleted {
        /// The step.
        step: StepId,
        /// What the participant returned.
        output: Bytes,
    },
    /// The participant refused the step.
    StepRefused {
        /// The step.
        step: StepId,
        /// What it said.
        refusal: Refusal,
    },
    /// The step took effect, and its output is larger than may be stored.
    OutputTooLarge {
        /// The step.
        step: StepId,
        /// How large the output is, or would make the saga.
        bytes: u64,
        /// How large that may be.
        limit: u64,
    },
    /// The payload of the step's action could not be made; nothing was sent, unless an earlier attempt was.
    StepUnmade {
        /// The step.
        step: StepId,
        /// What is wrong.
        reason: Reason,
    },
    /// The step's participant knows its key with another payload.
    StepConflicted {
        /// The step.
        step: StepId,
        /// What the participant said.
        reason: Reason,
    },
    /// A sleep is over.
    SleepEnded {
        /// The step.
        step: StepId,
    },
    /// A signal came, and is kept until a step takes it.
    SignalReceived {
        /// The signal; apart, so that other facts keep no room for it.
        signal: Box<Signal>,
    },
    /// A step that waited took a signal: the oldest one kept of its name.
    SignalTaken {
        /// The step.
        step: StepId,
    },
    /// A step that waited took the signal that refuses it.
    WaitRefused {
        /// The step.
        step: StepId,
        /// What the signal's body says.
        refusal: Refusal,
    },
    /// Nobody sent the signal in time.
    WaitTimedOut {
        /// The step.
        step: StepId,
    },
    /// The step is neither asked nor waited for any more. One that was asked is in doubt.
    StepGivenUp {
        /// The step.
        step: StepId,
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
        step: StepId,
    },
    /// The output sought has come; the undo's first attempt may be sent.
    OutputFound {
        /// The step.
        step: StepId,
        /// What the participant returned.
        output: Bytes,
    },
    /// The action, asked again for its output, was refused: there is nothing to undo.
    NothingToUndo {
        /// The step.
        step: StepId,
    },
    /// The undo's first attempt may be sent from here on.
    CompensationStarted {
        /// The step.
        step: StepId,
    },
    /// The step is undone.
    CompensationCompleted {
        /// The step.
        step: StepId,
    },
    /// The undo was refused, or ran out of attempts.
    CompensationFailed {
        /// The step.
        step: StepId,
        /// What the participant said, or what ran out.
        reason: Reason,
    },
    /// What the saga returns could not be made.
    OutputUnmade {
        /// What is wrong.
        reason: Reason,
    },
    /// Every step is done.
    SagaCompleted {
        /// What it returns, if its definition says; otherwise what its last step returned.
        output: Option<Bytes>,
    },
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
    /// An operator gave the call another body: it is asked anew with that, under the key of the call's next round.
    CallCorrected {
        /// The call, in its new round.
        call: CallId,
        /// The body.
        payload: Bytes,
    },
    /// The step, or its undo, is asked again with fresh patience.
    StepRetried {
        /// The step.
        step: StepId,
    },
    /// An operator supplied the step's output.
    StepSkipped {
        /// The step.
        step: StepId,
        /// What following steps see.
        output: Bytes,
        /// Who and why.
        by: By,
    },
    /// An operator undid the step by hand.
    CompensationResolved {
        /// The step.
        step: StepId,
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
    /// The clock was set back by so much since the last fact: whatever is waited for comes that much earlier
    /// by its new time.
    ClockSetBack {
        /// By how much.
        by: Duration,
    },
}

impl Event {
    /// About how many bytes the fact takes in a record: its texts and payloads, and a sum for the rest that
    /// is never too small.
    #[must_use]
    pub fn weight(&self) -> u64 {
        /// Frame, time, tags and numbers of a fact that stands alone in its record.
        const BARE: usize = 96;
        let reason = |reason: &Reason| reason.code.len() + reason.message.len();
        let refused = |refusal: &Refusal| {
            let details = refusal.details.as_ref().map_or(0, |details| details.len());
            refusal.code.len() + refusal.message.len() + details
        };
        let by = |by: &By| {
            let key = by.key.as_ref().map_or(0, |key| key.key.len() + key.fingerprint.len());
            by.who.len() + by.why.len() + key
        };
        let extra = match self {
            Self::SagaStarted { definition, input, origin, .. } => {
                let origin = origin.as_ref().map_or(0, |origin| origin.weight());
                definition.as_str().len() + input.len() + origin
            }
            Self::StepCompleted { output, .. } | Self::OutputFound { output, .. } => output.len(),
            Self::SagaCompleted { output } => output.as_ref().map_or(0, Bytes::len),
            Self::CallCorrected { payload, .. } => payload.len(),
            // A tag and a length for each.
            Self::StepSplit { elements, .. } => elements.iter().map(|element| element.len() + 6).sum(),
            Self::RefusalReported { refusal, .. } => refused(refusal),
            Self::StepSkipped { output, by: operator, .. } => output.len() + by(operator),
            Self::StepRefused { refusal, .. } | Self::WaitRefused { refusal, .. } => refused(refusal),
            Self::AttemptUnknown { reason: why, .. }
            | Self::StepUnmade { reason: why, .. }
            | Self::StepUnjudged { reason: why, .. }
            | Self::OutputUnmade { reason: why }
            | Self::StepConflicted { reason: why, .. }
            | Self::CompensationFailed { reason: why, .. } => reason(why),
            Self::SignalReceived { signal } => {
                signal.name.len() + signal.key.len() + signal.body.len() + signal.fingerprint.len()
            }
            Self::CancelRequested { by: operator }
            | Self::SagaRetried { by: operator }
            | Self::CompensationResolved { by: operator, .. }
            | Self::SagaPaused { by: operator }
            | Self::SagaResumed { by: operator }
            | Self::SagaReversed { by: operator }
            | Self::SagaAbandoned { by: operator } => by(operator),
            Self::StepStarted { .. }
            | Self::StepPassedOver { .. }
            | Self::LimitExtended { .. }
            | Self::LateEffect { .. }
            | Self::ChildFreed { .. }
            | Self::Recalled
            | Self::AttemptStarted { .. }
            | Self::AttemptWorking { .. }
            | Self::OutputTooLarge { .. }
            | Self::SleepEnded { .. }
            | Self::SignalTaken { .. }
            | Self::WaitTimedOut { .. }
            | Self::StepGivenUp { .. }
            | Self::TurnedBack { .. }
            | Self::OutputSought { .. }
            | Self::NothingToUndo { .. }
            | Self::CompensationStarted { .. }
            | Self::CompensationCompleted { .. }
            | Self::SagaCompensated
            | Self::SagaParked { .. }
            | Self::StepRetried { .. }
            | Self::ClockSetBack { .. } => 0,
        };
        (BARE + extra) as u64
    }

    /// Who asked for it, of a fact that is an operator's verb.
    #[must_use]
    pub fn by(&self) -> Option<&By> {
        match self {
            Self::CancelRequested { by }
            | Self::SagaRetried { by }
            | Self::StepSkipped { by, .. }
            | Self::CompensationResolved { by, .. }
            | Self::SagaPaused { by }
            | Self::SagaResumed { by }
            | Self::SagaReversed { by }
            | Self::SagaAbandoned { by } => Some(by),
            Self::SagaStarted { .. }
            | Self::StepStarted { .. }
            | Self::StepPassedOver { .. }
            | Self::StepUnjudged { .. }
            | Self::StepSplit { .. }
            | Self::LimitExtended { .. }
            | Self::RefusalReported { .. }
            | Self::LateEffect { .. }
            | Self::ChildFreed { .. }
            | Self::Recalled
            | Self::WaitRefused { .. }
            | Self::OutputUnmade { .. }
            | Self::CallCorrected { .. }
            | Self::AttemptStarted { .. }
            | Self::AttemptUnknown { .. }
            | Self::AttemptWorking { .. }
            | Self::StepCompleted { .. }
            | Self::StepRefused { .. }
            | Self::OutputTooLarge { .. }
            | Self::StepUnmade { .. }
            | Self::StepConflicted { .. }
            | Self::SleepEnded { .. }
            | Self::SignalReceived { .. }
            | Self::SignalTaken { .. }
            | Self::WaitTimedOut { .. }
            | Self::StepGivenUp { .. }
            | Self::TurnedBack { .. }
            | Self::OutputSought { .. }
            | Self::OutputFound { .. }
            | Self::NothingToUndo { .. }
            | Self::CompensationStarted { .. }
            | Self::CompensationCompleted { .. }
            | Self::CompensationFailed { .. }
            | Self::SagaCompleted { .. }
            | Self::SagaCompensated
            | Self::SagaParked { .. }
            | Self::StepRetried { .. }
            | Self::ClockSetBack { .. } => None,
        }
    }

    /// The fact's word: past tense, in snake case.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::SagaStarted { .. } => "saga_started",
            Self::StepStarted { .. } => "step_started",
            Self::StepPassedOver { .. } => "step_passed_over",
            Self::StepUnjudged { .. } => "step_unjudged",
            Self::StepSplit { .. } => "step_split",
            Self::AttemptStarted { .. } => "attempt_started",
            Self::AttemptUnknown { .. } => "attempt_unknown",
            Self::AttemptWorking { .. } => "attempt_working",
            Self::LimitExtended { .. } => "limit_extended",
            Self::RefusalReported { .. } => "refusal_reported",
            Self::LateEffect { .. } => "late_effect",
            Self::ChildFreed { .. } => "child_freed",
            Self::Recalled => "recalled",
            Self::StepCompleted { .. } => "step_completed",
            Self::StepRefused { .. } => "step_refused",
            Self::OutputTooLarge { .. } => "output_too_large",
            Self::StepUnmade { .. } => "step_unmade",
            Self::StepConflicted { .. } => "step_conflicted",
            Self::SleepEnded { .. } => "sleep_ended",
            Self::SignalReceived { .. } => "signal_received",
            Self::SignalTaken { .. } => "signal_taken",
            Self::WaitRefused { .. } => "wait_refused",
            Self::WaitTimedOut { .. } => "wait_timed_out",
            Self::StepGivenUp { .. } => "step_given_up",
            Self::TurnedBack { .. } => "turned_back",
            Self::OutputSought { .. } => "output_sought",
            Self::OutputFound { .. } => "output_found",
            Self::NothingToUndo { .. } => "nothing_to_undo",
            Self::CompensationStarted { .. } => "compensation_started",
            Self::CompensationCompleted { .. } => "compensation_completed",
            Self::CompensationFailed { .. } => "compensation_failed",
            Self::OutputUnmade { .. } => "output_unmade",
            Self::SagaCompleted { .. } => "saga_completed",
            Self::SagaCompensated => "saga_compensated",
            Self::SagaParked { .. } => "saga_parked",
            Self::CancelRequested { .. } => "cancel_requested",
            Self::SagaRetried { .. } => "saga_retried",
            Self::CallCorrected { .. } => "call_corrected",
            Self::StepRetried { .. } => "step_retried",
            Self::StepSkipped { .. } => "step_skipped",
            Self::CompensationResolved { .. } => "compensation_resolved",
            Self::SagaPaused { .. } => "saga_paused",
            Self::SagaResumed { .. } => "saga_resumed",
            Self::SagaReversed { .. } => "saga_reversed",
            Self::SagaAbandoned { .. } => "saga_abandoned",
            Self::ClockSetBack { .. } => "clock_set_back",
        }
    }

    /// The step, or run of it, that it is about, if it is about one.
    #[must_use]
    pub const fn step(&self) -> Option<StepId> {
        match self {
            Self::StepPassedOver { step } | Self::StepSplit { step, .. } => Some(StepId::whole(*step)),
            Self::AttemptStarted { attempt }
            | Self::AttemptUnknown { attempt, .. }
            | Self::AttemptWorking { attempt, .. } => Some(attempt.call.of()),
            Self::RefusalReported { call, .. }
            | Self::LateEffect { call }
            | Self::CallCorrected { call, .. } => Some(call.of()),
            Self::StepStarted { step }
            | Self::StepUnjudged { step, .. }
            | Self::ChildFreed { step }
            | Self::LimitExtended { step, .. }
            | Self::StepCompleted { step, .. }
            | Self::StepRefused { step, .. }
            | Self::OutputTooLarge { step, .. }
            | Self::StepUnmade { step, .. }
            | Self::StepConflicted { step, .. }
            | Self::SleepEnded { step }
            | Self::SignalTaken { step }
            | Self::WaitRefused { step, .. }
            | Self::WaitTimedOut { step }
            | Self::StepGivenUp { step, .. }
            | Self::OutputSought { step }
            | Self::OutputFound { step, .. }
            | Self::NothingToUndo { step }
            | Self::CompensationStarted { step }
            | Self::CompensationCompleted { step }
            | Self::CompensationFailed { step, .. }
            | Self::StepRetried { step }
            | Self::StepSkipped { step, .. }
            | Self::CompensationResolved { step, .. } => Some(*step),
            Self::TurnedBack { cause } => cause.step(),
            Self::SagaParked { because } => because.step(),
            Self::SagaStarted { .. }
            | Self::SignalReceived { .. }
            | Self::Recalled
            | Self::OutputUnmade { .. }
            | Self::SagaCompleted { .. }
            | Self::SagaCompensated
            | Self::CancelRequested { .. }
            | Self::SagaRetried { .. }
            | Self::SagaPaused { .. }
            | Self::SagaResumed { .. }
            | Self::SagaReversed { .. }
            | Self::SagaAbandoned { .. }
            | Self::ClockSetBack { .. } => None,
        }
    }
}
