//! The one thread that writes.
//!
//! Owns the writing connection, group commit and what becomes of errors. Promises one transaction and one flush for all
//! that waited, answers only after the flush, and a choice of two when something fails: before the commit for want of
//! space, everything is rolled back and may be tried again; otherwise nobody knows what is on the disk, and nothing is
//! written ever again. Does not judge appends: that is `append.rs`. Start reading at [`Writer::run`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use amends_sqlite::is_damage;
use rusqlite::config::DbConfig;
use rusqlite::types::FromSqlError;
use rusqlite::{Connection, ErrorCode, ffi};

use crate::journal::{AppendAnswer, JournalError, OnAnswers, Stats};
use crate::limits::CHECKPOINT_PAGES;

use super::definitions::DefinitionNumbers;
use super::live::LiveSagas;
use super::queue::{Batch, Queue, Upkeep, Work};
use super::schema::Nonsense;
use super::space;
use super::statements::Statements;
use super::tally::TallyChanges;

/// Called once, with what to tell the operator, when the process must stop.
pub(super) type OnFatal = Box<dyn Fn(String) + Send + Sync>;

/// What writer and handle share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) queue: Queue,
    pub(super) counters: Counters,
}

/// [`Stats`], as they grow.
#[derive(Debug, Default)]
pub(super) struct Counters {
    appends: AtomicU64,
    record_bytes: AtomicU64,
    commits: AtomicU64,
}

impl Counters {
    fn add(&self, written: Stats) {
        self.appends.fetch_add(written.appends, Ordering::Relaxed);
        self.record_bytes.fetch_add(written.record_bytes, Ordering::Relaxed);
        self.commits.fetch_add(written.commits, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            appends: self.appends.load(Ordering::Relaxed),
            record_bytes: self.record_bytes.load(Ordering::Relaxed),
            commits: self.commits.load(Ordering::Relaxed),
        }
    }
}

/// What can go wrong while writing.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Nonsense(#[from] Nonsense),
    #[error("a bug: {0}")]
    Panicked(String),
}

impl From<FromSqlError> for WriteError {
    fn from(error: FromSqlError) -> Self {
        Self::Sqlite(error.into())
    }
}

enum Step {
    More,
    Done,
}

/// How a transaction failed.
pub(super) enum Failure {
    /// For want of space; nothing was written.
    NoSpace,
    /// For good.
    Fatal,
}

/// The writer at work.
pub(super) struct Writer<'c> {
    pub(super) connection: &'c Connection,
    pub(super) statements: Statements<'c>,
    pub(super) live: LiveSagas,
    pub(super) definitions: DefinitionNumbers,
    pub(super) last_no: i64,
    /// What the running transaction changes; all of it is dropped when it fails.
    pub(super) tally: TallyChanges,
    pub(super) touched: Vec<amends_core::SagaId>,
    pub(super) written: Stats,
    /// Room to put archived records together in, kept from one to the next.
    pub(super) value: Vec<u8>,
    pub(super) path: PathBuf,
    wal_pages: Arc<AtomicU32>,
    shared: Arc<Shared>,
    on_fatal: OnFatal,
    /// Whether the running transaction has got as far as its commit.
    is_committing: bool,
    /// Why nothing is written any more.
    dead: Option<String>,
}

impl<'c> Writer<'c> {
    /// Gets ready, from what the database says.
    pub(super) fn new(
        connection: &'c Connection,
        path: PathBuf,
        wal_pages: Arc<AtomicU32>,
        shared: Arc<Shared>,
        on_fatal: OnFatal,
    ) -> Result<Self, WriteError> {
        let last_no = connection.query_row(
            "SELECT max(coalesce((SELECT max(no) FROM saga), 0), coalesce((SELECT max(no) FROM ended), 0))",
            [],
            |row| row.get(0),
        )?;
        Ok(Self {
            connection,
            statements: Statements::prepare(connection)?,
            live: LiveSagas::default(),
            definitions: DefinitionNumbers::read(connection)?,
            last_no,
            tally: TallyChanges::default(),
            touched: Vec::new(),
            written: Stats::default(),
            value: Vec::new(),
            path,
            wal_pages,
            shared,
            on_fatal,
            is_committing: false,
            dead: None,
        })
    }

    /// Works until the queue is closed and empty; then leaves the database in one file.
    pub(super) fn run(&mut self) {
        let shared = Arc::clone(&self.shared);
        shared.queue.emptied_by_this_thread();
        loop {
            // A bug of ours must not leave everybody waiting for ever on a thread that is gone.
            let step = catch_unwind(AssertUnwindSafe(|| self.step(shared.queue.take())));
            match step {
                Ok(Step::More) => {}
                Ok(Step::Done) => break,
                Err(panic) => self.die(&WriteError::Panicked(panic_text(panic.as_ref()))),
            }
        }
        if self.dead.is_none() {
            // What fails here costs nothing: the log is read at the next start.
            let _ = self.checkpoint("TRUNCATE");
        }
    }

    fn step(&mut self, work: Work) -> Step {
        match work {
            Work::Group(group) => self.commit_group(group),
            Work::Upkeep(upkeep) => self.do_upkeep(upkeep),
            Work::Done => return Step::Done,
        }
        self.checkpoint_when_due();
        Step::More
    }

    fn commit_group(&mut self, group: Vec<Batch>) {
        let bytes: usize = group.iter().map(|batch| batch.bytes).sum();
        let mut callbacks: Vec<(usize, OnAnswers)> = Vec::with_capacity(group.len());
        let mut appends = Vec::with_capacity(group.len());
        for batch in group {
            callbacks.push((batch.appends.len(), batch.on_answers));
            appends.push(batch.appends);
        }
        let outcome = self.transaction(bytes, |writer| {
            let mut answers = Vec::with_capacity(appends.len());
            for batch in appends {
                let batch: Result<Vec<AppendAnswer>, WriteError> =
                    batch.into_iter().map(|append| writer.append(append)).collect();
                answers.push(batch?);
            }
            Ok(answers)
        });
        let answers: Vec<Vec<AppendAnswer>> = match outcome {
            Ok(answers) => answers,
            Err((failure, _)) => {
                let answer = match failure {
                    Failure::NoSpace => AppendAnswer::NoSpace,
                    Failure::Fatal => AppendAnswer::Unknown,
                };
                callbacks.iter().map(|(count, _)| vec![answer.clone(); *count]).collect()
            }
        };
        for ((_, on_answers), answers) in callbacks.into_iter().zip(answers) {
            // Whoever panics here took a wrong turn with facts that are durable: the process must start over. The
            // others still get their answers.
            if catch_unwind(AssertUnwindSafe(|| on_answers(answers))).is_err() {
                self.die(&WriteError::Panicked("a receiver of answers panicked".to_owned()));
            }
        }
    }

    /// Runs `work` in one transaction and commits it.
    pub(super) fn transaction<T>(
        &mut self,
        bytes: usize,
        work: impl FnOnce(&mut Self) -> Result<T, WriteError>,
    ) -> Result<T, (Failure, JournalError)> {
        if let Some(why) = &self.dead {
            return Err((Failure::Fatal, store_error(&self.path, why.clone().into())));
        }
        self.is_committing = false;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            self.statements.begin.raw_execute()?;
            let done = work(self)?;
            self.write_tally()?;
            self.is_committing = true;
            self.statements.commit.raw_execute()?;
            Ok(done)
        }));
        let error = match outcome {
            Ok(Ok(done)) => {
                self.committed();
                return Ok(done);
            }
            Ok(Err(error)) => error,
            Err(panic) => WriteError::Panicked(panic_text(panic.as_ref())),
        };
        self.forget_transaction();
        if self.is_for_want_of_space(&error, bytes) && self.roll_back() {
            // The log may be what fills the disk: once it is copied it is written from its beginning again.
            self.copy_log();
            let directory = self.path.parent().unwrap_or(&self.path).display().to_string();
            return Err((Failure::NoSpace, JournalError::NoSpace(directory)));
        }
        self.die(&error);
        Err((Failure::Fatal, store_error(&self.path, Box::new(error))))
    }

    fn write_tally(&mut self) -> Result<(), WriteError> {
        for (definition, status, change) in self.tally.take() {
            let write = if change > 0 {
                &mut self.statements.add_to_tally
            } else {
                &mut self.statements.take_from_tally
            };
            write.raw_bind_parameter(1, definition)?;
            write.raw_bind_parameter(2, status)?;
            write.raw_bind_parameter(3, change)?;
            let changed = write.raw_execute()?;
            assert_eq!(changed, 1, "sagas that leave a status were counted there");
        }
        Ok(())
    }

    fn committed(&mut self) {
        let mut written = std::mem::take(&mut self.written);
        written.commits = u64::from(written.appends > 0);
        self.shared.counters.add(written);
        self.definitions.committed();
        for id in self.touched.drain(..) {
            if let std::collections::hash_map::Entry::Occupied(entry) = self.live.entry(id)
                && entry.get().is_resting()
            {
                entry.remove();
            }
        }
    }

    /// Drops all that memory knows of the failed transaction; the database still says what was before it.
    fn forget_transaction(&mut self) {
        self.written = Stats::default();
        self.tally.forget();
        self.definitions.rolled_back();
        for id in self.touched.drain(..) {
            self.live.remove(&id);
        }
    }

    /// Only what is known to have come before the flush, and to be about space.
    fn is_for_want_of_space(&self, error: &WriteError, bytes: usize) -> bool {
        let WriteError::Sqlite(rusqlite::Error::SqliteFailure(error, _)) = error else { return false };
        if error.code == ErrorCode::DiskFull {
            return true;
        }
        match error.extended_code {
            // The shared memory beside the log could not grow. A commit lets it grow after its flush: then the commit is
            // on the disk, though this process has taken it back.
            ffi::SQLITE_IOERR_SHMSIZE => !self.is_committing,
            // SQLite tells only `ENOSPC` apart; a full quota looks like a broken disk. All writing comes before the
            // flush; a failed flush has a code of its own and is never forgiven.
            ffi::SQLITE_IOERR_WRITE => {
                let directory = self.path.parent().unwrap_or(&self.path);
                space::is_exhausted(directory, bytes + SPACE_ASKED_FOR_BESIDES)
            }
            _ => false,
        }
    }

    /// Whether the database is back where it was.
    fn roll_back(&mut self) -> bool {
        // Some errors roll back by themselves; a second time would be an error of its own.
        self.connection.is_autocommit() || self.statements.rollback.raw_execute().is_ok()
    }

    /// Nothing is written from here on.
    fn die(&mut self, error: &WriteError) {
        if self.dead.is_some() {
            return;
        }
        let is_damaged = match error {
            WriteError::Sqlite(error) => is_damage(error),
            WriteError::Nonsense(_) => true,
            WriteError::Panicked(_) => false,
        };
        let what = if is_damaged { "is damaged" } else { "failed while writing" };
        let message = format!(
            "the journal {} {what}: {error}. What is on the disk is not known before it is read again: \
             this process must stop and be started again",
            self.path.display()
        );
        // Closing would copy the log into the database, and what the log holds is what is in doubt.
        let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        self.dead = Some(message.clone());
        (self.on_fatal)(message);
    }

    /// Copies the log into the database once it is long. Done here, not in SQLite's own hook, which would hide a failed
    /// flush.
    fn checkpoint_when_due(&mut self) {
        if self.dead.is_none() && self.wal_pages.load(Ordering::Relaxed) >= CHECKPOINT_PAGES {
            self.copy_log();
        }
    }

    fn copy_log(&mut self) {
        // The next commit counts anew; it goes on from here only if a reader kept the log from being used again.
        self.wal_pages.store(0, Ordering::Relaxed);
        if let Err(error) = self.checkpoint("PASSIVE") {
            let harmless = match &error {
                // The log stays as it is and is copied later.
                WriteError::Sqlite(rusqlite::Error::SqliteFailure(error, _)) => {
                    matches!(
                        error.code,
                        ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked
                    )
                }
                WriteError::Sqlite(_) | WriteError::Nonsense(_) | WriteError::Panicked(_) => false,
            };
            if !harmless && !self.is_for_want_of_space(&error, SPACE_ASKED_FOR_BESIDES) {
                self.die(&error);
            }
        }
    }

    fn checkpoint(&self, mode: &str) -> Result<(), WriteError> {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        Ok(self.connection.query_row(&sql, [], |_| Ok(()))?)
    }

    fn do_upkeep(&mut self, upkeep: Upkeep) {
        match upkeep {
            Upkeep::Quarantine { saga, why, reply } => {
                let _ = reply.send(self.quarantine(saga, &why));
            }
            Upkeep::RemoveEnded { before, cursor, limit, reply } => {
                let _ = reply.send(self.remove_ended(before, cursor, limit));
            }
            Upkeep::ForgetReservations { before, limit, reply } => {
                let _ = reply.send(self.forget_reservations(before, limit));
            }
            Upkeep::PutDefinition { spec, reply } => {
                let _ = reply.send(self.put_definition(&spec));
            }
        }
    }
}

/// Beside its records, a transaction writes whole pages: indexes, rows, the log's own.
const SPACE_ASKED_FOR_BESIDES: usize = 1 << 20;

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("panicked without a message").to_owned()
}

/// An error of the store, or damage if that is what SQLite calls it.
pub(super) fn store_error(path: &Path, source: Box<dyn std::error::Error + Send + Sync>) -> JournalError {
    JournalError::Store { path: path.display().to_string(), source }
}
