//! A directory looked through, while nobody uses it.
//!
//! Owns what is looked at: every page, every record, and whatever the database says twice. Promises to find
//! what the answers of the journal hang on; to say how much it looked at; and to change nothing but what any
//! opening does (a log that a kill left is made to last). Repairs nothing. Start reading at [`check`].

use std::collections::BTreeMap;
use std::path::Path;

use amends_core::TransactionId;
use amends_journal::record;
use bytes::Bytes;
use rusqlite::Connection;

use super::failure::{ReadError, WriteError};
use super::late_index::LateIndex;
use super::limits::{FINDINGS_MAX, NAMES_INDEXED_TOGETHER};
use super::look::Look;
use super::names::{Name, Names, Tags};
use super::open::{self, OpenError, Opened};
use super::schema::id_of;
use super::{SqliteOptions, archive, entry, labels, spans};

/// What was looked at, and what is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Definitions read.
    pub definitions: u64,
    /// Transactions looked at, live and ended.
    pub transactions: u64,
    /// Records read, those that only the log has among them.
    pub records: u64,
    /// Batches of the log that the database may not have.
    pub batches: u64,
    /// What is wrong, in words; empty: nothing was found.
    pub findings: Vec<String>,
}

impl Checked {
    fn find(&mut self, finding: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }
}

/// Looks through a journal that nobody uses.
///
/// # Errors
/// When it is in use, or so damaged or incomplete that it cannot be opened.
pub fn check(directory: &Path) -> Result<Checked, OpenError> {
    let Opened { connection, path, lock, log, salt } = open::open(directory, &SqliteOptions::default())?;
    let mut checked = Checked::default();
    for (number, batch) in &log.batches {
        checked.batches += 1;
        check_batch(*number, batch, &mut checked);
    }
    let looked = look_through(&connection, salt, &mut checked);
    if let Err(error) = looked {
        checked.find(format!("{}: {error}", path.display()));
    }
    drop(log);
    drop(connection);
    amends_sqlite::closed(&path);
    drop(lock);
    Ok(checked)
}

fn check_batch(number: u64, batch: &[u8], checked: &mut Checked) {
    let mut batch = Bytes::copy_from_slice(batch);
    while !batch.is_empty() {
        match entry::take(&mut batch) {
            Ok(entry::Entry { append, .. }) => {
                let sequence = match append.expected {
                    amends_journal::Expected::New(_) => 1,
                    amends_journal::Expected::Sequence(sequence) => sequence + 1,
                };
                check_record(append.id, sequence, append.record, checked);
            }
            Err(nonsense) => return checked.find(format!("batch {number} of the log: {nonsense}")),
        }
    }
}

fn check_record(id: TransactionId, sequence: u64, frame: Bytes, checked: &mut Checked) {
    checked.records += 1;
    if let Err(error) = record::decode(id, sequence, frame) {
        checked.find(error.to_string());
    }
}

/// Fails with what cannot be read at all; the rest is among the findings.
fn look_through(connection: &Connection, salt: u64, checked: &mut Checked) -> Result<(), ReadError> {
    let look = Look::at(connection);
    for finding in look.all("PRAGMA integrity_check(20)", [], |row| Ok(row.get::<_, String>(0)?))? {
        if finding != "ok" {
            checked.find(format!("the database: {finding}"));
        }
    }
    match look.definitions() {
        Ok(definitions) => checked.definitions = definitions.len() as u64,
        Err(error) => checked.find(error.to_string()),
    }
    let names = Names::new(Tags::new(salt));
    if let Err(error) = LateIndex::read(connection, &names, NAMES_INDEXED_TOGETHER) {
        checked.find(match error {
            WriteError::Sqlite(error) => error.to_string(),
            error => error.to_string(),
        });
    }
    let mut seen = Seen::default();
    check_ended(&look, &names, &mut seen, checked)?;
    check_live(&look, &mut seen, checked)?;
    check_reserved(&look, &names, checked)?;
    check_counts(&look, &seen, checked)
}

/// What the rows say together, to be compared with what the indexes say.
#[derive(Default)]
struct Seen {
    tally: BTreeMap<(i64, i64), i64>,
    tags: i64,
    children: i64,
}

impl Seen {
    fn count(&mut self, definition: i64, standing: i64) {
        *self.tally.entry((definition, standing)).or_insert(0) += 1;
    }
}

fn check_ended(
    look: &Look<'_>,
    names: &Names,
    seen: &mut Seen,
    checked: &mut Checked,
) -> Result<(), ReadError> {
    let mut all = look.moment.prepare(
        "SELECT no, id, definition, standing, started_at, id_given, key, tags, parent, records FROM ended",
    )?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        checked.transactions += 1;
        let (no, id) = (row.get(0)?, id_of(row.get_ref(1)?.as_blob()?)?);
        seen.count(row.get(2)?, row.get(3)?);
        check_labels(look, no, id, row.get(4)?, [row.get_ref(7)?, row.get_ref(8)?], seen, checked)?;
        let key: Option<String> = row.get(6)?;
        check_names(look, names, no, row.get::<_, bool>(5)?.then_some(id), key.as_deref(), checked)?;
        match archive::split(Bytes::copy_from_slice(row.get_ref(9)?.as_blob()?)) {
            Ok(records) => {
                for (sequence, frame) in (1..).zip(records) {
                    check_record(id, sequence, frame, checked);
                }
            }
            Err(nonsense) => checked.find(format!("the ended transaction {id}: {nonsense}")),
        }
    }
    Ok(())
}

fn check_live(look: &Look<'_>, seen: &mut Seen, checked: &mut Checked) -> Result<(), ReadError> {
    let mut all =
        look.moment.prepare("SELECT no, id, definition, standing, started_at, tags, parent FROM live")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        checked.transactions += 1;
        let (no, id) = (row.get(0)?, id_of(row.get_ref(1)?.as_blob()?)?);
        seen.count(row.get(2)?, row.get(3)?);
        check_labels(look, no, id, row.get(4)?, [row.get_ref(5)?, row.get_ref(6)?], seen, checked)?;
        for (sequence, frame) in (1..).zip(look.records_of(no)?) {
            check_record(id, sequence, frame, checked);
        }
    }
    let strays = "SELECT count(*) FROM record WHERE no NOT IN (SELECT no FROM live)";
    let strays: Option<i64> = look.first(strays, [], |row| Ok(row.get(0)?))?;
    if let Some(strays) = strays.filter(|strays| *strays > 0) {
        checked.find(format!("{strays} records belong to no transaction"));
    }
    Ok(())
}

fn check_labels(
    look: &Look<'_>,
    no: i64,
    id: TransactionId,
    started_at: i64,
    [tags, parent]: [rusqlite::types::ValueRef<'_>; 2],
    seen: &mut Seen,
    checked: &mut Checked,
) -> Result<(), ReadError> {
    let span = "SELECT 1 FROM span WHERE block = ?1 AND ?2 BETWEEN first_at AND last_at";
    if look.first(span, [spans::block_of(no), started_at], |_| Ok(()))?.is_none() {
        checked.find(format!("{id} is not found by the time of its start"));
    }
    for (key, value) in labels::decode(tags.as_blob_or_null()?)? {
        seen.tags += 1;
        let tagged = "SELECT 1 FROM tagged WHERE tag = ?1 AND no = ?2";
        let entry = rusqlite::params![labels::tag(&key, &value), no];
        if look.first(tagged, entry, |_| Ok(()))?.is_none() {
            checked.find(format!("{id} is not found by its tag {key}={value}"));
        }
    }
    if let Some(parent) = parent.as_blob_or_null()? {
        seen.children += 1;
        let child = "SELECT 1 FROM child WHERE parent = ?1 AND no = ?2";
        if look.first(child, rusqlite::params![parent, no], |_| Ok(()))?.is_none() {
            checked.find(format!("{id} is not found by its parent"));
        }
    }
    Ok(())
}

fn check_names(
    look: &Look<'_>,
    names: &Names,
    no: i64,
    id: Option<TransactionId>,
    key: Option<&str>,
    checked: &mut Checked,
) -> Result<(), ReadError> {
    for name in id.map(Name::Id).into_iter().chain(key.map(Name::Key)) {
        if !look.numbers(&names.hint(name))?.contains(&no) {
            checked.find(match name {
                Name::Id(id) => format!("{id} is not found by its id"),
                Name::Key(key) => format!("a transaction is not found by its key {key:?}"),
            });
        }
    }
    Ok(())
}

fn check_reserved(look: &Look<'_>, names: &Names, checked: &mut Checked) -> Result<(), ReadError> {
    let mut all = look.moment.prepare("SELECT no, id, id_given, key FROM reserved")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let id = id_of(row.get_ref(1)?.as_blob()?)?;
        let key: Option<String> = row.get(3)?;
        let id = row.get::<_, bool>(2)?.then_some(id);
        check_names(look, names, row.get(0)?, id, key.as_deref(), checked)?;
    }
    Ok(())
}

fn check_counts(look: &Look<'_>, seen: &Seen, checked: &mut Checked) -> Result<(), ReadError> {
    let sql = "SELECT definition, standing, transactions FROM tally WHERE transactions <> 0";
    let tally = look.all(sql, [], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
    if tally.into_iter().collect::<BTreeMap<(i64, i64), i64>>() != seen.tally {
        checked.find("the counts are not those of the transactions".to_owned());
    }
    for (table, seen) in [("tagged", seen.tags), ("child", seen.children)] {
        let sql = format!("SELECT count(*) FROM {table}");
        let count: Option<i64> = look.first(&sql, [], |row| Ok(row.get(0)?))?;
        if count != Some(seen) {
            checked.find(format!("the index {table} has entries of no transaction"));
        }
    }
    Ok(())
}
