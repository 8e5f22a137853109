//! What is true of a transaction, and what follows from it.
//!
//! Owns the modes (sagas today), their state machines, retry arithmetic and the invariants. Four calls carry
//! everything: [`Transaction::start`] and [`Transaction::handle`] (state and command → facts, taken in
//! already), [`Transaction::apply`] (state and facts → state) and [`Transaction::owed`] (state → effects).
//! Promises the same answer for the same arguments: time, identifiers and randomness arrive as arguments.
//! Does not know storage, network, threads or clocks; a test (`tests/purity.rs`) keeps it so. Start reading
//! at [`transaction`], then [`saga`].

pub mod attempt;
pub mod command;
pub mod definition;
pub mod effect;
#[cfg(feature = "errand")]
pub mod errand;
pub mod expressions;
pub mod id;
mod json;
pub mod limits;
mod misfit;
pub mod moment;
mod name;
pub mod origin;
pub mod outcome;
pub mod partition;
pub mod payload;
pub mod retry;
pub mod saga;
pub mod standing;
mod step_set;
pub mod transaction;

pub use attempt::{AttemptId, CallId, Direction, StepId, StepIndex};
pub use command::{By, ChildStands, Command, Rejected, Signal, Verb, VerbKey};
pub use definition::{Definition, DefinitionSpec};
pub use effect::{Effect, EffectId, OwedCall, OwedChild, Want};
pub use expressions::Expressions;
pub use id::TransactionId;
pub use misfit::ApplyError;
pub use moment::{Entropy, Moment, SizeLimits, Time};
pub use name::DefinitionName;
pub use origin::{Origin, Parent};
pub use outcome::{Outcome, Reason, Refusal};
pub use partition::{PARTITIONS, Partition, Partitions};
pub use payload::{Mapping, Payload, Scope, Terms};
pub use retry::RetryPolicy;
pub use saga::definition::{
    CallSpec, CallStep, ChildStep, CompensationSpec, EachSpec, Finding, OnTimeout, Role, SagaDefinition,
    SagaSpec, StepKind, StepSpec, WaitStep, Warning,
};
pub use saga::{Cause, Event, GivenUp, ParkReason, Saga, Status, StepRun, StepState, StepStatus};
pub use standing::{End, Mode, Standing, StandingKind, Standings, Way};
pub use transaction::{Child, Facts, Transaction};
