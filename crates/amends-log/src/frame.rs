//! The bytes of the log: format 2.
//!
//! A file begins with eight bytes of magic, the format (four bytes), the number of the file that has the
//! batch before its first one (four), the CRC-32C of all these (four) and four of nothing. Then one frame
//! after the other, each at a multiple of eight: length of the batch (four bytes), CRC-32C (four), the
//! batch's number (eight), the batch. The sum is over the directory's salt, the number and the batch. All
//! numbers are little-endian.
//!
//! Owns these bytes. Promises that a frame which is not what was written is not taken for one, and that
//! nobody who does not know the salt can put one inside a batch.

use super::{BatchNumber, FileNumber};

pub(super) const FILE_HEADER_BYTES: usize = 24;
pub(super) const HEADER_BYTES: usize = 16;
pub(super) const ALIGNMENT: usize = 8;

const MAGIC: &[u8; 8] = b"AmendLog";
const FORMAT: u32 = 2;

/// What makes the frames of one directory its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Salt(pub(super) [u8; 8]);

/// A whole frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'b> {
    pub(super) number: BatchNumber,
    pub(super) batch: &'b [u8],
}

/// The first bytes of a file whose first batch comes after one in that file.
pub(super) fn file_header(previous: FileNumber) -> [u8; FILE_HEADER_BYTES] {
    let mut bytes = [0; FILE_HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[12..16].copy_from_slice(&previous.to_le_bytes());
    let sum = crc32c::crc32c(&bytes[..16]);
    bytes[16..20].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// The file that a file follows, if it begins like one.
pub(super) fn previous_of(file: &[u8]) -> Option<FileNumber> {
    let previous = FileNumber::from_le_bytes(*file.get(12..)?.first_chunk()?);
    file.starts_with(&file_header(previous)).then_some(previous)
}

impl Salt {
    fn sum(self, numbered: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&self.0), numbered)
    }

    /// Fills in the header of a frame whose batch lies behind it.
    pub(super) fn finish(self, frame: &mut [u8], number: BatchNumber) {
        let length = u32::try_from(frame.len() - HEADER_BYTES).expect("a group commit is far below four GiB");
        frame[8..16].copy_from_slice(&number.to_le_bytes());
        let sum = self.sum(&frame[8..]);
        frame[..4].copy_from_slice(&length.to_le_bytes());
        frame[4..8].copy_from_slice(&sum.to_le_bytes());
    }

    /// The whole frame at the beginning of `bytes`, if there is one.
    pub(super) fn read(self, bytes: &[u8]) -> Option<Frame<'_>> {
        let (length, rest) = bytes.split_first_chunk()?;
        let (sum, rest) = rest.split_first_chunk()?;
        let length = u32::from_le_bytes(*length) as usize;
        let numbered = rest.get(..8 + length)?;
        if self.sum(numbered) != u32::from_le_bytes(*sum) {
            return None;
        }
        let (number, batch) = numbered.split_first_chunk()?;
        Some(Frame { number: BatchNumber::from_le_bytes(*number), batch })
    }
}

impl Frame<'_> {
    /// How far the next one is.
    pub(super) fn stride(&self) -> usize {
        (HEADER_BYTES + self.batch.len()).next_multiple_of(ALIGNMENT)
    }
}

/// The number that a frame at the beginning of `bytes` would have, whether it is whole or not.
pub(super) fn number_at(bytes: &[u8]) -> Option<BatchNumber> {
    Some(BatchNumber::from_le_bytes(*bytes.get(8..)?.first_chunk()?))
}
