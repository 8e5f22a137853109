//! The hands: what carries sagas out.
//!
//! Owns the [`shard`] (a synchronous state machine over many sagas) and the thin asynchronous shell around it that
//! holds the journal, the timers and the participants. Promises that an effect leaves only after the events behind it
//! are durable. Does not decide what follows from an answer: that is `amends-core`. Start reading at [`Engine`], then
//! `shard/mod.rs`.

pub mod call;
mod clock;
pub mod engine;
mod fingerprint;
pub mod leases;
pub mod limits;
mod loader;
mod recovery;
mod registry;
mod retention;
pub mod shard;
mod shell;
mod sleeper;

pub use call::{Call, Participant, local};
pub use engine::{Engine, EngineBuilder, Options, SagaView};
pub use engine::{OperateError, ReadError, StartError, StartRequest, StartUpError, Wait};
pub use registry::Plan;
