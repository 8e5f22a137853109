//! From the engine's errors to problems.
//!
//! Owns the one mapping. Promises that the detail of a problem is what the error says. The kinds themselves,
//! with status and page, are [`amends_api::ErrorKind`]'s.

use amends_api::{ErrorKind, SagaStatus};
use amends_engine::{OperateError, ReadError, StartError};

use crate::problem::Problem;
use crate::wire;

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        let detail = error.to_string();
        let problem = |kind| Self::new(kind, detail.as_str());
        match error {
            StartError::UnknownDefinition(_) => problem(ErrorKind::NotFound),
            StartError::InputNotJson => problem(ErrorKind::BadRequest),
            StartError::InputTooLarge(_) => problem(ErrorKind::BodyTooLarge),
            StartError::BadKey => problem(ErrorKind::IdempotencyKeyInvalid),
            StartError::KeyReused { saga } => problem(ErrorKind::KeyReused).with("saga_id", saga.to_string()),
            StartError::Full(_) => problem(ErrorKind::EngineFull),
            StartError::DiskLow => problem(ErrorKind::DiskLow),
            StartError::Stopping => problem(ErrorKind::Stopping),
            StartError::Unreadable { saga, .. } => unreadable(problem, &saga.to_string()),
            StartError::Unknown(_) => problem(ErrorKind::OutcomeUnknown),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        let detail = error.to_string();
        let problem = |kind| Self::new(kind, detail.as_str());
        match error {
            ReadError::Unreadable { saga, .. } => unreadable(problem, &saga.to_string()),
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
            OperateError::Rejected(rejected) => Self::new(ErrorKind::StateConflict, detail)
                .with("status", wire::status(rejected.status).as_str()),
            OperateError::Read(error) => error.into(),
        }
    }
}

fn unreadable(problem: impl Fn(ErrorKind) -> Problem, saga: &str) -> Problem {
    problem(ErrorKind::SagaUnreadable).with("saga_id", saga).with("status", SagaStatus::Parked.as_str())
}
