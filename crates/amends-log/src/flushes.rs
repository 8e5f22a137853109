//! The log's flushes, counted where they are asked for.
//!
//! Owns the count. Promises that each one counted has come back from the system as done: whoever compares it
//! with what the disk was told finds no fewer there. The log has one thread, so no two of them were under way
//! together.

use std::fs::File;
use std::io;

/// How many there were.
#[derive(Debug, Default)]
pub(super) struct Flushes(u64);

impl Flushes {
    pub(super) fn count(&self) -> u64 {
        self.0
    }

    /// Flushes what was written into blocks that the file has already.
    pub(super) fn data(&mut self, file: &File) -> io::Result<()> {
        file.sync_data()?;
        self.0 += 1;
        Ok(())
    }

    /// Flushes a file whose size or blocks are new, or a directory.
    pub(super) fn all(&mut self, file: &File) -> io::Result<()> {
        file.sync_all()?;
        self.0 += 1;
        Ok(())
    }
}
