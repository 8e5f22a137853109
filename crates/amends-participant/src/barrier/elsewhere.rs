//! Effects in another system: a payment provider, a mail server, another store.
//!
//! Owns the form that writes down what is intended before it is done, and how it ended afterwards. Between
//! the two anything may happen, so a repeat is given [`Earlier::Unanswered`]: the business code then asks the
//! other system, or repeats what it asked for under the same idempotency key. Promises that an undo runs
//! whenever the effect may have taken place (also when it was refused or never answered), that nothing takes
//! effect unknown to its undo, and that an action without an intent is blocked by its undo. Does not call the
//! other system and does not know its keys: [`CallKey`] is one that it can be given. Start reading at
//! [`begin_action`].
//!
//! ```text
//!             begin_action          record            begin_undo           record
//! nothing ───────────────▶ intended ──────▶ acted    ────────────▶ undoing ──────▶ undone
//!    │                                      refused  (from any of the three)
//!    └─────── begin_undo ──▶ blocked
//! ```

use rusqlite::Connection;

use super::repeat::{
    self, Repeated, check_output, check_refusal, nothing_to_undo, require_direction, require_same,
    row_forgotten,
};
use super::row::{self, Row, damaged};
pub use super::state::Effect;
use super::state::{Asked, Form, State};
use crate::answer::{Answer, Decision, Refusal, UNDONE};
use crate::delivery::Delivery;
use crate::error::BarrierError;
use crate::key::{CallKey, Direction};
use crate::savepoint::Savepoint;

/// What a call has come to before anything is done elsewhere. `I` is [`Intent`] or [`UndoIntent`].
#[must_use]
#[derive(Debug)]
pub enum Begun<I> {
    /// Nothing is to be done: this is the answer.
    Answered(Answer),
    /// The intent is on disk: do it, and record how it ended.
    Intended(I),
}

/// Whether the same was intended by an earlier attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Earlier {
    /// This is the first attempt.
    Nothing,
    /// An earlier attempt intended it, and its outcome was never recorded. It may still be under way.
    Unanswered,
}

/// An action whose effect is elsewhere may take place from here on.
///
/// When the other system says neither yes nor no, drop the intent and answer *unknown*: the repeat, or the
/// undo, knows that there may be something.
#[must_use]
#[derive(Debug)]
pub struct Intent {
    key: CallKey,
    earlier: Earlier,
}

/// An undo elsewhere may take place from here on, and its action no longer.
#[must_use]
#[derive(Debug)]
pub struct UndoIntent {
    key: CallKey,
    effect: Effect,
    earlier: Earlier,
}

/// What recording an outcome has come to.
#[must_use]
#[derive(Debug)]
pub enum Recorded {
    /// The call has this answer.
    Answered(Answer),
    /// The effect took place, and its undo did not see it: it is to be taken back now, and that recorded.
    TakeBack(UndoIntent),
}

/// Writes down that an action is intended, unless it was answered before.
///
/// This is a transaction of its own and flushed as the connection flushes: `synchronous=FULL` is what makes
/// the intent durable.
///
/// # Errors
/// [`BarrierError::InsideTransaction`] when the intent would not be durable on return;
/// [`BarrierError::PayloadConflict`] and [`BarrierError::SecondEffect`] when the key stands for another call;
/// otherwise nothing was written and the caller answers *unknown*.
pub fn begin_action(
    connection: &Connection,
    delivery: Delivery<'_>,
    now_ms: i64,
) -> Result<Begun<Intent>, BarrierError> {
    alone(connection, delivery.key, |savepoint| Call::of(&delivery).begin_action(savepoint, now_ms))
}

/// Writes down that an undo is intended, unless there is nothing to undo or it was answered before. From here
/// on the action may no longer take effect.
///
/// # Errors
/// Those of [`begin_action`].
pub fn begin_undo(
    connection: &Connection,
    delivery: Delivery<'_>,
    now_ms: i64,
) -> Result<Begun<UndoIntent>, BarrierError> {
    alone(connection, delivery.key, |savepoint| Call::of(&delivery).begin_undo(savepoint, now_ms))
}

impl Intent {
    /// The key of the call, the same for all its attempts: what the other system can tell a repeat by.
    pub fn key(&self) -> &CallKey {
        &self.key
    }

    /// Whether the same was intended before.
    pub fn earlier(&self) -> Earlier {
        self.earlier
    }

    /// Writes down how it ended.
    ///
    /// The first outcome counts, with one exception: an effect that took place is recorded over a refusal,
    /// which then was said by somebody who did not know of it.
    ///
    /// # Errors
    /// When it could not be written: the outcome stays unknown, and so does the answer.
    pub fn record(self, connection: &Connection, decision: Decision) -> Result<Recorded, BarrierError> {
        alone(connection, &self.key, |savepoint| self.record_in(savepoint, decision))
    }

    pub(crate) fn record_in(
        &self,
        savepoint: &Savepoint<'_>,
        decision: Decision,
    ) -> Result<Recorded, BarrierError> {
        check(&decision)?;
        let (row, found) = find(savepoint, &self.key)?;
        let write = |state| row::write(savepoint, &self.key, row, Form::Elsewhere, &state);
        match (found, decision) {
            (State::Intended { action }, Ok(output)) | (State::Refused { action, .. }, Ok(output)) => {
                write(State::Acted { action, answer: output.clone() })?;
                Ok(Recorded::Answered(Answer::Completed(output)))
            }
            (State::Intended { action }, Err(refusal)) => {
                write(State::Refused { action, refusal: refusal.clone() })?;
                Ok(Recorded::Answered(Answer::Refused(refusal)))
            }
            (State::Acted { answer, .. }, Ok(_) | Err(_)) => {
                Ok(Recorded::Answered(Answer::Completed(answer)))
            }
            (State::Refused { refusal, .. }, Err(_)) => Ok(Recorded::Answered(Answer::Refused(refusal))),
            (State::Undoing { action, undo, .. } | State::Undone { action, undo, .. }, Ok(output)) => {
                let effect = Effect::TookPlace(output);
                write(State::Undoing { action, effect: effect.clone(), undo })?;
                let (key, earlier) = (self.key.toward(Direction::Compensation), Earlier::Unanswered);
                Ok(Recorded::TakeBack(UndoIntent { key, effect, earlier }))
            }
            (State::Undoing { .. } | State::Undone { .. }, Err(_)) => {
                let refusal = Refusal::new(UNDONE, "this step was undone meanwhile");
                Ok(Recorded::Answered(Answer::Refused(refusal)))
            }
            (State::Blocked, Ok(_) | Err(_)) => Err(impossible(&self.key)),
        }
    }
}

impl UndoIntent {
    /// The key of the undo. Its action had [this one](CallKey::toward).
    pub fn key(&self) -> &CallKey {
        &self.key
    }

    /// What is known of the effect that is to be undone. Only the other system knows better.
    pub fn effect(&self) -> &Effect {
        &self.effect
    }

    /// Whether the same was intended before.
    pub fn earlier(&self) -> Earlier {
        self.earlier
    }

    /// Writes down how it ended. A refusal is *not* remembered, so that the undo can be tried again.
    ///
    /// [`Recorded::TakeBack`] is the answer when the effect took place while this undo looked for it.
    ///
    /// # Errors
    /// When it could not be written: the outcome stays unknown, and so does the answer.
    pub fn record(self, connection: &Connection, decision: Decision) -> Result<Recorded, BarrierError> {
        alone(connection, &self.key, |savepoint| self.record_in(savepoint, decision))
    }

    pub(crate) fn record_in(
        &self,
        savepoint: &Savepoint<'_>,
        decision: Decision,
    ) -> Result<Recorded, BarrierError> {
        check(&decision)?;
        let (row, found) = find(savepoint, &self.key)?;
        match (found, decision) {
            (State::Undoing { .. }, Err(refusal)) => Ok(Recorded::Answered(Answer::Refused(refusal))),
            (State::Undoing { effect, .. }, Ok(_)) if effect != self.effect => {
                let (key, earlier) = (self.key.clone(), Earlier::Unanswered);
                Ok(Recorded::TakeBack(UndoIntent { key, effect, earlier }))
            }
            (State::Undoing { action, effect, undo }, Ok(output)) => {
                let undo_answer = output.clone();
                let undone = State::Undone { action, effect, undo, undo_answer };
                row::write(savepoint, &self.key, row, Form::Elsewhere, &undone)?;
                Ok(Recorded::Answered(Answer::Completed(output)))
            }
            (State::Undone { undo_answer, .. }, Ok(_) | Err(_)) => {
                Ok(Recorded::Answered(Answer::Completed(undo_answer)))
            }
            (
                State::Intended { .. } | State::Acted { .. } | State::Refused { .. } | State::Blocked,
                Ok(_) | Err(_),
            ) => Err(impossible(&self.key)),
        }
    }
}

/// A delivery, as it is taken to the thread that writes.
pub(crate) struct Call {
    key: CallKey,
    asked: Asked,
    is_certain: bool,
}

impl Call {
    pub(crate) fn of(delivery: &Delivery<'_>) -> Call {
        Call { key: delivery.key.clone(), asked: Asked::of(delivery), is_certain: delivery.is_certain }
    }

    pub(crate) fn begin_action(
        self,
        savepoint: &Savepoint<'_>,
        now_ms: i64,
    ) -> Result<Begun<Intent>, BarrierError> {
        let Call { key, asked, is_certain: _ } = self;
        require_direction(&key, Direction::Action)?;
        if let Some(row) = row::insert(savepoint, &key, now_ms)? {
            let intended = State::Intended { action: asked };
            row::write(savepoint, &key, row, Form::Elsewhere, &intended)?;
            return Ok(Begun::Intended(Intent { key, earlier: Earlier::Nothing }));
        }
        let (_, _, found) = row::load(savepoint, &key)?;
        Ok(match repeat::action(&key, &asked, found)? {
            Repeated::Answered(answer) => Begun::Answered(answer),
            Repeated::Intended => Begun::Intended(Intent { key, earlier: Earlier::Unanswered }),
        })
    }

    pub(crate) fn begin_undo(
        self,
        savepoint: &Savepoint<'_>,
        now_ms: i64,
    ) -> Result<Begun<UndoIntent>, BarrierError> {
        let Call { mut key, asked: undo, is_certain } = self;
        require_direction(&key, Direction::Compensation)?;
        let mut is_corrected = false;
        if let Some(row) = row::insert(savepoint, &key, now_ms)? {
            if let Some(acted) = row::earlier_round(savepoint, &key)? {
                // The undo alone was asked anew, with another payload: it takes back what was done before.
                savepoint.start_over()?;
                key = acted;
                is_corrected = true;
            } else if is_certain {
                savepoint.start_over()?;
                return Ok(Begun::Answered(row_forgotten()));
            } else {
                row::write(savepoint, &key, row, Form::Elsewhere, &State::Blocked)?;
                return Ok(Begun::Answered(nothing_to_undo()));
            }
        }
        let (row, form, found) = row::load(savepoint, &key)?;
        let (action, effect) = match (found, form) {
            (State::Blocked, Form::Here | Form::Elsewhere) => return Ok(Begun::Answered(nothing_to_undo())),
            (State::Refused { .. }, Form::Here) => {
                row::write(savepoint, &key, row, Form::Elsewhere, &State::Blocked)?;
                return Ok(Begun::Answered(nothing_to_undo()));
            }
            (State::Undone { undo: first, undo_answer, .. }, Form::Here | Form::Elsewhere) => {
                require_same(&key, &first, &undo)?;
                return Ok(Begun::Answered(Answer::Completed(undo_answer)));
            }
            // A refused undo is not remembered, but for what it asked: a corrected one asks for something else.
            (State::Undoing { action, effect, .. }, Form::Here | Form::Elsewhere) if is_corrected => {
                (action, effect)
            }
            (State::Undoing { undo: first, effect, .. }, Form::Here | Form::Elsewhere) => {
                require_same(&key, &first, &undo)?;
                return Ok(Begun::Intended(UndoIntent { key, effect, earlier: Earlier::Unanswered }));
            }
            (State::Intended { action }, Form::Here | Form::Elsewhere) => (action, Effect::Unknown),
            (State::Acted { action, answer }, Form::Here | Form::Elsewhere) => {
                (action, Effect::TookPlace(answer))
            }
            (State::Refused { action, refusal }, Form::Elsewhere) => (action, Effect::Refused(refusal)),
        };
        let undoing = State::Undoing { action, effect: effect.clone(), undo };
        row::write(savepoint, &key, row, Form::Elsewhere, &undoing)?;
        Ok(Begun::Intended(UndoIntent { key, effect, earlier: Earlier::Nothing }))
    }
}

/// Carries out a write that is a transaction of its own.
fn alone<T>(
    connection: &Connection,
    key: &CallKey,
    write: impl FnOnce(&Savepoint<'_>) -> Result<T, BarrierError>,
) -> Result<T, BarrierError> {
    if !connection.is_autocommit() {
        return Err(BarrierError::InsideTransaction { key: Box::new(key.clone()) });
    }
    let savepoint = Savepoint::begin(connection)?;
    let written = write(&savepoint)?;
    savepoint.release()?;
    Ok(written)
}

fn find(connection: &Connection, key: &CallKey) -> Result<(Row, State), BarrierError> {
    match row::find(connection, key)? {
        Some((row, _, state)) => Ok((row, state)),
        None => Err(damaged(key, "an intent was written there, and the row is gone").into()),
    }
}

fn impossible(key: &CallKey) -> BarrierError {
    damaged(key, "an intent was written there, and the row says that there never was one").into()
}

fn check(decision: &Decision) -> Result<(), BarrierError> {
    match decision {
        Ok(output) => check_output(output),
        Err(refusal) => check_refusal(refusal),
    }
}
