//! Lists and counts when the database cannot be brought up to the log.
//!
//! Owns what is read instead of waiting for a round that has no space: the database, and over it the sagas that the log knows
//! better. Promises the same answers. Is for a full disk: it looks at every saga of the log.

use std::collections::HashSet;

use amends_core::{DefinitionName, Status, Time, TransactionId};
use amends_journal::{Cursor, Filter, Page, SagaSummary, Timer};

use super::look::{Look, Named, page};
use super::reader::ReadError;
use super::schema::{count_of, number_after};

/// A saga that the log knows better.
#[derive(Debug, Clone)]
pub(super) struct Unsettled {
    pub(super) no: i64,
    pub(super) wake_at: Option<Time>,
    pub(super) summary: SagaSummary,
}

fn matches(filter: &Filter, definition: &DefinitionName, status: Status) -> bool {
    filter.status.is_none_or(|wanted| wanted == status)
        && filter.definition.as_ref().is_none_or(|wanted| wanted == definition)
}

pub(super) fn count(look: &Look<'_>, sagas: &[Unsettled], filter: &Filter) -> Result<u64, ReadError> {
    let (mut more, mut fewer) = (0, 0);
    for Unsettled { no, summary, .. } in sagas {
        more += u64::from(matches(filter, &summary.definition, summary.status));
        // As the database has it in this very moment, not as it was when the log was asked.
        let before = look.status(*no)?;
        fewer += u64::from(before.is_some_and(|before| matches(filter, &summary.definition, before)));
    }
    Ok((look.count(filter)? + more).saturating_sub(fewer))
}

/// Live sagas that owe something, by number, one more than `limit` if there are.
pub(super) fn recoverable(
    look: &Look<'_>,
    sagas: &[Unsettled],
    cursor: Option<Cursor>,
    limit: usize,
) -> Result<Vec<Named>, ReadError> {
    let after = number_after(cursor);
    let known: HashSet<TransactionId> = sagas.iter().map(|saga| saga.summary.id).collect();
    let mut found = look.awake(after, limit.saturating_add(sagas.len()))?;
    found.retain(|(_, saga)| saga.as_ref().map_or(true, |saga| !known.contains(saga)));
    let better = sagas.iter().filter(|saga| {
        let Unsettled { no, wake_at, summary, .. } = saga;
        *no > after && wake_at.is_none() && !summary.status.is_ended() && summary.status != Status::Failed
    });
    found.extend(better.map(|saga| (saga.no, Ok(saga.summary.id))));
    found.sort_unstable_by_key(|(no, _)| *no);
    found.truncate(limit.saturating_add(1));
    Ok(found)
}

pub(super) fn list(
    look: &Look<'_>,
    sagas: &[Unsettled],
    filter: &Filter,
    cursor: Option<Cursor>,
    limit: usize,
) -> Result<Page<SagaSummary>, ReadError> {
    let limit = limit.max(1);
    let before = cursor.map_or(i64::MAX, |cursor| number_after(Some(cursor)));
    let known: HashSet<TransactionId> = sagas.iter().map(|saga| saga.summary.id).collect();
    // As many more as may turn out to be known better.
    let mut found = look.numbered(filter, before, limit.saturating_add(sagas.len()))?;
    found.retain(|(_, saga)| !known.contains(&saga.id));
    let better = sagas
        .iter()
        .filter(|saga| saga.no < before && matches(filter, &saga.summary.definition, saga.summary.status));
    found.extend(better.map(|saga| (saga.no, saga.summary.clone())));
    found.sort_unstable_by_key(|(no, _)| std::cmp::Reverse(*no));
    let Page { items, next } = page(found, limit)?;
    Ok(Page { items: items.into_iter().map(|(_, saga)| saga).collect(), next })
}

pub(super) fn timers_due(
    look: &Look<'_>,
    sagas: &[Unsettled],
    after: Timer,
    until: Time,
    limit: usize,
) -> Result<Vec<(Timer, TransactionId)>, ReadError> {
    let known: HashSet<TransactionId> = sagas.iter().map(|saga| saga.summary.id).collect();
    let mut due = look.timers_due(after, until, limit.saturating_add(sagas.len()))?;
    due.retain(|(_, saga)| !known.contains(saga));
    for saga in sagas {
        let Some(at) = saga.wake_at else { continue };
        let timer = Timer { at, number: count_of(saga.no)? };
        if timer > after && at <= until && at < Time::NEVER {
            due.push((timer, saga.summary.id));
        }
    }
    due.sort_unstable_by_key(|(timer, _)| *timer);
    due.truncate(limit);
    Ok(due)
}
