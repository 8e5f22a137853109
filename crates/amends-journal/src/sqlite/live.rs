//! What the writer remembers of live sagas.
//!
//! Owns a cache of database rows, and nothing that is not in the database too: any entry may be dropped at any time and
//! is read back when it is needed. That is how a failed transaction is undone in memory (its sagas are forgotten), and
//! why sagas that sleep or are parked cost no memory. Promises that an entry, while there, is what the database says.
//! Does not write.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use amends_core::retry::splitmix64;
use amends_core::{SagaId, Status};
use bytes::Bytes;

use crate::journal::Fingerprint;
use crate::limits::KEPT_BYTES_PER_SAGA_MAX;

/// Live sagas by id.
pub(super) type LiveSagas = HashMap<SagaId, Live, IdHash>;

/// A live saga's row.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) no: i64,
    pub(super) definition: i64,
    pub(super) status: Status,
    pub(super) started_at: i64,
    pub(super) id_given: bool,
    pub(super) key: Option<String>,
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) wake_at: Option<i64>,
    pub(super) is_unreadable: bool,
    /// How many records it has.
    pub(super) sequence: u64,
    pub(super) kept: Kept,
}

/// The records of a live saga, for its move to the archive.
#[derive(Debug)]
pub(super) enum Kept {
    /// All of them.
    All {
        /// In order.
        records: Vec<Bytes>,
        /// Their size.
        bytes: usize,
    },
    /// They were not, or are too large: they are read back when the saga ends.
    OnDisk,
}

impl Kept {
    pub(super) fn first(record: Bytes) -> Self {
        // Most sagas are short; a reallocation or two would cost more than the room.
        let mut kept = Self::All { records: Vec::with_capacity(8), bytes: 0 };
        kept.push(record);
        kept
    }

    pub(super) fn push(&mut self, record: Bytes) {
        match self {
            Self::All { records, bytes } if *bytes + record.len() <= KEPT_BYTES_PER_SAGA_MAX => {
                *bytes += record.len();
                records.push(record);
            }
            Self::All { .. } | Self::OnDisk => *self = Self::OnDisk,
        }
    }
}

impl Live {
    /// Whether the saga does nothing until a timer or an operator: it is not kept in memory then.
    pub(super) fn is_resting(&self) -> bool {
        self.wake_at.is_some() || self.status == Status::Failed
    }
}

/// Hashes ids in a few nanoseconds. Callers may choose ids, so a secret drawn at the start is mixed in: nobody outside
/// can choose ids that collide.
#[derive(Debug, Clone)]
pub(super) struct IdHash {
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

#[derive(Debug)]
pub(super) struct IdHasher(u64);

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
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_in_a_row_and_ids_far_apart_spread_over_all_buckets() {
        let hash = IdHash::default();
        for shift in [0, 32, 64, 100, 120] {
            let buckets: BTreeSet<u64> = (0..256u128)
                .map(|n| hash.hash_one(SagaId::from_bytes((n << shift).to_be_bytes())) % 1024)
                .collect();
            // 226 on average; this few would be a wonder.
            assert!(buckets.len() > 180, "{shift}: {} of 256", buckets.len());
        }
    }

    #[test]
    fn a_saga_of_large_records_is_not_kept() {
        let mut kept = Kept::first(Bytes::from_static(b"small"));
        assert!(matches!(kept, Kept::All { bytes: 5, .. }));
        kept.push(Bytes::from(vec![0; KEPT_BYTES_PER_SAGA_MAX]));
        assert!(matches!(kept, Kept::OnDisk));
        kept.push(Bytes::from_static(b"small"));
        assert!(matches!(kept, Kept::OnDisk), "a part of the records is worth nothing");
    }
}
