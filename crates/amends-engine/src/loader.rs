//! From stored records to a saga.
//!
//! Owns the one way back: decode each record, apply its events. Promises that a record which cannot be read, or does
//! not fit, gives [`Found::Unreadable`] and never a default. Runs on blocking threads; does not write.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use amends_core::{Saga, TransactionId};
use amends_journal::{Journal, StoredSaga, record};

use crate::registry::{Plan, Registry};
use crate::shard::input::Found;

/// Reads one saga.
pub(crate) fn load(journal: &dyn Journal, registry: &Registry, saga: TransactionId) -> Found {
    match journal.load(saga) {
        Ok(Some(stored)) => found(registry, &stored),
        Ok(None) => Found::Nothing,
        Err(error) => match error {
            amends_journal::JournalError::Unreadable(_) | amends_journal::JournalError::Damaged { .. } => {
                Found::Unreadable { why: error.to_string(), quarantined: false }
            }
            amends_journal::JournalError::NoSpace(_) | amends_journal::JournalError::Store { .. } => {
                Found::Failed { why: error.to_string() }
            }
        },
    }
}

/// What stored records make.
pub(crate) fn found(registry: &Registry, stored: &StoredSaga) -> Found {
    if let Some(why) = &stored.unreadable {
        return Found::Unreadable { why: why.clone(), quarantined: true };
    }
    let unreadable = |why: String| Found::Unreadable { why, quarantined: false };
    let Some(plan) = registry.plan(&stored.definition, stored.version) else {
        // Nothing is wrong with the saga, so it is not marked: a program that has what it needs takes it up.
        let why = format!(
            "this program lacks the definition {} version {}, or a participant of it: start one that has them",
            stored.definition, stored.version
        );
        return Found::Unreadable { why, quarantined: true };
    };
    match catch_unwind(AssertUnwindSafe(|| rebuild(plan, stored))) {
        Ok(Ok(saga)) if saga.status() == stored.status => {
            let sequence = stored.records.len() as u64;
            Found::Saga { saga: Box::new(saga), sequence, plan: plan.clone(), wake: stored.wake }
        }
        Ok(Ok(saga)) => unreadable(format!(
            "damaged: the records make a saga that is {}, the index says {}",
            saga.status(),
            stored.status
        )),
        Ok(Err(why)) => unreadable(why),
        Err(_) => unreadable("damaged: an invariant does not hold after reading the records".to_owned()),
    }
}

fn rebuild(plan: &Arc<Plan>, stored: &StoredSaga) -> Result<Saga, String> {
    let mut saga: Option<Saga> = None;
    for (at, frame) in stored.records.iter().enumerate() {
        let record =
            record::decode(stored.id, at as u64 + 1, frame.clone()).map_err(|error| error.to_string())?;
        for event in &record.events {
            match &mut saga {
                None => {
                    let begun = Saga::begin(stored.id, plan.definition.clone(), event, record.at);
                    saga = Some(begun.map_err(|error| format!("damaged: {error}"))?);
                }
                Some(saga) => saga.apply(event, record.at).map_err(|error| format!("damaged: {error}"))?,
            }
        }
    }
    saga.ok_or_else(|| "damaged: the saga has no records".to_owned())
}
