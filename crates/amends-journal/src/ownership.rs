//! Who may append to what.
//!
//! Owns [`Ownership`]: leases on partitions, each with an epoch. Promises that of all coordinators which ever
//! held a partition at most one can append to its transactions: the one that acquired it last. Does not know
//! how long a coordinator is thought to live, or who gets which partitions.

use amends_core::{Partition, Partitions};

use crate::error::JournalError;

/// The part of a journal that knows owners. One handle on a journal is one coordinator.
pub trait Ownership: Send + Sync {
    /// Takes these partitions over, whoever holds them; gives what this coordinator holds of them from now
    /// on. Appends under an earlier lease are answered *fenced*. What it holds already it keeps, under the
    /// same epoch. A store with one owner gives all that are wanted.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn acquire(&self, wanted: &Partitions) -> Result<Vec<Lease>, JournalError>;

    /// Gives leases back. Those that another coordinator holds by now are left alone.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn release(&self, leases: &[Lease]) -> Result<(), JournalError>;
}

/// Counts the owners of a partition: each one has a higher epoch than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// A partition that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The partition.
    pub partition: Partition,
    /// The epoch under which it is held.
    pub epoch: Epoch,
}
