//! How many sagas of each definition have each status.
//!
//! Owns the changes that the running transaction makes to the counts. Promises one write per changed pair and
//! transaction, however many sagas moved. Does not know the counts themselves: they are in the database.

use std::collections::BTreeMap;

use amends_core::Status;

use super::schema::status_code;

/// Changes by definition and status code.
#[derive(Debug, Default)]
pub(super) struct TallyChanges {
    by_pair: BTreeMap<(i64, i64), i64>,
}

impl TallyChanges {
    /// A saga of `definition` goes from one status to another (`None`: it does not exist).
    pub(super) fn moved(&mut self, definition: i64, from: Option<Status>, to: Option<Status>) {
        if from != to {
            for (status, change) in [(from, -1), (to, 1)] {
                if let Some(status) = status {
                    *self.by_pair.entry((definition, status_code(status))).or_insert(0) += change;
                }
            }
        }
    }

    /// Takes the changes out: definition, status code, difference.
    pub(super) fn take(&mut self) -> Vec<(i64, i64, i64)> {
        let changes = std::mem::take(&mut self.by_pair);
        let mut changes: Vec<_> =
            changes.into_iter().map(|((definition, status), change)| (definition, status, change)).collect();
        changes.retain(|(_, _, change)| *change != 0);
        changes
    }

    pub(super) fn forget(&mut self) {
        self.by_pair.clear();
    }
}
