//! The numbers of definitions.
//!
//! Owns the settler's map from mode, name and version to the number that rows carry instead. Promises that a
//! number given in a transaction that failed is forgotten. Does not hold the definitions themselves.

use std::collections::HashMap;

use amends_core::{DefinitionName, Mode};
use rusqlite::Connection;

use super::failure::WriteError;
use super::schema::mode_of;

#[derive(Debug)]
pub(super) struct DefinitionNumbers {
    by_name: HashMap<DefinitionName, Vec<Numbered>>,
    last: i64,
    /// Given in the running transaction.
    fresh: Vec<(DefinitionName, i64)>,
}

/// One version of a definition of one mode.
#[derive(Debug)]
struct Numbered {
    mode: Mode,
    version: u32,
    number: i64,
}

impl DefinitionNumbers {
    pub(super) fn read(connection: &Connection) -> Result<Self, WriteError> {
        let mut numbers = Self { by_name: HashMap::new(), last: 0, fresh: Vec::new() };
        let mut statement = connection.prepare("SELECT no, mode, name, version FROM definition")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (number, name): (i64, String) = (row.get(0)?, row.get(2)?);
            let numbered = Numbered { mode: mode_of(row.get(1)?)?, version: row.get(3)?, number };
            numbers.by_name.entry(DefinitionName::new(name)).or_default().push(numbered);
            numbers.last = numbers.last.max(number);
        }
        Ok(numbers)
    }

    pub(super) fn find(&self, mode: Mode, name: &DefinitionName, version: u32) -> Option<i64> {
        let versions = self.by_name.get(name)?;
        let of = versions.iter().rev().find(|known| known.version == version && known.mode == mode);
        of.map(|known| known.number)
    }

    /// The number of a definition that has none yet; its row is the caller's to write.
    pub(super) fn give(&mut self, mode: Mode, name: &DefinitionName, version: u32) -> i64 {
        self.last += 1;
        self.by_name.entry(name.clone()).or_default().push(Numbered { mode, version, number: self.last });
        self.fresh.push((name.clone(), self.last));
        self.last
    }

    pub(super) fn committed(&mut self) {
        self.fresh.clear();
    }

    pub(super) fn rolled_back(&mut self) {
        for (name, number) in self.fresh.drain(..) {
            if let Some(versions) = self.by_name.get_mut(&name) {
                versions.retain(|known| known.number != number);
            }
        }
    }
}
