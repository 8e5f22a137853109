//! A hash for tables of transactions by id.
//!
//! Owns [`IdHash`]. Promises that nobody outside can choose ids that collide, at a few nanoseconds a look. Is
//! of no use for anything that must come out the same in another process.

use std::hash::{BuildHasher, Hasher, RandomState};

use amends_core::retry::splitmix64;

/// Hashes ids in a few nanoseconds. Callers may choose ids, so a secret drawn at the start is mixed in:
/// nobody outside can choose ids that collide.
#[derive(Debug, Clone)]
pub struct IdHash {
    secret: u64,
}

impl Default for IdHash {
    fn default() -> Self {
        Self { secret: RandomState::new().hash_one(0u8) }
    }
}

impl BuildHasher for IdHash {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher(self.secret)
    }
}

/// See [`IdHash`].
#[derive(Debug)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write_u128(&mut self, id: u128) {
        self.0 = splitmix64(splitmix64(self.0 ^ id as u64) ^ (id >> 64) as u64);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u128(u128::from(*byte));
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use amends_core::TransactionId;

    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_in_a_row_and_ids_far_apart_spread_over_all_buckets() {
        let hash = IdHash::default();
        for shift in [0, 32, 64, 100, 120] {
            let buckets: BTreeSet<u64> = (0..256u128)
                .map(|n| hash.hash_one(TransactionId::from_bytes((n << shift).to_be_bytes())) % 1024)
                .collect();
            // 226 on average; this few would be a wonder.
            assert!(buckets.len() > 180, "{shift}: {} of 256", buckets.len());
        }
    }
}
