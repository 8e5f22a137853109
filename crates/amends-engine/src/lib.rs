//! The hands: what carries transactions out.
//!
//! Owns the [`shard`] (a synchronous state machine over many transactions) and the thin asynchronous shell
//! around it that holds the journal, the timers and the participants. Promises that an effect leaves only
//! after the facts behind it are durable. Does not decide what follows from an answer: that is `amends-core`.
//! Start reading at [`Engine`], then `shard/mod.rs`.

mod admission;
mod alarm;
mod blocking;
mod builder;
mod callback;
mod clock;
mod definitions;
pub mod engine;
mod errors;
pub mod fingerprint;
mod history;
mod json;
mod leases;
pub mod limits;
mod loader;
mod mailbox;
mod metrics;
mod options;
pub mod participant;
mod recovery;
mod registry;
mod retention;
mod scope;
pub mod shard;
mod shell;
mod sleeper;

pub use builder::EngineBuilder;
pub use callback::CallbackKey;
pub use clock::Clock;
pub use definitions::{DefinitionView, Registration};
pub use engine::{Engine, StartRequest, View, Wait};
pub use errors::{
    CallbackError, EraseError, OperateError, ReadError, RegisterError, RetireError, SignalError, StartError,
    StartUpError,
};
pub use history::History;
pub use json::Flaw;
pub use leases::Leases;
pub use metrics::EngineMeters;
pub use options::Options;
pub use participant::connect::{Connect, Connected, GateLimits};
pub use participant::trace::traceparent;
pub use participant::{BreakerView, Call, LastError, OutcomeCounts, Participant, ParticipantView, local};
pub use registry::{Missing, Runnable};
