//! The first bytes of a database file, read without SQLite.
//!
//! Owns what must be known before SQLite may have the file: how its pages lie, and that they have checksums.
//! Does not judge what else the header says. The format:
//! <https://www.sqlite.org/fileformat2.html#the_database_header>.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::{FileError, Log, beside, pages};

const BYTES: usize = 100;

/// The smallest page that SQLite knows, and so the shortest database with anything in it.
const SMALLEST_PAGE_BYTES: u64 = 512;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// What the header says of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) page_bytes: usize,
    pages: u32,
    reserved_bytes: u8,
    application_id: i32,
}

/// Refuses a database whose pages have no checksums.
pub(crate) fn check(database: &Path) -> Result<(), FileError> {
    match read(database)? {
        Some(header) if usize::from(header.reserved_bytes) != pages::CHECKSUM_BYTES => {
            Err(FileError::Foreign { path: database.to_owned(), application_id: header.application_id })
        }
        Some(_) | None => Ok(()),
    }
}

/// Refuses a file that is shorter than it says. SQLite takes a file of a few bytes for a new one, and does
/// not miss what was cut off until it reads it.
pub(crate) fn check_length(database: &Path, log: Log) -> Result<(), FileError> {
    let bytes = match fs::metadata(database) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(FileError::io(database)(error)),
    };
    if log == Log::Holds {
        // The WAL has the last word on the file's length, but a file without a single page can have none.
        if bytes < SMALLEST_PAGE_BYTES {
            return Err(FileError::damaged(
                database,
                "it is missing or cut off, but its write-ahead log is not",
            ));
        }
        return Ok(());
    }
    let is_being_laid_out = beside(database, "-journal").exists();
    if bytes == 0 || is_being_laid_out {
        return Ok(());
    }
    if bytes < SMALLEST_PAGE_BYTES {
        return Err(FileError::damaged(database, format!("it is cut off after {bytes} bytes")));
    }
    match read(database)? {
        Some(Header { page_bytes, pages, .. }) if bytes < page_bytes as u64 * u64::from(pages) => {
            let reason =
                format!("it has {bytes} bytes and says {pages} pages of {page_bytes}: it was cut off");
            Err(FileError::damaged(database, reason))
        }
        Some(_) | None => Ok(()),
    }
}

/// Reads the header; `None` if the file is not there, or not (yet) a database.
pub(crate) fn read(database: &Path) -> Result<Option<Header>, FileError> {
    let mut bytes = [0; BYTES];
    match File::open(database).and_then(|mut file| file.read_exact(&mut bytes)) {
        Ok(()) => Ok(parse(&bytes)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => {
            Ok(None)
        }
        Err(error) => Err(FileError::io(database)(error)),
    }
}

fn parse(bytes: &[u8; BYTES]) -> Option<Header> {
    let page_bytes = match u16::from_be_bytes([bytes[16], bytes[17]]) {
        // What two bytes cannot hold.
        1 => 65_536,
        other => usize::from(other),
    };
    let is_database =
        bytes.starts_with(MAGIC) && page_bytes as u64 >= SMALLEST_PAGE_BYTES && page_bytes.is_power_of_two();
    is_database.then(|| Header {
        page_bytes,
        pages: u32::from_be_bytes([bytes[28], bytes[29], bytes[30], bytes[31]]),
        reserved_bytes: bytes[20],
        application_id: i32::from_be_bytes([bytes[68], bytes[69], bytes[70], bytes[71]]),
    })
}
