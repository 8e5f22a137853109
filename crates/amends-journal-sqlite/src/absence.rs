//! Looking names up before their starts reach the committer.
//!
//! Owns [`Absent`]: ids and keys that were nowhere, and what makes that still true when the committer judges.
//! Promises that an absence which may have ended is not believed. In a large index such a look reads a page
//! at random; whoever submits can do it beside the others, and the committer is one.
//!
//! What the committer forgets is in the database before, and it raises [`Forgotten`] before it forgets. A
//! name that was absent from the database of a moment which began after that number was read is absent still
//! if the number is the same and the committer does not know the name itself.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use amends_journal::{Append, Expected};

use super::names::{Name, Names, Tag};
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

/// Names that were nowhere in the database.
#[derive(Debug, Default)]
pub(super) struct Absent {
    /// As of which number, read before the look.
    as_of: u64,
    names: HashSet<Tag>,
}

impl Absent {
    /// Looks up the names that the starts of a batch were given, unless all connections are in use. What
    /// cannot be read is the committer's to find out.
    pub(super) fn look_up(
        appends: &[Append],
        readers: &Readers,
        names: &Names,
        forgotten: &Forgotten,
    ) -> Self {
        let as_of = forgotten.times();
        let given = appends.iter().flat_map(names_of).map(|name| (names.hint(name), name));
        // Not what only memory knows: see `names.rs` for why it is asked first.
        let given: Vec<_> = given.filter(|(hint, _)| hint.numbers.is_empty()).collect();
        if given.is_empty() {
            return Self::default();
        }
        let absent = readers.read_if_free(|look| {
            let mut absent = HashSet::with_capacity(given.len());
            for (hint, name) in given {
                if look.is_absent(name, &hint)? {
                    absent.insert(hint.tag);
                }
            }
            Ok(absent)
        });
        match absent {
            Some(Ok(names)) => Self { as_of, names },
            Some(Err(_)) | None => Self::default(),
        }
    }

    /// Whether a name that the committer does not know is nowhere at all.
    pub(super) fn is_certain(&self, tag: Tag, forgotten: &Forgotten) -> bool {
        self.names.contains(&tag) && self.as_of == forgotten.times()
    }
}

fn names_of(append: &Append) -> impl Iterator<Item = Name<'_>> {
    let new = match &append.expected {
        Expected::New(new) => Some(new),
        Expected::Sequence(_) => None,
    };
    let id = new.filter(|new| new.id_given).map(|_| Name::Id(append.id));
    let key = new.and_then(|new| new.key.as_ref()).map(|key| Name::Key(&key.0));
    id.into_iter().chain(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absence_is_certain_until_something_is_forgotten() {
        let (name, other) = (Tag(1), Tag(2));
        let forgotten = Forgotten::default();
        forgotten.raise();
        let absent = Absent { as_of: forgotten.times(), names: [name].into_iter().collect() };
        assert!(absent.is_certain(name, &forgotten) && !absent.is_certain(other, &forgotten));
        forgotten.raise();
        assert!(!absent.is_certain(name, &forgotten));
        assert!(!Absent::default().is_certain(name, &Forgotten::default()));
    }
}
