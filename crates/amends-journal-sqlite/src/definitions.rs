//! The numbers of definitions.
//!
//! Owns the settler's map from name and version to the number that rows carry instead. Promises that a number given in
//! a transaction that failed is forgotten. Does not hold the definitions themselves.

use std::collections::HashMap;

use amends_core::DefinitionName;
use rusqlite::Connection;

use super::settler::WriteError;

#[derive(Debug)]
pub(super) struct DefinitionNumbers {
    by_name: HashMap<DefinitionName, Vec<(u32, i64)>>,
    last: i64,
    /// Given in the running transaction.
    fresh: Vec<(DefinitionName, u32)>,
}

impl DefinitionNumbers {
    pub(super) fn read(connection: &Connection) -> Result<Self, WriteError> {
        let mut numbers = Self { by_name: HashMap::new(), last: 0, fresh: Vec::new() };
        let mut statement = connection.prepare("SELECT no, name, version FROM definition")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (number, name, version): (i64, String, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
            numbers.by_name.entry(DefinitionName::new(name)).or_default().push((version, number));
            numbers.last = numbers.last.max(number);
        }
        Ok(numbers)
    }

    pub(super) fn find(&self, name: &DefinitionName, version: u32) -> Option<i64> {
        let versions = self.by_name.get(name)?;
        versions.iter().rev().find(|(known, _)| *known == version).map(|(_, number)| *number)
    }

    /// The number of a definition that has none yet; its row is the caller's to write.
    pub(super) fn give(&mut self, name: &DefinitionName, version: u32) -> i64 {
        self.last += 1;
        self.by_name.entry(name.clone()).or_default().push((version, self.last));
        self.fresh.push((name.clone(), version));
        self.last
    }

    pub(super) fn committed(&mut self) {
        self.fresh.clear();
    }

    pub(super) fn rolled_back(&mut self) {
        for (name, version) in self.fresh.drain(..) {
            if let Some(versions) = self.by_name.get_mut(&name) {
                versions.retain(|(known, _)| *known != version);
            }
        }
    }
}
