//! The barrier: makes a service's steps safe to call again, in any order.
//!
//! Owns one row per saga and step, written in the transaction of the business change it stands for.
//! Promises that an action takes effect at most once and never after its undo, that repeats get the first answer, and
//! that an undo with nothing to undo succeeds and blocks the late action.
//! Does not lean on isolation levels: the row is inserted first, so conflicting calls wait for each other at the unique
//! key. It does not decide what an undo does either. Start reading at [`action`].

mod row;

use rusqlite::Connection;

use crate::call::{Answer, Call, Decision, Refusal, UNDONE};
use crate::error::{BarrierError, DataError};
use crate::limits::ANSWER_BYTES_MAX;
use crate::savepoint::Savepoint;
use row::{Hash, Row, State};

/// What an undo answers when there was nothing to undo.
const NOTHING: &[u8] = b"null";

/// Creates the barrier's table, unless it is there.
///
/// # Errors
/// Those of the database.
pub fn install(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.execute_batch(row::TABLE)
}

/// Carries out an action once: runs `business` unless this call was answered before.
///
/// Give it a connection inside an open write transaction (`BEGIN IMMEDIATE`), or one outside of any, which makes the
/// call a transaction of its own. A refusal of `business` is rolled back, remembered and given again.
///
/// # Errors
/// [`BarrierError::PayloadConflict`] when the step was called with another payload; otherwise everything of this call
/// is rolled back and the caller answers *unknown*.
pub fn action(
    connection: &Connection,
    call: &Call<'_>,
    now_ms: i64,
    business: impl FnOnce(&Connection) -> Result<Decision, DataError>,
) -> Result<Answer, BarrierError> {
    let savepoint = Savepoint::begin(connection)?;
    let answer = action_in(&savepoint, call, now_ms, business)?;
    savepoint.release()?;
    Ok(answer)
}

/// [`action`] as the whole of a savepoint, which [`Database::submit`](crate::database::Database::submit) opens for each write: a
/// second one would cost as much as a row. After a refusal nothing of the savepoint is left but its memory; after an error it
/// must be taken back.
///
/// # Errors
/// Those of [`action`].
pub fn action_in(
    savepoint: &Savepoint<'_>,
    call: &Call<'_>,
    now_ms: i64,
    business: impl FnOnce(&Connection) -> Result<Decision, DataError>,
) -> Result<Answer, BarrierError> {
    let hash = Hash::of(call.payload);
    let Some(number) = row::insert(savepoint, call, now_ms)? else {
        return repeated_action(call, &hash, row::load(savepoint, call)?);
    };
    match business(savepoint)? {
        Ok(output) => {
            check_length(output.len())?;
            let state = State::Acted { action: hash, answer: output.clone() };
            row::write(savepoint, call, &Row { number, created_at_ms: now_ms, state: &state })?;
            Ok(Answer::Completed(output))
        }
        Err(refusal) => {
            check_length(refusal.message.len() + refusal.details.as_ref().map_or(0, Vec::len))?;
            savepoint.start_over()?;
            remember_refusal(savepoint, call, now_ms, hash, &refusal)?;
            Ok(Answer::Refused(refusal))
        }
    }
}

/// Takes an action back once: runs `business` only if the action took effect and was not undone before.
///
/// A refusal of `business` is rolled back and *not* remembered, so that the undo can be tried again.
///
/// # Errors
/// [`BarrierError::PayloadConflict`] when the step was undone with another payload; otherwise everything of this call
/// is rolled back and the caller answers *unknown*.
pub fn undo(
    connection: &Connection,
    call: &Call<'_>,
    now_ms: i64,
    business: impl FnOnce(&Connection) -> Result<Decision, DataError>,
) -> Result<Answer, BarrierError> {
    let savepoint = Savepoint::begin(connection)?;
    let answer = undo_in(&savepoint, call, now_ms, business)?;
    savepoint.release()?;
    Ok(answer)
}

/// [`undo`] as the whole of a savepoint, as [`action_in`] is of [`action`].
///
/// # Errors
/// Those of [`undo`].
pub fn undo_in(
    savepoint: &Savepoint<'_>,
    call: &Call<'_>,
    now_ms: i64,
    business: impl FnOnce(&Connection) -> Result<Decision, DataError>,
) -> Result<Answer, BarrierError> {
    let nothing = || Answer::Completed(NOTHING.to_vec());
    let found = match row::insert(savepoint, call, now_ms)? {
        Some(number) => {
            row::write(savepoint, call, &Row { number, created_at_ms: now_ms, state: &State::Blocked })?;
            return Ok(nothing());
        }
        None => row::load(savepoint, call)?,
    };
    let Row { number, created_at_ms, state } = found;
    let hash = Hash::of(call.payload);
    match state {
        State::Blocked => Ok(nothing()),
        State::Refused { .. } => {
            row::write(savepoint, call, &Row { number, created_at_ms, state: &State::Blocked })?;
            Ok(nothing())
        }
        State::Undone { undo, undo_answer, .. } => {
            require_same(call, &undo, &hash)?;
            Ok(Answer::Completed(undo_answer))
        }
        State::Acted { action, answer } => match business(savepoint)? {
            Ok(output) => {
                check_length(output.len())?;
                let state = State::Undone { action, answer, undo: hash, undo_answer: output.clone() };
                row::write(savepoint, call, &Row { number, created_at_ms, state: &state })?;
                Ok(Answer::Completed(output))
            }
            Err(refusal) => {
                savepoint.start_over()?;
                Ok(Answer::Refused(refusal))
            }
        },
    }
}

/// Removes rows made before `before_ms`, looking at no more than the `limit` oldest, and says how many went. Fewer than
/// `limit` means that the rest is too young.
///
/// `before_ms` must lie further back than the oldest live saga and the time its id stays reserved: an undo that no
/// longer finds the row of its action takes it for one that never came.
///
/// # Errors
/// Those of the database.
pub fn forget_before(connection: &Connection, before_ms: i64, limit: usize) -> Result<usize, DataError> {
    row::delete_oldest(connection, before_ms, limit)
}

fn repeated_action(call: &Call<'_>, hash: &Hash, found: Row<State>) -> Result<Answer, BarrierError> {
    match found.state {
        // Before the payload is compared: an undone step stays undone, whatever comes late.
        State::Undone { .. } => Ok(Answer::Refused(Refusal::new(UNDONE, "this step was undone before"))),
        State::Blocked => {
            Ok(Answer::Refused(Refusal::new(UNDONE, "the undo of this step came before its action")))
        }
        State::Acted { action, answer } => {
            require_same(call, &action, hash)?;
            Ok(Answer::Completed(answer))
        }
        State::Refused { action, refusal } => {
            require_same(call, &action, hash)?;
            Ok(Answer::Refused(refusal))
        }
    }
}

fn remember_refusal(
    connection: &Connection,
    call: &Call<'_>,
    now_ms: i64,
    hash: Hash,
    refusal: &Refusal,
) -> Result<(), BarrierError> {
    let number = row::insert(connection, call, now_ms)?
        .expect("the write lock outlives the rollback to a savepoint, so nobody can have inserted this key");
    let state = State::Refused { action: hash, refusal: refusal.clone() };
    row::write(connection, call, &Row { number, created_at_ms: now_ms, state: &state })?;
    Ok(())
}

fn require_same(call: &Call<'_>, first: &Hash, now: &Hash) -> Result<(), BarrierError> {
    if first == now {
        return Ok(());
    }
    Err(BarrierError::PayloadConflict { saga: call.saga.to_owned(), step: call.step.to_owned() })
}

fn check_length(bytes: usize) -> Result<(), BarrierError> {
    if bytes <= ANSWER_BYTES_MAX {
        return Ok(());
    }
    Err(BarrierError::AnswerTooLong { bytes, max: ANSWER_BYTES_MAX })
}
