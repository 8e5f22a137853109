//! The one thread that makes appends durable.
//!
//! Owns the log and what is known of the transactions in it. Promises that an append is judged by everything
//! before it, and answered after the flush that makes it durable; that everything queued shares one flush,
//! without a timer; and that what the log has reaches the database, in rounds, before the log's files are
//! used again. Does not write to the database: the settler does. Start reading at [`Committer::run`].

mod rounds;

use std::cell::OnceCell;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use amends_core::{End, Partition, Partitions, Standing, Time, TransactionId};
use amends_journal::{
    Append, AppendAnswer, Conflict, Expected, FeedEntry, FeedPosition, KeyEntry, Meters, NewTransaction,
    OnAnswers, Stats, Stored, limits, record,
};
use amends_log::{BatchNumber, Log, NoRoom};
use amends_sqlite::panic_text;
use bytes::Bytes;

use crate::limits::SETTLE_AFTER;

use super::absence::Absent;
use super::entry;
use super::failure::{WriteError, store_error};
use super::feed::{FeedInDatabase, Noted, Replayed};
use super::known::{Known, KnownTransactions};
use super::lookup::Lookup;
use super::names::Name;
use super::queue::{Ahead, Batch, Question, Work};
use super::schema::Nonsense;
use super::shared::Shared;

pub(super) use self::rounds::Settling;
use self::rounds::Waiting;

/// The committer at work.
pub(super) struct Committer<'c> {
    shared: Arc<Shared>,
    log: Log,
    lookup: Lookup<'c>,
    known: KnownTransactions,
    /// Keys of transactions that the database does not have yet.
    keys: HashMap<String, TransactionId>,
    /// Transactions with a tail, by the batch where it begins.
    dirty: VecDeque<TransactionId>,
    /// Bytes of the log since the last round.
    unsettled_bytes: usize,
    /// When the next round begins at the latest.
    settle_at: Option<Instant>,
    /// The last batch when the last round began: who has been dirty since before is not going to end any
    /// moment.
    last_round: BatchNumber,
    round_began: Instant,
    /// The transactions of the last round that is done, if the log is still needed for others that are as
    /// old: what it has of these is then read again by the next start.
    settled_last: Vec<TransactionId>,
    /// Transactions that wait for somebody, and that the database had all of at that moment.
    idle: VecDeque<(Instant, Vec<TransactionId>)>,
    settler: Settling,
    /// Who waits until the database is settled up to a batch.
    waiting: Vec<(BatchNumber, Waiting)>,
    /// The batch that the database is settled up to.
    settled_to: BatchNumber,
    last_no: i64,
    /// The time of the newest record that there ever was.
    newest_at: Option<Time>,
    /// The highest number in the database when it was opened.
    highest_in_database: i64,
    /// What the batch that is being written brings to the feed.
    noted: Vec<Noted>,
    /// What the log had for the feed when it was opened.
    replayed: Replayed,
    /// What the database had of the feed then.
    feed_in_database: FeedInDatabase,
    /// Why nothing is written any more.
    dead: Option<String>,
}

/// A batch that is to be judged and written.
struct Asked {
    appends: Vec<Append>,
    /// What whoever submitted it looked up.
    absent: Absent,
}

impl Asked {
    /// What it takes in the log at most.
    fn bytes_max(&self) -> usize {
        self.appends.iter().map(entry::bytes_max).sum()
    }
}

/// What the database says at the start.
pub(super) struct InDatabase {
    /// The highest number of a transaction.
    pub(super) last_no: i64,
    /// The time of the newest record that there ever was.
    pub(super) newest_at: Option<Time>,
    /// The last batch of the log whose every record is there.
    pub(super) settled_to: BatchNumber,
    /// What it has of the feed.
    pub(super) feed: FeedInDatabase,
}

impl<'c> Committer<'c> {
    pub(super) fn new(
        shared: Arc<Shared>,
        log: Log,
        lookup: Lookup<'c>,
        in_database: InDatabase,
        settler: Settling,
    ) -> Self {
        let InDatabase { last_no, newest_at, settled_to, feed } = in_database;
        Self {
            shared,
            last_round: log.last(),
            log,
            lookup,
            known: KnownTransactions::default(),
            keys: HashMap::new(),
            dirty: VecDeque::new(),
            unsettled_bytes: 0,
            settle_at: None,
            settled_last: Vec::new(),
            idle: VecDeque::new(),
            settler,
            waiting: Vec::new(),
            round_began: Instant::now(),
            settled_to,
            last_no,
            newest_at,
            highest_in_database: last_no,
            noted: Vec::new(),
            replayed: Replayed::default(),
            feed_in_database: feed,
            dead: None,
        }
    }

    /// Takes in what the log had when it was opened. A transaction may be in the database already, when a
    /// round had it and later things together.
    pub(super) fn replay(&mut self, number: BatchNumber, batch: Vec<u8>) -> Result<(), WriteError> {
        self.unsettled_bytes += batch.len();
        let mut batch = Bytes::from(batch);
        while !batch.is_empty() {
            let entry::Entry { no, append } = entry::take(&mut batch)?;
            let id = append.id;
            // The database cannot have one with a number beyond its highest.
            let is_known = if matches!(append.expected, Expected::New(_)) && no > self.highest_in_database {
                self.known.contains_key(&id)
            } else {
                self.know(id)?
            };
            let has = if is_known { self.known[&id].sequence } else { 0 };
            let expected = match append.expected {
                Expected::New(_) => 0,
                Expected::Sequence(sequence) => sequence,
            };
            let facts = self.facts_for_feed(&append);
            if expected < has {
                self.note_replayed(id, expected + 1, facts, number);
                continue;
            }
            if expected > has {
                return Err(Nonsense(format!(
                    "the transaction {id} has {has} records, and the log goes on after {expected}"
                ))
                .into());
            }
            self.take_in(append, no, number);
            self.note_replayed(id, expected + 1, facts, number);
        }
        self.last_round = number;
        self.has_changed();
        Ok(())
    }

    /// To be called when everything was taken in.
    pub(super) fn replayed(&mut self) -> Result<(), WriteError> {
        // What the database has already is not needed here, but the log is not released yet: see
        // `settled_last`.
        let mut idle = Vec::new();
        self.known.retain(|id, known| {
            if known.rests_in_database() {
                self.settled_last.push(*id);
                return false;
            }
            if known.is_in_database() {
                idle.push(*id);
            }
            true
        });
        self.idle.push_back((Instant::now(), idle));
        if let Some(feed) = &self.shared.feed {
            let replayed = std::mem::take(&mut self.replayed);
            feed.begin(self.feed_in_database, self.settled_to, replayed);
        }
        Ok(self.lookup.end()?)
    }

    /// Works until the queue is closed and empty; then sees to it that the database has everything. What is
    /// given back keeps the settler at work.
    pub(super) fn run(mut self) -> Settling {
        let shared = Arc::clone(&self.shared);
        shared.queue.emptied_by_this_thread();
        loop {
            let work = shared.queue.take(self.deadline(), !shared.is_settling());
            // A bug of ours must not leave everybody waiting for ever on a thread that is gone.
            match catch_unwind(AssertUnwindSafe(|| self.step(work))) {
                Ok(true) => {}
                Ok(false) => break,
                Err(panic) => self.die(&WriteError::Panicked(panic_text(panic.as_ref()).to_owned())),
            }
        }
        // What fails here is found in the log by the next start.
        let settled = catch_unwind(AssertUnwindSafe(|| self.settle_all()));
        if matches!(settled, Ok(Ok(()))) {
            self.log.keep_few();
        }
        let ended = || store_error(&shared.path, "its threads have ended".into());
        self.waiting.drain(..).for_each(|(_, waiting)| waiting.refuse(ended()));
        self.settler
    }

    /// Whether there is more to come.
    fn step(&mut self, work: Work) -> bool {
        self.hear_settler();
        self.refuse_if_locked();
        match work {
            Work::Group(group) => self.commit_group(group),
            Work::Upkeep(upkeep) => self.take_upkeep(upkeep),
            Work::Question(question) => self.answer(question),
            Work::Nothing => {}
            Work::Done => return false,
        }
        self.settle_when_due();
        self.forget_idle();
        true
    }

    /// Whoever asked may have given up.
    fn answer(&mut self, question: Question) {
        if let Some(why) = &self.dead {
            // Memory may have what never became durable.
            return question.refuse(store_error(&self.shared.path, why.clone().into()));
        }
        match question {
            Question::Settle { reply } => self.wait(Waiting::Reply(reply)),
            Question::Active { partitions, limit, reply } => {
                drop(reply.send(Ok(self.active(&partitions, limit))));
            }
            Question::Transaction { id, reply } => drop(reply.send(Ok(self.look(id)))),
            Question::NewestAt { reply } => drop(reply.send(Ok(self.newest_at))),
            Question::Key { key, reply } => {
                let entry = self.keys.get(&key).map(|id| self.known[id].entry());
                drop(reply.send(Ok(entry)));
            }
        }
    }

    /// Transactions whose every record is at hand, as far as they owe something.
    fn active(&self, partitions: &Partitions, limit: usize) -> Vec<Stored> {
        let active = self.known.iter().filter(|(_, known)| known.is_active()).map(|(id, _)| *id);
        let wanted = active.filter(|id| partitions.contains(Partition::of(*id)));
        let ahead = wanted.filter_map(|id| self.look(id));
        ahead.filter(|ahead| ahead.stored == 0).take(limit).map(|ahead| ahead.transaction).collect()
    }

    fn commit_group(&mut self, group: Vec<Batch>) {
        let mut callbacks: Vec<(usize, OnAnswers)> = Vec::with_capacity(group.len());
        let mut asked = Vec::with_capacity(group.len());
        let mut submitted = Vec::with_capacity(group.len());
        let mut appends = 0;
        for batch in group {
            submitted.push(batch.submitted);
            appends += batch.appends.len();
            callbacks.push((batch.appends.len(), batch.on_answers));
            asked.push(Asked { appends: batch.appends, absent: batch.absent });
        }
        let answers = self.commit(asked);
        self.shared.counters.add_group(appends, submitted.into_iter());
        for ((count, on_answers), answers) in callbacks.into_iter().zip(answers) {
            assert_eq!(count, answers.len(), "each append is answered");
            // Whoever panics here took a wrong turn with facts that are durable: the process must start over.
            // The others still get their answers.
            if catch_unwind(AssertUnwindSafe(|| on_answers(answers))).is_err() {
                self.die(&WriteError::Panicked("a receiver of answers panicked".to_owned()));
            }
        }
    }

    fn commit(&mut self, batches: Vec<Asked>) -> Vec<Vec<AppendAnswer>> {
        let unknown: Vec<_> =
            batches.iter().map(|batch| vec![AppendAnswer::Unknown; batch.appends.len()]).collect();
        if self.dead.is_some() {
            return unknown;
        }
        let bytes_max = batches.iter().map(Asked::bytes_max).sum();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            if self.make_room(bytes_max)? {
                self.write_together(batches)
            } else {
                self.write_what_fits(batches)
            }
        }));
        match outcome.unwrap_or_else(|panic| Err(WriteError::Panicked(panic_text(panic.as_ref()).to_owned())))
        {
            Ok(answers) => answers,
            Err(error) => {
                self.die(&error);
                unknown
            }
        }
    }

    /// Writes batches that there is room for, with one flush.
    fn write_together(&mut self, batches: Vec<Asked>) -> Result<Vec<Vec<AppendAnswer>>, WriteError> {
        self.wait_for_upkeep_of(&batches)?;
        if self.dead.is_some() {
            // Of what was waited for nobody knows what it did.
            return Ok(batches
                .iter()
                .map(|batch| vec![AppendAnswer::Unknown; batch.appends.len()])
                .collect());
        }
        self.write(batches)
    }

    /// There is no room for all of them: a large one is not to hold up the small ones beside it.
    fn write_what_fits(&mut self, batches: Vec<Asked>) -> Result<Vec<Vec<AppendAnswer>>, WriteError> {
        let mut answers = Vec::with_capacity(batches.len());
        for batch in batches {
            // A round that might make room was tried just now.
            match self.log.make_room(batch.bytes_max()) {
                Ok(()) => answers.extend(self.write_together(vec![batch])?),
                Err(NoRoom::Full | NoRoom::NoSpace) => {
                    answers.push(vec![AppendAnswer::NoSpace; batch.appends.len()]);
                }
                Err(NoRoom::Io(error)) => return Err(WriteError::Log(error)),
            }
        }
        Ok(answers)
    }

    /// Whether there is room for a batch of this size in the log, if need be after a round.
    fn make_room(&mut self, bytes: usize) -> Result<bool, WriteError> {
        for is_settled in [false, true] {
            match self.log.make_room(bytes) {
                Ok(()) => return Ok(true),
                Err(NoRoom::Io(error)) => return Err(WriteError::Log(error)),
                Err(NoRoom::Full | NoRoom::NoSpace) if is_settled || self.settle_all().is_err() => break,
                Err(NoRoom::Full | NoRoom::NoSpace) => {}
            }
        }
        Ok(false)
    }

    fn write(&mut self, batches: Vec<Asked>) -> Result<Vec<Vec<AppendAnswer>>, WriteError> {
        let number = self.log.last() + 1;
        let mut batch = self.log.batch();
        let mut written = Stats { commits: 1, ..Stats::default() };
        let mut turns = Meters::default();
        let mut answers = Vec::with_capacity(batches.len());
        // One look for all of them. The log may have room while the services behind have none: whoever starts
        // something now would only wait.
        let low = OnceCell::new();
        let shared = Arc::clone(&self.shared);
        let is_low = || *low.get_or_init(|| shared.space.is_low_now());
        for Asked { appends, absent } in batches {
            let mut answered = Vec::with_capacity(appends.len());
            for append in appends {
                answered.push(match self.refusal(&append, &absent)? {
                    Some(refusal) => refusal,
                    None if matches!(append.expected, Expected::New(_)) && is_low() => AppendAnswer::NoSpace,
                    None => {
                        written.appends += 1;
                        self.count(&append, &mut turns);
                        written.record_bytes += append.record.len() as u64;
                        let no = self.number_for(&append);
                        entry::put(batch.bytes(), &append, no);
                        let (id, facts) = (append.id, self.facts_for_feed(&append));
                        self.take_in(append, no, number);
                        self.noted.extend(facts.map(|facts| self.noted(id, self.known[&id].sequence, facts)));
                        AppendAnswer::Committed
                    }
                });
            }
            answers.push(answered);
        }
        // Not kept through the flush: as long as somebody looks at an older moment, SQLite's log cannot begin
        // anew.
        self.lookup.end()?;
        if batch.is_empty() {
            self.log.give_back(batch);
            return Ok(answers);
        }
        self.unsettled_bytes += batch.len();
        self.log.append(batch).map_err(WriteError::Log)?;
        if let Some(feed) = &shared.feed {
            feed.show(number, &mut self.noted);
        }
        self.has_changed();
        self.shared.counters.add(written);
        self.shared.counters.add_turns(&turns);
        self.shared.counters.set_flushes(self.log.flushes());
        Ok(answers)
    }

    /// How many facts the feed is to hear of, if there is one.
    fn facts_for_feed(&self, append: &Append) -> Option<u32> {
        self.shared.feed.as_ref().map(|_| record::facts_in(&append.record))
    }

    fn noted(&self, id: TransactionId, record: u64, facts: u32) -> Noted {
        let first = FeedPosition::default();
        Noted { entry: FeedEntry { id, record, facts, first }, no: self.known[&id].origin.no }
    }

    fn note_replayed(&mut self, id: TransactionId, record: u64, facts: Option<u32>, number: BatchNumber) {
        if let Some(facts) = facts {
            let noted = self.noted(id, record, facts);
            self.replayed.note(number, noted);
        }
    }

    /// A new transaction's number.
    fn number_for(&mut self, append: &Append) -> i64 {
        match append.expected {
            Expected::New(_) => {
                self.last_no += 1;
                self.last_no
            }
            Expected::Sequence(_) => 0,
        }
    }

    /// Remembers an append that takes place.
    fn take_in(&mut self, append: Append, no: i64, number: BatchNumber) {
        self.newest_at = self.newest_at.max(Some(append.at));
        let id = append.id;
        if matches!(append.expected, Expected::New(_)) {
            let known = Known::start(&append, no);
            self.last_no = self.last_no.max(no);
            if let Some(key) = known.origin.key() {
                self.keys.insert(key.to_owned(), id);
            }
            self.known.insert(id, Box::new(known));
        } else {
            self.known.get_mut(&id).expect("its condition was judged").add(append);
        }
        let known = self.known.get_mut(&id).expect("it was just there");
        if known.dirty_since.is_none() {
            known.dirty_since = Some(number);
            self.dirty.push_back(id);
        }
    }

    /// Counts what becomes of a transaction with this append; only the last of each is looked at closely.
    fn count(&self, append: &Append, turns: &mut Meters) {
        if matches!(append.expected, Expected::New(_)) {
            turns.started += 1;
        }
        if !append.standing.is_at_rest() {
            return;
        }
        let before = self.known.get(&append.id).map(|known| known.standing.kind());
        if before == Some(append.standing.kind()) {
            return;
        }
        match append.standing {
            Standing::Parked => turns.parked += 1,
            Standing::Ended(End::Completed) => turns.completed += 1,
            Standing::Ended(End::Compensated) => turns.compensated += 1,
            Standing::Ended(End::Abandoned) => turns.abandoned += 1,
            Standing::Active(_) | Standing::Asleep { .. } => {}
        }
    }

    fn has_changed(&mut self) {
        self.shared.set_ahead(true);
        if self.settle_at.is_none() {
            self.settle_at = Some(Instant::now() + SETTLE_AFTER);
        }
    }

    /// Why an append does not take place, if it does not.
    fn refusal(&mut self, append: &Append, absent: &Absent) -> Result<Option<AppendAnswer>, WriteError> {
        if append.epoch != self.shared.epoch {
            return Ok(Some(AppendAnswer::Fenced));
        }
        let refusal = match &append.expected {
            Expected::New(new) => {
                let entry = self.in_the_way(append.id, new, absent)?;
                entry
                    .map(|entry| AppendAnswer::Conflict(Conflict::Exists(entry)))
                    .or_else(|| too_large(0, append))
            }
            Expected::Sequence(expected) => {
                let known = if self.know(append.id)? { self.known.get(&append.id) } else { None };
                let refusal = match known.map(|known| (known.sequence, known.bytes)) {
                    // What needed its payloads is over.
                    Some(_) if known.is_some_and(|known| known.origin.is_erased()) => {
                        Some(AppendAnswer::Conflict(Conflict::Sequence(None)))
                    }
                    Some((sequence, bytes)) if sequence == *expected => too_large(bytes, append),
                    other => {
                        let sequence = other.map(|(sequence, _)| sequence);
                        Some(AppendAnswer::Conflict(Conflict::Sequence(sequence)))
                    }
                };
                if refusal.is_some() {
                    self.forget_if_settled(append.id);
                }
                refusal
            }
        };
        Ok(refusal)
    }

    /// What came to nothing must not leave its transaction in memory. It is no news to any [`Absent`]: the
    /// database had it before this look, and whatever comes into it is forgotten after `Forgotten` was
    /// raised.
    fn forget_if_settled(&mut self, id: TransactionId) {
        if let Entry::Occupied(known) = self.known.entry(id)
            && known.get().is_in_database()
        {
            known.remove();
        }
    }

    /// What stands in a start's way. The key goes first: it is what the caller asked to be the same. An id
    /// that the engine made is a new one, but for a repeat of the very same start.
    fn in_the_way(
        &mut self,
        id: TransactionId,
        new: &NewTransaction,
        absent: &Absent,
    ) -> Result<Option<KeyEntry>, WriteError> {
        if let Some(key) = &new.key {
            if let Some(other) = self.keys.get(&key.0) {
                return Ok(Some(self.known[other].entry()));
            }
            let name = Name::Key(&key.0);
            if !self.is_absent(name, absent)
                && let Some(entry) = self.lookup.entry(name)?
            {
                return Ok(Some(entry));
            }
        }
        if let Some(known) = self.known.get(&id) {
            return Ok(Some(known.entry()));
        }
        let name = Name::Id(id);
        if !new.id_given || self.is_absent(name, absent) { Ok(None) } else { self.lookup.entry(name) }
    }

    fn is_absent(&self, name: Name<'_>, absent: &Absent) -> bool {
        absent.is_certain(self.shared.names.tags.of(name), &self.shared.forgotten)
    }

    /// Sees to it that the transaction is known, if there is one.
    fn know(&mut self, id: TransactionId) -> Result<bool, WriteError> {
        if self.known.contains_key(&id) {
            return Ok(true);
        }
        let Some(known) = self.lookup.transaction(id)? else { return Ok(false) };
        self.known.insert(id, Box::new(known));
        Ok(true)
    }

    fn look(&self, id: TransactionId) -> Option<Ahead> {
        let known = self.known.get(&id)?;
        let (stored, records) = known.ahead();
        if records.is_empty() {
            return None;
        }
        let transaction = Stored {
            id,
            mode: known.origin.mode,
            definition: known.origin.definition.clone(),
            version: known.origin.version,
            standing: known.standing,
            unreadable: None,
            erased_at: None,
            records,
        };
        Some(Ahead { transaction, stored, is_unreadable: known.is_unreadable })
    }

    /// Nothing is written from here on.
    fn die(&mut self, error: &WriteError) {
        if self.dead.is_none() {
            let message = error.fatal(&self.shared.path);
            self.dead = Some(message.clone());
            self.shared.die(message);
            self.refuse_waiting();
        }
    }
}

/// Whether the records would be too large together, with what there is of them before.
fn too_large(before: u64, append: &Append) -> Option<AppendAnswer> {
    let bytes = before + append.record.len() as u64;
    (bytes > limits::TRANSACTION_BYTES_MAX).then_some(AppendAnswer::TooLarge { bytes })
}
