//! The barrier's row as it is stored.
//!
//! Owns the table, its columns and their checksum. Promises that a row which is not what was written is
//! reported as damaged. Does not know which state follows which: that is the forms' own.

use rusqlite::{Connection, OptionalExtension, params};

use super::state::{Asked, Effect, Form, Hash, State};
use crate::answer::Refusal;
use crate::error::DataError;
use crate::key::CallKey;

/// Rows hang on an ascending number, so that the oldest can be found without an index on time.
pub(super) const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS amends_barrier (
        number INTEGER PRIMARY KEY,
        key TEXT NOT NULL,            -- <transaction>/<step>[<n>]: of the action and its undo
        round INTEGER NOT NULL,       -- from 1
        created_at_ms INTEGER NOT NULL,
        status TEXT NOT NULL DEFAULT 'begun',
                                      -- acted, refused, undone, blocked; elsewhere also intended, undoing
        elsewhere INTEGER NOT NULL DEFAULT 0,
                                      -- 1: the effect takes place in another system
        checksum INTEGER NOT NULL DEFAULT 0,
                                      -- CRC-32C over every other column but the number
        operation TEXT,               -- the service's name for the effect
        action_hash BLOB,             -- SHA-256 of the payload
        answer BLOB,                  -- of the action: its output, or the details of its refusal
        refusal_code TEXT,
        refusal_message TEXT,
        undo_operation TEXT,
        undo_hash BLOB,
        undo_answer BLOB,
        UNIQUE (key, round)
    )";

/// A row that is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    number: i64,
    created_at_ms: i64,
}

/// Takes the key: the new row, or none when the key was taken. The row is not readable until it is written.
pub(super) fn insert(connection: &Connection, key: &CallKey, now_ms: i64) -> Result<Option<Row>, DataError> {
    let inserted = connection
        .prepare_cached(
            "INSERT INTO amends_barrier (key, round, created_at_ms) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?
        .execute(params![key.shared(), key.round(), now_ms])?;
    Ok((inserted == 1).then(|| Row { number: connection.last_insert_rowid(), created_at_ms: now_ms }))
}

/// Gives a row its state.
pub(super) fn write(
    connection: &Connection,
    key: &CallKey,
    row: Row,
    form: Form,
    state: &State,
) -> Result<(), DataError> {
    let columns = Columns::of(form, state);
    let checksum = columns.checksum(key, row.created_at_ms);
    let written = connection
        .prepare_cached(
            "UPDATE amends_barrier SET status = ?2, elsewhere = ?3, checksum = ?4, operation = ?5,
             action_hash = ?6, answer = ?7, refusal_code = ?8, refusal_message = ?9, undo_operation = ?10,
             undo_hash = ?11, undo_answer = ?12 WHERE number = ?1",
        )?
        .execute(params![
            row.number,
            columns.status,
            columns.elsewhere,
            checksum,
            columns.operation,
            columns.action_hash,
            columns.answer,
            columns.refusal_code,
            columns.refusal_message,
            columns.undo_operation,
            columns.undo_hash,
            columns.undo_answer,
        ])?;
    require_one(written, key)
}

/// [`write()`] for a row that was just inserted, when the action took effect here: what nearly every call does.
/// It sets only the columns that are not empty.
pub(super) fn write_acted(
    connection: &Connection,
    key: &CallKey,
    row: Row,
    action: &Asked,
    answer: &[u8],
) -> Result<(), DataError> {
    let columns = Columns { status: "acted", answer: Some(answer), ..Columns::default() }.asked(action);
    let checksum = columns.checksum(key, row.created_at_ms);
    let written = connection
        .prepare_cached(
            "UPDATE amends_barrier SET status='acted', checksum=?2, operation=?3, action_hash=?4, answer=?5
             WHERE number=?1",
        )?
        .execute(params![row.number, checksum, columns.operation, columns.action_hash, columns.answer])?;
    require_one(written, key)
}

fn require_one(written: usize, key: &CallKey) -> Result<(), DataError> {
    if written == 1 { Ok(()) } else { Err(damaged(key, "the row vanished inside its own transaction")) }
}

/// Reads the row of a key that was just found taken.
pub(super) fn load(connection: &Connection, key: &CallKey) -> Result<(Row, Form, State), DataError> {
    // The unique index said a moment ago that the row is there: the index and the table disagree.
    find(connection, key)?.ok_or_else(|| damaged(key, "the index names a row that is not there"))
}

/// Reads the row of a key, if it is there.
pub(super) fn find(connection: &Connection, key: &CallKey) -> Result<Option<(Row, Form, State)>, DataError> {
    let mut statement = connection.prepare_cached(
        "SELECT number, created_at_ms, checksum, status, elsewhere, operation, action_hash, answer,
         refusal_code, refusal_message, undo_operation, undo_hash, undo_answer
         FROM amends_barrier WHERE key = ?1 AND round = ?2",
    )?;
    let found = statement
        .query_row(params![key.shared(), key.round()], |row| {
            let columns = Columns {
                status: row.get_ref(3)?.as_str()?,
                elsewhere: row.get(4)?,
                operation: row.get_ref(5)?.as_str_or_null()?,
                action_hash: row.get_ref(6)?.as_blob_or_null()?,
                answer: row.get_ref(7)?.as_blob_or_null()?,
                refusal_code: row.get_ref(8)?.as_str_or_null()?,
                refusal_message: row.get_ref(9)?.as_str_or_null()?,
                undo_operation: row.get_ref(10)?.as_str_or_null()?,
                undo_hash: row.get_ref(11)?.as_blob_or_null()?,
                undo_answer: row.get_ref(12)?.as_blob_or_null()?,
            };
            let found = Row { number: row.get(0)?, created_at_ms: row.get(1)? };
            let is_sound = columns.checksum(key, found.created_at_ms) == row.get::<_, u32>(2)?;
            let state = if is_sound { columns.state() } else { Err("its checksum does not match") };
            Ok(state.map(|(form, state)| (found, form, state)))
        })
        .optional();
    match found {
        Ok(Some(Ok(found))) => Ok(Some(found)),
        Ok(Some(Err(reason))) => Err(damaged(key, reason)),
        Ok(None) => Ok(None),
        Err(error) => match DataError::from(error) {
            DataError::Damaged { reason, .. } => Err(damaged(key, &reason)),
            other @ DataError::Database(_) => Err(other),
        },
    }
}

/// The key under which what this undo takes back was done: in an earlier round, if the undo alone was asked anew,
/// with another payload.
pub(super) fn earlier_round(connection: &Connection, key: &CallKey) -> Result<Option<CallKey>, DataError> {
    if key.round() == 1 {
        return Ok(None);
    }
    let round: Option<u32> = connection
        .prepare_cached(
            "SELECT MAX(round) FROM amends_barrier WHERE key = ?1 AND round < ?2
             AND status IN ('acted', 'undone', 'intended', 'undoing')",
        )?
        .query_row(params![key.shared(), key.round()], |row| row.get(0))?;
    Ok(round.map(|round| key.in_round(round)))
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
    elsewhere: bool,
    operation: Option<&'a str>,
    action_hash: Option<&'a [u8]>,
    answer: Option<&'a [u8]>,
    refusal_code: Option<&'a str>,
    refusal_message: Option<&'a str>,
    undo_operation: Option<&'a str>,
    undo_hash: Option<&'a [u8]>,
    undo_answer: Option<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn of(form: Form, state: &'a State) -> Columns<'a> {
        let columns = Columns { elsewhere: form == Form::Elsewhere, ..Columns::default() };
        match state {
            State::Intended { action } => Columns { status: "intended", ..columns }.asked(action),
            State::Acted { action, answer } => {
                Columns { status: "acted", answer: Some(answer), ..columns }.asked(action)
            }
            State::Refused { action, refusal } => {
                Columns { status: "refused", ..columns }.asked(action).refused(refusal)
            }
            State::Undoing { action, effect, undo } => {
                Columns { status: "undoing", ..columns }.asked(action).effect(effect).undo(undo)
            }
            State::Undone { action, effect, undo, undo_answer } => {
                Columns { status: "undone", undo_answer: Some(undo_answer), ..columns }
                    .asked(action)
                    .effect(effect)
                    .undo(undo)
            }
            State::Blocked => Columns { status: "blocked", ..columns },
        }
    }

    fn asked(self, action: &'a Asked) -> Columns<'a> {
        Columns { operation: Some(&action.operation), action_hash: Some(&action.payload.0), ..self }
    }

    fn undo(self, undo: &'a Asked) -> Columns<'a> {
        Columns { undo_operation: Some(&undo.operation), undo_hash: Some(&undo.payload.0), ..self }
    }

    fn refused(self, refusal: &'a Refusal) -> Columns<'a> {
        Columns {
            answer: refusal.details.as_deref(),
            refusal_code: Some(&refusal.code),
            refusal_message: Some(&refusal.message),
            ..self
        }
    }

    fn effect(self, effect: &'a Effect) -> Columns<'a> {
        match effect {
            Effect::TookPlace(output) => Columns { answer: Some(output), ..self },
            Effect::Refused(refusal) => self.refused(refusal),
            Effect::Unknown => self,
        }
    }

    fn state(&self) -> Result<(Form, State), &'static str> {
        let form = if self.elsewhere { Form::Elsewhere } else { Form::Here };
        let action = || asked(self.operation, self.action_hash);
        let undo = || asked(self.undo_operation, self.undo_hash);
        let state = match self.status {
            "intended" => State::Intended { action: action()? },
            "acted" => State::Acted { action: action()?, answer: bytes(self.answer)? },
            "refused" => State::Refused { action: action()?, refusal: self.refusal()? },
            "undoing" => State::Undoing { action: action()?, effect: self.known()?, undo: undo()? },
            "undone" => State::Undone {
                action: action()?,
                effect: self.known()?,
                undo: undo()?,
                undo_answer: bytes(self.undo_answer)?,
            },
            "blocked" => State::Blocked,
            _ => return Err("its status is unknown"),
        };
        Ok((form, state))
    }

    fn known(&self) -> Result<Effect, &'static str> {
        match (self.refusal_code, self.answer) {
            (Some(_), _) => self.refusal().map(Effect::Refused),
            (None, Some(output)) => Ok(Effect::TookPlace(output.to_vec())),
            (None, None) => Ok(Effect::Unknown),
        }
    }

    fn refusal(&self) -> Result<Refusal, &'static str> {
        Ok(Refusal {
            code: self.refusal_code.ok_or("a refusal without its code")?.to_owned(),
            message: self.refusal_message.ok_or("a refusal without its message")?.to_owned(),
            details: self.answer.map(<[u8]>::to_vec),
        })
    }

    /// Covers key and status too, so that an answer cannot be taken for that of another call or another
    /// outcome.
    fn checksum(&self, key: &CallKey, created_at_ms: i64) -> u32 {
        let fields = [
            Some(key.shared().as_bytes()),
            Some(self.status.as_bytes()),
            self.operation.map(str::as_bytes),
            self.action_hash,
            self.answer,
            self.refusal_code.map(str::as_bytes),
            self.refusal_message.map(str::as_bytes),
            self.undo_operation.map(str::as_bytes),
            self.undo_hash,
            self.undo_answer,
        ];
        // All lengths go first, so that bytes cannot move from one column to the next; no length stands for
        // no value.
        let lengths = fields.iter().map(|field| field.map_or(u64::MAX, |bytes| bytes.len() as u64));
        let numbers = [created_at_ms as u64, key.round().into(), self.elsewhere.into()];
        let mut head = [0; 8 * 13];
        for (place, number) in head.as_chunks_mut::<8>().0.iter_mut().zip(numbers.into_iter().chain(lengths))
        {
            *place = number.to_le_bytes();
        }
        fields.into_iter().flatten().fold(crc32c::crc32c(&head), crc32c::crc32c_append)
    }
}

fn asked(operation: Option<&str>, hash: Option<&[u8]>) -> Result<Asked, &'static str> {
    let operation = operation.ok_or("the name of an operation is missing")?.to_owned().into();
    let bytes = hash.ok_or("a payload hash is missing")?;
    let payload = bytes.try_into().map(Hash).map_err(|_| "a payload hash has the wrong length")?;
    Ok(Asked { operation, payload })
}

fn bytes(column: Option<&[u8]>) -> Result<Vec<u8>, &'static str> {
    column.map(<[u8]>::to_vec).ok_or("a stored answer is missing")
}

/// Damage in the row of this key.
pub(super) fn damaged(key: &CallKey, reason: &str) -> DataError {
    let place = format!("table amends_barrier, key `{}`, round {}", key.shared(), key.round());
    DataError::damaged(place, reason.to_owned())
}
