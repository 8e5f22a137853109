//! Waiting for a lock that another program holds: a shell in a transaction, a `VACUUM`, a backup.
//!
//! Owns the wait of a connection that has to go on. Promises that it lasts as long as the lock does, and is
//! reported once, with the file. Does not know what waits behind it: its owner can end it.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tracing::warn;

use crate::limits::{LOCK_LOOKED_AT_EVERY, LOCK_REPORTED_AFTER};

/// Has a connection wait for every lock, in place of failing after some time. `is_over` is asked again and
/// again whether a wait of this length is enough; the statement that waits then fails as locked.
///
/// # Errors
/// When SQLite does not take it.
pub fn wait_for_locks(
    connection: &mut Connection,
    database: &Path,
    is_over: impl Fn(Duration) -> bool + Send + 'static,
) -> rusqlite::Result<()> {
    let path = database.display().to_string();
    wait(connection, LOCK_REPORTED_AFTER, is_over, move || {
        warn!(
            "another program holds a lock on {path}: writes wait until it lets go. Close shells and backups"
        );
    })
}

fn wait(
    connection: &mut Connection,
    reported_after: Duration,
    is_over: impl Fn(Duration) -> bool + Send + 'static,
    report: impl Fn() + Send + 'static,
) -> rusqlite::Result<()> {
    let mut began = Instant::now();
    let mut is_reported = false;
    connection.busy_handler(Some(move |tries| {
        if tries == 0 {
            (began, is_reported) = (Instant::now(), false);
        }
        let waited = began.elapsed();
        if is_over(waited) {
            return false;
        }
        if waited >= reported_after && !is_reported {
            report();
            is_reported = true;
        }
        // Short at first: most locks are those of a commit.
        thread::sleep(LOCK_LOOKED_AT_EVERY.min(Duration::from_millis(1) + waited / 4));
        true
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn two(directory: &Path) -> (Connection, Connection) {
        let path = directory.join("x.db");
        let holder = Connection::open(&path).unwrap();
        holder.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x); BEGIN IMMEDIATE").unwrap();
        (holder, Connection::open(&path).unwrap())
    }

    #[test]
    fn a_lock_is_waited_for_and_reported_once() {
        let directory = tempfile::tempdir().unwrap();
        let (holder, mut waiter) = two(directory.path());
        let (reported, reports) = mpsc::channel();
        let (looked, looks) = mpsc::channel();
        let look = move |_| {
            looked.send(()).unwrap();
            false
        };
        wait(&mut waiter, Duration::ZERO, look, move || reported.send(()).unwrap()).unwrap();
        let waits = thread::spawn(move || waiter.execute("INSERT INTO t VALUES (1)", []));
        reports.recv().unwrap();
        for _ in 0..5 {
            looks.recv().unwrap();
        }
        holder.execute_batch("COMMIT").unwrap();
        assert_eq!(waits.join().unwrap().unwrap(), 1);
        assert!(reports.try_recv().is_err(), "once");
    }

    #[test]
    fn a_wait_ends_when_its_owner_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let (_holder, mut waiter) = two(directory.path());
        let enough = |waited| waited >= Duration::from_millis(1);
        wait_for_locks(&mut waiter, directory.path(), enough).unwrap();
        let error = waiter.execute("INSERT INTO t VALUES (1)", []).unwrap_err();
        assert!(crate::is_locked(&error), "{error}");
    }
}
