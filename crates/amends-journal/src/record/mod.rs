//! How facts are written down.
//!
//! Owns [`Record`] and its frame: a format byte, a checksum, a body of the format's own stored shapes (`v1`).
//! Promises that what decodes is what was encoded for this transaction and this place: the checksum covers
//! both, and anything missing, unknown or left over is an error that says "damaged" or "written by a newer
//! version", never a default. Payloads are slices of the frame, not copies. Does not know where frames are
//! kept.
//!
//! A frame is `format (1) | CRC32C (4, little-endian) | body`. This envelope is the same for every format to
//! come, so that an old program tells a newer record from a damaged one.

mod erase;
mod v1;

use amends_core::{DefinitionSpec, Facts, Mode, Time, TransactionId};
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

pub use erase::{ERASED, erase};

/// Facts that became true together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When.
    pub at: Time,
    /// The facts, in order; at least one.
    pub facts: Facts,
}

/// Why stored bytes could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The bytes are not what was written.
    #[error("{what} is damaged: {details}")]
    Damaged {
        /// Which record.
        what: String,
        /// What was seen.
        details: String,
    },
    /// The bytes are sound, and mean something that only a later version knows.
    #[error("{what} was written by a newer version of Amends: {details}; run that version, or a later one")]
    Newer {
        /// Which record.
        what: String,
        /// What was seen.
        details: String,
    },
}

/// What is wrong with a frame, before it is known whose it is.
#[derive(Debug, PartialEq, Eq)]
enum Flaw {
    Damaged(String),
    Newer(String),
}

impl Flaw {
    fn damaged(details: impl Into<String>) -> Self {
        Self::Damaged(details.into())
    }

    fn newer(details: impl Into<String>) -> Self {
        Self::Newer(details.into())
    }

    fn of(self, what: String) -> Unreadable {
        match self {
            Self::Damaged(details) => Unreadable::Damaged { what, details },
            Self::Newer(details) => Unreadable::Newer { what, details },
        }
    }
}

/// The frame of record number `sequence` of a transaction.
///
/// # Panics
/// When the record states nothing, or an attempt number zero: such a record could not be read back.
#[must_use]
pub fn encode(id: TransactionId, sequence: u64, record: &Record) -> Bytes {
    assert!(!record.facts.is_empty(), "a record states at least one fact");
    seal(record_seed(id, sequence), &v1::Record::from(record))
}

/// Reads record number `sequence` of a transaction from its frame.
///
/// # Errors
/// When the frame is damaged, was written for another transaction or place, or by a newer version.
pub fn decode(id: TransactionId, sequence: u64, frame: Bytes) -> Result<Record, Unreadable> {
    unseal(record_seed(id, sequence), frame)
        .and_then(|body| Record::try_from(body_of::<v1::Record>(body)?))
        .map_err(|flaw| flaw.of(format!("record {sequence} of transaction {id}")))
}

/// How many facts a record states; one, where that cannot be told. Neither the checksum nor what the facts say
/// is looked at.
#[must_use]
pub fn facts_in(frame: &[u8]) -> u32 {
    match frame.get(..1) {
        Some([FORMAT]) => v1::facts_in(frame.get(ENVELOPE..).unwrap_or_default()).unwrap_or(1).max(1),
        Some(_) | None => 1,
    }
}

/// The frame of a definition.
#[must_use]
pub fn encode_definition(spec: &DefinitionSpec) -> Bytes {
    seal(definition_seed(), &v1::Definition::from(spec))
}

/// Reads a definition from its frame; `name` is for the error.
///
/// # Errors
/// As [`decode`].
pub fn decode_definition(name: &str, frame: Bytes) -> Result<DefinitionSpec, Unreadable> {
    unseal(definition_seed(), frame)
        .and_then(|body| DefinitionSpec::try_from(body_of::<v1::Definition>(body)?))
        .map_err(|flaw| flaw.of(format!("the definition {name}")))
}

/// A mode as backends store it; never zero.
#[must_use]
pub const fn mode_code(mode: Mode) -> u8 {
    match mode {
        Mode::Saga => 1,
        #[cfg(feature = "errand")]
        Mode::Errand => 100,
    }
}

/// The mode behind a code; `None` for one that this version does not know.
#[must_use]
pub const fn mode_of(code: u8) -> Option<Mode> {
    match code {
        1 => Some(Mode::Saga),
        #[cfg(feature = "errand")]
        100 => Some(Mode::Errand),
        _ => None,
    }
}

/// The format of the frames that this version writes.
const FORMAT: u8 = 1;

/// The frame's bytes before its body.
const ENVELOPE: usize = 5;

/// The checksum's start for a record: a frame that strayed to another transaction or place does not read.
fn record_seed(id: TransactionId, sequence: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&id.to_bytes()), &sequence.to_le_bytes())
}

/// The checksum's start for a definition: its frame does not read as a record.
fn definition_seed() -> u32 {
    crc32c::crc32c(b"definition")
}

fn checksum(seed: u32, format: u8, body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &[format]), body)
}

fn seal(seed: u32, message: &impl Message) -> Bytes {
    let mut frame = BytesMut::with_capacity(ENVELOPE + message.encoded_len());
    frame.put_u8(FORMAT);
    frame.put_u32_le(0);
    // Not `encode`: that works the length out once more.
    message.encode_raw(&mut frame);
    let sum = checksum(seed, FORMAT, &frame[ENVELOPE..]);
    frame[1..ENVELOPE].copy_from_slice(&sum.to_le_bytes());
    frame.freeze()
}

fn unseal(seed: u32, mut frame: Bytes) -> Result<Bytes, Flaw> {
    let Some((&[format, a, b, c, d], _)) = frame.split_first_chunk::<ENVELOPE>() else {
        return Err(Flaw::damaged(format!("{} bytes are too few for a record", frame.len())));
    };
    let body = frame.split_off(ENVELOPE);
    // The checksum first: a format byte that was hit by damage is no newer version.
    if checksum(seed, format, &body) != u32::from_le_bytes([a, b, c, d]) {
        return Err(Flaw::damaged("its checksum does not match"));
    }
    match format {
        FORMAT => Ok(body),
        0 => Err(Flaw::damaged("format 0 was never written")),
        newer => Err(Flaw::newer(format!("its format is {newer}, this version knows {FORMAT}"))),
    }
}

/// The message in a body, and nothing besides: what a protobuf decoder would skip as unknown is not skipped
/// here.
fn body_of<M: Message + Default>(body: Bytes) -> Result<M, Flaw> {
    let length = body.len();
    let message = M::decode(body).map_err(|error| Flaw::damaged(error.to_string()))?;
    if message.encoded_len() == length {
        Ok(message)
    } else {
        Err(Flaw::newer("it holds more than this version knows"))
    }
}
