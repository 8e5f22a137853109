//! The one thread that writes.
//!
//! Owns the writing connection. Promises: everything queued until the commit begins goes into one
//! transaction, each job in a savepoint of its own; jobs are answered after the commit and in order; after a
//! commit that failed nothing is written any more. Does not use timers: while one batch is flushed, the next
//! one gathers. Start reading at `Writer::run`.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use amends_sqlite::{Wal, is_locked, is_no_space, panic_text, whole};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, Error};

use super::queue::{Job, Queue, Ran};
use super::{OnFatal, WriteError};
use crate::limits::{LOCK_WAIT_MAX, WAL_PAGES_MAX};
use crate::savepoint::Savepoint;

pub(super) struct Writer {
    connection: Connection,
    path: PathBuf,
    queue: Arc<Queue>,
    commits: Arc<AtomicU64>,
    on_fatal: OnFatal,
    wal: Wal,
    marked: Cell<Marked>,
}

/// Where it is said that this opening writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Marked {
    No,
    InWal,
    InFile,
}

/// Why the writer ended.
enum Stopped {
    /// Nobody wants to write any more.
    Closed,
    /// Nobody knows what is on the disk.
    Fatal,
}

/// How a batch ended.
enum Batch {
    /// It is on disk.
    Committed,
    /// Nothing of it is, for want of space.
    NoSpace,
    /// Nothing of it is.
    RolledBack(String),
    /// Nobody knows.
    Unknown(String),
}

impl Writer {
    pub(super) fn new(
        mut connection: Connection,
        path: &Path,
        queue: Arc<Queue>,
        commits: Arc<AtomicU64>,
        on_fatal: OnFatal,
    ) -> Result<Writer, Error> {
        // While another program holds a lock the queue fills, and whoever comes is told once it is full.
        let waiting = Arc::clone(&queue);
        amends_sqlite::wait_for_locks(&mut connection, path, move |waited| {
            waited >= LOCK_WAIT_MAX && waiting.is_closed()
        })?;
        let wal = Wal::watch(&mut connection, WAL_PAGES_MAX)?;
        let path = path.to_owned();
        Ok(Writer { connection, path, queue, commits, on_fatal, wal, marked: Cell::new(Marked::No) })
    }

    pub(super) fn run(self) {
        match catch_unwind(AssertUnwindSafe(|| self.write_batches())) {
            Ok(Stopped::Closed) => return self.close_in_order(),
            Ok(Stopped::Fatal) => {}
            Err(panic) => self.stop(&format!("the writer panicked: {}", panic_text(panic.as_ref()))),
        }
        self.queue.abandon();
    }

    fn write_batches(&self) -> Stopped {
        while let Some(mut jobs) = self.queue.take() {
            let ended = self.carry_out_batch(&mut jobs);
            if let Batch::Unknown(reason) = &ended {
                // Before the answers: nobody should act on them while the process goes on.
                self.stop(&format!("a commit failed: {reason}"));
            }
            for job in jobs {
                job.answer(self.instead(&ended));
            }
            match ended {
                Batch::Committed => {
                    if let Err(error) = self.copy_wal() {
                        self.stop(&format!("a checkpoint failed: {error}"));
                        return Stopped::Fatal;
                    }
                }
                Batch::NoSpace | Batch::RolledBack(_) => {}
                Batch::Unknown(_) => return Stopped::Fatal,
            }
        }
        Stopped::Closed
    }

    /// Reports that nobody knows what is on the disk, once.
    fn stop(&self, message: &str) {
        // What is on disk stays as it is: even the checkpoint of a normal close could make lost pages look
        // written. If this cannot be set, the close still is no worse than that of any other program.
        let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        (self.on_fatal)(&format!("{}: {message}", self.path.display()));
    }

    /// Adds to the batch what is queued until its last job is done: jobs tend to come in a row, and the first
    /// of them would otherwise have a flush for itself. Measured with 64 clients of the shop: a quarter fewer
    /// flushes.
    fn carry_out_batch(&self, jobs: &mut Vec<Box<dyn Job>>) -> Batch {
        if let Err(error) = self.execute("BEGIN IMMEDIATE") {
            return self.rolled_back(&error);
        }
        let before = self.connection.total_changes();
        let mut done = 0;
        while done < jobs.len() || self.queue.take_more(jobs) {
            match self.carry_out_one(jobs[done].as_mut()) {
                Ok(Ran::Done | Ran::Failed) => done += 1,
                Ok(Ran::NoSpace) => return self.out_of_space(),
                Err(error) => return self.rolled_back(&error),
            }
            if self.connection.is_autocommit() {
                // The job met an error that made SQLite roll back everything, the earlier jobs of the batch
                // included.
                return Batch::RolledBack(
                    "one write of the batch failed and took the others with it".to_owned(),
                );
            }
        }
        let is_first_change = self.marked.get() == Marked::No && self.connection.total_changes() != before;
        if is_first_change && let Err(error) = self.mark() {
            return self.rolled_back(&error);
        }
        match self.execute("COMMIT") {
            Ok(()) => {
                self.commits.fetch_add(1, Ordering::Relaxed);
                if is_first_change {
                    self.marked.set(Marked::InWal);
                }
                Batch::Committed
            }
            // The log is written before it is flushed: without space for it nothing was flushed.
            Err(error) if is_no_space(&error) => self.out_of_space(),
            // Nothing was written either.
            Err(error) if is_locked(&error) => self.rolled_back(&error),
            Err(error) => Batch::Unknown(error.to_string()),
        }
    }

    /// Marks the file as written to, beside it and inside.
    fn mark(&self) -> Result<(), Error> {
        amends_sqlite::about_to_write(&self.path)?;
        whole::note_change(&self.connection)
    }

    /// Copies the WAL into the file when it is long, and once for the mark.
    fn copy_wal(&self) -> Result<(), Error> {
        if self.marked.get() == Marked::InWal {
            self.marked.set(Marked::InFile);
            return self.wal.copy(&self.connection);
        }
        self.wal.shorten(&self.connection, &self.path)
    }

    fn carry_out_one(&self, job: &mut dyn Job) -> Result<Ran, Error> {
        let savepoint = Savepoint::begin(&self.connection)?;
        let ran = job.run(&savepoint);
        match ran {
            Ran::Done => savepoint.release()?,
            Ran::Failed | Ran::NoSpace => savepoint.roll_back()?,
        }
        Ok(ran)
    }

    fn rolled_back(&self, error: &Error) -> Batch {
        if is_no_space(error) {
            return self.out_of_space();
        }
        match self.roll_back() {
            Ok(()) => Batch::RolledBack(error.to_string()),
            Err(second) => Batch::Unknown(format!("{error}; and then the rollback: {second}")),
        }
    }

    fn out_of_space(&self) -> Batch {
        match self.roll_back() {
            Ok(()) => Batch::NoSpace,
            Err(error) => Batch::Unknown(format!("no space; and then the rollback: {error}")),
        }
    }

    fn roll_back(&self) -> Result<(), Error> {
        if self.connection.is_autocommit() { Ok(()) } else { self.execute("ROLLBACK") }
    }

    fn instead(&self, ended: &Batch) -> Option<WriteError> {
        let path = self.path.display().to_string();
        match ended {
            Batch::Committed => None,
            Batch::NoSpace => Some(WriteError::NoSpace { path }),
            Batch::RolledBack(reason) => Some(WriteError::RolledBack { path, reason: reason.clone() }),
            Batch::Unknown(reason) => Some(WriteError::OutcomeUnknown { path, reason: reason.clone() }),
        }
    }

    fn close_in_order(self) {
        // Whatever stays in the log is found there by the next start, so an error here loses nothing. Should
        // the file go on saying that it is open, so does the mark beside it.
        let is_noted = whole::note_end(&self.connection).is_ok();
        let emptied = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        if is_noted && matches!(emptied, Ok(0)) {
            amends_sqlite::about_to_close(&self.path);
        }
        drop(self.connection);
        if is_noted {
            amends_sqlite::closed(&self.path);
        }
    }

    fn execute(&self, sql: &'static str) -> Result<(), Error> {
        self.connection.prepare_cached(sql)?.execute([]).map(|_| ())
    }
}
