//! What only the journal on disk promises.
//!
//! Owns one user a directory, reopening, damage that is found, a full disk that is survived, and the end
//! after an error that leaves the disk in doubt. What every journal promises is in the conformance suite
//! (`model` adds random steps, closings and kills); the log's torn writes and flipped bits are tests of
//! `amends-log`. Start reading at `place::Place`.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

mod damage;
mod full_disk;

mod groups;
mod locks;
mod model;
mod names;
mod opening;
mod partial_copies;
mod place;
mod portable;
mod readers;
mod stopping;
mod upkeep;
