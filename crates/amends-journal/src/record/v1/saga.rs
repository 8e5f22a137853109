//! The stored shapes of the facts about a saga.
//!
//! Owns one protobuf message per kind of event, written out by hand. Promises that absence is never a value:
//! what must be there is checked here, and what may be zero may legally be zero. Does not frame or check
//! sums.

use std::collections::BTreeMap;

use amends_core::{
    AttemptId, By, CallId, Cause, DefinitionName, Direction, Event as Fact, GivenUp, Origin,
    Parent as CoreParent, ParkReason, Reason as CoreReason, Refusal as CoreRefusal, Signal as CoreSignal,
    StepId, StepIndex, Time, TransactionId, VerbKey,
};
use bytes::Bytes;

use super::{Duration, Nothing, present};
use crate::record::Flaw;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Event {
    #[prost(
        oneof = "Kind",
        tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, \
                28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, \
                45, 46"
    )]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Kind {
    #[prost(message, tag = "1")]
    SagaStarted(SagaStarted),
    #[prost(message, tag = "2")]
    StepStarted(Step),
    #[prost(message, tag = "3")]
    AttemptStarted(Attempt),
    #[prost(message, tag = "4")]
    AttemptUnknown(AttemptUnknown),
    #[prost(message, tag = "5")]
    AttemptWorking(AttemptWorking),
    #[prost(message, tag = "6")]
    StepCompleted(StepOutput),
    #[prost(message, tag = "7")]
    StepRefused(StepRefused),
    #[prost(message, tag = "8")]
    StepGivenUp(StepGivenUp),
    #[prost(message, tag = "9")]
    TurnedBack(TurnedBack),
    #[prost(message, tag = "10")]
    OutputSought(Step),
    #[prost(message, tag = "11")]
    OutputFound(StepOutput),
    #[prost(message, tag = "12")]
    NothingToUndo(Step),
    #[prost(message, tag = "13")]
    CompensationStarted(Step),
    #[prost(message, tag = "14")]
    CompensationCompleted(Step),
    #[prost(message, tag = "15")]
    CompensationFailed(StepReason),
    #[prost(message, tag = "16")]
    SagaCompleted(SagaCompleted),
    #[prost(message, tag = "17")]
    SagaCompensated(Nothing),
    #[prost(message, tag = "18")]
    SagaParked(SagaParked),
    #[prost(message, tag = "19")]
    CancelRequested(Operated),
    #[prost(message, tag = "20")]
    SagaRetried(Operated),
    #[prost(message, tag = "21")]
    StepRetried(Step),
    #[prost(message, tag = "22")]
    StepSkipped(StepSkipped),
    #[prost(message, tag = "23")]
    CompensationResolved(CompensationResolved),
    #[prost(message, tag = "24")]
    SagaPaused(Operated),
    #[prost(message, tag = "25")]
    SagaResumed(Operated),
    #[prost(message, tag = "26")]
    SagaReversed(Operated),
    #[prost(message, tag = "27")]
    SagaAbandoned(Operated),
    #[prost(message, tag = "28")]
    OutputTooLarge(TooLarge),
    #[prost(message, tag = "29")]
    StepUnmade(StepReason),
    #[prost(message, tag = "30")]
    StepConflicted(StepReason),
    #[prost(message, tag = "31")]
    SleepEnded(Step),
    #[prost(message, boxed, tag = "32")]
    SignalReceived(Box<Signal>),
    #[prost(message, tag = "33")]
    SignalTaken(Step),
    #[prost(message, tag = "34")]
    WaitTimedOut(Step),
    #[prost(message, tag = "35")]
    ClockSetBack(ClockSetBack),
    #[prost(message, tag = "36")]
    StepPassedOver(Step),
    #[prost(message, tag = "37")]
    StepUnjudged(StepReason),
    #[prost(message, tag = "38")]
    StepSplit(StepSplit),
    #[prost(message, tag = "39")]
    LimitExtended(LimitExtended),
    #[prost(message, boxed, tag = "40")]
    RefusalReported(Box<RefusalReported>),
    #[prost(message, tag = "41")]
    LateEffect(Call),
    #[prost(message, tag = "42")]
    WaitRefused(StepRefused),
    #[prost(message, tag = "43")]
    OutputUnmade(Reason),
    #[prost(message, tag = "44")]
    CallCorrected(CallCorrected),
    #[prost(message, tag = "45")]
    ChildFreed(Step),
    #[prost(message, tag = "46")]
    Recalled(Nothing),
}

#[derive(Clone, PartialEq, prost::Message)]
struct SagaCompleted {
    /// Absent: the definition does not say.
    #[prost(bytes = "bytes", optional, tag = "1")]
    output: Option<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StepSplit {
    #[prost(uint32, tag = "1")]
    step: u32,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    elements: Vec<Bytes>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct LimitExtended {
    #[prost(message, optional, tag = "1")]
    step: Option<Step>,
    #[prost(message, optional, tag = "2")]
    by: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Call {
    #[prost(uint32, tag = "1")]
    step: u32,
    #[prost(uint32, tag = "2")]
    direction: u32,
    /// Absent: the step runs once.
    #[prost(uint32, optional, tag = "3")]
    occurrence: Option<u32>,
    /// Absent: the first.
    #[prost(uint32, optional, tag = "4")]
    round: Option<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RefusalReported {
    #[prost(message, optional, tag = "1")]
    call: Option<Call>,
    #[prost(message, optional, tag = "2")]
    reason: Option<Reason>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    details: Option<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CallCorrected {
    #[prost(message, optional, tag = "1")]
    call: Option<Call>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    payload: Option<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SagaStarted {
    #[prost(string, tag = "1")]
    definition: String,
    #[prost(uint32, tag = "2")]
    version: u32,
    #[prost(bytes = "bytes", optional, tag = "3")]
    input: Option<Bytes>,
    #[prost(btree_map = "string, string", tag = "4")]
    tags: BTreeMap<String, String>,
    #[prost(message, optional, tag = "5")]
    parent: Option<Parent>,
    #[prost(string, optional, tag = "6")]
    trace: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Parent {
    #[prost(bytes = "bytes", tag = "1")]
    id: Bytes,
    #[prost(uint32, tag = "2")]
    step: u32,
    /// Absent: the step runs once.
    #[prost(uint32, optional, tag = "3")]
    occurrence: Option<u32>,
    #[prost(bytes = "bytes", tag = "4")]
    root: Bytes,
    #[prost(string, tag = "5")]
    step_name: String,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Step {
    #[prost(uint32, tag = "1")]
    step: u32,
    /// Absent: the step runs once.
    #[prost(uint32, optional, tag = "2")]
    occurrence: Option<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Attempt {
    #[prost(uint32, tag = "1")]
    step: u32,
    #[prost(uint32, tag = "2")]
    direction: u32,
    #[prost(uint32, tag = "3")]
    attempt: u32,
    /// Absent: the step runs once.
    #[prost(uint32, optional, tag = "4")]
    occurrence: Option<u32>,
    /// Absent: the first.
    #[prost(uint32, optional, tag = "5")]
    round: Option<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AttemptUnknown {
    #[prost(message, optional, tag = "1")]
    attempt: Option<Attempt>,
    #[prost(message, optional, tag = "2")]
    reason: Option<Reason>,
    #[prost(uint64, tag = "3")]
    retry_at: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AttemptWorking {
    #[prost(message, optional, tag = "1")]
    attempt: Option<Attempt>,
    #[prost(uint64, tag = "2")]
    ask_at: u64,
    #[prost(uint64, tag = "3")]
    expires_at: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StepOutput {
    #[prost(uint32, tag = "1")]
    step: u32,
    #[prost(bytes = "bytes", optional, tag = "2")]
    output: Option<Bytes>,
    /// Absent: the step runs once.
    #[prost(uint32, optional, tag = "3")]
    occurrence: Option<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StepRefused {
    #[prost(uint32, tag = "1")]
    step: u32,
    #[prost(message, optional, tag = "2")]
    reason: Option<Reason>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    details: Option<Bytes>,
    /// Absent: the step runs once.
    #[prost(uint32, optional, tag = "4")]
    occurrence: Option<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StepGivenUp {
    #[prost(uint32, tag = "1")]
    step: u32,
    #[prost(uint32, tag = "2")]
    why: u32,
    /// Absent: the step runs once.
    #[prost(uint32, optional, tag = "3")]
    occurrence: Option<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TurnedBack {
    #[prost(oneof = "TurnedBackCause", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9")]
    cause: Option<TurnedBackCause>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum TurnedBackCause {
    #[prost(message, tag = "1")]
    Refused(Step),
    #[prost(message, tag = "2")]
    Exhausted(Step),
    #[prost(message, tag = "3")]
    StepTimedOut(Step),
    #[prost(message, tag = "4")]
    SagaTimedOut(Nothing),
    #[prost(message, tag = "5")]
    Cancelled(Nothing),
    #[prost(message, tag = "6")]
    Reversed(Nothing),
    #[prost(message, tag = "7")]
    Unmade(Step),
    #[prost(message, tag = "8")]
    OutputUnmade(Nothing),
    #[prost(message, tag = "9")]
    Recalled(Nothing),
}

#[derive(Clone, PartialEq, prost::Message)]
struct StepReason {
    #[prost(uint32, tag = "1")]
    step: u32,
    #[prost(message, optional, tag = "2")]
    reason: Option<Reason>,
    /// Absent: the step runs once.
    #[prost(uint32, optional, tag = "3")]
    occurrence: Option<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SagaParked {
    #[prost(oneof = "SagaParkedBecause", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10")]
    because: Option<SagaParkedBecause>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum SagaParkedBecause {
    #[prost(message, tag = "1")]
    PivotExhausted(Step),
    #[prost(message, tag = "2")]
    PivotInDoubt(Step),
    #[prost(message, tag = "3")]
    RefusedAfterPivot(Step),
    #[prost(message, tag = "4")]
    PayloadConflict(Step),
    #[prost(message, tag = "5")]
    CompensationFailed(Nothing),
    #[prost(message, tag = "6")]
    OutputTooLarge(TooLarge),
    #[prost(message, tag = "7")]
    Unmade(Step),
    #[prost(message, tag = "8")]
    SagaTooLarge(Sizes),
    #[prost(message, tag = "9")]
    OutputUnmade(Nothing),
    #[prost(message, tag = "10")]
    ChildParked(Step),
}

#[derive(Clone, PartialEq, prost::Message)]
struct TooLarge {
    #[prost(uint32, tag = "1")]
    step: u32,
    #[prost(message, optional, tag = "2")]
    sizes: Option<Sizes>,
    /// Absent: the step runs once.
    #[prost(uint32, optional, tag = "3")]
    occurrence: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Sizes {
    #[prost(uint64, tag = "1")]
    bytes: u64,
    #[prost(uint64, tag = "2")]
    limit: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Signal {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    key: String,
    #[prost(bytes = "bytes", optional, tag = "3")]
    body: Option<Bytes>,
    #[prost(bytes = "bytes", tag = "4")]
    fingerprint: Bytes,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct ClockSetBack {
    #[prost(message, optional, tag = "1")]
    by: Option<Duration>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Operated {
    #[prost(message, optional, tag = "1")]
    by: Option<Operator>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StepSkipped {
    #[prost(uint32, tag = "1")]
    step: u32,
    #[prost(bytes = "bytes", optional, tag = "2")]
    output: Option<Bytes>,
    #[prost(message, optional, tag = "3")]
    by: Option<Operator>,
    /// Absent: the step runs once.
    #[prost(uint32, optional, tag = "4")]
    occurrence: Option<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CompensationResolved {
    #[prost(uint32, tag = "1")]
    step: u32,
    #[prost(message, optional, tag = "2")]
    by: Option<Operator>,
    /// Absent: the step runs once.
    #[prost(uint32, optional, tag = "3")]
    occurrence: Option<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Reason {
    #[prost(string, tag = "1")]
    code: String,
    #[prost(string, tag = "2")]
    message: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Operator {
    #[prost(string, tag = "1")]
    who: String,
    #[prost(string, tag = "2")]
    why: String,
    #[prost(string, optional, tag = "3")]
    key: Option<String>,
    #[prost(bytes = "bytes", optional, tag = "4")]
    fingerprint: Option<Bytes>,
}

impl From<&Fact> for Event {
    fn from(fact: &Fact) -> Self {
        Self { kind: Some(Kind::from(fact)) }
    }
}

impl From<&Fact> for Kind {
    fn from(fact: &Fact) -> Self {
        match fact {
            Fact::SagaStarted { definition, version, input, origin } => {
                let mut started = SagaStarted {
                    definition: definition.as_str().to_owned(),
                    version: *version,
                    input: Some(input.clone()),
                    ..SagaStarted::default()
                };
                if let Some(origin) = origin.as_deref() {
                    let Origin { tags, parent, trace } = origin;
                    started.tags = tags.clone();
                    started.parent = parent.as_ref().map(Parent::from);
                    started.trace = trace.clone();
                }
                Self::SagaStarted(started)
            }
            Fact::StepStarted { step } => Self::StepStarted(step.into()),
            Fact::AttemptStarted { attempt } => Self::AttemptStarted(attempt.into()),
            Fact::AttemptUnknown { attempt, reason, retry_at } => Self::AttemptUnknown(AttemptUnknown {
                attempt: Some(attempt.into()),
                reason: Some(reason.into()),
                retry_at: retry_at.milliseconds(),
            }),
            Fact::AttemptWorking { attempt, ask_at, expires_at } => Self::AttemptWorking(AttemptWorking {
                attempt: Some(attempt.into()),
                ask_at: ask_at.milliseconds(),
                expires_at: expires_at.milliseconds(),
            }),
            Fact::StepCompleted { step, output } => Self::StepCompleted(StepOutput::new(*step, output)),
            Fact::StepRefused { step, refusal } => Self::StepRefused(StepRefused::new(*step, refusal)),
            Fact::WaitRefused { step, refusal } => Self::WaitRefused(StepRefused::new(*step, refusal)),
            Fact::StepPassedOver { step } => Self::StepPassedOver((&StepId::whole(*step)).into()),
            Fact::ChildFreed { step } => Self::ChildFreed(step.into()),
            Fact::Recalled => Self::Recalled(Nothing {}),
            Fact::StepUnjudged { step, reason } => Self::StepUnjudged(StepReason::new(*step, reason)),
            Fact::StepSplit { step, elements } => {
                Self::StepSplit(StepSplit { step: step.0.into(), elements: elements.clone() })
            }
            Fact::LimitExtended { step, by } => {
                Self::LimitExtended(LimitExtended { step: Some(step.into()), by: Some((*by).into()) })
            }
            Fact::RefusalReported { call, refusal } => Self::RefusalReported(Box::new(RefusalReported {
                call: Some(call.into()),
                reason: Some((&refusal.reason()).into()),
                details: refusal.details.clone(),
            })),
            Fact::LateEffect { call } => Self::LateEffect(call.into()),
            Fact::OutputUnmade { reason } => Self::OutputUnmade(reason.into()),
            Fact::CallCorrected { call, payload } => {
                Self::CallCorrected(CallCorrected { call: Some(call.into()), payload: Some(payload.clone()) })
            }
            Fact::StepGivenUp { step, why } => Self::StepGivenUp(StepGivenUp {
                step: step.step.0.into(),
                why: given_up_code(*why),
                occurrence: step.occurrence,
            }),
            Fact::TurnedBack { cause } => Self::TurnedBack(TurnedBack { cause: Some(cause.into()) }),
            Fact::OutputSought { step } => Self::OutputSought(step.into()),
            Fact::OutputFound { step, output } => Self::OutputFound(StepOutput::new(*step, output)),
            Fact::NothingToUndo { step } => Self::NothingToUndo(step.into()),
            Fact::CompensationStarted { step } => Self::CompensationStarted(step.into()),
            Fact::CompensationCompleted { step } => Self::CompensationCompleted(step.into()),
            Fact::CompensationFailed { step, reason } => {
                Self::CompensationFailed(StepReason::new(*step, reason))
            }
            Fact::SagaCompleted { output } => Self::SagaCompleted(SagaCompleted { output: output.clone() }),
            Fact::SagaCompensated => Self::SagaCompensated(Nothing {}),
            Fact::SagaParked { because } => Self::SagaParked(SagaParked { because: Some(because.into()) }),
            Fact::CancelRequested { by } => Self::CancelRequested(by.into()),
            Fact::SagaRetried { by } => Self::SagaRetried(by.into()),
            Fact::StepRetried { step } => Self::StepRetried(step.into()),
            Fact::StepSkipped { step, output, by } => Self::StepSkipped(StepSkipped {
                step: step.step.0.into(),
                output: Some(output.clone()),
                by: Some(by.into()),
                occurrence: step.occurrence,
            }),
            Fact::CompensationResolved { step, by } => Self::CompensationResolved(CompensationResolved {
                step: step.step.0.into(),
                by: Some(by.into()),
                occurrence: step.occurrence,
            }),
            Fact::SagaPaused { by } => Self::SagaPaused(by.into()),
            Fact::SagaResumed { by } => Self::SagaResumed(by.into()),
            Fact::SagaReversed { by } => Self::SagaReversed(by.into()),
            Fact::SagaAbandoned { by } => Self::SagaAbandoned(by.into()),
            Fact::OutputTooLarge { step, bytes, limit } => {
                Self::OutputTooLarge(TooLarge::new(*step, *bytes, *limit))
            }
            Fact::StepUnmade { step, reason } => Self::StepUnmade(StepReason::new(*step, reason)),
            Fact::StepConflicted { step, reason } => Self::StepConflicted(StepReason::new(*step, reason)),
            Fact::SleepEnded { step } => Self::SleepEnded(step.into()),
            Fact::SignalReceived { signal } => Self::SignalReceived(Box::new((&**signal).into())),
            Fact::SignalTaken { step } => Self::SignalTaken(step.into()),
            Fact::WaitTimedOut { step } => Self::WaitTimedOut(step.into()),
            Fact::ClockSetBack { by } => Self::ClockSetBack(ClockSetBack { by: Some((*by).into()) }),
        }
    }
}

impl TryFrom<Event> for Fact {
    type Error = Flaw;

    fn try_from(stored: Event) -> Result<Self, Flaw> {
        let Some(kind) = stored.kind else { return Err(Flaw::newer("it states a fact of an unknown kind")) };
        Ok(match kind {
            Kind::SagaStarted(started) => {
                let parent = started.parent.map(Parent::read).transpose()?;
                let origin = Origin { tags: started.tags, parent, trace: started.trace };
                Self::SagaStarted {
                    definition: definition_name(started.definition)?,
                    version: started.version,
                    input: present(started.input, "input")?,
                    origin: (!origin.is_empty()).then(|| Box::new(origin)),
                }
            }
            Kind::StepStarted(step) => Self::StepStarted { step: step.read()? },
            Kind::AttemptStarted(attempt) => Self::AttemptStarted { attempt: attempt.read()? },
            Kind::AttemptUnknown(unknown) => Self::AttemptUnknown {
                attempt: present(unknown.attempt, "attempt")?.read()?,
                reason: present(unknown.reason, "reason")?.into(),
                retry_at: Time::from_milliseconds(unknown.retry_at),
            },
            Kind::AttemptWorking(working) => Self::AttemptWorking {
                attempt: present(working.attempt, "attempt")?.read()?,
                ask_at: Time::from_milliseconds(working.ask_at),
                expires_at: Time::from_milliseconds(working.expires_at),
            },
            Kind::StepCompleted(completed) => {
                let (step, output) = completed.read()?;
                Self::StepCompleted { step, output }
            }
            Kind::StepRefused(refused) => {
                let (step, refusal) = refused.read()?;
                Self::StepRefused { step, refusal }
            }
            Kind::WaitRefused(refused) => {
                let (step, refusal) = refused.read()?;
                Self::WaitRefused { step, refusal }
            }
            Kind::StepPassedOver(step) => Self::StepPassedOver { step: step.read_whole()? },
            Kind::StepUnjudged(unjudged) => {
                let (step, reason) = unjudged.read()?;
                Self::StepUnjudged { step, reason }
            }
            Kind::ChildFreed(step) => Self::ChildFreed { step: step.read()? },
            Kind::Recalled(Nothing {}) => Self::Recalled,
            Kind::StepSplit(split) => {
                Self::StepSplit { step: step_index(split.step)?, elements: split.elements }
            }
            Kind::LimitExtended(extended) => Self::LimitExtended {
                step: present(extended.step, "step")?.read()?,
                by: present(extended.by, "span")?.try_into()?,
            },
            Kind::RefusalReported(reported) => {
                let Reason { code, message } = present(reported.reason, "reason")?;
                let refusal = Box::new(CoreRefusal { code, message, details: reported.details });
                Self::RefusalReported { call: present(reported.call, "call")?.read()?, refusal }
            }
            Kind::LateEffect(call) => Self::LateEffect { call: call.read()? },
            Kind::OutputUnmade(reason) => Self::OutputUnmade { reason: reason.into() },
            Kind::CallCorrected(corrected) => Self::CallCorrected {
                call: present(corrected.call, "call")?.read()?,
                payload: present(corrected.payload, "payload")?,
            },
            Kind::StepGivenUp(given_up) => Self::StepGivenUp {
                step: step_id(given_up.step, given_up.occurrence)?,
                why: given_up_of(given_up.why)?,
            },
            Kind::TurnedBack(turned) => Self::TurnedBack { cause: turned.read()? },
            Kind::OutputSought(step) => Self::OutputSought { step: step.read()? },
            Kind::OutputFound(found) => {
                let (step, output) = found.read()?;
                Self::OutputFound { step, output }
            }
            Kind::NothingToUndo(step) => Self::NothingToUndo { step: step.read()? },
            Kind::CompensationStarted(step) => Self::CompensationStarted { step: step.read()? },
            Kind::CompensationCompleted(step) => Self::CompensationCompleted { step: step.read()? },
            Kind::CompensationFailed(failed) => {
                let (step, reason) = failed.read()?;
                Self::CompensationFailed { step, reason }
            }
            Kind::SagaCompleted(completed) => Self::SagaCompleted { output: completed.output },
            Kind::SagaCompensated(Nothing {}) => Self::SagaCompensated,
            Kind::SagaParked(parked) => Self::SagaParked { because: parked.read()? },
            Kind::CancelRequested(operated) => Self::CancelRequested { by: operated.read()? },
            Kind::SagaRetried(operated) => Self::SagaRetried { by: operated.read()? },
            Kind::StepRetried(step) => Self::StepRetried { step: step.read()? },
            Kind::StepSkipped(skipped) => Self::StepSkipped {
                step: step_id(skipped.step, skipped.occurrence)?,
                output: present(skipped.output, "output")?,
                by: present(skipped.by, "operator")?.try_into()?,
            },
            Kind::CompensationResolved(resolved) => Self::CompensationResolved {
                step: step_id(resolved.step, resolved.occurrence)?,
                by: present(resolved.by, "operator")?.try_into()?,
            },
            Kind::SagaPaused(operated) => Self::SagaPaused { by: operated.read()? },
            Kind::SagaResumed(operated) => Self::SagaResumed { by: operated.read()? },
            Kind::SagaReversed(operated) => Self::SagaReversed { by: operated.read()? },
            Kind::SagaAbandoned(operated) => Self::SagaAbandoned { by: operated.read()? },
            Kind::OutputTooLarge(too_large) => {
                let (step, bytes, limit) = too_large.read()?;
                Self::OutputTooLarge { step, bytes, limit }
            }
            Kind::StepUnmade(unmade) => {
                let (step, reason) = unmade.read()?;
                Self::StepUnmade { step, reason }
            }
            Kind::StepConflicted(conflicted) => {
                let (step, reason) = conflicted.read()?;
                Self::StepConflicted { step, reason }
            }
            Kind::SleepEnded(step) => Self::SleepEnded { step: step.read()? },
            Kind::SignalReceived(signal) => Self::SignalReceived { signal: Box::new(signal.read()?) },
            Kind::SignalTaken(step) => Self::SignalTaken { step: step.read()? },
            Kind::WaitTimedOut(step) => Self::WaitTimedOut { step: step.read()? },
            Kind::ClockSetBack(set) => Self::ClockSetBack { by: present(set.by, "span")?.try_into()? },
        })
    }
}

impl From<&CoreParent> for Parent {
    fn from(parent: &CoreParent) -> Self {
        let CoreParent { id, step, ref step_name, root } = *parent;
        let bytes = |id: TransactionId| Bytes::copy_from_slice(&id.to_bytes());
        Self {
            id: bytes(id),
            step: step.step.0.into(),
            occurrence: step.occurrence,
            root: bytes(root),
            step_name: step_name.clone(),
        }
    }
}

impl Parent {
    fn read(self) -> Result<CoreParent, Flaw> {
        let id = |bytes: Bytes| match (*bytes).try_into() {
            Ok(bytes) => Ok(TransactionId::from_bytes(bytes)),
            Err(_) => Err(Flaw::damaged("the id of its parent does not have 16 bytes")),
        };
        let step = step_id(self.step, self.occurrence)?;
        Ok(CoreParent { id: id(self.id)?, step, step_name: self.step_name, root: id(self.root)? })
    }
}

impl From<&StepId> for Step {
    fn from(step: &StepId) -> Self {
        Self { step: step.step.0.into(), occurrence: step.occurrence }
    }
}

impl Step {
    fn read(&self) -> Result<StepId, Flaw> {
        step_id(self.step, self.occurrence)
    }

    fn read_whole(&self) -> Result<StepIndex, Flaw> {
        whole(self.read()?)
    }
}

fn whole(step: StepId) -> Result<StepIndex, Flaw> {
    match step.occurrence {
        None => Ok(step.step),
        Some(_) => Err(Flaw::damaged("what is said of a step as a whole is said of one run")),
    }
}

impl StepRefused {
    fn new(step: StepId, refusal: &CoreRefusal) -> Self {
        Self {
            step: step.step.0.into(),
            reason: Some(Reason { code: refusal.code.clone(), message: refusal.message.clone() }),
            details: refusal.details.clone(),
            occurrence: step.occurrence,
        }
    }

    fn read(self) -> Result<(StepId, CoreRefusal), Flaw> {
        let Reason { code, message } = present(self.reason, "reason")?;
        let refusal = CoreRefusal { code, message, details: self.details };
        Ok((step_id(self.step, self.occurrence)?, refusal))
    }
}

impl From<&CallId> for Call {
    fn from(call: &CallId) -> Self {
        let CallId { step, occurrence, direction, round } = *call;
        Self {
            step: step.0.into(),
            direction: direction_code(direction),
            occurrence,
            round: round_code(round),
        }
    }
}

impl Call {
    fn read(&self) -> Result<CallId, Flaw> {
        let (direction, round) = (direction_of(self.direction)?, round_of(self.round)?);
        Ok(CallId { step: step_index(self.step)?, occurrence: self.occurrence, direction, round })
    }
}

const fn direction_code(direction: Direction) -> u32 {
    match direction {
        Direction::Action => 1,
        Direction::Compensation => 2,
    }
}

fn direction_of(code: u32) -> Result<Direction, Flaw> {
    match code {
        0 => Err(Flaw::damaged("its direction is missing")),
        1 => Ok(Direction::Action),
        2 => Ok(Direction::Compensation),
        other => Err(Flaw::newer(format!("its direction is {other}"))),
    }
}

/// The first round is not written.
fn round_code(round: u32) -> Option<u32> {
    assert!(round > 0, "rounds are counted from one");
    (round > 1).then_some(round)
}

fn round_of(stored: Option<u32>) -> Result<u32, Flaw> {
    match stored {
        None => Ok(1),
        Some(0 | 1) => Err(Flaw::damaged("a first round is not written")),
        Some(round) => Ok(round),
    }
}

impl From<&AttemptId> for Attempt {
    fn from(attempt: &AttemptId) -> Self {
        let AttemptId { call: CallId { step, occurrence, direction, round }, number } = *attempt;
        assert!(number > 0, "attempts are counted from one");
        let (direction, round) = (direction_code(direction), round_code(round));
        Self { step: step.0.into(), direction, attempt: number, occurrence, round }
    }
}

impl Attempt {
    fn read(&self) -> Result<AttemptId, Flaw> {
        let direction = direction_of(self.direction)?;
        if self.attempt == 0 {
            return Err(Flaw::damaged("its attempt's number is missing"));
        }
        let round = round_of(self.round)?;
        let call = CallId { step: step_index(self.step)?, occurrence: self.occurrence, direction, round };
        Ok(call.attempt(self.attempt))
    }
}

impl StepReason {
    fn new(step: StepId, reason: &CoreReason) -> Self {
        Self { step: step.step.0.into(), reason: Some(reason.into()), occurrence: step.occurrence }
    }

    fn read(self) -> Result<(StepId, CoreReason), Flaw> {
        Ok((step_id(self.step, self.occurrence)?, present(self.reason, "reason")?.into()))
    }
}

impl TooLarge {
    fn new(step: StepId, bytes: u64, limit: u64) -> Self {
        let sizes = Some(Sizes { bytes, limit });
        Self { step: step.step.0.into(), sizes, occurrence: step.occurrence }
    }

    fn read(&self) -> Result<(StepId, u64, u64), Flaw> {
        let Sizes { bytes, limit } = present(self.sizes, "sizes")?;
        Ok((step_id(self.step, self.occurrence)?, bytes, limit))
    }
}

impl From<&CoreSignal> for Signal {
    fn from(signal: &CoreSignal) -> Self {
        Self {
            name: signal.name.clone(),
            key: signal.key.clone(),
            body: Some(signal.body.clone()),
            fingerprint: Bytes::copy_from_slice(&signal.fingerprint),
        }
    }
}

impl Signal {
    fn read(self) -> Result<CoreSignal, Flaw> {
        let fingerprint = (*self.fingerprint).try_into();
        Ok(CoreSignal {
            name: self.name,
            key: self.key,
            body: present(self.body, "body")?,
            fingerprint: fingerprint.map_err(|_| Flaw::damaged("its fingerprint does not have 32 bytes"))?,
        })
    }
}

impl StepOutput {
    fn new(step: StepId, output: &Bytes) -> Self {
        Self { step: step.step.0.into(), output: Some(output.clone()), occurrence: step.occurrence }
    }

    fn read(self) -> Result<(StepId, Bytes), Flaw> {
        Ok((step_id(self.step, self.occurrence)?, present(self.output, "output")?))
    }
}

impl From<&Cause> for TurnedBackCause {
    fn from(cause: &Cause) -> Self {
        match cause {
            Cause::Refused(step) => Self::Refused(step.into()),
            Cause::Exhausted(step) => Self::Exhausted(step.into()),
            Cause::StepTimedOut(step) => Self::StepTimedOut(step.into()),
            Cause::SagaTimedOut => Self::SagaTimedOut(Nothing {}),
            Cause::Cancelled => Self::Cancelled(Nothing {}),
            Cause::Reversed => Self::Reversed(Nothing {}),
            Cause::Unmade(step) => Self::Unmade(step.into()),
            Cause::OutputUnmade => Self::OutputUnmade(Nothing {}),
            Cause::Recalled => Self::Recalled(Nothing {}),
        }
    }
}

impl TurnedBack {
    fn read(&self) -> Result<Cause, Flaw> {
        match &self.cause {
            None => Err(Flaw::newer("the saga turned back for an unknown cause")),
            Some(TurnedBackCause::Refused(step)) => Ok(Cause::Refused(step.read()?)),
            Some(TurnedBackCause::Exhausted(step)) => Ok(Cause::Exhausted(step.read()?)),
            Some(TurnedBackCause::StepTimedOut(step)) => Ok(Cause::StepTimedOut(step.read()?)),
            Some(TurnedBackCause::SagaTimedOut(Nothing {})) => Ok(Cause::SagaTimedOut),
            Some(TurnedBackCause::Cancelled(Nothing {})) => Ok(Cause::Cancelled),
            Some(TurnedBackCause::Reversed(Nothing {})) => Ok(Cause::Reversed),
            Some(TurnedBackCause::Unmade(step)) => Ok(Cause::Unmade(step.read()?)),
            Some(TurnedBackCause::OutputUnmade(Nothing {})) => Ok(Cause::OutputUnmade),
            Some(TurnedBackCause::Recalled(Nothing {})) => Ok(Cause::Recalled),
        }
    }
}

impl From<&ParkReason> for SagaParkedBecause {
    fn from(because: &ParkReason) -> Self {
        match because {
            ParkReason::PivotExhausted(step) => Self::PivotExhausted(step.into()),
            ParkReason::PivotInDoubt(step) => Self::PivotInDoubt(step.into()),
            ParkReason::RefusedAfterPivot(step) => Self::RefusedAfterPivot(step.into()),
            ParkReason::PayloadConflict(step) => Self::PayloadConflict(step.into()),
            ParkReason::CompensationFailed => Self::CompensationFailed(Nothing {}),
            ParkReason::OutputTooLarge { step, bytes, limit } => {
                Self::OutputTooLarge(TooLarge::new(*step, *bytes, *limit))
            }
            ParkReason::Unmade(step) => Self::Unmade(step.into()),
            ParkReason::OutputUnmade => Self::OutputUnmade(Nothing {}),
            ParkReason::ChildParked(step) => Self::ChildParked(step.into()),
            ParkReason::SagaTooLarge { bytes, limit } => {
                Self::SagaTooLarge(Sizes { bytes: *bytes, limit: *limit })
            }
        }
    }
}

impl SagaParked {
    fn read(&self) -> Result<ParkReason, Flaw> {
        match &self.because {
            None => Err(Flaw::newer("the saga is parked for an unknown reason")),
            Some(SagaParkedBecause::PivotExhausted(step)) => Ok(ParkReason::PivotExhausted(step.read()?)),
            Some(SagaParkedBecause::PivotInDoubt(step)) => Ok(ParkReason::PivotInDoubt(step.read()?)),
            Some(SagaParkedBecause::RefusedAfterPivot(step)) => {
                Ok(ParkReason::RefusedAfterPivot(step.read()?))
            }
            Some(SagaParkedBecause::PayloadConflict(step)) => Ok(ParkReason::PayloadConflict(step.read()?)),
            Some(SagaParkedBecause::CompensationFailed(Nothing {})) => Ok(ParkReason::CompensationFailed),
            Some(SagaParkedBecause::OutputTooLarge(too_large)) => {
                let (step, bytes, limit) = too_large.read()?;
                Ok(ParkReason::OutputTooLarge { step, bytes, limit })
            }
            Some(SagaParkedBecause::Unmade(step)) => Ok(ParkReason::Unmade(step.read()?)),
            Some(SagaParkedBecause::OutputUnmade(Nothing {})) => Ok(ParkReason::OutputUnmade),
            Some(SagaParkedBecause::ChildParked(step)) => Ok(ParkReason::ChildParked(step.read()?)),
            Some(SagaParkedBecause::SagaTooLarge(Sizes { bytes, limit })) => {
                Ok(ParkReason::SagaTooLarge { bytes: *bytes, limit: *limit })
            }
        }
    }
}

impl From<&By> for Operated {
    fn from(by: &By) -> Self {
        Self { by: Some(by.into()) }
    }
}

impl Operated {
    fn read(self) -> Result<By, Flaw> {
        present(self.by, "operator")?.try_into()
    }
}

impl From<&By> for Operator {
    fn from(by: &By) -> Self {
        let key = by.key.as_ref();
        Self {
            who: by.who.clone(),
            why: by.why.clone(),
            key: key.map(|key| key.key.clone()),
            fingerprint: key.map(|key| Bytes::copy_from_slice(&key.fingerprint)),
        }
    }
}

impl TryFrom<Operator> for By {
    type Error = Flaw;

    fn try_from(stored: Operator) -> Result<Self, Flaw> {
        let key = match (stored.key, stored.fingerprint) {
            (None, None) => None,
            (Some(key), Some(fingerprint)) => {
                let fingerprint = fingerprint.as_ref().try_into();
                let fingerprint =
                    fingerprint.map_err(|_| Flaw::damaged("a verb's fingerprint does not have 32 bytes"))?;
                Some(VerbKey { key, fingerprint })
            }
            (Some(_), None) | (None, Some(_)) => {
                return Err(Flaw::damaged("a verb's key and its fingerprint come together"));
            }
        };
        Ok(Self { who: stored.who, why: stored.why, key })
    }
}

impl From<&CoreReason> for Reason {
    fn from(reason: &CoreReason) -> Self {
        Self { code: reason.code.clone(), message: reason.message.clone() }
    }
}

impl From<Reason> for CoreReason {
    fn from(stored: Reason) -> Self {
        Self { code: stored.code, message: stored.message }
    }
}

const fn given_up_code(why: GivenUp) -> u32 {
    match why {
        GivenUp::Exhausted => 1,
        GivenUp::TimedOut => 2,
        GivenUp::WorkingTooLong => 3,
        GivenUp::TurnedBack => 4,
    }
}

fn given_up_of(code: u32) -> Result<GivenUp, Flaw> {
    match code {
        0 => Err(Flaw::damaged("why the step was given up is missing")),
        1 => Ok(GivenUp::Exhausted),
        2 => Ok(GivenUp::TimedOut),
        3 => Ok(GivenUp::WorkingTooLong),
        4 => Ok(GivenUp::TurnedBack),
        other => Err(Flaw::newer(format!("the step was given up for the unknown reason {other}"))),
    }
}

fn definition_name(stored: String) -> Result<DefinitionName, Flaw> {
    if stored.is_empty() {
        Err(Flaw::damaged("its definition's name is missing"))
    } else {
        Ok(DefinitionName::new(stored))
    }
}

fn step_id(step: u32, occurrence: Option<u32>) -> Result<StepId, Flaw> {
    Ok(StepId { step: step_index(step)?, occurrence })
}

fn step_index(stored: u32) -> Result<StepIndex, Flaw> {
    match u16::try_from(stored) {
        Ok(step) => Ok(StepIndex(step)),
        Err(_) => Err(Flaw::damaged(format!("there is no step {stored}"))),
    }
}
