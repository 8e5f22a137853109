//! The journal that forgets: everything in memory, for tests, simulation and embedding without a disk.
//!
//! Owns a backend that keeps every promise of [`Journal`] but durability, in the plainest way there is: it is what
//! the model tests hold other backends to. Answers before `submit` returns, on the caller's thread. Does not survive
//! its process.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use amends_core::{DefinitionName, DefinitionSpec, Status, Time, TransactionId};
use bytes::Bytes;

use crate::journal::{
    Append, AppendAnswer, Conflict, Cursor, Expected, Filter, Fingerprint, Journal, JournalError, KeyEntry,
    NewSaga, OnAnswers, Page, PutDefinition, SagaSummary, Stats, StoredSaga, Sweep, Timer, Wake,
};

/// The backend in memory.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_number: u64,
    sagas: BTreeMap<u64, Saga>,
    numbers: BTreeMap<TransactionId, u64>,
    ended: BTreeSet<u64>,
    timers: BTreeSet<(Time, u64)>,
    keys: BTreeMap<String, Key>,
    reserved: BTreeMap<TransactionId, Reserved>,
    tally: BTreeMap<(DefinitionName, Status), u64>,
    definitions: BTreeMap<(DefinitionName, u32), DefinitionSpec>,
    stats: Stats,
}

#[derive(Debug)]
struct Saga {
    id: TransactionId,
    new: NewSaga,
    status: Status,
    started_at: Time,
    ended_at: Option<Time>,
    wake: Wake,
    unreadable: Option<String>,
    records: Vec<Bytes>,
}

#[derive(Debug)]
struct Key {
    entry: KeyEntry,
    /// When its saga was removed, if it was: from then on the key may be forgotten.
    removed_at: Option<Time>,
}

#[derive(Debug)]
struct Reserved {
    /// Of the saga.
    number: u64,
    fingerprint: Option<Fingerprint>,
    removed_at: Time,
}

impl MemoryJournal {
    /// An empty journal.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code of others runs under the lock; a panic of our own leaves nothing half-done that matters here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for MemoryJournal {
    fn submit(&self, batch: Vec<Append>, on_answers: OnAnswers) {
        let answers = {
            let mut state = self.state();
            let answers: Vec<AppendAnswer> = batch.into_iter().map(|append| state.append(append)).collect();
            state.stats.commits += u64::from(answers.contains(&AppendAnswer::Committed));
            answers
        };
        on_answers(answers);
    }

    fn load(&self, saga: TransactionId) -> Result<Option<StoredSaga>, JournalError> {
        let state = self.state();
        Ok(state.numbers.get(&saga).map(|number| state.sagas[number].stored()))
    }

    fn recoverable_at_once(&self, limit: usize) -> Result<Vec<StoredSaga>, JournalError> {
        Ok(self.recoverable(None, limit)?.items)
    }

    fn recoverable(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page<StoredSaga>, JournalError> {
        let state = self.state();
        let first = cursor.map_or(0, |cursor| cursor.0 + 1);
        let owing = state
            .sagas
            .range(first..)
            .filter(|(_, saga)| is_owing(saga.status) && saga.wake == Wake::Awake)
            .map(|(number, saga)| (*number, saga.stored()));
        Ok(page(owing, limit))
    }

    fn recoverable_ids(
        &self,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Result<TransactionId, JournalError>>, JournalError> {
        let Page { items, next } = self.recoverable(cursor, limit)?;
        Ok(Page { items: items.into_iter().map(|saga| Ok(saga.id)).collect(), next })
    }

    fn list(
        &self,
        filter: &Filter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<SagaSummary>, JournalError> {
        let state = self.state();
        let end = cursor.map_or(u64::MAX, |cursor| cursor.0);
        let matching = state
            .sagas
            .range(..end)
            .rev()
            .filter(|(_, saga)| matches(filter, &saga.new.definition, saga.status))
            .map(|(number, saga)| (*number, saga.summary()));
        Ok(page(matching, limit))
    }

    fn count(&self, filter: &Filter) -> Result<u64, JournalError> {
        let state = self.state();
        let counts = state.tally.iter().filter(|((name, status), _)| matches(filter, name, *status));
        Ok(counts.map(|(_, count)| count).sum())
    }

    fn timers_due(
        &self,
        after: Timer,
        until: Time,
        limit: usize,
    ) -> Result<Vec<(Timer, TransactionId)>, JournalError> {
        let state = self.state();
        let later = (Bound::Excluded((after.at, after.number)), Bound::Unbounded);
        let due = state.timers.range(later).take_while(|(at, _)| *at <= until).take(limit);
        Ok(due.map(|&(at, number)| (Timer { at, number }, state.sagas[&number].id)).collect())
    }

    fn by_key(&self, key: &str) -> Result<Option<KeyEntry>, JournalError> {
        Ok(self.state().keys.get(key).map(|key| key.entry))
    }

    fn quarantine(&self, saga: TransactionId, why: &str) -> Result<(), JournalError> {
        self.state().quarantine(saga, why);
        Ok(())
    }

    fn remove_ended(
        &self,
        before: Time,
        now: Time,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Sweep, JournalError> {
        Ok(self.state().remove_ended(before, now, cursor, limit))
    }

    fn forget_reservations(&self, before: Time, limit: usize) -> Result<usize, JournalError> {
        Ok(self.state().forget_reservations(before, limit))
    }

    fn put_definition(&self, spec: &DefinitionSpec) -> Result<PutDefinition, JournalError> {
        let mut state = self.state();
        let place = (spec.name.clone(), spec.version);
        Ok(match state.definitions.get(&place) {
            Some(stored) if stored == spec => PutDefinition::Unchanged,
            Some(_) => PutDefinition::Different,
            None => {
                state.definitions.insert(place, spec.clone());
                PutDefinition::New
            }
        })
    }

    fn definitions(&self) -> Result<Vec<DefinitionSpec>, JournalError> {
        Ok(self.state().definitions.values().cloned().collect())
    }

    fn is_disk_low(&self) -> bool {
        false
    }

    fn stats(&self) -> Stats {
        self.state().stats
    }
}

impl State {
    fn append(&mut self, append: Append) -> AppendAnswer {
        let bytes = append.record.len() as u64;
        let outcome = match append.expected {
            Expected::New(ref new) => match self.conflict_of_start(append.saga, new) {
                Some(entry) => Err(Conflict::Exists(entry)),
                None => {
                    self.start(append);
                    Ok(())
                }
            },
            Expected::Sequence(expected) => self.follow(expected, append),
        };
        match outcome {
            Ok(()) => {
                self.stats.appends += 1;
                self.stats.record_bytes += bytes;
                AppendAnswer::Committed
            }
            Err(conflict) => AppendAnswer::Conflict(conflict),
        }
    }

    /// What stands in a start's way. The key goes first: it is what the caller asked to be the same.
    fn conflict_of_start(&self, id: TransactionId, new: &NewSaga) -> Option<KeyEntry> {
        let by_key = new.key.as_ref().and_then(|key| self.keys.get(&key.0)).map(|key| key.entry);
        let by_id = || {
            let number = self.numbers.get(&id)?;
            Some(KeyEntry { saga: id, fingerprint: self.sagas[number].new.fingerprint })
        };
        let by_reservation = || {
            let reserved = self.reserved.get(&id)?;
            Some(KeyEntry { saga: id, fingerprint: reserved.fingerprint })
        };
        by_key.or_else(by_id).or_else(by_reservation)
    }

    fn start(&mut self, append: Append) {
        let Append { saga: id, expected: Expected::New(new), record, at, status, wake } = append else {
            unreachable!("only starts get here")
        };
        self.last_number += 1;
        let number = self.last_number;
        if let Some(key) = &new.key {
            let entry = KeyEntry { saga: id, fingerprint: new.fingerprint };
            self.keys.insert(key.0.clone(), Key { entry, removed_at: None });
        }
        self.numbers.insert(id, number);
        let saga = Saga {
            id,
            new,
            status: status.unwrap_or(Status::Pending),
            started_at: at,
            ended_at: None,
            wake,
            unreadable: None,
            records: vec![record],
        };
        self.put(number, saga, at);
    }

    fn follow(&mut self, expected: u64, append: Append) -> Result<(), Conflict> {
        let Some(&number) = self.numbers.get(&append.saga) else { return Err(Conflict::Sequence(None)) };
        let sequence = self.sagas[&number].records.len() as u64;
        if sequence != expected {
            return Err(Conflict::Sequence(Some(sequence)));
        }
        let mut saga = self.take(number);
        saga.records.push(append.record);
        saga.wake = append.wake;
        if let Some(status) = append.status {
            saga.status = status;
            saga.unreadable = None;
            saga.ended_at = None;
        }
        self.put(number, saga, append.at);
        Ok(())
    }

    fn quarantine(&mut self, id: TransactionId, why: &str) {
        let Some(&number) = self.numbers.get(&id) else { return };
        if self.ended.contains(&number) {
            return;
        }
        let mut saga = self.take(number);
        saga.status = Status::Failed;
        saga.wake = Wake::Awake;
        saga.unreadable = Some(why.to_owned());
        let at = saga.started_at;
        self.put(number, saga, at);
    }

    fn remove_ended(&mut self, before: Time, now: Time, cursor: Option<Cursor>, limit: usize) -> Sweep {
        let first = cursor.map_or(0, |cursor| cursor.0 + 1);
        let looked_at: Vec<u64> = self.ended.range(first..).take(limit.max(1)).copied().collect();
        let mut removed = 0;
        for &number in &looked_at {
            if self.sagas[&number].ended_at.is_none_or(|at| at >= before) {
                continue;
            }
            let saga = self.take(number);
            self.numbers.remove(&saga.id);
            if saga.new.id_given {
                let fingerprint = saga.new.fingerprint;
                self.reserved.insert(saga.id, Reserved { number, fingerprint, removed_at: now });
            }
            if let Some(key) = saga.new.key.as_ref().and_then(|key| self.keys.get_mut(&key.0)) {
                key.removed_at = Some(now);
            }
            removed += 1;
        }
        let last = looked_at.last().copied();
        let next = last.filter(|last| self.ended.range(last + 1..).next().is_some()).map(Cursor);
        Sweep { removed, next }
    }

    fn forget_reservations(&mut self, before: Time, limit: usize) -> usize {
        let reserved = self.reserved.iter();
        let mut ids: Vec<(Time, u64, TransactionId)> =
            reserved.map(|(id, reserved)| (reserved.removed_at, reserved.number, *id)).collect();
        ids.retain(|(removed_at, ..)| *removed_at < before);
        ids.sort_unstable();
        ids.truncate(limit);
        let mut keys: Vec<(Time, String)> = self
            .keys
            .iter()
            .filter_map(|(text, key)| Some((key.removed_at?, text.clone())))
            .filter(|(removed_at, _)| *removed_at < before)
            .collect();
        keys.sort_unstable();
        keys.truncate(limit - ids.len());
        for (.., id) in &ids {
            self.reserved.remove(id);
        }
        for (_, key) in &keys {
            self.keys.remove(key);
        }
        ids.len() + keys.len()
    }

    /// Takes a saga out of every index.
    fn take(&mut self, number: u64) -> Saga {
        let saga = self.sagas.remove(&number).expect("numbers and sagas go together");
        self.ended.remove(&number);
        if let Wake::At(time) = saga.wake {
            self.timers.remove(&(time, number));
        }
        let place = (saga.new.definition.clone(), saga.status);
        let count = self.tally.get_mut(&place).expect("every saga is counted");
        *count -= 1;
        saga
    }

    /// Puts a saga into every index; `at` is when it ended, if it just did.
    fn put(&mut self, number: u64, mut saga: Saga, at: Time) {
        if saga.status.is_ended() {
            saga.ended_at = saga.ended_at.or(Some(at));
            saga.wake = Wake::Awake;
            self.ended.insert(number);
        }
        if let Wake::At(time) = saga.wake
            && time != Time::NEVER
        {
            self.timers.insert((time, number));
        }
        *self.tally.entry((saga.new.definition.clone(), saga.status)).or_insert(0) += 1;
        self.sagas.insert(number, saga);
    }
}

impl Saga {
    fn stored(&self) -> StoredSaga {
        StoredSaga {
            id: self.id,
            definition: self.new.definition.clone(),
            version: self.new.version,
            status: self.status,
            wake: self.wake,
            unreadable: self.unreadable.clone(),
            records: self.records.clone(),
        }
    }

    fn summary(&self) -> SagaSummary {
        SagaSummary {
            id: self.id,
            definition: self.new.definition.clone(),
            version: self.new.version,
            status: self.status,
            started_at: self.started_at,
            ended_at: self.ended_at,
        }
    }
}

const fn is_owing(status: Status) -> bool {
    match status {
        Status::Pending | Status::InProgress | Status::Compensating => true,
        Status::Failed | Status::Completed | Status::Compensated | Status::Abandoned => false,
    }
}

fn matches(filter: &Filter, definition: &DefinitionName, status: Status) -> bool {
    filter.status.is_none_or(|wanted| wanted == status)
        && filter.definition.as_ref().is_none_or(|wanted| wanted == definition)
}

/// The first `limit` of the items; a limit of zero counts as one, so that whoever pages always gets on.
fn page<T>(items: impl Iterator<Item = (u64, T)>, limit: usize) -> Page<T> {
    let limit = limit.max(1);
    let mut items: Vec<(u64, T)> = items.take(limit + 1).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more { items.last().map(|(number, _)| Cursor(*number)) } else { None };
    Page { items: items.into_iter().map(|(_, item)| item).collect(), next }
}
