//! What the settler says to the database.
//!
//! Owns the prepared statements of the hot path, held for as long as the settler lives: looking each up in a
//! cache cost a tenth of the time. Promises nothing by itself: order and conditions are `settle.rs`'s.

use rusqlite::{Connection, Result, Statement};

pub(super) struct Statements<'c> {
    pub(super) begin: Statement<'c>,
    pub(super) commit: Statement<'c>,
    pub(super) rollback: Statement<'c>,
    pub(super) insert_live: Statement<'c>,
    pub(super) update_live: Statement<'c>,
    pub(super) clear_unreadable: Statement<'c>,
    pub(super) delete_live: Statement<'c>,
    pub(super) insert_record: Statement<'c>,
    pub(super) delete_records: Statement<'c>,
    pub(super) records: Statement<'c>,
    pub(super) insert_ended: Statement<'c>,
    pub(super) delete_ended: Statement<'c>,
    pub(super) insert_definition: Statement<'c>,
    pub(super) archived_records: Statement<'c>,
    pub(super) set_settled: Statement<'c>,
    pub(super) count_change: Statement<'c>,
    pub(super) add_to_tally: Statement<'c>,
    pub(super) take_from_tally: Statement<'c>,
    pub(super) insert_tagged: Statement<'c>,
    pub(super) insert_child: Statement<'c>,
    pub(super) widen_span: Statement<'c>,
}

impl<'c> Statements<'c> {
    pub(super) fn prepare(connection: &'c Connection) -> Result<Self> {
        let prepare = |text| connection.prepare(text);
        Ok(Self {
            begin: prepare("BEGIN IMMEDIATE")?,
            commit: prepare("COMMIT")?,
            rollback: prepare("ROLLBACK")?,
            insert_live: prepare(
                "INSERT INTO live (no, id, definition, standing, started_at, id_given, key, fingerprint,
                                   tags, parent, wake_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?,
            update_live: prepare("UPDATE live SET standing = ?2, wake_at = ?3 WHERE no = ?1")?,
            clear_unreadable: prepare("UPDATE live SET unreadable = NULL WHERE no = ?1")?,
            delete_live: prepare("DELETE FROM live WHERE no = ?1")?,
            insert_record: prepare("INSERT INTO record (no, seq, body) VALUES (?1, ?2, ?3)")?,
            delete_records: prepare("DELETE FROM record WHERE no = ?1")?,
            records: prepare("SELECT seq, body FROM record WHERE no = ?1 ORDER BY seq")?,
            insert_ended: prepare(
                "INSERT INTO ended (no, id, definition, standing, started_at, ended_at, id_given, key,
                                    fingerprint, tags, parent, records)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?,
            delete_ended: prepare("DELETE FROM ended WHERE no = ?1")?,
            insert_definition: prepare(
                "INSERT INTO definition (no, mode, name, version) VALUES (?1, ?2, ?3, ?4)",
            )?,
            archived_records: prepare("SELECT records FROM ended WHERE no = ?1")?,
            set_settled: prepare(
                "UPDATE settled SET batch = ?1, last_no = max(last_no, ?2), newest_at = ?3",
            )?,
            count_change: prepare("UPDATE settled SET changes = ?1")?,
            add_to_tally: prepare(
                "INSERT INTO tally (definition, standing, transactions) VALUES (?1, ?2, ?3)
                 ON CONFLICT (definition, standing) DO UPDATE
                 SET transactions = transactions + excluded.transactions",
            )?,
            // Not an insert as well: its check for negative counts comes before the conflict.
            take_from_tally: prepare(
                "UPDATE tally SET transactions = transactions + ?3 WHERE definition = ?1 AND standing = ?2",
            )?,
            insert_tagged: prepare("INSERT INTO tagged (tag, no) VALUES (?1, ?2)")?,
            insert_child: prepare("INSERT INTO child (parent, no) VALUES (?1, ?2)")?,
            widen_span: prepare(
                "INSERT INTO span (block, first_at, last_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (block) DO UPDATE
                 SET first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at)",
            )?,
        })
    }
}
