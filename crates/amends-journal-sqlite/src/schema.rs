//! The database's layout: format 1.
//!
//! Owns the tables, the format's version and the codes that stand for statuses and moments. Promises that a code
//! nobody wrote is an error. Does not read or write sagas.
//!
//! Everything hangs on `no`, an integer that counts sagas by their start: random keys cost a B-tree four fifths of its
//! speed, so a saga's id is touched once at its end, and one that its caller chose only together with many others. Live sagas lie apart from ended ones, so that
//! recovery reads nothing else; no row is rewritten from step to step.

use amends_core::{Status, Time, TransactionId};
use amends_journal::{Cursor, Fingerprint};
use rusqlite::Connection;

/// "AmJo": tells our files from other programs' databases.
pub(super) const APPLICATION_ID: i64 = 0x416D_4A6F;

/// The layout that this version reads and writes.
pub(super) const FORMAT: i64 = 1;

/// Every table and index, word for word as the database keeps them. They are compared at opening: once released, any
/// change here is a new format, with a step that upgrades the old one in place.
const LAYOUT: [&str; 17] = [
    // `body` is NULL for a definition that sagas name but that was never stored here.
    "CREATE TABLE definition (
    no      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL,
    version INTEGER NOT NULL,
    body    BLOB,
    UNIQUE (name, version)
) STRICT",
    // Live sagas: pending (0), in progress (1), compensating (2), failed (3).
    // `wake_at` is set while the saga sleeps. `unreadable` tells why it was quarantined.
    "CREATE TABLE saga (
    no          INTEGER PRIMARY KEY,
    id          BLOB NOT NULL UNIQUE,
    definition  INTEGER NOT NULL,
    status      INTEGER NOT NULL CHECK (status BETWEEN 0 AND 3),
    started_at  INTEGER NOT NULL,
    id_given    INTEGER NOT NULL,
    key         TEXT,
    fingerprint BLOB,
    wake_at     INTEGER,
    unreadable  TEXT
) STRICT",
    "CREATE INDEX saga_asleep ON saga (wake_at) WHERE wake_at IS NOT NULL",
    // Measured: 1.5 µs of the writer's 20 for each saga; without it a list of one status walks all that sleep.
    "CREATE INDEX saga_by_definition ON saga (definition, status)",
    // The records of live sagas.
    "CREATE TABLE record (
    no   INTEGER NOT NULL,
    seq  INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (no, seq)
) WITHOUT ROWID, STRICT",
    // Ended sagas: completed (4), compensated (5), abandoned (6). `records`: every record, each after its length
    // (four bytes, little-endian). An ordinary table: large values in a table without row ids spill and double its size.
    "CREATE TABLE ended (
    no          INTEGER PRIMARY KEY,
    id          BLOB NOT NULL,
    definition  INTEGER NOT NULL,
    status      INTEGER NOT NULL CHECK (status BETWEEN 4 AND 6),
    started_at  INTEGER NOT NULL,
    ended_at    INTEGER NOT NULL,
    id_given    INTEGER NOT NULL,
    key         TEXT,
    fingerprint BLOB,
    records     BLOB NOT NULL
) STRICT",
    "CREATE INDEX ended_by_definition ON ended (definition, status)",
    // Ids that we made: they grow with time, so this one grows at its end.
    "CREATE UNIQUE INDEX ended_by_made_id ON ended (id) WHERE id_given = 0",
    // Ids that callers gave, of ended and removed sagas: an index that is brought up to date a stretch at a time
    // (`given_ids.rs`), and two tables of what it does not have yet: ids and numbers, all of a round in one row. A number may
    // lead nowhere any more; a negative one in a fresh table says that it does not. Rounds are counted across both tables.
    "CREATE TABLE given_id (
    id BLOB PRIMARY KEY,
    no INTEGER NOT NULL
) WITHOUT ROWID, STRICT",
    "CREATE TABLE fresh_id_0 (
    round INTEGER PRIMARY KEY,
    ids BLOB NOT NULL
) STRICT",
    "CREATE TABLE fresh_id_1 (
    round INTEGER PRIMARY KEY,
    ids BLOB NOT NULL
) STRICT",
    // Idempotency keys. `removed_at` is set when the saga was removed: from then on the key may be forgotten.
    "CREATE TABLE start_key (
    key         TEXT PRIMARY KEY,
    saga        BLOB NOT NULL,
    fingerprint BLOB,
    removed_at  INTEGER
) WITHOUT ROWID, STRICT",
    "CREATE INDEX start_key_of_removed ON start_key (removed_at) WHERE removed_at IS NOT NULL",
    // Removed sagas whose id was given: what of them says that the id is taken.
    "CREATE TABLE reserved (
    no          INTEGER PRIMARY KEY,
    id          BLOB NOT NULL,
    fingerprint BLOB,
    removed_at  INTEGER NOT NULL
) STRICT",
    "CREATE INDEX reserved_by_removal ON reserved (removed_at)",
    // The last batch of the log whose every record is here, and the highest number that a saga ever had: one is never given
    // again, though its saga be removed. And up to which id the older fresh table is in the index, if it has begun to be. One row.
    "CREATE TABLE settled (
    batch      INTEGER NOT NULL,
    last_no    INTEGER NOT NULL,
    indexed_to BLOB
) STRICT",
    // How many sagas there are, so that nobody has to count them.
    "CREATE TABLE tally (
    definition INTEGER NOT NULL,
    status     INTEGER NOT NULL,
    sagas      INTEGER NOT NULL CHECK (sagas >= 0),
    PRIMARY KEY (definition, status)
) WITHOUT ROWID, STRICT",
];

/// Lays an empty database out, all at once: a stop half-way leaves it empty.
pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    let layout = LAYOUT.join(";\n");
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {layout}; INSERT INTO settled (batch, last_no) VALUES (0, 0); PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT;"
    ))
}

/// Whether every table and index is there and as it was laid out. More may be there: an index that somebody added to
/// look around does no harm.
pub(super) fn check(connection: &Connection) -> rusqlite::Result<Result<(), Nonsense>> {
    let mut statement = connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")?;
    let found: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let missing = LAYOUT.into_iter().find(|wanted| !found.iter().any(|sql| sql == wanted));
    Ok(missing.map_or(Ok(()), |wanted| {
        let first_line = wanted.lines().next().unwrap_or(wanted);
        Err(Nonsense(format!("its layout has no such part: {first_line}")))
    }))
}

/// The last batch of the log whose every record is in the database.
pub(super) fn settled(connection: &Connection) -> rusqlite::Result<Result<u64, Nonsense>> {
    let batch: i64 = connection.query_row("SELECT batch FROM settled", [], |row| row.get(0))?;
    Ok(count_of(batch))
}

/// The highest number that a saga in the database has, or had before it was removed.
pub(super) fn last_no(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT last_no FROM settled", [], |row| row.get(0))
}

/// A stored value that nobody wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Nonsense(pub(super) String);

/// A status as stored.
pub(super) const fn status_code(status: Status) -> i64 {
    match status {
        Status::Pending => 0,
        Status::InProgress => 1,
        Status::Compensating => 2,
        Status::Failed => 3,
        Status::Completed => 4,
        Status::Compensated => 5,
        Status::Abandoned => 6,
    }
}

/// The status behind a code.
pub(super) fn status_of(code: i64) -> Result<Status, Nonsense> {
    Status::ALL
        .into_iter()
        .find(|status| status_code(*status) == code)
        .ok_or_else(|| Nonsense(format!("{code} is no status")))
}

/// A moment as stored. What lies beyond the signed range (in 292 million years) is never.
pub(super) fn time_code(time: Time) -> i64 {
    i64::try_from(time.milliseconds()).unwrap_or(NEVER)
}

/// [`Time::NEVER`] as stored.
pub(super) const NEVER: i64 = i64::MAX;

/// The moment behind a stored number.
pub(super) fn time_of(stored: i64) -> Result<Time, Nonsense> {
    match u64::try_from(stored) {
        Ok(_) if stored == NEVER => Ok(Time::NEVER),
        Ok(milliseconds) => Ok(Time::from_milliseconds(milliseconds)),
        Err(_) => Err(Nonsense(format!("{stored} is no moment"))),
    }
}

/// The number after which a list goes on.
pub(super) fn number_after(cursor: Option<Cursor>) -> i64 {
    cursor.map_or(0, |cursor| i64::try_from(cursor.0).unwrap_or(i64::MAX))
}

/// The cursor behind a saga's number.
pub(super) fn cursor_at(no: i64) -> Result<Cursor, Nonsense> {
    u64::try_from(no).map(Cursor).map_err(|_| Nonsense(format!("{no} is no saga's number")))
}

/// A limit as SQL wants it.
pub(super) fn row_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A number of things, as stored.
pub(super) fn count_of(stored: i64) -> Result<u64, Nonsense> {
    u64::try_from(stored).map_err(|_| Nonsense(format!("{stored} is no number of things")))
}

/// The id behind stored bytes.
pub(super) fn id_of(stored: &[u8]) -> Result<TransactionId, Nonsense> {
    match <[u8; 16]>::try_from(stored) {
        Ok(bytes) => Ok(TransactionId::from_bytes(bytes)),
        Err(_) => Err(Nonsense(format!("a saga's id has {} bytes, not 16", stored.len()))),
    }
}

/// The fingerprint behind stored bytes.
pub(super) fn fingerprint_of(stored: Option<&[u8]>) -> Result<Option<Fingerprint>, Nonsense> {
    match stored.map(<[u8; 32]>::try_from) {
        None => Ok(None),
        Some(Ok(bytes)) => Ok(Some(Fingerprint(bytes))),
        Some(Err(_)) => Err(Nonsense("a fingerprint has not 32 bytes".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_code_of_its_own() {
        for status in Status::ALL {
            assert_eq!(status_of(status_code(status)), Ok(status));
        }
        assert!(status_of(7).is_err() && status_of(-1).is_err());
    }

    #[test]
    fn live_and_ended_statuses_lie_apart_as_the_tables_check() {
        for status in Status::ALL {
            assert_eq!(status.is_ended(), (4..=6).contains(&status_code(status)));
        }
    }

    #[test]
    fn a_moment_beyond_all_calendars_is_never() {
        assert_eq!(time_of(time_code(Time::NEVER)), Ok(Time::NEVER));
        assert_eq!(time_of(time_code(Time::from_milliseconds(u64::MAX - 1))), Ok(Time::NEVER));
        assert_eq!(time_of(time_code(Time::from_milliseconds(7))), Ok(Time::from_milliseconds(7)));
        assert!(time_of(-1).is_err());
    }
}
