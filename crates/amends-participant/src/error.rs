//! What can go wrong behind the barrier, and who has to act.
//!
//! Owns the line between damage (an operator), a conflict (the coordinator parks) and a bad day of the database (ask
//! again). Promises that stored data nobody can read is reported with the word "damaged" and the place, never read as
//! something else.

use amends_sqlite::{describe, is_damage};
use rusqlite::ErrorCode;
use rusqlite::ffi;

/// Code of [`BarrierError::PayloadConflict`]: neither a refusal nor unknown, since the first call may have taken
/// effect.
pub const PAYLOAD_CONFLICT: &str = "payload_conflict";

/// Why stored data could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// What is stored cannot be what was written. An operator has to look.
    #[error("damaged: {place}: {reason}")]
    Damaged {
        /// File, table and row, as far as they are known.
        place: String,
        /// What is wrong there.
        reason: String,
    },
    /// The database could not do it now.
    #[error("the database failed: {0}")]
    Database(#[source] rusqlite::Error),
}

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
pub enum BarrierError {
    /// This saga's step was called before with another payload.
    #[error("payload_conflict: step `{step}` of saga `{saga}` was called before with another payload")]
    PayloadConflict {
        /// The saga's id.
        saga: String,
        /// The step's name.
        step: String,
    },
    /// The answer is longer than [`ANSWER_BYTES_MAX`](crate::limits::ANSWER_BYTES_MAX); nothing took place.
    #[error("the answer has {bytes} bytes, at most {max} can be stored: answer with less")]
    AnswerTooLong {
        /// Length of the answer.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// What is stored cannot be what was written. An operator has to look.
    #[error("damaged: {place}: {reason}")]
    Damaged {
        /// File, table and row, as far as they are known.
        place: String,
        /// What is wrong there.
        reason: String,
    },
    /// The database could not do it now: everything of this call is rolled back, and the caller answers *unknown*.
    #[error("the database failed: {0}")]
    Database(#[source] rusqlite::Error),
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
    /// The same error, its place prefixed with where that place is.
    #[must_use]
    pub fn within(self, whole: &str) -> BarrierError {
        match self {
            BarrierError::Damaged { place, reason } => {
                BarrierError::Damaged { place: format!("{whole}: {place}"), reason }
            }
            BarrierError::PayloadConflict { .. }
            | BarrierError::AnswerTooLong { .. }
            | BarrierError::Database(_) => self,
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
        match error {
            DataError::Damaged { place, reason } => BarrierError::Damaged { place, reason },
            DataError::Database(error) => BarrierError::Database(error),
        }
    }
}

impl From<rusqlite::Error> for BarrierError {
    fn from(error: rusqlite::Error) -> BarrierError {
        DataError::from(error).into()
    }
}

/// Whether a write found no space. Such a write failed before any flush, so what is on disk is still known.
pub(crate) fn is_no_space(error: &rusqlite::Error) -> bool {
    match error.sqlite_error() {
        // SQLite turns a write that met ENOSPC into SQLITE_FULL; the shared index of the log has a code of its own.
        Some(failure) => {
            failure.code == ErrorCode::DiskFull || failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(extended_code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(extended_code), None)
    }

    #[test]
    fn only_writes_without_space_count_as_no_space() {
        assert!(is_no_space(&failure(ffi::SQLITE_FULL)));
        assert!(is_no_space(&failure(ffi::SQLITE_IOERR_SHMSIZE)));
        assert!(!is_no_space(&failure(ffi::SQLITE_IOERR_FSYNC)));
        assert!(!is_no_space(&failure(ffi::SQLITE_IOERR_WRITE)));
        assert!(!is_no_space(&rusqlite::Error::QueryReturnedNoRows));
    }

    #[test]
    fn a_malformed_page_is_reported_as_damaged() {
        let error = DataError::from(failure(ffi::SQLITE_CORRUPT));
        assert!(error.to_string().starts_with("damaged: "), "{error}");
        assert!(matches!(DataError::from(failure(ffi::SQLITE_BUSY)), DataError::Database(_)));
    }
}
