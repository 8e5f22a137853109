//! The database's layout: format 3.
//!
//! Owns the tables, the format's version and the codes that stand for modes, standings and moments. Promises
//! that a code nobody wrote is an error. Does not read or write transactions.
//!
//! Everything hangs on `no`, an integer that counts transactions by their start: random keys cost a B-tree
//! four fifths of its speed, so an id is touched once at its transaction's end, and one that its caller chose
//! only together with many others. Live transactions lie apart from ended ones, so that recovery reads
//! nothing else; no row is rewritten from step to step.

use amends_core::{End, Mode, Standing, StandingKind, Time, TransactionId, Way};
use amends_journal::{Cursor, Fingerprint, record};
use rusqlite::Connection;

/// "AmJo": tells our files from other programs' databases.
pub(super) const APPLICATION_ID: i64 = 0x416D_4A6F;

/// The layout that this version reads and writes.
pub(super) const FORMAT: i64 = 3;

/// Every table and index, word for word as the database keeps them. They are compared at opening: once
/// released, any change here is a new format, with a step that upgrades the old one in place.
const LAYOUT: [&str; 20] = [
    // What transactions run, and of which mode they are: one number for both. `body` and `registered_at` are
    // NULL for a definition that transactions name but that was never stored here.
    "CREATE TABLE definition (
    no      INTEGER PRIMARY KEY,
    mode    INTEGER NOT NULL,
    name    TEXT NOT NULL,
    version INTEGER NOT NULL,
    body    BLOB,
    registered_at INTEGER,
    retired_at    INTEGER,
    UNIQUE (mode, name, version)
) STRICT",
    // Live transactions. `wake_at` is set while one sleeps. `unreadable` tells why it was quarantined.
    "CREATE TABLE live (
    no          INTEGER PRIMARY KEY,
    id          BLOB NOT NULL UNIQUE,
    definition  INTEGER NOT NULL,
    standing    INTEGER NOT NULL CHECK (standing BETWEEN 1 AND 5),
    started_at  INTEGER NOT NULL,
    id_given    INTEGER NOT NULL,
    key         TEXT,
    fingerprint BLOB,
    wake_at     INTEGER,
    unreadable  TEXT,
    tags        BLOB,
    parent      BLOB
) STRICT",
    "CREATE INDEX live_asleep ON live (wake_at) WHERE wake_at IS NOT NULL",
    // Measured: 1.5 µs of the settler's 20 for each transaction; without it a list of one standing walks all
    // that sleep.
    "CREATE INDEX live_by_definition ON live (definition, standing)",
    "CREATE UNIQUE INDEX live_by_key ON live (key) WHERE key IS NOT NULL",
    // The records of live transactions.
    "CREATE TABLE record (
    no   INTEGER NOT NULL,
    seq  INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (no, seq)
) WITHOUT ROWID, STRICT",
    // Ended transactions. `erased_at`: when the payloads of its records were taken out. `records`: every record, each after its length (four bytes, little-endian). An
    // ordinary table: large values in a table without row ids spill and double its size.
    "CREATE TABLE ended (
    no          INTEGER PRIMARY KEY,
    id          BLOB NOT NULL,
    definition  INTEGER NOT NULL,
    standing    INTEGER NOT NULL CHECK (standing BETWEEN 6 AND 8),
    started_at  INTEGER NOT NULL,
    ended_at    INTEGER NOT NULL,
    id_given    INTEGER NOT NULL,
    key         TEXT,
    fingerprint BLOB,
    tags        BLOB,
    parent      BLOB,
    erased_at   INTEGER,
    records     BLOB NOT NULL
) STRICT",
    "CREATE INDEX ended_by_definition ON ended (definition, standing)",
    // Ids that we made: they grow with time, so this one grows at its end.
    "CREATE UNIQUE INDEX ended_by_made_id ON ended (id) WHERE id_given = 0",
    // Ids that callers gave and idempotency keys, of ended and removed transactions: an index that is brought
    // up to date many at a time, and what it does not have yet (`late_index.rs`). `pairs`, `names`: a hash of
    // the id or key and a number, eight bytes each; `first`: the first hash that belongs into the row.
    "CREATE TABLE named (
    first INTEGER PRIMARY KEY,
    pairs BLOB NOT NULL
) STRICT",
    "CREATE TABLE fresh (
    round INTEGER PRIMARY KEY,
    names BLOB NOT NULL
) STRICT",
    // Transactions by each of their tags (`labels.rs` writes one as bytes), and by their parent, live and
    // ended together: written at the start and at removal. Few transactions have either.
    "CREATE TABLE tagged (
    tag BLOB NOT NULL,
    no  INTEGER NOT NULL,
    PRIMARY KEY (tag, no)
) WITHOUT ROWID, STRICT",
    "CREATE TABLE child (
    parent BLOB NOT NULL,
    no     INTEGER NOT NULL,
    PRIMARY KEY (parent, no)
) WITHOUT ROWID, STRICT",
    // When the transactions of a block of numbers started: the first and the last moment (`spans.rs`).
    "CREATE TABLE span (
    block    INTEGER PRIMARY KEY,
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL
) STRICT",
    // What was committed, in order (`feed.rs`): stretches of records, by the position of their last fact.
    "CREATE TABLE feed (
    last    INTEGER PRIMARY KEY,
    first   INTEGER NOT NULL,
    entries BLOB NOT NULL
) STRICT",
    // Removed transactions whose id or key is still taken.
    "CREATE TABLE reserved (
    no          INTEGER PRIMARY KEY,
    id          BLOB NOT NULL,
    id_given    INTEGER NOT NULL,
    key         TEXT,
    fingerprint BLOB,
    removed_at  INTEGER NOT NULL
) STRICT",
    "CREATE INDEX reserved_by_removal ON reserved (removed_at)",
    // The last batch of the log whose every record is here; the highest number that a transaction ever had
    // (one is never given again, though its transaction be removed); and the time of the newest record that
    // there ever was. And how often the database was written, and which log is its own: the log says both
    // too. And which rows of `fresh` are on their way into the index, and up to which hash they are there.
    // And the last batch whose records are in `feed`, and the position of the last fact there. One row.
    "CREATE TABLE settled (
    batch      INTEGER NOT NULL,
    last_no    INTEGER NOT NULL,
    newest_at  INTEGER,
    changes    INTEGER NOT NULL,
    log        INTEGER NOT NULL,
    frozen_to  INTEGER,
    merged_to  INTEGER,
    feed_batch    INTEGER NOT NULL,
    feed_position INTEGER NOT NULL
) STRICT",
    // What tokens are made with, by what they are for: it goes where the journal goes.
    "CREATE TABLE secret (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID, STRICT",
    // How many transactions there are, so that nobody has to count them.
    "CREATE TABLE tally (
    definition   INTEGER NOT NULL,
    standing     INTEGER NOT NULL,
    transactions INTEGER NOT NULL CHECK (transactions >= 0),
    PRIMARY KEY (definition, standing)
) WITHOUT ROWID, STRICT",
];

/// Lays an empty database out, as a whole: a stop half-way leaves it empty.
pub(super) fn create(connection: &Connection, log: u64) -> rusqlite::Result<()> {
    let layout = LAYOUT.join(";\n");
    let log = log.cast_signed();
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {layout}; INSERT INTO settled (batch, last_no, changes, log, feed_batch, feed_position)
         VALUES (0, 0, 0, {log}, 0, 0);
         PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT"
    ))?;
    // A file that is copied without its WAL is told from one that was never laid out.
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

/// Whether every table and index is there and as it was laid out. More may be there: an index that somebody
/// added to look around does no harm.
pub(super) fn check(connection: &Connection) -> rusqlite::Result<Result<(), Nonsense>> {
    let mut statement = connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")?;
    let found: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let missing = LAYOUT.into_iter().find(|wanted| !found.iter().any(|sql| sql == wanted));
    Ok(missing.map_or(Ok(()), |wanted| {
        let first_line = wanted.lines().next().unwrap_or(wanted);
        Err(Nonsense(format!("its layout has no such part: {first_line}")))
    }))
}

/// How often the database was written, and the salt of its log.
pub(super) fn changes_and_log(connection: &Connection) -> rusqlite::Result<(i64, u64)> {
    connection.query_row("SELECT changes, log FROM settled", [], |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
    })
}

/// The last batch of the log whose every record is in the database.
pub(super) fn settled(connection: &Connection) -> rusqlite::Result<Result<u64, Nonsense>> {
    let batch: i64 = connection.query_row("SELECT batch FROM settled", [], |row| row.get(0))?;
    Ok(count_of(batch))
}

/// The highest number that a transaction in the database has, or had before it was removed.
pub(super) fn last_no(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT last_no FROM settled", [], |row| row.get(0))
}

/// The time of the newest record that the database ever had.
pub(super) fn newest_at(connection: &Connection) -> rusqlite::Result<Result<Option<Time>, Nonsense>> {
    let newest: Option<i64> = connection.query_row("SELECT newest_at FROM settled", [], |row| row.get(0))?;
    Ok(newest.map(time_of).transpose())
}

/// Records of a transaction, at least: its start writes one. Where there is none, that one is missing.
pub(super) const RECORDS_MIN: u64 = 1;

/// A stored value that nobody wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Nonsense(pub(super) String);

/// A mode as stored.
pub(super) fn mode_code(mode: Mode) -> i64 {
    record::mode_code(mode).into()
}

/// The mode behind a code.
pub(super) fn mode_of(code: i64) -> Result<Mode, Nonsense> {
    let known = u8::try_from(code).ok().and_then(record::mode_of);
    known.ok_or_else(|| Nonsense(format!("{code} is not the code of a mode")))
}

const ACTIVE_FORWARD: i64 = 1;
const ACTIVE_BACK: i64 = 2;
const ASLEEP_FORWARD: i64 = 3;
const ASLEEP_BACK: i64 = 4;
const PARKED: i64 = 5;
const COMPLETED: i64 = 6;
const COMPENSATED: i64 = 7;
const ABANDONED: i64 = 8;

/// A standing as stored; its moment lies beside it.
pub(super) const fn standing_code(standing: StandingKind) -> i64 {
    match standing {
        StandingKind::Active(Way::Forward) => ACTIVE_FORWARD,
        StandingKind::Active(Way::Back) => ACTIVE_BACK,
        StandingKind::Asleep(Way::Forward) => ASLEEP_FORWARD,
        StandingKind::Asleep(Way::Back) => ASLEEP_BACK,
        StandingKind::Parked => PARKED,
        StandingKind::Ended(End::Completed) => COMPLETED,
        StandingKind::Ended(End::Compensated) => COMPENSATED,
        StandingKind::Ended(End::Abandoned) => ABANDONED,
    }
}

/// The standing behind a code.
pub(super) fn standing_kind_of(code: i64) -> Result<StandingKind, Nonsense> {
    match code {
        ACTIVE_FORWARD => Ok(StandingKind::Active(Way::Forward)),
        ACTIVE_BACK => Ok(StandingKind::Active(Way::Back)),
        ASLEEP_FORWARD => Ok(StandingKind::Asleep(Way::Forward)),
        ASLEEP_BACK => Ok(StandingKind::Asleep(Way::Back)),
        PARKED => Ok(StandingKind::Parked),
        COMPLETED => Ok(StandingKind::Ended(End::Completed)),
        COMPENSATED => Ok(StandingKind::Ended(End::Compensated)),
        ABANDONED => Ok(StandingKind::Ended(End::Abandoned)),
        _ => Err(Nonsense(format!("{code} is not the code of a standing"))),
    }
}

/// The standing behind a code and the moment beside it, which one that sleeps has, and no other.
pub(super) fn standing_of(code: i64, wake_at: Option<i64>) -> Result<Standing, Nonsense> {
    match (standing_kind_of(code)?, wake_at) {
        (StandingKind::Active(way), None) => Ok(Standing::Active(way)),
        (StandingKind::Asleep(way), Some(until)) => Ok(Standing::Asleep { way, until: time_of(until)? }),
        (StandingKind::Parked, None) => Ok(Standing::Parked),
        (StandingKind::Ended(end), None) => Ok(Standing::Ended(end)),
        (StandingKind::Asleep(_), None) => Err(Nonsense("one that sleeps has no moment".to_owned())),
        (StandingKind::Active(_) | StandingKind::Parked | StandingKind::Ended(_), Some(_)) => {
            Err(Nonsense("one that does not sleep has a moment to wake".to_owned()))
        }
    }
}

/// The moment beside a standing.
pub(super) fn wake_code(standing: Standing) -> Option<i64> {
    standing.until().map(time_code)
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

/// The cursor behind a transaction's number.
pub(super) fn cursor_at(no: i64) -> Result<Cursor, Nonsense> {
    u64::try_from(no).map(Cursor).map_err(|_| Nonsense(format!("{no} is no transaction's number")))
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
        Err(_) => Err(Nonsense(format!("an id has {} bytes, not 16", stored.len()))),
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
    fn every_standing_has_a_code_of_its_own() {
        for kind in StandingKind::ALL {
            assert_eq!(standing_kind_of(standing_code(kind)), Ok(kind));
        }
        assert!(standing_kind_of(0).is_err() && standing_kind_of(9).is_err());
        assert_eq!(mode_of(mode_code(Mode::Saga)), Ok(Mode::Saga));
        assert!(mode_of(0).is_err() && mode_of(2).is_err());
    }

    #[test]
    fn a_moment_lies_beside_those_that_sleep_and_no_other() {
        let until = Time::from_milliseconds(7);
        let asleep = Standing::Asleep { way: Way::Back, until };
        assert_eq!(standing_of(ASLEEP_BACK, wake_code(asleep)), Ok(asleep));
        assert!(standing_of(ASLEEP_BACK, None).is_err());
        for code in [ACTIVE_FORWARD, PARKED, COMPLETED] {
            assert!(standing_of(code, None).is_ok() && standing_of(code, Some(7)).is_err());
        }
    }

    #[test]
    fn live_and_ended_standings_lie_apart_as_the_tables_check() {
        for kind in StandingKind::ALL {
            let code = standing_code(kind);
            let is_ended = matches!(kind, StandingKind::Ended(_));
            assert_eq!((1..=5).contains(&code), !is_ended);
            assert_eq!((6..=8).contains(&code), is_ended);
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
