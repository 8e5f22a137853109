//! What a call gets when its key was used before.
//!
//! Owns the comparison of a repeat with the call that came first. Promises that nobody is given the answer to
//! another question: another operation or another payload under the same key is an error. Does not write
//! anything.

use super::state::{Asked, State};
use crate::answer::{Answer, ROW_FORGOTTEN, Refusal, UNDONE};
use crate::error::BarrierError;
use crate::key::{CallKey, Direction};
use crate::limits::ANSWER_BYTES_MAX;

/// What a repeated action comes to.
pub(super) enum Repeated {
    /// It has an answer.
    Answered(Answer),
    /// It was intended, and how it ended is unknown.
    Intended,
}

/// What a repeated action comes to.
pub(super) fn action(key: &CallKey, asked: &Asked, found: State) -> Result<Repeated, BarrierError> {
    let undone = |message| Ok(Repeated::Answered(Answer::Refused(Refusal::new(UNDONE, message))));
    match found {
        // Before anything is compared: what is undone stays undone, whatever comes late.
        State::Undone { .. } => undone("this step was undone before"),
        State::Undoing { .. } => undone("the undo of this step has begun"),
        State::Blocked => undone("the undo of this step came before its action"),
        State::Acted { action, answer } => {
            require_same(key, &action, asked)?;
            Ok(Repeated::Answered(Answer::Completed(answer)))
        }
        State::Refused { action, refusal } => {
            require_same(key, &action, asked)?;
            Ok(Repeated::Answered(Answer::Refused(refusal)))
        }
        State::Intended { action } => {
            require_same(key, &action, asked)?;
            Ok(Repeated::Intended)
        }
    }
}

/// What an undo answers when there must be something to undo, and no row of it is there. It is not
/// remembered: the row may be brought back.
pub(super) fn row_forgotten() -> Answer {
    let message = "this step took effect, but its row is not in the service's database: it was removed too early, or \
                   the database is another one or an older copy";
    Answer::Refused(Refusal::new(ROW_FORGOTTEN, message))
}

/// What an undo answers when there was nothing to undo.
pub(super) fn nothing_to_undo() -> Answer {
    Answer::Completed(b"null".to_vec())
}

/// Judges that both calls of a key asked for the same.
pub(super) fn require_same(key: &CallKey, first: &Asked, now: &Asked) -> Result<(), BarrierError> {
    // Not "payload_conflict" when both differ: what went wrong is the program, not what was sent to it.
    if first.operation != now.operation {
        return Err(BarrierError::SecondEffect {
            key: Box::new(key.clone()),
            first: first.operation.to_string(),
            second: now.operation.to_string(),
        });
    }
    if first.payload != now.payload {
        return Err(BarrierError::PayloadConflict { key: Box::new(key.clone()) });
    }
    Ok(())
}

/// Judges that the key's direction is that of the function which was called.
pub(super) fn require_direction(key: &CallKey, direction: Direction) -> Result<(), BarrierError> {
    if key.direction() == direction {
        return Ok(());
    }
    Err(BarrierError::WrongDirection { key: Box::new(key.clone()), direction })
}

pub(super) fn check_output(output: &[u8]) -> Result<(), BarrierError> {
    check_length(output.len())
}

pub(super) fn check_refusal(refusal: &Refusal) -> Result<(), BarrierError> {
    check_length(refusal.code.len() + refusal.message.len() + refusal.details.as_ref().map_or(0, Vec::len))
}

fn check_length(bytes: usize) -> Result<(), BarrierError> {
    if bytes <= ANSWER_BYTES_MAX {
        return Ok(());
    }
    Err(BarrierError::AnswerTooLong { bytes, max: ANSWER_BYTES_MAX })
}
