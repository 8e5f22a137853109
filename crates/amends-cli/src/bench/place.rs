//! Where the measurement takes place.
//!
//! Owns the directory on the disk to be measured, and the child process working in it. Promises a directory of its own
//! that is gone afterwards, after Ctrl-C as well; and, unless told otherwise, one on a disk and not in memory. Touches
//! nothing outside of it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use crate::process::complain;

use super::error::BenchError;

/// The exit code of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// How often removing is tried after Ctrl-C: threads that still write may add a file meanwhile.
const REMOVALS_MAX: usize = 10;

/// The directory that everything is measured in.
pub(super) struct Place {
    directory: TempDir,
    is_in_memory: bool,
    child: Arc<Mutex<Option<Working>>>,
}

/// A child at work, and the end of its standard input whose closing tells it that we are gone. Kept apart from the
/// child, which would close it as soon as it is waited for.
struct Working {
    child: Child,
    lifeline: Option<ChildStdin>,
}

impl Place {
    /// Makes a directory in the given one, or in the best there is.
    pub(super) fn choose(asked_for: Option<&Path>) -> Result<Self, BenchError> {
        let parent = match asked_for {
            Some(directory) => directory.to_owned(),
            None => first_on_a_disk(),
        };
        let unusable = |source| BenchError::Unusable { directory: parent.clone(), source };
        let directory =
            tempfile::Builder::new().prefix("amends-bench-").tempdir_in(&parent).map_err(unusable)?;
        let place = Self {
            is_in_memory: is_in_memory(directory.path()),
            directory,
            child: Arc::new(Mutex::new(None)),
        };
        remove_when_interrupted(place.directory.path().to_owned(), place.child.clone()).map_err(unusable)?;
        Ok(place)
    }

    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What is wrong with it, if anything is.
    pub(super) fn warning(&self) -> Option<&'static str> {
        self.is_in_memory
            .then_some("this directory lies in memory, where nothing is durable: choose one with --data")
    }

    /// An empty directory in it, removed when dropped: what one measurement leaves must not weigh on the next.
    pub(super) fn fresh(&self, name: &str) -> Result<TempDir, BenchError> {
        let made = tempfile::Builder::new().prefix(name).tempdir_in(self.directory());
        made.map_err(|source| BenchError::File { path: self.directory().to_owned(), source })
    }

    /// Takes charge of a child: it is killed when we are interrupted.
    pub(super) fn own_child(&self, mut child: Child) {
        let lifeline = child.stdin.take();
        *lock(&self.child) = Some(Working { child, lifeline });
    }

    /// Kills the child and waits until it is gone.
    pub(super) fn kill_child(&self) -> io::Result<()> {
        match lock(&self.child).take() {
            Some(mut working) => working.kill(),
            None => Ok(()),
        }
    }

    /// Waits for the child to end by itself.
    pub(super) fn wait_for_child(&self) -> io::Result<ExitStatus> {
        // Not under the lock: the handler of Ctrl-C must not wait for it. A child ends with us anyway.
        let working = lock(&self.child).take();
        let Working { mut child, lifeline } = working.ok_or_else(|| io::Error::other("it is gone"))?;
        let status = child.wait();
        drop(lifeline);
        status
    }
}

impl Working {
    fn kill(&mut self) -> io::Result<()> {
        self.child.kill().and_then(|()| self.child.wait()).map(drop)
    }
}

fn lock(child: &Mutex<Option<Working>>) -> MutexGuard<'_, Option<Working>> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
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
    let here = PathBuf::from(".");
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

/// A thread of its own: the measurement blocks its threads as it likes.
fn remove_when_interrupted(directory: PathBuf, child: Arc<Mutex<Option<Working>>>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let wait = async move {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut interrupt), Ok(mut terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            // Then a signal ends the process as it always does, and the directory stays.
            return;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if let Some(working) = lock(&child).as_mut() {
            // It may have ended by itself.
            let _ = working.kill();
        }
        let removed =
            (0..REMOVALS_MAX).any(|_| fs::remove_dir_all(&directory).is_ok() || !directory.exists());
        if !removed {
            complain(&format!("interrupted; {} could not be removed", directory.display()));
        }
        std::process::exit(INTERRUPTED);
    };
    std::thread::Builder::new()
        .name("bench-signals".to_owned())
        .spawn(move || runtime.block_on(wait))
        .map(drop)
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
