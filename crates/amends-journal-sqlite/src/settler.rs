//! The one thread that writes to the database.
//!
//! Owns the writing connection. Promises one transaction a round, durable before it is told of; that a round
//! for which there is no space is tried again and nothing else goes before it; and that after an error which
//! leaves the disk in doubt nothing more is written. Damage that upkeep meets while it reads is its asker's
//! to hear; a round cannot do without what it reads. Does not decide what goes into a round: the committer
//! does. Start reading at [`Settler::run`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use amends_core::Time;
use amends_journal::JournalError;
use amends_log::BatchNumber;
use amends_sqlite::{Wal, is_locked, is_no_space, panic_text};
use bytes::Bytes;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ffi};

use crate::limits::NO_SPACE_RETRY;

use super::definitions::DefinitionNumbers;
use super::failure::{Failure, WriteError, store_error};
use super::feed::FeedPart;
use super::known::Row;
use super::late_index::LateIndex;
use super::names::Named;
use super::queue::{Upkeep, UpkeepKind};
use super::schema::{self, Nonsense, time_code};
use super::shared::Shared;
use super::space;
use super::spans::SpanChanges;
use super::statements::Statements;
use super::tally::TallyChanges;

/// What the settler is to do.
pub(super) enum Task {
    /// Write these transactions down; then everything up to this batch of the log is.
    Settle(Round),
    /// Something else.
    Upkeep(Upkeep),
    /// Try the round again that there was no space for.
    Retry,
}

/// Transactions that are written down together.
pub(super) struct Round {
    pub(super) rows: Vec<Arc<Row>>,
    pub(super) settled_to: BatchNumber,
    /// The time of the newest record that there ever was.
    pub(super) newest_at: Option<Time>,
    /// What comes to the feed, if there is one.
    pub(super) feed: Option<FeedPart>,
}

/// What became of a task.
pub(super) enum Done {
    /// The round is in the database.
    Settled {
        round: Round,
        /// Names that the index has by now.
        indexed: Vec<Named>,
    },
    /// There is no space for the round; it is tried again.
    Stuck,
    /// The other task was done, and its asker told.
    Upkeep {
        kind: UpkeepKind,
        /// Names that the index has by now.
        indexed: Vec<Named>,
    },
    /// Nothing is written any more.
    Dead(String),
}

/// The settler at work.
pub(super) struct Settler<'c> {
    pub(super) connection: &'c Connection,
    pub(super) statements: Statements<'c>,
    pub(super) definitions: DefinitionNumbers,
    /// What the running transaction changes; dropped when it fails.
    pub(super) tally: TallyChanges,
    pub(super) spans: SpanChanges,
    /// Room to put archived records together in, kept from one to the next.
    pub(super) value: Vec<u8>,
    pub(super) late_index: LateIndex<'c>,
    pub(super) shared: Arc<Shared>,
    wal: Wal,
    /// Whether the running transaction has got as far as its commit.
    is_committing: bool,
    /// Whether the database is marked as written to.
    is_marked: bool,
    /// How often the database was written.
    changes: i64,
    /// Why nothing is written any more, and whether the committer knows.
    dead: Option<String>,
    death_is_told: bool,
}

impl<'c> Settler<'c> {
    /// Gets ready, from what the database says.
    pub(super) fn new(
        connection: &'c Connection,
        wal: Wal,
        shared: Arc<Shared>,
        names_indexed_together: usize,
    ) -> Result<Self, WriteError> {
        Ok(Self {
            late_index: LateIndex::read(connection, &shared.names, names_indexed_together)?,
            connection,
            statements: Statements::prepare(connection)?,
            definitions: DefinitionNumbers::read(connection)?,
            tally: TallyChanges::default(),
            spans: SpanChanges::default(),
            value: Vec::new(),
            wal,
            shared,
            is_committing: false,
            is_marked: false,
            changes: schema::changes_and_log(connection)?.0,
            dead: None,
            death_is_told: false,
        })
    }

    /// Works until the committer is gone; then leaves the database in one file.
    pub(super) fn run(mut self, tasks: &Receiver<Task>, done: impl Fn(Done)) {
        let mut stuck: Option<Round> = None;
        let mut was_told = false;
        loop {
            self.shared.set_settling(false);
            let task = match stuck.take() {
                None => match tasks.recv() {
                    Ok(task) => task,
                    Err(_) => break,
                },
                // No other round goes before it.
                Some(round) => match tasks.recv_timeout(NO_SPACE_RETRY) {
                    Ok(Task::Retry) => {
                        was_told = false;
                        Task::Settle(round)
                    }
                    Err(RecvTimeoutError::Timeout) => Task::Settle(round),
                    Ok(Task::Upkeep(upkeep)) => {
                        stuck = Some(round);
                        Task::Upkeep(upkeep)
                    }
                    Ok(Task::Settle(_)) => unreachable!("one round comes after the other"),
                    Err(RecvTimeoutError::Disconnected) => break,
                },
            };
            self.shared.set_settling(true);
            match task {
                Task::Settle(round) => match self.settle(&round) {
                    Ok(()) => {
                        was_told = false;
                        let indexed = self.late_index.committed(&self.shared.names);
                        done(Done::Settled { round, indexed });
                    }
                    Err((Failure::NoSpace | Failure::Locked, _)) => {
                        stuck = Some(round);
                        // Once, and whenever somebody asks.
                        if !std::mem::replace(&mut was_told, true) {
                            done(Done::Stuck);
                        }
                    }
                    // What the log has of it can get nowhere.
                    Err((Failure::Damage(error), _)) => self.die(&error),
                    Err((Failure::Fatal, _)) => {}
                },
                Task::Upkeep(upkeep) => {
                    let kind = upkeep.kind();
                    self.do_upkeep(upkeep);
                    let indexed = self.late_index.committed(&self.shared.names);
                    // First: whoever waits for the upkeep to be done must not go on if nobody knows what it
                    // did.
                    self.tell_of_death(&done);
                    done(Done::Upkeep { kind, indexed });
                }
                // It was tried again meanwhile.
                Task::Retry => {}
            }
            let copied = match self.dead {
                None => self.wal.shorten(self.connection, &self.shared.path),
                Some(_) => Ok(()),
            };
            self.judge_checkpoint(copied);
            self.tell_of_death(&done);
        }
        if self.dead.is_none() {
            // What fails here costs nothing: the log is read at the next start.
            let emptied = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
            if matches!(emptied, Ok(0)) {
                amends_sqlite::about_to_close(&self.shared.path);
            }
        }
    }

    fn settle(&mut self, round: &Round) -> Result<(), (Failure, JournalError)> {
        let bytes = round.rows.iter().flat_map(|row| &row.tail).map(Bytes::len).sum();
        self.transaction(bytes, |settler| {
            for row in &round.rows {
                settler.settle_row(row)?;
            }
            if let Some(part) = &round.feed {
                settler.write_feed(part)?;
            }
            settler.late_index.merge_some()?;
            let last_no = round.rows.iter().map(|row| row.origin.no).max().unwrap_or(0);
            let set = &mut settler.statements.set_settled;
            set.raw_bind_parameter(1, i64::try_from(round.settled_to).expect("no log has 2^63 batches"))?;
            set.raw_bind_parameter(2, last_no)?;
            set.raw_bind_parameter(3, round.newest_at.map(time_code))?;
            let changed = set.raw_execute()?;
            if changed == 1 {
                Ok(())
            } else {
                Err(Nonsense(format!("{changed} rows say how far the log is settled")).into())
            }
        })
    }

    /// Runs `work` in one transaction and commits it.
    pub(super) fn transaction<T>(
        &mut self,
        bytes: usize,
        work: impl FnOnce(&mut Self) -> Result<T, WriteError>,
    ) -> Result<T, (Failure, JournalError)> {
        if let Some(why) = &self.dead {
            return Err((Failure::Fatal, store_error(&self.shared.path, why.clone().into())));
        }
        self.is_committing = false;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            self.statements.begin.raw_execute()?;
            self.shared.has_the_lock();
            let before = self.connection.total_changes();
            let done = work(self)?;
            self.late_index.write_fresh()?;
            self.write_tally()?;
            self.write_spans()?;
            let has_changed = self.connection.total_changes() != before;
            if has_changed {
                self.statements.count_change.raw_bind_parameter(1, self.changes + 1)?;
                self.statements.count_change.raw_execute()?;
                if !self.is_marked {
                    amends_sqlite::about_to_write(&self.shared.path)?;
                    self.is_marked = true;
                }
            }
            self.is_committing = true;
            self.statements.commit.raw_execute()?;
            Ok((done, has_changed))
        }));
        let error = match outcome {
            Ok(Ok((done, has_changed))) => {
                self.definitions.committed();
                if has_changed {
                    self.has_changed();
                }
                return Ok(done);
            }
            Ok(Err(error)) => error,
            Err(panic) => WriteError::Panicked(panic_text(panic.as_ref()).to_owned()),
        };
        self.forget_transaction();
        if self.is_for_want_of_space(&error, bytes) && self.roll_back() {
            // The WAL may be what fills the disk: once it is copied it is written from its beginning again.
            let copied = self.wal.copy(self.connection);
            self.judge_checkpoint(copied);
            let directory = self.shared.path.parent().unwrap_or(&self.shared.path).display().to_string();
            return Err((Failure::NoSpace, JournalError::NoSpace(directory)));
        }
        if matches!(&error, WriteError::Sqlite(error) if is_locked(error)) && self.roll_back() {
            let what = self.shared.path.display().to_string();
            return Err((Failure::Locked, JournalError::Locked(what)));
        }
        // Once the commit has begun nobody knows what the disk has.
        if !self.is_committing
            && let Some(details) = error.damage()
            && self.roll_back()
        {
            let what = self.shared.path.display().to_string();
            return Err((Failure::Damage(error), JournalError::Damaged { what, details }));
        }
        self.die(&error);
        Err((Failure::Fatal, store_error(&self.shared.path, Box::new(error))))
    }

    fn has_changed(&mut self) {
        self.changes += 1;
        let changes = u64::try_from(self.changes).expect("they are counted from zero");
        self.shared.changes.store(changes, Ordering::Release);
    }

    fn write_tally(&mut self) -> Result<(), WriteError> {
        for (definition, standing, change) in self.tally.take() {
            let write = if change > 0 {
                &mut self.statements.add_to_tally
            } else {
                &mut self.statements.take_from_tally
            };
            write.raw_bind_parameter(1, definition)?;
            write.raw_bind_parameter(2, standing)?;
            write.raw_bind_parameter(3, change)?;
            let changed = write.raw_execute()?;
            assert_eq!(changed, 1, "transactions that leave a standing were counted there");
        }
        Ok(())
    }

    fn write_spans(&mut self) -> Result<(), WriteError> {
        for (block, first_at, last_at) in self.spans.take() {
            let widen = &mut self.statements.widen_span;
            widen.raw_bind_parameter(1, block)?;
            widen.raw_bind_parameter(2, first_at)?;
            widen.raw_bind_parameter(3, last_at)?;
            widen.raw_execute()?;
        }
        Ok(())
    }

    /// Drops all that memory knows of the failed transaction; the database still says what was before it.
    fn forget_transaction(&mut self) {
        self.tally.forget();
        self.spans.forget();
        self.definitions.rolled_back();
        self.late_index.rolled_back(&self.shared.names);
    }

    /// Only what is known to have come before the flush, and to be about space.
    fn is_for_want_of_space(&self, error: &WriteError, bytes: usize) -> bool {
        let WriteError::Sqlite(error) = error else { return false };
        match error.sqlite_error().map(|error| error.extended_code) {
            // The shared memory beside the log could not grow. A commit lets it grow after its flush: then
            // the commit is on the disk, though this process has taken it back.
            Some(ffi::SQLITE_IOERR_SHMSIZE) => !self.is_committing,
            // SQLite tells only `ENOSPC` apart; a full quota looks like a broken disk. All writing comes
            // before the flush; a failed flush has a code of its own and is never forgiven.
            Some(ffi::SQLITE_IOERR_WRITE) => {
                let directory = self.shared.path.parent().unwrap_or(&self.shared.path);
                space::is_exhausted(directory, bytes + SPACE_ASKED_FOR_BESIDES)
            }
            _ => is_no_space(error),
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
        let message = error.fatal(&self.shared.path);
        // Closing would copy the WAL into the database, and what the WAL holds is what is in doubt.
        let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        self.dead = Some(message.clone());
        self.shared.die(message);
    }

    /// Once, so that the committer says so to everybody from then on.
    fn tell_of_death(&mut self, done: &impl Fn(Done)) {
        if let Some(why) = &self.dead
            && !std::mem::replace(&mut self.death_is_told, true)
        {
            done(Done::Dead(why.clone()));
        }
    }

    fn judge_checkpoint(&mut self, copied: rusqlite::Result<()>) {
        let Err(error) = copied else { return };
        let error = WriteError::Sqlite(error);
        if !self.is_for_want_of_space(&error, SPACE_ASKED_FOR_BESIDES) {
            self.die(&error);
        }
    }

    fn do_upkeep(&mut self, upkeep: Upkeep) {
        match upkeep {
            Upkeep::Quarantine { id, records, epoch: _, why, reply } => {
                let _ = reply.send(self.quarantine(id, records, &why));
            }
            Upkeep::Erase { id, records, epoch: _, now, reply } => {
                let _ = reply.send(self.erase(id, records, now));
            }
            Upkeep::RemoveEnded { partitions, before, now, cursor, limit, except, reply } => {
                let _ = reply.send(self.remove_ended(&partitions, before, now, cursor, limit, &except));
            }
            Upkeep::ForgetReservations { partitions, before, limit, reply } => {
                let _ = reply.send(self.forget_reservations(&partitions, before, limit));
            }
            Upkeep::PutDefinition { spec, now, reply } => {
                let _ = reply.send(self.put_definition(&spec, now));
            }
            Upkeep::RetireDefinition { mode, name, version, now, reply } => {
                let _ = reply.send(self.retire_definition(mode, &name, version, now));
            }
            Upkeep::Secret { name, fresh, reply } => {
                let _ = reply.send(self.secret(&name, &fresh));
            }
        }
    }
}

/// Beside its records, a transaction writes whole pages: indexes, rows, the log's own.
const SPACE_ASKED_FOR_BESIDES: usize = 1 << 20;
