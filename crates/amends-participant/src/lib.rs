//! What a service adds to be safe to call again: the barrier, and a database that flushes in groups.
//!
//! Owns the table `amends_barrier` inside the service's own database, and the one connection that writes there.
//! Promises that a repeated call gets the first answer, that an undo with nothing to undo blocks the late action,
//! and that an answer leaves only after the transaction behind it is on disk.
//! Does not know sagas, transports or JSON: payloads and answers are bytes. Start reading at [`barrier::action`]
//! for the rule and at [`database::Database`] for the flush.

pub mod barrier;
mod call;
pub mod database;
mod error;
pub mod limits;
mod savepoint;

pub use call::{Answer, Call, Decision, Refusal, UNDONE};
pub use error::{BarrierError, DataError, PAYLOAD_CONFLICT};
pub use savepoint::Savepoint;
