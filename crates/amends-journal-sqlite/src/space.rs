//! How much room the disk has.
//!
//! Owns the watch on free space and the look at what kind of file system this is. Promises an answer that is
//! at most [`SPACE_LOOKED_AT_EVERY`] old. Does not turn anybody away: the engine does.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::limits::SPACE_LOOKED_AT_EVERY;

/// The watch on one directory.
#[derive(Debug)]
pub(super) struct Space {
    directory: PathBuf,
    reserve_bytes: u64,
    last: Mutex<Option<(Instant, bool)>>,
}

impl Space {
    pub(super) fn new(directory: &Path, reserve_bytes: u64) -> Self {
        Self { directory: directory.to_owned(), reserve_bytes, last: Mutex::new(None) }
    }

    pub(super) fn is_low(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match *last {
            Some((at, low)) if at.elapsed() < SPACE_LOOKED_AT_EVERY => low,
            Some(_) | None => {
                let low = self.is_low_now();
                *last = Some((Instant::now(), low));
                low
            }
        }
    }

    /// As of this moment: a system call, of a microsecond.
    pub(super) fn is_low_now(&self) -> bool {
        // Space that cannot be measured is not counted on.
        self.reserve_bytes > 0 && free_bytes(&self.directory).is_none_or(|free| free < self.reserve_bytes)
    }
}

fn free_bytes(directory: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(directory).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Whether the directory really has no room for this many bytes. SQLite reports a full quota like a broken
/// disk; this asks again.
pub(super) fn is_exhausted(directory: &Path, bytes: usize) -> bool {
    let path = directory.join("amends.space");
    let tried = File::create(&path).and_then(|file| fill(file, bytes));
    // Whether it could be removed changes nothing in the answer; the next probe overwrites it.
    let _ = std::fs::remove_file(&path);
    tried
        .is_err_and(|error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
}

fn fill(mut file: File, bytes: usize) -> io::Result<()> {
    static BLOCK: [u8; 64 << 10] = [0xA5; 64 << 10];
    for _ in 0..bytes.div_ceil(BLOCK.len()) {
        file.write_all(&BLOCK)?;
    }
    file.sync_all()
}

/// The name of the network file system that the directory lies on, if it does. There locks and shared memory,
/// which the database leans on, hold between processes of one machine at best.
#[cfg(target_os = "linux")]
pub(super) fn network_file_system(directory: &Path) -> Option<&'static str> {
    match rustix::fs::statfs(directory).ok()?.f_type {
        0x6969 => Some("NFS"),
        0x517B | 0xFF53_4D42 | 0xFE53_4D42 => Some("SMB"),
        0x5346_414F => Some("AFS"),
        _ => None,
    }
}

/// Elsewhere nobody can tell.
#[cfg(not(target_os = "linux"))]
pub(super) fn network_file_system(_directory: &Path) -> Option<&'static str> {
    None
}
