//! A checksum for rows, as an SQL function.
//!
//! Owns `seal(…)`: CRC-32C over its arguments, with their types and lengths. Promises that a row's seal, kept in a stored
//! generated column, tells an altered value from the one that was written: a database page has no checksum of its own.
//! Does not check anything: a table does, with `CHECK`, and whoever reads a row, with a virtual column.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error};

/// Makes `seal(…)` known to a connection. Every connection of [`Database`](super::Database) knows it; another one that
/// writes to a sealed table must be told.
///
/// # Errors
/// When SQLite does not take it.
pub fn install_seal(connection: &Connection) -> Result<(), Error> {
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("seal", -1, flags, |context| Ok(i64::from(of(context))))
}

fn of(context: &Context<'_>) -> u32 {
    (0..context.len()).fold(0, |sum, at| match context.get_raw(at) {
        ValueRef::Null => add(sum, 0, &[]),
        ValueRef::Integer(number) => add(sum, 1, &number.to_le_bytes()),
        ValueRef::Real(number) => add(sum, 2, &number.to_bits().to_le_bytes()),
        ValueRef::Text(text) => add(sum, 3, text),
        ValueRef::Blob(bytes) => add(sum, 4, bytes),
    })
}

fn add(sum: u32, kind: u8, bytes: &[u8]) -> u32 {
    let sum = crc32c::crc32c_append(sum, &[kind]);
    let sum = crc32c::crc32c_append(sum, &(bytes.len() as u64).to_le_bytes());
    crc32c::crc32c_append(sum, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_types_and_places_all_count() {
        let connection = Connection::open_in_memory().unwrap();
        install_seal(&connection).unwrap();
        let seal = |arguments: &str| {
            connection
                .query_row(&format!("SELECT seal({arguments})"), [], |row| row.get::<_, i64>(0))
                .unwrap()
        };
        let seals =
            ["1, 2", "2, 1", "'1', 2", "12", "NULL, 2", "1, 2, NULL", "'12', ''", "'1', '2'"].map(seal);
        let different: std::collections::BTreeSet<i64> = seals.into_iter().collect();
        assert_eq!(different.len(), seals.len());
        assert_eq!(seal("1, 2"), seal("1, 2"));
    }
}
