//! Looking up ids that callers gave, before their starts reach the committer.
//!
//! Owns [`Absent`]: ids that were nowhere, and what makes that still true when the committer judges. Promises that an absence which
//! may have ended is not believed. In a large index such a look reads a page at random; whoever submits can do it beside the others, and
//! the committer is one.
//!
//! What the committer forgets is in the database before, and it raises [`Forgotten`] before it forgets. An id that was absent
//! from the database of a moment which began after that number was read is absent still if the number is the same and the
//! committer does not know the id itself.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use amends_core::TransactionId;
use amends_journal::{Append, Expected, IdHash};

use super::given_ids::GivenIds;
use super::reader::Readers;

/// How often the committer has forgotten something that the database has.
#[derive(Debug, Default)]
pub(super) struct Forgotten(AtomicU64);

impl Forgotten {
    pub(super) fn times(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// To be called by the committer before it forgets.
    pub(super) fn raise(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

/// Ids that were nowhere in the database.
#[derive(Debug, Default)]
pub(super) struct Absent {
    /// As of which number, read before the look.
    as_of: u64,
    ids: HashSet<TransactionId, IdHash>,
}

impl Absent {
    /// Looks up the given ids of a batch, unless all connections are in use. What cannot be read is the committer's to find out.
    pub(super) fn look_up(
        appends: &[Append],
        readers: &Readers,
        given_ids: &GivenIds,
        forgotten: &Forgotten,
    ) -> Self {
        let given = |append: &Append| matches!(&append.expected, Expected::New(new) if new.id_given);
        let as_of = forgotten.times();
        let ids = appends.iter().filter(|append| given(append)).map(|append| append.id);
        // Not what only memory knows: see `given_ids.rs` for why it is asked first.
        let ids: Vec<TransactionId> = ids.filter(|id| given_ids.number(*id).is_none()).collect();
        if ids.is_empty() {
            return Self::default();
        }
        let absent = readers.read_if_free(|look| {
            let mut absent = HashSet::with_capacity_and_hasher(ids.len(), IdHash::default());
            for id in ids {
                if !look.is_taken(id)? {
                    absent.insert(id);
                }
            }
            Ok(absent)
        });
        match absent {
            Some(Ok(ids)) => Self { as_of, ids },
            Some(Err(_)) | None => Self::default(),
        }
    }

    /// Whether an id that the committer does not know is nowhere at all.
    pub(super) fn is_certain(&self, id: TransactionId, forgotten: &Forgotten) -> bool {
        self.ids.contains(&id) && self.as_of == forgotten.times()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absence_is_certain_until_something_is_forgotten() {
        let (id, other) = (TransactionId::from_parts(1, 1), TransactionId::from_parts(2, 2));
        let forgotten = Forgotten::default();
        forgotten.raise();
        let absent = Absent { as_of: forgotten.times(), ids: [id].into_iter().collect() };
        assert!(absent.is_certain(id, &forgotten) && !absent.is_certain(other, &forgotten));
        forgotten.raise();
        assert!(!absent.is_certain(id, &forgotten));
        assert!(!Absent::default().is_certain(id, &Forgotten::default()));
    }
}
