//! A service's own SQLite file: one writer that flushes in groups, and a few readers beside it.
//!
//! Owns the file, the thread that writes to it and the connections that read from it. Promises that a write
//! is answered only after its transaction is on disk, and that everything queued shares one flush, without
//! any timer: what is queued before a flush begins is in it, what comes while it runs is in the next. Does
//! not retry and does not interpret the work it is given. Start reading at [`Database::submit`], then
//! `writer.rs`.

mod intents;
mod open;
mod queue;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use amends_sqlite::{ReaderSettings, Readers, whole};
use rusqlite::Connection;

use crate::barrier;
use crate::error::{BarrierError, DataError};
use crate::limits::{
    FORGET_ROWS_MAX, FREE_PAGES_MAX, LOCK_WAIT_MAX, READER_CACHE_KIB, READERS_MAX, STATEMENTS_KEPT,
};
use crate::savepoint::Savepoint;
pub use open::OpenError;
use queue::Queue;
use writer::Writer;

/// An open database. Dropping it finishes what is queued and closes the file in good order.
pub struct Database {
    path: Arc<Path>,
    queue: Arc<Queue>,
    readers: Option<Readers>,
    writer: Option<JoinHandle<()>>,
    commits: Arc<AtomicU64>,
    generation: i64,
}

/// What a file holds, so that another one is not taken for it.
pub struct Format {
    /// SQLite's `application_id`: marks the file as this service's.
    pub application_id: i32,
    /// SQLite's `user_version`, counted from 1: a file of a newer one is refused.
    pub version: i32,
    /// Creates the tables (and first contents) of a new file, inside the transaction that makes it one of
    /// this format.
    pub create: Create,
}

/// Makes the tables of a new file.
pub type Create = Box<dyn FnOnce(&Connection) -> Result<(), rusqlite::Error> + Send>;

/// Called once when it is unknown what is on the disk. The process should end, and be started again on what
/// is there.
pub type OnFatal = Arc<dyn Fn(&str) + Send + Sync>;

/// Why a write was not answered with what it was asked for. Only [`WriteError::Job`] with a conflict is about
/// the call itself; the rest leaves the caller with *unknown*.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields of a variant are named for what they hold")]
pub enum WriteError {
    /// The work itself failed; only this work was rolled back.
    #[error(transparent)]
    Job(#[from] BarrierError),
    /// The work panicked; only this work was rolled back.
    #[error("the work panicked: {0}")]
    Panicked(String),
    /// There was no space to write; everything of the batch was rolled back.
    #[error("no space left for {path}: free some space")]
    NoSpace { path: String },
    /// The batch could not be carried out; everything of it was rolled back.
    #[error("{path} could not be written: {reason}")]
    RolledBack { path: String, reason: String },
    /// The batch may be on disk or not.
    #[error("{path} failed while committing, so what is on disk is unknown: {reason}")]
    OutcomeUnknown { path: String, reason: String },
    /// [`QUEUE_JOBS_MAX`](crate::limits::QUEUE_JOBS_MAX) writes are waiting: try again later.
    #[error("{max} writes are waiting already: try again later")]
    QueueFull { max: usize },
    /// The database is closing, or stopped after a fatal error.
    #[error("the database is closed")]
    Closed,
}

impl WriteError {
    /// The same error; damage is reported with the file it is in.
    fn within(self, path: &Path) -> WriteError {
        match self {
            WriteError::Job(error) => WriteError::Job(error.within(&path.display().to_string())),
            other @ (WriteError::Panicked(_)
            | WriteError::NoSpace { .. }
            | WriteError::RolledBack { .. }
            | WriteError::OutcomeUnknown { .. }
            | WriteError::QueueFull { .. }
            | WriteError::Closed) => other,
        }
    }
}

impl Database {
    /// Opens the file at `path`, creates it if there is none, and starts its writer.
    ///
    /// # Errors
    /// When the file is damaged, of something else or of a newer release, or cannot be made to flush each
    /// commit.
    pub fn open(path: &Path, format: Format, on_fatal: OnFatal) -> Result<Database, OpenError> {
        let connection = open::writer(path, format)?;
        let generation = whole::generation(&connection).map_err(|error| OpenError::database(path, error))?;
        let queue = Arc::new(Queue::default());
        let commits = Arc::new(AtomicU64::new(0));
        let writer = Writer::new(connection, path, Arc::clone(&queue), Arc::clone(&commits), on_fatal)
            .map_err(|error| OpenError::database(path, error))?;
        let thread = thread::Builder::new()
            .name("amends-database".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        let readers = ReaderSettings {
            connections_max: READERS_MAX,
            cache_kib: READER_CACHE_KIB,
            statements_kept: STATEMENTS_KEPT,
            lock_wait_max: LOCK_WAIT_MAX,
        };
        let readers = Some(Readers::new(path, readers));
        Ok(Database { path: path.into(), queue, readers, writer: Some(thread), commits, generation })
    }

    /// Queues a write and returns immediately. `answered` is called exactly once: on the writer's thread
    /// after the commit, or on the calling thread when the work could not be queued. It should hand its
    /// argument on and not compute.
    ///
    /// `work` runs in a savepoint of its own inside the batch's transaction; when it fails, only its part is
    /// rolled back.
    pub fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Savepoint<'_>) -> Result<T, BarrierError> + Send + 'static,
        answered: impl FnOnce(Result<T, WriteError>) + Send + 'static,
    ) {
        let path = Arc::clone(&self.path);
        let answered = move |result: Result<T, WriteError>| {
            answered(result.map_err(|error| error.within(&path)));
        };
        if let Err((job, error)) = self.queue.push(Box::new(queue::Write::new(work, answered))) {
            job.answer(Some(error));
        }
    }

    /// Looks at what is committed, as of one moment. Blocks while every reader is in use.
    ///
    /// # Errors
    /// Those of `look`, and of the database; damage is reported with the file's path.
    pub fn read<T>(&self, look: impl FnOnce(&Connection) -> Result<T, DataError>) -> Result<T, DataError> {
        let readers = self.readers.as_ref().expect("the readers are taken away only by drop");
        readers.read(look).map_err(|error| error.within(&self.path.display().to_string()))
    }

    /// Queues the removal of one small batch of barrier rows made before `before_ms`, and tells how many
    /// went. Read [`barrier::forget_before`] for how far back that must lie. Fewer than [`FORGET_ROWS_MAX`]
    /// means that the rest is too young.
    pub fn forget_before(
        &self,
        before_ms: i64,
        answered: impl FnOnce(Result<usize, WriteError>) + Send + 'static,
    ) {
        let work = move |connection: &Savepoint<'_>| {
            let removed = barrier::forget_before(connection, before_ms, FORGET_ROWS_MAX)?;
            give_space_back(connection)?;
            Ok(removed)
        };
        self.submit(work, answered);
    }

    /// The generation that the file had when it was opened, from 0. An owner of several files counts it up in
    /// all of them each time it opens them, and so notices one that is older than the others.
    pub fn generation(&self) -> i64 {
        self.generation
    }

    /// Queues that the file gets this generation.
    pub fn set_generation(
        &self,
        generation: i64,
        answered: impl FnOnce(Result<(), WriteError>) + Send + 'static,
    ) {
        self.submit(move |savepoint| Ok(whole::set_generation(savepoint, generation)?), answered);
    }

    /// How many transactions were committed since the file was opened: far fewer than writes when they come
    /// together.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Cuts free pages off the end of the file, in small steps beside the writes.
fn give_space_back(connection: &Connection) -> Result<(), rusqlite::Error> {
    let sql = format!("PRAGMA incremental_vacuum({FREE_PAGES_MAX})");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut steps = statement.query([])?;
    // SQLite frees one page a step.
    while steps.next()?.is_some() {}
    Ok(())
}

impl Drop for Database {
    fn drop(&mut self) {
        // The readers go first: an open one would keep the writer from emptying the WAL.
        self.readers = None;
        self.queue.close();
        let Some(writer) = self.writer.take() else { return };
        // Dropped inside `answered`, this is the writer's thread, which cannot wait for itself.
        if writer.thread().id() != thread::current().id() {
            // The writer catches panics of its work and reports its own through `on_fatal`; there is nobody
            // else to tell.
            let _ = writer.join();
        }
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.path).finish_non_exhaustive()
    }
}
