//! What a service adds to be safe to call again: the barrier, and a database that flushes in groups.
//!
//! Owns the table `amends_barrier` inside the service's own database, and the one connection that writes
//! there. Promises that a repeated call gets the first answer, that an undo with nothing to undo blocks the
//! late action, and that an answer leaves only after the transaction behind it is on disk. Does not know
//! sagas or JSON: payloads and answers are bytes; the feature `http` reads a call from a request's headers and
//! makes a response of its answer. Start reading at [`barrier`] for the rule and
//! at [`database::Database`] for the flush.

mod answer;
pub mod barrier;
pub mod database;
mod delivery;
mod error;
#[cfg(feature = "http")]
pub mod http;
mod key;
pub mod limits;
mod savepoint;

/// The guide: its examples compile and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/participants.md")]
struct Guide;

pub use answer::{Answer, Decision, ROW_FORGOTTEN, Refusal, UNDONE};
pub use delivery::Delivery;
pub use error::{BarrierError, DataError, PAYLOAD_CONFLICT, SECOND_EFFECT};
pub use key::{CallKey, Direction, KeyError, KeyParts};
pub use savepoint::Savepoint;
