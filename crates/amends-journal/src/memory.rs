//! The journal that forgets: everything in memory, for tests, simulation and embedding without a disk.
//!
//! Owns a backend that keeps every promise of [`crate::Journal`] but durability, in the plainest way there
//! is: it is what the model tests hold other backends to. Answers before `submit` returns, on the caller's
//! thread. Does not survive its process.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::iter::successors;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use amends_core::{
    DefinitionName, DefinitionSpec, Mode, Partition, Partitions, Standing, StandingKind, Time, TransactionId,
};
use bytes::Bytes;

use crate::appends::{
    Append, AppendAnswer, Appends, Conflict, Expected, KeyEntry, NewTransaction, OnAnswers, Presence,
};
use crate::error::JournalError;
use crate::feed::{Feed, FeedEntry, FeedPosition, OnFeed};
use crate::limits::{ANCESTORS_MAX, MEMORY_FEED_FACTS_KEPT, TRANSACTION_BYTES_MAX};
use crate::ownership::{Epoch, Lease, Ownership};
use crate::reads::{
    Count, Cursor, Filter, Loaded, Page, Reads, Stats, Stored, StoredDefinition, Summary, Timer,
};
use crate::record;
use crate::upkeep::{Backup, Erase, PutDefinition, Quarantined, RetireDefinition, Sweep, Upkeep};

/// The backend in memory; one coordinator's handle on it.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    state: Arc<Mutex<State>>,
    watchers: Arc<Watchers>,
    coordinator: u64,
}

/// Who is told of the feed.
#[derive(Default)]
struct Watchers(Mutex<Vec<OnFeed>>);

impl std::fmt::Debug for Watchers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watchers").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    last_number: u64,
    transactions: BTreeMap<u64, Transaction>,
    numbers: BTreeMap<TransactionId, u64>,
    ended: BTreeSet<u64>,
    timers: BTreeSet<(Time, u64)>,
    /// Of removed transactions, by number.
    reserved: BTreeMap<u64, Reserved>,
    /// Of whoever has or had a key, or an id that its caller chose and that is reserved now.
    keys: BTreeMap<String, u64>,
    reserved_ids: BTreeMap<TransactionId, u64>,
    tally: BTreeMap<Group, u64>,
    definitions: BTreeMap<(DefinitionName, u32), StoredDefinition>,
    secrets: BTreeMap<String, Vec<u8>>,
    newest_at: Option<Time>,
    coordinators: u64,
    held: BTreeMap<Partition, Held>,
    last_epoch: u64,
    stats: Stats,
    /// With the number of the record's transaction.
    feed: VecDeque<(u64, FeedEntry)>,
    newest: FeedPosition,
}

/// What is counted together.
type Group = (Mode, DefinitionName, u32, StandingKind);

#[derive(Debug)]
struct Transaction {
    id: TransactionId,
    new: NewTransaction,
    standing: Standing,
    started_at: Time,
    ended_at: Option<Time>,
    unreadable: Option<String>,
    erased_at: Option<Time>,
    records: Vec<Bytes>,
}

#[derive(Debug)]
struct Reserved {
    id: TransactionId,
    new: NewTransaction,
    removed_at: Time,
}

/// Who holds a partition.
#[derive(Debug, Clone, Copy)]
struct Held {
    coordinator: u64,
    epoch: Epoch,
}

impl MemoryJournal {
    /// An empty journal.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another coordinator's handle on the same journal: what it acquires is taken from those that held it.
    #[must_use]
    pub fn another_coordinator(&self) -> Self {
        let mut state = self.state();
        state.coordinators += 1;
        let (state_of_all, watchers) = (Arc::clone(&self.state), Arc::clone(&self.watchers));
        Self { state: state_of_all, watchers, coordinator: state.coordinators }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code of others runs under the lock; a panic of our own leaves nothing half-done that matters
        // here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Appends for MemoryJournal {
    fn submit(&self, batch: Vec<Append>, on_answers: OnAnswers) {
        let answers = {
            let mut state = self.state();
            let answers: Vec<AppendAnswer> = batch.into_iter().map(|append| state.append(append)).collect();
            let has_committed = answers.contains(&AppendAnswer::Committed);
            state.stats.commits += u64::from(has_committed);
            let newest = state.newest;
            drop(state);
            if has_committed {
                // A panic of one who is told leaves the list as it was.
                let watchers = self.watchers.0.lock().unwrap_or_else(PoisonError::into_inner);
                watchers.iter().for_each(|on_new| on_new(newest));
            }
            answers
        };
        on_answers(answers);
    }
}

impl Reads for MemoryJournal {
    fn load(&self, id: TransactionId) -> Result<Loaded, JournalError> {
        let state = self.state();
        Ok(match state.numbers.get(&id) {
            Some(number) => Loaded::Stored(state.transactions[number].stored()),
            None if state.reserved_ids.contains_key(&id) => Loaded::Removed,
            None => Loaded::Nothing,
        })
    }

    fn recoverable(
        &self,
        partitions: &Partitions,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Stored>, JournalError> {
        let state = self.state();
        let first = cursor.map_or(0, |cursor| cursor.0 + 1);
        let owing = state
            .transactions
            .range(first..)
            .filter(|(_, transaction)| {
                is_active(transaction.standing) && partitions.contains(Partition::of(transaction.id))
            })
            .map(|(number, transaction)| (*number, transaction.stored()));
        Ok(page(owing, limit))
    }

    fn list(
        &self,
        filter: &Filter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Summary>, JournalError> {
        let state = self.state();
        let end = cursor.map_or(u64::MAX, |cursor| cursor.0);
        let summaries = state.transactions.range(..end).rev();
        let summaries = summaries.map(|(number, transaction)| (*number, transaction.summary()));
        Ok(page(summaries.filter(|(_, summary)| filter.matches(summary)), limit))
    }

    fn count(&self, filter: &Filter) -> Result<Count, JournalError> {
        let state = self.state();
        if filter.is_counted() {
            let groups = state.tally.iter().filter(|((mode, definition, version, standing), _)| {
                filter.matches_group(*mode, definition, *version, *standing)
            });
            return Ok(Count::exactly(groups.map(|(_, count)| count).sum()));
        }
        let summaries = state.transactions.values().map(Transaction::summary);
        Ok(Count::exactly(summaries.filter(|summary| filter.matches(summary)).count() as u64))
    }

    fn timers_due(
        &self,
        partitions: &Partitions,
        after: Timer,
        until: Time,
        limit: usize,
    ) -> Result<Vec<(Timer, TransactionId)>, JournalError> {
        let state = self.state();
        let later = (Bound::Excluded((after.at, after.number)), Bound::Unbounded);
        let due = state.timers.range(later).take_while(|(at, _)| *at <= until);
        let due = due.map(|&(at, number)| (Timer { at, number }, state.transactions[&number].id));
        Ok(due.filter(|(_, id)| partitions.contains(Partition::of(*id))).take(limit).collect())
    }

    fn by_key(&self, key: &str) -> Result<Option<KeyEntry>, JournalError> {
        let state = self.state();
        Ok(state.keys.get(key).map(|number| state.entry(*number)))
    }

    fn definitions(&self) -> Result<Vec<StoredDefinition>, JournalError> {
        Ok(self.state().definitions.values().cloned().collect())
    }

    fn newest_at(&self) -> Result<Option<Time>, JournalError> {
        Ok(self.state().newest_at)
    }

    fn feed(&self, after: Option<FeedPosition>, limit: usize) -> Result<Feed, JournalError> {
        Ok(self.state().feed(after, limit.max(1)))
    }

    fn watch_feed(&self, on_new: OnFeed) {
        self.watchers.0.lock().unwrap_or_else(PoisonError::into_inner).push(on_new);
    }

    fn stats(&self) -> Stats {
        self.state().stats
    }
}

impl Upkeep for MemoryJournal {
    fn quarantine(
        &self,
        id: TransactionId,
        records: u64,
        epoch: Epoch,
        why: &str,
    ) -> Result<Quarantined, JournalError> {
        Ok(self.state().quarantine(id, records, epoch, why))
    }

    fn erase(&self, id: TransactionId, records: u64, epoch: Epoch, now: Time) -> Result<Erase, JournalError> {
        self.state().erase(id, records, epoch, now)
    }

    fn remove_ended(
        &self,
        partitions: &Partitions,
        before: Time,
        now: Time,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Sweep, JournalError> {
        Ok(self.state().remove_ended(partitions, before, now, cursor, limit))
    }

    fn forget_reservations(
        &self,
        partitions: &Partitions,
        before: Time,
        limit: usize,
    ) -> Result<usize, JournalError> {
        Ok(self.state().forget_reservations(partitions, before, limit))
    }

    fn put_definition(&self, spec: &DefinitionSpec, now: Time) -> Result<PutDefinition, JournalError> {
        let mut state = self.state();
        let place = (spec.name().clone(), spec.version());
        Ok(match state.definitions.get(&place) {
            Some(stored) if stored.spec == *spec => PutDefinition::Unchanged,
            Some(_) => PutDefinition::Different,
            None => {
                let stored = StoredDefinition { spec: spec.clone(), registered_at: now, retired_at: None };
                state.definitions.insert(place, stored);
                PutDefinition::New
            }
        })
    }

    fn backup(&self, _to: &Path) -> Result<Backup, JournalError> {
        let source = "it is in memory, and has no backup".into();
        Err(JournalError::Store { what: "in memory".to_owned(), source })
    }

    fn secret(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, JournalError> {
        Ok(self.state().secrets.entry(name.to_owned()).or_insert_with(|| fresh.to_vec()).clone())
    }

    fn retire_definition(
        &self,
        mode: Mode,
        name: &DefinitionName,
        version: u32,
        now: Time,
    ) -> Result<RetireDefinition, JournalError> {
        let mut state = self.state();
        let stored = state.definitions.get_mut(&(name.clone(), version));
        Ok(match stored.filter(|stored| stored.spec.mode() == mode) {
            None => RetireDefinition::NotFound,
            Some(stored) if stored.retired_at.is_some() => RetireDefinition::Unchanged,
            Some(stored) => {
                stored.retired_at = Some(now);
                RetireDefinition::Retired
            }
        })
    }
}

impl Ownership for MemoryJournal {
    fn acquire(&self, wanted: &Partitions) -> Result<Vec<Lease>, JournalError> {
        let mut state = self.state();
        let coordinator = self.coordinator;
        let holds = |held: Option<&Held>| held.is_some_and(|held| held.coordinator == coordinator);
        if wanted.iter().any(|partition| !holds(state.held.get(&partition))) {
            state.last_epoch += 1;
        }
        let epoch = Epoch(state.last_epoch);
        let leases = wanted.iter().map(|partition| {
            let held = state.held.entry(partition).or_insert(Held { coordinator, epoch });
            if held.coordinator != coordinator {
                *held = Held { coordinator, epoch };
            }
            Lease { partition, epoch: held.epoch }
        });
        Ok(leases.collect())
    }

    fn release(&self, leases: &[Lease]) -> Result<(), JournalError> {
        let mut state = self.state();
        for lease in leases {
            if state.is_held(lease.partition, lease.epoch) {
                state.held.remove(&lease.partition);
            }
        }
        Ok(())
    }
}

impl State {
    fn append(&mut self, append: Append) -> AppendAnswer {
        if !self.is_held(Partition::of(append.id), append.epoch) {
            return AppendAnswer::Fenced;
        }
        let (bytes, at) = (append.record.len() as u64, append.at);
        let (id, facts) = (append.id, record::facts_in(&append.record));
        let answer = match append.expected {
            Expected::New(ref new) => match self.conflict_of_start(append.id, new) {
                Some(entry) => AppendAnswer::Conflict(Conflict::Exists(entry)),
                None if bytes > TRANSACTION_BYTES_MAX => AppendAnswer::TooLarge { bytes },
                None => self.start(append),
            },
            Expected::Sequence(expected) => self.follow(expected, append),
        };
        if answer == AppendAnswer::Committed {
            self.stats.appends += 1;
            self.stats.record_bytes += bytes;
            self.newest_at = self.newest_at.max(Some(at));
            self.note_in_feed(id, facts);
        }
        answer
    }

    fn note_in_feed(&mut self, id: TransactionId, facts: u32) {
        let number = self.numbers[&id];
        let record = self.transactions[&number].records.len() as u64;
        let entry = FeedEntry { id, record, facts, first: FeedPosition(self.newest.0 + 1) };
        self.newest = entry.last();
        self.feed.push_back((number, entry));
        let kept_after = self.newest.0.saturating_sub(MEMORY_FEED_FACTS_KEPT);
        while self.feed.front().is_some_and(|(_, first)| first.last().0 <= kept_after) {
            self.feed.pop_front();
        }
    }

    fn feed(&self, after: Option<FeedPosition>, limit: usize) -> Feed {
        let newest = self.newest;
        let after = after.unwrap_or(newest);
        if after > newest {
            return Feed::Unknown { newest };
        }
        let oldest = self.feed.front().map_or(newest, |(_, entry)| FeedPosition(entry.first.0 - 1));
        if after < oldest {
            return Feed::Expired { oldest };
        }
        let from = self.feed.partition_point(|(_, entry)| entry.last() <= after);
        let page: Vec<(u64, FeedEntry)> = self.feed.range(from..).take(limit).copied().collect();
        let next = page.last().map_or(after, |(_, entry)| entry.last());
        let kept = page.into_iter().filter(|(number, _)| self.transactions.contains_key(number));
        Feed::Page { entries: kept.map(|(_, entry)| entry).collect(), next, newest }
    }

    fn is_held(&self, partition: Partition, epoch: Epoch) -> bool {
        self.held.get(&partition).is_some_and(|held| held.epoch == epoch)
    }

    /// What stands in a start's way. The key goes first: it is what the caller asked to be the same.
    fn conflict_of_start(&self, id: TransactionId, new: &NewTransaction) -> Option<KeyEntry> {
        let by_key = new.key.as_ref().and_then(|key| self.keys.get(&key.0));
        let number = by_key.or_else(|| self.numbers.get(&id)).or_else(|| self.reserved_ids.get(&id));
        number.map(|number| self.entry(*number))
    }

    /// Whoever has this number, or had it.
    fn entry(&self, number: u64) -> KeyEntry {
        let (id, new, presence) = match self.transactions.get(&number) {
            Some(kept) => (kept.id, &kept.new, Presence::Kept),
            None => {
                let removed = self.reserved.get(&number).expect("a name leads to what is there or reserved");
                (removed.id, &removed.new, Presence::Removed)
            }
        };
        KeyEntry { id, fingerprint: new.fingerprint, presence }
    }

    fn start(&mut self, append: Append) -> AppendAnswer {
        let Append { id, expected: Expected::New(new), record, at, standing, .. } = append else {
            unreachable!("only starts get here")
        };
        self.last_number += 1;
        let number = self.last_number;
        if let Some(key) = &new.key {
            self.keys.insert(key.0.clone(), number);
        }
        self.numbers.insert(id, number);
        let ended_at = standing.is_ended().then_some(at);
        let records = vec![record];
        let transaction = Transaction {
            id,
            new: *new,
            standing,
            started_at: at,
            ended_at,
            unreadable: None,
            erased_at: None,
            records,
        };
        self.put(number, transaction);
        AppendAnswer::Committed
    }

    fn follow(&mut self, expected: u64, append: Append) -> AppendAnswer {
        let Some(&number) = self.numbers.get(&append.id) else {
            return AppendAnswer::Conflict(Conflict::Sequence(None));
        };
        if self.transactions[&number].erased_at.is_some() {
            return AppendAnswer::Conflict(Conflict::Sequence(None));
        }
        let records = &self.transactions[&number].records;
        let sequence = records.len() as u64;
        if sequence != expected {
            return AppendAnswer::Conflict(Conflict::Sequence(Some(sequence)));
        }
        let bytes = records.iter().chain([&append.record]).map(|record| record.len() as u64).sum();
        if bytes > TRANSACTION_BYTES_MAX {
            return AppendAnswer::TooLarge { bytes };
        }
        let mut transaction = self.take(number);
        transaction.records.push(append.record);
        // Whoever appends has read it.
        transaction.unreadable = None;
        if append.standing.kind() != transaction.standing.kind() {
            transaction.ended_at = append.standing.is_ended().then_some(append.at);
        }
        transaction.standing = append.standing;
        self.put(number, transaction);
        AppendAnswer::Committed
    }

    fn quarantine(&mut self, id: TransactionId, records: u64, epoch: Epoch, why: &str) -> Quarantined {
        if !self.is_held(Partition::of(id), epoch) {
            return Quarantined::Fenced;
        }
        let Some(&number) = self.numbers.get(&id) else { return Quarantined::MovedOn(None) };
        if self.ended.contains(&number) {
            return Quarantined::Ended;
        }
        let sequence = self.transactions[&number].records.len() as u64;
        if sequence != records {
            return Quarantined::MovedOn(Some(sequence));
        }
        let mut transaction = self.take(number);
        transaction.standing = Standing::Parked;
        transaction.unreadable = Some(why.to_owned());
        self.put(number, transaction);
        Quarantined::Parked
    }

    fn erase(
        &mut self,
        id: TransactionId,
        records: u64,
        epoch: Epoch,
        now: Time,
    ) -> Result<Erase, JournalError> {
        if !self.is_held(Partition::of(id), epoch) {
            return Ok(Erase::Fenced);
        }
        let Some(number) = self.numbers.get(&id) else { return Ok(Erase::MovedOn(None)) };
        let transaction = &self.transactions[number];
        let sequence = transaction.records.len() as u64;
        if !transaction.standing.is_ended() {
            return Ok(Erase::Live);
        }
        if sequence != records {
            return Ok(Erase::MovedOn(Some(sequence)));
        }
        if let Some(ancestor) = self.live_ancestor(transaction) {
            return Ok(Erase::ChildOfLive { ancestor });
        }
        if transaction.erased_at.is_some() {
            return Ok(Erase::Unchanged);
        }
        let erased = (1..).zip(&transaction.records).map(|(n, frame)| record::erase(id, n, frame.clone()));
        let erased: Vec<Bytes> = erased.collect::<Result<_, _>>()?;
        let transaction = self.transactions.get_mut(number).expect("it was just there");
        transaction.records = erased;
        transaction.erased_at = Some(now);
        Ok(Erase::Erased)
    }

    /// The nearest one above it that has not ended.
    fn live_ancestor(&self, transaction: &Transaction) -> Option<TransactionId> {
        let above = |transaction: &&Transaction| {
            let number = self.numbers.get(&transaction.new.parent?)?;
            self.transactions.get(number)
        };
        let ancestors = successors(above(&transaction), above).take(ANCESTORS_MAX);
        ancestors.into_iter().find(|ancestor| !ancestor.standing.is_ended()).map(|ancestor| ancestor.id)
    }

    fn remove_ended(
        &mut self,
        partitions: &Partitions,
        before: Time,
        now: Time,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Sweep {
        let first = cursor.map_or(0, |cursor| cursor.0 + 1);
        let looked_at: Vec<u64> = self.ended.range(first..).take(limit.max(1)).copied().collect();
        let mut removed = 0;
        for &number in &looked_at {
            let Transaction { id, new, ended_at, .. } = &self.transactions[&number];
            let is_in_time = ended_at.is_none_or(|at| at >= before);
            let has_parent = new.parent.is_some_and(|parent| self.numbers.contains_key(&parent));
            if is_in_time || has_parent || !partitions.contains(Partition::of(*id)) {
                continue;
            }
            let Transaction { id, new, .. } = self.take(number);
            self.numbers.remove(&id);
            if new.id_given {
                self.reserved_ids.insert(id, number);
            }
            if new.id_given || new.key.is_some() {
                self.reserved.insert(number, Reserved { id, new, removed_at: now });
            }
            removed += 1;
        }
        let last = looked_at.last().copied();
        let next = last.filter(|last| self.ended.range(last + 1..).next().is_some()).map(Cursor);
        Sweep { removed, next }
    }

    fn forget_reservations(&mut self, partitions: &Partitions, before: Time, limit: usize) -> usize {
        let reserved = self.reserved.iter();
        let mut over: Vec<(Time, u64)> = reserved
            .filter(|(_, reserved)| partitions.contains(Partition::of(reserved.id)))
            .map(|(number, reserved)| (reserved.removed_at, *number))
            .filter(|(removed_at, _)| *removed_at < before)
            .collect();
        over.sort_unstable();
        over.truncate(limit);
        for (_, number) in &over {
            let Reserved { id, new, .. } = self.reserved.remove(number).expect("it was just there");
            if new.id_given {
                self.reserved_ids.remove(&id);
            }
            if let Some(key) = &new.key {
                self.keys.remove(&key.0);
            }
        }
        over.len()
    }

    /// Takes a transaction out of every index.
    fn take(&mut self, number: u64) -> Transaction {
        let transaction = self.transactions.remove(&number).expect("numbers and transactions go together");
        self.ended.remove(&number);
        if let Some(until) = transaction.standing.until() {
            self.timers.remove(&(until, number));
        }
        *self.tally.get_mut(&transaction.group()).expect("every transaction is counted") -= 1;
        transaction
    }

    /// Puts a transaction into every index.
    fn put(&mut self, number: u64, transaction: Transaction) {
        if transaction.standing.is_ended() {
            self.ended.insert(number);
        }
        if let Some(until) = transaction.standing.until().filter(|until| *until != Time::NEVER) {
            self.timers.insert((until, number));
        }
        *self.tally.entry(transaction.group()).or_insert(0) += 1;
        self.transactions.insert(number, transaction);
    }
}

impl Transaction {
    fn group(&self) -> Group {
        (self.new.mode, self.new.definition.clone(), self.new.version, self.standing.kind())
    }

    fn stored(&self) -> Stored {
        Stored {
            id: self.id,
            mode: self.new.mode,
            definition: self.new.definition.clone(),
            version: self.new.version,
            standing: self.standing,
            unreadable: self.unreadable.clone(),
            erased_at: self.erased_at,
            records: self.records.clone(),
        }
    }

    fn summary(&self) -> Summary {
        Summary {
            id: self.id,
            mode: self.new.mode,
            definition: self.new.definition.clone(),
            version: self.new.version,
            standing: self.standing,
            started_at: self.started_at,
            ended_at: self.ended_at,
            tags: self.new.tags.clone(),
            key: self.new.key.as_ref().map(|key| key.0.clone()),
            parent: self.new.parent,
            erased_at: self.erased_at,
        }
    }
}

const fn is_active(standing: Standing) -> bool {
    match standing {
        Standing::Active(_) => true,
        Standing::Asleep { .. } | Standing::Parked | Standing::Ended(_) => false,
    }
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
