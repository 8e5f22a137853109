//! The writes that wait for the writer.
//!
//! Owns the bounded queue between callers and the writer's thread, and each write's work and answer.
//! Promises that a write is answered exactly once. Does not know transactions.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use amends_sqlite::{Courtesy, is_no_space, panic_text};

use super::WriteError;
use crate::error::{BarrierError, DataError};
use crate::limits::{BATCH_JOBS_MAX, QUEUE_JOBS_MAX};
use crate::savepoint::Savepoint;

/// A queued write, whatever it results in.
pub(super) trait Job: Send {
    /// Does the work and keeps the result until [`Job::answer`].
    fn run(&mut self, savepoint: &Savepoint<'_>) -> Ran;
    /// Hands on `instead`, or the result of the run.
    fn answer(self: Box<Self>, instead: Option<WriteError>);
}

/// What a job's run left in the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ran {
    /// Something to keep.
    Done,
    /// Something to roll back.
    Failed,
    /// A write without space: the whole batch cannot be carried out.
    NoSpace,
}

/// Work with a typed result, and what is called with it.
pub(super) struct Write<T, W, A> {
    work: Option<W>,
    result: Option<Result<T, WriteError>>,
    answered: A,
}

impl<T, W, A> Write<T, W, A> {
    pub(super) fn new(work: W, answered: A) -> Write<T, W, A> {
        Write { work: Some(work), result: None, answered }
    }
}

impl<T, W, A> Job for Write<T, W, A>
where
    T: Send,
    W: FnOnce(&Savepoint<'_>) -> Result<T, BarrierError> + Send,
    A: FnOnce(Result<T, WriteError>) + Send,
{
    fn run(&mut self, savepoint: &Savepoint<'_>) -> Ran {
        let work = self.work.take().expect("a job runs once");
        // What a panic leaves behind in the database is rolled back, and the work itself is gone.
        let result = match catch_unwind(AssertUnwindSafe(|| work(savepoint))) {
            Ok(result) => result.map_err(WriteError::Job),
            Err(panic) => Err(WriteError::Panicked(panic_text(panic.as_ref()).to_owned())),
        };
        let ran = match &result {
            Ok(_) => Ran::Done,
            Err(WriteError::Job(BarrierError::Data(DataError::Database(error)))) if is_no_space(error) => {
                Ran::NoSpace
            }
            Err(_) => Ran::Failed,
        };
        self.result = Some(result);
        ran
    }

    fn answer(self: Box<Self>, instead: Option<WriteError>) {
        let result = match instead {
            Some(error) => Err(error),
            None => self.result.expect("a job is answered after it ran, or with an error instead"),
        };
        (self.answered)(result);
    }
}

#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Box<dyn Job>>,
    closed: bool,
    courtesy: Courtesy,
}

impl Queue {
    /// Queues a job, or gives it back with the reason.
    pub(super) fn push(&self, job: Box<dyn Job>) -> Result<(), (Box<dyn Job>, WriteError)> {
        let mut state = self.lock();
        if state.closed {
            return Err((job, WriteError::Closed));
        }
        if state.jobs.len() >= QUEUE_JOBS_MAX {
            return Err((job, WriteError::QueueFull { max: QUEUE_JOBS_MAX }));
        }
        state.jobs.push_back(job);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for work and takes what is there, at most a batch. Nothing when the queue is closed and empty.
    pub(super) fn take(&self) -> Option<Vec<Box<dyn Job>>> {
        let mut state = self.lock();
        while state.jobs.is_empty() {
            if state.closed {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let batch = state.jobs.len().min(BATCH_JOBS_MAX);
        Some(state.jobs.drain(..batch).collect())
    }

    /// Adds to a batch what has come since; says whether that was anything. Does not wait, but when nothing
    /// has come it first lets other threads run that are ready to, if that is cheap and should all processors
    /// be busy: they may be about to push. Measured with 64 clients of the shop: a third fewer flushes.
    pub(super) fn take_more(&self, batch: &mut Vec<Box<dyn Job>>) -> bool {
        let mut state = self.lock();
        if state.jobs.is_empty() && state.courtesy.is_affordable() {
            drop(state);
            let began = Instant::now();
            thread::yield_now();
            state = self.lock();
            state.courtesy.took(began.elapsed());
        }
        let more = state.jobs.len().min(BATCH_JOBS_MAX.saturating_sub(batch.len()));
        batch.extend(state.jobs.drain(..more));
        more > 0
    }

    /// Takes no further jobs; those queued are still carried out.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    /// Whether it takes no further jobs.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Takes no further jobs and answers those queued with an error.
    pub(super) fn abandon(&self) {
        self.close();
        let jobs = std::mem::take(&mut self.lock().jobs);
        for job in jobs {
            job.answer(Some(WriteError::Closed));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing inside the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
