//! How far the log was flushed, as its writer last knew.
//!
//! Owns a small file that is written after each flush and not flushed itself. It outlives a kill, so a log
//! that ends too early is noticed then; after a power cut it may say less than is true, never more. Promises
//! just that: the batch named in it was durable in the log when that was written. Without it a damaged last
//! batch would look like a torn one. Beside it stand the file that has the batch, a number that the log's
//! owner wants kept, and how often the log was opened, which is flushed before anything else happens; and the
//! directory's salt, which never changes.
//!
//! There are two places for what changes, in sectors of their own, written in turn: one that is torn leaves
//! the other.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::damage::{LogDamage, OpenLogError, at};
use super::frame::Salt;
use super::{BatchNumber, FileNumber, Place};

/// Sectors of a disk are no smaller: a write inside one is whole or did not happen.
const SECTOR: u64 = 512;
const SALT_AT: u64 = 2 * SECTOR;

/// The file, ready to be written.
#[derive(Debug)]
pub(super) struct End {
    file: File,
    says: Said,
    /// Which of the two places is written next.
    place: u64,
}

/// What changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    /// How often the log was opened.
    pub(super) opening: u64,
    /// The last batch that was flushed, or an earlier one.
    pub(super) batch: BatchNumber,
    /// The file that has it.
    pub(super) file: FileNumber,
    /// What the log's owner wants kept.
    pub(super) note: u64,
}

/// What the file said.
#[derive(Debug, Clone)]
pub(super) struct Promised {
    pub(super) says: Said,
    pub(super) salt: Salt,
    pub(super) path: PathBuf,
}

impl End {
    pub(super) fn create(place: &Place) -> io::Result<Salt> {
        // Not for secrecy from whoever can read the directory: only so that no payload can hold a frame by
        // design.
        let salt = RandomState::new().hash_one(&place.directory);
        let file = File::create(place.end())?;
        file.write_all_at(&sealed([salt, 0, 0, 0]), SALT_AT)?;
        file.write_all_at(&sealed([0; NUMBERS]), 0)?;
        file.sync_all()?;
        Ok(Salt(salt.to_le_bytes()))
    }

    pub(super) fn read(place: &Place) -> Result<(File, Promised), OpenLogError> {
        let path = place.end();
        let damaged = || OpenLogError::Damaged { path: path.clone(), what: LogDamage::End };
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(OpenLogError::Missing { path });
            }
            opened => opened.map_err(at(&path))?,
        };
        let read = |place| {
            let mut bytes = [0; SEALED_BYTES];
            match file.read_exact_at(&mut bytes, place) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(damaged()),
                read => read.map(|()| unsealed(&bytes)).map_err(at(&path)),
            }
        };
        let [salt, ..] = read(SALT_AT)?.ok_or_else(damaged)?;
        let places = [read(0)?, read(SECTOR)?].into_iter().flatten();
        let [opening, batch, file_number, note] = places.max().ok_or_else(damaged)?;
        let file_number = FileNumber::try_from(file_number).map_err(|_| damaged())?;
        let says = Said { opening, batch, file: file_number, note };
        let promised = Promised { says, salt: Salt(salt.to_le_bytes()), path: path.clone() };
        Ok((file, promised))
    }

    /// Opens the file and counts the opening, durably.
    pub(super) fn open(place: &Place) -> Result<(Self, Promised), OpenLogError> {
        let (file, mut promised) = Self::read(place)?;
        promised.says.opening += 1;
        let mut end = Self { file, says: promised.says, place: 0 };
        // Both: the older one may be of an earlier opening.
        let written = end.write().and_then(|()| end.write()).and_then(|()| end.sync());
        written.map_err(at(&promised.path))?;
        Ok((end, promised))
    }

    pub(super) const fn says(&self) -> Said {
        self.says
    }

    pub(super) fn set(&mut self, batch: BatchNumber, file: FileNumber) -> io::Result<()> {
        (self.says.batch, self.says.file) = (batch, file);
        self.write()
    }

    pub(super) fn note(&mut self, note: u64) -> io::Result<()> {
        self.says.note = note;
        self.write()
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&mut self) -> io::Result<()> {
        let Said { opening, batch, file, note } = self.says;
        self.file.write_all_at(&sealed([opening, batch, file.into(), note]), self.place)?;
        self.place = SECTOR - self.place;
        Ok(())
    }
}

const NUMBERS: usize = 4;
const SEALED_BYTES: usize = NUMBERS * size_of::<u64>() + size_of::<u32>();

/// Numbers and their checksum.
fn sealed(numbers: [u64; NUMBERS]) -> [u8; SEALED_BYTES] {
    let mut bytes = [0; SEALED_BYTES];
    let (places, sum) = bytes.split_at_mut(NUMBERS * size_of::<u64>());
    for (place, number) in places.chunks_exact_mut(size_of::<u64>()).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    sum.copy_from_slice(&crc32c::crc32c(places).to_le_bytes());
    bytes
}

fn unsealed(bytes: &[u8; SEALED_BYTES]) -> Option<[u64; NUMBERS]> {
    let (places, _) = bytes.as_chunks::<8>();
    let numbers: [u64; NUMBERS] = std::array::from_fn(|index| u64::from_le_bytes(places[index]));
    (sealed(numbers) == *bytes).then_some(numbers)
}
