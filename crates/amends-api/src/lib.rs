//! What Amends promises on the wire.
//!
//! Owns the shapes that servers send and clients read, with their words, and the table of error kinds.
//! Promises that a shape reads back as what was written, and that a client loses nothing it does not know: an
//! unknown code is kept, an unknown field is skipped. Does no input or output and leans on nothing of ours.
//! Start reading at [`Saga`] and [`ErrorKind`].

pub mod definition;
pub mod diagram;
pub mod error_kind;
pub mod fact;
pub mod health;
pub mod participant;
pub mod payload;
pub mod problem;
pub mod saga;
pub mod start;
pub mod verb;
pub mod words;

pub use definition::{Definition, DefinitionList, DefinitionSummary, Finding, Registered, Retired};
pub use error_kind::{ErrorKind, Retry};
pub use fact::{Fact, Journal};
pub use health::{Health, HealthStatus};
pub use participant::{Breaker, BreakerState, Outcomes, Participant, ParticipantError, ParticipantList};
pub use payload::Payload;
pub use problem::{Code, Problem};
pub use saga::{Compensation, Parent, Parked, Reason, Saga, Step};
pub use start::{Count, SagaList, SagaSummary, StartSaga};
pub use verb::{
    Bulk, BulkFilter, BulkRequest, BulkStatus, Callback, CallbackOutcome, SignalAccepted, VerbRequest,
};
pub use words::{CompensationStatus, Mode, SagaStatus, StepStatus, UnknownWord, VerbName};
