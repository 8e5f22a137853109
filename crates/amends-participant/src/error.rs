//! What can go wrong behind the barrier, and who has to act.
//!
//! Owns the line between damage (an operator), a conflict (the coordinator parks) and a bad day of the
//! database (ask again). Promises that stored data nobody can read is reported with the word "damaged" and
//! the place, never read as something else.

use amends_sqlite::{describe, is_damage};

use crate::key::{CallKey, Direction};

/// Code of [`BarrierError::PayloadConflict`]: neither a refusal nor unknown, since the first call may have
/// taken effect.
pub const PAYLOAD_CONFLICT: &str = "payload_conflict";

/// Why stored data could not be read or written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields of a variant are named for what they hold")]
pub enum DataError {
    /// What is stored cannot be what was written. An operator has to look.
    #[error("damaged: {place}: {reason}")]
    Damaged { place: String, reason: String },
    /// The database could not do it now.
    #[error("the database failed: {0}")]
    Database(#[source] rusqlite::Error),
}

/// Code of [`BarrierError::SecondEffect`]: like a conflict, since what the first call did stands.
pub const SECOND_EFFECT: &str = "second_effect";

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields of a variant are named for what they hold")]
pub enum BarrierError {
    /// The same operation was called under this key before, with another payload. The first call may have
    /// taken effect.
    #[error("{PAYLOAD_CONFLICT}: `{key}` was called before with another payload")]
    PayloadConflict { key: Box<CallKey> },
    /// Another operation was called under this key before, and may have taken effect. The service is at
    /// fault.
    #[error(
        "{SECOND_EFFECT}: `{key}` stands for `{first}` already, and `{second}` was called under it: \
         do both in one call of the barrier, or make them two steps"
    )]
    SecondEffect { key: Box<CallKey>, first: String, second: String },
    /// The key is of the other direction. The service is at fault, or the definition names the wrong
    /// operation.
    #[error(
        "`{key}` was given to the barrier as {direction:?}: send it to the operation of its own direction"
    )]
    WrongDirection { key: Box<CallKey>, direction: Direction },
    /// The action began as an effect elsewhere, which an own transaction can neither repeat nor undo. The
    /// service is at fault.
    #[error("`{key}` has its effect in another system: call `barrier::elsewhere` for it")]
    EffectElsewhere { key: Box<CallKey> },
    /// An intent is durable only when its transaction is committed. The service is at fault.
    #[error(
        "the intent of `{key}` was to be written inside a transaction: give it a connection outside of any"
    )]
    InsideTransaction { key: Box<CallKey> },
    /// One savepoint is one call: a refusal takes back all of it. The service is at fault.
    #[error("`{key}` is the second call in one savepoint: submit it as a write of its own")]
    SavepointUsed { key: Box<CallKey> },
    /// The answer is longer than [`ANSWER_BYTES_MAX`](crate::limits::ANSWER_BYTES_MAX). In the service's own
    /// database nothing took place; of an effect elsewhere the outcome stays unknown.
    #[error("the answer has {bytes} bytes, at most {max} can be stored: answer with less")]
    AnswerTooLong { bytes: usize, max: usize },
    /// What is stored could not be read or written. Everything of this call is rolled back, and the caller
    /// answers *unknown*.
    #[error(transparent)]
    Data(DataError),
}

impl DataError {
    /// Damage at `place`.
    pub fn damaged(place: impl Into<String>, reason: impl Into<String>) -> DataError {
        DataError::Damaged { place: place.into(), reason: reason.into() }
    }

    /// The same error, its place prefixed with where that place is.
    #[must_use]
    pub fn within(self, whole: &str) -> DataError {
        match self {
            DataError::Damaged { place, reason } => {
                DataError::Damaged { place: format!("{whole}: {place}"), reason }
            }
            DataError::Database(error) => DataError::Database(error),
        }
    }
}

impl BarrierError {
    /// Whether the key stands for another call, which may have taken effect: neither a refusal nor unknown.
    /// Over HTTP the answer is 409 with the code [`PAYLOAD_CONFLICT`].
    pub fn is_conflict(&self) -> bool {
        match self {
            BarrierError::PayloadConflict { .. } | BarrierError::SecondEffect { .. } => true,
            BarrierError::WrongDirection { .. }
            | BarrierError::EffectElsewhere { .. }
            | BarrierError::InsideTransaction { .. }
            | BarrierError::SavepointUsed { .. }
            | BarrierError::AnswerTooLong { .. }
            | BarrierError::Data(_) => false,
        }
    }

    /// The same error, its place prefixed with where that place is.
    #[must_use]
    pub fn within(self, whole: &str) -> BarrierError {
        match self {
            BarrierError::Data(error) => BarrierError::Data(error.within(whole)),
            BarrierError::PayloadConflict { .. }
            | BarrierError::SecondEffect { .. }
            | BarrierError::WrongDirection { .. }
            | BarrierError::EffectElsewhere { .. }
            | BarrierError::InsideTransaction { .. }
            | BarrierError::SavepointUsed { .. }
            | BarrierError::AnswerTooLong { .. } => self,
        }
    }
}

impl From<rusqlite::Error> for DataError {
    /// A value of the wrong type or a malformed page is damage; the rest is a bad day.
    fn from(error: rusqlite::Error) -> DataError {
        if is_damage(&error) {
            DataError::damaged("the database", describe(&error))
        } else {
            DataError::Database(error)
        }
    }
}

impl From<DataError> for BarrierError {
    fn from(error: DataError) -> BarrierError {
        BarrierError::Data(error)
    }
}

impl From<rusqlite::Error> for BarrierError {
    fn from(error: rusqlite::Error) -> BarrierError {
        DataError::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    fn failure(extended_code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(extended_code), None)
    }

    #[test]
    fn a_malformed_page_is_reported_as_damaged() {
        let error = DataError::from(failure(ffi::SQLITE_CORRUPT));
        assert!(error.to_string().starts_with("damaged: "), "{error}");
        assert!(matches!(DataError::from(failure(ffi::SQLITE_BUSY)), DataError::Database(_)));
    }
}
