//! The journal on disk: one SQLite database in a directory.
//!
//! Owns [`SqliteJournal`]: one writer thread with group commit, a few readers beside it. Promises that *committed* means
//! flushed to the disk, that a directory has one user, and that after an error which leaves the disk in doubt nothing
//! more is written: `on_fatal` is called once, and every append from then on is answered *unknown*. Does not decode
//! records. Start reading at [`SqliteJournal::open`], then `writer.rs`.

mod append;
mod archive;
mod definitions;
mod live;
mod lock;
mod look;
mod open;
mod queue;
mod reader;
mod schema;
mod space;
mod statements;
mod tally;
mod upkeep;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use amends_core::{DefinitionSpec, SagaId, Time};
use rusqlite::Connection;
use rusqlite::hooks::Wal;

use crate::journal::{
    Append, Cursor, Filter, Journal, JournalError, KeyEntry, OnAnswers, Page, PutDefinition, SagaSummary,
    Stats, StoredSaga, Sweep,
};
use crate::limits::DISK_RESERVE_BYTES;

pub use open::OpenError;

use open::Opened;
use queue::{Batch, Job, Reply, Upkeep};
use reader::Readers;
use space::Space;
use writer::{OnFatal, Shared, WriteError, Writer};

/// What can be chosen when a journal is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteOptions {
    /// Free space below which [`Journal::is_disk_low`] says so.
    pub disk_reserve_bytes: u64,
    /// How large the database may grow, the log beside it aside; beyond, appends are answered *no space*. A quota, and
    /// the way to try a full disk out. `None`: as large as the disk.
    pub database_bytes_max: Option<u64>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { disk_reserve_bytes: DISK_RESERVE_BYTES, database_bytes_max: None }
    }
}

/// The backend on disk. Dropping it finishes what is queued, leaves everything in one file and lets the directory go.
pub struct SqliteJournal {
    shared: Arc<Shared>,
    readers: Readers,
    space: Space,
    path: PathBuf,
    writer: Option<JoinHandle<()>>,
}

impl SqliteJournal {
    /// Opens the journal in `directory`, laying out a new one where there is none. `on_fatal` is called at most once,
    /// from the journal's thread, when the process must stop and be started again; it gets what to tell the operator.
    ///
    /// # Errors
    /// When the directory is in use, its data damaged, foreign or from a later version, or cannot be made durable.
    pub fn open(directory: &Path, options: SqliteOptions, on_fatal: OnFatal) -> Result<Self, OpenError> {
        let opened = open::open(directory, &options)?;
        let path = opened.path.clone();
        let shared = Arc::new(Shared::default());
        let (ready, is_ready) = sync_channel(1);
        let for_thread = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("amends-journal".to_owned())
            .spawn(move || write(opened, &for_thread, on_fatal, &ready))
            .map_err(|source| OpenError::Io { path: path.clone(), source })?;
        is_ready.recv().expect("the writer reports before it ends")?;
        Ok(Self {
            shared,
            readers: Readers::new(path.clone()),
            space: Space::new(directory, options.disk_reserve_bytes),
            path,
            writer: Some(writer),
        })
    }

    fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Upkeep) -> Result<T, JournalError> {
        let (reply, answer) = sync_channel(1);
        self.shared.queue.push(Job::Upkeep(job(reply)));
        answer.recv().unwrap_or_else(|_| Err(writer::store_error(&self.path, "its writer has ended".into())))
    }
}

impl std::fmt::Debug for SqliteJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteJournal").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Drop for SqliteJournal {
    fn drop(&mut self) {
        self.readers.close();
        let drops_itself = self.shared.queue.is_emptied_by_this_thread();
        self.shared.queue.close();
        if let Some(writer) = self.writer.take()
            && !drops_itself
        {
            // It reported whatever made it panic.
            let _ = writer.join();
        }
    }
}

impl Journal for SqliteJournal {
    fn submit(&self, batch: Vec<Append>, on_answers: OnAnswers) {
        self.shared.queue.push(Job::Batch(Batch::new(batch, on_answers)));
    }

    fn load(&self, saga: SagaId) -> Result<Option<StoredSaga>, JournalError> {
        self.readers.read(|look| look.load(saga))
    }

    fn recoverable(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page<StoredSaga>, JournalError> {
        self.readers.read(|look| look.recoverable(cursor, limit))
    }

    fn list(
        &self,
        filter: &Filter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<SagaSummary>, JournalError> {
        self.readers.read(|look| look.list(filter, cursor, limit))
    }

    fn count(&self, filter: &Filter) -> Result<u64, JournalError> {
        self.readers.read(|look| look.count(filter))
    }

    fn timers_due(&self, until: Time, limit: usize) -> Result<Vec<(Time, SagaId)>, JournalError> {
        self.readers.read(|look| look.timers_due(until, limit))
    }

    fn next_timer(&self) -> Result<Option<Time>, JournalError> {
        self.readers.read(|look| look.next_timer())
    }

    fn by_key(&self, key: &str) -> Result<Option<KeyEntry>, JournalError> {
        self.readers.read(|look| look.by_key(key))
    }

    fn quarantine(&self, saga: SagaId, why: &str) -> Result<(), JournalError> {
        self.ask(|reply| Upkeep::Quarantine { saga, why: why.to_owned(), reply })
    }

    fn remove_ended(
        &self,
        before: Time,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Sweep, JournalError> {
        self.ask(|reply| Upkeep::RemoveEnded { before, cursor, limit, reply })
    }

    fn forget_reservations(&self, before: Time, limit: usize) -> Result<usize, JournalError> {
        self.ask(|reply| Upkeep::ForgetReservations { before, limit, reply })
    }

    fn put_definition(&self, spec: &DefinitionSpec) -> Result<PutDefinition, JournalError> {
        self.ask(|reply| Upkeep::PutDefinition { spec: spec.clone(), reply })
    }

    fn definitions(&self) -> Result<Vec<DefinitionSpec>, JournalError> {
        self.readers.read(|look| look.definitions())
    }

    fn is_disk_low(&self) -> bool {
        self.space.is_low()
    }

    fn stats(&self) -> Stats {
        self.shared.counters.stats()
    }
}

/// The writer thread, from first to last.
fn write(opened: Opened, shared: &Arc<Shared>, on_fatal: OnFatal, ready: &SyncSender<Result<(), OpenError>>) {
    let Opened { mut connection, path, lock } = opened;
    let closed = path.clone();
    if let Err(error) = serve(&mut connection, &path, shared, on_fatal, ready) {
        // Nobody waits any more if the opener is gone.
        let _ = ready.send(Err(match error {
            WriteError::Sqlite(error) => open::from_sqlite(path, error),
            WriteError::Nonsense(nonsense) => OpenError::Damaged { path, details: nonsense.to_string() },
            WriteError::Panicked(details) => OpenError::Store { path, source: details.into() },
        }));
    }
    // The database goes before the lock: the next user must find it closed.
    drop(connection);
    amends_sqlite::closed(&closed);
    drop(lock);
}

/// Gets ready, says so, and writes until the journal is dropped. Fails only before it is ready.
fn serve(
    connection: &mut Connection,
    path: &Path,
    shared: &Arc<Shared>,
    on_fatal: OnFatal,
    ready: &SyncSender<Result<(), OpenError>>,
) -> Result<(), WriteError> {
    let wal_pages = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&wal_pages);
    connection.wal_hook(Some(move |_: &mut Wal, pages| {
        seen.store(u32::try_from(pages).unwrap_or(u32::MAX), Ordering::Relaxed);
        Ok(())
    }))?;
    let mut writer = Writer::new(connection, path.to_owned(), wal_pages, Arc::clone(shared), on_fatal)?;
    let _ = ready.send(Ok(()));
    writer.run();
    Ok(())
}
