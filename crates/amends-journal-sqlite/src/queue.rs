//! What waits for the committer.
//!
//! Owns the bounded queue between everybody and the committer's thread. Promises to hand over all that waits
//! together (up to a group's worth), in order, without a timer: while one commit runs, the next one gathers.
//! Does not know what a job means.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use amends_core::{DefinitionName, DefinitionSpec, Mode, Partitions, Time, TransactionId};
use amends_journal::{
    Append, Cursor, Epoch, Erase, JournalError, KeyEntry, OnAnswers, PutDefinition, Quarantined,
    RetireDefinition, Stored, Sweep,
};
use amends_sqlite::Courtesy;

use crate::limits::{
    APPENDS_PER_GROUP_MAX, BYTES_PER_GROUP_MAX, LINGER_AFTER_MAX, QUEUE_APPENDS_MAX, QUEUE_BYTES_MAX,
    QUEUE_JOBS_MAX,
};

use super::absence::Absent;
use super::linger::{Linger, linger};

/// Where an answer to a maintenance job goes.
pub(super) type Reply<T> = std::sync::mpsc::SyncSender<Result<T, JournalError>>;

/// Something for the committer to do.
pub(super) enum Job {
    Batch(Batch),
    Upkeep(Upkeep),
    Question(Question),
}

/// Appends submitted together.
pub(super) struct Batch {
    pub(super) appends: Vec<Append>,
    pub(super) on_answers: OnAnswers,
    /// Of all its records.
    pub(super) bytes: usize,
    /// Names of its starts that were nowhere when it was submitted.
    pub(super) absent: Absent,
    /// When it was submitted.
    pub(super) submitted: Instant,
}

/// What only the committer knows.
pub(super) enum Question {
    /// Have the database brought up to the log.
    Settle { reply: Reply<()> },
    /// Which transactions of these partitions owe something and are known whole, as far as that is so? Some
    /// of them.
    Active { partitions: Box<Partitions>, limit: usize, reply: Reply<Vec<Stored>> },
    /// What does the log have of this transaction that the database may not have?
    Transaction { id: TransactionId, reply: Reply<Option<Ahead>> },
    /// What is the time of the newest record?
    NewestAt { reply: Reply<Option<Time>> },
    /// Whose is this key, if the log says?
    Key { key: String, reply: Reply<Option<KeyEntry>> },
}

/// A transaction as far as the log is ahead of the database.
pub(super) struct Ahead {
    /// The transaction; its records are those that the database may not have.
    pub(super) transaction: Stored,
    /// How many records the database has for certain.
    pub(super) stored: u64,
    /// Whether why it was quarantined still counts.
    pub(super) is_unreadable: bool,
}

/// Everything else that writes.
pub(super) enum Upkeep {
    Quarantine {
        id: TransactionId,
        /// How many records it was judged by.
        records: u64,
        epoch: Epoch,
        why: String,
        reply: Reply<Quarantined>,
    },
    Erase {
        id: TransactionId,
        /// How many records it was judged by.
        records: u64,
        epoch: Epoch,
        now: Time,
        reply: Reply<Erase>,
    },
    RemoveEnded {
        partitions: Box<Partitions>,
        before: Time,
        now: Time,
        cursor: Option<Cursor>,
        limit: usize,
        /// Transactions to be left alone; the committer knows.
        except: HashSet<TransactionId>,
        reply: Reply<Sweep>,
    },
    ForgetReservations {
        partitions: Box<Partitions>,
        before: Time,
        limit: usize,
        reply: Reply<usize>,
    },
    PutDefinition {
        spec: DefinitionSpec,
        now: Time,
        reply: Reply<PutDefinition>,
    },
    RetireDefinition {
        mode: Mode,
        name: DefinitionName,
        version: u32,
        now: Time,
        reply: Reply<RetireDefinition>,
    },
    Secret {
        name: String,
        fresh: Vec<u8>,
        reply: Reply<Vec<u8>>,
    },
}

/// What the committer does next.
pub(super) enum Work {
    /// Batches for one flush.
    Group(Vec<Batch>),
    /// One maintenance job.
    Upkeep(Upkeep),
    /// One question.
    Question(Question),
    /// Nothing came until the deadline, or something happened elsewhere.
    Nothing,
    /// The queue is closed and empty.
    Done,
}

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// Whether there was reason to wake the committer since it began to linger.
    has_come: AtomicBool,
    /// Something came, or the queue was closed.
    filled: Condvar,
    /// Something was taken.
    drained: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    others: usize,
    appends: usize,
    bytes: usize,
    closed: bool,
    poked: bool,
    /// The committer sleeps: only then is it worth a system call to wake it.
    committer_sleeps: bool,
    linger: Linger,
    courtesy: Courtesy,
    /// Appends of the last group.
    taken_last: usize,
    pushers_sleep: bool,
    committer: Option<ThreadId>,
}

impl Queue {
    /// Puts a job in; waits while the queue is full. The committer's own thread, in the middle of answering,
    /// never waits: nobody else would make room.
    pub(super) fn push(&self, job: Job) {
        let mut waiting = self.waiting();
        while waiting.is_full_for(&job) && waiting.committer != Some(thread::current().id()) {
            waiting.pushers_sleep = true;
            waiting = self.drained.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        match &job {
            Job::Batch(batch) => {
                waiting.appends += batch.appends.len();
                waiting.bytes += batch.bytes;
            }
            Job::Upkeep(_) | Job::Question(_) => waiting.others += 1,
        }
        waiting.jobs.push_back(job);
        self.wake_committer(waiting);
    }

    /// Takes what is to be done next; sleeps while there is nothing, until the deadline.
    ///
    /// `gives_way`: whether to give the processor away in between. Not while the settler has long work to do:
    /// it would keep the processor for some 4 ms, even if another one is idle. Measured: a fifth of the time
    /// at 512 clients. Of others who compute nobody tells; [`Courtesy`] notices.
    pub(super) fn take(&self, deadline: Option<Instant>, gives_way: bool) -> Work {
        let mut waiting = self.waiting();
        let mut may_linger = gives_way;
        while waiting.has_nothing() {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Work::Nothing;
            }
            waiting = match std::mem::take(&mut may_linger) {
                true => self.linger(waiting),
                false => self.sleep(waiting, left),
            };
        }
        if std::mem::take(&mut waiting.poked) {
            return Work::Nothing;
        }
        if gives_way && matches!(waiting.jobs.front(), Some(Job::Batch(_))) {
            waiting = self.let_others_push(waiting);
        }
        let work = waiting.take_next();
        self.tell_of_room(waiting);
        work
    }

    /// Looks for a moment whether something comes, if that has been worth it of late.
    fn linger<'q>(&'q self, mut waiting: MutexGuard<'q, Waiting>) -> MutexGuard<'q, Waiting> {
        let is_worth_it = waiting.taken_last <= LINGER_AFTER_MAX
            && waiting.courtesy.is_affordable()
            && waiting.linger.is_worth_it();
        if !is_worth_it {
            return waiting;
        }
        self.has_come.store(false, Ordering::Release);
        drop(waiting);
        let began = Instant::now();
        let has_come = linger(|| self.has_come.load(Ordering::Acquire));
        let mut waiting = self.waiting();
        waiting.courtesy.took(began.elapsed());
        waiting.linger.learn(has_come);
        waiting
    }

    fn sleep<'q>(
        &'q self,
        mut waiting: MutexGuard<'q, Waiting>,
        left: Option<Duration>,
    ) -> MutexGuard<'q, Waiting> {
        waiting.committer_sleeps = true;
        // Nothing that could panic half-way runs under this lock.
        let mut waiting = match left {
            None => self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            Some(left) => self.filled.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0,
        };
        waiting.committer_sleeps = false;
        waiting
    }

    /// Others that are ready to run go first, should all processors be busy: they may be about to push.
    /// Measured with 64 clients of the shop: a third fewer flushes.
    fn let_others_push<'q>(&'q self, mut waiting: MutexGuard<'q, Waiting>) -> MutexGuard<'q, Waiting> {
        if !waiting.courtesy.is_affordable() {
            return waiting;
        }
        drop(waiting);
        let began = Instant::now();
        thread::yield_now();
        let mut waiting = self.waiting();
        waiting.courtesy.took(began.elapsed());
        waiting
    }

    fn tell_of_room(&self, mut waiting: MutexGuard<'_, Waiting>) {
        let wake = std::mem::take(&mut waiting.pushers_sleep);
        drop(waiting);
        if wake {
            self.drained.notify_all();
        }
    }

    /// Wakes whoever empties the queue: something happened elsewhere.
    pub(super) fn poke(&self) {
        let mut waiting = self.waiting();
        waiting.poked = true;
        self.wake_committer(waiting);
    }

    fn wake_committer(&self, mut waiting: MutexGuard<'_, Waiting>) {
        self.has_come.store(true, Ordering::Release);
        let wake = std::mem::take(&mut waiting.committer_sleeps);
        drop(waiting);
        if wake {
            self.filled.notify_one();
        }
    }

    /// Tells the queue which thread empties it.
    pub(super) fn emptied_by_this_thread(&self) {
        self.waiting().committer = Some(thread::current().id());
    }

    /// Whether this is the thread that empties the queue.
    pub(super) fn is_emptied_by_this_thread(&self) -> bool {
        self.waiting().committer == Some(thread::current().id())
    }

    /// Lets the committer finish what waits and then end.
    pub(super) fn close(&self) {
        let mut waiting = self.waiting();
        waiting.closed = true;
        self.wake_committer(waiting);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.waiting().closed
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that could panic half-way runs under this lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Question {
    /// Answers that nobody can say.
    pub(super) fn refuse(self, error: JournalError) {
        // Whoever asked may have given up.
        match self {
            Self::Settle { reply } => drop(reply.send(Err(error))),
            Self::Active { reply, .. } => drop(reply.send(Err(error))),
            Self::Transaction { reply, .. } => drop(reply.send(Err(error))),
            Self::NewestAt { reply } => drop(reply.send(Err(error))),
            Self::Key { reply, .. } => drop(reply.send(Err(error))),
        }
    }
}

/// What an append has to know of writing beside the log that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UpkeepKind {
    /// This transaction is being parked or erased.
    Rewriting(TransactionId),
    /// Some that have ended are being removed.
    Removal,
    /// No transaction is touched.
    Other,
}

impl Upkeep {
    pub(super) const fn kind(&self) -> UpkeepKind {
        match self {
            Self::Quarantine { id, .. } | Self::Erase { id, .. } => UpkeepKind::Rewriting(*id),
            Self::RemoveEnded { .. } => UpkeepKind::Removal,
            Self::ForgetReservations { .. }
            | Self::PutDefinition { .. }
            | Self::RetireDefinition { .. }
            | Self::Secret { .. } => UpkeepKind::Other,
        }
    }

    /// Answers that it cannot be done.
    pub(super) fn refuse(self, error: JournalError) {
        // Whoever asked may have given up.
        match self {
            Self::Quarantine { reply, .. } => drop(reply.send(Err(error))),
            Self::Erase { reply, .. } => drop(reply.send(Err(error))),
            Self::RemoveEnded { reply, .. } => drop(reply.send(Err(error))),
            Self::ForgetReservations { reply, .. } => drop(reply.send(Err(error))),
            Self::PutDefinition { reply, .. } => drop(reply.send(Err(error))),
            Self::RetireDefinition { reply, .. } => drop(reply.send(Err(error))),
            Self::Secret { reply, .. } => drop(reply.send(Err(error))),
        }
    }
}

impl Waiting {
    /// A job that is over a limit all by itself is let in when nothing else waits.
    fn is_full_for(&self, job: &Job) -> bool {
        match job {
            Job::Batch(batch) => {
                self.appends > 0
                    && (self.appends + batch.appends.len() > QUEUE_APPENDS_MAX
                        || self.bytes + batch.bytes > QUEUE_BYTES_MAX)
            }
            Job::Upkeep(_) | Job::Question(_) => self.others >= QUEUE_JOBS_MAX,
        }
    }

    /// Whether there is no reason to stop sleeping.
    fn has_nothing(&self) -> bool {
        !self.poked && !self.closed && self.jobs.is_empty()
    }

    /// The next job, with all that belongs to it.
    fn take_next(&mut self) -> Work {
        match self.jobs.pop_front() {
            Some(Job::Batch(first)) => Work::Group(self.take_group(first)),
            Some(Job::Upkeep(upkeep)) => {
                self.others -= 1;
                Work::Upkeep(upkeep)
            }
            Some(Job::Question(question)) => {
                self.others -= 1;
                Work::Question(question)
            }
            None => Work::Done,
        }
    }

    /// The first batch and those right behind it, as far as they fit into one group.
    fn take_group(&mut self, first: Batch) -> Vec<Batch> {
        let (mut appends, mut bytes) = (first.appends.len(), first.bytes);
        let mut group = vec![first];
        while let Some(Job::Batch(next)) = self.jobs.front() {
            let (more_appends, more_bytes) = (next.appends.len(), next.bytes);
            if appends + more_appends > APPENDS_PER_GROUP_MAX || bytes + more_bytes > BYTES_PER_GROUP_MAX {
                break;
            }
            appends += more_appends;
            bytes += more_bytes;
            if let Some(Job::Batch(next)) = self.jobs.pop_front() {
                group.push(next);
            }
        }
        self.taken_last = appends;
        self.appends -= appends;
        self.bytes -= bytes;
        group
    }
}

impl Batch {
    pub(super) fn new(appends: Vec<Append>, absent: Absent, on_answers: OnAnswers) -> Self {
        let bytes = appends.iter().map(|append| append.record.len()).sum();
        Self { appends, on_answers, bytes, absent, submitted: Instant::now() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amends_core::{Standing, Way};
    use amends_journal::Expected;
    use bytes::Bytes;

    fn batch(appends: usize) -> Job {
        let append = Append {
            id: TransactionId::from_bytes([0; 16]),
            epoch: Epoch(1),
            expected: Expected::Sequence(1),
            record: Bytes::from_static(b"x"),
            at: Time::from_milliseconds(0),
            standing: Standing::Active(Way::Forward),
        };
        Job::Batch(Batch::new(vec![append; appends], Absent::default(), Box::new(|_| {})))
    }

    fn upkeep() -> Job {
        let (reply, _) = std::sync::mpsc::sync_channel(1);
        Job::Upkeep(Upkeep::ForgetReservations {
            partitions: Box::new(Partitions::ALL),
            before: Time::NEVER,
            limit: 1,
            reply,
        })
    }

    fn taken(queue: &Queue) -> String {
        match queue.take(None, true) {
            Work::Group(group) => format!("{:?}", group.iter().map(|b| b.appends.len()).collect::<Vec<_>>()),
            Work::Upkeep(_) => "upkeep".to_owned(),
            Work::Question(_) => "question".to_owned(),
            Work::Nothing => "nothing".to_owned(),
            Work::Done => "done".to_owned(),
        }
    }

    #[test]
    fn everything_that_waits_goes_into_one_group_up_to_other_work() {
        let queue = Queue::default();
        for job in [batch(1), batch(2), upkeep(), batch(3)] {
            queue.push(job);
        }
        queue.close();
        let all = [taken(&queue), taken(&queue), taken(&queue), taken(&queue)];
        assert_eq!(all, ["[1, 2]", "upkeep", "[3]", "done"]);
    }

    #[test]
    fn a_group_stays_within_a_transaction_unless_one_batch_alone_does_not() {
        let queue = Queue::default();
        for job in [batch(APPENDS_PER_GROUP_MAX), batch(1), batch(APPENDS_PER_GROUP_MAX + 1)] {
            queue.push(job);
        }
        assert_eq!(taken(&queue), "[4096]");
        assert_eq!(taken(&queue), "[1]");
        assert_eq!(taken(&queue), "[4097]");
    }

    #[test]
    fn a_full_queue_waits_for_room_except_for_the_committer_itself() {
        let queue = std::sync::Arc::new(Queue::default());
        queue.push(batch(QUEUE_APPENDS_MAX));
        let other = std::sync::Arc::clone(&queue);
        let pushing = thread::spawn(move || other.push(batch(1)));
        assert_eq!(taken(&queue), format!("[{QUEUE_APPENDS_MAX}]"));
        pushing.join().unwrap();
        assert_eq!(taken(&queue), "[1]");

        queue.emptied_by_this_thread();
        queue.push(batch(QUEUE_APPENDS_MAX));
        queue.push(batch(1));
        assert_eq!(taken(&queue), format!("[{QUEUE_APPENDS_MAX}]"));
    }
}
