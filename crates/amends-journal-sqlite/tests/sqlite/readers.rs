//! Reads beside the writer, of this process and of others.

use amends_journal::{Filter, Reads};
use rusqlite::Connection;

use crate::place::{COMPLETED, Place, commit, ending, fill, id, next, settle, start};

#[test]
fn others_may_read_the_database_meanwhile() {
    let place = Place::new();
    let journal = place.open();
    fill(&journal);
    settle(&journal);
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = Connection::open_with_flags(place.file("journal.db"), flags).unwrap();
    let ended: i64 = database.query_row("SELECT count(*) FROM ended", [], |row| row.get(0)).unwrap();
    assert_eq!(ended, 10);
}

#[test]
fn reads_beside_a_busy_writer_see_whole_transactions() {
    let place = Place::new();
    let journal = place.open();
    std::thread::scope(|scope| {
        for reader in 0..8 {
            let journal = &journal;
            scope.spawn(move || {
                for round in 0..200 {
                    let transaction = id((round * 7 + reader) % 60);
                    if let Some(stored) = journal.load(transaction).unwrap().stored() {
                        assert!(!stored.records.is_empty() && stored.records.len() <= 3);
                        assert_eq!(stored.standing == COMPLETED, stored.records.len() == 3);
                    }
                    let listed = journal.list(&Filter::default(), None, 100).unwrap();
                    let count = journal.count(&Filter::default()).unwrap().count;
                    assert!(listed.items.len() as u64 <= count);
                }
            });
        }
        for number in 0..60 {
            commit(&journal, start(number));
            commit(&journal, next(number, 1));
            commit(&journal, ending(number, 2));
        }
    });
}
