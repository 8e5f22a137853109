//! How far the log was flushed, as its writer last knew, and how often it was opened.
//!
//! Owns a small file that is written after each flush and not flushed itself. It outlives a kill, so a log that ends too
//! early is noticed then; after a power cut it may say less than is true, never more. Promises just that: the number in it
//! was durable in the log when it was written. Without it a damaged last batch would look like a torn one. Beside the
//! number lies how often the log was opened, which is flushed before anything else happens, and the directory's salt,
//! which never changes.
//!
//! There are two places for the number, in sectors of their own, which are written in turn: one that is torn leaves the
//! other.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::frame::Salt;
use super::{BatchNumber, LogDamage, OpenLogError, at};

const NAME: &str = "journal.end";

/// Sectors of a disk are no smaller: a write inside one is whole or did not happen.
const SECTOR: u64 = 512;
const SALT_AT: u64 = 2 * SECTOR;

/// The file, ready to be written.
#[derive(Debug)]
pub(super) struct End {
    file: File,
    opening: u64,
}

/// What the file said.
#[derive(Debug, Clone)]
pub(super) struct Promised {
    /// The last batch that was flushed, or an earlier one.
    pub(super) number: BatchNumber,
    /// How often the log was opened, this time included.
    pub(super) opening: u64,
    pub(super) salt: Salt,
    pub(super) path: PathBuf,
}

impl End {
    pub(super) fn create(directory: &Path) -> io::Result<()> {
        // Not for secrecy from whoever can read the directory: only so that no payload can hold a frame by design.
        let salt = RandomState::new().hash_one(directory);
        let file = File::create(directory.join(NAME))?;
        file.write_all_at(&sealed([salt, 0]), SALT_AT)?;
        file.write_all_at(&sealed([0, 0]), 0)?;
        file.sync_all()
    }

    /// Opens the file and counts the opening, durably.
    pub(super) fn open(directory: &Path) -> Result<(Self, Promised), OpenLogError> {
        let path = directory.join(NAME);
        let damaged = || OpenLogError::Damaged { path: path.clone(), what: LogDamage::End };
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged()),
            opened => opened.map_err(at(&path))?,
        };
        let read = |place| {
            let mut bytes = [0; SEALED_BYTES];
            match file.read_exact_at(&mut bytes, place) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(damaged()),
                read => read.map(|()| unsealed(&bytes)).map_err(at(&path)),
            }
        };
        let [salt, _] = read(SALT_AT)?.ok_or_else(damaged)?;
        let places = [read(0)?, read(SECTOR)?];
        let last = places.into_iter().flatten().max_by_key(|[number, opening]| (*opening, *number));
        let [number, opening] = last.ok_or_else(damaged)?;
        let end = Self { file, opening: opening + 1 };
        // Both: the older one may be of an earlier opening.
        for place in [0, SECTOR] {
            end.file.write_all_at(&sealed([number, end.opening]), place).map_err(at(&path))?;
        }
        end.file.sync_data().map_err(at(&path))?;
        let promised =
            Promised { number, opening: end.opening, salt: Salt(salt.to_le_bytes()), path: path.clone() };
        Ok((end, promised))
    }

    pub(super) fn set(&mut self, number: BatchNumber) -> io::Result<()> {
        self.file.write_all_at(&sealed([number, self.opening]), number % 2 * SECTOR)
    }
}

const SEALED_BYTES: usize = 2 * size_of::<u64>() + size_of::<u32>();

/// Two numbers and their checksum.
fn sealed(numbers: [u64; 2]) -> [u8; SEALED_BYTES] {
    let mut bytes = [0; SEALED_BYTES];
    let (first, rest) = bytes.split_first_chunk_mut().expect("there is room for both");
    *first = numbers[0].to_le_bytes();
    let (second, sum) = rest.split_first_chunk_mut().expect("there is room for both");
    *second = numbers[1].to_le_bytes();
    sum.copy_from_slice(&sum_of(numbers));
    bytes
}

fn unsealed(bytes: &[u8; SEALED_BYTES]) -> Option<[u64; 2]> {
    let (first, rest) = bytes.split_first_chunk()?;
    let (second, sum) = rest.split_first_chunk()?;
    let numbers = [u64::from_le_bytes(*first), u64::from_le_bytes(*second)];
    (sum == sum_of(numbers)).then_some(numbers)
}

fn sum_of([first, second]: [u64; 2]) -> [u8; 4] {
    crc32c::crc32c_append(crc32c::crc32c(&first.to_le_bytes()), &second.to_le_bytes()).to_le_bytes()
}
