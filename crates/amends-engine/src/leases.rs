//! The partitions that this engine holds.
//!
//! Owns the epochs under which it holds them. Promises that a transaction of a partition that it does not
//! hold has none.

use amends_core::{PARTITIONS, Partition, TransactionId};
use amends_journal::{Epoch, Lease};

/// An epoch for each partition.
#[derive(Debug)]
pub struct Leases(Box<[Option<Epoch>; PARTITIONS as usize]>);

impl Leases {
    /// What the journal gave.
    #[must_use]
    pub fn new(leases: &[Lease]) -> Self {
        let mut epochs = Box::new([None; PARTITIONS as usize]);
        for lease in leases {
            epochs[usize::from(lease.partition.number())] = Some(lease.epoch);
        }
        Self(epochs)
    }

    /// Everything, under one epoch.
    #[cfg(test)]
    pub(crate) fn all(epoch: Epoch) -> Self {
        Self(Box::new([Some(epoch); PARTITIONS as usize]))
    }

    /// Under which the transaction's partition is held, if it is.
    #[must_use]
    pub fn epoch(&self, id: TransactionId) -> Option<Epoch> {
        self.0[usize::from(Partition::of(id).number())]
    }
}
