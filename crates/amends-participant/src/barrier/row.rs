//! The barrier's row as it is stored.
//!
//! Owns the table, its columns and their checksum. Promises that a row which is not what was written is reported as
//! damaged. Does not know which state follows which: that is the barrier's.

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use crate::call::{Call, Refusal};
use crate::error::DataError;

/// Rows hang on an ascending number, so that the oldest can be found without an index on time.
pub(super) const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS amends_barrier (
        number INTEGER PRIMARY KEY,
        saga TEXT NOT NULL,
        step TEXT NOT NULL,
        status TEXT NOT NULL,        -- acted, refused, undone, blocked
        created_at_ms INTEGER NOT NULL,
        checksum INTEGER NOT NULL,   -- CRC-32C over every other column but the number
        action_hash BLOB,            -- SHA-256 of the payload
        answer BLOB,                 -- of the action: its output, or the details of its refusal
        refusal_code TEXT,
        refusal_message TEXT,
        undo_hash BLOB,
        undo_answer BLOB,
        UNIQUE (saga, step)
    )";

/// A stored row; `S` is its state, owned or borrowed.
#[derive(Debug)]
pub(super) struct Row<S> {
    pub(super) number: i64,
    pub(super) created_at_ms: i64,
    pub(super) state: S,
}

/// What has become of a step so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The action took effect.
    Acted { action: Hash, answer: Vec<u8> },
    /// The action was refused, and nothing took place.
    Refused { action: Hash, refusal: Refusal },
    /// The action took effect and was undone.
    Undone { action: Hash, answer: Vec<u8>, undo: Hash, undo_answer: Vec<u8> },
    /// The undo came when there was nothing to undo: the action may no longer take effect.
    Blocked,
}

/// SHA-256 of a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hash([u8; 32]);

impl Hash {
    pub(super) fn of(payload: &[u8]) -> Hash {
        Hash(Sha256::digest(payload).into())
    }
}

/// Takes the key: the number of the new row, or none when the key was taken. The row is not readable until it is
/// written.
pub(super) fn insert(
    connection: &Connection,
    call: &Call<'_>,
    now_ms: i64,
) -> Result<Option<i64>, DataError> {
    let inserted = connection
        .prepare_cached(
            "INSERT INTO amends_barrier (saga, step, status, created_at_ms, checksum) VALUES (?1, ?2, 'begun', ?3, 0)
             ON CONFLICT (saga, step) DO NOTHING",
        )?
        .execute(params![call.saga, call.step, now_ms])?;
    Ok((inserted == 1).then(|| connection.last_insert_rowid()))
}

pub(super) fn write(connection: &Connection, call: &Call<'_>, row: &Row<&State>) -> Result<(), DataError> {
    let columns = Columns::of(row.state);
    let written = connection
        .prepare_cached(
            "UPDATE amends_barrier SET status = ?2, checksum = ?3, action_hash = ?4, answer = ?5, refusal_code = ?6,
             refusal_message = ?7, undo_hash = ?8, undo_answer = ?9 WHERE number = ?1",
        )?
        .execute(params![
            row.number,
            columns.status,
            columns.checksum(call, row.created_at_ms),
            columns.action_hash,
            columns.answer,
            columns.refusal_code,
            columns.refusal_message,
            columns.undo_hash,
            columns.undo_answer,
        ])?;
    if written != 1 {
        return Err(damaged(call, "the row vanished inside its own transaction"));
    }
    Ok(())
}

pub(super) fn load(connection: &Connection, call: &Call<'_>) -> Result<Row<State>, DataError> {
    let mut statement = connection.prepare_cached(
        "SELECT number, created_at_ms, status, action_hash, answer, refusal_code, refusal_message, undo_hash,
         undo_answer, checksum FROM amends_barrier WHERE saga = ?1 AND step = ?2",
    )?;
    let found = statement
        .query_row(params![call.saga, call.step], |row| {
            let columns = Columns {
                status: row.get_ref(2)?.as_str()?,
                action_hash: row.get_ref(3)?.as_blob_or_null()?,
                answer: row.get_ref(4)?.as_blob_or_null()?,
                refusal_code: row.get_ref(5)?.as_str_or_null()?,
                refusal_message: row.get_ref(6)?.as_str_or_null()?,
                undo_hash: row.get_ref(7)?.as_blob_or_null()?,
                undo_answer: row.get_ref(8)?.as_blob_or_null()?,
            };
            let created_at_ms: i64 = row.get(1)?;
            let sound = columns.checksum(call, created_at_ms) == row.get::<_, u32>(9)?;
            let state = if sound { columns.state() } else { Err("its checksum does not match") };
            Ok((row.get(0)?, created_at_ms, state))
        })
        .optional();
    match found {
        Ok(Some((number, created_at_ms, Ok(state)))) => Ok(Row { number, created_at_ms, state }),
        Ok(Some((_, _, Err(reason)))) => Err(damaged(call, reason)),
        // The unique index said a moment ago that the row is there: the index and the table disagree.
        Ok(None) => Err(damaged(call, "the index names a row that is not there")),
        Err(error) => match DataError::from(error) {
            DataError::Damaged { reason, .. } => Err(damaged(call, &reason)),
            other @ DataError::Database(_) => Err(other),
        },
    }
}

pub(super) fn delete_oldest(
    connection: &Connection,
    before_ms: i64,
    limit: usize,
) -> Result<usize, DataError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let removed = connection
        .prepare_cached(
            "DELETE FROM amends_barrier WHERE created_at_ms < ?1
             AND number IN (SELECT number FROM amends_barrier ORDER BY number LIMIT ?2)",
        )?
        .execute(params![before_ms, limit])?;
    Ok(removed)
}

/// A state, column by column.
#[derive(Clone, Copy, Default)]
struct Columns<'a> {
    status: &'a str,
    action_hash: Option<&'a [u8]>,
    answer: Option<&'a [u8]>,
    refusal_code: Option<&'a str>,
    refusal_message: Option<&'a str>,
    undo_hash: Option<&'a [u8]>,
    undo_answer: Option<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn of(state: &'a State) -> Columns<'a> {
        match state {
            State::Acted { action, answer } => Columns {
                status: "acted",
                action_hash: Some(&action.0),
                answer: Some(answer),
                ..Columns::default()
            },
            State::Refused { action, refusal } => Columns {
                status: "refused",
                action_hash: Some(&action.0),
                answer: refusal.details.as_deref(),
                refusal_code: Some(&refusal.code),
                refusal_message: Some(&refusal.message),
                ..Columns::default()
            },
            State::Undone { action, answer, undo, undo_answer } => Columns {
                status: "undone",
                action_hash: Some(&action.0),
                answer: Some(answer),
                undo_hash: Some(&undo.0),
                undo_answer: Some(undo_answer),
                ..Columns::default()
            },
            State::Blocked => Columns { status: "blocked", ..Columns::default() },
        }
    }

    fn state(&self) -> Result<State, &'static str> {
        match self.status {
            "acted" => Ok(State::Acted { action: hash(self.action_hash)?, answer: bytes(self.answer)? }),
            "refused" => Ok(State::Refused {
                action: hash(self.action_hash)?,
                refusal: Refusal {
                    code: self.refusal_code.ok_or("a refusal without its code")?.to_owned(),
                    message: self.refusal_message.ok_or("a refusal without its message")?.to_owned(),
                    details: self.answer.map(<[u8]>::to_vec),
                },
            }),
            "undone" => Ok(State::Undone {
                action: hash(self.action_hash)?,
                answer: bytes(self.answer)?,
                undo: hash(self.undo_hash)?,
                undo_answer: bytes(self.undo_answer)?,
            }),
            "blocked" => Ok(State::Blocked),
            _ => Err("its status is unknown"),
        }
    }

    /// Covers key and status too, so that an answer cannot be taken for that of another step or another outcome.
    fn checksum(&self, call: &Call<'_>, created_at_ms: i64) -> u32 {
        let fields = [
            Some(call.saga.as_bytes()),
            Some(call.step.as_bytes()),
            Some(self.status.as_bytes()),
            self.action_hash,
            self.answer,
            self.refusal_code.map(str::as_bytes),
            self.refusal_message.map(str::as_bytes),
            self.undo_hash,
            self.undo_answer,
        ];
        fields.iter().fold(crc32c::crc32c(&created_at_ms.to_le_bytes()), |sum, field| match field {
            // The length goes first, so that bytes cannot move from one column to the next; no length stands for no
            // value.
            Some(bytes) => {
                let sum = crc32c::crc32c_append(sum, &(bytes.len() as u64).to_le_bytes());
                crc32c::crc32c_append(sum, bytes)
            }
            None => crc32c::crc32c_append(sum, &u64::MAX.to_le_bytes()),
        })
    }
}

fn hash(column: Option<&[u8]>) -> Result<Hash, &'static str> {
    let bytes = column.ok_or("a payload hash is missing")?;
    bytes.try_into().map(Hash).map_err(|_| "a payload hash has the wrong length")
}

fn bytes(column: Option<&[u8]>) -> Result<Vec<u8>, &'static str> {
    column.map(<[u8]>::to_vec).ok_or("a stored answer is missing")
}

fn damaged(call: &Call<'_>, reason: &str) -> DataError {
    DataError::damaged(
        format!("table amends_barrier, saga `{}`, step `{}`", call.saga, call.step),
        reason.to_owned(),
    )
}
