//! How far the log was flushed, as its writer last knew.
//!
//! Owns a small file that is written after each flush and not flushed itself. It outlives a kill, so a log that ends too
//! early is noticed then; after a power cut it may say less than is true, never more. Promises just that: the number in it
//! was durable in the log when it was written. Without it a damaged last batch would look like a torn one. A number that
//! is itself torn promises nothing, since a power cut may do that to it. Beside the number lies the directory's salt, which never changes.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::frame::Salt;
use super::{BatchNumber, LogDamage, OpenLogError, at};

const NAME: &str = "journal.end";

/// Eight bytes and their checksum.
const PART_BYTES: usize = 12;
const SALT_AT: u64 = 16;

/// The file, ready to be written.
#[derive(Debug)]
pub(super) struct End {
    file: File,
}

/// What the file said.
#[derive(Debug, Clone)]
pub(super) struct Promised {
    /// The last batch that was flushed, or an earlier one.
    pub(super) number: BatchNumber,
    pub(super) salt: Salt,
    pub(super) path: PathBuf,
}

impl End {
    pub(super) fn create(directory: &Path) -> io::Result<()> {
        // Not for secrecy from whoever can read the directory: only so that no payload can hold a frame by design.
        let salt = RandomState::new().hash_one(directory);
        let file = File::create(directory.join(NAME))?;
        file.write_all_at(&part(0), 0)?;
        file.write_all_at(&part(salt), SALT_AT)?;
        file.sync_all()
    }

    pub(super) fn open(directory: &Path) -> Result<(Self, Promised), OpenLogError> {
        let path = directory.join(NAME);
        let damaged = || OpenLogError::Damaged { path: path.clone(), what: LogDamage::End };
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged()),
            opened => opened.map_err(at(&path))?,
        };
        let read = |place| {
            let mut bytes = [0; PART_BYTES];
            match file.read_exact_at(&mut bytes, place) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(damaged()),
                read => read.map(|()| number_of(bytes)).map_err(at(&path)),
            }
        };
        let salt = Salt(read(SALT_AT)?.ok_or_else(damaged)?.to_le_bytes());
        // Never flushed, so a power cut may tear it: then nothing was promised.
        let number = read(0)?.unwrap_or(0);
        Ok((Self { file }, Promised { number, salt, path }))
    }

    pub(super) fn set(&mut self, number: BatchNumber) -> io::Result<()> {
        self.file.write_all_at(&part(number), 0)
    }
}

fn part(number: u64) -> [u8; PART_BYTES] {
    let mut bytes = [0; PART_BYTES];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    let sum = crc32c::crc32c(&bytes[..8]);
    bytes[8..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn number_of(part: [u8; PART_BYTES]) -> Option<u64> {
    let (number, sum) = part.split_first_chunk()?;
    let is_sound = crc32c::crc32c(number).to_le_bytes() == sum;
    is_sound.then(|| u64::from_le_bytes(*number))
}
