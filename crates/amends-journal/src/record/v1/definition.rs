//! The stored shape of a definition.
//!
//! Owns the messages of [`DefinitionSpec`], the plan as written. Promises to read back exactly what was written: the
//! content of a version never changes. Does not judge the plan: that is the checker's work, each time it is loaded.

use std::time::Duration as Span;

use amends_core::{CompensationSpec, DefinitionName, DefinitionSpec, RetryPolicy, StepSpec};

use super::{Flaw, Nothing, present};

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::record) struct Definition {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, tag = "2")]
    version: u32,
    #[prost(message, optional, tag = "3")]
    limit: Option<Duration>,
    #[prost(string, optional, tag = "4")]
    pivot: Option<String>,
    #[prost(message, repeated, tag = "5")]
    steps: Vec<DefinedStep>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct DefinedStep {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    after: Option<After>,
    #[prost(string, tag = "3")]
    participant: String,
    #[prost(string, tag = "4")]
    operation: String,
    #[prost(message, optional, tag = "5")]
    attempt_limit: Option<Duration>,
    #[prost(message, optional, tag = "6")]
    limit: Option<Duration>,
    #[prost(message, optional, tag = "7")]
    retry: Option<Retry>,
    #[prost(oneof = "Compensation", tags = "8, 9, 10")]
    compensation: Option<Compensation>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct After {
    #[prost(string, repeated, tag = "1")]
    steps: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Compensation {
    #[prost(message, tag = "8")]
    Undeclared(Nothing),
    #[prost(message, tag = "9")]
    None(Nothing),
    #[prost(message, tag = "10")]
    Call(CompensationCall),
}

#[derive(Clone, PartialEq, prost::Message)]
struct CompensationCall {
    #[prost(string, tag = "1")]
    operation: String,
    #[prost(bool, tag = "2")]
    needs_output: bool,
    #[prost(message, optional, tag = "3")]
    attempt_limit: Option<Duration>,
    #[prost(message, optional, tag = "4")]
    retry: Option<Retry>,
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

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Duration {
    #[prost(uint64, tag = "1")]
    seconds: u64,
    #[prost(uint32, tag = "2")]
    nanoseconds: u32,
}

impl From<&DefinitionSpec> for Definition {
    fn from(spec: &DefinitionSpec) -> Self {
        Self {
            name: spec.name.as_str().to_owned(),
            version: spec.version,
            limit: Some(spec.limit.into()),
            pivot: spec.pivot.clone(),
            steps: spec.steps.iter().map(DefinedStep::from).collect(),
        }
    }
}

impl TryFrom<Definition> for DefinitionSpec {
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

impl From<&StepSpec> for DefinedStep {
    fn from(step: &StepSpec) -> Self {
        Self {
            name: step.name.clone(),
            after: step.after.as_ref().map(|steps| After { steps: steps.clone() }),
            participant: step.participant.clone(),
            operation: step.operation.clone(),
            attempt_limit: Some(step.attempt_limit.into()),
            limit: step.limit.map(Duration::from),
            retry: step.retry.as_ref().map(Retry::from),
            compensation: Some((&step.compensation).into()),
        }
    }
}

impl TryFrom<DefinedStep> for StepSpec {
    type Error = Flaw;

    fn try_from(stored: DefinedStep) -> Result<Self, Flaw> {
        Ok(Self {
            name: stored.name,
            after: stored.after.map(|after| after.steps),
            participant: stored.participant,
            operation: stored.operation,
            attempt_limit: span(stored.attempt_limit, "attempt limit")?,
            limit: stored.limit.map(Span::try_from).transpose()?,
            retry: stored.retry.map(RetryPolicy::try_from).transpose()?,
            compensation: match stored.compensation {
                None => return Err(Flaw::newer("a step has an unknown kind of compensation")),
                Some(compensation) => compensation.try_into()?,
            },
        })
    }
}

impl From<&CompensationSpec> for Compensation {
    fn from(compensation: &CompensationSpec) -> Self {
        match compensation {
            CompensationSpec::Undeclared => Self::Undeclared(Nothing {}),
            CompensationSpec::None => Self::None(Nothing {}),
            CompensationSpec::Call { operation, needs_output, attempt_limit, retry } => {
                Self::Call(CompensationCall {
                    operation: operation.clone(),
                    needs_output: *needs_output,
                    attempt_limit: Some((*attempt_limit).into()),
                    retry: Some(retry.into()),
                })
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
            Compensation::Call(call) => Self::Call {
                operation: call.operation,
                needs_output: call.needs_output,
                attempt_limit: span(call.attempt_limit, "undo's attempt limit")?,
                retry: present(call.retry, "undo's retry policy")?.try_into()?,
            },
        })
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

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self { seconds: span.as_secs(), nanoseconds: span.subsec_nanos() }
    }
}

impl TryFrom<Duration> for Span {
    type Error = Flaw;

    fn try_from(stored: Duration) -> Result<Self, Flaw> {
        // More than a second of nanoseconds was never written, and `Duration::new` would panic on some of them.
        if stored.nanoseconds < 1_000_000_000 {
            Ok(Self::new(stored.seconds, stored.nanoseconds))
        } else {
            Err(Flaw::damaged("a span of time has more than a second of nanoseconds"))
        }
    }
}

fn span(stored: Option<Duration>, name: &str) -> Result<Span, Flaw> {
    present(stored, name)?.try_into()
}
