//! The barrier: makes a service's calls safe to repeat, in any order.
//!
//! Owns the table `amends_barrier`: one row per key, shared by an action and its undo. Promises that an
//! action takes effect at most once and never after its undo, that repeats get the first answer, that an undo
//! with nothing to undo succeeds and blocks the late action, and that nobody gets the answer to another
//! question. Does not lean on isolation levels: the row is inserted first, so conflicting calls wait for each
//! other at the unique key. It does not decide what an undo does either.
//!
//! Where the effect takes place decides which form a service takes:
//!
//! - **in the barrier's own database**: [`action`] and [`undo`]. Row and effect are one transaction.
//! - **in another system** that can be asked, or that knows an idempotency key: [`elsewhere`]. The intent is
//!   written first, the outcome afterwards, and the undo runs when in doubt.
//! - **as a message**: the outbox, which publishes what the business transaction wrote. It is not built yet;
//!   until then a message is an effect elsewhere.
//!
//! One key is one effect. Two effects in one database belong into one closure, two systems are two steps: a
//! second operation under one key is [`SecondEffect`](crate::BarrierError::SecondEffect), never the first
//! one's answer. `docs/guide/participants.md` shows both forms, and the SQL for services in other languages.
//! Start reading at [`action`].

pub mod elsewhere;
mod here;
mod repeat;
mod row;
mod state;

use rusqlite::Connection;

use crate::error::DataError;
pub use here::{action, action_in, undo, undo_in};

/// Creates the barrier's table, unless it is there.
///
/// # Errors
/// Those of the database.
pub fn install(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.execute_batch(row::TABLE)
}

/// Removes rows made before `before_ms`, looking at no more than the `limit` oldest, and says how many went.
/// Fewer than `limit` means that the rest is too young.
///
/// `before_ms` must lie further back than the oldest live transaction and the time its id stays reserved: an
/// undo that no longer finds the row of its action takes it for one that never came, or refuses when it is
/// [certain](crate::Delivery::certain).
///
/// # Errors
/// Those of the database.
pub fn forget_before(connection: &Connection, before_ms: i64, limit: usize) -> Result<usize, DataError> {
    row::delete_oldest(connection, before_ms, limit)
}
