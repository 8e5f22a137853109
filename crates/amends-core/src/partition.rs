//! Who may own which transactions.
//!
//! Owns [`Partition`]: the fixed number of parts that all transactions fall into, by a hash of their id.
//! Promises the same partition for an id on every machine and in every release: a store keeps leases by it.
//! Does not know owners or stores.

use std::fmt;

use crate::id::TransactionId;

/// How many partitions there are. Fixed for ever: stores keep leases by partition. Many more than
/// coordinators that share a store, so that they can share evenly; few enough that a lease for each costs
/// nothing.
pub const PARTITIONS: u16 = 1_024;

/// One part of all transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(u16);

impl Partition {
    /// The partition of this number; `None` from [`PARTITIONS`] on.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number < PARTITIONS { Some(Self(number)) } else { None }
    }

    /// The partition of a transaction.
    #[must_use]
    pub const fn of(id: TransactionId) -> Self {
        // A hash: the leading bits of most ids are a clock, and would put all that start together into one
        // partition.
        Self((id.mixed() % PARTITIONS as u64) as u16)
    }

    /// Its number, from zero.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The partition's place among `parts` that share all partitions evenly.
    #[must_use]
    pub const fn share(self, parts: usize) -> usize {
        assert!(parts > 0, "there is at least one part");
        self.0 as usize % parts
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const WORDS: usize = PARTITIONS as usize / u64::BITS as usize;

/// Some of the partitions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Partitions([u64; WORDS]);

impl Partitions {
    /// All of them.
    pub const ALL: Self = Self([u64::MAX; WORDS]);
    /// None of them.
    pub const NONE: Self = Self([0; WORDS]);

    /// Whether this partition is among them.
    #[must_use]
    pub const fn contains(&self, partition: Partition) -> bool {
        self.0[partition.0 as usize / u64::BITS as usize] >> (partition.0 % u64::BITS as u16) & 1 == 1
    }

    /// Adds a partition.
    pub fn insert(&mut self, partition: Partition) {
        self.0[usize::from(partition.0) / u64::BITS as usize] |= 1 << (u32::from(partition.0) % u64::BITS);
    }

    /// Takes a partition out.
    pub fn remove(&mut self, partition: Partition) {
        self.0[usize::from(partition.0) / u64::BITS as usize] &= !(1 << (u32::from(partition.0) % u64::BITS));
    }

    /// Each of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Partition> + '_ {
        (0..PARTITIONS).map(Partition).filter(|partition| self.contains(*partition))
    }
}

impl FromIterator<Partition> for Partitions {
    fn from_iter<I: IntoIterator<Item = Partition>>(partitions: I) -> Self {
        let mut set = Self::NONE;
        for partition in partitions {
            set.insert(partition);
        }
        set
    }
}

impl fmt::Debug for Partitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Partition::number)).finish()
    }
}

const _: () = assert!((PARTITIONS as usize).is_multiple_of(u64::BITS as usize), "the set has no spare bits");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Stores keep leases by partition: these numbers never change.
    #[test]
    fn an_id_stays_in_its_partition_for_ever() {
        let number = |id: u128| Partition::of(TransactionId::from_bytes(id.to_be_bytes())).number();
        let ids = [0, 1, 0x0193_e0a5_7b2c_7d11_8f00_0242_ac12_0002, u128::MAX];
        assert_eq!(ids.map(number), [431, 193, 712, 431]);
    }

    #[test]
    fn ids_made_together_fall_into_all_partitions() {
        let ids = (0..100_000u128).map(|random| TransactionId::from_parts(1_700_000_000_000, random << 3));
        let seen: Partitions = ids.map(Partition::of).collect();
        assert_eq!(seen, Partitions::ALL);
    }

    proptest! {
        #[test]
        fn a_set_holds_what_was_put_in(numbers in proptest::collection::btree_set(0..PARTITIONS, 0..40)) {
            let mut set: Partitions = numbers.iter().map(|number| Partition(*number)).collect();
            let held: Vec<u16> = set.iter().map(Partition::number).collect();
            prop_assert_eq!(held, numbers.iter().copied().collect::<Vec<_>>());
            for number in numbers {
                set.remove(Partition(number));
            }
            prop_assert_eq!(set, Partitions::NONE);
        }
    }
}
