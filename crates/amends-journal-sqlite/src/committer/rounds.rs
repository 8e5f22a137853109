//! What the committer has the settler do, and who waits for it.
//!
//! Owns rounds: when one begins, which transactions it takes, and what may be forgotten once it is done.
//! Promises that whoever waits for the database is served when it has what the log had then, or told why not.
//! The other half of [`Committer`].

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

use amends_core::TransactionId;
use amends_journal::{Append, Epoch, Erase, Expected, JournalError, Quarantined};

use crate::failure::{WriteError, store_error};
use crate::feed::FeedEnd;
use crate::known::Row;
use crate::limits::{KNOWN_FOR, SETTLE_AFTER, SETTLE_BYTES, SETTLE_IMMEDIATELY_MAX, SETTLE_WHEN_ASKED_EVERY};
use crate::names::Named;
use crate::queue::{Reply, Upkeep, UpkeepKind};
use crate::settler::{Done, Round, Task};

use super::{Asked, Committer};

/// Something that is to be done once the database has what the log had when it was asked for. Appends go on
/// meanwhile.
pub(super) enum Waiting {
    Reply(Reply<()>),
    Upkeep(Upkeep),
}

/// The committer's end of the settler's work.
pub(crate) struct Settling {
    tasks: Sender<Task>,
    done: Receiver<Done>,
    /// Whether a round was given and is not done.
    has_round: bool,
    /// Whether there was no space for it.
    is_stuck: bool,
    /// Removals that were given and are not done.
    removals: usize,
    /// Transactions that are being parked or erased.
    rewritten: Vec<TransactionId>,
}

impl Settling {
    pub(crate) fn new(tasks: Sender<Task>, done: Receiver<Done>) -> Self {
        Self { tasks, done, has_round: false, is_stuck: false, removals: 0, rewritten: Vec::new() }
    }
}

impl Committer<'_> {
    /// When there is something to do even if nothing comes.
    pub(super) fn deadline(&self) -> Option<Instant> {
        // Once a round is done the settler says so.
        let settle_at = self.settle_at.filter(|_| !self.settler.has_round && self.dead.is_none());
        let forget_at = self.idle.front().map(|(since, _)| *since + KNOWN_FOR);
        [settle_at, forget_at].into_iter().flatten().min()
    }

    /// Takes note of what the settler has done.
    pub(super) fn hear_settler(&mut self) {
        while let Ok(done) = self.settler.done.try_recv() {
            self.settled(done);
        }
    }

    /// What writes to the database past the log.
    pub(super) fn take_upkeep(&mut self, upkeep: Upkeep) {
        match &upkeep {
            Upkeep::Quarantine { .. } | Upkeep::Erase { .. } | Upkeep::RemoveEnded { cursor: None, .. } => {
                self.wait(Waiting::Upkeep(upkeep));
            }
            // A sweep that is under way need not see what has ended since it began.
            Upkeep::RemoveEnded { cursor: Some(_), .. } => self.serve(Waiting::Upkeep(upkeep)),
            Upkeep::ForgetReservations { .. }
            | Upkeep::PutDefinition { .. }
            | Upkeep::RetireDefinition { .. }
            | Upkeep::Secret { .. } => self.do_upkeep(upkeep),
        }
    }

    /// Has it done by the settler.
    fn do_upkeep(&mut self, upkeep: Upkeep) {
        match upkeep.kind() {
            UpkeepKind::Rewriting(id) => self.settler.rewritten.push(id),
            UpkeepKind::Removal => self.settler.removals += 1,
            UpkeepKind::Other => {}
        }
        self.give(Task::Upkeep(upkeep));
    }

    /// To be called before a batch: it may go on with a transaction that upkeep is about to change or remove.
    /// Not in the middle of one: what follows may begin a round, which is to have nothing that the log does
    /// not have.
    pub(super) fn wait_for_upkeep_of(&mut self, batches: &[Asked]) -> Result<(), WriteError> {
        while self.dead.is_none() && self.is_upkeep_in_the_way_of(batches)? {
            self.wait_for_settler();
        }
        Ok(())
    }

    fn is_upkeep_in_the_way_of(&mut self, batches: &[Asked]) -> Result<bool, WriteError> {
        if self.settler.removals == 0 && self.settler.rewritten.is_empty() {
            return Ok(false);
        }
        let mut is_in_the_way = false;
        for append in batches.iter().flat_map(|batch| &batch.appends) {
            is_in_the_way |= self.is_upkeep_in_the_way(append)?;
        }
        // The answers were of this moment; the batch is judged by a later one.
        self.lookup.end()?;
        Ok(is_in_the_way)
    }

    fn is_upkeep_in_the_way(&mut self, append: &Append) -> Result<bool, WriteError> {
        match &append.expected {
            // A start never goes on with what it finds under its id or key.
            Expected::New(_) => Ok(false),
            Expected::Sequence(_) if self.settler.rewritten.contains(&append.id) => Ok(true),
            Expected::Sequence(_) if self.settler.removals == 0 || self.known.contains_key(&append.id) => {
                Ok(false)
            }
            // Only what has ended is removed.
            Expected::Sequence(_) => {
                Ok(self.lookup.transaction(append.id)?.is_some_and(|stored| stored.standing.is_ended()))
            }
        }
    }

    /// Has something done once the database has what the log has now.
    pub(super) fn wait(&mut self, waiting: Waiting) {
        if let Some(why) = &self.dead {
            return waiting.refuse(store_error(&self.shared.path, why.clone().into()));
        }
        self.waiting.push((self.log.last(), waiting));
        if std::mem::take(&mut self.settler.is_stuck) {
            self.give(Task::Retry);
        }
        self.serve_waiting();
        self.refuse_if_locked();
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
        if self.dirty.len() <= SETTLE_IMMEDIATELY_MAX || due <= Instant::now() {
            self.begin_round(true);
        } else {
            self.settle_at = Some(self.settle_at.map_or(due, |at| at.min(due)));
        }
    }

    fn serve(&mut self, waiting: Waiting) {
        match waiting {
            // Whoever asked may have given up.
            Waiting::Reply(reply) => drop(reply.send(Ok(()))),
            Waiting::Upkeep(Upkeep::Quarantine { id, records, epoch, why, reply }) => {
                match self.judge_quarantine(id, records, epoch) {
                    // Whoever asked may have given up.
                    Ok(Some(no)) => drop(reply.send(Ok(no))),
                    Err(error) => {
                        drop(reply.send(Err(store_error(&self.shared.path, error.to_string().into()))));
                        self.die(&error);
                    }
                    Ok(None) => {
                        self.rewrite(id, Upkeep::Quarantine { id, records, epoch, why, reply });
                    }
                }
            }
            Waiting::Upkeep(Upkeep::Erase { id, records, epoch, now, reply }) => {
                match self.judge_erasure(id, records, epoch) {
                    // Whoever asked may have given up.
                    Ok(Some(no)) => drop(reply.send(Ok(no))),
                    Err(error) => {
                        drop(reply.send(Err(store_error(&self.shared.path, error.to_string().into()))));
                        self.die(&error);
                    }
                    Ok(None) => self.rewrite(id, Upkeep::Erase { id, records, epoch, now, reply }),
                }
            }
            Waiting::Upkeep(mut upkeep) => {
                if let Upkeep::RemoveEnded { except, .. } = &mut upkeep {
                    *except = self.not_to_be_removed();
                }
                self.do_upkeep(upkeep);
            }
        }
    }

    /// Has a transaction changed in the database, once that has all of it.
    fn rewrite(&mut self, id: TransactionId, upkeep: Upkeep) {
        if self.known.get(&id).is_some_and(|known| !known.is_in_database()) {
            return self.waiting.push((self.log.last(), Waiting::Upkeep(upkeep)));
        }
        // It is read back when somebody asks.
        self.shared.forgotten.raise();
        self.known.remove(&id);
        self.do_upkeep(upkeep);
    }

    /// Why the payloads of a transaction are left alone, if they are, as far as the log tells.
    fn judge_erasure(
        &mut self,
        id: TransactionId,
        records: u64,
        epoch: Epoch,
    ) -> Result<Option<Erase>, WriteError> {
        if epoch != self.shared.epoch {
            return Ok(Some(Erase::Fenced));
        }
        let is_there = self.know(id)?;
        self.lookup.end()?;
        if !is_there {
            return Ok(Some(Erase::MovedOn(None)));
        }
        let known = &self.known[&id];
        let (sequence, has_ended) = (known.sequence, known.standing.is_ended());
        let no = match (has_ended, sequence == records) {
            (false, _) => Some(Erase::Live),
            (true, false) => Some(Erase::MovedOn(Some(sequence))),
            (true, true) => None,
        };
        if no.is_some() {
            self.forget_if_settled(id);
        }
        Ok(no)
    }

    /// Why a transaction is left alone, if it is.
    fn judge_quarantine(
        &mut self,
        id: TransactionId,
        records: u64,
        epoch: Epoch,
    ) -> Result<Option<Quarantined>, WriteError> {
        if epoch != self.shared.epoch {
            return Ok(Some(Quarantined::Fenced));
        }
        let is_there = self.know(id)?;
        self.lookup.end()?;
        if !is_there {
            return Ok(Some(Quarantined::MovedOn(None)));
        }
        let known = &self.known[&id];
        let (sequence, has_ended) = (known.sequence, known.standing.is_ended());
        let no = match (has_ended, sequence == records) {
            (true, _) => Some(Quarantined::Ended),
            (false, false) => Some(Quarantined::MovedOn(Some(sequence))),
            (false, true) => None,
        };
        if no.is_some() {
            self.forget_if_settled(id);
        }
        Ok(no)
    }

    /// Who waits for an answer is not kept for as long as another program holds its lock. What is to be done
    /// waits.
    pub(super) fn refuse_if_locked(&mut self) {
        if !self.shared.is_locked() {
            return;
        }
        let path = self.shared.path.display().to_string();
        for (until, waiting) in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Reply(_) => waiting.refuse(JournalError::Locked(path.clone())),
                Waiting::Upkeep(_) => self.waiting.push((until, waiting)),
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
                    | Upkeep::Erase { .. }
                    | Upkeep::ForgetReservations { .. }
                    | Upkeep::PutDefinition { .. }
                    | Upkeep::RetireDefinition { .. }
                    | Upkeep::Secret { .. },
                ) => waiting.refuse(self.no_space()),
            }
        }
    }

    fn no_space(&self) -> JournalError {
        let directory = self.shared.path.parent().unwrap_or(&self.shared.path);
        JournalError::NoSpace(directory.display().to_string())
    }

    /// Ended transactions that the log may still have something of: were one removed, the next start would
    /// bring it back.
    fn not_to_be_removed(&self) -> HashSet<TransactionId> {
        let known = self.known.iter().filter(|(_, known)| {
            known.settling.is_some() || known.dirty_since.is_some() || known.standing.is_ended()
        });
        known.map(|(id, _)| *id).chain(self.settled_last.iter().copied()).collect()
    }

    pub(super) fn settle_when_due(&mut self) {
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
    pub(super) fn settle_all(&mut self) -> Result<(), JournalError> {
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
            let known = self.known.get_mut(&id).expect("what is dirty is known");
            let since = known.dirty_since.expect("it is listed as dirty");
            if all || !known.is_active() || since <= self.last_round {
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
        let first_left = self.dirty.front().and_then(|id| self.known[id].dirty_since);
        let settled_to = first_left.map_or(self.log.last(), |since| since - 1);
        self.settler.has_round = true;
        let newest_at = self.newest_at;
        let feed = self.shared.feed.as_ref().map(FeedEnd::for_round);
        self.give(Task::Settle(Round { rows, settled_to, newest_at, feed }));
    }

    fn give(&mut self, task: Task) {
        // A settler that is gone is noticed by whoever waits for it.
        let _ = self.settler.tasks.send(task);
    }

    fn wait_for_settler(&mut self) {
        match self.settler.done.recv() {
            Ok(done) => self.settled(done),
            Err(_) => {
                (self.settler.has_round, self.settler.removals) = (false, 0);
                self.settler.rewritten.clear();
                self.die(&WriteError::Panicked("the settler is gone".to_owned()));
            }
        }
    }

    fn settled(&mut self, done: Done) {
        match done {
            Done::Stuck => {
                self.settler.is_stuck = true;
                self.serve_without_space();
            }
            Done::Upkeep { kind, indexed } => {
                self.note_changes();
                self.shared.forgotten.raise();
                self.forget_indexed(&indexed);
                match kind {
                    UpkeepKind::Rewriting(id) => self.settler.rewritten.retain(|other| *other != id),
                    UpkeepKind::Removal => self.settler.removals -= 1,
                    UpkeepKind::Other => {}
                }
            }
            Done::Dead(why) => {
                self.settler.has_round = false;
                self.dead = Some(why);
                self.refuse_waiting();
            }
            Done::Settled { round: Round { rows, settled_to, newest_at: _, feed: _ }, indexed } => {
                self.note_changes();
                self.shared.forgotten.raise();
                self.forget_indexed(&indexed);
                (self.settler.has_round, self.settler.is_stuck) = (false, false);
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
                if let Some(feed) = &self.shared.feed {
                    feed.settled(settled_to);
                }
                if self.dirty.is_empty() {
                    self.shared.set_ahead(false);
                }
                self.serve_waiting();
            }
        }
    }

    /// The index has these. Between two batches only: one batch is judged by one moment of the database.
    fn forget_indexed(&self, indexed: &[Named]) {
        for named in indexed {
            self.shared.names.remove(*named);
        }
    }

    /// Should the database be replaced by an older one, the log tells.
    fn note_changes(&mut self) {
        if let Err(error) = self.log.note(self.shared.changes.load(Ordering::Acquire)) {
            self.die(&WriteError::Log(error));
        }
    }

    /// Whether it is still known although the database has all of it.
    fn forget_row(&mut self, row: &Row) -> bool {
        let known =
            self.known.get_mut(&row.origin.id).expect("one is known as long as the database is not told");
        known.settling = None;
        if row.before.is_none()
            && let Some(key) = row.origin.key()
        {
            self.keys.remove(key);
        }
        if known.rests_in_database() {
            self.known.remove(&row.origin.id);
            return false;
        }
        known.is_in_database()
    }

    pub(super) fn refuse_waiting(&mut self) {
        let Some(why) = &self.dead else { return };
        for (_, waiting) in self.waiting.drain(..) {
            waiting.refuse(store_error(&self.shared.path, why.clone().into()));
        }
    }

    /// Forgets who has waited for long.
    pub(super) fn forget_idle(&mut self) {
        let Some((since, _)) = self.idle.front() else { return };
        if since.elapsed() < KNOWN_FOR {
            return;
        }
        let (_, ids) = self.idle.pop_front().expect("it was just there");
        self.shared.forgotten.raise();
        for id in ids {
            if self.known.get(&id).is_some_and(|known| known.is_in_database()) {
                self.known.remove(&id);
            }
        }
        // Many together must not leave their room behind.
        if self.known.capacity() / 8 > self.known.len() {
            self.known.shrink_to(2 * self.known.len());
        }
    }
}

impl Waiting {
    pub(super) fn refuse(self, error: JournalError) {
        match self {
            // Whoever asked may have given up.
            Self::Reply(reply) => drop(reply.send(Err(error))),
            Self::Upkeep(upkeep) => upkeep.refuse(error),
        }
    }
}
