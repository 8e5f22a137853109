//! Where the measurement takes place.
//!
//! Owns the directory on the disk to be measured. Promises a directory of its own that is gone afterwards,
//! after Ctrl-C as well; and, unless --data says otherwise, one on a disk and not in memory. Touches nothing
//! outside of it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::block_device::BlockDevice;
use super::error::BenchError;
use super::interruption::{Interruption, keep_signals};

/// The directory that everything is measured in.
pub(super) struct Place {
    directory: TempDir,
    is_in_memory: bool,
    disk: Option<BlockDevice>,
    interruption: Interruption,
}

impl Place {
    /// Makes a directory in the given one, or in the best there is.
    pub(super) fn choose(asked_for: Option<&Path>) -> Result<Self, BenchError> {
        let parent = match asked_for {
            Some(directory) => directory.to_owned(),
            None => first_on_a_disk(),
        };
        let unusable = |source| BenchError::Unusable { directory: parent.clone(), source };
        let signals =
            keep_signals().map_err(|source| BenchError::Threads { what: "the wait for signals", source })?;
        let directory =
            tempfile::Builder::new().prefix("amends-bench-").tempdir_in(&parent).map_err(unusable)?;
        let interruption = signals.watch(directory.path().to_owned()).map_err(unusable)?;
        let is_in_memory = is_in_memory(directory.path());
        Ok(Self { is_in_memory, disk: BlockDevice::under(directory.path()), directory, interruption })
    }

    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The disk beneath it, if the kernel counts what it is sent.
    pub(super) fn disk(&self) -> Option<&BlockDevice> {
        self.disk.as_ref()
    }

    /// What is wrong with it, if anything is.
    pub(super) fn warning(&self) -> Option<&'static str> {
        if self.is_in_memory {
            return Some("this directory lies in memory, where nothing is durable: choose one with --data");
        }
        let has_cache = self.disk.as_ref().and_then(BlockDevice::has_cache);
        (has_cache == Some(false)).then_some(
            "this disk says that it has no cache, so the kernel sends it no flushes: the figures are of durable sagas if \
             that is true",
        )
    }

    /// An empty directory in it, removed when dropped: what one measurement leaves must not weigh on the
    /// next.
    pub(super) fn fresh(&self, name: &str) -> Result<TempDir, BenchError> {
        let made = tempfile::Builder::new().prefix(name).tempdir_in(self.directory());
        made.map_err(|source| BenchError::File { path: self.directory().to_owned(), source })
    }

    /// Keeps a child process from outliving this one.
    pub(super) fn interruption(&self) -> &Interruption {
        &self.interruption
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.interruption.let_pass();
    }
}

/// What the files of a directory take on the disk, in bytes (as `du` counts: blocks, not lengths).
pub(super) fn size_of(directory: &Path) -> Result<u64, BenchError> {
    /// The unit of `st_blocks`, whatever the file system's own blocks are.
    const BLOCK: u64 = 512;
    let sum = fs::read_dir(directory).and_then(|entries| {
        entries.map(|entry| Ok(entry?.metadata()?.blocks() * BLOCK)).sum::<io::Result<u64>>()
    });
    sum.map_err(|source| BenchError::File { path: directory.to_owned(), source })
}

/// The current directory, or the next best that does not lie in memory.
fn first_on_a_disk() -> PathBuf {
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let home = std::env::home_dir();
    let candidates = std::iter::once(here.clone()).chain(home).chain([PathBuf::from("/var/tmp")]);
    candidates.into_iter().find(|path| path.is_dir() && !is_in_memory(path)).unwrap_or(here)
}

/// Whether the directory lies on a file system that keeps its files in memory.
fn is_in_memory(directory: &Path) -> bool {
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58F6;
    rustix::fs::statfs(directory)
        .is_ok_and(|found| u64::try_from(found.f_type).is_ok_and(|kind| [TMPFS, RAMFS].contains(&kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_gone_afterwards() {
        let parent = tempfile::tempdir().unwrap();
        let place = Place::choose(Some(parent.path())).unwrap();
        let fresh = place.fresh("x").unwrap();
        fs::write(fresh.path().join("file"), [1; 5_000]).unwrap();
        assert!(place.directory().starts_with(parent.path()));
        drop(fresh);
        drop(place);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_refused_with_exit_code_two() {
        let error = Place::choose(Some(Path::new("/proc/self"))).map(drop).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("/proc/self") && error.to_string().contains("--data"), "{error}");
    }

    #[test]
    fn the_size_is_what_the_files_take_on_the_disk() {
        let directory = tempfile::tempdir().unwrap();
        let file = fs::File::create(directory.path().join("file")).unwrap();
        file.set_len(1 << 30).unwrap();
        file.sync_all().unwrap();
        assert!(size_of(directory.path()).unwrap() < 1 << 20, "a hole takes no space");
    }
}
