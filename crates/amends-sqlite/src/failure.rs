//! What an error means for whoever writes.
//!
//! Owns the line between what passes by itself (no space, a lock of another program) and what does not. Does
//! not know damage: that is [`is_damage`](crate::is_damage).

use std::any::Any;

use rusqlite::{Error, ErrorCode, ffi};

/// Whether a write found no space. Such a write failed before any flush, so what is on disk is still known.
pub fn is_no_space(error: &Error) -> bool {
    match error.sqlite_error() {
        // SQLite turns a write that met ENOSPC into SQLITE_FULL; the shared index of the WAL has a code of
        // its own.
        Some(failure) => {
            failure.code == ErrorCode::DiskFull || failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE
        }
        None => false,
    }
}

/// Whether another connection holds a lock that is in the way. Nothing was changed.
pub fn is_locked(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// What a panic said.
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(extended_code: i32) -> Error {
        Error::SqliteFailure(ffi::Error::new(extended_code), None)
    }

    #[test]
    fn only_writes_without_space_count_as_no_space() {
        assert!(is_no_space(&failure(ffi::SQLITE_FULL)));
        assert!(is_no_space(&failure(ffi::SQLITE_IOERR_SHMSIZE)));
        assert!(!is_no_space(&failure(ffi::SQLITE_IOERR_FSYNC)));
        assert!(!is_no_space(&failure(ffi::SQLITE_IOERR_WRITE)));
        assert!(!is_no_space(&Error::QueryReturnedNoRows));
    }

    #[test]
    fn a_lock_of_another_program_is_known_by_its_code() {
        assert!(is_locked(&failure(ffi::SQLITE_BUSY)));
        assert!(is_locked(&failure(ffi::SQLITE_LOCKED)));
        assert!(!is_locked(&failure(ffi::SQLITE_IOERR_LOCK)));
    }
}
