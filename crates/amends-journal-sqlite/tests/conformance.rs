//! The journal on disk passes the suite.

use amends_journal::{Journal, conformance};
use amends_journal_sqlite::{SqliteJournal, SqliteOptions};

#[test]
fn the_journal_on_disk_keeps_every_promise() {
    let directory = tempfile::tempdir().unwrap();
    let opened = std::cell::Cell::new(0);
    let options = SqliteOptions { feed_facts_kept: Some(1_000), ..SqliteOptions::default() };
    conformance::run(&|| {
        opened.set(opened.get() + 1);
        let path = directory.path().join(opened.get().to_string());
        Box::new(SqliteJournal::open(&path, options.clone(), Box::new(|why| panic!("{why}"))).unwrap())
            as Box<dyn Journal>
    });
}
