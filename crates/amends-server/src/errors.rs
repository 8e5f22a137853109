//! From the engine's errors to problems.
//!
//! Owns the one mapping. Promises that the detail of a problem is what the error says. The kinds themselves,
//! with status and page, are [`amends_api::ErrorKind`]'s.

use amends_api::{ErrorKind, SagaStatus};
use amends_core::Rejected;
use amends_definition::InputFlaw;
use amends_engine::{CallbackError, OperateError, ReadError, SignalError, StartError};
use serde_json::{Value, json};

use crate::problem::Problem;

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        let detail = error.to_string();
        let problem = |kind| Self::new(kind, detail.as_str());
        match error {
            StartError::UnknownDefinition(_) | StartError::UnknownVersion { .. } => {
                problem(ErrorKind::NotFound)
            }
            StartError::Retired { .. } => problem(ErrorKind::DefinitionRetired),
            StartError::InputNotJson => problem(ErrorKind::BadRequest),
            StartError::InputInvalid(flaws) => {
                let flaw = |flaw: &InputFlaw| json!({"pointer": flaw.pointer, "message": flaw.message});
                problem(ErrorKind::InputInvalid).with("flaws", flaws.iter().map(flaw).collect::<Value>())
            }
            StartError::InputTooLarge(_) => problem(ErrorKind::BodyTooLarge),
            StartError::BadKey => problem(ErrorKind::IdempotencyKeyInvalid),
            StartError::DuplicateName(_) => problem(ErrorKind::DuplicateField),
            StartError::KeyReused { id } => problem(ErrorKind::KeyReused).with("saga_id", id.to_string()),
            StartError::Removed { id } => problem(ErrorKind::SagaRemoved).with("saga_id", id.to_string()),
            StartError::NotOwner => problem(ErrorKind::OwnedElsewhere),
            StartError::Full(_) => problem(ErrorKind::EngineFull),
            StartError::DiskLow => problem(ErrorKind::DiskLow),
            StartError::Stopping => problem(ErrorKind::Stopping),
            StartError::Unreadable { id, .. } => unreadable(problem, &id.to_string()),
            StartError::Unknown(_) => problem(ErrorKind::OutcomeUnknown),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        let detail = error.to_string();
        let problem = |kind| Self::new(kind, detail.as_str());
        match error {
            ReadError::Removed { id } => problem(ErrorKind::SagaRemoved).with("saga_id", id.to_string()),
            ReadError::NotOwner => problem(ErrorKind::OwnedElsewhere),
            ReadError::Unreadable { id, .. } => unreadable(problem, &id.to_string()),
            ReadError::Full => problem(ErrorKind::EngineFull),
            ReadError::Stopping => problem(ErrorKind::Stopping),
            ReadError::Journal(_) => problem(ErrorKind::Internal),
        }
    }
}

impl From<OperateError> for Problem {
    fn from(error: OperateError) -> Self {
        let detail = error.to_string();
        match error {
            OperateError::NotFound => Self::new(ErrorKind::NotFound, detail),
            OperateError::OutputNotJson => Self::new(ErrorKind::BadRequest, detail),
            OperateError::DuplicateName(_) => Self::new(ErrorKind::DuplicateField, detail),
            OperateError::Erased => Self::new(ErrorKind::Erased, detail),
            OperateError::Rejected(rejected) => rejection(&rejected, detail),
            OperateError::Read(error) => error.into(),
        }
    }
}

impl From<SignalError> for Problem {
    fn from(error: SignalError) -> Self {
        let detail = error.to_string();
        match error {
            SignalError::NotFound => Self::new(ErrorKind::NotFound, detail),
            SignalError::BodyNotJson => Self::new(ErrorKind::BadRequest, detail),
            SignalError::DuplicateName(_) => Self::new(ErrorKind::DuplicateField, detail),
            SignalError::BadKey => Self::new(ErrorKind::IdempotencyKeyInvalid, detail),
            SignalError::Rejected(rejected) => rejection(&rejected, detail),
            SignalError::Read(error) => error.into(),
        }
    }
}

impl From<CallbackError> for Problem {
    fn from(error: CallbackError) -> Self {
        let detail = error.to_string();
        match error {
            CallbackError::UnknownToken | CallbackError::NotFound => Self::new(ErrorKind::NotFound, detail),
            CallbackError::Rejected(rejected) => rejection(&rejected, detail),
            CallbackError::Read(error) => error.into(),
        }
    }
}

/// What a transaction's state, or its definition, forbids.
fn rejection(rejected: &Rejected, detail: String) -> Problem {
    match rejected {
        Rejected::Verb { status, .. } | Rejected::NotListening { status } => {
            Problem::new(ErrorKind::StateConflict, detail).with("status", *status)
        }
        Rejected::Stale { is, .. } => {
            Problem::new(ErrorKind::PreconditionFailed, detail).with("sequence", *is)
        }
        Rejected::Callback { .. } => Problem::new(ErrorKind::CallbackConflict, detail),
        Rejected::OfRoot { root, .. } => {
            Problem::new(ErrorKind::StateConflict, detail).with("root", root.to_string())
        }
        Rejected::RefusalNotCoded => Problem::new(ErrorKind::RefusalNotCoded, detail),
        Rejected::AttemptUnknown => Problem::new(ErrorKind::AttemptUnknown, detail),
        Rejected::NotWaited { .. } => Problem::new(ErrorKind::StateConflict, detail),
        Rejected::UnknownSignal { .. } => Problem::new(ErrorKind::NotFound, detail),
        Rejected::SignalKeyReused { .. } | Rejected::VerbKeyReused { .. } => {
            Problem::new(ErrorKind::KeyReused, detail)
        }
        Rejected::TooManySignals { .. } => Problem::new(ErrorKind::TooManySignals, detail),
        Rejected::TooLarge { .. } => Problem::new(ErrorKind::BodyTooLarge, detail),
    }
}

fn unreadable(problem: impl Fn(ErrorKind) -> Problem, saga: &str) -> Problem {
    problem(ErrorKind::SagaUnreadable).with("saga_id", saga).with("status", SagaStatus::Parked.as_str())
}
