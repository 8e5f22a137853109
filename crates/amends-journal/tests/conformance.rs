//! The journal in memory passes the suite.

use amends_journal::{MemoryJournal, conformance};

#[test]
fn the_journal_in_memory_keeps_every_promise() {
    conformance::run(&|| Box::new(MemoryJournal::new()));
}
