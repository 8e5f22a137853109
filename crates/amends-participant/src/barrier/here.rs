//! Effects in the barrier's own database.
//!
//! Owns the form in which row and effect are one transaction. Promises that an action takes effect at most
//! once and never after its undo, and that business code runs only where there is something to do. Start
//! reading at [`action`].

use rusqlite::Connection;

use super::repeat::{
    self, Repeated, check_output, check_refusal, nothing_to_undo, require_direction, require_same,
    row_forgotten,
};
use super::row::{self, Row};
use super::state::{Asked, Effect, Form, State};
use crate::answer::{Answer, Decision, Refusal};
use crate::delivery::Delivery;
use crate::error::{BarrierError, DataError};
use crate::key::{CallKey, Direction};
use crate::savepoint::Savepoint;

/// Carries out an action once: runs `business` unless this call was answered before.
///
/// Give it a connection inside an open write transaction (`BEGIN IMMEDIATE`), or one outside of any, which
/// makes the call a transaction of its own. A refusal of `business` is rolled back, remembered and given
/// again.
///
/// What `business` does outside of this connection is not covered: it may take place without a row that knows
/// of it. That is what [`elsewhere`](super::elsewhere) is for.
///
/// # Errors
/// [`BarrierError::PayloadConflict`] and [`BarrierError::SecondEffect`] when the key stands for another call;
/// otherwise everything of this call is rolled back and the caller answers *unknown*.
pub fn action(
    connection: &Connection,
    delivery: Delivery<'_>,
    now_ms: i64,
    business: impl FnOnce(&Connection) -> Result<Decision, DataError>,
) -> Result<Answer, BarrierError> {
    let savepoint = Savepoint::begin(connection)?;
    let answer = action_in(&savepoint, delivery, now_ms, business)?;
    savepoint.release()?;
    Ok(answer)
}

/// [`action`] as the whole of a savepoint, which [`Database::submit`](crate::database::Database::submit)
/// opens for each write: a second one would cost as much as a row. After a refusal nothing of the savepoint
/// is left but its memory; after an error it must be taken back.
///
/// # Errors
/// Those of [`action`], and [`BarrierError::SavepointUsed`] when this savepoint had a call before.
pub fn action_in(
    savepoint: &Savepoint<'_>,
    delivery: Delivery<'_>,
    now_ms: i64,
    business: impl FnOnce(&Connection) -> Result<Decision, DataError>,
) -> Result<Answer, BarrierError> {
    use_up(savepoint, &delivery, Direction::Action)?;
    let (key, action) = (delivery.key, Asked::of(&delivery));
    let Some(row) = row::insert(savepoint, key, now_ms)? else {
        let (_, _, found) = row::load(savepoint, key)?;
        return match repeat::action(key, &action, found)? {
            Repeated::Answered(answer) => Ok(answer),
            Repeated::Intended => Err(BarrierError::EffectElsewhere { key: Box::new(key.clone()) }),
        };
    };
    match business(savepoint)? {
        Ok(output) => {
            check_output(&output)?;
            row::write_acted(savepoint, key, row, &action, &output)?;
            Ok(Answer::Completed(output))
        }
        Err(refusal) => {
            check_refusal(&refusal)?;
            savepoint.start_over()?;
            remember_refusal(savepoint, key, now_ms, action, refusal.clone())?;
            Ok(Answer::Refused(refusal))
        }
    }
}

/// Takes an action back once: runs `business` only if the action took effect and was not undone before.
/// Without an effect it succeeds and blocks the action, should it come later; unless the delivery is
/// [certain](Delivery::certain).
///
/// A refusal of `business` is rolled back and *not* remembered, so that the undo can be tried again.
///
/// # Errors
/// [`BarrierError::PayloadConflict`] and [`BarrierError::SecondEffect`] when the action was undone by another
/// call; [`BarrierError::EffectElsewhere`] when the action took the other form; otherwise everything of this
/// call is rolled back and the caller answers *unknown*.
pub fn undo(
    connection: &Connection,
    delivery: Delivery<'_>,
    now_ms: i64,
    business: impl FnOnce(&Connection) -> Result<Decision, DataError>,
) -> Result<Answer, BarrierError> {
    let savepoint = Savepoint::begin(connection)?;
    let answer = undo_in(&savepoint, delivery, now_ms, business)?;
    savepoint.release()?;
    Ok(answer)
}

/// [`undo`] as the whole of a savepoint, as [`action_in`] is of [`action`].
///
/// # Errors
/// Those of [`undo`], and [`BarrierError::SavepointUsed`] when this savepoint had a call before.
pub fn undo_in(
    savepoint: &Savepoint<'_>,
    delivery: Delivery<'_>,
    now_ms: i64,
    business: impl FnOnce(&Connection) -> Result<Decision, DataError>,
) -> Result<Answer, BarrierError> {
    use_up(savepoint, &delivery, Direction::Compensation)?;
    let mut key = delivery.key;
    let earlier;
    if let Some(row) = row::insert(savepoint, key, now_ms)? {
        earlier = row::earlier_round(savepoint, key)?;
        if let Some(acted) = &earlier {
            // The undo alone was asked anew, with another payload: it takes back what was done before.
            savepoint.start_over()?;
            key = acted;
        } else if delivery.is_certain {
            savepoint.start_over()?;
            return Ok(row_forgotten());
        } else {
            row::write(savepoint, key, row, Form::Here, &State::Blocked)?;
            return Ok(nothing_to_undo());
        }
    }
    let (row, form, found) = row::load(savepoint, key)?;
    match (found, form) {
        (State::Blocked, Form::Here | Form::Elsewhere) => Ok(nothing_to_undo()),
        (State::Undone { undo, undo_answer, .. }, Form::Here | Form::Elsewhere) => {
            require_same(key, &undo, &Asked::of(&delivery))?;
            Ok(Answer::Completed(undo_answer))
        }
        (State::Refused { .. }, Form::Here) => {
            row::write(savepoint, key, row, Form::Here, &State::Blocked)?;
            Ok(nothing_to_undo())
        }
        (State::Acted { action, answer }, Form::Here) => {
            let undo = Asked::of(&delivery);
            take_back(savepoint, key, row, business, |undo_answer| State::Undone {
                action,
                effect: Effect::TookPlace(answer),
                undo,
                undo_answer,
            })
        }
        (
            State::Intended { .. } | State::Acted { .. } | State::Refused { .. } | State::Undoing { .. },
            Form::Elsewhere,
        )
        | (State::Intended { .. } | State::Undoing { .. }, Form::Here) => {
            Err(BarrierError::EffectElsewhere { key: Box::new(key.clone()) })
        }
    }
}

fn take_back(
    savepoint: &Savepoint<'_>,
    key: &CallKey,
    row: Row,
    business: impl FnOnce(&Connection) -> Result<Decision, DataError>,
    undone: impl FnOnce(Vec<u8>) -> State,
) -> Result<Answer, BarrierError> {
    match business(savepoint)? {
        Ok(output) => {
            check_output(&output)?;
            row::write(savepoint, key, row, Form::Here, &undone(output.clone()))?;
            Ok(Answer::Completed(output))
        }
        Err(refusal) => {
            savepoint.start_over()?;
            Ok(Answer::Refused(refusal))
        }
    }
}

/// A refusal takes back all of its savepoint, so another call in it would be taken back after it was
/// answered.
fn use_up(
    savepoint: &Savepoint<'_>,
    delivery: &Delivery<'_>,
    direction: Direction,
) -> Result<(), BarrierError> {
    require_direction(delivery.key, direction)?;
    if savepoint.use_up() {
        Ok(())
    } else {
        Err(BarrierError::SavepointUsed { key: Box::new(delivery.key.clone()) })
    }
}

fn remember_refusal(
    connection: &Connection,
    key: &CallKey,
    now_ms: i64,
    action: Asked,
    refusal: Refusal,
) -> Result<(), BarrierError> {
    let row = row::insert(connection, key, now_ms)?
        .expect("the write lock outlives the rollback to a savepoint, so this key cannot have been inserted meanwhile");
    row::write(connection, key, row, Form::Here, &State::Refused { action, refusal })?;
    Ok(())
}
