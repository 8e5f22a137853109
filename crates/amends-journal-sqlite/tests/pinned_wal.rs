//! A read transaction that somebody forgot keeps the WAL of the journal's database from being used again.
//!
//! Owns the one question: is that reported, and does all go on? By itself, since what is reported is heard by
//! the whole process.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

use std::io;
use std::sync::{Arc, Mutex};

use amends_core::{DefinitionName, Mode, Standing, Time, TransactionId, Way};
use amends_journal::conformance::{NOBODY, submit};
use amends_journal::{Append, AppendAnswer, Expected, Filter, NewTransaction, Reads, Tags};
use amends_journal_sqlite::{SqliteJournal, SqliteOptions};
use bytes::Bytes;
use rusqlite::Connection;

#[derive(Debug, Clone, Default)]
struct Trace(Arc<Mutex<Vec<u8>>>);

impl io::Write for Trace {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start(number: u64) -> Append {
    let new = NewTransaction {
        mode: Mode::Saga,
        definition: DefinitionName::new("Test"),
        version: 1,
        id_given: false,
        key: None,
        fingerprint: None,
        tags: Tags::new(),
        parent: None,
    };
    Append {
        id: TransactionId::from_parts(number, 1),
        epoch: NOBODY,
        expected: Expected::from(new),
        record: Bytes::from(vec![7; 1 << 20]),
        at: Time::from_milliseconds(1),
        standing: Standing::Active(Way::Forward),
    }
}

#[test]
fn a_forgotten_read_transaction_is_reported_with_file_and_size_and_keeps_nobody_from_going_on() {
    let trace = Trace::default();
    let sink = trace.clone();
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || sink.clone()).init();
    let directory = tempfile::tempdir().unwrap();
    let on_fatal = Box::new(|why| panic!("{why}"));
    let journal = SqliteJournal::open(directory.path(), SqliteOptions::default(), on_fatal).unwrap();
    assert_eq!(submit(&journal, vec![start(0)]), [AppendAnswer::Committed]);
    journal.count(&Filter::default()).unwrap();

    let path = directory.path().join("journal.db");
    let shell = Connection::open(&path).unwrap();
    shell.execute_batch("BEGIN; SELECT count(*) FROM live").unwrap();
    // Twice what is reported first, and less than twice that.
    for number in 1..=150 {
        assert_eq!(submit(&journal, vec![start(number)]), [AppendAnswer::Committed]);
        journal.count(&Filter::default()).unwrap();
    }
    let said = String::from_utf8(trace.0.lock().unwrap().clone()).unwrap();
    let reports: Vec<&str> = said.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(reports.len(), 2, "{said}");
    for report in reports {
        assert!(report.contains(&format!("{}-wal", path.display())) && report.contains("MiB"), "{report}");
        assert!(report.contains("transaction"), "{report}");
    }

    shell.execute_batch("COMMIT").unwrap();
    drop((shell, journal));
    let on_fatal = Box::new(|why| panic!("{why}"));
    let journal = SqliteJournal::open(directory.path(), SqliteOptions::default(), on_fatal).unwrap();
    assert_eq!(journal.count(&Filter::default()).unwrap().count, 151);
}
