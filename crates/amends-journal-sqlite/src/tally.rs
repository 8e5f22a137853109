//! How many transactions of each definition have each standing.
//!
//! Owns the changes that the running transaction makes to the counts. Promises one write per changed pair and
//! transaction, however many transactions moved. Does not know the counts themselves: they are in the
//! database.

use std::collections::BTreeMap;

use amends_core::StandingKind;

use super::schema::standing_code;

/// Changes by definition and code of a standing.
#[derive(Debug, Default)]
pub(super) struct TallyChanges {
    by_pair: BTreeMap<(i64, i64), i64>,
}

impl TallyChanges {
    /// A transaction of `definition` goes from one standing to another (`None`: it does not exist).
    pub(super) fn moved(&mut self, definition: i64, from: Option<StandingKind>, to: Option<StandingKind>) {
        if from != to {
            for (standing, change) in [(from, -1), (to, 1)] {
                if let Some(standing) = standing {
                    *self.by_pair.entry((definition, standing_code(standing))).or_insert(0) += change;
                }
            }
        }
    }

    /// Takes the changes out: definition, code of the standing, difference.
    pub(super) fn take(&mut self) -> Vec<(i64, i64, i64)> {
        let changes = std::mem::take(&mut self.by_pair);
        let mut changes: Vec<_> = changes
            .into_iter()
            .map(|((definition, standing), change)| (definition, standing, change))
            .collect();
        changes.retain(|(_, _, change)| *change != 0);
        changes
    }

    pub(super) fn forget(&mut self) {
        self.by_pair.clear();
    }
}
