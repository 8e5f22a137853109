//! What happened, fact by fact.
//!
//! Owns the way from stored records to the facts that people and programs read. Promises that what was answered
//! *committed* is in it, and that a record that cannot be read is an error. Does not interpret facts.

use amends_core::{Definition, TransactionId};
use amends_journal::record::Record;
use amends_journal::{Loaded, record};

use crate::engine::Engine;
use crate::errors::ReadError;

/// The records of a transaction, with what it runs.
#[derive(Debug, Clone)]
pub struct History {
    /// What it runs; `None` if this program does not know it.
    pub definition: Option<Definition>,
    /// The records, the oldest first.
    pub records: Vec<Record>,
}

impl Engine {
    /// Everything that happened to a transaction; `None` if there is none of this id.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn history(&self, id: TransactionId) -> Result<Option<History>, ReadError> {
        let stored = match self.read(move |journal| journal.load(id)).await? {
            Loaded::Stored(stored) => stored,
            Loaded::Removed => return Err(ReadError::Removed { id }),
            Loaded::Nothing => return Ok(None),
        };
        let mut records = Vec::with_capacity(stored.records.len());
        for (number, frame) in (1..).zip(stored.records) {
            let record = record::decode(id, number, frame);
            records.push(record.map_err(|error| ReadError::Unreadable { id, why: error.to_string() })?);
        }
        let known = self.definition(stored.definition.as_str(), Some(stored.version));
        Ok(Some(History { definition: known.map(|view| view.definition), records }))
    }
}
