//! From stored records to a transaction.
//!
//! Owns the one way back: decode each record, apply its facts. Promises that a record which cannot be read,
//! or does not fit, gives [`Found::Unreadable`] and never a default. Runs on blocking threads; does not
//! write.

use std::panic::{AssertUnwindSafe, catch_unwind};

use amends_core::{Definition, Transaction, TransactionId};
use amends_journal::{Journal, JournalError, Loaded, Stored, record};

use crate::registry::Registry;
use crate::shard::input::Found;

/// Reads one transaction.
pub(crate) fn load(journal: &dyn Journal, registry: &Registry, id: TransactionId) -> Found {
    match journal.load(id) {
        Ok(Loaded::Stored(stored)) => found(registry, &stored),
        Ok(Loaded::Removed) => Found::Removed,
        Ok(Loaded::Nothing) => Found::Nothing,
        // How many records it has is not known either, so that nobody can park it by that.
        Err(error @ (JournalError::Unreadable(_) | JournalError::Damaged { .. })) => {
            Found::Unreadable { why: error.to_string(), judged_by: None }
        }
        Err(error @ (JournalError::NoSpace(_) | JournalError::Locked(_) | JournalError::Store { .. })) => {
            Found::Failed { why: error.to_string() }
        }
    }
}

/// What stored records make.
pub(crate) fn found(registry: &Registry, stored: &Stored) -> Found {
    if let Some(why) = &stored.unreadable {
        return Found::Unreadable { why: why.clone(), judged_by: None };
    }
    let sequence = stored.records.len() as u64;
    let unreadable = |why: String| Found::Unreadable { why, judged_by: Some(sequence) };
    let Some(runnable) = registry.runnable(&stored.definition, stored.version) else {
        // Nothing is wrong with the transaction, so it is not marked: a program that has what it needs goes
        // on with it.
        let why = format!(
            "this program lacks the definition {} version {}, or something that it needs: start one that has both",
            stored.definition, stored.version
        );
        return Found::Unreadable { why, judged_by: None };
    };
    match catch_unwind(AssertUnwindSafe(|| rebuild(&runnable.definition, stored))) {
        // Only the index knows who is asleep.
        Ok(Ok(transaction)) if transaction.standing() == stored.standing.awake() => Found::Transaction {
            transaction: Box::new(transaction),
            sequence,
            runnable: runnable.clone(),
            standing: stored.standing,
        },
        Ok(Ok(transaction)) => unreadable(format!(
            "damaged: the records make a transaction that is {:?}, the index says {:?}",
            transaction.standing(),
            stored.standing
        )),
        Ok(Err(why)) => unreadable(why),
        Err(_) => unreadable("damaged: an invariant does not hold after reading the records".to_owned()),
    }
}

fn rebuild(definition: &Definition, stored: &Stored) -> Result<Transaction, String> {
    let mut transaction: Option<Transaction> = None;
    for (at, frame) in stored.records.iter().enumerate() {
        let record =
            record::decode(stored.id, at as u64 + 1, frame.clone()).map_err(|error| error.to_string())?;
        match &mut transaction {
            None => {
                let begun = Transaction::begin(stored.id, definition.clone(), &record.facts, record.at);
                transaction = Some(begun.map_err(|error| format!("damaged: {error}"))?);
            }
            Some(transaction) => {
                transaction.apply(&record.facts, record.at).map_err(|error| format!("damaged: {error}"))?
            }
        }
    }
    transaction.ok_or_else(|| "damaged: the transaction has no records".to_owned())
}
