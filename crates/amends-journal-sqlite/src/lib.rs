//! The journal on disk: a log, and behind it one SQLite database, in a directory.
//!
//! Owns [`SqliteJournal`]: a thread that makes appends durable in the log (the committer), one that brings
//! the database up to it in rounds (the settler), and a few readers beside them. Promises that *committed*
//! means flushed to the disk, that a directory has one user, and that after an error which leaves the disk in
//! doubt nothing more is written: `on_fatal` is called once, and every append that the committer begins with
//! after it has heard of the error is answered *unknown*. Does not decode records. Start reading at
//! [`SqliteJournal::open`], then `committer/`, then `settler.rs`.

mod absence;
mod archive;
mod check;
mod committer;
mod definitions;
mod entry;
mod erasure;
mod failure;
mod feed;
mod feed_rows;
mod known;
mod labels;
mod late_index;
pub mod limits;
mod linger;
mod listing;
mod lock;
mod look;
mod lookup;
mod names;
mod open;
mod portable;
mod queue;
mod reader;
mod schema;
mod settle;
mod settler;
mod shared;
mod space;
mod spans;
mod statements;
mod tally;
mod upkeep;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use amends_core::{DefinitionName, DefinitionSpec, Mode, Partitions, Time, TransactionId};
use amends_journal::{
    Append, Appends, Backup, Count, Cursor, Epoch, Erase, Feed, FeedPosition, Filter, JournalError, KeyEntry,
    Lease, Loaded, Meters, OnAnswers, OnFeed, Ownership, Page, PutDefinition, Quarantined, Reads,
    RetireDefinition, Stats, Stored, StoredDefinition, Summary, Sweep, Timer, Upkeep,
};
use amends_sqlite::{Wal, panic_text};
use bytes::Bytes;
use rusqlite::Connection;

use crate::limits::{
    CHECKPOINT_PAGES, DISK_RESERVE_BYTES, LOG_BYTES_MAX, LOOKUP_CACHE_KIB, NAMES_INDEXED_TOGETHER,
    READER_CACHE_KIB,
};

pub use check::{Checked, check};
pub use open::OpenError;
pub use portable::{ImportError, Imported, import};

use absence::Absent;
use committer::{Committer, InDatabase, Settling};
use failure::{ReadError, WriteError, store_error};
use feed::{AtHand, FeedEnd};
use feed_rows::InRows;
use lock::DirectoryLock;
use look::Look;
use lookup::Lookup;
use names::{Hint, Name, Names, Tags};
use open::Opened;
use queue::{Ahead, Batch, Job, Question, Reply};
use reader::Readers;
use settler::{Done, Settler, Task};
use shared::{OnFatal, Shared};
use space::Space;

/// What can be chosen when a journal is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteOptions {
    /// Free space below which [`Appends::is_disk_low`] says so.
    pub disk_reserve_bytes: u64,
    /// How large the database may grow, the log beside it aside; beyond, it takes nothing in. A quota, and
    /// the way to try a full disk out. `None`: as large as the disk.
    pub database_bytes_max: Option<u64>,
    /// How large the log may grow while the database cannot take it in; beyond, appends are answered *no
    /// space*.
    pub log_bytes_max: u64,
    /// How many names (ids that callers chose, idempotency keys) are put into their index together. The more
    /// there are, the cheaper the index is to keep up to date, at some 40 bytes of memory each.
    pub names_indexed_together: usize,
    /// How many facts the feed keeps at least ([`limits::FEED_FACTS_KEPT`] are a good number). `None`: there is
    /// no feed, and what happens meanwhile will never be in one.
    pub feed_facts_kept: Option<u64>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            disk_reserve_bytes: DISK_RESERVE_BYTES,
            database_bytes_max: None,
            log_bytes_max: LOG_BYTES_MAX,
            names_indexed_together: NAMES_INDEXED_TOGETHER,
            feed_facts_kept: None,
        }
    }
}

/// The backend on disk. Dropping it finishes what is queued, leaves everything in one file and lets the
/// directory go.
pub struct SqliteJournal {
    shared: Arc<Shared>,
    readers: Readers,
    /// Readers of their own for whoever submits: a list must not be in their way.
    lookups: Readers,
    committer: Option<JoinHandle<()>>,
    settler: Option<JoinHandle<()>>,
}

impl SqliteJournal {
    /// Opens the journal in `directory`, laying out a new one where there is none. `on_fatal` is called at
    /// most once, from the journal's thread, when the process must stop and be started again; it gets what to
    /// tell the operator.
    ///
    /// # Errors
    /// When the directory is in use, its data damaged, foreign or from a later version, or cannot be made
    /// durable.
    pub fn open(directory: &Path, options: SqliteOptions, on_fatal: OnFatal) -> Result<Self, OpenError> {
        let Opened { connection, path, lock, log, salt } = open::open(directory, &options)?;
        let space = Space::new(directory, options.disk_reserve_bytes);
        let shared = Arc::new(Shared::new(
            path.clone(),
            space,
            Names::new(Tags::new(salt)),
            options.feed_facts_kept.map(FeedEnd::new),
            Epoch(log.opening),
            on_fatal,
        ));
        let (tasks, to_do) = channel();
        let (done, results) = channel();
        let for_settler = Arc::clone(&shared);
        let together = options.names_indexed_together;
        let settler = start("amends-settler", &path, move |ready| {
            settle(connection, lock, &for_settler, together, &to_do, &done, ready);
        })?;
        let for_committer = Arc::clone(&shared);
        let settling = Settling::new(tasks, results);
        let committer =
            start("amends-journal", &path, move |ready| commit(&for_committer, log, settling, ready))?;
        Ok(Self {
            shared,
            readers: Readers::new(&path, READER_CACHE_KIB),
            lookups: Readers::new(&path, LOOKUP_CACHE_KIB),
            committer: Some(committer),
            settler: Some(settler),
        })
    }

    /// What keeps an answer through a power cut, in words: how the log is flushed, and what the database is
    /// set to. No option changes it.
    #[must_use]
    pub fn durability() -> String {
        open::durability()
    }

    /// Waits until the database has everything that was answered.
    fn catch_up(&self) -> Result<(), JournalError> {
        if self.shared.is_ahead() {
            self.ask(|reply| Job::Question(Question::Settle { reply }))
        } else {
            Ok(())
        }
    }

    /// As [`SqliteJournal::catch_up`]; without space for that, or beside a lock of another program, what is
    /// asked is answered as of the last round.
    fn catch_up_if_possible(&self) -> Result<(), JournalError> {
        match self.catch_up() {
            Err(JournalError::NoSpace(_) | JournalError::Locked(_)) => Ok(()),
            caught_up => caught_up,
        }
    }

    /// Looks a name up in the database, with the numbers that memory has for it.
    fn look_up<T>(
        &self,
        name: Name<'_>,
        look: impl FnOnce(&Look<'_>, &Hint) -> Result<T, ReadError>,
    ) -> Result<Found<T>, JournalError> {
        let Shared { names, forgotten, .. } = &*self.shared;
        // Memory first: what leaves it then is in the index of the moment that is taken next.
        let (times, hint) = (forgotten.times(), names.hint(name));
        let found = self.readers.read(|moment| look(moment, &hint))?;
        // A transaction that was live when the committer was asked may have ended before the moment was
        // taken: then memory has a number more. That number may have gone into the index since; but the
        // committer says before it lets a number go that it forgets something. So memory is asked first here
        // too, and only then how often it forgot.
        let is_certain = names.hint(name) == hint && forgotten.times() == times;
        Ok(Found { found, is_certain })
    }

    /// Looks for what a filter means. One that names a key may move from one place to another meanwhile: then
    /// a second time.
    fn find<T>(
        &self,
        filter: &Filter,
        find: impl Fn(&Look<'_>, Option<&Hint>) -> Result<T, ReadError>,
    ) -> Result<T, JournalError> {
        let Some(key) = &filter.key else { return self.readers.read(|look| find(look, None)) };
        let look = || self.look_up(Name::Key(key), |look, hint| find(look, Some(hint)));
        let first = look()?;
        if first.is_certain { Ok(first.found) } else { Ok(look()?.found) }
    }

    fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, JournalError> {
        let (reply, answer) = sync_channel(1);
        self.shared.queue.push(job(reply));
        answer.recv().unwrap_or_else(|_| Err(store_error(&self.shared.path, "its threads have ended".into())))
    }
}

impl std::fmt::Debug for SqliteJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteJournal").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

impl Drop for SqliteJournal {
    fn drop(&mut self) {
        self.readers.close();
        self.lookups.close();
        let drops_itself = self.shared.queue.is_emptied_by_this_thread();
        self.shared.queue.close();
        for thread in [self.committer.take(), self.settler.take()].into_iter().flatten() {
            if !drops_itself {
                // It reported whatever made it panic.
                let _ = thread.join();
            }
        }
    }
}

impl Appends for SqliteJournal {
    fn submit(&self, batch: Vec<Append>, on_answers: OnAnswers) {
        let Shared { names, forgotten, .. } = &*self.shared;
        let absent = Absent::look_up(&batch, &self.lookups, names, forgotten);
        self.shared.queue.push(Job::Batch(Batch::new(batch, absent, on_answers)));
    }

    fn is_disk_low(&self) -> bool {
        self.shared.space.is_low()
    }
}

impl Reads for SqliteJournal {
    fn load(&self, id: TransactionId) -> Result<Loaded, JournalError> {
        // A second time if it was removed between the two looks, or went to another place: a gap that stays
        // is one.
        for is_last in [false, true] {
            let ahead = match self.shared.is_ahead() {
                true => self.ask(|reply| Job::Question(Question::Transaction { id, reply }))?,
                false => None,
            };
            let Found { found: loaded, is_certain } =
                self.look_up(Name::Id(id), |look, hint| look.load(id, hint))?;
            let is_stored = matches!(loaded, Loaded::Stored(_));
            match ahead {
                None if is_last || is_stored || is_certain => return Ok(loaded),
                None => {}
                Some(ahead) if is_last || is_stored || ahead.stored == 0 => {
                    return Ok(Loaded::Stored(put_together(loaded.stored(), ahead)));
                }
                Some(_) => {}
            }
        }
        unreachable!("the second look decides")
    }

    /// First those that the committer knows whole: they go on while the rest gets ready to be read.
    fn recoverable(
        &self,
        partitions: &Partitions,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Stored>, JournalError> {
        if cursor.is_none() && self.shared.is_ahead() {
            let (partitions, limit) = (Box::new(*partitions), limit.max(1));
            let items = self.ask(|reply| Job::Question(Question::Active { partitions, limit, reply }))?;
            return Ok(Page { items, next: Some(IN_DATABASE) });
        }
        // What the log had at the start is there from the first page on; what came since is its starter's to
        // know.
        if cursor.is_none_or(|cursor| cursor == IN_DATABASE) {
            self.catch_up()?;
        }
        self.readers.read(|look| look.recoverable(partitions, cursor, limit))
    }

    fn list(
        &self,
        filter: &Filter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Summary>, JournalError> {
        self.catch_up_if_possible()?;
        self.find(filter, |look, hint| look.list(filter, hint, cursor, limit))
    }

    fn count(&self, filter: &Filter) -> Result<Count, JournalError> {
        self.catch_up_if_possible()?;
        self.find(filter, |look, hint| look.count(filter, hint))
    }

    fn timers_due(
        &self,
        partitions: &Partitions,
        after: Timer,
        until: Time,
        limit: usize,
    ) -> Result<Vec<(Timer, TransactionId)>, JournalError> {
        self.catch_up()?;
        self.readers.read(|look| look.timers_due(partitions, after, until, limit))
    }

    fn by_key(&self, key: &str) -> Result<Option<KeyEntry>, JournalError> {
        for is_last in [false, true] {
            if self.shared.is_ahead()
                && let Some(entry) =
                    self.ask(|reply| Job::Question(Question::Key { key: key.to_owned(), reply }))?
            {
                return Ok(Some(entry));
            }
            let name = Name::Key(key);
            let Found { found, is_certain } = self.look_up(name, |look, hint| look.entry(name, hint))?;
            if is_last || is_certain || found.is_some() {
                return Ok(found);
            }
        }
        unreachable!("the second look decides")
    }

    fn definitions(&self) -> Result<Vec<StoredDefinition>, JournalError> {
        self.readers.read(|look| look.definitions())
    }

    fn newest_at(&self) -> Result<Option<Time>, JournalError> {
        self.ask(|reply| Job::Question(Question::NewestAt { reply }))
    }

    fn feed(&self, after: Option<FeedPosition>, limit: usize) -> Result<Feed, JournalError> {
        let limit = limit.max(1);
        let Some(feed) = &self.shared.feed else { return Ok(Feed::Off) };
        let newest = match feed.look(after, limit) {
            AtHand::Page { entries, next, newest } => return Ok(Feed::Page { entries, next, newest }),
            AtHand::Unknown { newest } => return Ok(Feed::Unknown { newest }),
            AtHand::Expired { oldest } => return Ok(Feed::Expired { oldest }),
            AtHand::InDatabase { newest } => newest,
        };
        let after = after.unwrap_or(newest);
        Ok(match self.readers.read(|look| look.feed(after, newest, limit))? {
            InRows::Page { entries, next } => Feed::Page { entries, next, newest },
            InRows::Expired { oldest } => Feed::Expired { oldest },
        })
    }

    fn watch_feed(&self, on_new: OnFeed) {
        if let Some(feed) = &self.shared.feed {
            feed.watch(on_new);
        }
    }

    fn stats(&self) -> Stats {
        self.shared.counters.stats()
    }

    fn meters(&self) -> Meters {
        self.shared.counters.meters()
    }
}

impl Upkeep for SqliteJournal {
    fn quarantine(
        &self,
        id: TransactionId,
        records: u64,
        epoch: Epoch,
        why: &str,
    ) -> Result<Quarantined, JournalError> {
        let why = why.to_owned();
        self.ask(|reply| Job::Upkeep(queue::Upkeep::Quarantine { id, records, epoch, why, reply }))
    }

    fn erase(&self, id: TransactionId, records: u64, epoch: Epoch, now: Time) -> Result<Erase, JournalError> {
        self.ask(|reply| Job::Upkeep(queue::Upkeep::Erase { id, records, epoch, now, reply }))
    }

    fn remove_ended(
        &self,
        partitions: &Partitions,
        before: Time,
        now: Time,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Sweep, JournalError> {
        let (partitions, except) = (Box::new(*partitions), HashSet::new());
        self.ask(|reply| {
            Job::Upkeep(queue::Upkeep::RemoveEnded { partitions, before, now, cursor, limit, except, reply })
        })
    }

    fn forget_reservations(
        &self,
        partitions: &Partitions,
        before: Time,
        limit: usize,
    ) -> Result<usize, JournalError> {
        let partitions = Box::new(*partitions);
        self.ask(|reply| Job::Upkeep(queue::Upkeep::ForgetReservations { partitions, before, limit, reply }))
    }

    fn put_definition(&self, spec: &DefinitionSpec, now: Time) -> Result<PutDefinition, JournalError> {
        self.ask(|reply| Job::Upkeep(queue::Upkeep::PutDefinition { spec: spec.clone(), now, reply }))
    }

    fn backup(&self, to: &Path) -> Result<Backup, JournalError> {
        self.catch_up()?;
        let written = self.readers.read(|look| portable::export(look, to))?;
        written.map_err(|source| not_written(to, source))
    }

    fn secret(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, JournalError> {
        let (name, fresh) = (name.to_owned(), fresh.to_vec());
        self.ask(|reply| Job::Upkeep(queue::Upkeep::Secret { name, fresh, reply }))
    }

    fn retire_definition(
        &self,
        mode: Mode,
        name: &DefinitionName,
        version: u32,
        now: Time,
    ) -> Result<RetireDefinition, JournalError> {
        let name = name.clone();
        self.ask(|reply| Job::Upkeep(queue::Upkeep::RetireDefinition { mode, name, version, now, reply }))
    }
}

/// Only a file of another name would do: a backup over a backup might leave none.
fn not_written(to: &Path, source: std::io::Error) -> JournalError {
    JournalError::Store { what: format!("backup {}", to.display()), source: source.into() }
}

/// A directory has one user at a time: whoever has it open owns everything, and nobody can take anything
/// over.
impl Ownership for SqliteJournal {
    fn acquire(&self, wanted: &Partitions) -> Result<Vec<Lease>, JournalError> {
        let epoch = self.shared.epoch;
        Ok(wanted.iter().map(|partition| Lease { partition, epoch }).collect())
    }

    fn release(&self, _leases: &[Lease]) -> Result<(), JournalError> {
        Ok(())
    }
}

/// What a look at the database found, and whether it could have missed nothing.
struct Found<T> {
    found: T,
    is_certain: bool,
}

/// Where recovery goes on behind what the committer knows: at the beginning of the database.
const IN_DATABASE: Cursor = Cursor(0);

/// What a thread says once it is ready, or cannot be.
type Ready = SyncSender<Result<(), OpenError>>;

/// Starts a thread and waits until it is ready.
fn start(
    name: &str,
    path: &Path,
    run: impl FnOnce(Ready) + Send + 'static,
) -> Result<JoinHandle<()>, OpenError> {
    let (ready, is_ready) = sync_channel(1);
    let thread = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || run(ready))
        .map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
    is_ready.recv().expect("the thread reports before it ends")?;
    Ok(thread)
}

fn not_ready(path: &Path, error: WriteError) -> OpenError {
    let path = path.to_owned();
    match error {
        WriteError::Sqlite(error) => open::from_sqlite(path, error),
        WriteError::Nonsense(nonsense) => OpenError::Damaged { path, details: nonsense.to_string() },
        WriteError::Log(source) => OpenError::Io { path, source },
        WriteError::Panicked(details) => OpenError::Store { path, source: details.into() },
    }
}

/// The settler's thread, from first to last. It is the last to have the database, and so the directory.
fn settle(
    mut connection: Connection,
    lock: DirectoryLock,
    shared: &Arc<Shared>,
    names_indexed_together: usize,
    tasks: &Receiver<Task>,
    done: &Sender<Done>,
    ready: Ready,
) {
    if let Err(error) = settle_over(&mut connection, shared, names_indexed_together, tasks, done, &ready) {
        // Nobody waits any more if the opener is gone.
        let _ = ready.send(Err(not_ready(&shared.path, error)));
    }
    // The database goes before the lock: the next user must find it closed.
    drop(connection);
    amends_sqlite::closed(&shared.path);
    drop(lock);
}

/// Fails only before it is ready.
fn settle_over(
    connection: &mut Connection,
    shared: &Arc<Shared>,
    names_indexed_together: usize,
    tasks: &Receiver<Task>,
    done: &Sender<Done>,
    ready: &Ready,
) -> Result<(), WriteError> {
    let waiting = Arc::clone(shared);
    amends_sqlite::wait_for_locks(connection, &shared.path, move |waited| waiting.waits_for_a_lock(waited))?;
    let wal = Wal::watch(connection, CHECKPOINT_PAGES)?;
    let settler = Settler::new(connection, wal, Arc::clone(shared), names_indexed_together)?;
    let _ = ready.send(Ok(()));
    let tell = |what: Done| {
        // Without a committer there is nobody to tell.
        let _ = done.send(what);
        shared.queue.poke();
    };
    // A bug of ours must not leave everybody waiting for a thread that is gone.
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| settler.run(tasks, tell))) {
        let why = WriteError::Panicked(panic_text(panic.as_ref()).to_owned()).fatal(&shared.path);
        tell(Done::Dead(why.clone()));
        shared.die(why);
        // The committer goes first, as it always does: until then the directory is in use. What it asks for
        // meanwhile is refused by being dropped.
        while tasks.recv().is_ok() {}
    }
    Ok(())
}

/// The committer's thread, from first to last.
fn commit(shared: &Arc<Shared>, log: amends_log::Found, settler: Settling, ready: Ready) {
    let connection = match amends_sqlite::open_reader(&shared.path, &reader::settings(LOOKUP_CACHE_KIB)) {
        Ok(connection) => connection,
        Err(error) => return drop(ready.send(Err(open::from_sqlite(shared.path.clone(), error)))),
    };
    let settler = commit_over(&connection, shared, log, settler, &ready);
    // The settler is to close the database last, and tidies up when it does.
    drop(connection);
    match settler {
        Ok(settler) => drop(settler),
        // Nobody waits any more if the opener is gone.
        Err(error) => drop(ready.send(Err(not_ready(&shared.path, error)))),
    }
}

/// Fails only before it is ready.
fn commit_over(
    connection: &Connection,
    shared: &Arc<Shared>,
    log: amends_log::Found,
    settler: Settling,
    ready: &Ready,
) -> Result<Settling, WriteError> {
    let last_no = schema::last_no(connection)?;
    let newest_at = schema::newest_at(connection)??;
    let settled_to = schema::settled(connection)??;
    let feed = feed::in_database(connection)?;
    let in_database = InDatabase { last_no, newest_at, settled_to, feed };
    let lookup = Lookup::prepare(connection, &shared.names)?;
    let amends_log::Found { log, batches, opening: _ } = log;
    let mut committer = Committer::new(Arc::clone(shared), log, lookup, in_database, settler);
    for (number, batch) in batches {
        committer.replay(number, batch)?;
    }
    committer.replayed()?;
    let _ = ready.send(Ok(()));
    Ok(committer.run())
}

/// A transaction of which the database may not have all. It was asked after the log was, and may have got on
/// meanwhile.
fn put_together(stored: Option<Stored>, ahead: Ahead) -> Stored {
    let Ahead { mut transaction, stored: certain, is_unreadable } = ahead;
    let known = certain as usize + transaction.records.len();
    let Some(stored) = stored else {
        // What the database should have and does not is a gap, which no decoder takes for a record.
        transaction.records.splice(0..0, std::iter::repeat_n(Bytes::new(), certain as usize));
        return transaction;
    };
    if stored.records.len() >= known {
        return stored;
    }
    let new = transaction.records.split_off(stored.records.len().saturating_sub(certain as usize));
    transaction.records = stored.records;
    transaction.records.resize(known - new.len(), Bytes::new());
    transaction.records.extend(new);
    transaction.unreadable = stored.unreadable.filter(|_| is_unreadable);
    transaction
}
