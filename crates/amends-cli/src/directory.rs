//! What is said about a data directory that cannot be used.
//!
//! Owns the words, with file and remedy. Does not open anything.

use std::path::Path;

use amends_engine::StartUpError;
use amends_journal::JournalError;

/// Says in words what the system would call "File exists".
pub(crate) fn require_directory(data: &Path) -> Result<(), String> {
    match std::fs::metadata(data) {
        Ok(found) if !found.is_dir() => {
            Err(format!("{} is not a directory: choose another with --data", data.display()))
        }
        // What else is wrong is found and reported when it is opened.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Adds the directory, and what to do, to what the journal says when it was opened and then could not be
/// read.
pub(crate) fn cannot_run(data: &Path, error: StartUpError) -> String {
    let file = data.join("journal.db");
    let journal = file.display();
    match error {
        StartUpError::Journal(error @ (JournalError::Unreadable(_) | JournalError::Damaged { .. })) => {
            format!(
                "{journal} is damaged: {error}. Keep a copy of the directory, then restore a backup, or start with an \
             empty directory"
            )
        }
        StartUpError::Journal(
            error @ (JournalError::NoSpace(_) | JournalError::Locked(_) | JournalError::Store { .. }),
        ) => {
            format!("{journal}: {error}")
        }
        StartUpError::DefinitionChanged { .. } => {
            format!("{journal}: {error}. If no program changed it, the file is damaged: restore a backup")
        }
        StartUpError::Missing(_) | StartUpError::SagaBytesMax { .. } => error.to_string(),
    }
}
