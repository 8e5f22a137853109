//! Lists and counts when the database cannot be brought up to the log.
//!
//! Owns what is read instead of waiting for a round that has no space: the database, and over it the sagas that the log knows
//! better. Promises the same answers. Is for a full disk: it looks at every saga of the log.

use std::collections::HashSet;

use amends_core::{DefinitionName, SagaId, Status, Time};

use crate::journal::{Cursor, Filter, Page, SagaSummary};

use super::look::{Look, page};
use super::reader::ReadError;
use super::schema::number_after;

/// A saga that the log knows better.
#[derive(Debug, Clone)]
pub(super) struct Unsettled {
    pub(super) no: i64,
    /// The status that the database has, if it has the saga.
    pub(super) before: Option<Status>,
    pub(super) wake_at: Option<Time>,
    pub(super) summary: SagaSummary,
}

fn matches(filter: &Filter, definition: &DefinitionName, status: Status) -> bool {
    filter.status.is_none_or(|wanted| wanted == status)
        && filter.definition.as_ref().is_none_or(|wanted| wanted == definition)
}

pub(super) fn count(look: &Look<'_>, sagas: &[Unsettled], filter: &Filter) -> Result<u64, ReadError> {
    let counted = |saga: &&Unsettled, status| matches(filter, &saga.summary.definition, status);
    let now = sagas.iter().filter(|saga| counted(saga, saga.summary.status)).count() as u64;
    let before = sagas.iter().filter(|saga| saga.before.is_some_and(|before| counted(saga, before))).count();
    Ok((look.count(filter)? + now).saturating_sub(before as u64))
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
    let known: HashSet<SagaId> = sagas.iter().map(|saga| saga.summary.id).collect();
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
    until: Time,
    limit: usize,
) -> Result<Vec<(Time, SagaId)>, ReadError> {
    let known: HashSet<SagaId> = sagas.iter().map(|saga| saga.summary.id).collect();
    let mut due = look.timers_due(until, limit.saturating_add(sagas.len()))?;
    due.retain(|(_, saga)| !known.contains(saga));
    let better = sagas.iter().filter_map(|saga| Some((saga.wake_at?, saga.summary.id)));
    due.extend(better.filter(|(at, _)| *at <= until && *at < Time::NEVER));
    due.sort_unstable();
    due.truncate(limit);
    Ok(due)
}

pub(super) fn next_timer(look: &Look<'_>, sagas: &[Unsettled]) -> Result<Option<Time>, ReadError> {
    Ok(timers_due(look, sagas, Time::NEVER, 1)?.first().map(|(at, _)| *at))
}
