//! Why a log cannot be opened.
//!
//! Owns the errors, each with the file that it is about. Does not judge: `end.rs` and `scan.rs` do.

use std::io;
use std::path::{Path, PathBuf};

use super::BatchNumber;

/// Why the log could not be opened.
#[derive(Debug)]
pub enum OpenLogError {
    /// The disk or the system failed.
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not there that must be.
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// What is there is not what was written.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was seen.
        what: LogDamage,
    },
}

/// Why a log is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogDamage {
    /// Before its end.
    #[error("the log's batch {0} is broken, and a later one is there")]
    Gap(BatchNumber),
    /// Less than was flushed.
    #[error("the log was flushed up to batch {promised}, and ends at {found}")]
    Short {
        /// What was flushed.
        promised: BatchNumber,
        /// What is there.
        found: BatchNumber,
    },
    /// A file is not one of the log.
    #[error("it does not begin like a file of the log that this version knows")]
    Header,
    /// The file that says how far the log was flushed.
    #[error("it is broken")]
    End,
    /// Released batches that it never had.
    #[error(
        "the log ends at batch {found}, and batches up to {released} were taken from it: it is an older one"
    )]
    Older {
        /// What was released.
        released: BatchNumber,
        /// What is there.
        found: BatchNumber,
    },
}

pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> OpenLogError + '_ {
    |source| OpenLogError::Io { path: path.to_owned(), source }
}
