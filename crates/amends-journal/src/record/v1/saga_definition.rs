//! The stored shape of a saga's definition.
//!
//! Owns the messages of [`SagaSpec`], the definition as written. Promises to read back exactly what was
//! written: the content of a version never changes. Does not judge it: that is the checker's work, each time
//! it is loaded.

use std::time::Duration as Span;

use amends_core::{
    CallSpec, CallStep, ChildStep, CompensationSpec, DefinitionName, EachSpec, OnTimeout,
    Payload as PayloadSpec, RetryPolicy, SagaSpec, StepKind, StepSpec, WaitStep,
};

use super::{Duration, Nothing, present, span};
use crate::record::Flaw;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Definition {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, tag = "2")]
    version: u32,
    #[prost(message, optional, tag = "3")]
    limit: Option<Duration>,
    #[prost(string, optional, tag = "4")]
    pivot: Option<String>,
    #[prost(message, repeated, tag = "5")]
    steps: Vec<Step>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Step {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    after: Option<After>,
    #[prost(oneof = "Kind", tags = "3, 4, 5, 8")]
    kind: Option<Kind>,
    #[prost(bool, tag = "6")]
    when: bool,
    /// How many runs together; absent: it runs once.
    #[prost(uint32, optional, tag = "7")]
    each: Option<u32>,
}

#[expect(clippy::large_enum_variant, reason = "most steps are calls")]
#[derive(Clone, PartialEq, prost::Oneof)]
enum Kind {
    #[prost(message, tag = "3")]
    Call(Calls),
    #[prost(message, tag = "4")]
    Sleep(Duration),
    #[prost(message, tag = "5")]
    Wait(Wait),
    #[prost(message, tag = "8")]
    Child(Child),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Child {
    #[prost(string, tag = "1")]
    definition: String,
    #[prost(uint32, tag = "2")]
    version: u32,
    #[prost(message, optional, tag = "3")]
    limit: Option<Duration>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Calls {
    #[prost(message, optional, tag = "1")]
    action: Option<Call>,
    #[prost(message, optional, tag = "2")]
    limit: Option<Duration>,
    #[prost(oneof = "Compensation", tags = "3, 4, 5, 6")]
    compensation: Option<Compensation>,
    #[prost(string, repeated, tag = "7")]
    refuse_on: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Call {
    #[prost(string, tag = "1")]
    participant: String,
    #[prost(string, tag = "2")]
    operation: String,
    #[prost(message, optional, tag = "3")]
    attempt_limit: Option<Duration>,
    #[prost(message, optional, tag = "4")]
    retry: Option<Retry>,
    #[prost(oneof = "Payload", tags = "5, 6, 7, 8")]
    payload: Option<Payload>,
    /// Absent: an hour.
    #[prost(message, optional, tag = "9")]
    pending: Option<Duration>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Payload {
    #[prost(message, tag = "5")]
    Input(Nothing),
    #[prost(message, tag = "6")]
    Output(Nothing),
    #[prost(string, tag = "7")]
    Mapping(String),
    #[prost(message, tag = "8")]
    Expression(Nothing),
}

#[expect(clippy::large_enum_variant, reason = "most steps have an undo")]
#[derive(Clone, PartialEq, prost::Oneof)]
enum Compensation {
    #[prost(message, tag = "3")]
    Undeclared(Nothing),
    #[prost(message, tag = "4")]
    None(Nothing),
    #[prost(message, tag = "5")]
    Call(Undo),
    #[prost(message, tag = "6")]
    ReadOnly(Nothing),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Undo {
    #[prost(message, optional, tag = "1")]
    call: Option<Call>,
    #[prost(bool, tag = "2")]
    needs_output: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Wait {
    #[prost(string, tag = "1")]
    signal: String,
    #[prost(message, optional, tag = "2")]
    limit: Option<Duration>,
    #[prost(uint32, tag = "3")]
    on_timeout: u32,
    #[prost(string, optional, tag = "4")]
    refused_by: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct After {
    #[prost(string, repeated, tag = "1")]
    steps: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Retry {
    #[prost(uint32, optional, tag = "1")]
    attempts: Option<u32>,
    #[prost(message, optional, tag = "2")]
    first: Option<Duration>,
    #[prost(uint32, tag = "3")]
    factor: u32,
    #[prost(message, optional, tag = "4")]
    cap: Option<Duration>,
    #[prost(string, repeated, tag = "5")]
    not_retryable: Vec<String>,
}

impl From<&SagaSpec> for Definition {
    fn from(spec: &SagaSpec) -> Self {
        Self {
            name: spec.name.as_str().to_owned(),
            version: spec.version,
            limit: Some(spec.limit.into()),
            pivot: spec.pivot.clone(),
            steps: spec.steps.iter().map(Step::from).collect(),
        }
    }
}

impl TryFrom<Definition> for SagaSpec {
    type Error = Flaw;

    fn try_from(stored: Definition) -> Result<Self, Flaw> {
        Ok(Self {
            name: DefinitionName::new(stored.name),
            version: stored.version,
            limit: span(stored.limit, "limit")?,
            pivot: stored.pivot,
            steps: stored.steps.into_iter().map(StepSpec::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&StepSpec> for Step {
    fn from(step: &StepSpec) -> Self {
        Self {
            name: step.name.clone(),
            after: step.after.as_ref().map(|steps| After { steps: steps.clone() }),
            kind: Some((&step.kind).into()),
            when: step.when,
            each: step.each.map(|each| each.concurrency),
        }
    }
}

impl TryFrom<Step> for StepSpec {
    type Error = Flaw;

    fn try_from(stored: Step) -> Result<Self, Flaw> {
        let Some(kind) = stored.kind else { return Err(Flaw::newer("a step is of an unknown kind")) };
        Ok(Self {
            name: stored.name,
            after: stored.after.map(|after| after.steps),
            when: stored.when,
            each: stored.each.map(|concurrency| EachSpec { concurrency }),
            kind: kind.try_into()?,
        })
    }
}

impl From<&StepKind> for Kind {
    fn from(kind: &StepKind) -> Self {
        match kind {
            StepKind::Call(CallStep { action, limit, compensation, refuse_on }) => Self::Call(Calls {
                action: Some(action.into()),
                limit: limit.map(Duration::from),
                compensation: Some(compensation.into()),
                refuse_on: refuse_on.clone(),
            }),
            StepKind::Sleep { length } => Self::Sleep((*length).into()),
            StepKind::Wait(WaitStep { signal, limit, on_timeout, refused_by }) => Self::Wait(Wait {
                signal: signal.clone(),
                limit: Some((*limit).into()),
                on_timeout: on_timeout_code(*on_timeout),
                refused_by: refused_by.clone(),
            }),
            StepKind::Child(ChildStep { definition, version, limit }) => Self::Child(Child {
                definition: definition.as_str().to_owned(),
                version: *version,
                limit: limit.map(Duration::from),
            }),
        }
    }
}

impl TryFrom<Kind> for StepKind {
    type Error = Flaw;

    fn try_from(stored: Kind) -> Result<Self, Flaw> {
        Ok(match stored {
            Kind::Call(calls) => Self::Call(CallStep {
                action: present(calls.action, "action")?.try_into()?,
                limit: calls.limit.map(Span::try_from).transpose()?,
                compensation: match calls.compensation {
                    None => return Err(Flaw::newer("a step has an unknown kind of compensation")),
                    Some(compensation) => compensation.try_into()?,
                },
                refuse_on: calls.refuse_on,
            }),
            Kind::Sleep(length) => Self::Sleep { length: length.try_into()? },
            Kind::Wait(wait) => Self::Wait(WaitStep {
                signal: wait.signal,
                limit: span(wait.limit, "wait's limit")?,
                on_timeout: on_timeout_of(wait.on_timeout)?,
                refused_by: wait.refused_by,
            }),
            Kind::Child(child) => Self::Child(ChildStep {
                definition: DefinitionName::new(child.definition),
                version: child.version,
                limit: child.limit.map(Span::try_from).transpose()?,
            }),
        })
    }
}

impl From<&CallSpec> for Call {
    fn from(call: &CallSpec) -> Self {
        Self {
            participant: call.participant.clone(),
            operation: call.operation.clone(),
            attempt_limit: Some(call.attempt_limit.into()),
            retry: call.retry.as_ref().map(Retry::from),
            payload: Some(match &call.payload {
                PayloadSpec::Input => Payload::Input(Nothing {}),
                PayloadSpec::Output => Payload::Output(Nothing {}),
                PayloadSpec::Mapping(name) => Payload::Mapping(name.clone()),
                PayloadSpec::Expression => Payload::Expression(Nothing {}),
            }),
            pending: call.pending.map(Duration::from),
        }
    }
}

impl TryFrom<Call> for CallSpec {
    type Error = Flaw;

    fn try_from(stored: Call) -> Result<Self, Flaw> {
        Ok(Self {
            participant: stored.participant,
            operation: stored.operation,
            attempt_limit: span(stored.attempt_limit, "attempt limit")?,
            retry: stored.retry.map(RetryPolicy::try_from).transpose()?,
            payload: match stored.payload {
                None => return Err(Flaw::newer("a call has an unknown kind of payload")),
                Some(Payload::Input(Nothing {})) => PayloadSpec::Input,
                Some(Payload::Output(Nothing {})) => PayloadSpec::Output,
                Some(Payload::Mapping(name)) => PayloadSpec::Mapping(name),
                Some(Payload::Expression(Nothing {})) => PayloadSpec::Expression,
            },
            pending: stored.pending.map(Span::try_from).transpose()?,
        })
    }
}

impl From<&CompensationSpec> for Compensation {
    fn from(compensation: &CompensationSpec) -> Self {
        match compensation {
            CompensationSpec::Undeclared => Self::Undeclared(Nothing {}),
            CompensationSpec::None => Self::None(Nothing {}),
            CompensationSpec::ReadOnly => Self::ReadOnly(Nothing {}),
            CompensationSpec::Call { call, needs_output } => {
                Self::Call(Undo { call: Some(call.into()), needs_output: *needs_output })
            }
        }
    }
}

impl TryFrom<Compensation> for CompensationSpec {
    type Error = Flaw;

    fn try_from(stored: Compensation) -> Result<Self, Flaw> {
        Ok(match stored {
            Compensation::Undeclared(Nothing {}) => Self::Undeclared,
            Compensation::None(Nothing {}) => Self::None,
            Compensation::ReadOnly(Nothing {}) => Self::ReadOnly,
            Compensation::Call(undo) => Self::Call {
                call: present(undo.call, "undo's call")?.try_into()?,
                needs_output: undo.needs_output,
            },
        })
    }
}

const fn on_timeout_code(on_timeout: OnTimeout) -> u32 {
    match on_timeout {
        OnTimeout::TurnBack => 1,
        OnTimeout::GoOn => 2,
    }
}

fn on_timeout_of(code: u32) -> Result<OnTimeout, Flaw> {
    match code {
        0 => Err(Flaw::damaged("what follows a wait in vain is missing")),
        1 => Ok(OnTimeout::TurnBack),
        2 => Ok(OnTimeout::GoOn),
        other => Err(Flaw::newer(format!("what follows a wait in vain is {other}"))),
    }
}

impl From<&RetryPolicy> for Retry {
    fn from(policy: &RetryPolicy) -> Self {
        Self {
            attempts: policy.attempts,
            first: Some(policy.first.into()),
            factor: policy.factor,
            cap: Some(policy.cap.into()),
            not_retryable: policy.not_retryable.clone(),
        }
    }
}

impl TryFrom<Retry> for RetryPolicy {
    type Error = Flaw;

    fn try_from(stored: Retry) -> Result<Self, Flaw> {
        Ok(Self {
            attempts: stored.attempts,
            first: span(stored.first, "first rest")?,
            factor: stored.factor,
            cap: span(stored.cap, "longest rest")?,
            not_retryable: stored.not_retryable,
        })
    }
}
