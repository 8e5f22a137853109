//! From stored records to a saga.
//!
//! Owns the one way back: decode each record, apply its events. Promises that a record which cannot be read, or does
//! not fit, gives [`Found::Unreadable`] and never a default. Runs on blocking threads; does not write.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use amends_core::{Saga, TransactionId};
use amends_journal::{Journal, JournalError, Loaded, Stored, record};

use crate::registry::{Plan, Registry};
use crate::shard::input::Found;

/// Reads one saga.
pub(crate) fn load(journal: &dyn Journal, registry: &Registry, saga: TransactionId) -> Found {
    match journal.load(saga) {
        Ok(Loaded::Stored(stored)) => found(registry, &stored),
        Ok(Loaded::Removed | Loaded::Nothing) => Found::Nothing,
        Err(error) => match error {
            JournalError::Unreadable(_) | JournalError::Damaged { .. } => {
                Found::Unreadable { why: error.to_string(), judged_by: None }
            }
            JournalError::NoSpace(_) | JournalError::Locked(_) | JournalError::Store { .. } => {
                Found::Failed { why: error.to_string() }
            }
        },
    }
}

/// What stored records make.
pub(crate) fn found(registry: &Registry, stored: &Stored) -> Found {
    if let Some(why) = &stored.unreadable {
        return Found::Unreadable { why: why.clone(), judged_by: None };
    }
    let sequence = stored.records.len() as u64;
    let unreadable = |why: String| Found::Unreadable { why, judged_by: Some(sequence) };
    let Some(plan) = registry.plan(&stored.definition, stored.version) else {
        // Nothing is wrong with the saga, so it is not marked: a program that has what it needs takes it up.
        let why = format!(
            "this program lacks the definition {} version {}, or a participant of it: start one that has them",
            stored.definition, stored.version
        );
        return Found::Unreadable { why, judged_by: None };
    };
    match catch_unwind(AssertUnwindSafe(|| rebuild(plan, stored))) {
        Ok(Ok(saga)) if saga.status().standing() == stored.standing.awake() => {
            Found::Saga { saga: Box::new(saga), sequence, plan: plan.clone(), standing: stored.standing }
        }
        Ok(Ok(saga)) => unreadable(format!(
            "damaged: the records make a saga that is {}, the index says {:?}",
            saga.status(),
            stored.standing
        )),
        Ok(Err(why)) => unreadable(why),
        Err(_) => unreadable("damaged: an invariant does not hold after reading the records".to_owned()),
    }
}

fn rebuild(plan: &Arc<Plan>, stored: &Stored) -> Result<Saga, String> {
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
