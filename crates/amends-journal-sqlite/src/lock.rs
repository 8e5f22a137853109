//! One process a directory.
//!
//! Owns the lock file. Promises that a directory in use is refused, from this process too, and that the lock
//! goes with its holder, however that ends. Also keeps the mark that a journal was once laid out here, so
//! that a vanished database is not taken for a fresh start. Does not lock the database itself: others may
//! read it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const NAME: &str = "amends.lock";

const MARK: &[u8] = b"There is a journal in this directory. Amends locks this file while it uses it.\n";

/// Why the directory cannot be had.
#[derive(Debug)]
pub(super) enum LockError {
    /// Somebody else holds it.
    Held,
    /// The lock file cannot be used.
    Io { path: PathBuf, source: io::Error },
}

/// The hold on a directory; dropping it lets go.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    file: File,
    path: PathBuf,
}

impl DirectoryLock {
    pub(super) fn take(directory: &Path) -> Result<Self, LockError> {
        let path = directory.join(NAME);
        let failed = |source| LockError::Io { path: path.clone(), source };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file, path }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Whether a journal was laid out here before.
    pub(super) fn is_marked(&mut self) -> Result<bool, LockError> {
        let mut first = [0];
        let read = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.read(&mut first));
        Ok(read.map_err(|source| self.failed(source))? > 0)
    }

    /// Remembers, durably, that a journal was laid out here.
    pub(super) fn mark(&mut self) -> Result<(), LockError> {
        let written = self
            .file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.write_all(MARK))
            .and_then(|()| self.file.sync_all());
        written.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> LockError {
        LockError::Io { path: self.path.clone(), source }
    }
}
