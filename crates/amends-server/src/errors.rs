//! From the engine's errors to problems.
//!
//! Owns the one mapping. Promises that the detail of a problem is what the error says. The kinds themselves,
//! with status and page, are [`amends_api::ErrorKind`]'s.

use amends_api::{ErrorKind, SagaStatus};
use amends_engine::{ReadError, StartError};

use crate::problem::Problem;

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

fn unreadable(problem: impl Fn(ErrorKind) -> Problem, saga: &str) -> Problem {
    problem(ErrorKind::SagaUnreadable).with("saga_id", saga).with("status", SagaStatus::Parked.as_str())
}
