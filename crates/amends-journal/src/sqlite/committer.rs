//! The one thread that makes appends durable.
//!
//! Owns the log and what is known of the sagas in it. Promises that an append is judged by everything before it, and answered
//! after the flush that makes it durable; that everything queued shares one flush, without a timer; and that what the log has
//! reaches the database, in rounds, before the log's files are used again. Does not write to the database: the settler
//! does. Start reading at [`Committer::run`].

use std::cell::OnceCell;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

use amends_core::SagaId;
use bytes::Bytes;

use crate::journal::{
    Append, AppendAnswer, Conflict, Expected, JournalError, KeyEntry, NewSaga, OnAnswers, Stats, StoredSaga,
};
use crate::limits::{KNOWN_FOR, SETTLE_AFTER, SETTLE_AT_ONCE_MAX, SETTLE_BYTES, SETTLE_WHEN_ASKED_EVERY};

use super::absence::Absent;
use super::entry;
use super::log::{BatchNumber, Log, NoRoom};
use super::lookup::Lookup;
use super::queue::{Ahead, AllAhead, Batch, Question, Reply, Upkeep, Work};
use super::sagas::{Known, Row, Sagas};
use super::schema::Nonsense;
use super::settler::{Done, Round, Task, WriteError, panic_text, store_error};
use super::shared::Shared;

/// The committer at work.
pub(super) struct Committer<'c> {
    shared: Arc<Shared>,
    log: Log,
    lookup: Lookup<'c>,
    sagas: Sagas,
    /// Keys of sagas that the database does not have yet.
    keys: HashMap<String, SagaId>,
    /// Sagas with a tail, by the batch where it begins.
    dirty: VecDeque<SagaId>,
    /// Bytes of the log since the last round.
    unsettled_bytes: usize,
    /// When the next round begins at the latest.
    settle_at: Option<Instant>,
    /// The last batch when the last round began: who has been dirty since before is not going to end any moment.
    last_round: BatchNumber,
    round_began: Instant,
    /// What whoever submitted the batches at hand looked up.
    absent: Vec<Absent>,
    /// The sagas of the last round that is done, if the log is still needed for others that are as old: what it has of these is
    /// then read again by the next start.
    settled_last: Vec<SagaId>,
    /// Sagas that wait for somebody, and that the database had all of at that moment.
    idle: VecDeque<(Instant, Vec<SagaId>)>,
    settler: Settling,
    /// Who waits until the database is settled up to a batch.
    waiting: Vec<(BatchNumber, Waiting)>,
    /// The batch that the database is settled up to.
    settled_to: BatchNumber,
    last_no: i64,
    /// The highest number of a saga in the database when it was opened.
    highest_in_database: i64,
    /// Why nothing is written any more.
    dead: Option<String>,
}

/// Something that is to be done once the database has what the log had when it was asked for. Appends go on meanwhile.
enum Waiting {
    Reply(Reply<()>),
    Upkeep(Upkeep),
}

/// The committer's end of the settler's work.
pub(super) struct Settling {
    tasks: Sender<Task>,
    done: Receiver<Done>,
    /// Whether a round was given and is not done.
    has_round: bool,
    /// Whether there was no space for it.
    is_stuck: bool,
    /// Other tasks that were given and are not done.
    upkeep: usize,
}

impl Settling {
    pub(super) fn new(tasks: Sender<Task>, done: Receiver<Done>) -> Self {
        Self { tasks, done, has_round: false, is_stuck: false, upkeep: 0 }
    }
}

/// What the database says at the start.
pub(super) struct InDatabase {
    /// The highest number of a saga.
    pub(super) last_no: i64,
    /// The last batch of the log whose every record is there.
    pub(super) settled_to: BatchNumber,
}

impl<'c> Committer<'c> {
    pub(super) fn new(
        shared: Arc<Shared>,
        log: Log,
        lookup: Lookup<'c>,
        in_database: InDatabase,
        settler: Settling,
    ) -> Self {
        let InDatabase { last_no, settled_to } = in_database;
        Self {
            shared,
            last_round: log.last(),
            log,
            lookup,
            sagas: Sagas::default(),
            keys: HashMap::new(),
            dirty: VecDeque::new(),
            unsettled_bytes: 0,
            settle_at: None,
            settled_last: Vec::new(),
            idle: VecDeque::new(),
            settler,
            waiting: Vec::new(),
            round_began: Instant::now(),
            absent: Vec::new(),
            settled_to,
            last_no,
            highest_in_database: last_no,
            dead: None,
        }
    }

    /// Takes in what the log had when it was opened. A saga may be in the database already, when a round was told of it
    /// and of later things at once.
    pub(super) fn replay(&mut self, number: BatchNumber, batch: Vec<u8>) -> Result<(), WriteError> {
        self.unsettled_bytes += batch.len();
        let mut batch = Bytes::from(batch);
        while !batch.is_empty() {
            let entry::Entry { no, append } = entry::take(&mut batch)?;
            let id = append.saga;
            // The database cannot have a saga with a number beyond its highest.
            let is_known = if matches!(append.expected, Expected::New(_)) && no > self.highest_in_database {
                self.sagas.contains_key(&id)
            } else {
                self.know(id)?
            };
            let has = if is_known { self.sagas[&id].sequence } else { 0 };
            let expected = match append.expected {
                Expected::New(_) => 0,
                Expected::Sequence(sequence) => sequence,
            };
            if expected < has {
                continue;
            }
            if expected > has {
                return Err(Nonsense(format!(
                    "saga {id} has {has} records, and the log goes on after {expected}"
                ))
                .into());
            }
            self.take_in(append, no, number);
        }
        self.last_round = number;
        self.has_changed();
        Ok(())
    }

    /// To be called when everything was taken in.
    pub(super) fn replayed(&mut self) -> Result<(), WriteError> {
        // What the database has already is not needed here, but the log is not released yet: see `settled_last`.
        let settled_last = &mut self.settled_last;
        self.sagas.retain(|id, known| {
            let rests = known.rests_in_database();
            if rests {
                settled_last.push(*id);
            }
            !rests
        });
        Ok(self.lookup.end()?)
    }

    /// Works until the queue is closed and empty; then sees to it that the database has everything. What is given back keeps
    /// the settler at work.
    pub(super) fn run(mut self) -> Settling {
        let shared = Arc::clone(&self.shared);
        shared.queue.emptied_by_this_thread();
        loop {
            // Once a round is done the settler says so.
            let settle_at = self.settle_at.filter(|_| !self.settler.has_round && self.dead.is_none());
            let forget_at = self.idle.front().map(|(since, _)| *since + KNOWN_FOR);
            let deadline = [settle_at, forget_at].into_iter().flatten().min();
            let work = shared.queue.take(deadline);
            // A bug of ours must not leave everybody waiting for ever on a thread that is gone.
            match catch_unwind(AssertUnwindSafe(|| self.step(work))) {
                Ok(true) => {}
                Ok(false) => break,
                Err(panic) => self.die(&WriteError::Panicked(panic_text(panic.as_ref()))),
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
        while let Ok(done) = self.settler.done.try_recv() {
            self.settled(done);
        }
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

    /// Forgets who has waited for long.
    fn forget_idle(&mut self) {
        let Some((since, _)) = self.idle.front() else { return };
        if since.elapsed() < KNOWN_FOR {
            return;
        }
        let (_, ids) = self.idle.pop_front().expect("it was just there");
        self.shared.forgotten.raise();
        for id in ids {
            if self.sagas.get(&id).is_some_and(|known| known.is_in_database()) {
                self.sagas.remove(&id);
            }
        }
        // Many at once must not leave their room behind.
        if self.sagas.capacity() / 8 > self.sagas.len() {
            self.sagas.shrink_to(2 * self.sagas.len());
        }
    }

    /// Whoever asked may have given up.
    fn answer(&mut self, question: Question) {
        if let Some(why) = &self.dead {
            // Memory may have what never became durable.
            return question.refuse(store_error(&self.shared.path, why.clone().into()));
        }
        match question {
            Question::Settle { reply } => self.wait(Waiting::Reply(reply)),
            Question::Awake { limit, reply } => drop(reply.send(Ok(self.awake(limit)))),
            Question::Saga { saga, reply } => drop(reply.send(Ok(self.look(saga)))),
            Question::Key { key, reply } => {
                let entry = self.keys.get(&key).map(|id| self.sagas[id].entry());
                drop(reply.send(Ok(entry)));
            }
            Question::All { reply } => drop(reply.send(self.all_ahead())),
        }
    }

    /// Sagas whose every record is at hand, as far as they owe something.
    fn awake(&self, limit: usize) -> Vec<StoredSaga> {
        let whole = self.sagas.iter().filter(|(_, known)| known.is_awake());
        let ahead = whole.filter_map(|(id, _)| self.look(*id)).filter(|ahead| ahead.stored == 0);
        ahead.take(limit).map(|ahead| ahead.saga).collect()
    }

    fn all_ahead(&self) -> Result<AllAhead, JournalError> {
        let mut sagas = Vec::new();
        for known in self.sagas.values() {
            if !known.tail.is_empty() || known.settling.is_some() {
                let unsettled = known.unsettled();
                sagas.push(unsettled.map_err(|error| store_error(&self.shared.path, error.into()))?);
            }
        }
        Ok(AllAhead { settled_to: self.settled_to, sagas })
    }

    fn commit_group(&mut self, group: Vec<Batch>) {
        let mut callbacks: Vec<(usize, OnAnswers)> = Vec::with_capacity(group.len());
        let mut appends = Vec::with_capacity(group.len());
        for batch in group {
            callbacks.push((batch.appends.len(), batch.on_answers));
            self.absent.push(batch.absent);
            appends.push(batch.appends);
        }
        let answers = self.commit(appends);
        self.absent.clear();
        for ((count, on_answers), answers) in callbacks.into_iter().zip(answers) {
            assert_eq!(count, answers.len(), "each append is answered");
            // Whoever panics here took a wrong turn with facts that are durable: the process must start over. The
            // others still get their answers.
            if catch_unwind(AssertUnwindSafe(|| on_answers(answers))).is_err() {
                self.die(&WriteError::Panicked("a receiver of answers panicked".to_owned()));
            }
        }
    }

    fn commit(&mut self, batches: Vec<Vec<Append>>) -> Vec<Vec<AppendAnswer>> {
        let all = |answer: AppendAnswer, batches: &[Vec<Append>]| {
            batches.iter().map(|batch| vec![answer.clone(); batch.len()]).collect()
        };
        if self.dead.is_some() {
            return all(AppendAnswer::Unknown, &batches);
        }
        let lengths: Vec<usize> = batches.iter().map(Vec::len).collect();
        let bytes_max = batches.iter().flatten().map(entry::bytes_max).sum();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            if self.make_room(bytes_max)? {
                self.write_together(batches)
            } else {
                self.write_what_fits(batches)
            }
        }));
        match outcome.unwrap_or_else(|panic| Err(WriteError::Panicked(panic_text(panic.as_ref())))) {
            Ok(answers) => answers,
            Err(error) => {
                self.die(&error);
                lengths.into_iter().map(|length| vec![AppendAnswer::Unknown; length]).collect()
            }
        }
    }

    /// Writes batches that there is room for, with one flush.
    fn write_together(&mut self, batches: Vec<Vec<Append>>) -> Result<Vec<Vec<AppendAnswer>>, WriteError> {
        if batches.iter().flatten().any(|append| self.may_take_up(append)) {
            self.wait_for_upkeep();
        }
        // An error is told before the end of the look: SQLite may have ended that by itself, which is an error too.
        let answers = self.write(batches)?;
        self.lookup.end()?;
        Ok(answers)
    }

    /// There is no room for all of them: a large one is not to hold up the small ones beside it.
    fn write_what_fits(&mut self, batches: Vec<Vec<Append>>) -> Result<Vec<Vec<AppendAnswer>>, WriteError> {
        let mut answers = Vec::with_capacity(batches.len());
        for batch in batches {
            let refused = vec![AppendAnswer::NoSpace; batch.len()];
            // A round that might make room was tried just now. It may also have been the last of all.
            match self.log.make_room(batch.iter().map(entry::bytes_max).sum()) {
                Ok(()) if self.dead.is_none() => answers.extend(self.write_together(vec![batch])?),
                Ok(()) | Err(NoRoom::Full | NoRoom::NoSpace) => answers.push(refused),
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

    fn write(&mut self, batches: Vec<Vec<Append>>) -> Result<Vec<Vec<AppendAnswer>>, WriteError> {
        let number = self.log.last() + 1;
        let mut batch = self.log.batch();
        let mut written = Stats { commits: 1, ..Stats::default() };
        let mut answers = Vec::with_capacity(batches.len());
        // One look for all of them. The log may have room while the services behind have none: whoever starts a saga now
        // would only wait.
        let low = OnceCell::new();
        let shared = Arc::clone(&self.shared);
        let is_low = || *low.get_or_init(|| shared.space.is_low_now());
        for appends in batches {
            let mut answered = Vec::with_capacity(appends.len());
            for append in appends {
                answered.push(match self.conflict(&append)? {
                    Some(conflict) => AppendAnswer::Conflict(conflict),
                    None if matches!(append.expected, Expected::New(_)) && is_low() => AppendAnswer::NoSpace,
                    None => {
                        written.appends += 1;
                        written.record_bytes += append.record.len() as u64;
                        let no = self.number_for(&append);
                        entry::put(batch.bytes(), &append, no);
                        self.take_in(append, no, number);
                        AppendAnswer::Committed
                    }
                });
            }
            answers.push(answered);
        }
        if batch.is_empty() {
            self.log.give_back(batch);
            return Ok(answers);
        }
        self.unsettled_bytes += batch.len();
        self.log.append(batch).map_err(WriteError::Log)?;
        self.has_changed();
        self.shared.counters.add(written);
        self.shared.counters.set_log_flushes(self.log.flushes());
        Ok(answers)
    }

    /// A new saga's number.
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
        let id = append.saga;
        if matches!(append.expected, Expected::New(_)) {
            let known = Known::start(&append, no);
            self.last_no = self.last_no.max(no);
            if let Some(key) = known.origin.key() {
                self.keys.insert(key.to_owned(), id);
            }
            self.sagas.insert(id, Box::new(known));
        } else {
            self.sagas.get_mut(&id).expect("its condition was judged").add(append);
        }
        let known = self.sagas.get_mut(&id).expect("it was just there");
        if known.dirty_since.is_none() {
            known.dirty_since = Some(number);
            self.dirty.push_back(id);
        }
    }

    fn has_changed(&mut self) {
        self.shared.set_ahead(true);
        if self.settle_at.is_none() {
            self.settle_at = Some(Instant::now() + SETTLE_AFTER);
        }
    }

    fn conflict(&mut self, append: &Append) -> Result<Option<Conflict>, WriteError> {
        match &append.expected {
            Expected::New(new) => Ok(self.in_the_way(append.saga, new)?.map(Conflict::Exists)),
            Expected::Sequence(expected) => {
                let sequence = self.know(append.saga)?.then(|| self.sagas[&append.saga].sequence);
                if sequence == Some(*expected) {
                    return Ok(None);
                }
                // What came to nothing must not leave it in memory.
                if let Entry::Occupied(known) = self.sagas.entry(append.saga)
                    && known.get().rests_in_database()
                {
                    known.remove();
                }
                Ok(Some(Conflict::Sequence(sequence)))
            }
        }
    }

    /// What stands in a start's way. The key goes first: it is what the caller asked to be the same. An id that the engine
    /// made is a new one, but for a repeat of the very same start.
    fn in_the_way(&mut self, id: SagaId, new: &NewSaga) -> Result<Option<KeyEntry>, WriteError> {
        if let Some(key) = &new.key {
            if let Some(other) = self.keys.get(&key.0) {
                return Ok(Some(self.sagas[other].entry()));
            }
            let stored = self.lookup.key(&key.0)?;
            if stored.is_some() {
                return Ok(stored);
            }
        }
        if let Some(known) = self.sagas.get(&id) {
            return Ok(Some(known.entry()));
        }
        if !new.id_given || self.absent.iter().any(|absent| absent.is_certain(id, &self.shared.forgotten)) {
            return Ok(None);
        }
        self.lookup.taken_id(id)
    }

    /// Sees to it that the saga is known, if there is one.
    fn know(&mut self, id: SagaId) -> Result<bool, WriteError> {
        if self.sagas.contains_key(&id) {
            return Ok(true);
        }
        let Some(known) = self.lookup.saga(id)? else { return Ok(false) };
        self.sagas.insert(id, Box::new(known));
        Ok(true)
    }

    fn look(&self, id: SagaId) -> Option<Ahead> {
        let known = self.sagas.get(&id)?;
        let (stored, records) = known.ahead();
        if records.is_empty() {
            return None;
        }
        let saga = StoredSaga {
            id,
            definition: known.origin.definition.clone(),
            version: known.origin.version,
            status: known.status,
            wake: known.wake(),
            unreadable: None,
            records,
        };
        Some(Ahead { saga, stored, is_unreadable: known.is_unreadable })
    }

    /// What writes to the database past the log.
    fn take_upkeep(&mut self, upkeep: Upkeep) {
        match &upkeep {
            Upkeep::Quarantine { .. } | Upkeep::RemoveEnded { cursor: None, .. } => {
                self.wait(Waiting::Upkeep(upkeep));
            }
            // A sweep that is under way need not see what has ended since it began.
            Upkeep::RemoveEnded { cursor: Some(_), .. } => self.serve(Waiting::Upkeep(upkeep)),
            Upkeep::ForgetReservations { .. } | Upkeep::PutDefinition { .. } => self.do_upkeep(upkeep),
        }
    }

    /// Has it done by the settler.
    fn do_upkeep(&mut self, upkeep: Upkeep) {
        self.settler.upkeep += 1;
        self.give(Task::Upkeep(upkeep));
    }

    /// Whether this may go on with a saga that only the database knows. A start never does: whatever it finds under its id or
    /// key is left as it is.
    fn may_take_up(&self, append: &Append) -> bool {
        match &append.expected {
            Expected::New(_) => false,
            Expected::Sequence(_) => !self.sagas.contains_key(&append.saga),
        }
    }

    /// To be called before a batch that may take up a saga from the database: retention may be about to remove it. Not in
    /// the middle of one: what follows may begin a round, which is to have nothing that the log does not have.
    fn wait_for_upkeep(&mut self) {
        while self.settler.upkeep > 0 {
            self.wait_for_settler();
        }
    }

    /// Has something done once the database has what the log has now.
    fn wait(&mut self, waiting: Waiting) {
        if let Some(why) = &self.dead {
            return waiting.refuse(store_error(&self.shared.path, why.clone().into()));
        }
        self.waiting.push((self.log.last(), waiting));
        if std::mem::take(&mut self.settler.is_stuck) {
            self.give(Task::Retry);
        }
        self.serve_waiting();
    }

    /// Does what has waited for long enough, and sees to it that the rest need not wait for ever.
    fn serve_waiting(&mut self) {
        let is_clean = self.dirty.is_empty() && !self.settler.has_round;
        let settled_to = if is_clean { self.log.last() } else { self.settled_to };
        for (until, waiting) in std::mem::take(&mut self.waiting) {
            if until <= settled_to {
                self.serve(waiting);
            } else {
                self.waiting.push((until, waiting));
            }
        }
        if self.waiting.is_empty() || self.settler.has_round {
            return;
        }
        let due = self.round_began + SETTLE_WHEN_ASKED_EVERY;
        if self.dirty.len() <= SETTLE_AT_ONCE_MAX || due <= Instant::now() {
            self.begin_round(true);
        } else {
            self.settle_at = Some(self.settle_at.map_or(due, |at| at.min(due)));
        }
    }

    fn serve(&mut self, waiting: Waiting) {
        match waiting {
            // Whoever asked may have given up.
            Waiting::Reply(reply) => drop(reply.send(Ok(()))),
            Waiting::Upkeep(Upkeep::Quarantine { saga, why, reply }) => {
                let quarantine = Upkeep::Quarantine { saga, why, reply };
                if self.sagas.get(&saga).is_some_and(|known| !known.is_in_database()) {
                    // It got on while this waited.
                    return self.waiting.push((self.log.last(), Waiting::Upkeep(quarantine)));
                }
                // It is read back when somebody asks.
                self.shared.forgotten.raise();
                self.sagas.remove(&saga);
                self.do_upkeep(quarantine);
            }
            Waiting::Upkeep(mut upkeep) => {
                if let Upkeep::RemoveEnded { except, .. } = &mut upkeep {
                    *except = self.not_to_be_removed();
                }
                self.do_upkeep(upkeep);
            }
        }
    }

    /// There is no space for what is waited for. Retention goes on without: it may be what makes some.
    fn serve_without_space(&mut self) {
        for (_, waiting) in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Upkeep(Upkeep::RemoveEnded { .. }) => self.serve(waiting),
                Waiting::Reply(_)
                | Waiting::Upkeep(
                    Upkeep::Quarantine { .. }
                    | Upkeep::ForgetReservations { .. }
                    | Upkeep::PutDefinition { .. },
                ) => waiting.refuse(self.no_space()),
            }
        }
    }

    fn no_space(&self) -> JournalError {
        let directory = self.shared.path.parent().unwrap_or(&self.shared.path);
        JournalError::NoSpace(directory.display().to_string())
    }

    /// Ended sagas that the log may still have something of: were one removed, the next start would bring it back.
    fn not_to_be_removed(&self) -> HashSet<SagaId> {
        let known = self.sagas.iter().filter(|(_, known)| {
            known.settling.is_some() || known.dirty_since.is_some() || known.status.is_ended()
        });
        known.map(|(id, _)| *id).chain(self.settled_last.iter().copied()).collect()
    }

    fn settle_when_due(&mut self) {
        if self.settler.has_round || self.dead.is_some() {
            return;
        }
        let is_due = self.settle_at.is_some_and(|at| at <= Instant::now());
        if is_due || self.unsettled_bytes >= SETTLE_BYTES {
            // After a quiet second all of it; under load those that are about to end are left alone.
            self.begin_round(is_due);
        }
    }

    /// Sees to it that the database has everything; waits for it.
    fn settle_all(&mut self) -> Result<(), JournalError> {
        if std::mem::take(&mut self.settler.is_stuck) {
            self.give(Task::Retry);
        }
        loop {
            while self.settler.has_round {
                self.wait_for_settler();
                if self.settler.is_stuck {
                    return Err(self.no_space());
                }
            }
            if let Some(why) = &self.dead {
                return Err(store_error(&self.shared.path, why.clone().into()));
            }
            if self.dirty.is_empty() {
                return Ok(());
            }
            self.begin_round(true);
        }
    }

    fn begin_round(&mut self, all: bool) {
        let mut rows = Vec::with_capacity(self.dirty.len());
        let mut left = VecDeque::new();
        for id in std::mem::take(&mut self.dirty) {
            let known = self.sagas.get_mut(&id).expect("dirty sagas are known");
            let since = known.dirty_since.expect("it is listed as dirty");
            if all || !known.is_awake() || since <= self.last_round {
                rows.push(known.take_row());
            } else {
                left.push_back(id);
            }
        }
        self.dirty = left;
        self.round_began = Instant::now();
        self.last_round = self.log.last();
        self.unsettled_bytes = 0;
        self.settle_at = (!self.dirty.is_empty()).then(|| Instant::now() + SETTLE_AFTER);
        let first_left = self.dirty.front().and_then(|id| self.sagas[id].dirty_since);
        let settled_to = first_left.map_or(self.log.last(), |since| since - 1);
        self.settler.has_round = true;
        self.give(Task::Settle(Round { rows, settled_to }));
    }

    fn give(&mut self, task: Task) {
        // A settler that is gone is noticed by whoever waits for it.
        let _ = self.settler.tasks.send(task);
    }

    fn wait_for_settler(&mut self) {
        match self.settler.done.recv() {
            Ok(done) => self.settled(done),
            Err(_) => {
                (self.settler.has_round, self.settler.upkeep) = (false, 0);
                self.die(&WriteError::Panicked("the settler is gone".to_owned()));
            }
        }
    }

    fn settled(&mut self, done: Done) {
        match done {
            Done::Stuck => {
                self.settler.is_stuck = true;
                self.shared.set_stuck(true);
                self.serve_without_space();
            }
            Done::Upkeep { indexed } => {
                self.shared.forgotten.raise();
                self.shared.given_ids.are_indexed(&indexed);
                self.settler.upkeep -= 1;
            }
            Done::Dead(why) => {
                self.settler.has_round = false;
                self.dead = Some(why);
                self.refuse_waiting();
            }
            Done::Settled { round: Round { rows, settled_to }, indexed } => {
                self.shared.forgotten.raise();
                self.shared.given_ids.are_indexed(&indexed);
                (self.settler.has_round, self.settler.is_stuck) = (false, false);
                self.shared.set_stuck(false);
                self.settled_last.clear();
                let is_partial = settled_to < self.last_round;
                let mut idle = Vec::new();
                for row in rows {
                    if is_partial {
                        self.settled_last.push(row.origin.id);
                    }
                    if self.forget_row(&row) {
                        idle.push(row.origin.id);
                    }
                }
                if !idle.is_empty() {
                    self.idle.push_back((Instant::now(), idle));
                }
                self.settled_to = settled_to;
                self.log.release(settled_to);
                if self.dirty.is_empty() {
                    self.shared.set_ahead(false);
                }
                self.serve_waiting();
            }
        }
    }

    /// Whether the saga is still known although the database has all of it.
    fn forget_row(&mut self, row: &Row) -> bool {
        let known =
            self.sagas.get_mut(&row.origin.id).expect("a saga is known as long as the database is not told");
        known.settling = None;
        if row.before.is_none()
            && let Some(key) = row.origin.key()
        {
            self.keys.remove(key);
        }
        if known.rests_in_database() {
            self.sagas.remove(&row.origin.id);
            return false;
        }
        known.is_in_database()
    }

    fn refuse_waiting(&mut self) {
        let Some(why) = &self.dead else { return };
        for (_, waiting) in self.waiting.drain(..) {
            waiting.refuse(store_error(&self.shared.path, why.clone().into()));
        }
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

impl Waiting {
    fn refuse(self, error: JournalError) {
        match self {
            // Whoever asked may have given up.
            Self::Reply(reply) => drop(reply.send(Err(error))),
            Self::Upkeep(upkeep) => upkeep.refuse(error),
        }
    }
}
