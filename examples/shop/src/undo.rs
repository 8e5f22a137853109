//! Finding what an undo takes back.
//!
//! Owns the search among the records a saga has made. Promises one record for one undo: were there two in
//! force, the second would stay, to be seen. Does not change anything.

use amends_participant::DataError;
use rusqlite::Connection;
use rusqlite::types::FromSql;

/// What the business code of an undo came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undo {
    /// The saga's record is no longer in force.
    Done,
    /// There is no record of this saga.
    NothingFound,
}

/// What a saga has made.
pub(crate) enum Found {
    /// The number of its first record in force.
    InForce(i64),
    /// Records, all of them taken back.
    TakenBack,
    /// Nothing.
    Nothing,
}

/// Looks through the saga's records, oldest first; `sql` selects number and status of those whose saga is
/// `?1`.
pub(crate) fn find<S: FromSql>(
    connection: &Connection,
    sql: &'static str,
    saga: &str,
    in_force: impl Fn(S) -> bool,
) -> Result<Found, DataError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([saga])?;
    let mut found = Found::Nothing;
    while let Some(row) = rows.next()? {
        if in_force(row.get(1)?) {
            return Ok(Found::InForce(row.get(0)?));
        }
        found = Found::TakenBack;
    }
    Ok(found)
}
