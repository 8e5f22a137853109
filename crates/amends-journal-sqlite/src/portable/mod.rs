//! A whole journal as one file, and back.
//!
//! Owns the form of that file: a line that says what it is, frames, and a last frame that says how many there
//! were. Promises that a file which was cut, changed or put together is refused: each frame has a checksum over
//! all that came before it, and nothing follows the last. Says nothing of the layout of a database, so that
//! another store can read it. Start reading at `export.rs`, then `import.rs`.

mod export;
mod import;

use std::io::{self, Read, Write};

use prost::Message;

pub(crate) use export::export;
pub use import::{ImportError, Imported, import};

/// What stands first.
const HEAD: &[u8] = b"amends journal, whole, format 1\n";

/// Bytes of a frame at most: a transaction with all its records, and some.
const FRAME_BYTES_MAX: u32 = 256 << 20;

#[derive(Clone, PartialEq, Message)]
struct Frame {
    #[prost(oneof = "What", tags = "1, 2, 3, 4, 5")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum What {
    #[prost(message, tag = "1")]
    Definition(Definition),
    #[prost(message, tag = "2")]
    Transaction(Transaction),
    #[prost(message, tag = "3")]
    Reservation(Reservation),
    #[prost(message, tag = "4")]
    Secret(Secret),
    #[prost(message, tag = "5")]
    End(End),
}

#[derive(Clone, PartialEq, Message)]
struct Definition {
    #[prost(int64, tag = "1")]
    no: i64,
    #[prost(int64, tag = "2")]
    mode: i64,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(uint32, tag = "4")]
    version: u32,
    /// Absent: transactions name it, and nobody stored it.
    #[prost(bytes = "vec", optional, tag = "5")]
    body: Option<Vec<u8>>,
    #[prost(int64, optional, tag = "6")]
    registered_at: Option<i64>,
    #[prost(int64, optional, tag = "7")]
    retired_at: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Transaction {
    #[prost(int64, tag = "1")]
    no: i64,
    #[prost(bytes = "vec", tag = "2")]
    id: Vec<u8>,
    #[prost(int64, tag = "3")]
    definition: i64,
    #[prost(int64, tag = "4")]
    standing: i64,
    #[prost(int64, tag = "5")]
    started_at: i64,
    /// Absent: it is live.
    #[prost(int64, optional, tag = "6")]
    ended_at: Option<i64>,
    #[prost(bool, tag = "7")]
    id_given: bool,
    #[prost(string, optional, tag = "8")]
    key: Option<String>,
    #[prost(bytes = "vec", optional, tag = "9")]
    fingerprint: Option<Vec<u8>>,
    #[prost(int64, optional, tag = "10")]
    wake_at: Option<i64>,
    #[prost(string, optional, tag = "11")]
    unreadable: Option<String>,
    #[prost(bytes = "vec", optional, tag = "12")]
    tags: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "13")]
    parent: Option<Vec<u8>>,
    #[prost(int64, optional, tag = "14")]
    erased_at: Option<i64>,
    /// One that is missing is empty.
    #[prost(bytes = "bytes", repeated, tag = "15")]
    records: Vec<bytes::Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct Reservation {
    #[prost(int64, tag = "1")]
    no: i64,
    #[prost(bytes = "vec", tag = "2")]
    id: Vec<u8>,
    #[prost(bool, tag = "3")]
    id_given: bool,
    #[prost(string, optional, tag = "4")]
    key: Option<String>,
    #[prost(bytes = "vec", optional, tag = "5")]
    fingerprint: Option<Vec<u8>>,
    #[prost(int64, tag = "6")]
    removed_at: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Secret {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// The last frame.
#[derive(Clone, PartialEq, Message)]
struct End {
    #[prost(uint64, tag = "1")]
    frames: u64,
    #[prost(int64, tag = "2")]
    last_no: i64,
    #[prost(int64, optional, tag = "3")]
    newest_at: Option<i64>,
}

/// Writes frames.
struct Frames<W> {
    out: W,
    sum: u32,
    frames: u64,
}

impl<W: Write> Frames<W> {
    fn begin(mut out: W) -> io::Result<Self> {
        out.write_all(HEAD)?;
        Ok(Self { out, sum: crc32c::crc32c(HEAD), frames: 0 })
    }

    /// Length, checksum of everything up to the end of the frame, and the frame.
    fn put(&mut self, what: What) -> io::Result<()> {
        let bytes = Frame { what: Some(what) }.encode_to_vec();
        let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= FRAME_BYTES_MAX);
        let length = length.ok_or_else(|| io::Error::other("a transaction is too large to be exported"))?;
        self.sum = crc32c::crc32c_append(self.sum, &bytes);
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&self.sum.to_le_bytes())?;
        self.out.write_all(&bytes)?;
        self.frames += 1;
        Ok(())
    }

    fn end(mut self, last_no: i64, newest_at: Option<i64>) -> io::Result<()> {
        let frames = self.frames;
        self.put(What::End(End { frames, last_no, newest_at }))?;
        self.out.flush()
    }
}

/// Why a file was not read to its end.
#[derive(Debug, thiserror::Error)]
enum ReadFrameError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0}")]
    Damaged(&'static str),
}

/// Reads frames.
struct FramesOf<R> {
    from: R,
    sum: u32,
    frames: u64,
}

impl<R: Read> FramesOf<R> {
    fn begin(mut from: R) -> Result<Self, ReadFrameError> {
        let mut head = [0; HEAD.len()];
        read_all(&mut from, &mut head)?;
        if head != *HEAD {
            return Err(ReadFrameError::Damaged("it is no exported journal, or one of a newer version"));
        }
        Ok(Self { from, sum: crc32c::crc32c(HEAD), frames: 0 })
    }

    /// The next frame; the last one only if nothing follows it.
    fn take(&mut self) -> Result<What, ReadFrameError> {
        let (mut length, mut sum) = ([0; 4], [0; 4]);
        read_all(&mut self.from, &mut length)?;
        read_all(&mut self.from, &mut sum)?;
        let length = u32::from_le_bytes(length);
        if length > FRAME_BYTES_MAX {
            return Err(ReadFrameError::Damaged("the length of a part is not what was written"));
        }
        let mut bytes = Vec::new();
        // Not as much room as a damaged length asks for.
        (&mut self.from).take(length.into()).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != u64::from(length) {
            return Err(CUT);
        }
        self.sum = crc32c::crc32c_append(self.sum, &bytes);
        if self.sum != u32::from_le_bytes(sum) {
            return Err(ReadFrameError::Damaged("its checksum does not match"));
        }
        let frame = Frame::decode(bytes.as_slice())
            .map_err(|_| ReadFrameError::Damaged("a part of it cannot be read"))?;
        let what = frame.what.as_ref().filter(|_| frame.encoded_len() as u64 == u64::from(length));
        let what = what.cloned().ok_or(ReadFrameError::Damaged("it holds more than this version knows"))?;
        if let What::End(end) = &what {
            if end.frames != self.frames {
                return Err(ReadFrameError::Damaged("parts of it are missing"));
            }
            if self.from.read(&mut [0])? != 0 {
                return Err(ReadFrameError::Damaged("something follows its end"));
            }
        }
        self.frames += 1;
        Ok(what)
    }
}

const CUT: ReadFrameError = ReadFrameError::Damaged("it ends too early");

fn read_all(from: &mut impl Read, bytes: &mut [u8]) -> Result<(), ReadFrameError> {
    from.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => CUT,
        _ => ReadFrameError::Io(error),
    })
}
