//! Whether the write-ahead log that an unclean stop left behind lost something in its middle.
//!
//! Owns the reading of the log's frames. Promises to find a broken frame with later commits behind it: SQLite takes the
//! first broken frame for the end of the log and would drop those commits without a word, although they were
//! acknowledged. Does not find damage in the very last transaction, which looks like one that a power cut interrupted.
//! Start reading at `check`; the format is SQLite's, <https://www.sqlite.org/fileformat2.html#walformat>.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::open::OpenError;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// Read at a time: some tens of frames.
const BUFFER_BYTES: usize = 256 * 1024;
/// The two magic numbers; the last bit says that checksums are over big-endian words.
const MAGIC: u32 = 0x377f_0682;
const PAGE_BYTES_MAX: u32 = 65_536;

/// One commit behind a break can be what a power cut left of the last transaction, whose pages may reach the disk in
/// any order. Two cannot: the first was flushed before the second began.
const COMMITS_TORN_MAX: u32 = 1;

/// Refuses a database whose log is broken in its middle, or which is empty although it has a log.
pub(super) fn check(path: &Path, database_bytes: u64) -> Result<(), OpenError> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let log = PathBuf::from(log);
    let file = match File::open(&log) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(OpenError::Io { path: log, source }),
    };
    match scan(BufReader::with_capacity(BUFFER_BYTES, file)) {
        Ok(Log::Empty) => Ok(()),
        // SQLite would delete this log, since an empty file can have none.
        Ok(Log::Whole | Log::Broken { .. }) if database_bytes == 0 => {
            Err(OpenError::damaged(path, "it is empty or missing, but its write-ahead log is not"))
        }
        Ok(Log::Whole) => Ok(()),
        Ok(Log::Broken { reason }) => Err(OpenError::damaged(&log, reason)),
        Err(source) => Err(OpenError::Io { path: log, source }),
    }
}

enum Log {
    Empty,
    /// Sound up to its end, or to a last transaction that was never finished.
    Whole,
    Broken {
        reason: String,
    },
}

fn scan(mut log: impl Read) -> io::Result<Log> {
    let mut header = [0; HEADER_BYTES];
    if !fill(&mut log, &mut header)? || header == [0; HEADER_BYTES] {
        return Ok(Log::Empty);
    }
    let Some(mut chain) = Chain::start(&header) else {
        return Ok(Log::Broken { reason: "the header of the log does not match its checksum".to_owned() });
    };
    let mut frame = vec![0; FRAME_HEADER_BYTES + chain.page_bytes];
    let (mut number, mut broken_at, mut commits_behind) = (0_u64, None, 0);
    while fill(&mut log, &mut frame)? {
        number += 1;
        match (chain.follow(&frame), broken_at) {
            (Follows::Yes { .. }, None) => {}
            (Follows::No, None) => broken_at = Some(number),
            // What an earlier, rolled back attempt left: not one unbroken run, so nothing that was ever committed here.
            (Follows::No, Some(_)) => commits_behind = 0,
            (Follows::Yes { commit }, Some(at)) => {
                commits_behind += u32::from(commit);
                if commits_behind > COMMITS_TORN_MAX {
                    return Ok(Log::Broken {
                        reason: format!("frame {at} of the log is broken, with commits behind it"),
                    });
                }
            }
        }
    }
    Ok(if number == 0 { Log::Empty } else { Log::Whole })
}

/// The running checksum that ties each frame to the one before.
struct Chain {
    big_endian: bool,
    page_bytes: usize,
    salt: [u8; 8],
    /// Where the next frame may start from: the sum its predecessor says, and the one its predecessor's bytes give.
    /// They differ only behind a broken frame, whose sum may be just what is broken.
    sums: [Sum; 2],
}

type Sum = (u32, u32);

enum Follows {
    Yes { commit: bool },
    No,
}

impl Chain {
    fn start(header: &[u8; HEADER_BYTES]) -> Option<Chain> {
        let magic = big_endian_word(header, 0);
        let page_bytes = big_endian_word(header, 8);
        if magic & !1 != MAGIC
            || !page_bytes.is_power_of_two()
            || !(512..=PAGE_BYTES_MAX).contains(&page_bytes)
        {
            return None;
        }
        let big_endian = magic & 1 == 1;
        let sum = checksum((0, 0), &header[..24], big_endian);
        let stored = (big_endian_word(header, 24), big_endian_word(header, 28));
        let salt = header[16..24].try_into().expect("eight bytes were cut out");
        (sum == stored).then_some(Chain { big_endian, page_bytes: page_bytes as usize, salt, sums: [sum; 2] })
    }

    /// Whether `frame` continues the one before.
    fn follow(&mut self, frame: &[u8]) -> Follows {
        let stored = (big_endian_word(frame, 16), big_endian_word(frame, 20));
        let sum_from = |start| {
            let sum = checksum(start, &frame[..8], self.big_endian);
            checksum(sum, &frame[FRAME_HEADER_BYTES..], self.big_endian)
        };
        let said = sum_from(self.sums[0]);
        let given = if self.sums[0] == self.sums[1] { [said; 2] } else { [said, sum_from(self.sums[1])] };
        self.sums = [stored, given[0]];
        if frame[8..16] == self.salt && given.contains(&stored) {
            Follows::Yes { commit: big_endian_word(frame, 4) != 0 }
        } else {
            Follows::No
        }
    }
}

fn checksum(start: Sum, bytes: &[u8], big_endian: bool) -> Sum {
    bytes.chunks_exact(8).fold(start, |(first, second), pair| {
        let first = first.wrapping_add(word(pair, 0, big_endian)).wrapping_add(second);
        (first, second.wrapping_add(word(pair, 4, big_endian)).wrapping_add(first))
    })
}

fn word(bytes: &[u8], at: usize, big_endian: bool) -> u32 {
    let four = bytes[at..at + 4].try_into().expect("four bytes were cut out");
    if big_endian { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }
}

fn big_endian_word(bytes: &[u8], at: usize) -> u32 {
    word(bytes, at, true)
}

/// Fills the buffer, or says that the log ends first.
fn fill(log: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
