//! The frames of a log.
//!
//! Owns the running checksum and the judgement of a break: a torn end, or damage. Promises to count the frames that
//! SQLite would read, and to find a broken one with finished commits behind it. Does not know files.

use std::io::{self, ErrorKind, Read};

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// What a log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frames {
    /// No log, or one that never began.
    None,
    /// So many frames one after the other.
    Sound {
        /// The log's salts, as they lie in its header.
        salts: [u8; 8],
        /// How many.
        count: u64,
    },
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum ScanError {
    Io(io::Error),
    Broken(String),
}

impl From<io::Error> for ScanError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads a log to its end.
pub(crate) fn scan(log: &mut impl Read) -> Result<Frames, ScanError> {
    let mut header = [0; HEADER];
    let length = read_as_far(log, &mut header)?;
    if length == 0 {
        return Ok(Frames::None);
    }
    if length < HEADER {
        return Err(damaged("it is cut off inside the header"));
    }
    if header == [0; HEADER] {
        only_zeros(log)?;
        return Ok(Frames::None);
    }
    let Some(mut chain) = Chain::begin(&header) else {
        return Err(damaged("its header does not match its checksum"));
    };
    let salts = header[16..24].try_into().expect("eight bytes were cut out");
    let mut frame = vec![0; FRAME_HEADER + chain.page_size];
    let mut count = 0;
    while read_as_far(log, &mut frame)? == frame.len() {
        if !chain.follows(&frame) {
            check_rest(log, &chain, &mut frame, count + 1)?;
            break;
        }
        count += 1;
    }
    Ok(Frames::Sound { salts, count })
}

/// After a broken frame: an end if nothing was ever finished behind it.
fn check_rest(log: &mut impl Read, chain: &Chain, frame: &mut [u8], number: u64) -> Result<(), ScanError> {
    // The broken frame counts as of this log if half its mark is right; leftovers of an earlier log have neither half.
    let mut finished = chain.may_own(frame) && word(frame, 4) != 0;
    while read_as_far(log, frame)? == frame.len() {
        if chain.owns(frame) {
            if finished {
                return Err(damaged(&format!("frame {number} is broken, and finished commits follow it")));
            }
            finished = word(frame, 4) != 0;
        }
    }
    Ok(())
}

/// A log that was never written: the power went before its header reached the disk.
fn only_zeros(log: &mut impl Read) -> Result<(), ScanError> {
    let mut rest = Vec::new();
    log.read_to_end(&mut rest)?;
    if rest.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(damaged("its header is blank")) }
}

fn damaged(details: &str) -> ScanError {
    ScanError::Broken(details.to_owned())
}

/// How much of the buffer the log still fills; less than all of it is the end.
fn read_as_far(log: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match log.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The running checksum through the log.
struct Chain {
    page_size: usize,
    salts: [u32; 2],
    is_big_endian: bool,
    sums: [u32; 2],
}

impl Chain {
    /// `None` when the header does not hold together.
    fn begin(header: &[u8; HEADER]) -> Option<Self> {
        let magic = word(header, 0);
        let page_size = word(header, 8) as usize;
        if magic & !1 != 0x377F_0682 || !page_size.is_power_of_two() || !(512..=65_536).contains(&page_size) {
            return None;
        }
        let mut chain = Self {
            page_size,
            salts: [word(header, 16), word(header, 20)],
            is_big_endian: magic & 1 == 1,
            sums: [0, 0],
        };
        chain.add(&header[..24]);
        (chain.sums == [word(header, 24), word(header, 28)]).then_some(chain)
    }

    /// Whether the frame is the sound next one.
    fn follows(&mut self, frame: &[u8]) -> bool {
        if !self.owns(frame) || word(frame, 0) == 0 {
            return false;
        }
        self.add(&frame[..8]);
        self.add(&frame[FRAME_HEADER..]);
        self.sums == [word(frame, 16), word(frame, 20)]
    }

    fn owns(&self, frame: &[u8]) -> bool {
        word(frame, 8) == self.salts[0] && word(frame, 12) == self.salts[1]
    }

    fn may_own(&self, frame: &[u8]) -> bool {
        word(frame, 8) == self.salts[0] || word(frame, 12) == self.salts[1]
    }

    fn add(&mut self, bytes: &[u8]) {
        let [mut a, mut b] = self.sums;
        for pair in bytes.chunks_exact(8) {
            let (x, y) = if self.is_big_endian {
                (word(pair, 0), word(pair, 4))
            } else {
                (word(pair, 0).swap_bytes(), word(pair, 4).swap_bytes())
            };
            a = a.wrapping_add(x).wrapping_add(b);
            b = b.wrapping_add(y).wrapping_add(a);
        }
        self.sums = [a, b];
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    /// A log of four small commits, as SQLite writes it, and the places where its frames begin.
    fn log() -> (Vec<u8>, Vec<usize>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x)").unwrap();
        for number in 0..3 {
            connection.execute("INSERT INTO t VALUES (?1)", [number]).unwrap();
        }
        let bytes = std::fs::read(directory.path().join("x.db-wal")).unwrap();
        let frames = (HEADER..bytes.len()).step_by(FRAME_HEADER + 4096).collect();
        (bytes, frames)
    }

    fn is_damaged(bytes: &[u8]) -> bool {
        match scan(&mut &*bytes) {
            Ok(_) => false,
            Err(ScanError::Broken(_)) => true,
            Err(ScanError::Io(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn a_sound_log_and_its_every_torn_end_pass() {
        let (bytes, frames) = log();
        assert!(frames.len() >= 4);
        assert!(!is_damaged(&bytes));
        for cut in HEADER..bytes.len() {
            assert!(!is_damaged(&bytes[..cut]), "cut at {cut}");
        }
    }

    #[test]
    fn a_flipped_byte_before_the_last_commit_is_damage() {
        let (bytes, frames) = log();
        let last = *frames.last().unwrap();
        for at in
            (0..last).step_by(7).chain(0..HEADER).chain(frames.iter().flat_map(|&f| f..f + FRAME_HEADER))
        {
            let mut broken = bytes.clone();
            broken[at] ^= 0x40;
            assert_eq!(is_damaged(&broken), at < last, "flipped at {at}");
        }
    }

    /// Nothing is left that says where the last commit but one ended: it could be one write with a hole.
    #[test]
    fn a_blank_frame_is_damage_unless_it_hides_the_end_before_the_last_commit() {
        let (bytes, frames) = log();
        let commits = frames.iter().filter(|frame| word(&bytes, **frame + 4) != 0).count();
        assert_eq!((frames.len(), commits), (5, 4), "the table takes two frames");
        for (number, frame) in frames.iter().enumerate() {
            let mut blank = bytes.clone();
            blank[*frame..][..FRAME_HEADER + 4096].fill(0);
            assert_eq!(is_damaged(&blank), number < 3, "frame {number}");
        }
    }

    #[test]
    fn leftovers_of_an_earlier_log_are_no_damage() {
        let (bytes, frames) = log();
        let mut reused = bytes.clone();
        for frame in &frames[2..] {
            // As SQLite marks the next log: the first salt counts up, the second is random.
            reused[frame + 8..frame + 16].copy_from_slice(&[9; 8]);
        }
        assert!(!is_damaged(&reused));
    }

    #[test]
    fn frames_of_a_transaction_that_was_taken_back_are_no_damage() {
        let (bytes, frames) = log();
        let mut taken_back = bytes.clone();
        for frame in &frames[2..] {
            taken_back[frame + 4..frame + 8].copy_from_slice(&[0; 4]);
            taken_back[frame + FRAME_HEADER] ^= 1;
        }
        assert!(!is_damaged(&taken_back));
    }

    #[test]
    fn a_log_that_never_reached_the_disk_is_no_damage() {
        assert!(!is_damaged(&[0; 9000]));
        let mut blank = log().0;
        blank[..HEADER].fill(0);
        assert!(is_damaged(&blank));
    }
}
