//! Ids that callers chose, and idempotency keys, as the index knows them.
//!
//! Owns [`Tag`], which stands for such a name, and [`Names`], those of ended transactions that the index does
//! not have yet. Promises that a name is found here or in the index (`late_index.rs`) from the commit on that
//! ended its transaction. Does not say what a name leads to: a pair of tag and number is a hint, and whoever
//! follows it compares id or key with what stands under the number. So two names may share a tag, and a
//! number may lead nowhere any more.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use amends_core::TransactionId;
use amends_core::retry::splitmix64;

/// A hash of an id or key, the same in every process that has the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Tag(pub(super) i64);

/// Where a name may lead, as far as memory knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hint {
    pub(super) tag: Tag,
    pub(super) numbers: Vec<i64>,
}

/// A tag, and the number of a transaction that has or had a name with it.
pub(super) type Named = (Tag, i64);

/// What a start may not share with another.
#[derive(Debug, Clone, Copy)]
pub(super) enum Name<'n> {
    Id(TransactionId),
    Key(&'n str),
}

/// Makes tags. The directory's salt goes into them: callers cannot choose names whose tags are equal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tags {
    salt: u64,
}

/// Tells the tags of keys from those of ids.
const KEYS: u64 = 0x6B65_7973;

impl Tags {
    pub(super) const fn new(salt: u64) -> Self {
        Self { salt }
    }

    pub(super) fn of(self, name: Name<'_>) -> Tag {
        match name {
            Name::Id(id) => self.hash(0, &id.to_bytes()),
            Name::Key(key) => self.hash(KEYS, key.as_bytes()),
        }
    }

    /// Stored: never changes.
    fn hash(self, kind: u64, bytes: &[u8]) -> Tag {
        let mut tag = splitmix64(self.salt ^ kind ^ (bytes.len() as u64).rotate_left(32));
        for part in bytes.chunks(size_of::<u64>()) {
            let mut word = [0; size_of::<u64>()];
            word[..part.len()].copy_from_slice(part);
            tag = splitmix64(tag ^ u64::from_le_bytes(word));
        }
        Tag(tag.cast_signed())
    }
}

/// The names that the index may not have. A reader asks here before it takes its moment of the database: what
/// is not here then is in the index of that moment, or its transaction was live still (so whoever finds
/// nothing asks again).
#[derive(Debug)]
pub(super) struct Names {
    pub(super) tags: Tags,
    /// Each has a stretch of all tags, in their order. Going through one set of a million would keep
    /// everybody out until it is done.
    parts: [Mutex<BTreeSet<Named>>; 1 << PART_BITS],
}

const PART_BITS: u32 = 6;

impl Names {
    pub(super) fn new(tags: Tags) -> Self {
        Self { tags, parts: std::array::from_fn(|_| Mutex::default()) }
    }

    /// What is known here of a name.
    pub(super) fn hint(&self, name: Name<'_>) -> Hint {
        let tag = self.tags.of(name);
        let numbers = self.part(tag).range((tag, 0)..=(tag, i64::MAX)).map(|(_, no)| *no).collect();
        Hint { tag, numbers }
    }

    /// Whether it was not here yet.
    pub(super) fn insert(&self, named: Named) -> bool {
        self.part(named.0).insert(named)
    }

    pub(super) fn remove(&self, named: Named) {
        self.part(named.0).remove(&named);
    }

    /// Many at a time, in their order.
    pub(super) fn extend(&self, sorted: &[Named]) {
        for stretch in sorted.chunk_by(|one, next| part_of(one.0) == part_of(next.0)) {
            self.part(stretch[0].0).append(&mut stretch.iter().copied().collect());
        }
    }

    /// All of them, in their order.
    pub(super) fn all(&self) -> Vec<Named> {
        let mut all = Vec::new();
        for part in &self.parts {
            all.extend(lock(part).iter());
        }
        all
    }

    fn part(&self, tag: Tag) -> MutexGuard<'_, BTreeSet<Named>> {
        lock(&self.parts[part_of(tag)])
    }
}

/// By the leading bits of the tag, in the order of tags.
const fn part_of(tag: Tag) -> usize {
    (tag.0.wrapping_add(i64::MIN).cast_unsigned() >> (u64::BITS - PART_BITS)) as usize
}

fn lock(part: &Mutex<BTreeSet<Named>>) -> MutexGuard<'_, BTreeSet<Named>> {
    // Single calls of a set: nothing half-done can be seen.
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stored in every directory.
    #[test]
    fn a_name_keeps_its_tag_for_ever() {
        let tags = Tags::new(0x0123_4567_89AB_CDEF);
        let id = Name::Id(TransactionId::from_bytes(*b"0123456789abcdef"));
        let tag = |name| tags.of(name).0;
        assert_eq!((tag(id), tag(Name::Key("order-77")), tag(Name::Key(""))), EXPECTED);
        assert_ne!(tag(Name::Key("0123456789abcdef")), tag(id));
        assert_ne!(tag(Name::Key("a")), tag(Name::Key("a\0")));
        assert_ne!(Tags::new(1).of(Name::Key("a")), Tags::new(2).of(Name::Key("a")));
    }

    const EXPECTED: (i64, i64, i64) =
        (-1_628_313_783_298_142_868, 8_597_714_838_833_936_786, 5_996_678_398_963_310_738);

    #[test]
    fn a_name_leads_to_all_its_numbers() {
        let names = Names::new(Tags::new(1));
        let (name, other) = (Name::Key("a"), Name::Key("b"));
        let tag = names.tags.of(name);
        for no in [9, 5] {
            assert!(names.insert((tag, no)) && !names.insert((tag, no)));
        }
        assert_eq!(names.hint(name), Hint { tag, numbers: vec![5, 9] });
        assert_eq!(names.hint(other).numbers, [0; 0]);
    }

    #[test]
    fn names_come_in_the_order_of_their_tags() {
        let names = Names::new(Tags::new(1));
        let tags = [i64::MIN, -1, 0, 1, i64::MAX].map(Tag);
        for (tag, no) in tags.into_iter().flat_map(|tag| [(tag, 9), (tag, 5)]) {
            assert!(names.insert((tag, no)));
        }
        let all = names.all();
        assert!(all.len() == 10 && all.is_sorted());
        let other = Names::new(Tags::new(1));
        other.insert((Tag(7), 1));
        other.extend(&all);
        other.remove((Tag(7), 1));
        assert_eq!(other.all(), all);
    }
}
