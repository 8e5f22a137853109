//! Both backends pass the suite.

use amends_journal::{Journal, MemoryJournal, SqliteJournal, SqliteOptions, conformance};

#[test]
fn the_journal_in_memory_keeps_every_promise() {
    conformance::run(&|| Box::new(MemoryJournal::new()));
}

#[test]
fn the_journal_on_disk_keeps_every_promise() {
    let directory = tempfile::tempdir().unwrap();
    let opened = std::cell::Cell::new(0);
    conformance::run(&|| {
        opened.set(opened.get() + 1);
        let path = directory.path().join(opened.get().to_string());
        Box::new(
            SqliteJournal::open(&path, SqliteOptions::default(), Box::new(|why| panic!("{why}"))).unwrap(),
        ) as Box<dyn Journal>
    });
}
