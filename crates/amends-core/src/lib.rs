//! What is true of a transaction, and what follows from it.
//!
//! Owns the definitions, the saga's state machine, retry arithmetic and the invariants. Three calls carry everything:
//! [`Saga::decide`] (state and command → events), [`Saga::apply`] (state and event → state) and [`Saga::owed_calls`]
//! (state → calls to make and the next wake-up).
//! Promises the same answer for the same arguments: time, identifiers and randomness arrive as arguments.
//! Does not know storage, network, threads or clocks; a test (`tests/purity.rs`) keeps it so. Start reading at [`saga`].

pub mod command;
mod decide;
pub mod definition;
pub mod event;
pub mod id;
mod invariant;
pub mod limits;
pub mod outcome;
mod owed;
pub mod partition;
pub mod retry;
pub mod saga;
pub mod standing;
mod step_set;
pub mod time;
pub mod transition;

pub use command::{By, Command, Moment, Rejected, Verb};
pub use definition::{
    CompensationSpec, Definition, DefinitionName, DefinitionSpec, Finding, Role, StepIndex, StepSpec, Warning,
};
pub use event::{Cause, Direction, Event, GivenUp, ParkReason};
pub use id::TransactionId;
pub use outcome::{Outcome, Reason, Refusal};
pub use owed::CallParticipant;
pub use partition::{PARTITIONS, Partition, Partitions};
pub use retry::{Entropy, RetryPolicy};
pub use saga::{ApplyError, Saga, StepRun, StepState};
pub use standing::{End, Mode, Standing, StandingKind, Standings, Way};
pub use time::Time;
pub use transition::{Status, StepStatus};
