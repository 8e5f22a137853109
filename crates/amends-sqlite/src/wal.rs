//! SQLite's write-ahead log (WAL), and when it is copied into the database.
//!
//! Owns the writer's checkpoints. Promises that an error of a checkpoint is seen, that a checkpoint which a
//! reader or a full disk keeps from its end is none, and that a WAL which grows beyond reason is reported.
//! Does not hold anybody up: a checkpoint copies what no reader needs any more.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::Connection;
use tracing::warn;

use crate::beside;
use crate::failure::{is_locked, is_no_space};
use crate::limits::WAL_REPORTED_FACTOR;

/// The WAL of the connection that writes.
#[derive(Debug)]
pub struct Wal {
    /// Pages in it after the last commit, as SQLite's hook reported them.
    pages: Arc<AtomicU32>,
    pages_max: u32,
    /// A checkpoint that could not copy everything is tried again from here on.
    due_at: Cell<u32>,
    reported_at: Cell<u32>,
}

impl Wal {
    /// Takes the checkpoints over: SQLite's own run before a commit returns, and hide their errors. From
    /// `pages_max` pages on the WAL is to be copied.
    ///
    /// # Errors
    /// When SQLite does not take it.
    pub fn watch(writer: &mut Connection, pages_max: u32) -> rusqlite::Result<Wal> {
        let pages = Arc::new(AtomicU32::new(0));
        let reported = Arc::clone(&pages);
        writer.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            reported.store(u32::try_from(pages).unwrap_or(u32::MAX), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Wal { pages, pages_max, due_at: Cell::new(pages_max), reported_at: Cell::new(0) })
    }

    /// Copies a WAL that has grown long into the database. To be called after a commit, once its answers are
    /// out.
    ///
    /// # Errors
    /// When a flush of the database failed: its pages may be gone although the next flush says otherwise.
    pub fn shorten(&self, writer: &Connection, database: &Path) -> rusqlite::Result<()> {
        self.shorten_and(writer, |pages| {
            let path = beside(database, "-wal");
            let mib = fs::metadata(&path).map_or(0, |file| file.len() >> 20);
            warn!(
                "{} has grown to {mib} MiB, {} times what it should have: a forgotten transaction that reads \
                 keeps it from being copied, or the disk is full. End shells and backups that look at it",
                path.display(),
                pages / self.pages_max,
            );
        })
    }

    fn shorten_and(&self, writer: &Connection, report: impl FnOnce(u32)) -> rusqlite::Result<()> {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.pages_max {
            // It was begun anew.
            self.due_at.set(self.pages_max);
            self.reported_at.set(0);
        }
        if pages < self.due_at.get() {
            return Ok(());
        }
        if self.is_to_be_reported(pages) {
            report(pages);
        }
        self.copy(writer)
    }

    /// Copies what is in the WAL into the database, as far as no reader needs what is there.
    ///
    /// # Errors
    /// As [`Wal::shorten`].
    pub fn copy(&self, writer: &Connection) -> rusqlite::Result<()> {
        let pages = self.pages.load(Ordering::Relaxed);
        let copied = writer.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        });
        match copied {
            // The next commit begins it anew, unless somebody reads; then what that one adds is copied
            // immediately.
            Ok((pages, copied)) if pages == copied => Ok(()),
            // Somebody reads an old state, and may do so for long: looking again costs more the longer the
            // WAL is.
            Ok(_) => {
                self.due_at.set(pages.saturating_add(self.pages_max));
                Ok(())
            }
            Err(error) if is_no_space(&error) || is_locked(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// At a few times its limit, and at each doubling.
    fn is_to_be_reported(&self, pages: u32) -> bool {
        let limit = self.pages_max.saturating_mul(WAL_REPORTED_FACTOR);
        let is_due = pages >= limit.max(self.reported_at.get().saturating_mul(2));
        if is_due {
            self.reported_at.set(pages);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGES_MAX: u32 = 20;

    struct Place {
        directory: tempfile::TempDir,
        writer: Connection,
        wal: Wal,
        reports: Cell<u32>,
    }

    impl Place {
        fn new() -> Place {
            let directory = tempfile::tempdir().unwrap();
            let mut writer = Connection::open(directory.path().join("x.db")).unwrap();
            writer
                .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; CREATE TABLE t (x)")
                .unwrap();
            let wal = Wal::watch(&mut writer, PAGES_MAX).unwrap();
            Place { directory, writer, wal, reports: Cell::new(0) }
        }

        /// Each adds a page at least.
        fn commit(&self, times: u32) {
            for _ in 0..times {
                self.writer.execute("INSERT INTO t VALUES (1)", []).unwrap();
                self.wal.shorten_and(&self.writer, |_| self.reports.set(self.reports.get() + 1)).unwrap();
            }
        }

        fn pages(&self) -> u32 {
            self.wal.pages.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn a_long_wal_is_copied_and_begun_anew() {
        let place = Place::new();
        for _ in 0..10 {
            place.commit(PAGES_MAX);
            assert!(place.pages() <= PAGES_MAX + 1, "{}", place.pages());
        }
        assert_eq!(place.reports.get(), 0);
    }

    #[test]
    fn a_wal_that_a_reader_pins_is_reported_at_each_doubling_until_the_reader_leaves() {
        let place = Place::new();
        let reader = Connection::open(place.directory.path().join("x.db")).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM t").unwrap();
        place.commit(PAGES_MAX * 3);
        assert_eq!(place.reports.get(), 0);
        place.commit(PAGES_MAX * 4);
        assert_eq!(place.reports.get(), 1);
        place.commit(PAGES_MAX * 30);
        assert_eq!(place.reports.get(), 4, "at 4, 8, 16 and 32 times");
        reader.execute_batch("COMMIT").unwrap();
        place.commit(PAGES_MAX + 2);
        assert!(place.pages() <= PAGES_MAX, "{}", place.pages());
        place.commit(PAGES_MAX * 3);
        assert_eq!(place.reports.get(), 4);
    }
}
